"""The way in: opens a database, wires its parts together, and hands out the stores.

``Aureus`` is for threads, ``AsyncAureus`` has the same names for asyncio. Both keep every noun in one database, so that
one transaction can span them all, and the caller's own tables too. A name is imported when it is first used: threads
need no asyncio.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aureus.client.awaited import AsyncOpenTransaction, AsyncStores
    from aureus.client.loop import AsyncAureus
    from aureus.client.opening import make_sources
    from aureus.client.stores import OpenTransaction, Stores
    from aureus.client.threads import Aureus
    from aureus.client.wiring import ledger_scope

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

_HOMES = {
    "AsyncAureus": "aureus.client.loop",
    "AsyncOpenTransaction": "aureus.client.awaited",
    "AsyncStores": "aureus.client.awaited",
    "Aureus": "aureus.client.threads",
    "OpenTransaction": "aureus.client.stores",
    "Stores": "aureus.client.stores",
    "ledger_scope": "aureus.client.wiring",
    "make_sources": "aureus.client.opening",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
