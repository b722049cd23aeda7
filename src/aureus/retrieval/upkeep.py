"""Upkeep of a text index: what is pending becomes segments, small segments become large ones, dead ones go.

Each step is one short transaction under the lock of the index, so that several processes may do upkeep at once, and one
that is killed leaves a state from which the next step goes on: a merge is invisible until the commit that lets it take
the place of its sources.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from aureus._database.statement import Op, Queries, Row, accompany, fetch_all, fetch_one, lengthy
from aureus.codec import decode, encode_made
from aureus.retrieval.analysis import Terms
from aureus.retrieval.segments import (
    Segment,
    due_for_emptying,
    due_for_merge,
    segment_of,
)

if TYPE_CHECKING:
    from aureus.retrieval import postings

sql = Queries("text_index")

BATCH_MAX = 256
"""Documents of one step beside callers; long ones are fewer, see ``SHORT``."""

BULK_MAX = 1024
"""Documents of one step while as many are pending and nobody asked for short ones: after a bulk load it is worth a
longer wait, 0.1 s on SQLite, for a third less computing."""

SEGMENTS_MAX = 64
"""Living segments from which on merges go before new documents."""


@dataclass(frozen=True, slots=True)
class Stride:
    """How much one step does at most, and so how long SQLite's other writers wait for it; one of each in any case."""

    documents: int
    words: int
    """Words of the documents that are taken."""
    rows: int
    """Rows of postings that are merged or deleted."""
    postings: int
    """Postings in those rows: a common word has one row, and as many postings as there are documents."""


SHORT = Stride(documents=BATCH_MAX, words=6144, rows=2048, postings=65_536)
"""About 10 ms of processor time on SQLite, 20 ms at most."""

LONG = Stride(documents=BULK_MAX, words=131_072, rows=4096, postings=1_048_576)
"""For whoever wants to be done, and has nobody waiting."""


@dataclass(frozen=True, slots=True)
class UpkeepStep:
    """What a step did."""

    is_done: bool
    """Whether nothing was due any more."""
    indexed_count: int = 0
    """Pending states that it took into the index."""


def put(space: str, documents: Iterable[tuple[str, Terms | None]]) -> Op[None]:
    """Let these be the newest states of their targets: found by these terms from the commit on, or not at all."""
    yield from fetch_all(
        sql.put_documents, bool, space=space, documents=encode_documents(documents)
    )


def queue(space: str, documents: Iterable[tuple[str, Terms | None]]) -> Op[None]:
    """As ``put``, with the next statement: carried out in the same flush, if and only if that one brings rows."""
    yield from accompany(sql.queue_documents, space=space, documents=encode_documents(documents))


def lock(space: str) -> Op[None]:
    """Keep others from the upkeep of an index until the end of the transaction."""
    yield from fetch_one(sql.open_text_index, bool, space=space)


def remove(space: str, target_ids: Sequence[str]) -> Op[int]:
    """Take targets out of an index that is locked, and return how many documents it had of them.

    Nothing finds them from then on, and their terms are gone but for the postings: those go when ``step`` is told to
    drop the dead.
    """
    if not target_ids:
        return 0
    pending: list[str] = yield from fetch_all(
        sql.drop_pending, lambda row: str(row[0]), space=space, target_ids=target_ids
    )
    dropped = yield from _drop(space, target_ids)
    return len(pending) + dropped


def encode_documents(documents: Iterable[tuple[str, Terms | None]]) -> str:
    """Return the parameter of ``put_documents``."""
    return encode_made(
        [
            [target_id, 0, None] if terms is None else [target_id, terms.length, terms.encoded()]
            for target_id, terms in documents
        ]
    )


