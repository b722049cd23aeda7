"""Flushes on one connection: one message each way, statements prepared once, and what is said when one fails."""

from __future__ import annotations

import gc
import math
from collections.abc import Iterator
from typing import Any
from weakref import ref

import psycopg
import pytest

from aureus._database.postgres import pipeline as module
from aureus._database.postgres.adapt import register
from aureus._database.postgres.io import Exchange, Reply, Sent
from aureus._database.postgres.pipeline import Pipelines
from aureus.clock import SystemClock
from tests.postgres.conftest import MakeStage
from tests.support.fault_proxy import FaultProxy
from tests.support.postgres import PostgresDatabase

CREATE = Sent("CREATE TABLE t (n bigint PRIMARY KEY, s text)")
INSERT = "INSERT INTO t VALUES ($1, $2)"
COUNT = Sent("SELECT count(*) FROM t")


class Line:
    """A connection with a pipeline."""

    def __init__(self, url: str, *, prepares: bool = True) -> None:
        self.connection = psycopg.connect(url, autocommit=True, prepare_threshold=None)
        register(self.connection.adapters)
        self.pipelines = Pipelines(SystemClock(), prepares=prepares)

    def send(self, *statements: Sent, deadline: float = math.inf) -> Reply:
        """Exchange one flush."""
        steps = self.pipelines.steps(Exchange(self.connection, statements, deadline))
        return self.connection.wait(steps)

    def rows(self, *statements: Sent) -> list[Any]:
        """Exchange one flush that succeeds."""
        reply = self.send(*statements)
        assert reply.error is None
        return [list(rows) for rows in reply.rows]

    def prepared(self) -> set[str]:
        """Return the texts of the statements that the server has prepared."""
        rows = self.connection.execute("SELECT statement FROM pg_prepared_statements").fetchall()
        return {row[0] for row in rows}


@pytest.fixture(params=[True, False], ids=["prepared", "unprepared"])
def line(request: pytest.FixtureRequest, postgres_database: PostgresDatabase) -> Iterator[Line]:
    """Give a line with an empty table."""
    made = Line(postgres_database.url(), prepares=request.param)
    made.rows(CREATE)
    yield made
    made.connection.close()


@pytest.fixture
def prepared(postgres_database: PostgresDatabase) -> Iterator[Line]:
    """Give a line that prepares its statements."""
    made = Line(postgres_database.url())
    made.rows(CREATE)
    yield made
    made.connection.close()


def test_a_flush_is_one_transaction_and_each_statement_has_its_rows(line: Line) -> None:
    found = line.rows(Sent(INSERT, (1, "a")), Sent(INSERT, (2, None)), COUNT, Sent("SELECT 1, 'x'"))
    assert found == [[], [], [(2,)], [(1, "x")]]


def test_of_a_flush_that_fails_nothing_is_stored_and_the_failed_statement_is_known(
    line: Line,
) -> None:
    reply = line.send(Sent(INSERT, (1, "a")), Sent(INSERT, (1, "b")), Sent(INSERT, (2, "c")))
    assert isinstance(reply.error, psycopg.errors.UniqueViolation)
    assert reply.failed == 1
    assert line.rows(COUNT) == [[(0,)]]


def test_what_cannot_be_parsed_fails_at_its_place(line: Line) -> None:
    reply = line.send(Sent(INSERT, (1, "a")), Sent("SELEKT 1"), COUNT)
    assert isinstance(reply.error, psycopg.errors.SyntaxError)
    assert reply.failed == 1
    assert line.rows(COUNT) == [[(0,)]]


def test_a_parameter_that_cannot_be_sent_keeps_its_flush_from_being_sent(line: Line) -> None:
    for wrong in ("a\x00b", "\ud800", object()):
        reply = line.send(Sent(INSERT, (1, "a")), Sent(INSERT, (2, wrong)))
        assert isinstance(reply.error, psycopg.Error)
        assert reply.failed == 1
    assert line.rows(COUNT) == [[(0,)]]


def test_a_commit_that_fails_has_the_error_of_the_server(line: Line) -> None:
    line.rows(Sent("ALTER TABLE t ADD UNIQUE (s) DEFERRABLE INITIALLY DEFERRED"))
    reply = line.send(Sent(INSERT, (1, "a")), Sent(INSERT, (2, "a")))
    assert isinstance(reply.error, psycopg.errors.UniqueViolation)
    assert reply.failed == 2
    assert line.rows(COUNT) == [[(0,)]]


