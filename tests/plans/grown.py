"""A PostgreSQL database whose every table has grown, for tests of plans; see ``grown.sql``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import psycopg

_SEED = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")

GROWN = frozenset(re.findall(r"INSERT INTO aureus\.(\w+)", _SEED))
"""The tables that are filled."""

STAYS_SMALL = {
    "anchor_heads": "one row",
    "schema_migrations": "one row for each migration",
}
"""Tables that do not grow."""


def grow(owner: psycopg.Connection[Any]) -> None:
    """Fill every table and see to it that nothing gathers statistics; for a superuser."""
    for table in sorted(GROWN):
        owner.execute(f"ALTER TABLE aureus.{table} SET (autovacuum_enabled = off)".encode())
    with owner.transaction():
        owner.execute(_SEED.encode())
