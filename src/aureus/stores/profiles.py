"""Profiles: what agents know about users, merged key by key; no merge loses what another one wrote."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from aureus._database.operation import AsyncStore, Operations, Store, read, write
from aureus._database.statement import (
    Op,
    Queries,
    Refused,
    Row,
    beside,
    current_time,
    fetch_all,
    fetch_one,
    last,
    new_id,
    record,
    record_all,
)
from aureus.codec import as_object, canonical, check_text, decode, encode_text
from aureus.errors import Conflict, Invalid, LimitExceeded, NotFound, VersionConflict
from aureus.model.events import AuditPoint, EventType, Fact
from aureus.model.profiles import (
    DEMOGRAPHICS,
    GOALS,
    KEY_CHARACTERS_MAX,
    PREFERENCES,
    PROFILE_BYTES_MAX,
    SECTION_CHARACTERS_MAX,
    USER_ID_CHARACTERS_MAX,
    Profile,
    merged,
    stream_of,
)

sql = Queries("profiles")

PAGE_MAX = 1000
"""Profiles, or versions of one, of one page."""

_VERSION_MAX = 2**63 - 1

ACTIONS = {
    EventType.PROFILE_UPDATED: "profile.update",
    EventType.GOAL_UPDATED: "profile.update",
    EventType.PREFERENCE_CHANGED: "profile.update",
    EventType.PROFILE_DELETED: "profile.delete",
}
"""What an audit entry calls each event."""

DECISIONS = frozenset({EventType.PROFILE_DELETED})
"""The events that are audit entries in every mode but off."""

_EVENT_TYPES = {GOALS: EventType.GOAL_UPDATED, PREFERENCES: EventType.PREFERENCE_CHANGED}

_Changes = dict[str, dict[str, Any]]


class ProfileOperations(Operations):
    """Operations on user profiles."""

    @write
    def update(
        self,
        user_id: str,
        *,
        goals: Mapping[str, Any] | None = None,
        preferences: Mapping[str, Any] | None = None,
        demographics: Mapping[str, Any] | None = None,
        sections: Mapping[str, Mapping[str, Any]] | None = None,
        agent_id: str | None = None,
        expected_version: int | None = None,
        operation_id: str | None = None,
    ) -> Op[Profile]:
        """Merge what is given into a user's profile, or begin it, and return what it is then. Atomic.

        The value of a key replaces the one before it as a whole, None removes the key, and keys that are not named
        stay: of concurrent merges none is lost. ``sections`` takes any other section by name; ``agent_id`` says who
        found it out, by default the user. ``expected_version`` 0 means that there is no profile yet. A repeated call
        with the same ``operation_id`` changes nothing and returns what the first one left.

        Raises ``VersionConflict``, ``Invalid``, and ``LimitExceeded`` when the profile would become too large.
        """
        _check_user(user_id)
        named = {GOALS: goals, PREFERENCES: preferences, DEMOGRAPHICS: demographics}
        changes = _changes(named, sections or {})
        begun = merged({}, changes)
        document = encode_text(begun, what="profile")
        added_bytes = len(document.encode()) if begun else 0
        if added_bytes > PROFILE_BYTES_MAX:
            raise _too_large(user_id)
        operation = operation_id or (yield from new_id())
        check_text(operation, "operation_id", characters_max=USER_ID_CHARACTERS_MAX)
        now = yield from current_time()
        yield from record_all(_facts(user_id, changes, agent_id or user_id, operation))
        profile = yield from last(
            sql.merge_profile,
            _profile,
            user_id=user_id,
            sections=document,
            changes=encode_text(changes, what="changes of a profile"),
            added_bytes=added_bytes,
            bytes_max=PROFILE_BYTES_MAX,
            updated_by=agent_id or user_id,
            expected_version=expected_version,
            operation_id=operation,
            now=now,
        )
        if profile is None:
            raise Refused(lambda: self._why_not_merged(user_id, expected_version))
        return profile

    def _why_not_merged(self, user_id: str, expected_version: int | None) -> Op[None]:
        actual = yield from fetch_one(sql.get_profile_state, _version, user_id=user_id)
        if expected_version is not None and expected_version != (actual or 0):
            raise _stale(user_id, expected_version, actual or 0)
        raise _too_large(user_id)

    @write
    def delete(
        self,
        user_id: str,
        *,
        agent_id: str | None = None,
        expected_version: int | None = None,
        operation_id: str | None = None,
    ) -> Op[bool]:
        """Empty a profile and all its versions for good; return whether there was one. Atomic.

        What stays is that this user had a profile, with versions, times and who wrote them: so a late write cannot
        bring back what was deleted. A profile that is begun again goes on counting. A repeated call with the same
        ``operation_id`` deletes nothing more and returns True. Raises ``VersionConflict``.
        """
        _check_user(user_id)
        operation = operation_id or (yield from new_id())
        check_text(operation, "operation_id", characters_max=USER_ID_CHARACTERS_MAX)
        # Behind the lock: whoever has waited for it sees only what was committed before.
        written = yield from beside(
            sql.get_written_version, user_id=user_id, operation_id=operation
        )
        found = yield from fetch_one(
            sql.lock_profile, lambda row: (int(row[0]), row[1] is not None), user_id=user_id
        )
        if written.rows:
            return True
        version, is_deleted = found or (0, True)
        actual = 0 if is_deleted else version
        if expected_version is not None and expected_version != actual:
            raise _stale(user_id, expected_version, actual)
        if is_deleted:
            return False
        now = yield from current_time()
        actor = agent_id or user_id
        payload = {"userId": user_id, "version": version + 1}
        yield from record(_fact(EventType.PROFILE_DELETED, user_id, payload, actor, operation))
        done = yield from last(
            sql.delete_profile,
            bool,
            user_id=user_id,
            version=version,
            updated_by=actor,
            operation_id=operation,
            now=now,
        )
        if done is None:
            raise Conflict(
                f"the profile of user {user_id!r} changed in the same moment; repeat the call",
                user_id=user_id,
            )
        return True

    @read
    def get(self, user_id: str, *, version: int | None = None) -> Op[Profile]:
        """Return a user's profile, or what it was at a version since it was last begun. Raises ``NotFound``."""
        profile = yield from self.find(user_id, version=version)
        if profile is None:
            at_version = "" if version is None else f" with a version {version}"
            raise NotFound(
                f"there is no profile of user {user_id!r}{at_version}; `profiles.update` begins one",
                user_id=user_id,
                version=version,
            )
        return profile

    @read
    def find(self, user_id: str, *, version: int | None = None) -> Op[Profile | None]:
        """Return a user's profile, or what it was at a version since it was last begun; None when there is none."""
        if version is None:
            return (yield from fetch_one(sql.get_profile, _profile, user_id=user_id))
        return (
            yield from fetch_one(
                sql.get_profile_version, _profile, user_id=user_id, version=version
            )
        )

    @read
    def history(
        self, user_id: str, *, before: int | None = None, limit: int = 50
    ) -> Op[Sequence[Profile]]:
        """Return the versions of a profile, newest first, the present one included; at most 1,000 at once.

        ``before`` is the version of the last one of the page before. Empty when there is no profile.
        """
        return (
            yield from fetch_all(
                sql.list_profile_versions,
                _profile,
                user_id=user_id,
                before=_VERSION_MAX if before is None else before,
                limit=max(1, min(limit, PAGE_MAX)),
            )
        )

    @read
    def list(self, *, after: str = "", limit: int = 50) -> Op[Sequence[Profile]]:
        """Return a page of profiles in the order of user ids; at most 1,000 at once.

        ``after`` is the user id of the last one of the page before.
        """
        return (
            yield from fetch_all(
                sql.list_profiles, _profile, after=after, limit=max(1, min(limit, PAGE_MAX))
            )
        )


