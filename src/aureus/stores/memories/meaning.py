"""Finding memories by what they mean: the vector arm of a search, and one ranking out of both arms.

The arm has the filter inside: candidates are looked up under it, further and further down, until there are as many as
were asked for; where a criterion leaves few memories, only their vectors are compared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from aureus._database.statement import Op, Queries, fetch_all, outside
from aureus.errors import EmbedderFailed, Invalid
from aureus.model.memories import Memory, MemoryFilter, NearMemory
from aureus.model.recall import MemoryHit, SessionHit, by_session, sessions_of
from aureus.retrieval import nearest
from aureus.retrieval.embedding import Embedder, Vector, embed, text_hash
from aureus.retrieval.fusion import Fused, fuse
from aureus.retrieval.nearest import Candidate, find_nearest
from aureus.stores.memories.criteria import parameters_of
from aureus.stores.memories.reading import few_ids
from aureus.stores.memories.rows import memory_of

sql = Queries("memories")

Mode = Literal["words", "vectors", "both"]

FUSED_DEPTH_MIN = 100
"""Hits of each arm that are fused: what both find far down may come before what one finds at the top."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """The question as a vector, or why there is none."""

    vector: Vector | None
    takes_words: bool
    note: str | None = None


def meaning_of(text: str, embedder: Embedder | None, mode: Mode | None) -> Op[Meaning]:
    """Return what a question is searched by; without a mode by all that the client has.

    Where words are searched too, a model that fails is noted in the answer. Raises ``Invalid`` for a mode that the
    client has no embedder for, and ``EmbedderFailed`` where vectors alone were asked for.
    """
    if mode not in {None, "words", "vectors", "both"}:
        raise Invalid(f'mode is {mode!r}; it is "words", "vectors" or "both"', mode=mode)
    if mode == "words" or (mode is None and embedder is None):
        return Meaning(None, takes_words=True)
    used = required(embedder)
    found = yield from outside(lambda: _vector_or_error(used, text))
    if isinstance(found, Vector):
        return Meaning(found, takes_words=mode != "vectors")
    if mode == "vectors":
        raise found
    return Meaning(None, takes_words=True, note=f"{found.message}; found by words only")


def required(embedder: Embedder | None) -> Embedder:
    """Return the embedder of a client. Raises ``Invalid`` for a client without one."""
    if embedder is None:
        raise Invalid(
            "this client has no embedder; open it with Aureus(embedder=…) or name one in the setting memory.embedder, "
            "see docs/howto/embeddings.md"
        )
    return embedder


def find_by_meaning(
    vector: Vector, wanted: MemoryFilter, now: datetime, *, limit: int
) -> Op[tuple[list[NearMemory], bool]]:
    """Return the live memories nearest to a vector that pass a filter, and whether none can be nearer."""
    admit = _admitting(wanted, now)
    few = yield from few_ids(wanted)
    if few is not None:
        some = yield from nearest.by_memory(vector, few)
        return (yield from nearest.admitted(some, admit, limit=limit)), True
    return (yield from find_nearest(vector, admit, limit=limit))


def fused_hits(
    vector: Vector, by_words: Sequence[MemoryHit], near: Sequence[NearMemory]
) -> Op[tuple[list[MemoryHit], str | None]]:
    """Return one ranking of what both arms found, and a note when what was found by words lacks vectors."""
    memories = {hit.memory.memory_id: hit.memory for hit in by_words}
    memories |= {one.memory.memory_id: one.memory for one in near}
    ranked = fuse(
        [(hit.memory.memory_id, hit.score) for hit in by_words],
        [(one.memory.memory_id, one.score) for one in near],
        limit=len(memories),
    )
    further = [one.target_id for one in ranked if one.vector_rank is None]
    scored = yield from nearest.by_memory(vector, further)
    scores = {
        one.memory_id: one.score
        for one in scored.part(0, len(scored))
        if belongs(one, memories[one.memory_id])
    }
    lacking = len(further) - len(scores)
    note = (
        f"{lacking} of {len(by_words)} memories found by words have no vector of {vector.model!r} yet; "
        "`embed_missing` makes them"
        if lacking
        else None
    )
    return [_hit(one, memories[one.target_id], scores) for one in ranked], note


def near_sessions(hits: Sequence[MemoryHit], limit: int) -> tuple[SessionHit, ...]:
    """Return the sessions of hits found by vectors, each as near as its best hit.

    Cosines hardly fall from one hit to the next: a sum of them would put long sessions first.
    """
    return by_session(hits, limit, decay=0)


def fused_sessions(
    words: Sequence[MemoryHit],
    vectors: Sequence[MemoryHit],
    hits: Sequence[MemoryHit],
    limit: int,
) -> tuple[SessionHit, ...]:
    """Return the sessions of a fused ranking, best first: each arm ranks its own, and those ranks are fused.

    Fused scores are no more to be added up than cosines.
    """
    found = sessions_of(hits)
    ranked = fuse(
        [(place, one.score) for place, one in sessions_of(words).items()],
        [(place, one.score) for place, one in sessions_of(vectors, decay=0).items()],
        limit=len(words) + len(vectors),
    )
    return tuple(
        replace(found[one.target_id], score=one.score) for one in ranked if one.target_id in found
    )[:limit]


def near_hits(near: Sequence[NearMemory]) -> list[MemoryHit]:
    """Return what the vectors found as hits."""
    return [
        MemoryHit(one.memory, one.score, vector_rank=rank, vector_score=one.score)
        for rank, one in enumerate(near, 1)
    ]


def belongs(candidate: Candidate, memory: Memory) -> bool:
    """Return whether a stored vector was made of what the memory says now."""
    return candidate.text_hash == text_hash(memory.text)


def _admitting(
    wanted: MemoryFilter, now: datetime
) -> Callable[[Sequence[Candidate]], Op[list[NearMemory]]]:
    parameters = parameters_of(wanted)

    def admit(candidates: Sequence[Candidate]) -> Op[list[NearMemory]]:
        rows = yield from fetch_all(
            sql.list_found_memories,
            memory_of,
            memory_ids=[candidate.memory_id for candidate in candidates],
            now=now,
            **parameters,
        )
        found = {memory.memory_id: memory for memory in rows}
        return [
            NearMemory(found[candidate.memory_id], candidate.score)
            for candidate in candidates
            if candidate.memory_id in found and belongs(candidate, found[candidate.memory_id])
        ]

    return admit


def _hit(one: Fused, memory: Memory, scores: dict[str, float]) -> MemoryHit:
    return MemoryHit(
        memory,
        one.score,
        word_rank=one.word_rank,
        word_score=one.word_score,
        vector_rank=one.vector_rank,
        vector_score=scores.get(one.target_id) if one.vector_rank is None else one.vector_score,
    )


def _vector_or_error(embedder: Embedder, text: str) -> Vector | EmbedderFailed:
    try:
        return embed(embedder, [text])[0]
    except EmbedderFailed as error:
        return error
