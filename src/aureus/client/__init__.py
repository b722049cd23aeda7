"""The way in: opens a database, wires its parts together, and hands out the stores.

``Aureus`` is for threads, ``AsyncAureus`` has the same names for asyncio. Both keep every noun in one database, so that
one transaction can span them all, and the caller's own tables too.
"""

from __future__ import annotations

from aureus.client.loop import AsyncAureus
from aureus.client.opening import ledger_scope, make_sources
from aureus.client.stores import AsyncOpenTransaction, AsyncStores, OpenTransaction, Stores
from aureus.client.threads import Aureus

__all__ = [
    "AsyncAureus",
    "AsyncOpenTransaction",
    "AsyncStores",
    "Aureus",
    "OpenTransaction",
    "Stores",
    "ledger_scope",
    "make_sources",
]
