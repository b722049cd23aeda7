"""Erasing a person: what is asked for, how far it has come, what a record says, and what is reported. Pure.

A person is named by the text that was given as user or as subject when things were written; `aureus.erasing` carries
an erasure out in batches, each of which is one transaction and one record.
"""

from __future__ import annotations

import hmac
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from urllib.parse import quote

from aureus.model.events import AuditPoint, EventType, Fact
from aureus.model.plain import plain_record
from aureus.model.profiles import stream_of as profile_stream_of
from aureus.model.runs import stream_of as run_stream_of
from aureus.model.sessions import SessionName
from aureus.model.sessions import stream_of as session_stream_of
from aureus.model.world_state import stream_of as key_stream_of

ACTIONS = {
    EventType.PAYLOADS_ERASED: "subject.erase",
    EventType.SUBJECT_ERASED: "subject.erase",
}
"""What an audit entry calls an erasure."""

DECISIONS = frozenset(ACTIONS)
"""What is an audit entry in every mode, ``off`` included: it takes from the trail itself."""

REASON_CHARACTERS_MAX = 500
"""Characters of the reason of an erasure."""

NAMED_MAX = 1000
"""Sessions, streams, runs and keys that one erasure names, of each."""

LISTED_MAX = 100
"""Sessions and streams that a report lists; there may be more."""

NOT_SEARCHED = (
    "text inside payloads, states and results that names the person without being marked as about them",
    "keys of the world state, sessions, streams and runs that were not named",
    "hashes without a salt in snapshots of others: of parts taken before there were salts, of memories purged before",
    "names in columns of entries: stream, actor, resource, correlation and event ids are part of what is proved",
    "run logs in other directories and on other hosts, backups, replicas, archived write-ahead logs, exports",
    "rows in older copies: memories, profiles, sessions and what else is searched is never encrypted, nor are names",
)
"""What no erasure looks into; every report says so."""


@dataclass(frozen=True, slots=True)
class ErasureRequest:
    """Whom to erase, and what else to erase with them that does not say itself that it is about them."""

    subject: str
    sessions: tuple[SessionName, ...] = ()
    streams: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    keys: tuple[tuple[str, str], ...] = ()
    """Scopes and keys of the world state."""

    def own_streams(self) -> tuple[str, ...]:
        """Return the streams that are about the person as a whole, as far as names alone tell."""
        sessions = (session_stream_of(one.collection, *one[:2]) for one in self.sessions)
        runs = map(run_stream_of, self.runs)
        keys = (key_stream_of(*key) for key in self.keys)
        named = (profile_stream_of(self.subject), *self.streams, *sessions, *runs, *keys)
        return tuple(dict.fromkeys(named))

    def memory_stream_ending(self) -> str:
        """Return how the streams of memories of this user end, whatever the agent."""
        return "/" + quote(self.subject, safe="")


@dataclass(frozen=True, slots=True)
class Place:
    """How far the search for what is to be erased has come; None where a kind has been searched to its end."""

    memory_id: str | None = ""
    version: tuple[str, int] | None = ("", 0)
    hypothesis_id: str | None = ""
    snapshot_id: str | None = ""
    session: int | None = 0
    run: int | None = 0
    key: int | None = 0
    has_profile: bool | None = None
    entry_no: int | None = 0
    streams: tuple[str, ...] = ()
    stream: int = 0
    stream_version: int = 0

    @property
    def is_end(self) -> bool:
        """Return whether everything was searched."""
        return (
            self.memory_id is None
            and self.version is None
            and self.hypothesis_id is None
            and self.snapshot_id is None
            and self.session is None
            and self.run is None
            and self.key is None
            and self.entry_no is None
            and self.stream >= len(self.streams)
        )


@dataclass(frozen=True, slots=True)
class FoundEntry:
    """An entry whose payload is to be erased."""

    entry_no: int
    stream: str
    version: int


