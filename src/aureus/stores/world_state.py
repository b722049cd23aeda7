"""World state: versioned keys in scopes, with every value that they had."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Any

from aureus._database.operation import AsyncStore, Operations, Store, read, write
from aureus._database.statement import (
    Op,
    Queries,
    Refused,
    Row,
    current_time,
    fetch_all,
    fetch_one,
    last,
    new_id,
    record,
)
from aureus.codec import check_name, decode, encode
from aureus.errors import Invalid, LimitExceeded, NotFound, VersionConflict
from aureus.model.events import AuditPoint, EventType, Fact
from aureus.model.world_state import (
    ACTIONS,
    DECISIONS,
    DEFAULT_SCOPE,
    KEY_BYTES_MAX,
    SCOPE_BYTES_MAX,
    SNAPSHOT_KEYS_MAX,
    VALUE_BYTES_MAX,
    WorldStateConflict,
    WorldStateEntry,
    WorldStateSnapshot,
    end_of_prefix,
    stream_of,
)

sql = Queries("world_state")

PAGE_MAX = 1000
"""Keys or versions of one page."""

_OPERATION_ID_BYTES_MAX = 128
_LAST_VERSION = 2**62


class WorldStateOperations(Operations):
    """Operations on the keys of one scope."""

    def __init__(self, scope: str = DEFAULT_SCOPE) -> None:
        self._scope = scope

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
        operation = yield from _operation_id_of(operation_id)
        now = yield from current_time()
        yield from record(
            self._fact(EventType.WORLD_STATE_SET, key, actor, operation, amount=amount)
        )
        entry = yield from last(
            sql.increment_world_state,
            _entry,
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
        operation = yield from _operation_id_of(operation_id)
        now = yield from current_time()
        locked = yield from fetch_one(sql.lock_world_state, lambda row: row, now=now, **named)
        earlier = yield from fetch_one(
            sql.get_world_state_of_operation, _entry, operation_id=operation, **named
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
        operation = yield from _operation_id_of(operation_id)
        now = yield from current_time()
        fact = self._fact(EventType.WORLD_STATE_DELETED, key, actor, operation)
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

    @read
    def get(self, key: str) -> Op[WorldStateEntry]:
        """Return a key's value and version. Raises ``NotFound``."""
        return (yield from self._get(key))

    @read
    def find(self, key: str) -> Op[WorldStateEntry | None]:
        """Return a key's value and version, or None when it is not there."""
        return (yield from fetch_one(sql.get_world_state, _entry, **self._named(key)))

    @read
    def read_version(self, key: str, version: int) -> Op[WorldStateEntry]:
        """Return the value that a key had at a version. Raises ``NotFound``."""
        entry = yield from fetch_one(
            sql.get_world_state_version, _entry, version=version, **self._named(key)
        )
        if entry is None:
            raise NotFound(
                f"key {key!r} of the scope {self._scope} has no version {version}",
                key=key,
                scope=self._scope,
                version=version,
            )
        return entry

    @read
    def history(
        self, key: str, *, before_version: int | None = None, limit: int = 100
    ) -> Op[Sequence[WorldStateEntry]]:
        """Return the values that a key had, newest first; at most 1,000. ``before_version`` is the last one seen."""
        return (
            yield from fetch_all(
                sql.list_world_state_versions,
                _entry,
                before_version=_LAST_VERSION if before_version is None else before_version,
                limit=max(1, min(limit, PAGE_MAX)),
                **self._named(key),
            )
        )

    @read
    def list(
        self, *, prefix: str = "", after_key: str = "", limit: int = 100
    ) -> Op[Sequence[WorldStateEntry]]:
        """Return the keys that begin with a prefix, with their values, in order; at most 1,000.

        ``after_key`` is the last one of the page before.
        """
        return (yield from self._list(prefix, after_key, max(1, min(limit, PAGE_MAX))))

    @read
    def keys(
        self, *, prefix: str = "", after_key: str = "", limit: int = 1000
    ) -> Op[Sequence[str]]:
        """Return the names of the keys that begin with a prefix, in order; at most 1,000."""
        entries = yield from self._list(prefix, after_key, max(1, min(limit, PAGE_MAX)))
        return [entry.key for entry in entries]

    @read
    def snapshot(self) -> Op[WorldStateSnapshot]:
        """Return every key of the scope at one moment, with its version.

        Raises ``LimitExceeded`` when there are more than 10,000.
        """
        now = yield from current_time()
        entries = yield from self._list("", "", SNAPSHOT_KEYS_MAX + 1)
        if len(entries) > SNAPSHOT_KEYS_MAX:
            raise LimitExceeded(
                f"the scope {self._scope} has more than {SNAPSHOT_KEYS_MAX:,} keys; use several scopes",
                scope=self._scope,
                limit=SNAPSHOT_KEYS_MAX,
            )
        return WorldStateSnapshot(self._scope, now, {entry.key: entry for entry in entries})

    @read
    def conflicts(self, seen: Mapping[str, int]) -> Op[Sequence[WorldStateConflict]]:
        """Return the keys that are not at the versions that a caller saw, by key; 0 is a key that was not there.

        Empty means that nothing of what was seen has changed. At most 10,000 keys.
        """
        if len(seen) > SNAPSHOT_KEYS_MAX:
            raise LimitExceeded(f"{len(seen):,} keys at once; the limit is {SNAPSHOT_KEYS_MAX:,}")
        pairs = yield from fetch_all(
            sql.list_versions_of_keys,
            lambda row: (str(row[0]), int(row[1])),
            scope=self._scope,
            keys=[_checked(key) for key in seen],
        )
        actual = dict(pairs)
        return [
            WorldStateConflict(key, seen[key], actual.get(key, 0))
            for key in sorted(seen)
            if seen[key] != actual.get(key, 0)
        ]

    # What they are made of.

    def _named(self, key: str) -> dict[str, Any]:
        return {"scope": self._scope, "key": _checked(key)}

    def _get(self, key: str) -> Op[WorldStateEntry]:
        entry = yield from fetch_one(sql.get_world_state, _entry, **self._named(key))
        if entry is None:
            raise NotFound(
                f"there is no key {key!r} in the scope {self._scope}", key=key, scope=self._scope
            )
        return entry

    def _list(self, prefix: str, after_key: str, limit: int) -> Op[Sequence[WorldStateEntry]]:
        return (
            yield from fetch_all(
                sql.list_world_state,
                _entry,
                scope=self._scope,
                after_key=after_key,
                first_key=prefix,
                end_key=end_of_prefix(prefix),
                limit=limit,
            )
        )

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
        operation = yield from _operation_id_of(operation_id)
        now = yield from current_time()
        fact = self._fact(
            EventType.WORLD_STATE_SET,
            key,
            actor,
            operation,
            valueBytes=len(encoded),
            sha256=sha256(encoded).hexdigest(),
        )
        yield from record(fact)

        def written(row: Row) -> WorldStateEntry:
            return _entry((*row[:2], encoded if row[2] is None else row[2], row[3]))

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

    def _fact(
        self,
        kind: EventType,
        key: str,
        actor: str,
        operation: str,
        **payload: Any,
    ) -> Fact:
        stream = stream_of(self._scope, key)
        return Fact(
            stream=stream,
            type=kind,
            payload={"scope": self._scope, "key": key, "operationId": operation, **payload},
            actor=actor,
            audit=AuditPoint(ACTIONS[kind], stream, is_decision=kind in DECISIONS),
            is_routine=kind not in DECISIONS,
        )

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


