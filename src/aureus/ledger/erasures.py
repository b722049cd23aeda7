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


def erased_by(event_type: str, payload: bytes) -> Sequence[str]:
    """Return the identifiers of the events whose payloads an event with this type and payload says it erased."""
    if event_type != RECORD_TYPE:
        return ()
    try:
        value: Any = decode(payload)
    except Invalid:
        return ()
    names: Any = cast(dict[str, Any], value).get("event_ids") if isinstance(value, dict) else None
    listed = cast(Sequence[Any], names) if isinstance(names, list) else ()
    return [name for name in listed if isinstance(name, str)]