class ProfileStore(ProfileOperations, Store):
    """User profiles of one tenant."""


class AsyncProfileStore(ProfileOperations, AsyncStore):
    """User profiles of one tenant, awaited."""


def _check_user(user_id: str) -> None:
    if not user_id:
        raise Invalid("a user id has at least one character", what="user_id")
    check_text(user_id, "user_id", characters_max=USER_ID_CHARACTERS_MAX)


def _changes(
    named: Mapping[str, Mapping[str, Any] | None], more: Mapping[str, Mapping[str, Any]]
) -> _Changes:
    """Return what is given by section; raises ``Invalid`` for nothing, for a section given twice, for bad names."""
    more = as_object(more, "sections")
    if twice := more.keys() & {name for name, keys in named.items() if keys is not None}:
        raise Invalid(f"the section {min(twice)!r} is given twice; name it once", what=min(twice))
    changes: _Changes = {}
    for name, keys in {**named, **more}.items():
        if keys is None:
            continue
        if not name:
            raise Invalid("a section has a name of at least one character", what="sections")
        check_text(name, "name of a section", characters_max=SECTION_CHARACTERS_MAX)
        merged = as_object(keys, name)
        for key in merged:
            check_text(key, f"a key of {name}", characters_max=KEY_CHARACTERS_MAX)
        if merged:
            changes[name] = merged
    if not changes:
        raise Invalid("nothing to merge; give at least one key of one section", what="sections")
    return changes


