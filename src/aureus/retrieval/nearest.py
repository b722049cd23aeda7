"""Which stored vectors are nearest to one: by an index where the database has one, else by reading all of them.

A search has two halves. Here vectors of one model are put in order; what they belong to is looked up by the caller,
who admits or refuses each: so filters lie below this arm, and as many come back as were asked for when there are as
many. The order is exact where all vectors are read (in chunks, so that memory stays bounded) and nearly so by an index,
which says which it was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from aureus._database.drive import STATEMENTS_MAX
from aureus._database.statement import Op, Queries, Row, fetch_all
from aureus.codec import decode, encode_made
from aureus.errors import LimitExceeded
from aureus.retrieval.embedding import Vector

if TYPE_CHECKING:
    from numpy import float32, intp
    from numpy.typing import NDArray

sql = Queries("memory_embeddings")

T = TypeVar("T")

FIRST_CANDIDATES = 64
"""Vectors looked up at first: the usual search is over after one look."""

WIDENING = 8
"""How many times more are looked up when filters left too few."""

INDEXED_CANDIDATES_MAX = 4096
"""Candidates taken from an index: a filter that leaves too few of as many is rare enough to read all vectors for."""

READ_MAX = 10_000
"""Vectors of which all are read, which takes some 50 ms; of more, those whose signs speak for them."""

SIGNED_CANDIDATES = 2048
"""Vectors that are read because of their signs. Of 20,000 texts by a small model 0.999 of the true ten were among as
many, and 0.997 among half of them."""

SIGNED_SHARE = 4
"""Of so many likely vectors one is shown at most: the nearest are among them, but not all of those behind. Where a
filter refuses more of them, all vectors are read."""

SIGNS_CHUNK = 100_000
"""Vectors whose signs are read at once: 9 MB with their ids, where they have 384 dimensions."""

SIGNS_CHUNKS_MAX = 10
"""Chunks of signs of one search."""

CHUNK_BYTES = 32 * 1024 * 1024
"""Bytes of vectors that are in memory at once: 20,000 vectors of 384 dimensions."""

CHUNKS_MAX = STATEMENTS_MAX - 28
"""Chunks of one search that reads all vectors; the rest of its statements is for signs and for looking up."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A stored vector and how near it is."""

    memory_id: str
    text_hash: bytes
    """Of the text that it was made of."""
    score: float
    """The cosine of the angle between the two: 1 for the same direction."""


@dataclass(frozen=True, slots=True)
class Nearest:
    """The best candidates, best first, with whether they are known to be the best."""

    candidates: tuple[Candidate, ...]
    is_exact: bool


Admit = Callable[[Sequence[Candidate]], Op[list[T]]]
"""Looks candidates up and returns what may be shown of them, in their order."""