def step(
    space: str,
    *,
    pending_min: int = 1,
    batch_max: int | None = None,
    drops_dead: bool = False,
) -> Op[UpkeepStep]:
    """Do one step of what is due, in a transaction of milliseconds; leave fewer than ``pending_min`` states pending.

    With ``batch_max`` a step is short, and takes so many documents at most; otherwise it is long while much is pending.
    With ``drops_dead`` every segment is due that holds postings of dead documents, so that in the end nothing is left
    of them.
    """
    yield from lengthy()
    numbers = yield from fetch_one(sql.open_text_index, tuple[int, int], space=space)
    document_no, segment_no = numbers or (0, 0)
    segments = yield from fetch_all(sql.list_segments, segment_of, space=space)
    living = [segment for segment in segments if segment.status == "live"]
    stride = LONG if batch_max is None else replace(SHORT, documents=batch_max)
    upkeep = _Upkeep(space, document_no, segment_no, segments, stride)
    if len(living) < SEGMENTS_MAX:
        limit = max(pending_min, stride.documents)
        count = len((yield from fetch_all(sql.count_pending, bool, space=space, limit=limit)))
        if count >= pending_min:
            size = stride.documents if count >= stride.documents else BATCH_MAX
            return UpkeepStep(is_done=False, indexed_count=(yield from upkeep.take(size)))
    for segment in segments:
        if segment.status == "building":
            yield from upkeep.continue_merge(segment)
            return UpkeepStep(is_done=False)
        if segment.status == "retired":
            yield from upkeep.prune(segment)
            return UpkeepStep(is_done=False)
    if sources := due_for_merge(living):
        yield from upkeep.start_merge(sources)
        return UpkeepStep(is_done=False)
    if drops_dead and (holding := [segment for segment in living if segment.dead_count > 0]):
        yield from upkeep.start_merge(holding[:1])
        return UpkeepStep(is_done=False)
    if (sparse := due_for_emptying(living)) is not None:
        yield from upkeep.empty(sparse, batch_max or BATCH_MAX)
        return UpkeepStep(is_done=False)
    return UpkeepStep(is_done=True)


