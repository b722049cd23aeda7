"""The bytes in which a segment keeps where its terms occur.

A posting is four bytes, little-endian: the document's number within the segment (16 bits), the code of its length (8),
and how often the term occurs (8, at most 255; 0 for a label). The postings of one term rise by document. ``peaks`` are
five bytes that bound how strongly any of them can speak: the shortest length code among the documents with 1, 2, 3, 4
to 7, and more occurrences, 255 for none.

Lengths up to 127 words are kept exactly, longer ones within 6 %.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain

import numpy as np
import numpy.typing as npt

from aureus.retrieval import bm25

Numbers = npt.NDArray[np.uint32]
Scores = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]
Halves = npt.NDArray[np.uint16]
"""One half of each posting: the documents, or the length and the occurrences in each."""

OCCURRENCES_MAX = 255

PEAKS_BYTES = 5

_STEP = 1.0625
"""Ratio of two lengths above 127 that follow each other in the table of codes."""

_LENGTHS = (*range(128), *(int(128 * _STEP**step) for step in range(128)))

LENGTHS: npt.NDArray[np.int64] = np.array(_LENGTHS, dtype=np.int64)
"""The length that each code stands for."""

_PEAK_OCCURRENCES = (1, 2, 3, 7, OCCURRENCES_MAX)
_PEAK_ROWS = np.array(_PEAK_OCCURRENCES, dtype=np.intp) << 8
_PEAK_OF = np.array([0, 0, 1, 2, *([3] * 4), *([4] * 248)], dtype=np.uint8)


@dataclass(frozen=True, slots=True)
class PostingRows:
    """The rows of a segment, or a part of them: one for each term, in the order of the terms' bytes."""

    terms: Sequence[str]
    counts: Sequence[int]
    """Documents of each term."""
    peaks: bytes
    postings: bytes
    """The postings of all terms, one behind the other."""


def length_code(length: int) -> int:
    """Return the code of a length in words."""
    return length if length < 128 else bisect_right(_LENGTHS, length) - 1


@lru_cache(maxsize=8)
def impacts(average_length: float) -> Scores:
    """Return the impact for each pair of occurrences and length code, at ``occurrences << 8 | code``."""
    occurrences = np.arange(OCCURRENCES_MAX + 1, dtype=np.float32)[:, None]
    ratio = LENGTHS / average_length if average_length else np.ones(256)
    norm = (bm25.K1 * (1 - bm25.B + bm25.B * ratio)).astype(np.float32)
    table = (occurrences * (bm25.K1 + 1) / (occurrences + norm)).astype(np.float32).ravel()
    table.flags.writeable = False  # Searches share it.
    return table


def bounds(peaks: Sequence[bytes], table: Scores) -> list[float]:
    """Return for each of some peaks the highest impact that their term can have in their segment."""
    codes = np.frombuffer(b"".join(peaks), dtype=np.uint8).reshape(-1, PEAKS_BYTES)
    found: list[float] = table[_PEAK_ROWS | codes].max(axis=1).tolist()
    return found


def build(documents: Iterable[tuple[int, int, Mapping[str, int]]]) -> PostingRows:
    """Return the rows of documents, given as number within the segment (rising), length, and count of each term."""
    by_term: dict[str, list[int]] = {}
    for offset, length, counts in documents:
        base = offset | length_code(length) << 16
        for term, count in counts.items():
            posting = base | min(OCCURRENCES_MAX, count) << 24
            if term in by_term:
                by_term[term].append(posting)
            else:
                by_term[term] = [posting]
    terms = sorted(by_term)
    counts_of = [len(by_term[term]) for term in terms]
    flat = np.fromiter(
        chain.from_iterable(by_term[term] for term in terms), np.uint32, sum(counts_of)
    )
    return packed(terms, np.array(counts_of, dtype=np.int64), flat)


def merge(rows: Sequence[tuple[str, bytes, int]], is_alive: Flags) -> PostingRows:
    """Return the rows of several segments as those of one, without dead documents.

    Each row is term, postings and how far its segment begins behind the new one; rows come in the order of the terms'
    bytes and, for one term, of their segments. ``is_alive`` tells it for each number of the new segment.
    """
    sizes = np.array([len(postings) // 4 for _, postings, _ in rows], dtype=np.int64)
    shifts = np.repeat(np.array([shift for _, _, shift in rows], dtype=np.uint32), sizes)
    flat = np.frombuffer(b"".join(postings for _, postings, _ in rows), dtype="<u4") + shifts
    is_kept = is_alive[flat & 0xFFFF]
    terms = list(dict.fromkeys(term for term, _, _ in rows))
    place = {term: index for index, term in enumerate(terms)}
    term_of = np.repeat(np.array([place[term] for term, _, _ in rows], dtype=np.int64), sizes)
    counts = np.bincount(term_of[is_kept], minlength=len(terms))
    kept = [term for term, count in zip(terms, counts, strict=True) if count]
    return packed(kept, counts[counts > 0], flat[is_kept])


def packed(terms: Sequence[str], counts: npt.NDArray[np.int64], flat: Numbers) -> PostingRows:
    """Return the rows of terms, given the number of documents of each, and the postings of all as numbers."""
    if not terms:
        return PostingRows((), (), b"", b"")
    starts = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(counts)[:-1]])
    lengths = (flat >> 16 & 0xFF).astype(np.uint8)
    places = _PEAK_OF[flat >> 24]
    peaks = np.empty((len(terms), PEAKS_BYTES), dtype=np.uint8)
    for place in range(PEAKS_BYTES):
        here = np.where(places == place, lengths, np.uint8(255))
        peaks[:, place] = np.minimum.reduceat(here, starts)
    return PostingRows(terms, counts.tolist(), peaks.tobytes(), flat.astype("<u4").tobytes())


def flags(span: int, numbers: str | None, first_no: int) -> Flags:
    """Return a flag for each number of a segment, set for those in a text of numbers with commas; None sets all."""
    if numbers is None:
        return np.ones(span, dtype=np.bool_)
    found = np.zeros(span, dtype=np.bool_)
    if numbers:
        found[np.fromstring(numbers, dtype=np.int64, sep=",") - first_no] = True
    return found


def apart(postings: bytes) -> bytes:
    """Return postings as searches use them: all documents first, and then what is known of each."""
    return np.frombuffer(postings, dtype="<u2").reshape(-1, 2).T.tobytes()


def offsets(held: bytes) -> Halves:
    """Return the documents of a term within its segment, of postings that are apart."""
    return np.frombuffer(held, dtype="<u2", count=len(held) // 4)


def numbers_of(held: bytes, first_no: int) -> list[int]:
    """Return the numbers of a term's documents in a segment that begins with ``first_no``."""
    found: list[int] = (offsets(held).astype(np.int64) + first_no).tolist()
    return found


def codes(held: bytes) -> Halves:
    """Return where in the table of ``impacts`` each document of a term has its own, of postings that are apart."""
    return np.frombuffer(held, dtype="<u2", offset=len(held) // 2)


def looked_up(held: bytes, documents: npt.NDArray[np.intp]) -> tuple[Flags, Halves]:
    """Return in which of some documents, given in their order, a term occurs, and the ``codes`` of those."""
    found = offsets(held)
    places = found.searchsorted(documents.astype(np.uint16))
    places[places == len(found)] = 0
    is_held = found[places] == documents
    return is_held, codes(held)[places[is_held]]
