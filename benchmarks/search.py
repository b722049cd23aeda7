"""How fast memories are found by words, and how right: both engines against BM25 computed by brute force.

100,000 memories (``made_texts``) are written by the statement of ``add_chunk`` with their documents of the text index,
but without the events, and indexed by upkeep. 1,000,000 are filled in as upkeep would leave them (``filling``).
``recall@10`` compares with all scores, computed from exact lengths.

``--database URL``, which may be given again, asks a database that is there: it is filled with 1,000,000 memories if it
is empty, and stays. On PostgreSQL the URL is that of the server's superuser, and the schema is there already. The pages
that its texts are made of are kept in it, in a memory of another tenant: they may change, and it can be asked again.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final

from aureus import Aureus
from aureus._database.operation import Operations, Store, write
from aureus._database.statement import Op, Queries, last_all
from aureus.clock import SystemClock
from aureus.config import Settings
from aureus.errors import NotFound
from aureus.model.memories import Memory, MemoryPolicy, NewMemory
from aureus.retrieval.upkeep import BULK_MAX
from aureus.stores.memories.indexing import index
from aureus.stores.memories.rows import encode_memories
from aureus.stores.memories.stating import first_version
from benchmarks.filling import AGENTS, USERS, fill, memory_id
from benchmarks.made_texts import CHUNK, BruteForce, Chunk, Texts
from benchmarks.measuring import Effort
from benchmarks.place import ENGINES, Engine, Place, as_superuser
from benchmarks.processor import Processor
from benchmarks.tables import Table, count, fine

sql = Queries("memories")

SIZES: Final = (6 * 16_384, 61 * 16_384)
"""About 100,000 and 1,000,000."""

PAGES: Final = "pages"
"""The tenant, the agent and the memory that keep the pages of a database which stays."""

WRITTEN_MAX: Final = 200_000
"""Memories up to which they are written one by one; more are filled in."""

ADDED: Final = 1024
"""Memories that are written in one transaction."""
QUESTIONS_CHECKED: Final = 100
"""Questions of each kind that are compared with brute force."""


class Loading(Operations):
    """Writes memories without events."""

    @write
    def add(self, memories: Sequence[Memory]) -> Op[int]:
        """Write memories that are not there yet."""
        yield from index(memories)
        added = yield from last_all(
            sql.add_memories, bool, memories=encode_memories(memories), agent_id="", user_id=""
        )
        return len(added)


class LoadingStore(Loading, Store):
    """Carries it out."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A database with memories in it."""

    engine: Engine
    client: Aureus
    bytes_per_memory: float
    processor: Processor
    steps: Sequence[float]
    """How long each step of upkeep took, in seconds."""