class _Upkeep:
    """One step on one index, which is locked."""

    def __init__(
        self,
        space: str,
        document_no: int,
        segment_no: int,
        segments: Sequence[Segment],
        stride: Stride,
    ) -> None:
        self._space = space
        self._document_no = document_no
        self._segment_no = segment_no
        self._segments = segments
        self._stride = stride

    def take(self, limit: int) -> Op[int]:
        """Take pending states into the index; return how many."""
        rows: list[Row] = yield from fetch_all(
            sql.take_pending,
            tuple,
            space=self._space,
            limit=limit,
            words_max=self._stride.words,
        )
        yield from _drop(self._space, [row[0] for row in rows])
        yield from self._add(sorted(row for row in rows if row[2] is not None))
        return len(rows)

    def empty(self, segment: Segment, limit: int) -> Op[None]:
        """Give some documents of a segment new numbers; without any left, take it out of use."""
        rows: list[Row] = yield from fetch_all(
            sql.list_living_documents,
            tuple,
            space=self._space,
            first_no=segment.first_no,
            last_no=segment.end_no - 1,
            limit=limit,
            words_max=self._stride.words,
        )
        if not rows:
            yield from fetch_one(
                sql.retire_segment, bool, space=self._space, segment_no=segment.segment_no
            )
            return
        yield from _drop(self._space, [row[0] for row in rows])
        yield from self._add(rows)

    def start_merge(self, sources: Sequence[Segment]) -> Op[None]:
        """Begin to merge segments, or to write one anew without its dead documents."""
        first_no = sources[0].first_no
        yield from fetch_one(
            sql.start_merge,
            bool,
            space=self._space,
            segment_no=self._segment_no,
            first_no=first_no,
            span=sources[-1].end_no - first_no,
            sources=encode_made([source.segment_no for source in sources]),
        )
        yield from fetch_one(
            sql.number_segments, bool, space=self._space, next_segment_no=self._segment_no + 1
        )

    def continue_merge(self, building: Segment) -> Op[None]:
        """Write some terms of a merge; behind the last one, let it take the place of its sources."""
        from aureus.retrieval import postings  # numpy is loaded by those who use the index

        sources = [one for one in self._segments if one.segment_no in building.sources]
        numbers = [source.segment_no for source in sources]
        after = {"space": self._space, "segment_nos": numbers, "built_to": building.built_to}
        reach: Row | None = yield from fetch_one(
            sql.get_merge_bound,
            tuple,
            **after,
            row_count=max(1, self._stride.rows // len(sources)),
            postings_max=self._stride.postings,
        )
        bound, is_last = reach or (None, True)
        if bound is not None:
            rows: list[Row] = yield from fetch_all(sql.list_merge_rows, tuple, **after, bound=bound)
            shifts = {source.segment_no: source.first_no - building.first_no for source in sources}
            is_alive = yield from self._living(building, sources)
            merged = postings.merge(
                [
                    (term, bytes(packed), shifts[number])
                    for term, number, packed in sorted(
                        rows, key=lambda row: (row[0], shifts[row[1]])
                    )
                ],
                is_alive,
            )
            yield from fetch_one(
                sql.add_merged_rows,
                bool,
                space=self._space,
                segment_no=building.segment_no,
                built_to=building.built_to,
                bound=bound,
                **_row_parameters(merged),
            )
        if bound is None or is_last:
            yield from fetch_all(
                sql.finish_merge,
                bool,
                space=self._space,
                segment_no=building.segment_no,
                segment_nos=numbers,
                document_count=building.dead_count + sum(source.living_count for source in sources),
                length_total=building.dead_length_total
                + sum(source.length_total - source.dead_length_total for source in sources),
            )

    def prune(self, segment: Segment) -> Op[None]:
        """Delete some postings of a retired segment, and behind the last of them the segment."""
        where = {"space": self._space, "segment_no": segment.segment_no}
        yield from fetch_all(
            sql.prune_postings,
            bool,
            **where,
            limit=self._stride.rows,
            postings_max=self._stride.postings,
        )
        yield from fetch_one(sql.forget_segment, bool, **where)

    def _living(self, building: Segment, sources: Sequence[Segment]) -> Op[postings.Flags]:
        """Return for each number of a merged segment whether it has a document."""
        from aureus.retrieval import postings  # as above

        if not any(source.dead_count for source in sources):
            return postings.flags(building.span, None, building.first_no)
        numbers: str | None = yield from fetch_one(
            sql.list_living_numbers,
            lambda row: row[0],
            space=self._space,
            first_no=building.first_no,
            last_no=building.end_no - 1,
        )
        return postings.flags(building.span, numbers or "", building.first_no)

    def _add(self, rows: Sequence[Row]) -> Op[None]:
        """Give documents the next numbers and write their segment; rows are target, length and terms."""
        from aureus.retrieval import postings  # as above

        if not rows:
            return
        built = postings.build(
            (offset, length, decode(terms)) for offset, (_, length, terms) in enumerate(rows)
        )
        yield from fetch_one(
            sql.add_segment,
            bool,
            space=self._space,
            first_no=self._document_no,
            span=len(rows),
            segment_no=self._segment_no,
            length_total=sum(length for _, length, _ in rows),
            documents=encode_made([list(row) for row in rows]),
            **_row_parameters(built),
        )


def _drop(space: str, target_ids: Sequence[str]) -> Op[int]:
    """Delete the documents of targets, and count them to their segments as dead; return how many there were."""
    if not target_ids:
        return 0
    dropped = yield from fetch_all(
        sql.drop_documents, list[int], space=space, target_ids=target_ids
    )
    if dropped:
        yield from fetch_all(sql.count_dead, bool, space=space, documents=encode_made(dropped))
    return len(dropped)


def _row_parameters(rows: postings.PostingRows) -> dict[str, object]:
    listed: list[list[object]] = []
    start = 0
    for term, count in zip(rows.terms, rows.counts, strict=True):
        listed.append([term, count, start])
        start += count
    return {"rows": encode_made(listed), "peaks": rows.peaks, "postings": rows.postings}
