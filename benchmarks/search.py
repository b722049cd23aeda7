"""How fast memories are found by words, and how right: both engines against BM25 computed by brute force.

The texts are made here, from nothing but this repository. Half of each is phrases of three to twelve words out of the
project's own pages; the other half is single words drawn by Zipf's law from a vocabulary of 60,000: the words of those
pages, most frequent first, and then made-up ones. Seven texts of ten also hold a name that no other has. A text has 20
to 110 words; an agent has one memory of fifty, a user one of five thousand. Questions are phrases of five to ten words
of the same pages, stop words and all, and words by their rank of frequency.

Memories are written by the statement of ``add_chunk`` with their documents of the text index, but without the events,
which the benchmark of memories measures. ``recall@10`` compares with all scores, computed from exact lengths.
"""

from __future__ import annotations

import random
import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import psycopg

from aureus import Aureus
from aureus._database.operation import Operations, Store, write
from aureus._database.statement import Op, Queries, last_all
from aureus.clock import SystemClock
from aureus.model.memories import Memory, MemoryPolicy, NewMemory
from aureus.retrieval import bm25
from aureus.retrieval.analysis import question_terms, terms_in
from aureus.retrieval.upkeep import BULK_MAX
from aureus.stores.memories.indexing import index
from aureus.stores.memories.rows import encode_memories
from aureus.stores.memories.stating import first_version
from benchmarks.manual import read_manual
from benchmarks.measuring import Effort
from benchmarks.place import ENGINES, Engine, Place, as_superuser
from benchmarks.tables import Table, count, fine

sql = Queries("memories")

SIZES: Final = (100_000, 1_000_000)

VOCABULARY: Final = 60_000
AGENTS: Final = 50
USERS: Final = 5000
CHUNK: Final = 1000
QUESTIONS: Final = 300
"""Questions of each kind."""
QUESTIONS_CHECKED: Final = 100
"""Those of them that are compared with brute force, which takes a second for each million texts."""

_SYLLABLES = [consonant + vowel for consonant in "bdklmr" for vowel in "aeiou"]


class Texts:
    """The texts, and questions about them; the same for every engine."""

    def __init__(self) -> None:
        self._random = random.Random(2026)
        pages = [document.text for document in read_manual().documents]
        self._words = [word for page in pages for word in page.split()]
        frequent = [word for word, _ in Counter(self._words).most_common()]
        made_up = (_name(number) for number in range(VOCABULARY))
        self._vocabulary = [*frequent, *made_up][:VOCABULARY]
        weights = 1 / np.arange(1, VOCABULARY + 1)
        self._cumulated: list[float] = np.cumsum(weights).tolist()

    def text(self, number: int) -> str:
        """Return the text of one memory."""
        length = self._random.randint(20, 110)
        words: list[str] = []
        while 2 * len(words) < length:
            words += self._phrase(3, 12)
        words += self._random.choices(
            self._vocabulary, cum_weights=self._cumulated, k=max(0, length - len(words))
        )
        if self._random.random() < 0.7:
            words.append(f"case{number}")
        return " ".join(words)

    def questions(self) -> dict[str, list[str]]:
        """Return questions by kind."""
        kinds: dict[str, Callable[[], Sequence[str]]] = {
            "phrases": lambda: self._phrase(5, 10),
            "4 words, rank 100-3,000": lambda: self._ranked(100, 3000, 4),
            "6 words, rank 100-300": lambda: self._ranked(100, 300, 6),
            "3 words, rank 20-100": lambda: self._ranked(20, 100, 3),
        }
        return {kind: [" ".join(make()) for _ in range(QUESTIONS)] for kind, make in kinds.items()}

    def _phrase(self, fewest: int, most: int) -> list[str]:
        start = self._random.randrange(len(self._words) - most)
        return self._words[start : start + self._random.randint(fewest, most)]

    def _ranked(self, low: int, high: int, number: int) -> list[str]:
        return self._random.sample(self._vocabulary[low:high], number)


class BruteForce:
    """All scores of a question, from the texts themselves."""

    def __init__(self) -> None:
        self._terms: dict[str, int] = {}
        self._columns: list[array[int]] = []
        self._counts: list[array[int]] = []
        self._lengths: list[int] = []

    def add(self, text: str) -> None:
        """Take one more text."""
        terms = terms_in(text)
        number = len(self._lengths)
        self._lengths.append(len(terms))
        for term, occurrences in Counter(terms).items():
            place = self._terms.setdefault(term, len(self._terms))
            if place == len(self._columns):
                self._columns.append(array("I"))
                self._counts.append(array("H"))
            self._columns[place].append(number)
            self._counts[place].append(occurrences)

    def best(self, question: str) -> tuple[list[int], float]:
        """Return the ten best texts, and the score of the tenth."""
        lengths = np.array(self._lengths, dtype=np.float64)
        norm = bm25.K1 * (1 - bm25.B + bm25.B * lengths / lengths.mean())
        scores = np.zeros(len(lengths))
        for term in question_terms(question):
            place = self._terms.get(term)
            if place is None:
                continue
            rows = np.array(self._columns[place], dtype=np.int64)
            counts = np.array(self._counts[place], dtype=np.float64)
            weight = bm25.weight(len(lengths), len(rows))
            scores[rows] += weight * counts * (bm25.K1 + 1) / (counts + norm[rows])
        top = np.argsort(-scores, kind="stable")[:10]
        return [int(number) for number in top if scores[number] > 0], float(scores[top[-1]])


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
    steps: Sequence[float]
    """How long each step of upkeep took, in seconds."""


