"""The index of vectors: made where the extension is, used under the policies, and right however much else is there."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest

from aureus._database.opening import migrate_schema, schema_status
from aureus.client import Aureus
from aureus.config import Settings
from aureus.model.memories import NewMemory
from aureus.retrieval.embedding import FunctionEmbedder, text_hash
from tests.support.backends import settings_for
from tests.support.postgres import OWNER, PostgresDatabase
from tests.support.vector_index import make_vector_index

DIMENSIONS = 256
MINE, OTHERS = 12_000, 3_000
"""Vectors of two tenants: the first has more than are compared one by one."""

BUFFERS_MAX = 4000
"""Pages that a search by the index may touch; comparing all vectors takes more than three times as many."""


def some_vectors(count: int, seed: int) -> Any:
    """Return unit vectors around some centres, as texts about some subjects have them."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(7).normal(size=(200, DIMENSIONS))
    noise = rng.normal(size=(count, DIMENSIONS))
    vectors = centres[rng.integers(0, 200, count)] + 0.8 * noise
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype("<f4")


class Library:
    """Memories whose text is a number, with the vector of that number."""

    def __init__(self, settings: Settings) -> None:
        self.vectors = some_vectors(MINE + OTHERS, 1)
        self.embedder = FunctionEmbedder(self._embed, name="table", dimensions=DIMENSIONS)
        self.settings = settings

    def _embed(self, texts: Any) -> Any:
        return [self.vectors[int(text)] for text in texts]

    def open(self, tenant: str) -> Aureus:
        """Open a client of a tenant."""
        return Aureus(settings=settings_for_tenant(self.settings, tenant), embedder=self.embedder)

    def load(self, tenant: str, numbers: range, connection: psycopg.Connection[Any]) -> None:
        """Write memories with their vectors at once, as the stores would have done one by one."""
        with self.open(tenant) as db:
            db.memories.add("0", agent_id="pattern", memory_id="pattern")
        with connection.transaction():
            connection.execute("SELECT set_config('aureus.tenant', %s, true)", (tenant,))
            connection.execute(COPY_MEMORY, (list(map(str, numbers)), tenant))
            with connection.cursor() as cursor, cursor.copy(COPY_VECTORS) as copy:
                copy.set_types(VECTOR_TYPES)
                for number in numbers:
                    content = self.vectors[number].tobytes()
                    name, marked = f"m{number:06d}", text_hash(str(number))
                    copy.write_row((tenant, "table", name, 1, marked, DIMENSIONS, NOW, content))
        with self.open(tenant) as db:
            db.memories.forget("pattern")

    def nearest(self, question: int, numbers: range, keep: Callable[[int], bool]) -> list[str]:
        """Return by arithmetic what is nearest among some numbers."""
        scores = self.vectors[numbers.start : numbers.stop] @ self.vectors[question]
        order = np.argsort(-scores, kind="stable") + numbers.start
        return [str(number) for number in order if keep(int(number))][:10]


NOW = datetime(2026, 1, 1, tzinfo=UTC)
VECTOR_TYPES = ["text", "text", "text", "int8", "bytea", "int4", "timestamptz", "bytea"]

COPY_VECTORS = """
    COPY aureus.memory_embeddings (tenant_id, model, memory_id, version, text_hash, dimensions, created_at, vector)
    FROM STDIN (FORMAT BINARY)
"""

COPY_MEMORY = """
    INSERT INTO aureus.memories
    SELECT (jsonb_populate_record(m, jsonb_build_object('memory_id', 'm' || lpad(g.number, 6, '0'), 'text', g.number,
        'memory_no', nextval('aureus.memory_no')))).*
    FROM aureus.memories AS m CROSS JOIN unnest(%s::text[]) AS g (number)
    WHERE m.tenant_id = %s AND m.memory_id = 'pattern'
"""


def settings_for_tenant(settings: Settings, tenant: str) -> Settings:
    """Return the same settings for another tenant."""
    return replace(settings, tenant=tenant)


@pytest.fixture
def settings(postgres_database: PostgresDatabase, tmp_path: Path) -> Settings:
    """Give the settings of a migrated database."""
    return settings_for(postgres_database.url(), tmp_path)