@dataclass(frozen=True, slots=True)
class Targets:
    """What one batch is to erase, and where the search goes on."""

    place: Place
    memory_ids: tuple[str, ...] = ()
    memory_versions: tuple[tuple[str, int], ...] = ()
    hypothesis_ids: tuple[str, ...] = ()
    snapshot_ids: tuple[str, ...] = ()
    sessions: tuple[SessionName, ...] = ()
    run_ids: tuple[str, ...] = ()
    keys: tuple[tuple[str, str], ...] = ()
    has_profile: bool = False
    entries: tuple[FoundEntry, ...] = ()
    named_sessions: tuple[SessionName, ...] = ()
    """Sessions that memories of the person come from; they are not erased unless they were named."""

    @property
    def is_empty(self) -> bool:
        """Return whether there is nothing to erase."""
        return not (
            self.memory_ids
            or self.memory_versions
            or self.hypothesis_ids
            or self.snapshot_ids
            or self.sessions
            or self.run_ids
            or self.keys
            or self.has_profile
            or self.entries
        )

    def counts(self) -> Counter[str]:
        """Return how many rows there are of each kind, as far as the search tells."""
        return Counter(
            memories=len(self.memory_ids),
            memory_versions=len(self.memory_versions),
            hypotheses=len(self.hypothesis_ids),
            snapshots=len(self.snapshot_ids),
            sessions=len(self.sessions),
            runs=len(self.run_ids),
            world_state=len(self.keys),
            profiles=int(self.has_profile),
        )

    def run_versions(self) -> dict[str, list[int]]:
        """Return which lines of which run logs the entries are."""
        found: dict[str, list[int]] = {}
        prefix = run_stream_of("")
        for entry in self.entries:
            if entry.stream.startswith(prefix):
                found.setdefault(entry.stream.removeprefix(prefix), []).append(entry.version)
        return found


@dataclass(frozen=True, slots=True)
class ErasureRecord:
    """What one batch of an erasure did, as its event says it."""

    record_id: str
    removed: Mapping[str, int]
    entry_nos: tuple[int, ...]
    encrypted_count: int = 0
    """How many of the payloads were encrypted."""

    @classmethod
    def from_payload(cls, record_id: str, payload: Mapping[str, Any]) -> ErasureRecord:
        """Return the record that an event of `record_fact` says."""
        return cls(
            record_id,
            payload["removed"],
            tuple(payload["entryNos"]),
            payload.get("encryptedCount", 0),
        )


def subject_mark(subject: str, erasure_id: str) -> str:
    """Return what stands in a record for the name: HMAC-SHA-256 under the erasure's id, as hexadecimal text.

    Whoever knows a name can try whether it is the one; nobody reads it off, and two erasures cannot be joined by it.
    """
    return hmac.new(erasure_id.encode(), subject.encode(), sha256).hexdigest()


def stream_of(erasure_id: str) -> str:
    """Return the stream of the records of an erasure."""
    return f"erasures/{erasure_id}"


def record_fact(
    request: ErasureRequest,
    *,
    erasure_id: str,
    record_id: str,
    reason: str,
    actor: str,
    removed: Mapping[str, int],
    entries: Sequence[tuple[int, str]],
    encrypted_count: int = 0,
    key_ids: Sequence[str] = (),
) -> Fact:
    """Return the fact that a batch states: what it removed, and the entries whose payloads it deletes.

    ``entries`` are entry numbers with the identifiers of their events, by which a verifier finds who redacted what;
    ``encrypted_count`` of them were encrypted. ``key_ids`` are the keys that the record says are destroyed.
    """
    kind = EventType.PAYLOADS_ERASED if entries else EventType.SUBJECT_ERASED
    return Fact(
        stream=stream_of(erasure_id),
        type=kind,
        payload={
            "erasureId": erasure_id,
            "subject": subject_mark(request.subject, erasure_id),
            "reason": reason,
            "removed": dict(removed),
            "entryNos": [entry_no for entry_no, _ in entries],
            "event_ids": [event_id for _, event_id in entries],
            **({"encryptedCount": encrypted_count} if encrypted_count else {}),
            **({"key_ids": list(key_ids)} if key_ids else {}),
        },
        actor=actor,
        audit=AuditPoint(
            ACTIONS[kind],
            stream_of(erasure_id),
            is_decision=kind in DECISIONS,
            is_explicit=True,
        ),
        event_id=record_id,
    )


