"""After an erasure and what it says is to be run, nothing of the plaintext is in the files of the database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from aureus import Aureus
from tests.support.backends import settings_for
from tests.support.killed_erasure import be_killed
from tests.support.person import ERASED_WITH, NAME, bytes_with_the_word, write_life
from tests.support.postgres import OWNER, PostgresDatabase
from tests.support.toy_embedder import ToyEmbedder
from tests.support.vector_index import make_vector_index


@pytest.fixture
def client(postgres_database: PostgresDatabase, tmp_path: Path) -> Iterator[Aureus]:
    """Give a client of a database with ada's life in it, with an index of vectors and with statistics."""
    settings = settings_for(postgres_database.url(), tmp_path)
    with Aureus(settings=settings, embedder=ToyEmbedder()) as opened:
        make_vector_index(postgres_database, settings)
        write_life(opened)
        opened.memories.index()
        run(postgres_database, "VACUUM ANALYZE")
        yield opened


def run(database: PostgresDatabase, *statements: str) -> None:
    """Carry out statements as the superuser, each for itself."""
    with psycopg.connect(database.url(), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def found_in_files(database: PostgresDatabase) -> dict[str, list[bytes]]:
    """Return what every file of the database's tables and indexes holds of the word, after a checkpoint."""
    with psycopg.connect(database.url(), autocommit=True) as connection:
        connection.execute("CHECKPOINT")
        row = connection.execute(
            "SELECT current_setting('data_directory'), oid FROM pg_database WHERE datname = current_database()"
        ).fetchone()
        assert row is not None
        names: dict[str, str] = dict(
            connection.execute(
                "SELECT pg_relation_filenode(oid)::text, relname FROM pg_class WHERE relkind <> 'v'"
            )
        )
    folder = Path(row[0]) / "base" / str(row[1])
    found: dict[str, list[bytes]] = {}
    files = [path for path in folder.iterdir() if path.is_file()]
    assert len(files) > 100
    for path in files:
        # The server takes its list of relations away, and makes it anew, whenever it likes.
        with suppress(FileNotFoundError):
            places = bytes_with_the_word(path.read_bytes())
            found[str(names.get(path.name.split(".")[0], path.name))] = places
    return {name: places for name, places in found.items() if places}


def test_nothing_is_left_in_any_file_when_the_tables_were_rewritten(
    client: Aureus, postgres_database: PostgresDatabase
) -> None:
    assert {"memories", "event_payloads", "text_index_postings", "pg_statistic"} <= set(
        found_in_files(postgres_database)
    )
    report = client.erasure.erase(NAME, reason="request 17", scrub=True, **ERASED_WITH)  # type: ignore[arg-type]  # both lists
    assert report.scrub.is_done
    assert report.removed["memory_embeddings"] > 0
    assert found_in_files(postgres_database) == {}


def test_what_the_report_says_is_to_be_run_leaves_nothing(
    client: Aureus, postgres_database: PostgresDatabase
) -> None:
    report = client.erasure.erase(NAME, reason="request 17", **ERASED_WITH)  # type: ignore[arg-type]  # both lists
    assert not report.scrub.is_done
    assert found_in_files(postgres_database) != {}
    run(postgres_database, *(line for line in report.scrub.to_do if line.endswith(";")))
    assert found_in_files(postgres_database) == {}


def test_an_owner_rewrites_the_tables_and_is_told_what_takes_more_rights(
    postgres_database: PostgresDatabase, tmp_path: Path
) -> None:
    settings = settings_for(postgres_database.url(user=OWNER), tmp_path)
    with Aureus(settings=settings) as owner:
        owner.memories.add("x", agent_id="a", user_id=NAME)
        report = owner.erasure.erase(NAME, reason="request 17", scrub=True)
    assert not report.scrub.is_done
    statements = [line for line in report.scrub.to_do if line.endswith(";")]
    assert [line.split()[0] for line in statements] == ["DELETE", "VACUUM", "CHECKPOINT;"]
    assert all("pg_statistic" in line for line in statements[:2])


def test_a_table_that_somebody_uses_is_left_and_named(
    client: Aureus, postgres_database: PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aureus._database.postgres.scrubbing.LOCK_TIMEOUT", "50ms")
    with psycopg.connect(postgres_database.url()) as busy:
        busy.execute("SELECT count(*) FROM aureus.profiles")
        report = client.erasure.erase(NAME, reason="request 17", scrub=True)
        assert any('"profiles"' in line for line in report.scrub.to_do)
    again = client.erasure.erase(NAME, reason="request 17", scrub=True)
    assert again.scrub.is_done


def test_the_application_role_erases_and_nobody_else_deletes(
    client: Aureus, postgres_database: PostgresDatabase
) -> None:
    with (
        psycopg.connect(postgres_database.url()) as superuser,
        pytest.raises(psycopg.Error, match="on record of an erasure"),
    ):
        superuser.execute("DELETE FROM aureus.event_payloads")
    assert client.events.read_stream("talks/1")[0].payload != {}


@pytest.mark.parametrize("batch", [1, 3])
def test_an_erasure_that_is_killed_goes_on_when_it_is_repeated(
    client: Aureus, postgres_database: PostgresDatabase, tmp_path: Path, batch: int
) -> None:
    be_killed(postgres_database.url(), tmp_path, batch)
    assert sum(1 for _ in client.events.replay(category="erasures")) == batch - 1
    report = client.erasure.erase(NAME, reason="request 17", scrub=True, **ERASED_WITH)  # type: ignore[arg-type]  # both lists
    assert not report.is_empty
    assert found_in_files(postgres_database) == {}
    assert client.ledger.verify().is_intact
