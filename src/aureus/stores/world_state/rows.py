"""The rows of the world state, and what its reads and writes are made of."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from aureus._database.operation import Operations
from aureus._database.statement import Op, Queries, Row, fetch_one, new_id
from aureus.codec import check_name, decode
from aureus.errors import NotFound
from aureus.model.events import AuditPoint, EventType, Fact
from aureus.model.world_state import (
    ACTIONS,
    DECISIONS,
    DEFAULT_SCOPE,
    KEY_BYTES_MAX,
    SCOPE_BYTES_MAX,
    WorldStateEntry,
    stream_of,
)

sql = Queries("world_state")

_OPERATION_ID_BYTES_MAX = 128


class WorldStateScope(Operations):
    """What all operations on the keys of one scope share."""

    def __init__(self, scope: str = DEFAULT_SCOPE) -> None:
        self._scope = scope

    def _named(self, key: str) -> dict[str, Any]:
        return {"scope": self._scope, "key": checked_key(key)}

    def _get(self, key: str) -> Op[WorldStateEntry]:
        entry = yield from fetch_one(sql.get_world_state, entry_of, **self._named(key))
        if entry is None:
            raise NotFound(
                f"there is no key {key!r} in the scope {self._scope}", key=key, scope=self._scope
            )
        return entry


def fact_of(
    scope: str, kind: EventType, key: str, actor: str, operation: str, **payload: Any
) -> Fact:
    """Return the fact that a key got a value or lost it."""
    stream = stream_of(scope, key)
    return Fact(
        stream=stream,
        type=kind,
        payload={"scope": scope, "key": key, "operationId": operation, **payload},
        actor=actor,
        audit=AuditPoint(ACTIONS[kind], stream, is_decision=kind in DECISIONS),
        is_routine=kind not in DECISIONS,
    )


def setting_of(scope: str, key: str, encoded: bytes, actor: str, operation: str) -> Fact:
    """Return the fact that a key got this value: its size and hash, and not the value itself."""
    return fact_of(
        scope,
        EventType.WORLD_STATE_SET,
        key,
        actor,
        operation,
        valueBytes=len(encoded),
        sha256=sha256(encoded).hexdigest(),
    )


def checked_scope(name: str) -> str:
    """Return the name of a scope; raises ``Invalid`` and ``LimitExceeded``."""
    return check_name(name, "scope", bytes_max=SCOPE_BYTES_MAX)


def checked_key(key: str) -> str:
    """Return a key; raises ``Invalid`` and ``LimitExceeded``."""
    return check_name(key, "key", bytes_max=KEY_BYTES_MAX)


def operation_id_of(given: str | None) -> Op[str]:
    """Return the identifier of a write: the caller's, or a fresh one. Raises ``Invalid`` and ``LimitExceeded``."""
    if given is None:
        return (yield from new_id())
    return check_name(given, "operation_id", bytes_max=_OPERATION_ID_BYTES_MAX)


def entry_of(row: Row) -> WorldStateEntry:
    """Return a key with its value of a row: key, version, value and time; None is a version that took it away."""
    key, version, value, updated_at = row[:4]
    is_deleted = value is None
    return WorldStateEntry(
        key, version, None if is_deleted else decode(value), updated_at, is_deleted=is_deleted
    )