@dataclass(frozen=True, slots=True)
class Erasure:
    """The report of an erasure: what was removed where, and what was not even looked at."""

    erasure_id: str
    subject: str
    is_dry_run: bool
    removed: Mapping[str, int]
    """Rows by table; ``event_payloads`` are the entries whose payload is gone."""
    record_ids: tuple[str, ...]
    """The events that record it, in the stream ``erasures/<erasure_id>``."""
    run_log_lines: Mapping[str, int]
    """Lines of run logs that lost their data, by run."""
    kept_streams: tuple[str, ...]
    """Streams that name the person and whose entries stay, without payloads; at most 100 are listed."""
    named_sessions: tuple[SessionName, ...]
    """Sessions that memories of the person came from and that were not erased: name them to have them erased too."""
    scrub: Scrub
    not_searched: tuple[str, ...] = NOT_SEARCHED
    destroyed_keys: tuple[str, ...] = ()
    """The keys of the person that were destroyed: what they encrypted can be read in no copy any more."""
    unreadable_count: int = 0
    """Payloads erased here that were encrypted: in older copies of the database too nobody can read them."""

    @property
    def is_empty(self) -> bool:
        """Return whether nothing was found about this person."""
        return not any(self.removed.values()) and not any(self.run_log_lines.values())

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON values."""
        found = plain_record(self)
        found["named_sessions"] = [one._asdict() for one in self.named_sessions]
        return found


@dataclass(frozen=True, slots=True)
class Scrub:
    """Whether the places on the disk were overwritten where deleted rows had been, and what else it takes."""

    is_done: bool
    to_do: tuple[str, ...] = ()
    """What the operator has to carry out; empty when nothing is left."""


@dataclass(slots=True)
class Tally:
    """What an erasure that is under way has done so far."""

    request: ErasureRequest
    erasure_id: str
    is_dry_run: bool
    removed: Counter[str] = field(default_factory=Counter[str])
    record_ids: list[str] = field(default_factory=list[str])
    run_log_lines: Counter[str] = field(default_factory=Counter[str])
    named_sessions: dict[SessionName, None] = field(default_factory=dict[SessionName, None])
    place: Place = field(default_factory=Place)
    destroyed_keys: list[str] = field(default_factory=list[str])
    encrypted_count: int = 0
    _entries: set[int] = field(default_factory=set[int])

    def found(self, targets: Targets) -> None:
        """Take up what a search has found; a dry run counts it."""
        self.place = targets.place
        for name in targets.named_sessions:
            if name not in self.request.sessions and len(self.named_sessions) < LISTED_MAX:
                self.named_sessions[name] = None
        if self.is_dry_run:
            self.removed.update(targets.counts())
            self._entries.update(entry.entry_no for entry in targets.entries)
            self.removed["event_payloads"] = len(self._entries)
            for run_id, versions in targets.run_versions().items():
                self.run_log_lines[run_id] += len(versions)

    def erased(self, record: ErasureRecord | None) -> None:
        """Take up what a batch has done; None when nothing was left of what it was to erase."""
        if record is not None:
            self.removed.update(record.removed)
            self.record_ids.append(record.record_id)
            self.encrypted_count += record.encrypted_count

    def found_keys(self, key_ids: Sequence[str]) -> None:
        """Take up which keys were found; a dry run counts them."""
        if self.is_dry_run:
            self.removed["subject_keys"] += len(key_ids)

    def destroyed(self, key_id: str) -> None:
        """Take up that a key is destroyed."""
        self.destroyed_keys.append(key_id)

    def report(self, scrub: Scrub) -> Erasure:
        """Return the report."""
        profile, ending = (
            profile_stream_of(self.request.subject),
            self.request.memory_stream_ending(),
        )
        kept = [one for one in self.place.streams if one == profile or one.endswith(ending)]
        return Erasure(
            erasure_id=self.erasure_id,
            subject=self.request.subject,
            is_dry_run=self.is_dry_run,
            removed={name: count for name, count in sorted(self.removed.items()) if count},
            record_ids=tuple(self.record_ids),
            run_log_lines=dict(self.run_log_lines),
            kept_streams=tuple(kept[:LISTED_MAX]),
            named_sessions=tuple(self.named_sessions),
            scrub=scrub,
            destroyed_keys=tuple(self.destroyed_keys),
            unreadable_count=self.encrypted_count,
        )
