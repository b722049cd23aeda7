"""SQLite through apsw: one writer with group commit, readers beside it, several processes on one file."""

from __future__ import annotations
