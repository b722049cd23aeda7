"""Do searches find what answers a question? Recall and time, ours beside what the engines bring themselves.

Every question of a corpus is asked once, one at a time, for ten memories. ``recall@k`` is the share of questions of
which a document that answers is among the first k; MRR the mean of 1 / place of the first one, 0 beyond the tenth;
``empty`` the share of questions that nothing was found for. Where sessions are asked for, the right one counts.

Vectors are those of the small model that the extra ``embed`` installs, where it is there.

``python -m benchmarks retrieval`` asks the project's own manual; with ``--corpus FILE``, which may be given again, it
asks others (``benchmarks.corpus`` has the format, and converters).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Final, Literal, Protocol

import apsw
import psycopg

from aureus import Aureus, Embedder, StaticEmbedder
from aureus.config import Settings
from aureus.model.memories import NewMemory
from aureus.model.recall import Recall
from benchmarks.corpus import Corpus, Question, read_corpus
from benchmarks.manual import read_manual
from benchmarks.measuring import Effort
from benchmarks.place import ENGINES, Place, as_superuser
from benchmarks.tables import Table, fine

DEPTH: Final = 10
"""Results that are asked for."""

_AGENT = "reader"

_COLUMNS = ("search", "of", "recall@5", "recall@10", "MRR", "empty", "p50 ms", "p99 ms")
_NOTE = "Each question once, one caller. AND: every word of the question must match; OR: any."


class Arm(Protocol):
    """One way to search; closed afterwards."""

    @property
    def name(self) -> str:
        """What it is called in the table."""
        ...

    @property
    def of(self) -> str:
        """What is searched, and counted: ``documents`` or ``sessions``."""
        ...

    def find(self, question: Question) -> Sequence[str]:
        """Return the ids of the documents, or the sessions, that were found, best first."""
        ...

    def close(self) -> None:
        """Let go of whatever it holds."""
        ...


@dataclass(frozen=True, slots=True)
class Answers:
    """How an arm did."""

    places: Sequence[int]
    """For each question the place of the first right answer, counted from 1; 0 when it is not among the found."""
    empty_count: int
    seconds: Sequence[float]

    def recall(self, depth: int) -> float:
        """Return the share of questions answered within the first so many."""
        return sum(0 < place <= depth for place in self.places) / len(self.places)

    @property
    def mean_reciprocal_rank(self) -> float:
        """Return the mean of 1 / place, 0 where nothing right was found."""
        return sum(1 / place for place in self.places if place) / len(self.places)

    @property
    def empty(self) -> float:
        """Return the share of questions that nothing was found for."""
        return self.empty_count / len(self.places)

    def milliseconds(self, share: float) -> float:
        """Return the time that this share of the searches did not exceed."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000


def ask(arm: Arm, corpus: Corpus) -> Answers:
    """Ask every question once."""
    sessions = {(one.scope, one.document_id): one.session_id for one in corpus.documents}
    places: list[int] = []
    seconds: list[float] = []
    empty_count = 0
    for question in corpus.questions:
        started = time.perf_counter()
        found = list(islice(arm.find(question), DEPTH))
        seconds.append(time.perf_counter() - started)
        right = {
            gold if arm.of == "documents" else sessions[question.scope, gold]
            for gold in question.gold
        }
        places.append(next((at for at, name in enumerate(found, 1) if name in right), 0))
        empty_count += not found
    return Answers(places, empty_count, seconds)


class Fts5:
    """SQLite's own full text index: stems of English words, its own bm25()."""

    of = "documents"

    def __init__(self, corpus: Corpus, *, joined_by: str) -> None:
        self.name = f"SQLite FTS5, {joined_by}"
        self._joined_by = joined_by
        self._documents = corpus.documents
        self._connection = apsw.Connection(":memory:")
        self._connection.execute(
            "CREATE VIRTUAL TABLE found USING fts5 (text, scope UNINDEXED, tokenize = 'porter unicode61')"
        )
        self._connection.executemany(
            "INSERT INTO found (rowid, text, scope) VALUES (?, ?, ?)",
            [(number, one.text, one.scope) for number, one in enumerate(corpus.documents)],
        )

    def find(self, question: Question) -> Sequence[str]:
        """Match all words, or any, as quoted texts; so nothing in them is an operator."""
        words = "".join(letter if letter.isalnum() else " " for letter in question.text).split()
        match = f" {self._joined_by} ".join(f'"{word}"' for word in words)
        rows = self._connection.execute(
            "SELECT rowid FROM found WHERE found MATCH ? AND scope = ? ORDER BY bm25(found) LIMIT ?",
            (match, question.scope, DEPTH),
        )
        return [self._documents[int(number)].document_id for (number,) in rows]

    def close(self) -> None:
        """Close the database in memory."""
        self._connection.close()


