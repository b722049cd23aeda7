"""The lane: which waiting operations may travel together in the next flush.

Pure bookkeeping for group commit, the same for threads and event loops, SQLite and PostgreSQL. There is no timer: an
operation that finds the lane idle goes at once, and what arrives meanwhile travels together in the next flush. Within
one flush no key appears twice, and keys keep their order of arrival; a parked key waits for the operation that runs
alone. The lane itself is not thread-safe: its owner holds a lock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from aureus.errors import DatabaseBusy

M = TypeVar("M", bound="Member")

MEMBERS_MAX = 256
"""Operations of one flush."""

FLUSH_BYTES_MAX = 1024 * 1024
"""Bytes of parameters of one flush; one larger operation travels by itself."""

WAITING_MAX = 10_000
"""Operations that may wait; beyond, callers are told that the database is busy."""

Key = tuple[Hashable, ...]


@dataclass(slots=True, eq=False)
class Member:
    """An operation that waits for a flush."""

    tenant_id: str
    rank: int
    """Place of its statement in the catalogue: with tenant and key, the one order in which rows are locked."""
    key: Key | None
    """What it must not share with another member; None when it touches nothing that others do."""
    size_bytes: int
    locks: Key | None = field(default=None, kw_only=True)
    """Rows that it locks although others of the same flush may lock them too; None when its key says it all."""

    @property
    def order(self) -> tuple[str, int, str]:
        """Return its place in the global lock order."""
        return (self.tenant_id, self.rank, repr(self.locks or self.key))

    def travels_alone(self) -> bool:
        """Return whether a flush holds this member and no other; what arrived later waits behind it."""
        return False


@dataclass(slots=True)
class Lane(Generic[M]):
    """A queue of members, a mark whether a flush is under way, and the keys that are parked."""

    is_busy: bool = False
    _waiting: deque[M] = field(default_factory=deque[M])
    _parked: dict[Key, int] = field(default_factory=dict[Key, int])

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, member: object) -> bool:
        return member in self._waiting

    def enter(self, member: M) -> bool:
        """Queue a member; return True when the lane was idle, so that the caller now leads it."""
        if len(self._waiting) >= WAITING_MAX:
            raise DatabaseBusy(
                f"{WAITING_MAX:,} writes are waiting already; send fewer at once, or repeat the call later",
                waiting=len(self._waiting),
            )
        self._waiting.append(member)
        if self.is_busy:
            return False
        self.is_busy = True
        return True

    def withdraw(self, member: M) -> bool:
        """Take a waiting member back; False when it is in flight already."""
        try:
            self._waiting.remove(member)
        except ValueError:
            return False
        return True

    def put_back(self, members: Iterable[M]) -> None:
        """Queue members of a failed flush again, before all others, in their order."""
        self._waiting.extendleft(reversed(list(members)))

    def take(self) -> list[M]:
        """Take what may travel now, in lock order; the rest keeps its order of arrival.

        An interrupt finds the queue as it was, or without what was taken.
        """
        taken: list[M] = []
        kept: deque[M] = deque()
        closed: set[Key] = set(self._parked)
        size = 0
        waiting = iter(self._waiting)
        for member in waiting:
            is_full = len(taken) >= MEMBERS_MAX or bool(
                taken
                and (size + member.size_bytes > FLUSH_BYTES_MAX or _is_apart(taken[-1], member))
            )
            if is_full or (member.key is not None and member.key in closed):
                kept.append(member)
            else:
                taken.append(member)
                size += member.size_bytes
            if member.key is not None:
                closed.add(member.key)
            if is_full:
                break
        kept.extend(waiting)
        taken.sort(key=_order)
        self._waiting = kept
        return taken

    def successor(self) -> M | None:
        """Return the member that leads the lane next, or None and leave the lane idle."""
        for member in self._waiting:
            if member.key is None or member.key not in self._parked:
                return member
        self.is_busy = False
        return None

    def park(self, key: Key | None) -> None:
        """Hold members with this key back until it is released."""
        if key is not None:
            self._parked[key] = self._parked.get(key, 0) + 1

    def release(self, key: Key | None) -> M | None:
        """Let members with this key travel again; return the one to lead when the lane was idle."""
        if key is not None:
            count = self._parked[key] - 1
            if count:
                self._parked[key] = count
            else:
                del self._parked[key]
        if self.is_busy:
            return None
        successor = self.successor()
        self.is_busy = successor is not None
        return successor


def _is_apart(one: Member, other: Member) -> bool:
    return one.travels_alone() or other.travels_alone()


def _order(member: Member) -> tuple[str, int, str]:
    return member.order


def key_of(
    tenant_id: str, noun: str, names: tuple[str, ...], parameters: dict[str, Any]
) -> Key | None:
    """Return the key of a write: tenant, noun and the parameters its header names."""
    if not names:
        return None
    return (tenant_id, noun, *(str(parameters[name]) for name in names))


def size_of(parameters: dict[str, Any]) -> int:
    """Return roughly how many bytes the parameters of a statement take on the wire."""
    return 64 + sum(_bytes(value) for value in parameters.values())


def _bytes(value: Any) -> int:
    if isinstance(value, str | bytes):
        return len(value)
    if isinstance(value, list):
        return sum(_bytes(item) for item in value)  # pyright: ignore[reportUnknownVariableType] - parameters are lists of scalars
    return 8