def measure(place: Place, effort: Effort, *, urls: Sequence[str] = ()) -> Iterator[Table]:
    """Load and ask; a million memories only in full effort, or where databases are named."""
    texts = Texts(_kept_pages(place, urls))
    sizes = SIZES[-1:] if urls else SIZES if effort.seconds >= 1 else SIZES[:1]
    for size in sizes:
        chunks = [texts.chunk(number) for number in range(size // CHUNK)]
        yield from _measure(place, texts, chunks, urls)


def _kept_pages(place: Place, urls: Sequence[str]) -> str | None:
    """Return the pages that one of these databases was filled by; None when all are empty."""
    for url in urls:
        with closing(Aureus(settings=place.settings(url))) as client:
            for memory in client.for_tenant(PAGES).memories.recent(agent_id=PAGES):
                return memory.text
    return None


def _measure(
    place: Place, texts: Texts, chunks: Sequence[Chunk], urls: Sequence[str]
) -> Iterator[Table]:
    size = len(chunks) * CHUNK
    questions = texts.questions()
    loaded: list[Loaded] = []
    try:
        if urls:
            loaded += (_prepared(place, url, texts, chunks) for url in urls)
        else:
            load = _write if size <= WRITTEN_MAX else _fill
            loaded += (load(place, engine, texts, chunks) for engine in ENGINES)
        yield _loading(size, loaded)
        yield _latencies(size, loaded, questions)
        yield _right(size, loaded, BruteForce(texts, chunks), questions)
    finally:
        for one in loaded:
            one.client.close()


# Written as the product writes.


def _write(place: Place, engine: Engine, texts: Texts, chunks: Sequence[Chunk]) -> Loaded:
    settings = place.new_settings(engine)
    client = Aureus(settings=settings)
    store = LoadingStore(client._database, client._call("default"))  # noqa: SLF001 - writes what no store offers
    before = _bytes(client)
    steps: list[float] = []
    for chunk in chunks:
        written = texts.texts(chunk)
        for start in range(0, CHUNK, ADDED):
            numbered = enumerate(written[start : start + ADDED], chunk.first + start)
            store.add([_memory(number, text) for number, text in numbered])
            _upkeep(client, steps, BULK_MAX)
    _upkeep(client, steps, 1)
    grown = _bytes(client) - before
    return Loaded(
        engine, client, grown / (len(chunks) * CHUNK), _processor(engine, settings), steps
    )


_NOW = SystemClock().now()


def _memory(number: int, text: str) -> Memory:
    new = NewMemory(text=text, agent_id=f"agent{number % AGENTS}", user_id=f"user{number % USERS}")
    return first_version(new, MemoryPolicy(), _NOW, memory_id=memory_id(number))


def _upkeep(client: Aureus, steps: list[float], pending_min: int) -> None:
    is_done = False
    while not is_done:
        started = time.perf_counter()
        is_done = client.memories.index_step(pending_min=pending_min).is_done
        steps.append(time.perf_counter() - started)


def _fill(place: Place, engine: Engine, texts: Texts, chunks: Sequence[Chunk]) -> Loaded:
    return _prepared(place, place.new_url(engine), texts, chunks)


def _prepared(place: Place, url: str, texts: Texts, chunks: Sequence[Chunk]) -> Loaded:
    """Open a database and fill it where it is empty."""
    engine: Engine = "PostgreSQL" if url.startswith("postgres") else "SQLite"
    settings = place.settings(url)
    client = Aureus(settings=settings)
    last = chunks[-1].first + CHUNK - 1
    try:
        found = client.memories.get(memory_id(last)).text
    except NotFound:
        kept = client.for_tenant(PAGES).memories
        kept.add(texts.pages, agent_id=PAGES, memory_id=PAGES)
        fill(client, engine, url, texts, chunks)
    else:
        if found != texts.texts(chunks[-1])[-1]:
            sys.exit(f"{url} was filled with other texts than these: name an empty database")
    total = len(chunks) * CHUNK
    return Loaded(engine, client, _bytes(client) / total, _processor(engine, settings), [])


def _processor(engine: Engine, settings: Settings) -> Processor:
    return Processor(as_superuser(str(settings.database.url)) if engine == "PostgreSQL" else None)


def _bytes(client: Aureus) -> int:
    """Return the size of the database."""
    with client.transaction() as tx:
        if "PostgreSQL" in client.description:
            return int(tx.execute("SELECT pg_database_size(current_database())")[0][0])
        ((pages,),), ((size,),) = tx.execute("PRAGMA page_count"), tx.execute("PRAGMA page_size")
        return int(pages) * int(size)


# Tables.


def _loading(size: int, loaded: Sequence[Loaded]) -> Table:
    rows = [
        (
            one.engine,
            count(one.bytes_per_memory),
            count(sum(one.steps) / size * 1e6) if one.steps else "-",
            fine(_percentile(one.steps, 0.5) * 1000) if one.steps else "-",
            fine(_percentile(one.steps, 0.99) * 1000) if one.steps else "-",
        )
        for one in loaded
    ]
    columns = ("engine", "bytes/memory", "upkeep us/memory", "step p50 ms", "step p99 ms")
    note = "Bytes are those of the whole database, memories and index. A step of upkeep is one transaction."
    return Table(f"Indexing {count(size)} memories of one tenant", columns, rows, note)


def _latencies(size: int, loaded: Sequence[Loaded], questions: Mapping[str, list[str]]) -> Table:
    cases: list[tuple[str, str, Callable[[int], dict[str, Any]]]] = [
        *((kind, kind, lambda _: {}) for kind in questions),
        ("phrases, one agent of 50", "phrases", lambda n: {"agent_id": f"agent{n % AGENTS}"}),
        ("phrases, one user of 5,000", "phrases", lambda n: {"user_id": f"user{n % USERS}"}),
    ]
    rows: list[tuple[str, ...]] = []
    for name, kind, criteria in cases:
        for one in loaded:
            spent: list[float] = []
            seconds: list[float] = []
            inexact = 0
            for number, text in enumerate(questions[kind]):
                began, started = one.processor.seconds(), time.perf_counter()
                answer = one.client.memories.recall(text, **criteria(number))
                seconds.append(time.perf_counter() - started)
                spent.append(one.processor.seconds() - began)
                inexact += not answer.is_exact
            figures = [
                _percentile(taken, share) * 1000
                for taken in (seconds, spent)
                for share in (0.5, 0.99, 1)
            ]
            rows.append((name, one.engine, *map(fine, figures), f"{inexact / len(seconds):.1%}"))
    times = ("p50 ms", "p99 ms", "worst ms", "cpu p50 ms", "cpu p99 ms", "cpu worst ms")
    columns = ("question", "engine", *times, "inexact")
    note = (
        "`memories.recall` with the ten best, records and all; one caller, every question once, the first ones of each "
        "word from the database and later ones partly from memory. cpu: processor time of client and server."
    )
    return Table(f"Recall among {count(size)} memories", columns, rows, note)


def _right(
    size: int, loaded: Sequence[Loaded], exact: BruteForce, questions: Mapping[str, list[str]]
) -> Table:
    rows: list[tuple[str, ...]] = []
    for kind, asked in questions.items():
        shares: list[list[float]] = [[] for _ in loaded]
        same = 0
        for text in asked[:QUESTIONS_CHECKED]:
            best, tenth = exact.best(text)
            answers = [
                [(hit.memory.memory_id, hit.score) for hit in one.client.memories.recall(text)]
                for one in loaded
            ]
            same += len({tuple(memory_id for memory_id, _ in answer) for answer in answers}) == 1
            wanted = {memory_id(number) for number in best}
            for share, answer in zip(shares, answers, strict=True):
                # What scores as much as the tenth is as right as it.
                right = sum(
                    memory_id in wanted or score >= tenth * (1 - 1e-6)
                    for memory_id, score in answer
                )
                share.append(right / len(best) if best else 1.0)
        means = [f"{sum(share) / len(share):.4f}" for share in shares]
        rows.append((kind, *means, f"{same / QUESTIONS_CHECKED:.1%}"))
    names = (f"recall@10 {one.engine}" for one in loaded)
    columns = ("question", *names, "same top 10 in the same order")
    note = (
        f"The first {QUESTIONS_CHECKED} questions of each kind, against all scores by brute force."
    )
    return Table(f"Right among {count(size)} memories", columns, rows, note)


def _percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