class TsRank:
    """PostgreSQL's own full text search: all words, by ``ts_rank_cd``, with an index on the vectors."""

    name = "PostgreSQL ts_rank_cd, AND"
    of = "documents"

    def __init__(self, url: str, corpus: Corpus) -> None:
        self._documents = corpus.documents
        self._connection = psycopg.connect(url, autocommit=True)
        run = self._connection.execute
        run("CREATE TEMPORARY TABLE found (number integer, scope text, vector tsvector)")
        with self._connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO found VALUES (%s, %s, to_tsvector('english', %s))",
                [(number, one.scope, one.text) for number, one in enumerate(corpus.documents)],
            )
        run("CREATE INDEX ON found USING gin (vector)")
        run("ANALYZE found")

    def find(self, question: Question) -> Sequence[str]:
        """Match all words of the question that are no stop words."""
        rows = self._connection.execute(
            "SELECT number FROM found, plainto_tsquery('english', %s) AS query "
            "WHERE vector @@ query AND scope = %s ORDER BY ts_rank_cd(vector, query) DESC, number LIMIT %s",
            (question.text, question.scope, DEPTH),
        )
        return [self._documents[int(number)].document_id for (number,) in rows]

    def close(self) -> None:
        """Close the connection, and with it the table."""
        self._connection.close()


class Library:
    """A database of ours that holds the documents of a corpus as memories, written and indexed as any others."""

    def __init__(
        self, settings: Settings, corpus: Corpus, embedder: Embedder | None = None
    ) -> None:
        self._documents = {f"m{number}": one for number, one in enumerate(corpus.documents)}
        self.database = Aureus(settings=settings, embedder=embedder)
        self.database.memories.add_all(
            NewMemory(
                text=one.text,
                agent_id=_AGENT,
                memory_id=memory_id,
                user_id=one.scope or None,
                session_id=one.session_id,
            )
            for memory_id, one in self._documents.items()
        )
        self.database.memories.index()

    def recall(self, question: Question, group_by: Literal["session"] | None) -> Recall:
        """Recall memories of the question's scope."""
        return self.database.memories.recall(
            question.text,
            agent_id=_AGENT,
            user_id=question.scope,
            group_by=group_by,
            limit=DEPTH,
        )

    def document_id(self, memory_id: str) -> str:
        """Return the document that a memory was made of."""
        return self._documents[memory_id].document_id

    def close(self) -> None:
        """Close the database."""
        self.database.close()


@dataclass(frozen=True, slots=True)
class Recalled:
    """Our own search, for memories or for sessions."""

    name: str
    of: str
    library: Library

    def find(self, question: Question) -> Sequence[str]:
        """Recall memories, or the sessions that they belong to."""
        if self.of == "sessions":
            found = self.library.recall(question, "session")
            return [str(session.session_id) for session in found.sessions]
        found = self.library.recall(question, None)
        return [self.library.document_id(hit.memory.memory_id) for hit in found]

    def close(self) -> None:
        """Leave the library to whoever opened it."""


def measure(place: Place, _: Effort, *, files: Sequence[Path] = ()) -> Iterator[Table]:
    """Ask the questions of each corpus in every way; of the manual when no file is named."""
    for corpus in map(read_corpus, files) if files else [read_manual()]:
        with ExitStack() as stack:
            answers = [(arm, ask(arm, corpus)) for arm in arms_of(place, corpus, stack)]
        title = f"{corpus.name}: {len(corpus.questions):,} questions, {len(corpus.documents):,} documents"
        yield Table(title, _COLUMNS, [_row(arm, found) for arm, found in answers], _NOTE)


def arms_of(place: Place, corpus: Corpus, stack: ExitStack) -> Iterator[Arm]:
    """Yield every way to search a corpus, ready to be asked; the stack closes what they hold."""
    for joined_by in ("AND", "OR"):
        yield stack.enter_context(closing(Fts5(corpus, joined_by=joined_by)))
    url = as_superuser(place.new_url("PostgreSQL"))
    yield stack.enter_context(closing(TsRank(url, corpus)))
    for engine in ENGINES:
        library = stack.enter_context(closing(Library(place.new_settings(engine), corpus)))
        yield Recalled(f"Aureus on {engine}, words", "documents", library)
        if corpus.has_sessions:
            yield Recalled(f"Aureus on {engine}, words", "sessions", library)
    if find_spec("wordllama") is not None:
        library = Library(place.new_settings("SQLite"), corpus, StaticEmbedder.packaged())
        stack.enter_context(closing(library))
        yield Recalled("Aureus on SQLite, words and vectors", "documents", library)
        if corpus.has_sessions:
            yield Recalled("Aureus on SQLite, words and vectors", "sessions", library)


def _row(arm: Arm, answers: Answers) -> Sequence[str]:
    shares = (answers.recall(5), answers.recall(10), answers.mean_reciprocal_rank, answers.empty)
    times = (answers.milliseconds(0.5), answers.milliseconds(0.99))
    return [arm.name, arm.of, *(f"{share:.3f}" for share in shares), *map(fine, times)]