def _facts(user_id: str, changes: _Changes, actor: str, operation_id: str) -> list[Fact]:
    """Return one fact each for goals, for preferences, and for all other sections together.

    Values stay out of the events, so that erasing a profile erases them; the hash tells whether one knows them.
    """
    groups: dict[EventType, _Changes] = {}
    for name, keys in changes.items():
        kind = _EVENT_TYPES.get(name, EventType.PROFILE_UPDATED)
        groups.setdefault(kind, {})[name] = keys
    facts: list[Fact] = []
    for kind, group in groups.items():
        payload = {
            "userId": user_id,
            "set": {name: _keys(keys, is_set=True) for name, keys in group.items()},
            "removed": {name: _keys(keys, is_set=False) for name, keys in group.items()},
            "sha256": sha256(canonical(group, what="changes")).hexdigest(),
        }
        facts.append(_fact(kind, user_id, payload, actor, operation_id))
    return facts


def _fact(
    kind: EventType, user_id: str, payload: dict[str, Any], actor: str, operation_id: str
) -> Fact:
    stream = stream_of(user_id)
    return Fact(
        stream=stream,
        type=kind,
        payload=payload,
        actor=actor,
        metadata={"operationId": operation_id},
        audit=AuditPoint(ACTIONS[kind], stream, is_decision=kind in DECISIONS),
        subjects=(user_id,),
    )


def _keys(keys: Mapping[str, Any], *, is_set: bool) -> list[str]:
    return sorted(key for key, value in keys.items() if (value is not None) is is_set)


def _profile(row: Row) -> Profile:
    return Profile(row[0], decode(row[1]), *row[2:7])


def _version(row: Row) -> int:
    """Return the version that a caller may expect: 0 for a deleted profile."""
    return int(row[0]) if row[1] is None else 0


def _stale(user_id: str, expected_version: int, actual_version: int) -> VersionConflict:
    there_is = f"is at version {actual_version}" if actual_version else "does not exist"
    return VersionConflict(
        f"the profile of user {user_id!r} {there_is}, not at version {expected_version}; read it and decide anew",
        user_id=user_id,
        expected_version=expected_version,
        actual_version=actual_version,
    )


def _too_large(user_id: str) -> LimitExceeded:
    return LimitExceeded(
        f"the profile of user {user_id!r} would have more than {PROFILE_BYTES_MAX:,} bytes; remove keys first, or keep "
        "what is long as memories",
        user_id=user_id,
        limit_bytes=PROFILE_BYTES_MAX,
    )


def erase_profile(user_id: str) -> Op[Counter[str]]:
    """Remove a user's profile with all its versions, for an erasure that records it; return rows by table.

    Unlike ``delete`` it leaves no bare rows behind: their key is the user's name.
    """
    yield from fetch_one(sql.lock_profile, bool, user_id=user_id)
    versions = yield from fetch_all(sql.erase_profile_versions, bool, user_id=user_id)
    profile = yield from fetch_one(sql.erase_profile, bool, user_id=user_id)
    return Counter(profiles=int(profile is not None), profile_versions=len(versions))


def has_profile(user_id: str) -> Op[bool]:
    """Return whether there is a row of a user's profile, emptied or not."""
    found = yield from fetch_one(sql.get_profile_state, bool, user_id=user_id)
    return found is not None
