"""Moving data between databases."""

from __future__ import annotations

from aureus.transfer.copying import copy_database

__all__ = ["copy_database"]
