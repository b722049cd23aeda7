"""How fast are the nearest memories found, and how many of the true ten? Exactly, and by pgvector's index.

The vectors are made up: 384 dimensions around 500 centres, with as much noise as keeps neighbours apart. Those of a
real model are harder for an index; trust the times, and the recall only against each other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg

from aureus._database.opening import migrate_schema
from aureus.client import Aureus, OpenTransaction
from aureus.config import Settings
from aureus.model.memories import MemoryCriteria
from aureus.retrieval.embedding import FunctionEmbedder, text_hash
from benchmarks.measuring import Effort, Sample
from benchmarks.place import ENGINES, Engine, Place, as_superuser
from benchmarks.tables import Table, count, fine

DIMENSIONS = 384
CENTRES = 500
NOISE = 1.2
SIZES = (10_000, 100_000)
"""Memories; so many as the second only where there is time."""
SHARE = 50
"""One in so many memories passes the filter."""

_CHUNK = 5000
_OWN = ("memory_no", "memory_id", "text", "subject")
_COLUMNS_OF_VECTORS = (
    "tenant_id, model, memory_id, version, text_hash, dimensions, created_at, vector, signs"
)

_COLUMNS = (
    *("memories", "search", "of all: p50 ms", "p99 ms", "processor ms", "recall@10"),
    *(f"of 1 in {SHARE}: p50 ms", "p99 ms", "processor ms", "recall@10"),
)
_NOTE = (
    f"`memories.nearest(text, limit=10)`, {DIMENSIONS} dimensions, one caller; the model's own time is not in it. The "
    "filter is by the subject of the memories. Recall is the share of the ten that arithmetic over all "
    "vectors finds. Processor time is that of client and server, for one search of all on average."
)


@dataclass(frozen=True, slots=True)
class Library:
    """Memories whose text is a number, with the vector of that number; the last hundred are questions."""

    size: int
    vectors: Any

    @classmethod
    def of(cls, size: int) -> Library:
        """Make one."""
        rng = np.random.default_rng(size)
        total = size + 100
        centres = rng.normal(size=(CENTRES, DIMENSIONS))
        noise = rng.normal(size=(total, DIMENSIONS))
        vectors = centres[rng.integers(0, CENTRES, total)] + NOISE * noise
        return cls(size, (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype("f4"))

    def embed(self, texts: Sequence[str]) -> Any:
        """Return the vectors of texts."""
        return self.vectors[[int(text) for text in texts]]

    def open(self, settings: Settings) -> Aureus:
        """Open a client that embeds by looking up."""
        embedder = FunctionEmbedder(self.embed, name="table", dimensions=DIMENSIONS)
        return Aureus(settings=settings, embedder=embedder)

    def load(self, db: Aureus, engine: Engine) -> None:
        """Write all memories with their vectors at once, as the stores would have done one by one."""
        pattern = db.memories.add("0", agent_id="a", memory_id="pattern")
        names = [f"m{number:07d}" for number in range(self.size)]
        for start in range(0, self.size, _CHUNK):
            part = slice(start, min(start + _CHUNK, self.size))
            texts = [str(number) for number in range(part.start, part.stop)]
            with db.transaction() as tx:
                columns = _columns_of_memories(tx, engine)
                for statement, rows in self._rows(engine, columns, names[part], texts, part):
                    for row in rows:
                        tx.execute(statement, row)
        db.memories.forget(pattern.memory_id)

    def _rows(
        self,
        engine: Engine,
        columns: Sequence[str],
        names: list[str],
        texts: list[str],
        part: slice,
    ) -> Iterator[tuple[str, Iterable[tuple[Any, ...]]]]:
        """Yield statements with their parameters: all of a chunk at once, or row by row where there is no array."""
        hashes = [text_hash(text) for text in texts]
        subjects = ["chosen" if int(text) % SHARE == 0 else "" for text in texts]
        contents = [vector.tobytes() for vector in self.vectors[part]]
        signs = [bits.tobytes() for bits in np.packbits(self.vectors[part] > 0, axis=1)]
        if engine == "SQLite":
            kept = ", ".join(column for column in columns if column not in _OWN)
            yield (
                (
                    f"INSERT INTO memories (memory_id, text, subject, {kept}) "
                    f"SELECT ?, ?, ?, {kept} FROM memories WHERE tenant_id = 'default' AND memory_id = 'pattern'"
                ),
                zip(names, texts, subjects, strict=True),
            )
            yield (
                (
                    f"INSERT INTO memory_embeddings ({_COLUMNS_OF_VECTORS}) "
                    f"VALUES ('default', 'table', ?, 1, ?, {DIMENSIONS}, 0, ?, ?)"
                ),
                zip(names, hashes, contents, signs, strict=True),
            )
            return
        kept = ", ".join(f"m.{column}" for column in columns if column not in _OWN)
        yield (
            (
                f"INSERT INTO aureus.memories (memory_no, memory_id, text, subject, {kept.replace('m.', '')}) "
                f"SELECT nextval('aureus.memory_no'), g.memory_id, g.text, g.subject, {kept} "
                "FROM aureus.memories AS m "
                "CROSS JOIN unnest(%s::text[], %s::text[], %s::text[]) AS g (memory_id, text, subject) "
                "WHERE m.tenant_id = 'default' AND m.memory_id = 'pattern'"
            ),
            [(names, texts, subjects)],
        )
        yield (
            (
                f"INSERT INTO aureus.memory_embeddings ({_COLUMNS_OF_VECTORS}) "
                f"SELECT 'default', 'table', g.memory_id, 1, g.text_hash, {DIMENSIONS}, now(), g.vector, g.signs "
                "FROM unnest(%s::text[], %s::bytea[], %s::bytea[], %s::bytea[]) "
                "AS g (memory_id, text_hash, vector, signs)"
            ),
            [(names, hashes, contents, signs)],
        )

    def best(self, question: int, step: int) -> set[str]:
        """Return the ten nearest by arithmetic, among each ``step``-th."""
        scores = self.vectors[: self.size : step] @ self.vectors[question]
        return {str(place * step) for place in np.argsort(-scores)[:10]}


def measure(place: Place, effort: Effort) -> Iterator[Table]:
    """Compare what each engine offers, for ten thousand memories and, where there is time, a hundred thousand."""
    rows: list[Sequence[str]] = []
    notes: list[str] = []
    for size in SIZES if effort.repeats > 5 else SIZES[:1]:
        library = Library.of(size)
        for engine in ENGINES:
            rows += _engine(place, engine, library, effort, notes)
    yield Table("The nearest memories", _COLUMNS, rows, f"{_NOTE} {' '.join(notes)}")


def _engine(
    place: Place, engine: Engine, library: Library, effort: Effort, notes: list[str]
) -> Iterator[Sequence[str]]:
    url = place.new_url(engine)
    settings = place.settings(url)
    with closing(library.open(settings)) as db:
        library.load(db, engine)
        yield [
            count(library.size),
            f"{engine}, exact",
            *_figures(place, engine, library, db, effort),
        ]
        if engine == "SQLite":
            return
        with psycopg.connect(as_superuser(url), autocommit=True) as connection:
            connection.execute("CREATE EXTENSION vector")
        began = time.perf_counter()
        migrate_schema(place.settings(as_superuser(url)).database)  # Its user owns the tables.
        seconds = time.perf_counter() - began
        notes.append(f"The index of {count(library.size)} was made in {fine(seconds)} s.")
        yield [
            count(library.size),
            f"{engine}, pgvector",
            *_figures(place, engine, library, db, effort),
        ]


def _columns_of_memories(tx: OpenTransaction, engine: Engine) -> list[str]:
    query = (
        "SELECT name FROM pragma_table_info('memories')"
        if engine == "SQLite"
        else "SELECT column_name::text FROM information_schema.columns "
        "WHERE table_schema = 'aureus' AND table_name = 'memories'"
    )
    return [str(row[0]) for row in tx.execute(query)]


def _figures(
    place: Place, engine: Engine, library: Library, db: Aureus, effort: Effort
) -> list[str]:
    figures: list[str] = []
    for step in (1, SHARE):
        server = (lambda: 0.0) if engine == "SQLite" else place.server_cpu_seconds
        sample, recall = _ask(library, db, step, 10 * effort.seconds, server)
        figures += [fine(sample.percentile_ms(share)) for share in (0.5, 0.99)]
        figures.append(fine((sample.cpu_seconds + sample.server_cpu_seconds) / sample.count * 1000))
        figures.append(f"{recall:.3f}")
    return figures


def _ask(
    library: Library, db: Aureus, step: int, seconds: float, server: Callable[[], float]
) -> tuple[Sample, float]:
    criteria: MemoryCriteria = {} if step == 1 else {"subject": "chosen"}
    latencies: list[float] = []
    recalls: list[float] = []
    began = time.perf_counter()
    cpu = server_cpu = 0.0
    for question in range(library.size, library.size + 100):
        server_before = server()
        started, cpu_before = time.perf_counter(), time.process_time()
        found = db.memories.nearest(str(question), limit=10, **criteria)
        latencies.append(time.perf_counter() - started)
        cpu += time.process_time() - cpu_before
        # A backend that ended meanwhile takes what it had used away.
        server_cpu += max(0.0, server() - server_before)
        texts = {near.memory.text for near in found}
        recalls.append(len(texts & library.best(question, step)) / 10)
        if time.perf_counter() - began > seconds and len(latencies) >= 20:
            break
    sample = Sample([latencies], time.perf_counter() - began, cpu, server_cpu)
    return sample, sum(recalls) / len(recalls)
