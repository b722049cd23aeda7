"""What audit entries refer to, derived from their payloads. Apart from the trail, since every append needs it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, cast

REFERENCE_CHARACTERS_MAX = 200
"""Characters of what an entry refers to: a run, a task, a step, an event."""


class ReferenceKind(StrEnum):
    """What an audit entry may refer to, beside its resource."""

    RUN = "run"
    TASK = "task"
    STEP = "step"
    SOURCE_EVENT = "source_event"


Reference = tuple[ReferenceKind, str]
"""What kind of thing an entry refers to, and which one."""


def references_of(payload: Mapping[str, Any]) -> tuple[Reference, ...]:
    """Return what an audit entry refers to, derived from its payload alone, in the order of kind and value.

    This is what the table ``audit_references`` must hold for an entry, no more and no less: the run, task, step and
    source event of its provenance, its source events, and the run and task that an event of a run names.
    """
    found: set[Reference] = set()

    def add(kind: ReferenceKind, value: Any) -> None:
        if isinstance(value, str) and 0 < len(value) <= REFERENCE_CHARACTERS_MAX:
            found.add((kind, value))

    origin = payload.get("provenance")
    places = [payload]
    if isinstance(origin, Mapping):
        places.append(cast(Mapping[str, Any], origin))
    for place in places:
        add(ReferenceKind.RUN, place.get("runId"))
        add(ReferenceKind.TASK, place.get("taskId"))
        add(ReferenceKind.STEP, place.get("stepId"))
        add(ReferenceKind.SOURCE_EVENT, place.get("sourceEventId"))
    sources = payload.get("sourceEventIds")
    for event_id in cast(Iterable[Any], sources) if isinstance(sources, list) else ():
        add(ReferenceKind.SOURCE_EVENT, event_id)
    return tuple(sorted(found))
