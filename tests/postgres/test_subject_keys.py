"""A dump made before an erasure and restored after it says nothing about the person, and proves what it proved."""

from __future__ import annotations

from pathlib import Path

import psycopg

from aureus import Aureus
from tests.support.backends import settings_for
from tests.support.older_copies import check_readable, check_unreadable, write_entries
from tests.support.person import NAME, bytes_with_the_word
from tests.support.postgres import PostgresDatabase, PostgresServer
from tests.support.subject_keys import subject_keys_in


def opened(url: str, folder: Path, heads: str = "heads") -> Aureus:
    """Open a database with the keys of a folder."""
    more = {"ledger.heads": str(folder / heads), **subject_keys_in(folder)}
    return Aureus(settings=settings_for(url, folder, **more))


def test_a_dump_from_before_an_erasure_says_nothing_about_the_person(
    postgres_server: PostgresServer, postgres_database: PostgresDatabase, tmp_path: Path
) -> None:
    with opened(postgres_database.url(), tmp_path) as client:
        event_id = write_entries(client)
        head = client.ledger.head().text()
        dump = postgres_server.dump(postgres_database.name)
        early = postgres_server.restore(dump)
        with opened(postgres_server.url(early), tmp_path) as copy:
            check_readable(copy)
        report = client.erasure.erase(NAME, reason="request 17")
        assert report.unreadable_count == 4
    late = postgres_server.restore(dump)
    with opened(postgres_server.url(late), tmp_path, "heads of the copy") as copy:
        check_unreadable(copy, event_id, head)
        again = copy.erasure.erase(NAME, reason="request 17, in the copy")
        assert again.removed["event_payloads"] == 4
        found = copy.ledger.verify()
        assert (found.is_intact, found.redaction_count, found.withheld_count) == (True, 4, 0)
    for name in (early, late):
        postgres_server.drop_database(name)


def test_neither_tables_nor_the_log_of_writes_hold_what_was_said(
    own_postgres_server: PostgresServer, tmp_path: Path
) -> None:
    name = own_postgres_server.create_database()
    url = own_postgres_server.url(name)
    with opened(url, tmp_path) as client:
        write_entries(client)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CHECKPOINT")
        row = connection.execute("SELECT current_setting('data_directory')").fetchone()
    assert row is not None
    files = [path for path in Path(row[0]).rglob("*") if path.is_file()]
    assert any("pg_wal" in path.parts for path in files)
    found = [path for path in files if bytes_with_the_word(path.read_bytes())]
    assert found == []
