"""Writes of the world state: each gives a key one value, or takes it away, as its next version."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aureus._database.operation import write
from aureus._database.statement import (
    Op,
    Queries,
    Refused,
    Row,
    current_time,
    fetch_one,
    last,
    record,
)
from aureus.codec import decode, encode
from aureus.errors import Invalid, VersionConflict
from aureus.model.events import EventType
from aureus.model.world_state import VALUE_BYTES_MAX, WorldStateEntry
from aureus.stores.world_state.rows import (
    WorldStateScope,
    entry_of,
    fact_of,
    operation_id_of,
    setting_of,
)

sql = Queries("world_state")


class WorldStateWrites(WorldStateScope):
    """Operations that change the keys of one scope."""

    @write
    def set(
        self,
        key: str,
        value: Any,
        *,
        expected_version: int | None = None,
        actor: str = "aureus",
        operation_id: str | None = None,
    ) -> Op[WorldStateEntry]:
        """Give a key a value and return it with its new version. Atomic.

        ``expected_version`` is the version that the caller has seen, 0 for a key that must not be there, None for
        whatever is there. Versions go on counting over deletion. A repeated call with the same ``operation_id`` returns
        what the first one wrote. Raises ``VersionConflict``, ``Invalid`` and ``LimitExceeded``.
        """
        return (yield from self._set(key, value, expected_version, actor, operation_id))

    @write
    def update(
        self,
        key: str,
        value: Any,
        *,
        expected_version: int,
        actor: str = "aureus",
        operation_id: str | None = None,
    ) -> Op[WorldStateEntry]:
        """Change the value of a key that is there; as ``set``, and the version has to be given. Atomic.

        Raises ``NotFound`` too.
        """
        if expected_version < 1:
            raise Invalid(
                f"expected_version is {expected_version}; a key that is there has version 1 at least, "
                "and set makes new ones"
            )
        return (yield from self._set(key, value, expected_version, actor, operation_id, True))

    @write
    def increment(
        self,
        key: str,
        amount: int = 1,
        *,
        actor: str = "aureus",
        operation_id: str | None = None,
    ) -> Op[WorldStateEntry]:
        """Add to a whole number; a key that is not there counts as 0. Atomic, and none of concurrent ones is lost.

        A repeated call with the same ``operation_id`` adds nothing. Raises ``Invalid`` when the value is no whole
        number, or the sum outside ±2⁶³.
        """
        named = self._named(key)
        encode(amount, what="amount")
        operation = yield from operation_id_of(operation_id)
        now = yield from current_time()
        yield from record(
            fact_of(self._scope, EventType.WORLD_STATE_SET, key, actor, operation, amount=amount)
        )
        entry = yield from last(
            sql.increment_world_state,
            entry_of,
            **named,
            amount=amount,
            operation_id=operation,
            now=now,
        )
        if entry is None:
            raise Refused(lambda: self._why_not_added(key, amount))
        return entry

    @write
    def transform(
        self,
        key: str,
        function: Callable[[Any], Any],
        *,
        actor: str = "aureus",
        operation_id: str | None = None,
    ) -> Op[WorldStateEntry]:
        """Give a key the value that a function makes of the one it has, None for none. Atomic; none is lost.

        The key is held while the function runs, so that it should be quick; others that change the key wait. It may be
        called again when the database asks for another attempt. A repeated call with the same ``operation_id`` returns
        what the first one wrote, without calling it.
        """
        named = self._named(key)
        operation = yield from operation_id_of(operation_id)
        now = yield from current_time()
        locked = yield from fetch_one(sql.lock_world_state, lambda row: row, now=now, **named)
        earlier = yield from fetch_one(
            sql.get_world_state_of_operation, entry_of, operation_id=operation, **named
        )
        if earlier is not None:
            return earlier
        standing: Row = locked or (0, True, None)
        version, is_deleted, value = standing
        changed = function(None if is_deleted else decode(value))
        expected = 0 if is_deleted else int(version)
        return (yield from self._set(key, changed, expected, actor, operation))

    @write
    def delete(
        self,
        key: str,
        *,
        expected_version: int | None = None,
        actor: str = "aureus",
        operation_id: str | None = None,
    ) -> Op[bool]:
        """Take a key's value away; return whether there was one. Atomic; its history stays.

        Raises ``VersionConflict``.
        """
        named = self._named(key)
        operation = yield from operation_id_of(operation_id)
        now = yield from current_time()
        fact = fact_of(self._scope, EventType.WORLD_STATE_DELETED, key, actor, operation)
        yield from record(fact)
        version = yield from last(
            sql.delete_world_state,
            lambda row: int(row[0]),
            **named,
            expected_version=expected_version,
            operation_id=operation,
            now=now,
        )
        if version is None and expected_version is not None:
            raise Refused(lambda: self._why_not_set(key, expected_version))
        return version is not None

    def _set(
        self,
        key: str,
        value: Any,
        expected_version: int | None,
        actor: str,
        operation_id: str | None,
        must_be_there: bool = False,
    ) -> Op[WorldStateEntry]:
        named = self._named(key)
        encoded = encode(value, what=f"value of {key}", bytes_max=VALUE_BYTES_MAX)
        operation = yield from operation_id_of(operation_id)
        now = yield from current_time()
        yield from record(setting_of(self._scope, key, encoded, actor, operation))

        def written(row: Row) -> WorldStateEntry:
            return entry_of((*row[:2], encoded if row[2] is None else row[2], row[3]))

        entry = yield from last(
            sql.set_world_state,
            written,
            **named,
            value=encoded.decode(),
            expected_version=expected_version,
            operation_id=operation,
            now=now,
        )
        if entry is None:
            raise Refused(lambda: self._why_not_set(key, expected_version, must_be_there))
        return entry

    def _why_not_set(
        self, key: str, expected_version: int | None, must_be_there: bool = False
    ) -> Op[None]:
        standing = yield from fetch_one(
            sql.get_world_state_standing,
            lambda row: 0 if row[1] else int(row[0]),
            **self._named(key),
        )
        actual = standing or 0
        if must_be_there and not actual:
            yield from self._get(key)
        if expected_version is not None and expected_version != actual:
            raise VersionConflict(
                f"key {key!r} of the scope {self._scope} is at version {actual}, not {expected_version}; "
                "read it and try again",
                key=key,
                scope=self._scope,
                expected_version=expected_version,
                actual_version=actual,
            )

    def _why_not_added(self, key: str, amount: int) -> Op[None]:
        value = yield from fetch_one(
            sql.get_world_state_standing,
            lambda row: None if row[1] else str(row[2]),
            **self._named(key),
        )
        if value is not None:
            raise Invalid(
                f"key {key!r} of the scope {self._scope} holds {value[:80]}: {amount} cannot be added to it, "
                "or the sum cannot be stored",
                key=key,
                scope=self._scope,
            )