def measure(place: Place, effort: Effort) -> Iterator[Table]:
    """Load and ask; a million memories only in full effort."""
    for size in SIZES if effort.seconds >= 1 else SIZES[:1]:
        yield from _measure(place, size)


def _measure(place: Place, size: int) -> Iterator[Table]:
    texts = Texts()
    written = [texts.text(number) for number in range(size)]
    questions = texts.questions()
    loaded: list[Loaded] = []
    try:
        loaded += (_load(place, engine, written) for engine in ENGINES)
        yield _loading(size, loaded)
        yield _latencies(size, loaded, questions)
        yield _right(size, loaded, written, questions)
    finally:
        for one in loaded:
            one.client.close()


def _load(place: Place, engine: Engine, written: Sequence[str]) -> Loaded:
    settings = place.new_settings(engine)
    client = Aureus(settings=settings)
    store = LoadingStore(client._database, client._call("default"))  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - writes what no store offers
    before = _bytes(client)
    steps: list[float] = []
    now = SystemClock().now()
    for start in range(0, len(written), CHUNK):
        store.add(
            [
                first_version(_new(number, text), MemoryPolicy(), now, memory_id=_id(number))
                for number, text in enumerate(written[start : start + CHUNK], start)
            ]
        )
        _upkeep(client, steps, BULK_MAX)
        if start == 10 * CHUNK and engine == "PostgreSQL":
            _analyze(str(settings.database.url))
    _upkeep(client, steps, 1)
    return Loaded(engine, client, (_bytes(client) - before) / len(written), steps)


def _name(number: int) -> str:
    """Return a made-up word."""
    syllables: list[str] = []
    while number or not syllables:
        number, place = divmod(number, len(_SYLLABLES))
        syllables.append(_SYLLABLES[place])
    return "z" + "".join(syllables)


def _new(number: int, text: str) -> NewMemory:
    return NewMemory(text=text, agent_id=f"agent{number % AGENTS}", user_id=f"user{number % USERS}")


def _id(number: int) -> str:
    return f"m{number:09d}"


def _upkeep(client: Aureus, steps: list[float], pending_min: int) -> None:
    is_done = False
    while not is_done:
        started = time.perf_counter()
        is_done = client.memories.index_step(pending_min=pending_min).is_done
        steps.append(time.perf_counter() - started)


def _analyze(url: str) -> None:
    """Do what autovacuum does within a minute of a table's growth."""
    with psycopg.connect(as_superuser(url), autocommit=True) as connection:
        connection.execute("ANALYZE")


def _bytes(client: Aureus) -> int:
    """Return the size of the database, log and all."""
    with client.transaction() as tx:
        if "PostgreSQL" in client.description:
            return int(tx.execute("SELECT pg_database_size(current_database())")[0][0])
        ((pages,),), ((size,),) = tx.execute("PRAGMA page_count"), tx.execute("PRAGMA page_size")
        return int(pages) * int(size)


def _loading(size: int, loaded: Sequence[Loaded]) -> Table:
    rows = [
        (
            one.engine,
            count(sum(one.steps) / size * 1e6),
            fine(_percentile(one.steps, 0.5) * 1000),
            fine(_percentile(one.steps, 0.99) * 1000),
            count(one.bytes_per_memory),
        )
        for one in loaded
    ]
    columns = ("engine", "upkeep us/memory", "step p50 ms", "step p99 ms", "bytes/memory")
    note = "A step is one transaction; bytes are those of the whole database, memory and index, by what it grew."
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
            seconds: list[float] = []
            inexact = 0
            for number, text in enumerate(questions[kind]):
                started = time.perf_counter()
                answer = one.client.memories.recall(text, **criteria(number))
                seconds.append(time.perf_counter() - started)
                inexact += not answer.is_exact
            figures = (_percentile(seconds, share) * 1000 for share in (0.5, 0.99, 1))
            rows.append((name, one.engine, *map(fine, figures), f"{inexact / len(seconds):.1%}"))
    columns = ("question", "engine", "p50 ms", "p99 ms", "worst ms", "inexact")
    note = "`memories.recall` with the ten best, records and all; one caller, every question once."
    return Table(f"Recall among {count(size)} memories", columns, rows, note)


def _right(
    size: int,
    loaded: Sequence[Loaded],
    written: Sequence[str],
    questions: Mapping[str, list[str]],
) -> Table:
    exact = BruteForce()
    for text in written:
        exact.add(text)
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
            wanted = {_id(number) for number in best}
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
