"""What a search for memories answers: hits with what stands around them, and how complete the answer is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from aureus.model.memories import Memory
from aureus.model.plain import plain_record


@dataclass(frozen=True, slots=True)
class MemoryHit:
    """A memory that was found."""

    memory: Memory
    score: float
    before: tuple[Memory, ...] = ()
    """The memories of the same session right before it, oldest first."""
    after: tuple[Memory, ...] = ()
    """Those right behind it."""
    word_rank: int | None = None
    """Its place among what was found by words, counted from 1, where vectors were searched too."""
    word_score: float | None = None
    vector_rank: int | None = None
    """Its place among what was found by vectors; None when it was found by words alone."""
    vector_score: float | None = None
    """The cosine of the angle between question and memory; None for a memory without a vector."""

    @property
    def cursor(self) -> tuple[float, str]:
        """Return its place in the answer, for the page that follows."""
        return (self.score, self.memory.memory_id)

    def to_dict(self) -> dict[str, Any]:
        """Return the hit as plain JSON values."""
        return plain_record(self)


@dataclass(frozen=True, slots=True)
class SessionHit:
    """A session in which something was found; memories without one stand each for themselves."""

    agent_id: str
    user_id: str | None
    session_id: str | None
    score: float
    hits: tuple[MemoryHit, ...]
    """The best memories of the session, best first."""

    def to_dict(self) -> dict[str, Any]:
        """Return the session as plain JSON values."""
        return plain_record(self)


@dataclass(frozen=True, slots=True)
class Recall:
    """The answer of a search: a sequence of hits, best first, that says what it may lack."""

    hits: tuple[MemoryHit, ...]
    is_exact: bool
    """Whether no other memory can belong before the last hit."""
    missed_score_max: float = 0.0
    """The highest score that a memory which was not looked at may have; 0 when all were."""
    sessions: tuple[SessionHit, ...] = ()
    """The hits by session, when they were asked for so."""
    notes: tuple[str, ...] = ()
    """What made the answer poorer than it could be, such as a model that failed."""

    def __iter__(self) -> Iterator[MemoryHit]:
        return iter(self.hits)

    def __len__(self) -> int:
        return len(self.hits)

    def __getitem__(self, place: int) -> MemoryHit:
        return self.hits[place]

    def to_dict(self) -> dict[str, Any]:
        """Return the answer as plain JSON values."""
        return plain_record(self)


SESSION_DECAY = 0.5
"""What each further hit of a session adds, as a share of the one before it."""


def by_session(
    hits: Sequence[MemoryHit], limit: int, *, decay: float = SESSION_DECAY
) -> tuple[SessionHit, ...]:
    """Return the sessions of hits, best first: the best hit counts in full, each further one half of the one before.

    So a session that speaks of the matter again and again comes before one that mentions it once, and one with many
    faint mentions does not drown one good answer. With a ``decay`` of 0 the best hit alone counts.
    """
    return tuple(sessions_of(hits, decay=decay).values())[:limit]


def sessions_of(
    hits: Sequence[MemoryHit], *, decay: float = SESSION_DECAY
) -> dict[str, SessionHit]:
    """Return the sessions of hits, best first, each by a text that no other session has."""
    groups: dict[str, list[MemoryHit]] = {}
    for hit in hits:
        groups.setdefault(_place(hit.memory), []).append(hit)
    found = {
        place: SessionHit(
            agent_id=group[0].memory.agent_id,
            user_id=group[0].memory.user_id,
            session_id=group[0].memory.session_id,
            score=sum(hit.score * decay**rank for rank, hit in enumerate(group)),
            hits=tuple(group),
        )
        for place, group in groups.items()
    }
    return dict(sorted(found.items(), key=lambda item: -item[1].score))


def _place(memory: Memory) -> str:
    """Return what tells sessions apart; no part of it holds NUL."""
    alone = () if memory.session_id is not None else (memory.memory_id,)
    return "\0".join((memory.agent_id, memory.user_id or "", memory.session_id or "", *alone))