def test_the_index_is_used_and_finds_what_arithmetic_finds_with_others_around_and_much_refused(
    postgres_database: PostgresDatabase, settings: Settings
) -> None:
    made = Library(settings)
    with psycopg.connect(postgres_database.url(), autocommit=True) as connection:
        made.load("mine", range(MINE), connection)
        made.load("others", range(MINE, MINE + OTHERS), connection)
        make_vector_index(postgres_database, settings)
        connection.execute("VACUUM ANALYZE")
        check_use_under_the_policy(made, connection)
        questions = range(0, MINE, MINE // 20)
        with made.open("mine") as db:
            assert recall(made, db, questions, keep=lambda number: True) >= 0.95
            refused = [f"m{number:06d}" for number in range(MINE) if number % 50]
            connection.execute(
                "UPDATE aureus.memories SET deleted_at = now() WHERE tenant_id = 'mine' AND memory_id = ANY (%s)",
                (refused,),
            )
            # One in fifty is left: ten are asked for, and ten come back.
            assert recall(made, db, questions[:5], keep=lambda number: number % 50 == 0) >= 0.95
    with made.open("others") as db:
        own = range(MINE, MINE + OTHERS)
        found = [near.memory.text for near in db.memories.nearest("5")]
        assert found == made.nearest(5, own, lambda _: True), "few vectors are compared exactly"


def recall(made: Library, db: Aureus, questions: range, keep: Callable[[int], bool]) -> float:
    """Return the share of the true ten that is found; all of them are there to be found."""
    shares: list[float] = []
    for question in questions:
        found = [near.memory.text for near in db.memories.nearest(str(question))]
        assert len(found) == 10
        true = made.nearest(question, range(MINE), keep)
        shares.append(len({*found} & {*true}) / 10)
    return sum(shares) / len(shares)


def check_use_under_the_policy(made: Library, connection: psycopg.Connection[Any]) -> None:
    """Ask for the nearest as the application's role does, and see what the server touched."""
    index = "aureus.memory_vectors_256"
    connection.execute("SET ROLE aureus_app")
    with connection.transaction():
        connection.execute("SELECT set_config('aureus.tenant', 'mine', true)")
        plan = connection.execute(
            "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) "
            "SELECT * FROM aureus.nearest_embeddings('mine', 'table', %s, 64)",
            (made.vectors[5].tobytes(),),
        ).fetchone()
        scans = connection.execute("SELECT pg_stat_get_xact_numscans(%s::regclass)", (index,))
        assert scans.fetchone() == (1,)
        # Whoever names another tenant finds nothing, whatever the function is told.
        other = "SELECT count(*) FROM aureus.nearest_embeddings('others', 'table', %s, 64)"
        assert connection.execute(other, (made.vectors[5].tobytes(),)).fetchone() == (0,)
        settings = "SELECT current_setting('enable_sort'), current_setting('hnsw.ef_search')"
        assert connection.execute(settings).fetchone() == ("on", "40")
    assert plan is not None
    top = plan[0][0]["Plan"]
    touched = top["Shared Hit Blocks"] + top["Shared Read Blocks"]
    assert touched <= BUFFERS_MAX, (touched, json.dumps(top)[:500])
    connection.execute("RESET ROLE")


def test_an_extension_that_comes_later_is_taken_with_what_is_there(
    postgres_database: PostgresDatabase, settings: Settings
) -> None:
    assert schema_status(settings.database)["vector_search"] == "exact"
    made = Library(settings)
    numbers = range(40)
    with made.open("mine") as db:
        db.memories.add_all(
            NewMemory(text=str(n), agent_id="a", memory_id=f"m{n}") for n in numbers
        )
        before = db.memories.nearest("3", limit=5)
        assert migrate_schema(settings.database) == ()
        assert make_vector_index(postgres_database, settings) == ("memory_vectors",)
        assert migrate_schema(settings.database) == (), "once is enough"
        assert schema_status(settings.database)["vector_search"].startswith("hnsw (pgvector ")
        after = db.memories.nearest("3", limit=5)
        assert [near.memory.text for near in after] == [near.memory.text for near in before]
        assert [near.score for near in after] == pytest.approx([near.score for near in before])
    with psycopg.connect(postgres_database.url()) as connection:
        rows = connection.execute(
            "SELECT memory_id, embedding::real[] FROM aureus.memory_vectors ORDER BY length(memory_id), memory_id"
        ).fetchall()
    assert [row[0] for row in rows] == [f"m{n}" for n in numbers]
    # To the bit: the numbers are taken apart and put together again inside the server.
    assert np.array_equal(np.array([row[1] for row in rows], dtype="<f4"), made.vectors[:40])


def test_bytes_become_the_numbers_that_they_are(
    postgres_database: PostgresDatabase, settings: Settings
) -> None:
    make_vector_index(postgres_database, settings)
    tricky = np.array(
        [0.0, -0.0, 1.0, -1.5, 1e-45, -1.1754942e-38, 1.1754944e-38, 3.4028235e38, 0.1, -123456.79],
        dtype="<f4",
    )
    with psycopg.connect(postgres_database.url()) as connection:
        row = connection.execute("SELECT aureus.real_numbers(%s)", (tricky.tobytes(),)).fetchone()
    assert row is not None
    assert np.array_equal(np.array(row[0], dtype="<f4"), tricky)


def test_an_owner_without_rights_on_the_server_takes_an_extension_in_a_schema_of_its_own(
    postgres_database: PostgresDatabase, tmp_path: Path
) -> None:
    settings = settings_for(
        postgres_database.url(user=OWNER), tmp_path, **{"database.schema": 'o"wn'}
    )
    with psycopg.connect(postgres_database.url(), autocommit=True) as connection:
        connection.execute("CREATE SCHEMA extensions")
        connection.execute("CREATE EXTENSION vector SCHEMA extensions")
        connection.execute("GRANT USAGE ON SCHEMA extensions TO PUBLIC")
    assert migrate_schema(settings.database)[-1] == "memory_vectors"
    with Library(settings).open("mine") as db:
        db.memories.add("3", agent_id="a")
        assert [near.memory.text for near in db.memories.nearest("3")] == ["3"]
