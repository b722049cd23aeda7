"""How an entry records that payloads of other entries were erased.

The record is an event of its own, sealed like any other: its type is `RECORD_TYPE`, and its payload names under
``event_ids`` the entries whose salt, payload and metadata were deleted in the same transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from aureus.codec import decode
from aureus.errors import Invalid

RECORD_TYPE = "payloads_erased"
"""The type of events that record an erasure."""

KEY_RECORD_TYPE = "subject_erased"
"""The type of events that record the destruction of a key: under ``key_ids`` they say of which."""


def destroyed_by(event_type: str, payload: bytes) -> Sequence[str]:
    """Return the identifiers of the keys that an event with this type and payload says are destroyed."""
    return _listed(payload, "key_ids") if event_type == KEY_RECORD_TYPE else ()


def erased_by(event_type: str, payload: bytes) -> Sequence[str]:
    """Return the identifiers of the events whose payloads an event with this type and payload says it erased."""
    return _listed(payload, "event_ids") if event_type == RECORD_TYPE else ()


def _listed(payload: bytes, name: str) -> Sequence[str]:
    try:
        value: Any = decode(payload)
    except Invalid:
        return ()
    names: Any = cast(dict[str, Any], value).get(name) if isinstance(value, dict) else None
    listed = cast(Sequence[Any], names) if isinstance(names, list) else ()
    return [one for one in listed if isinstance(one, str)]
