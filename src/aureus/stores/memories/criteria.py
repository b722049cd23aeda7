"""What a filter becomes: the parameters that lists, counts and searches share, and the index that serves it. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from aureus.codec import check_text, encode_text, shown
from aureus.errors import Invalid
from aureus.model.memories import Memory, MemoryFilter
from aureus.stores.memories.stating import check_list, check_moment, check_name

BEGINNING = datetime.min.replace(tzinfo=UTC)
END = datetime.max.replace(tzinfo=UTC)
"""Before and after every moment there is: bounds of an interval that nobody narrowed, so that one text serves all."""

_NAMES = (
    "agent_id", "user_id", "session_id", "namespace", "subject", "run_id", "task_id", "step_id", "source_event_id",
    "tier",
)  # fmt: skip
_LISTS = ("types", "tags", "tags_any")


def parameters_of(wanted: MemoryFilter) -> dict[str, Any]:
    """Return the parameters of the parts ``who`` and ``criteria`` in memories.sql. Raises ``Invalid``."""
    _check(wanted)
    containing = wanted.containing
    return {
        "agent_id": wanted.agent_id,
        "user_id": wanted.user_id,
        "include_shared": wanted.include_shared,
        "session_id": wanted.session_id,
        "namespace": wanted.namespace,
        "subject": wanted.subject,
        "run_id": wanted.run_id,
        "task_id": wanted.task_id,
        "step_id": wanted.step_id,
        "source_event_id": wanted.source_event_id,
        "tier": wanted.tier,
        "types": list(wanted.types) or None,
        "tags": list(wanted.tags) or None,
        "tags_any": list(wanted.tags_any) or None,
        "containing": None if containing is None else encode_text(containing, what="containing"),
        "min_confidence": 0.0 if wanted.min_confidence is None else float(wanted.min_confidence),
        "occurred_from": _moment(wanted.occurred_from, BEGINNING),
        "occurred_to": _moment(wanted.occurred_to, END),
        "created_from": _moment(wanted.created_from, BEGINNING),
        "created_to": _moment(wanted.created_to, END),
        "valid_at": None if wanted.valid_at is None else check_moment(wanted.valid_at, "valid_at"),
    }


def may_see(wanted: MemoryFilter, memory: Memory) -> bool:
    """Return whether a memory is of those whom a filter speaks of: the part ``who`` in memories.sql, and namespace.

    For what comes along with a hit: around what another agent shares lies what it does not share.
    """
    user_id = memory.user_id or ""
    if wanted.namespace is not None and memory.namespace != wanted.namespace:
        return False
    is_own = wanted.agent_id in {None, memory.agent_id} and wanted.user_id in {None, user_id}
    return is_own or (
        wanted.include_shared
        and memory.is_shared
        and (wanted.user_id is None or user_id in {"", wanted.user_id})
    )


def page_of(
    wanted: MemoryFilter, after: tuple[datetime, str] | None, *, newest_first: bool
) -> dict[str, Any]:
    """Return the parameters of a page: those of its filter, and the place behind which it begins.

    ``after`` is a memory's ``cursor``. It narrows the interval too, so that an index is entered at that place.
    """
    parameters = parameters_of(wanted)
    if after is None:
        return {**parameters, "after_at": END if newest_first else BEGINNING, "after_id": ""}
    moment, memory_id = after
    check_name(memory_id, "after")
    after_at = check_moment(moment, "after")
    if newest_first:
        if after_at < END:
            just_behind = after_at + timedelta(microseconds=1)
            parameters["occurred_to"] = min(parameters["occurred_to"], just_behind)
    else:
        parameters["occurred_from"] = max(parameters["occurred_from"], after_at)
    return {**parameters, "after_at": after_at, "after_id": memory_id}


def _moment(value: datetime | None, otherwise: datetime) -> datetime:
    return otherwise if value is None else check_moment(value, "a bound of the filter")


def _check(wanted: MemoryFilter) -> None:
    for name in _LISTS:
        for item in check_list(getattr(wanted, name), name):
            check_name(item, f"one of the {name}")
    for name in _NAMES:
        value: Any = getattr(wanted, name)
        if value is not None and not isinstance(value, str):
            raise Invalid(
                f"{name} is {shown(value)} ({type(value).__name__}); it must be text", what=name
            )
        if value is not None:
            check_text(value, name)
    confidence: Any = wanted.min_confidence
    is_number = isinstance(confidence, int | float) and not isinstance(confidence, bool)
    if confidence is not None and not (is_number and 0 <= confidence <= 1):
        raise Invalid(
            f"min_confidence is {confidence!r}; it must be a number from 0 to 1",
            what="min_confidence",
        )
    is_shared: Any = wanted.include_shared
    if not isinstance(is_shared, bool):
        raise Invalid(
            f"include_shared is {is_shared!r}; it must be True or False", what="include_shared"
        )