def find_nearest(vector: Vector, admit: Admit[T], *, limit: int) -> Op[tuple[list[T], bool]]:
    """Return what is admitted of the nearest vectors, best first, and whether none can be better.

    As many as asked for, when as many are admitted at all.
    """
    wanted = max(FIRST_CANDIDATES, 2 * limit)
    while wanted <= INDEXED_CANDIDATES_MAX:
        found = yield from by_index(vector, limit=wanted)
        if not found.candidates:
            break
        shown = yield from admit(found.candidates)
        if len(shown) >= limit or len(found.candidates) < wanted:
            return shown[:limit], found.is_exact
        wanted *= WIDENING
    wanted = max(SIGNED_CANDIDATES, SIGNED_SHARE * limit)
    likely = yield from by_signs(vector, limit=wanted)
    if likely is not None:
        shown = yield from admitted(likely, admit, limit=limit, within=wanted // SIGNED_SHARE)
        if len(shown) >= limit:
            return shown, False
    ranked = yield from by_reading(vector)
    return (yield from admitted(ranked, admit, limit=limit)), True


def by_index(vector: Vector, *, limit: int) -> Op[Nearest]:
    """Return the nearest vectors by an index; none where there is no index, or no vector."""
    rows = yield from fetch_all(
        sql.nearest_embeddings,
        _as_it_is,
        model=vector.model,
        vector=vector.content,
        limit=limit,
    )
    found = [Candidate(row[0], bytes(row[1]), float(row[2])) for row in rows]
    found.sort(key=_place)
    return Nearest(tuple(found), is_exact=all(row[3] for row in rows))


def by_signs(vector: Vector, *, limit: int) -> Op[Ranking | None]:
    """Return the vectors that are likely the nearest, by their signs, in their true order; None where all can be read.

    The vector itself is compared with the signs of each: a bit stands for 1 or -1. What has no signs yet is likely.
    Raises ``LimitExceeded`` when there are too many to look at.
    """
    import numpy as np

    names: list[_Names] = []
    unsigned: list[str] = []
    scores: list[NDArray[float32]] = []
    count = 0
    for _ in range(SIGNS_CHUNKS_MAX):
        rows = yield from fetch_all(
            sql.scan_embedding_signs,
            _as_it_is,
            model=vector.model,
            dimensions=vector.dimensions,
            after_id=names[-1].last() if names else "",
            limit=SIGNS_CHUNK,
        )
        if not rows or not rows[0][0]:
            break
        found = _Names(bytes(rows[0][0]), first=count)
        names.append(found)
        unsigned += decode(rows[0][2]) if rows[0][2] else []
        scores.append(_compared(vector, rows[0][1]))
        count += len(found)
        if len(found) < SIGNS_CHUNK:
            break
    else:
        raise _too_many(vector, count)
    if count <= max(READ_MAX, limit) or len(unsigned) > limit:
        return None
    places = np.argpartition(-np.concatenate(scores), limit)[:limit]
    likely = {*unsigned}
    for chunk in names:
        likely.update(chunk.at(places))
    return (yield from by_memory(vector, sorted(likely)))


class _Names:
    """Many ids in one value, a zero byte between two: of a hundred thousand two thousand become text."""

    def __init__(self, joined: bytes, *, first: int) -> None:
        import numpy as np

        self._joined = joined
        self._first = first
        zeros = np.flatnonzero(np.frombuffer(joined, dtype=np.uint8) == 0)
        self._bounds: NDArray[intp] = np.concatenate(([-1], zeros, [len(joined)]))

    def __len__(self) -> int:
        return len(self._bounds) - 1

    def last(self) -> str:
        """Return the last id."""
        return self._joined[self._bounds[-2] + 1 :].decode()

    def at(self, places: NDArray[intp]) -> list[str]:
        """Return the ids of those places that lie here, counted over all chunks."""
        here = places[(places >= self._first) & (places < self._first + len(self))] - self._first
        bounds = zip(self._bounds[here].tolist(), self._bounds[here + 1].tolist(), strict=True)
        return [self._joined[before + 1 : end].decode() for before, end in bounds]


_COMPARED = 4096
"""Vectors that are compared at once: what is read and written of them stays in the processor's cache."""


def _compared(vector: Vector, signs: bytes) -> NDArray[float32]:
    """Return how well the signs of many vectors go with a vector: the sum of its numbers, each with the sign there."""
    import numpy as np

    width = len(vector.signs)
    numbers = np.zeros(8 * width, dtype=np.float32)
    numbers[: vector.dimensions] = vector.numbers()
    every_byte = np.arange(256, dtype=np.uint8)[:, None]
    each = np.unpackbits(every_byte, axis=1).astype(np.float32) * 2 - 1
    # For each byte of signs, what each of its 256 values adds.
    added = numbers.reshape(width, 8) @ each.T
    rows = np.frombuffer(signs, dtype=np.uint8).reshape(-1, width)
    total = np.zeros(len(rows), dtype=np.float32)
    for start in range(0, len(rows), _COMPARED):
        part = total[start : start + _COMPARED]
        for values, column in zip(added, rows[start : start + _COMPARED].T.copy(), strict=True):
            part += values.take(column)
    return total


def by_reading(vector: Vector) -> Op[Ranking]:
    """Return every vector of the model, nearest first. Raises ``LimitExceeded`` when there are too many to read."""
    chunk_size = max(1, CHUNK_BYTES // (4 * vector.dimensions))
    found = Ranking(vector)
    after_id = ""
    for _ in range(CHUNKS_MAX):
        rows = yield from fetch_all(
            sql.scan_embeddings,
            _as_it_is,
            model=vector.model,
            dimensions=vector.dimensions,
            after_id=after_id,
            limit=chunk_size,
        )
        found.add(rows)
        if len(rows) < chunk_size:
            return found
        after_id = rows[-1][0]
    raise _too_many(vector, len(found))


def _too_many(vector: Vector, count: int) -> LimitExceeded:
    return LimitExceeded(
        f"there are more than {count:,} vectors of {vector.model!r}, too many to compare one by one; "
        "use PostgreSQL with the extension vector, or narrow the search",
        limit=count,
    )


def by_memory(vector: Vector, memory_ids: Sequence[str]) -> Op[Ranking]:
    """Return the vectors that some memories have, nearest first; exact."""
    rows = yield from fetch_all(
        sql.get_embeddings,
        _as_it_is,
        model=vector.model,
        dimensions=vector.dimensions,
        memory_ids=encode_made(list(memory_ids)),
    )
    found = Ranking(vector)
    found.add(rows)
    return found


class Ranking:
    """Stored vectors in the order of how near they are to one; what is as near is ordered by id."""

    def __init__(self, vector: Vector) -> None:
        self._vector = vector
        self._ids: list[str] = []
        self._hashes: list[bytes] = []
        self._scores: list[NDArray[float32]] = []
        self._order: NDArray[intp] | None = None

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, rows: Sequence[Row]) -> None:
        """Add rows of id, hash and vector, which come in the order of their ids."""
        import numpy as np

        if not rows:
            return
        ids, hashes, contents = zip(*rows, strict=True)
        stored = np.frombuffer(b"".join(contents), dtype="<f4")
        self._ids += ids
        self._hashes += hashes
        # Not a product of matrices, which the library splits among threads that wait for one another in loops.
        each = np.einsum("ij,j->i", stored.reshape(len(rows), -1), self._vector.numbers())
        self._scores.append(each)
        self._order = None

    def part(self, start: int, stop: int) -> list[Candidate]:
        """Return the candidates of some places, counted from 0."""
        import numpy as np

        if not self._ids:
            return []
        scores = np.concatenate(self._scores)
        if self._order is None:
            self._order = np.argsort(-scores, kind="stable")
        places: list[int] = self._order[start:stop].tolist()
        return [
            Candidate(self._ids[place], bytes(self._hashes[place]), float(scores[place]))
            for place in places
        ]


def admitted(
    ranking: Ranking, admit: Admit[T], *, limit: int, within: int | None = None
) -> Op[list[T]]:
    """Return what is admitted of a ranking, or of its first places, looking up more only while there are too few."""
    found: list[T] = []
    end = len(ranking) if within is None else min(within, len(ranking))
    start, size = 0, max(FIRST_CANDIDATES, 2 * limit)
    while start < end and len(found) < limit:
        found += yield from admit(ranking.part(start, min(start + size, end)))
        start, size = start + size, size * WIDENING
    return found[:limit]


def _as_it_is(row: Row) -> Row:
    return row


def _place(candidate: Candidate) -> tuple[float, str]:
    """Return what orders candidates: nearest first, and then by id, so that the order is total."""
    return (-candidate.score, candidate.memory_id)
