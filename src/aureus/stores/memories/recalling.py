"""Finding memories by their words: what a filter says is part of the search, not applied to its result.

The text index gives candidates, best first. What it knows of a filter (agent, user, session, namespace, type, tags,
subject, run, task) it has applied already; the memories themselves are then read under the whole filter, further and
further down the ranking, until there are as many as were asked for or none are left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Literal, Unpack

from aureus._database.operation import Operations, read, write
from aureus._database.statement import (
    Op,
    Queries,
    Row,
    current_time,
    fetch_all,
    fetch_likely_last,
    lengthy,
)
from aureus.codec import check_text, encode_made
from aureus.errors import Invalid
from aureus.model.memories import Memory, MemoryCriteria, MemoryFilter
from aureus.model.recall import MemoryHit, Recall, SessionHit, by_session
from aureus.retrieval.embedding import Embedder
from aureus.retrieval.questions import Question, all_words, any_word, web
from aureus.retrieval.searching import Candidate, Search, search
from aureus.retrieval.upkeep import UpkeepStep, step
from aureus.stores.memories.criteria import may_see, parameters_of
from aureus.stores.memories.indexing import SPACE, condition_of, is_labelled, language_of
from aureus.stores.memories.meaning import (
    FUSED_DEPTH_MIN,
    Meaning,
    Mode,
    find_by_meaning,
    fused_hits,
    fused_sessions,
    meaning_of,
    near_hits,
    near_sessions,
)
from aureus.stores.memories.reading import few_ids
from aureus.stores.memories.rows import COLUMN_COUNT, memory_of

sql = Queries("memories")

HITS_MAX = 1000
"""Hits of one answer."""

QUESTION_CHARACTERS_MAX = 10_000
"""Characters of a question; a longer one is a text to be stored."""

NEIGHBOURS_MAX = 10
"""Memories on either side of a hit."""

SESSION_HITS = 20
"""Hits that are looked at for each session that is asked for."""

ROUNDS_MAX = 24
"""Rounds of candidates, each of four times as many as the one before up to ``CANDIDATES_MAX``."""

CANDIDATES_MAX = 8192


class MemoryRecall(Operations):
    """Operations that find memories by what they say."""

    embedder: Embedder | None

    @read
    def recall(
        self,
        text: str,
        filter: MemoryFilter | None = None,  # noqa: A002 - the word that callers look for
        *,
        mode: Mode | None = None,
        limit: int = 10,
        neighbours: int = 0,
        group_by: Literal["session"] | None = None,
        language: str = "english",
        after: tuple[float, str] | None = None,
        **criteria: Unpack[MemoryCriteria],
    ) -> Op[Recall]:
        """Return the memories that answer a text in natural language best: any of its words, ranked by BM25.

        A client with an embedder searches vectors too, and ranks what both find by reciprocal rank fusion of the best
        100, or twice ``limit``, of each; ``mode`` narrows that to ``words`` or ``vectors``.
        Words are compared by their stems; ``language`` is that of the text. ``neighbours`` memories of the same session
        come with each hit from either side. ``group_by="session"`` returns ``limit`` sessions with their hits.
        ``after`` is the ``cursor`` of the last hit of the page before. At most 1,000 hits. Raises ``Invalid``.
        """
        if group_by not in {None, "session"}:
            raise Invalid(f'group_by is {group_by!r}; it is "session" or None', what="group_by")
        question = any_word(_checked(text), language)
        finder = _Finder(question, MemoryFilter.of(filter, criteria))
        finder.meaning = yield from meaning_of(text, self.embedder, mode)
        return (
            yield from finder.answer(
                limit=limit, neighbours=neighbours, groups=group_by is not None, after=after
            )
        )

    @read
    def search(
        self,
        text: str,
        filter: MemoryFilter | None = None,  # noqa: A002 - as in recall
        *,
        match: Literal["all", "web"] = "all",
        limit: int = 10,
        neighbours: int = 0,
        language: str = "english",
        after: tuple[float, str] | None = None,
        **criteria: Unpack[MemoryCriteria],
    ) -> Op[Recall]:
        """Return the memories that contain all words of a text, ranked by BM25.

        With ``match="web"`` quotes make a phrase, ``-`` excludes what follows it, ``OR`` stands between alternatives.
        Any text is a valid search. The rest is as with ``recall``.
        """
        forms = {"all": all_words, "web": web}
        if match not in forms:
            raise Invalid(f'match is {match!r}; it is "all" or "web"', match=match)
        question = forms[match](_checked(text), language)
        finder = _Finder(question, MemoryFilter.of(filter, criteria))
        return (
            yield from finder.answer(limit=limit, neighbours=neighbours, groups=False, after=after)
        )

    @write
    def index_step(
        self, *, pending_min: int = 1, batch_max: int | None = None, drops_dead: bool = False
    ) -> Op[UpkeepStep]:
        """Do one short step of the upkeep of the index, if any is due; ``index`` repeats it. Atomic.

        Searches find what is written with or without it; it makes them quicker. Several processes may do it at once.
        Fewer than ``pending_min`` memories are left for later. A step takes 256, and 1,024 while as many wait; with
        ``batch_max`` it is a short one, of at most so many memories and some 10 ms of work. SQLite's other writers wait
        until it ends. ``drops_dead`` removes what the index still holds of memories that were changed or are gone,
        although no search shows it.
        """
        return (
            yield from step(
                SPACE,
                pending_min=max(1, pending_min),
                batch_max=batch_max,
                drops_dead=drops_dead,
            )
        )


class _Finder:
    """One search for memories."""

    def __init__(self, question: Question, wanted: MemoryFilter) -> None:
        self._question = question
        self._wanted = wanted
        self._parameters = parameters_of(wanted)
        self.meaning = Meaning(None, takes_words=True)
        self._may_end = False
        """Whether the first memories that are looked up are likely to be all that is asked for."""
        self._arms: tuple[Sequence[MemoryHit], Sequence[MemoryHit]] | None = None
        """What words found and what vectors found, where both were asked."""

    def answer(
        self, *, limit: int, neighbours: int, groups: bool, after: tuple[float, str] | None
    ) -> Op[Recall]:
        """Return the hits behind a place, best first."""
        limit = max(1, min(limit, HITS_MAX))
        wanted = min(limit * SESSION_HITS, HITS_MAX) if groups else limit
        self._may_end = self._is_simple() and not neighbours
        yield from lengthy()
        now = yield from current_time()
        found = yield from self._found(wanted, after, now)
        hits = list(found.hits)
        if neighbours:
            count = min(neighbours, NEIGHBOURS_MAX)
            hits = yield from _with_neighbours(hits, count, now, self._wanted)
        sessions = self._sessions(hits, limit) if groups else ()
        return replace(
            found,
            hits=tuple(hit for one in sessions for hit in one.hits) if groups else tuple(hits),
            sessions=sessions,
        )

    def _is_simple(self) -> bool:
        """Return whether nearly everything that the index finds is an answer, and words alone are asked for."""
        return (
            self.meaning.vector is None
            and not self._question.needs_text
            and is_labelled(self._wanted)
        )

    def _found(self, wanted: int, after: tuple[float, str] | None, now: datetime) -> Op[Recall]:
        """Return the hits of the arms that were asked for, without what stands around them."""
        vector, note = self.meaning.vector, self.meaning.note
        if vector is None:
            found = yield from self._by_words(wanted, after, now)
            return replace(found, notes=(note,)) if note else found
        depth = HITS_MAX if after else min(HITS_MAX, max(FUSED_DEPTH_MIN, 2 * wanted))
        near, is_exact = yield from find_by_meaning(vector, self._wanted, now, limit=depth)
        words = Recall((), is_exact=True)
        hits = near_hits(near)
        if self.meaning.takes_words:
            words = yield from self._by_words(depth, None, now)
            self._arms = (words.hits, hits)
            hits, note = yield from fused_hits(vector, words.hits, near)
        return Recall(
            hits=tuple(_hits_behind(hits, after)[:wanted]),
            is_exact=is_exact and words.is_exact,
            missed_score_max=words.missed_score_max,
            notes=(note,) if note else (),
        )

    def _sessions(self, hits: Sequence[MemoryHit], limit: int) -> tuple[SessionHit, ...]:
        if self._arms is not None:
            return fused_sessions(*self._arms, hits, limit)
        if self.meaning.vector is not None:
            return near_sessions(hits, limit)
        return by_session(hits, limit)

    def _by_words(self, wanted: int, after: tuple[float, str] | None, now: datetime) -> Op[Recall]:
        begun = yield from search(
            SPACE,
            self._question.terms,
            condition_of(self._wanted, self._question.groups(), self._question.excluded()),
            target_ids=(yield from self._few_targets()),
        )
        hits, is_complete = yield from self._collect(begun, wanted, after, now)
        lowest = hits[-1].score if len(hits) == wanted else 0.0
        return Recall(
            hits=tuple(hits),
            is_exact=is_complete and begun.is_complete and begun.missed_score_max <= lowest,
            missed_score_max=begun.missed_score_max,
        )

    def _few_targets(self) -> Op[list[str] | None]:
        """Return the only memories that can pass, where a criterion that is no label leaves few."""
        if self._wanted.source_event_id is None:
            return None
        return (yield from few_ids(self._wanted))

    def _collect(
        self, begun: Search, wanted: int, after: tuple[float, str] | None, now: datetime
    ) -> Op[tuple[list[MemoryHit], bool]]:
        """Return hits, and whether the ranking was followed as far as need be."""
        hits: list[MemoryHit] = []
        for rounds in range(ROUNDS_MAX):
            size = min(wanted + 2 << 2 * rounds, CANDIDATES_MAX)
            candidates = yield from begun.next(size)
            if not candidates:
                return hits, True
            if after is not None:
                candidates, after = _behind(candidates, after)
            hits += yield from self._admitted(candidates, now)
            if len(hits) >= wanted:
                return hits[:wanted], True
        return hits, False

    def _admitted(self, candidates: Sequence[Candidate], now: datetime) -> Op[list[MemoryHit]]:
        """Return the candidates that are live, pass the filter and answer the question."""
        fetch = fetch_likely_last if self._may_end else fetch_all
        memories = yield from fetch(
            sql.list_found_memories,
            memory_of,
            memory_ids=[candidate.target_id for candidate in candidates],
            now=now,
            **self._parameters,
        )
        self._may_end = False
        found = {memory.memory_id: memory for memory in memories if self._is_answer(memory)}
        return [
            MemoryHit(found[candidate.target_id], candidate.score)
            for candidate in candidates
            if candidate.target_id in found
        ]

    def _is_answer(self, memory: Memory) -> bool:
        question = self._question
        return not question.needs_text or question.is_answered_by(
            memory.text, language_of(memory.language)
        )


def _behind(
    candidates: Sequence[Candidate], after: tuple[float, str]
) -> tuple[list[Candidate], tuple[float, str] | None]:
    """Return the candidates behind a place, and the place if it may be still to come."""
    score, memory_id = after
    for index, candidate in enumerate(candidates):
        if candidate.target_id == memory_id:
            return list(candidates[index + 1 :]), None
        if candidate.score < score:
            return list(candidates[index:]), None
    return [], after


def _hits_behind(hits: Sequence[MemoryHit], after: tuple[float, str] | None) -> Sequence[MemoryHit]:
    """Return the hits behind a place in a ranking that is there as a whole."""
    if after is None:
        return hits
    for index, hit in enumerate(hits):
        if hit.memory.memory_id == after[1]:
            return hits[index + 1 :]
    return [hit for hit in hits if hit.score < after[0]]


def _with_neighbours(
    hits: Sequence[MemoryHit], count: int, now: datetime, wanted: MemoryFilter
) -> Op[list[MemoryHit]]:
    """Return hits with the memories around them in their sessions, as far as the filter lets their owner see them."""
    in_sessions = [hit.memory for hit in hits if hit.memory.session_id is not None]
    if not in_sessions:
        return list(hits)
    rows: list[Row] = yield from fetch_all(
        sql.list_neighbours,
        tuple,
        hits=encode_made(
            [
                [one.memory_id, one.agent_id, one.user_id or "", one.session_id, one.memory_no]
                for one in in_sessions
            ]
        ),
        count=count,
        now=now,
    )
    before: dict[str, list[Memory]] = {}
    after: dict[str, list[Memory]] = {}
    for row in rows:
        memory = memory_of(row)
        if not may_see(wanted, memory):
            continue
        hit_id, hit_no = row[COLUMN_COUNT], row[COLUMN_COUNT + 1]
        side = before if memory.memory_no < hit_no else after
        side.setdefault(hit_id, []).append(memory)
    return [
        replace(
            hit,
            before=tuple(sorted(before.get(hit.memory.memory_id, ()), key=_number)),
            after=tuple(sorted(after.get(hit.memory.memory_id, ()), key=_number)),
        )
        for hit in hits
    ]


def _number(memory: Memory) -> int:
    return memory.memory_no


def _checked(text: str) -> str:
    check_text(text, "text", characters_max=QUESTION_CHARACTERS_MAX)
    return text
