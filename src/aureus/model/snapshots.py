"""Snapshots: what an agent was at one moment, under one Merkle root, and what it takes to go back there.

A snapshot has parts: each key of the world state and each session with its content, and for each memory a pointer (its
version and the fingerprint of what it says; the text itself stays where it is). Its root covers a leaf for the header
and one for each part, in their order; lone nodes are carried up (`aureus.model.merkle`)::

    leaf = SHA-256(0x00 ‖ 0x01 ‖ text(kind) ‖ text(place) ‖ text(name) ‖ i64(version) ‖ hash)

The hash of a part is a commitment (`aureus.model.leaf`) to its content, or to the fingerprint of the memory, under a
salt of its own, which lies beside the part: so once an erasure has taken content and salt away, the hash tells nothing,
and the root holds all the same. Parts that were taken before there were salts have a plain SHA-256 instead. text(x) is
u32(length) ‖ UTF-8, integers are big-endian. The header is a leaf of the kind ``snapshot`` whose hash is the SHA-256 of
`Snapshot.stated` as canonical JSON. Pure: nothing here reads or stores.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from hashlib import sha256
from itertools import count
from typing import Any
from urllib.parse import quote

from aureus.model.events import EventType
from aureus.model.leaf import commitment
from aureus.model.merkle import Tree
from aureus.model.plain import plain_record
from aureus.model.workflows import RiskTier

KEYS_MAX = 10_000
"""Keys of the world state in one snapshot."""

SESSIONS_MAX = 1000
"""Sessions in one snapshot."""

MEMORIES_MAX = 20_000
"""Memories that one snapshot points to."""

TAGS_MAX = 64
"""Tags of one snapshot."""

POINTERS_LOW_MAX = 10
"""Memories up to which going back is a low risk: the figure of the system that this comes from."""

HASH_BYTES = 32

ACTIONS: Mapping[EventType, str] = {
    EventType.STATE_SNAPSHOT: "snapshot.create",
    EventType.SNAPSHOT_DELETED: "snapshot.delete",
    EventType.ROLLBACK_INITIATED: "rollback.begin",
    EventType.ROLLBACK_POLICY_DECISION: "rollback.allow",
    EventType.ROLLBACK_COMPLETED: "rollback.complete",
    EventType.ROLLBACK_FAILED: "rollback.fail",
    EventType.ROLLBACK_APPROVAL_REQUESTED: "rollback.request-approval",
    EventType.ROLLBACK_APPROVAL_GRANTED: "rollback.approve",
    EventType.ROLLBACK_APPROVAL_DENIED: "rollback.deny",
}
"""What an audit entry calls each thing that can happen to snapshots."""

DECISIONS = frozenset(ACTIONS) - {EventType.STATE_SNAPSHOT, EventType.ROLLBACK_INITIATED}
"""What is an audit entry also where only decisions are."""


class PartKind(StrEnum):
    """What a part of a snapshot stands for."""

    WORLD_STATE = "world_state"
    SESSION = "session"
    MEMORY = "memory"


@dataclass(frozen=True, slots=True)
class SnapshotPart:
    """One thing that a snapshot holds.

    ``place`` is the scope of a key and the collection of a session, and empty for a memory. ``content`` is the
    canonical JSON of a value or a session, and None for a memory, which is only pointed to. ``hash`` is the commitment
    to the content, or to the memory's fingerprint, under ``salt``; without a salt it is the SHA-256 of the content, or
    the fingerprint itself. An erasure takes content and salt away; ``erasure_record_id`` is its record.
    """

    kind: PartKind
    place: str
    name: str
    version: int
    hash: bytes
    content: str | None = None
    salt: bytes | None = field(default=None, repr=False)
    erasure_record_id: str | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        """Return what it is a part of the state of, whatever its version."""
        return (self.kind.value, self.place, self.name)

    @property
    def label(self) -> str:
        """Return how messages name it."""
        return f"{self.kind.value} {self.path}"

    @property
    def path(self) -> str:
        """Return its name behind its place, where it has one."""
        return "/".join(filter(None, (self.place, self.name)))

    @property
    def is_erased(self) -> bool:
        """Return whether an erasure has taken away what it held."""
        return self.erasure_record_id is not None

    def leaf(self) -> bytes:
        """Return the hash of its leaf."""
        return leaf_of(self.kind.value, self.place, self.name, self.version, self.hash)

    def committed(self, salt: bytes) -> SnapshotPart:
        """Return a part that has no salt yet with a commitment under this one."""
        return replace(self, salt=salt, hash=commitment(salt, self._meaning(), None))

    def stands_for(self, fingerprint: bytes) -> bool:
        """Return whether it points to a memory with this fingerprint; of one that was erased nobody knows it."""
        if self.is_erased:
            return False
        if self.salt is None:
            return self.hash == fingerprint
        return self.hash == commitment(self.salt, fingerprint, None)

    def holds_its_content(self) -> bool:
        """Return whether its content is the one that its hash was made of."""
        if self.content is None:
            return False
        if self.salt is None:
            return self.hash == sha256(self.content.encode()).digest()
        return self.hash == commitment(self.salt, self.content.encode(), None)

    def is_same(self, other: SnapshotPart) -> bool:
        """Return whether another part, of the same name, says the same; of one that was erased nobody knows it."""
        if self.is_erased or other.is_erased:
            return self.is_erased and other.is_erased and self.version == other.version
        if self.kind is not PartKind.MEMORY:
            return self.content == other.content
        if (self.salt is None) == (other.salt is None):
            return self.hash == other.hash if self.salt is None else self.version == other.version
        plain, salted = (self, other) if self.salt is None else (other, self)
        return salted.stands_for(plain.hash)

    def _meaning(self) -> bytes:
        return self.hash if self.content is None else self.content.encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotScope:
    """What a snapshot is of: an agent with its memories and sessions, a scope of the world state, or both."""

    agent_id: str | None = None
    user_id: str | None = None
    """Only memories of this user; sessions have none. The empty text means memories of no user."""
    namespace: str | None = None
    """Only memories of this namespace."""
    world_scope: str | None = None
    collection: str = "sessions"
    session_ids: tuple[str, ...] | None = None
    """Only these sessions of the agent; None for all that are live."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A snapshot without its parts.

    ``ledger_size`` entries of the tenant's ledger, whose root is ``ledger_root``, have brought about what it holds: no
    more, no fewer. ``root`` covers everything but the last two fields, which are about its last verification.
    """

    snapshot_id: str
    scope: SnapshotScope
    run_id: str | None
    task_id: str | None
    created_at: datetime
    created_by: str
    risk_tier: RiskTier | None
    """The tier that its maker gave it; None lets `risk` be found by rule."""
    tags: tuple[str, ...]
    metadata: dict[str, Any]
    ledger_key: str
    ledger_incarnation: int
    ledger_size: int
    ledger_root: bytes
    as_of_size: int | None
    """Set where it was made of what was kept of an earlier moment: the size of the ledger then."""
    state_count: int
    """Keys and sessions."""
    memory_count: int
    state_hash: bytes
    """The root over keys and sessions alone."""
    root: bytes
    is_verified: bool
    verified_at: datetime | None
    """When it was last verified, whatever came of it."""

    @property
    def cursor(self) -> tuple[datetime, str]:
        """Return its place in a list, for the page that follows."""
        return (self.created_at, self.snapshot_id)

    @property
    def part_count(self) -> int:
        """Return how many parts it has."""
        return self.state_count + self.memory_count

    @property
    def risk(self) -> RiskTier:
        """Return how bad it may be to go back to it; see `risk_of`."""
        return risk_of(self.risk_tier, is_verified=self.is_verified, memory_count=self.memory_count)

    def stated(self) -> dict[str, Any]:
        """Return what its header says as plain JSON values: all that its root covers beside the parts."""
        shown = plain_record(self)
        return {name: value for name, value in shown.items() if name not in _NOT_STATED}

    def to_dict(self) -> dict[str, Any]:
        """Return the snapshot as plain JSON values; hashes in hexadecimal."""
        return {**plain_record(self), "risk": self.risk.value}


_NOT_STATED = frozenset({"root", "is_verified", "verified_at"})


@dataclass(frozen=True, slots=True)
class Verification:
    """What verifying a snapshot found.

    ``problem`` says what is wrong and ``part`` with what, None when nothing is. ``erased`` are keys, memories and
    sessions that were removed for good since: that is no tampering, and the ledger tells of it; ``erasure_records`` are
    the records of the erasures that took some of them.
    """

    snapshot: Snapshot
    problem: str | None = None
    part: str | None = None
    erased: tuple[str, ...] = ()
    erasure_records: tuple[str, ...] = ()

    @property
    def is_intact(self) -> bool:
        """Return whether nothing is wrong."""
        return self.problem is None

    def to_dict(self) -> dict[str, Any]:
        """Return the verification as plain JSON values."""
        return {**plain_record(self), "is_intact": self.is_intact}


@dataclass(frozen=True)
class Holdings:
    """The parts of a snapshot, states before memories, and the roots over them."""

    states: Sequence[SnapshotPart] = ()
    memories: Sequence[SnapshotPart] = ()

    @classmethod
    def of(cls, parts: Iterable[SnapshotPart]) -> Holdings:
        """Return parts in the order in which a snapshot holds them: states before memories."""
        found = list(parts)
        states = [part for part in found if part.kind is not PartKind.MEMORY]
        memories = [part for part in found if part.kind is PartKind.MEMORY]
        return cls(states, memories)

    def committed(self, seed: bytes) -> Holdings:
        """Return them with commitments, each under a salt that nobody finds without a random seed."""
        numbers = count(1)

        def salted(part: SnapshotPart) -> SnapshotPart:
            number = next(numbers).to_bytes(8, "big")
            return part.committed(hmac.digest(seed, number, sha256))

        return Holdings(
            [salted(part) for part in self.states], [salted(one) for one in self.memories]
        )

    @property
    def parts(self) -> list[SnapshotPart]:
        """Return all of them, in their order."""
        return [*self.states, *self.memories]

    @cached_property
    def by_key(self) -> Mapping[tuple[str, str, str], SnapshotPart]:
        """Return them by what they are the state of."""
        return {part.key: part for part in self.parts}

    @cached_property
    def leaves(self) -> Sequence[bytes]:
        """Return the hashes of their leaves, in their order."""
        return [part.leaf() for part in self.parts]

    def state_hash(self) -> bytes:
        """Return the root over the states."""
        return root_over(self.leaves[: len(self.states)])


def root_over(leaves: Iterable[bytes]) -> bytes:
    """Return the Merkle root over hashes of leaves."""
    tree = Tree()
    tree.extend(leaves)
    return tree.root()


def leaf_of(kind: str, place: str, name: str, version: int, content_hash: bytes) -> bytes:
    """Return the hash of a leaf."""
    described = b"".join(map(_text, (kind, place, name)))
    number = version.to_bytes(8, "big", signed=True)
    return sha256(b"\x00\x01" + described + number + content_hash).digest()


def header_leaf(snapshot_id: str, header: bytes) -> bytes:
    """Return the hash of the first leaf, of the header as canonical JSON."""
    return leaf_of("snapshot", "", snapshot_id, 0, sha256(header).digest())


def risk_of(explicit: RiskTier | None, *, is_verified: bool, memory_count: int) -> RiskTier:
    """Return the risk of going back: as given, else HIGH unverified, MEDIUM with more than 10 memories, else LOW."""
    if explicit is not None:
        return explicit
    if not is_verified:
        return RiskTier.HIGH
    return RiskTier.MEDIUM if memory_count > POINTERS_LOW_MAX else RiskTier.LOW


def stream_of(snapshot_id: str) -> str:
    """Return the stream of a snapshot's events."""
    return f"snapshots/{quote(snapshot_id, safe='')}"


def _text(text: str) -> bytes:
    encoded = text.encode()
    return len(encoded).to_bytes(4, "big") + encoded
