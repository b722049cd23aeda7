"""A database with a million memories, filled in as upkeep would leave it; a test holds the two against each other.

Writing as many one by one would take a quarter of an hour. An agent has one memory of fifty, a user one of five
thousand.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final
from uuid import uuid4

import numpy as np
import psycopg

from aureus import Aureus
from aureus.clock import SystemClock, to_micros
from aureus.retrieval.analysis import label
from aureus.retrieval.postings import PostingRows, length_code, packed
from benchmarks.made_texts import CHUNK, Chunk, Numbers, Texts
from benchmarks.place import Engine, as_superuser

FILLED: Final = 8192
"""Rows that are filled in by one transaction, which has a deadline."""
AGENTS: Final = 50
USERS: Final = 5000

_NOW = SystemClock().now()

_SEGMENT_CHUNKS: Final = 4
"""Chunks of one segment: as many as its numbers tell apart."""


def memory_id(number: int) -> str:
    """Return the id of the memory that a text becomes."""
    return f"m{number:09d}"


def fill(client: Aureus, engine: Engine, url: str, texts: Texts, chunks: Sequence[Chunk]) -> None:
    """Fill an empty database; on PostgreSQL by its superuser, whom no policy keeps from a tenant's rows."""
    filler = _PostgresFiller(url) if engine == "PostgreSQL" else _SqliteFiller(client)
    for segment_no, start in enumerate(range(0, len(chunks), _SEGMENT_CHUNKS)):
        part = chunks[start : start + _SEGMENT_CHUNKS]
        filler.fill("memories", _memory_rows(texts, part))
        filler.fill("text_index_documents", _document_rows(texts, part))
        filler.fill("text_index_postings", _posting_rows(segment_no, segment_rows(texts, part)))
        filler.fill("text_index_segments", [_segment_row(segment_no, part)])
    total = len(chunks) * CHUNK
    filler.fill("text_indexes", [("default", "memories", total, len(chunks))])
    filler.finish()


def segment_rows(texts: Texts, chunks: Sequence[Chunk]) -> PostingRows:
    """Return the postings of a segment of some chunks, labels included."""
    parts: list[tuple[Numbers, Numbers, Numbers]] = []
    labels, label_of = _labels()
    for place, chunk in enumerate(chunks):
        terms, found, counts = chunk.occurrences
        parts.append((terms, found + place * CHUNK, counts))
        numbers = chunk.first + np.arange(CHUNK)
        parts += (
            (
                which(numbers) + len(texts.terms),
                np.arange(CHUNK) + place * CHUNK,
                np.zeros(CHUNK, dtype=np.int64),
            )
            for which in label_of
        )
    term = np.concatenate([part[0] for part in parts]).astype(np.int64)
    offset = np.concatenate([part[1] for part in parts]).astype(np.int64)
    count_of = np.concatenate([part[2] for part in parts]).astype(np.int64)
    order = np.argsort(term * (len(chunks) * CHUNK) + offset, kind="stable")
    codes = np.array([length_code(n) for n in range(256)])
    lengths = codes[np.concatenate([chunk.lengths for chunk in chunks])]
    flat = offset | lengths[offset] << 16 | np.minimum(count_of, 255) << 24
    used, counts = np.unique(term, return_counts=True)
    names = [*texts.terms, *labels]
    return packed([names[number] for number in used], counts, flat[order].astype(np.uint32))


def _labels() -> tuple[list[str], Sequence[Callable[[Numbers], Numbers]]]:
    agents = [label("agent", f"agent{number}") for number in range(AGENTS)]
    users = [label("user", f"user{number}") for number in range(USERS)]
    same = [label("namespace", ""), label("type", "episodic_note")]
    behind = len(agents) + len(users)
    return [*agents, *users, *same], (
        lambda number: number % AGENTS,
        lambda number: number % USERS + len(agents),
        lambda number: np.full(len(number), behind),
        lambda number: np.full(len(number), behind + 1),
    )


def _segment_row(segment_no: int, chunks: Sequence[Chunk]) -> tuple[Any, ...]:
    span = len(chunks) * CHUNK
    total = sum(int(chunk.lengths.sum()) for chunk in chunks)
    return (
        "default", "memories", segment_no, "live", chunks[0].first, span, span, 0, total, 0, "[]", "",
        uuid4().hex,
    )  # fmt: skip