def test_what_is_larger_than_every_buffer_passes_in_both_directions(line: Line) -> None:
    large = "x" * 3_000_000
    echo = [Sent("SELECT $1::text", (large,)) for _ in range(8)]
    assert line.rows(*echo) == [[(large,)]] * 8


def test_a_statement_is_prepared_once_whatever_becomes_of_its_flush(prepared: Line) -> None:
    first, second, third = (Sent(f"SELECT {n}") for n in range(3))
    reply = prepared.send(first, Sent("SELECT 1 / 0"), second)
    assert reply.error is not None
    assert first.text in prepared.prepared()
    assert second.text not in prepared.prepared()
    assert prepared.rows(second, first, second, third) == [[(1,)], [(0,)], [(1,)], [(2,)]]
    assert {first.text, second.text, third.text} <= prepared.prepared()


def test_of_many_statements_those_used_last_stay_prepared(
    prepared: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STATEMENTS_KEPT", 3)
    kept = Sent("SELECT 'kept'")
    for number in range(20):
        assert prepared.rows(kept, Sent(f"SELECT {number}")) == [[("kept",)], [(number,)]]
    prepared.rows(kept)
    assert prepared.prepared() == {kept.text, "SELECT 18", "SELECT 19"}


@pytest.mark.parametrize("text", ["DEALLOCATE ALL", "DISCARD ALL"])
def test_statements_that_somebody_dropped_are_prepared_anew(prepared: Line, text: str) -> None:
    prepared.rows(COUNT)
    prepared.connection.execute(text.encode())
    reply = prepared.send(COUNT)
    assert isinstance(reply.error, psycopg.errors.InvalidSqlStatementName)
    assert prepared.rows(COUNT) == [[(0,)]]


def test_a_statement_below_which_a_table_has_changed_is_prepared_anew(prepared: Line) -> None:
    everything = Sent("SELECT * FROM t")
    prepared.rows(everything)
    prepared.rows(Sent("ALTER TABLE t ADD COLUMN more text"), Sent(INSERT, (1, "a")))
    reply = prepared.send(everything)
    assert isinstance(reply.error, psycopg.errors.FeatureNotSupported)
    assert prepared.rows(everything) == [[(1, "a", None)]]


def test_where_nothing_is_to_be_prepared_nothing_is(postgres_database: PostgresDatabase) -> None:
    line = Line(postgres_database.url(), prepares=False)
    line.rows(CREATE, COUNT, COUNT)
    assert line.prepared() == set()
    line.connection.close()


def test_a_connection_that_the_server_ends_has_its_reason(
    prepared: Line, postgres_database: PostgresDatabase
) -> None:
    (found,) = prepared.rows(Sent("SELECT pg_backend_pid()"))
    with psycopg.connect(postgres_database.url(), autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 10000)", [found[0][0]])
    reply = prepared.send(COUNT)
    assert isinstance(reply.error, psycopg.errors.AdminShutdown)


def test_a_server_that_says_nothing_is_given_up_at_the_deadline(
    fault_proxy: FaultProxy, postgres_database: PostgresDatabase
) -> None:
    line = Line(postgres_database.url(port=fault_proxy.port))
    line.rows(CREATE)
    fault_proxy.freeze_connections()
    reply = line.send(COUNT, deadline=SystemClock().monotonic())
    assert isinstance(reply.error, psycopg.OperationalError)
    assert "did not answer" in str(reply.error)
    line.connection.close()


def test_a_connection_that_is_gone_is_forgotten(postgres_database: PostgresDatabase) -> None:
    line = Line(postgres_database.url())
    line.rows(CREATE)
    line.connection.close()
    kept = ref(line.connection)
    line.connection = None  # type: ignore[assignment]  # the last one who knows it lets it go
    gc.collect()
    assert kept() is None
    assert len(line.pipelines._known) == 0


@pytest.mark.parametrize("is_async", [False, True])
def test_a_caller_who_drops_prepared_statements_hinders_nobody(
    make_stage: MakeStage, is_async: bool
) -> None:
    stage = make_stage(is_async=is_async, **{"database.pool_min": 1, "database.pool_max": 1})
    for number in range(4):
        with stage.backend.transaction("acme") as tx:
            tx.execute("DEALLOCATE ALL")
        assert stage.stores.events.append("a", "t", {}).version == number + 1
        assert stage.stores.events.stream_version("a") == number + 1
