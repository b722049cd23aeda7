"""How fast memories are found by words, and how right: both engines against BM25 computed by brute force.

The texts are made here, from nothing but this repository. The first half of each is phrases of three to twelve words
out of the project's own pages; the second half is single words drawn by Zipf's law from a vocabulary of 60,000: the
words of those pages, most frequent first, and then made-up ones. A text has 20 to 110 words; an agent has one memory of
fifty, a user one of five thousand. Questions are phrases of five to ten words of the same pages, stop words and all,
and words by their rank of frequency.

100,000 memories are written by the statement of ``add_chunk`` with their documents of the text index, but without the
events, and indexed by upkeep. 1,000,000 are filled in as upkeep would leave them; a test holds the two against each
other. ``recall@10`` compares with all scores, computed from exact lengths.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import psycopg

from aureus import Aureus
from aureus._database.operation import Operations, Store, write
from aureus._database.statement import Op, Queries, last_all
from aureus.clock import SystemClock, to_micros
from aureus.model.memories import Memory, MemoryPolicy, NewMemory
from aureus.retrieval import bm25
from aureus.retrieval.analysis import label, question_terms, terms_in
from aureus.retrieval.postings import PostingRows, length_code, packed
from aureus.retrieval.upkeep import BULK_MAX
from aureus.stores.memories.indexing import index
from aureus.stores.memories.rows import encode_memories
from aureus.stores.memories.stating import first_version
from benchmarks.manual import read_manual
from benchmarks.measuring import Effort
from benchmarks.place import ENGINES, Engine, Place, as_superuser
from benchmarks.tables import Table, count, fine

sql = Queries("memories")

SIZES: Final = (6 * 16_384, 61 * 16_384)
"""About 100,000 and 1,000,000."""

WRITTEN_MAX: Final = 200_000
"""Memories up to which they are written one by one; more are filled in."""

CHUNK: Final = 16_384
"""Texts that are made at once; four of them fill a segment."""
ADDED: Final = 1024
"""Memories that are written in one transaction."""
FILLED: Final = 8192
"""Rows that are filled in by one transaction, which has a deadline."""
VOCABULARY: Final = 60_000
AGENTS: Final = 50
USERS: Final = 5000
QUESTIONS: Final = 300
"""Questions of each kind."""
QUESTIONS_CHECKED: Final = 100
"""Those of them that are compared with brute force."""

_SYLLABLES = [consonant + vowel for consonant in "bdklmr" for vowel in "aeiou"]

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Chunk:
    """Some texts, as numbers of words and of terms."""

    first: int
    """Number of its first text."""
    lengths: Numbers
    words: Numbers
    terms: Numbers

    @cached_property
    def occurrences(self) -> tuple[Numbers, Numbers, Numbers]:
        """Return each pair of term and text within the chunk, by term and then text, and how often it occurs."""
        texts = np.repeat(np.arange(CHUNK), self.lengths)
        pairs, counts = np.unique(self.terms * CHUNK + texts, return_counts=True)
        return pairs // CHUNK, pairs % CHUNK, counts


class Texts:
    """The texts, made chunk by chunk of numbers of words, so that a million of them take a minute."""

    def __init__(self) -> None:
        pages = [document.text for document in read_manual().documents]
        written = [word for page in pages for word in page.split()]
        frequent = [word for word, _ in Counter(written).most_common()]
        known = {word: terms_in(word) for word in frequent}
        self.words = [word for word in frequent if len(known[word]) == 1]
        self.words += [_made_up(number) for number in range(VOCABULARY - len(self.words))]
        terms = [terms_in(word)[0] for word in self.words]
        self.terms = list(dict.fromkeys(terms))
        numbers = {term: number for number, term in enumerate(self.terms)}
        self._term_of = np.array([numbers[term] for term in terms])
        places = {word: number for number, word in enumerate(self.words)}
        self._page = np.array([places[word] for word in written if word in places])
        weights = 1 / np.arange(1, len(self.words) + 1)
        self._cumulated = np.cumsum(weights) / weights.sum()

    def chunk(self, number: int) -> Chunk:
        """Return the words of one chunk of texts."""
        source = np.random.default_rng([2026, number])
        lengths = source.integers(20, 111, CHUNK)
        total = int(lengths.sum())
        drawn = np.searchsorted(self._cumulated, source.random(total))
        starts = source.integers(0, len(self._page) - 12, total // 6)
        sizes = source.integers(3, 13, len(starts))
        within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        phrases = self._page[np.repeat(starts, sizes) + within]
        # The first half of each text is cut from the phrases, the rest is drawn.
        ends = np.cumsum(lengths)
        place = np.arange(total) - np.repeat(ends - lengths, lengths)
        is_phrase = 2 * place < np.repeat(lengths, lengths)
        words = np.where(is_phrase, np.resize(phrases, total), drawn)
        return Chunk(number * CHUNK, lengths, words, self._term_of[words])

    def texts(self, chunk: Chunk) -> list[str]:
        """Return the texts of a chunk."""
        ends = np.cumsum(chunk.lengths)
        words = [self.words[word] for word in chunk.words.tolist()]
        return [
            " ".join(words[end - length : end])
            for length, end in zip(chunk.lengths.tolist(), ends.tolist(), strict=True)
        ]

    def questions(self) -> dict[str, list[str]]:
        """Return questions by kind."""
        source = np.random.default_rng(2027)

        def phrase() -> list[str]:
            start = source.integers(0, len(self._page) - 10)
            return [self.words[word] for word in self._page[start : start + source.integers(5, 11)]]

        def ranked(low: int, high: int, number: int) -> list[str]:
            chosen = source.choice(np.arange(low, high), number, replace=False)
            return [self.words[word] for word in chosen]

        kinds: dict[str, Callable[[], Sequence[str]]] = {
            "phrases": phrase,
            "4 words, rank 100-3,000": lambda: ranked(100, 3000, 4),
            "6 words, rank 100-300": lambda: ranked(100, 300, 6),
            "3 words, rank 20-100": lambda: ranked(20, 100, 3),
        }
        return {kind: [" ".join(make()) for _ in range(QUESTIONS)] for kind, make in kinds.items()}


class BruteForce:
    """All scores of a question, from the texts themselves."""

    def __init__(self, texts: Texts, chunks: Sequence[Chunk]) -> None:
        self._places = {term: number for number, term in enumerate(texts.terms)}
        self._chunks = chunks
        self._lengths = np.concatenate([chunk.lengths for chunk in chunks]).astype(np.float64)
        norm = 1 - bm25.B + bm25.B * self._lengths / self._lengths.mean()
        self._norm = bm25.K1 * norm

    def best(self, question: str) -> tuple[list[int], float]:
        """Return the ten best texts, and the score of the tenth."""
        scores = np.zeros(len(self._lengths))
        for term in question_terms(question):
            place = self._places.get(term)
            if place is None:
                continue
            rows, counts = self._containing(place)
            weight = bm25.weight(len(scores), len(rows))
            scores[rows] += weight * counts * (bm25.K1 + 1) / (counts + self._norm[rows])
        top = np.argsort(-scores, kind="stable")[:10]
        return [int(number) for number in top if scores[number] > 0], float(scores[top[-1]])

    def _containing(self, term: int) -> tuple[Numbers, Numbers]:
        found: list[Numbers] = []
        counted: list[Numbers] = []
        for chunk in self._chunks:
            terms, texts, counts = chunk.occurrences
            begin, end = np.searchsorted(terms, [term, term + 1])
            found.append(texts[begin:end] + chunk.first)
            counted.append(counts[begin:end])
        return np.concatenate(found), np.concatenate(counted)


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
    texts = Texts()
    for size in SIZES if effort.seconds >= 1 else SIZES[:1]:
        yield from _measure(place, texts, [texts.chunk(number) for number in range(size // CHUNK)])


def _measure(place: Place, texts: Texts, chunks: Sequence[Chunk]) -> Iterator[Table]:
    size = len(chunks) * CHUNK
    questions = texts.questions()
    load = _write if size <= WRITTEN_MAX else _fill
    loaded: list[Loaded] = []
    try:
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
    return Loaded(engine, client, grown / (len(chunks) * CHUNK), steps)


_NOW = SystemClock().now()


def _memory(number: int, text: str) -> Memory:
    new = NewMemory(text=text, agent_id=f"agent{number % AGENTS}", user_id=f"user{number % USERS}")
    return first_version(new, MemoryPolicy(), _NOW, memory_id=_id(number))


def _id(number: int) -> str:
    return f"m{number:09d}"


def _made_up(number: int) -> str:
    """Return a word that is none."""
    syllables: list[str] = []
    while number or not syllables:
        number, place = divmod(number, len(_SYLLABLES))
        syllables.append(_SYLLABLES[place])
    return f"z{''.join(syllables)}q"


def _upkeep(client: Aureus, steps: list[float], pending_min: int) -> None:
    is_done = False
    while not is_done:
        started = time.perf_counter()
        is_done = client.memories.index_step(pending_min=pending_min).is_done
        steps.append(time.perf_counter() - started)


# Filled in as upkeep leaves it.


def _fill(place: Place, engine: Engine, texts: Texts, chunks: Sequence[Chunk]) -> Loaded:
    settings = place.new_settings(engine)
    client = Aureus(settings=settings)
    before = _bytes(client)
    filler = (_PostgresFiller if engine == "PostgreSQL" else _SqliteFiller)(
        client, str(settings.database.url)
    )
    width = 4
    for segment_no, start in enumerate(range(0, len(chunks), width)):
        part = chunks[start : start + width]
        filler.fill("memories", _memory_rows(texts, part))
        filler.fill("text_index_documents", _document_rows(texts, part))
        filler.fill("text_index_postings", _posting_rows(segment_no, segment_rows(texts, part)))
        filler.fill("text_index_segments", [_segment_row(segment_no, part)])
    total = len(chunks) * CHUNK
    filler.fill("text_indexes", [("default", "memories", total, len(chunks))])
    filler.finish()
    return Loaded(engine, client, (_bytes(client) - before) / total, [])


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
        f"filled {segment_no}",
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
            yield "default", "memories", number, _id(number), int(chunk.lengths[place]), told


def _memory_rows(texts: Texts, chunks: Sequence[Chunk]) -> Iterator[dict[str, Any]]:
    for chunk in chunks:
        for number, text in enumerate(texts.texts(chunk), chunk.first):
            yield {
                "tenant_id": "default", "memory_no": number + 1, "memory_id": _id(number), "version": 1,
                "namespace": "", "memory_key": "", "agent_id": f"agent{number % AGENTS}",
                "user_id": f"user{number % USERS}", "session_id": "", "type": "episodic_note", "confidence": 0.5,
                "subject": "", "text_language": "english", "run_id": "", "task_id": "", "step_id": "",
                "source_event_id": "", "is_shared": False, "tier": "hot", "occurred_at": _NOW,
                "superseded_by": "", "operation_id": _id(number), "created_at": _NOW, "updated_at": _NOW,
                "tags": "[]", "metadata": "{}", "sources": "[]", "text": text,
            }  # fmt: skip


class _SqliteFiller:
    """Fills tables of a SQLite file through the client's own connection."""

    def __init__(self, client: Aureus, _: str) -> None:
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

    def __init__(self, _: Aureus, url: str) -> None:
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
