"""The way to back up and restore a PostgreSQL database is gone as docs/howto/backup.md describes it."""

from __future__ import annotations

import shlex
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from aureus import Aureus
from aureus.config import Settings, load
from tests.docs.pages import ROOT, Page
from tests.support.postgres import OWNER, PostgresDatabase, PostgresServer

_PAGE = Page(ROOT / "docs" / "howto" / "backup.md")

_QUESTION = """
id: question
tasks:
  - id: ask
    toolName: wait-for-approval
    inputs: { message: "Go on?" }
"""


def test_a_dump_has_every_tenant_and_its_runs_go_on(
    postgres_server: PostgresServer,
    postgres_database: PostgresDatabase,
    empty_database: PostgresDatabase,
    tmp_path: Path,
) -> None:
    file = tmp_path / "question.yaml"
    file.write_text(_QUESTION, encoding="utf-8")
    for tenant in ("acme", "zeta"):
        assert _run(postgres_database.url(user=OWNER), tenant, file, tmp_path) == "paused"

    addresses = {
        "BACKUP_URL": postgres_database.url(user="aureus_backup"),
        "RESTORE_URL": empty_database.url(user=OWNER),
    }
    with _prepared(postgres_database):
        for command in _shell_commands(addresses):
            postgres_server._programs.run(*command)

    for tenant in ("acme", "zeta"):
        settings = _settings(empty_database.url(user=OWNER), tenant, tmp_path)
        with Aureus(settings=settings) as restored:
            (run,) = restored.runs.list()
            assert [event.version for event in restored.events.read_stream(run.stream)] == [1, 2, 3]
            while not restored.ledger.seal().is_done:
                pass
            report = restored.ledger.verify()
            assert report.is_intact, report.summary
            assert report.entry_count >= 3
        assert _run(empty_database.url(user=OWNER), tenant, file, tmp_path) == "paused"


def test_a_dump_as_the_owner_stops_instead_of_leaving_rows_out(
    postgres_server: PostgresServer, empty_database: PostgresDatabase, tmp_path: Path
) -> None:
    address = empty_database.url(user=OWNER)
    with Aureus(settings=_settings(address, "acme", tmp_path)):
        pass  # the schema is there now, and belongs to the owner
    with pytest.raises(AssertionError, match="row-level security policy"):
        postgres_server._programs.run("pg_dump", "--file=owner.dump", address)


def _run(url: str, tenant: str, file: Path, directory: Path) -> str:
    with Aureus(settings=_settings(url, tenant, directory)) as client:
        return client.run(file).run.status.value


def _settings(url: str, tenant: str, directory: Path) -> Settings:
    arguments = {"database.url": url, "tenant": tenant, "run_log.type": "none"}
    return load(arguments=arguments, environ={}, directory=directory)


@contextmanager
def _prepared(database: PostgresDatabase) -> Generator[None]:
    """Carry out the SQL of the page, and take the role away again that it makes."""
    statements = [block.text for block in _PAGE.blocks if block.language == "sql"]
    assert len(statements) == 2
    with psycopg.connect(database.url(), autocommit=True) as connection:
        for text in statements:
            connection.execute(text.encode())
        try:
            yield
        finally:
            connection.execute("DROP ROLE aureus_backup")


def _shell_commands(addresses: dict[str, str]) -> Iterator[list[str]]:
    for block in _PAGE.blocks:
        if block.language == "sh":
            text = block.text
            for name, value in addresses.items():
                text = text.replace(f'"${name}"', value)
            assert "$" not in text
            yield shlex.split(text)