def _posting_rows(segment_no: int, rows: PostingRows) -> Iterator[tuple[Any, ...]]:
    start = 0
    for place, (term, number) in enumerate(zip(rows.terms, rows.counts, strict=True)):
        peaks = rows.peaks[5 * place : 5 * place + 5]
        postings = rows.postings[4 * start : 4 * (start + number)]
        start += number
        yield "default", "memories", segment_no, term, number, peaks, postings


def _document_rows(texts: Texts, chunks: Sequence[Chunk]) -> Iterator[tuple[Any, ...]]:
    for chunk in chunks:
        terms, found, counts = chunk.occurrences
        order = np.argsort(found, kind="stable")
        ends = np.cumsum(np.bincount(found, minlength=CHUNK)).tolist()
        names = [texts.terms[number] for number in terms[order].tolist()]
        numbers = counts[order].tolist()
        start = 0
        for place, end in enumerate(ends):
            number = chunk.first + place
            held = dict(zip(names[start:end], numbers[start:end], strict=True))
            start = end
            held[label("agent", f"agent{number % AGENTS}")] = 0
            held[label("user", f"user{number % USERS}")] = 0
            held[label("namespace", "")] = held[label("type", "episodic_note")] = 0
            told = json.dumps(held, separators=(",", ":"))
            yield "default", "memories", number, memory_id(number), int(chunk.lengths[place]), told


def _memory_rows(texts: Texts, chunks: Sequence[Chunk]) -> Iterator[dict[str, Any]]:
    for chunk in chunks:
        for number, text in enumerate(texts.texts(chunk), chunk.first):
            yield {
                "tenant_id": "default", "memory_no": number + 2, "memory_id": memory_id(number), "version": 1,
                "namespace": "", "memory_key": "", "agent_id": f"agent{number % AGENTS}",
                "user_id": f"user{number % USERS}", "session_id": "", "type": "episodic_note", "confidence": 0.5,
                "subject": "", "text_language": "english", "run_id": "", "task_id": "", "step_id": "",
                "source_event_id": "", "is_shared": False, "tier": "hot", "occurred_at": _NOW,
                "superseded_by": "", "operation_id": memory_id(number), "created_at": _NOW, "updated_at": _NOW,
                "tags": "[]", "metadata": "{}", "sources": "[]", "text": text,
            }  # fmt: skip


class _SqliteFiller:
    """Fills tables of a SQLite file through the client's own connection."""

    def __init__(self, client: Aureus) -> None:
        self._client = client

    def fill(self, table: str, rows: Any) -> None:
        """Write rows: tuples of all columns, or their values by name."""
        if table == "memories":
            named = list(rows)
            columns = list(named[0])
            values = [[self._plain(row[name]) for name in columns] for row in named]
            text = f"INSERT INTO memories ({', '.join(columns)}) VALUES"
        else:
            values = [list(row) for row in rows]
            text = f"INSERT INTO {table} VALUES"
        places = ", ".join("?" * len(values[0]))
        for start in range(0, len(values), FILLED):
            with self._client.transaction() as tx:
                tx.connection.executemany(f"{text} ({places})", values[start : start + FILLED])

    @staticmethod
    def _plain(value: Any) -> Any:
        return to_micros(value) if value is _NOW else value

    def finish(self) -> None:
        """Nothing is left to do."""


class _PostgresFiller:
    """Fills tables of a PostgreSQL database as its superuser."""

    def __init__(self, url: str) -> None:
        self._url = as_superuser(url)

    def fill(self, table: str, rows: Any) -> None:
        """Write rows: tuples of all columns, or their values by name."""
        with psycopg.connect(self._url) as connection, connection.cursor() as cursor:
            listed = list(rows)
            columns = f"({', '.join(listed[0])})" if table == "memories" else ""
            with cursor.copy(f"COPY aureus.{table} {columns} FROM STDIN".encode()) as copy:
                for row in listed:
                    copy.write_row(list(row.values()) if table == "memories" else row)

    def finish(self) -> None:
        """Do what autovacuum does in its own time."""
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")
