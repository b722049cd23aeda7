"""Calls of stores as data: chosen by Hypothesis, carried out on any backend, and answered in one form.

Names, texts and numbers are few and awkward, so that calls meet: what differs in case or by an accent alone, what SQL
or JSON has marks for, numbers at the edge of what both engines keep. Times are told from the clock of the moment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from re import compile as pattern
from typing import Any, NamedTuple

from hypothesis import strategies as st

from aureus.errors import AureusError
from aureus.model.memories import AsOf, Provenance

Values = st.SearchStrategy[dict[str, Any]]


class StoreCall(NamedTuple):
    """An operation of a store with its arguments."""

    store: str
    operation: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Then:
    """An earlier or later moment to read at, told from now."""

    recorded: timedelta | None
    valid: timedelta | None


AGENTS = st.sampled_from(["a", "b", "ä/%"])
USERS = st.sampled_from(["u", "v"])
IDS = st.sampled_from(["m0", "m1", "m2"])
OPERATIONS = st.sampled_from(["o0", "o1", "o2", "o3"])
KEYS = st.sampled_from(["k", "K", "k/1", "k%", "k\uffff", "k\U0001f600"])
NAMES = st.sampled_from(["a", "A", "á", "a\u0301", "_", "%", "\U0001f600", "\uffff", "/"])
VERSIONS = st.integers(0, 4)
LIMITS = st.sampled_from([-1, 0, 1, 2, 100])
TEXTS = st.sampled_from(
    ["cats are nice", "Cats like milk", "milk", "Straße", "I \u0130 ı", "don't"]
)
TAGS = st.lists(st.sampled_from(["t", "T", "ü", "t "]), max_size=3)
NUMBERS = st.sampled_from(
    [0, -0.0, 1, 1.0, 2**53 + 1, 1e16, 10**16, 2**63 - 1, -(2**63), 1e-7, 1e300, 0.1, 5e-324, True]
)
LEAVES = (
    NUMBERS | st.none() | st.sampled_from(["", '"', "\\", "é", "\u0001", "\U0001f600", "x" * 90])
)
FIELDS = st.sampled_from(["", "a", "b", "a.b", '"', "\\", "[]", "$", "é", "0", "*"])
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=3),
    max_leaves=5,
)
OBJECTS = st.dictionaries(FIELDS, JSON, max_size=3)
MOMENTS = st.sampled_from(
    [timedelta(seconds=seconds) for seconds in (-5, -1e-6, 0, 1e-6, 1, 5)]
    + [timedelta(days=days) for days in (-700_000, 400_000)]
)
MOMENTS_THEN = st.builds(Then, st.none() | MOMENTS, st.none() | MOMENTS)

DETAILS: dict[str, st.SearchStrategy[Any]] = {
    "type": st.sampled_from(["fact", "insight"]),
    "content": JSON,
    "tags": TAGS,
    "confidence": st.sampled_from([0, 1, 0.5]),
    "subject": st.sampled_from([None, "u", "p"]),
    "language": st.sampled_from(["english", "german", "klingon"]),
    "metadata": OBJECTS,
    "provenance": st.sampled_from([None, Provenance(), Provenance("r", "t", None, "e")]),
    "sources": TAGS,
    "is_shared": st.booleans(),
    "occurred_at": MOMENTS,
    "valid_from": MOMENTS,
    "valid_to": MOMENTS,
    "expires_at": MOMENTS,
}

CRITERIA: dict[str, st.SearchStrategy[Any]] = {
    "agent_id": AGENTS,
    "user_id": st.sampled_from(["", "u", "v"]),
    "session_id": st.sampled_from(["s", ""]),
    "namespace": st.sampled_from(["", "n"]),
    "types": st.lists(DETAILS["type"], max_size=2),
    "tags": TAGS,
    "tags_any": TAGS,
    "containing": JSON,
    "min_confidence": st.sampled_from([0, 0.5]),
    "subject": st.sampled_from(["u", ""]),
    "task_id": st.just("t"),
    "source_event_id": st.just("e"),
    "tier": st.sampled_from(["hot", "warm"]),
    "occurred_from": MOMENTS,
    "occurred_to": MOMENTS,
    "created_to": MOMENTS,
    "valid_at": MOMENTS,
    "include_shared": st.booleans(),
}


def given_all(**arguments: st.SearchStrategy[Any]) -> Values:
    """Return arguments that are given in any case."""
    return st.fixed_dictionaries(arguments)


def given_some(arguments: Mapping[str, st.SearchStrategy[Any]], most: int = 3) -> Values:
    """Return a few of many arguments."""
    chosen = st.lists(st.sampled_from(sorted(arguments)), max_size=most, unique=True)
    return chosen.flatmap(
        lambda names: st.fixed_dictionaries({name: arguments[name] for name in names})
    )


def calls(store: str, operation: str, *parts: Values) -> st.SearchStrategy[StoreCall]:
    """Return calls of an operation with the arguments of all parts."""
    return st.tuples(*parts).map(
        lambda found: StoreCall(store, operation, {k: v for part in found for k, v in part.items()})
    )


_WHOSE = {"user_id": USERS, "session_id": st.just("s"), "namespace": st.sampled_from(["n", "n/1"])}
_EXPECTED = given_some({"expected_version": VERSIONS}, 1)
_SESSION = given_all(agent_id=AGENTS, session_id=NAMES)
_OPERATION = given_all(operation_id=OPERATIONS)
_PAGE = given_some({"newest_first": st.booleans(), "limit": LIMITS})
_SECTIONS = st.dictionaries(FIELDS, JSON, max_size=3)

MEMORIES: Sequence[st.SearchStrategy[StoreCall]] = [
    calls("memories", "add", given_all(text=TEXTS, agent_id=AGENTS, memory_id=IDS), given_some(DETAILS | _WHOSE)),
    calls("memories", "put", given_all(key=KEYS, text=TEXTS, agent_id=AGENTS, memory_id=IDS),
          given_some(DETAILS | _WHOSE), _EXPECTED),
    calls("memories", "update", given_all(memory_id=IDS, operation_id=OPERATIONS),
          given_some(DETAILS | {"text": TEXTS}), _EXPECTED),
    calls("memories", "forget", given_all(memory_id=IDS, operation_id=OPERATIONS), _EXPECTED),
    calls("memories", "restore", given_all(memory_id=IDS, operation_id=OPERATIONS),
          given_some({"expires_at": MOMENTS}), _EXPECTED),
    calls("memories", "sweep_expired"),
    calls("memories", "get", given_all(memory_id=IDS), given_some({"as_of": MOMENTS_THEN})),
    calls("memories", "get_by_key", given_all(key=KEYS, agent_id=AGENTS), given_some(_WHOSE | {"session_id": IDS}, 0)),
    calls("memories", "query", given_some(CRITERIA), _PAGE),
    calls("memories", "query", given_some(CRITERIA, 2), given_all(as_of=MOMENTS_THEN), _PAGE),
    calls("memories", "count", given_some(CRITERIA), given_some({"as_of": MOMENTS_THEN})),
    calls("memories", "statistics", given_some(CRITERIA)),
    calls("memories", "history", given_all(memory_id=IDS), given_some({"limit": LIMITS})),
    calls("memories", "recall", given_all(text=TEXTS), given_some(CRITERIA)),
    calls("memories", "index_step", given_some({"drops_dead": st.booleans()})),
]  # fmt: skip

SESSIONS: Sequence[st.SearchStrategy[StoreCall]] = [
    calls("sessions", "save", _SESSION, _OPERATION, given_all(state=JSON), _EXPECTED,
          given_some({"context": OBJECTS, "ttl_seconds": st.sampled_from([0.001, 1, 5])})),
    calls("sessions", "append", _SESSION, _OPERATION, given_all(role=st.just("user"), content=JSON), _EXPECTED,
          given_some({"metadata": OBJECTS})),
    calls("sessions", "load", _SESSION),
    calls("sessions", "reset", _SESSION, _OPERATION, _EXPECTED),
    calls("sessions", "delete", _SESSION, _OPERATION, _EXPECTED),
    calls("sessions", "set_expiry", _SESSION, _OPERATION, given_some({"expires_at": MOMENTS})),
    calls("sessions", "history", _SESSION, given_some({"after_position": VERSIONS, "from_end": st.booleans()})),
    calls("sessions", "sweep_expired", _OPERATION),
    calls("sessions", "list", given_all(agent_id=AGENTS), given_some({"limit": LIMITS})),
    calls("sessions", "list_documents", given_all(agent_id=AGENTS), given_some({"after_session_id": NAMES})),
    calls("sessions", "find_containing", given_all(wanted=JSON), given_some({"agent_id": AGENTS})),
    calls("sessions", "index_states"),
]  # fmt: skip

WORLD_STATE: Sequence[st.SearchStrategy[StoreCall]] = [
    calls("world_state", "set", given_all(key=KEYS, value=JSON), _OPERATION, _EXPECTED),
    calls("world_state", "set", given_all(key=KEYS, value=NUMBERS), _OPERATION),
    calls("world_state", "increment", given_all(key=KEYS), _OPERATION,
          given_some({"amount": st.sampled_from([0, -1, 2**63 - 1, -(2**63)])})),
    calls("world_state", "delete", given_all(key=KEYS), _OPERATION, _EXPECTED),
    calls("world_state", "history", given_all(key=KEYS), given_some({"before_version": VERSIONS})),
    calls("world_state", "list", given_some({"prefix": KEYS, "after_key": KEYS, "limit": LIMITS})),
    calls("world_state", "keys", given_some({"prefix": KEYS, "after_key": KEYS})),
    calls("world_state", "prune_batch", given_all(record_id=OPERATIONS, keep_newest=st.integers(1, 2))),
]  # fmt: skip

PEOPLE: Sequence[st.SearchStrategy[StoreCall]] = [
    calls("profiles", "update", given_all(user_id=NAMES), _OPERATION, _EXPECTED,
          given_some({"goals": _SECTIONS, "preferences": _SECTIONS, "agent_id": AGENTS})),
    calls("profiles", "delete", given_all(user_id=NAMES), _OPERATION, _EXPECTED),
    calls("profiles", "history", given_all(user_id=NAMES), given_some({"before": VERSIONS})),
    calls("profiles", "list", given_some({"after": NAMES, "limit": LIMITS})),
    calls("hypotheses", "propose", given_all(statement=TEXTS, agent_id=AGENTS, hypothesis_id=IDS),
          given_some({"user_id": USERS, "confidence": st.sampled_from([0, 0.2, 0.8, 1])})),
    calls("hypotheses", "add_evidence", given_all(hypothesis_id=IDS, text=TEXTS, evidence_id=OPERATIONS),
          given_all(side=st.sampled_from(["for", "against"])), given_some({"confidence": NUMBERS}), _EXPECTED),
    calls("hypotheses", "delete", given_all(hypothesis_id=IDS), _OPERATION),
    calls("hypotheses", "list", given_some({"agent_id": AGENTS, "user_id": USERS, "limit": LIMITS})),
    calls("hypotheses", "statistics", given_all(agent_id=AGENTS)),
    calls("events", "append", given_all(stream=KEYS, type=NAMES, payload=OBJECTS, event_id=OPERATIONS),
          given_some({"expected_version": VERSIONS, "metadata": OBJECTS, "correlation_id": NAMES})),
    calls("events", "list", given_some({"stream": KEYS, "type": NAMES, "text": st.sampled_from(["a", "É", "m0"]),
          "since": MOMENTS, "until": MOMENTS, "limit": LIMITS})),
    calls("events", "list_streams", given_some({"prefix": st.sampled_from(["k", "memories/"]), "after": KEYS})),
]  # fmt: skip


def outcome(stores: Any, call: StoreCall, now: datetime) -> Any:
    """Carry a call out and return its answer, or its error, in a form that does not depend on the backend."""
    arguments = {name: _told(value, now) for name, value in call.arguments.items()}
    operation: Callable[..., Any] = getattr(getattr(stores, call.store), call.operation)
    try:
        return comparable(operation(**arguments))
    except AureusError as error:
        return type(error).__name__, _MADE_ID.sub("…", str(error))


def _told(value: Any, now: datetime) -> Any:
    if isinstance(value, Then):
        return AsOf(recorded=_told(value.recorded, now), valid=_told(value.valid, now))
    return now + value if isinstance(value, timedelta) else value


_MADE_ID = pattern("[0-9a-f]{32}")

_BY_BACKEND = frozenset({"memory_no", "entry_no", "leaf_hash", "position", "cursor"})
"""Numbers that the engines give, in the same order and not alike, and what is salted."""


def comparable(value: Any) -> Any:
    """Return a value with all that may differ between backends left out, and kinds of numbers told apart."""
    if is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in fields(value) if field.name not in _BY_BACKEND]
        return {name: comparable(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {name: comparable(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [comparable(item) for item in value]
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, str):
        return _MADE_ID.sub("…", value)
    # Sums of numbers may differ in their last digit, by the order in which they were added.
    return (type(value).__name__, f"{value:.12g}" if isinstance(value, float) else value)
