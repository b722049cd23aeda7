"""Aureus: the durable memory and state of AI agents, on SQLite and PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aureus._version import __version__

if TYPE_CHECKING:
    from aureus.client import AsyncAureus, Aureus
    from aureus.errors import AureusError
    from aureus.model.audit_modes import AuditMode
    from aureus.model.differences import ABSENT
    from aureus.model.events import ANY, EXISTS, NO_STREAM, NewEvent
    from aureus.model.memories import AsOf, MemoryFilter, NewMemory, Provenance
    from aureus.retrieval.embedding import Embedder, FunctionEmbedder
    from aureus.retrieval.static_model import StaticEmbedder

__all__ = [
    "ABSENT",
    "ANY",
    "EXISTS",
    "NO_STREAM",
    "AsOf",
    "AsyncAureus",
    "AuditMode",
    "Aureus",
    "AureusError",
    "Embedder",
    "FunctionEmbedder",
    "MemoryFilter",
    "NewEvent",
    "NewMemory",
    "Provenance",
    "StaticEmbedder",
    "__version__",
]

_HOMES = {
    "Aureus": "aureus.client",
    "AsyncAureus": "aureus.client",
    "AureusError": "aureus.errors",
    "ABSENT": "aureus.model.differences",
    "AuditMode": "aureus.model.audit_modes",
    "ANY": "aureus.model.events",
    "NO_STREAM": "aureus.model.events",
    "EXISTS": "aureus.model.events",
    "NewEvent": "aureus.model.events",
    "AsOf": "aureus.model.memories",
    "MemoryFilter": "aureus.model.memories",
    "NewMemory": "aureus.model.memories",
    "Provenance": "aureus.model.memories",
    "Embedder": "aureus.retrieval.embedding",
    "FunctionEmbedder": "aureus.retrieval.embedding",
    "StaticEmbedder": "aureus.retrieval.static_model",
}


def __dir__() -> list[str]:
    """Return the public names, also those that nobody has used so far."""
    return sorted({*globals(), *_HOMES})


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that the command line starts at once."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