def written_values(scope: str, wanted: Sequence[tuple[str, str]]) -> Op[Sequence[WorldStateEntry]]:
    """Return the values that operations gave to keys, by key and operation; for whoever follows their events."""
    named = [{"key": key, "operation_id": operation} for key, operation in wanted]
    return (
        yield from fetch_all(
            sql.list_written_values, _entry, scope=scope, wanted=encode(named, what="keys").decode()
        )
    )


def count_versions(scope: str) -> Op[int]:
    """Return how many values the keys of a scope ever had, deletions included."""
    found = yield from fetch_one(
        sql.count_world_state_versions, lambda row: int(row[0]), scope=scope
    )
    return found or 0


class WorldStateStore(Store, WorldStateOperations):
    """World state of one tenant, in one scope."""

    def scope(self, name: str) -> WorldStateStore:
        """Return the same operations on another scope, which exists as soon as it has a key."""
        return WorldStateStore(self._runner, self._call, WorldStateOperations(_scope(name)))


class AsyncWorldStateStore(AsyncStore, WorldStateOperations):
    """World state of one tenant, in one scope, awaited."""

    def scope(self, name: str) -> AsyncWorldStateStore:
        """Return the same operations on another scope, which exists as soon as it has a key."""
        return AsyncWorldStateStore(self._runner, self._call, WorldStateOperations(_scope(name)))


def _scope(name: str) -> str:
    return check_name(name, "scope", bytes_max=SCOPE_BYTES_MAX)


def _checked(key: str) -> str:
    return check_name(key, "key", bytes_max=KEY_BYTES_MAX)


def _operation_id_of(given: str | None) -> Op[str]:
    if given is None:
        return (yield from new_id())
    return check_name(given, "operation_id", bytes_max=_OPERATION_ID_BYTES_MAX)


def _entry(row: Row) -> WorldStateEntry:
    key, version, value, updated_at = row[:4]
    is_deleted = value is None
    return WorldStateEntry(
        key, version, None if is_deleted else decode(value), updated_at, is_deleted=is_deleted
    )


def has_values(scope: str, key: str) -> Op[bool]:
    """Return whether a key has, or ever had, a value that was not erased."""
    return bool(
        (yield from fetch_one(sql.get_key_remains, lambda row: row[0], scope=scope, key=key))
    )


def empty_key(scope: str, key: str) -> Op[int]:
    """Take the value of a key away and hold it; return how many values of it are left for ``empty_key_versions``."""
    held = yield from fetch_one(sql.empty_key, bool, scope=scope, key=key)
    if held is None:
        return 0
    counted = yield from fetch_one(
        sql.count_key_values, lambda row: int(row[0]), scope=scope, key=key
    )
    return counted or 0


def empty_key_versions(scope: str, key: str, record_id: str) -> Op[None]:
    """Take every value that a key had away, once the event of the record was appended; its versions stay."""
    yield from fetch_all(sql.empty_key_versions, bool, scope=scope, key=key, record_id=record_id)
