"""The proxies and the ledger of effects do to real PostgreSQL clients what they say, every time."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.conninfo import make_conninfo
from psycopg.errors import OperationalError

from tests.support import effects, wire
from tests.support.fault_proxy import (
    Action,
    CutAfter,
    CutBefore,
    Delay,
    Exchange,
    Fail,
    FaultProxy,
    Hang,
    Predicate,
    Reset,
    commit_of,
    connects,
    executes,
)
from tests.support.pooling_proxy import PoolingProxy
from tests.support.postgres import PostgresDatabase
from tests.support.waiting import eventually
from tests.support.wire import Listener, Message, MessageParser

CUTS: Final = 200
INSERT: Final = "insert into flushes (id) values (%s)"
FLUSH: Final = commit_of("(insert into|copy) flushes")

Connection = psycopg.Connection[tuple[Any, ...]]
Commit = Callable[[str, int], None]


@pytest.fixture
def elsewhere() -> Iterator[ThreadPoolExecutor]:
    """Give threads for calls that wait; made before the proxies, it ends after they let go."""
    with ThreadPoolExecutor() as executor:
        yield executor


@pytest.fixture
def direct(postgres_database: PostgresDatabase) -> Iterator[Connection]:
    """Give a connection past all proxies, to a database with an empty table of flushes."""
    with psycopg.connect(postgres_database.url(), autocommit=True) as connection:
        connection.execute("create table flushes (id int primary key)")
        yield connection


@pytest.fixture
def fault_proxy(
    postgres_database: PostgresDatabase, direct: Connection, elsewhere: ThreadPoolExecutor
) -> Iterator[FaultProxy]:
    with FaultProxy(postgres_database.server.port) as proxy:
        yield proxy


@pytest.fixture
def pool(
    postgres_database: PostgresDatabase, direct: Connection, elsewhere: ThreadPoolExecutor
) -> Iterator[PoolingProxy]:
    with PoolingProxy(postgres_database.server.port) as proxy:
        yield proxy


def _address(proxy: Listener, direct: Connection) -> str:
    return make_conninfo(direct.info.dsn, host=proxy.host, port=proxy.port)


def _connect(proxy: Listener, direct: Connection, **options: Any) -> Connection:
    return psycopg.connect(_address(proxy, direct), autocommit=True, **options)


def _value(connection: Connection, query: str) -> Any:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def _flushes(direct: Connection) -> int:
    return int(_value(direct, "select count(*) from flushes where id >= 0"))


def _flush(connection: Connection, number: int) -> None:
    """Write a row in the usual way: no BEGIN and no COMMIT, the Sync of the pipeline commits."""
    with connection.pipeline():
        connection.execute("select set_config('lock_timeout', '50ms', true)")
        connection.execute(INSERT, [number])


# The ways in which a runner commits. Each writes one row through a connection of its own.


def _pipeline(address: str, number: int) -> None:
    with psycopg.connect(address, autocommit=True, prepare_threshold=None) as connection:
        _flush(connection, number)


def _prepared_pipeline(address: str, number: int) -> None:
    with psycopg.connect(address, autocommit=True, prepare_threshold=0) as connection:
        connection.execute(INSERT, [-1 - number])
        assert _value(connection, "select count(*) from pg_prepared_statements") == 2
        _flush(connection, number)


def _pipeline_with_fetch(address: str, number: int) -> None:
    with psycopg.connect(address, autocommit=True) as connection, connection.pipeline():
        assert connection.execute(INSERT + " returning id", [number]).fetchone() == (number,)


def _pipelined_block(address: str, number: int) -> None:
    with (
        psycopg.connect(address, autocommit=True) as connection,
        connection.pipeline(),
        connection.transaction(),
    ):
        connection.execute(INSERT, [number])


def _async_pipeline(address: str, number: int) -> None:
    async def write() -> None:
        connection = await psycopg.AsyncConnection.connect(address, autocommit=True)
        async with connection, connection.pipeline():
            await connection.execute("select set_config('lock_timeout', '50ms', true)")
            await connection.execute(INSERT, [number], prepare=True)

    asyncio.run(write())


def _commit_statement(address: str, number: int) -> None:
    # Left by an error of its own commit, psycopg's `with` does not close the connection.
    with contextlib.closing(psycopg.connect(address)) as connection:
        connection.execute(INSERT, [number])
        connection.commit()


def _autocommit(address: str, number: int) -> None:
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(INSERT, [number], prepare=bool(number % 2))


def _simple_query(address: str, number: int) -> None:
    with psycopg.connect(address, autocommit=True) as connection:
        psycopg.ClientCursor(connection).execute(f"begin; {INSERT}; commit", [number])


def _copy(address: str, number: int) -> None:
    with (
        psycopg.connect(address, autocommit=True) as connection,
        connection.cursor().copy("copy flushes from stdin") as copy,
    ):
        copy.write_row([number])


def _flush_with_binding(exchange: Exchange) -> bool:
    """Leave alone what comes before: the statement by which the prepared one gets its name."""
    return FLUSH(exchange) and len(exchange.statements) == 2


WAYS: Final = [
    pytest.param(_pipeline, FLUSH, id="pipeline"),
    pytest.param(_prepared_pipeline, _flush_with_binding, id="prepared-pipeline"),
    pytest.param(_pipelined_block, FLUSH, id="pipelined-block"),
    pytest.param(_async_pipeline, FLUSH, id="async-pipeline"),
    pytest.param(_commit_statement, FLUSH, id="commit-statement"),
    pytest.param(_autocommit, FLUSH, id="autocommit"),
    pytest.param(_simple_query, FLUSH, id="simple-query"),
    pytest.param(_copy, FLUSH, id="copy"),
]
LATE_WAY: Final = pytest.param(_pipeline_with_fetch, FLUSH, id="pipeline-with-fetch")
"""Here the statement is answered before its Sync: an error can only come at the commit."""


@pytest.mark.parametrize(("commit", "matches"), [*WAYS, LATE_WAY])
def test_after_a_cut_behind_the_commit_the_client_has_an_error_and_the_server_the_row(
    fault_proxy: FaultProxy, direct: Connection, commit: Commit, matches: Predicate
) -> None:
    rule = fault_proxy.on(matches, CutAfter())
    for number in range(CUTS):
        with pytest.raises(OperationalError):
            commit(_address(fault_proxy, direct), number)
    assert rule.fired == CUTS
    assert _flushes(direct) == CUTS


@pytest.mark.parametrize(("commit", "matches"), [*WAYS, LATE_WAY])
def test_after_a_cut_before_the_commit_nothing_is_stored(
    fault_proxy: FaultProxy, direct: Connection, commit: Commit, matches: Predicate
) -> None:
    rule = fault_proxy.on(matches, CutBefore(), times=20)
    for number in range(20):
        with pytest.raises(OperationalError):
            commit(_address(fault_proxy, direct), number)
    assert rule.fired == 20
    assert _flushes(direct) == 0
    commit(_address(fault_proxy, direct), 20)
    assert _flushes(direct) == 1


@pytest.mark.parametrize("sqlstate", ["40001", "55P03", "58030"])
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(("commit", "matches"), WAYS)
def test_an_injected_error_has_its_code_and_leaves_what_it_says(
    fault_proxy: FaultProxy,
    direct: Connection,
    commit: Commit,
    matches: Predicate,
    after: bool,
    sqlstate: str,
) -> None:
    rule = fault_proxy.on(matches, Fail(sqlstate, after=after), times=1)
    with pytest.raises(psycopg.Error) as caught:
        commit(_address(fault_proxy, direct), 1)
    assert (caught.value.sqlstate, rule.fired) == (sqlstate, 1)
    assert _flushes(direct) == int(after)


def test_an_error_in_the_middle_of_a_pipeline_is_the_error_of_that_statement(
    fault_proxy: FaultProxy, direct: Connection
) -> None:
    rule = fault_proxy.on(FLUSH, Fail("55P03", at="insert"), times=1)
    with _connect(fault_proxy, direct) as connection:
        cursors = [connection.cursor() for _ in range(3)]
        with pytest.raises(psycopg.errors.LockNotAvailable):
            _insert_between_reads(connection, cursors)
        assert [cursor.description is None for cursor in cursors] == [False, True, True]
        assert _value(connection, "select 3") == 3
    assert (rule.fired, _flushes(direct)) == (1, 0)


def _insert_between_reads(
    connection: Connection, cursors: Sequence[psycopg.Cursor[tuple[Any, ...]]]
) -> None:
    with connection.pipeline():
        cursors[0].execute("select 1")
        cursors[1].execute(INSERT, [1])
        cursors[2].execute("select 2")


def test_of_a_pipeline_whose_commit_fails_nothing_is_stored_and_psycopg_loses_the_code(
    fault_proxy: FaultProxy, direct: Connection
) -> None:
    """A deferred constraint does the same: an error of a Sync is one that psycopg does not expect."""
    rule = fault_proxy.on(FLUSH, Fail("54000", at_sync=True))
    for number in range(20):
        with pytest.raises((OperationalError, IndexError)) as caught:
            _pipeline(_address(fault_proxy, direct), number)
        assert getattr(caught.value, "sqlstate", None) is None
    assert (rule.fired, _flushes(direct)) == (20, 0)


def test_a_commit_that_fails_leaves_the_connection_idle_and_a_statement_leaves_it_failed(
    fault_proxy: FaultProxy, direct: Connection
) -> None:
    with psycopg.connect(_address(fault_proxy, direct)) as connection:
        fault_proxy.on(FLUSH, Fail("40001"), times=1)
        connection.execute(INSERT, [1])
        with pytest.raises(psycopg.errors.SerializationFailure):
            connection.commit()
        assert connection.info.transaction_status.name == "IDLE"
        fault_proxy.on(executes("insert"), Fail("40P01"), times=1)
        with pytest.raises(psycopg.errors.DeadlockDetected):
            connection.execute(INSERT, [1])
        assert connection.info.transaction_status.name == "INERROR"
    assert fault_proxy.fired == {"Fail": 2}
    assert _flushes(direct) == 0


def test_a_fatal_error_ends_the_connection(fault_proxy: FaultProxy, direct: Connection) -> None:
    rule = fault_proxy.on(FLUSH, Fail("57P01", fatal=True), times=1)
    with _connect(fault_proxy, direct) as connection:
        with pytest.raises(psycopg.errors.AdminShutdown):
            connection.execute(INSERT, [1])
        assert connection.closed
    assert (rule.fired, _flushes(direct)) == (1, 0)


def test_a_fault_is_not_counted_when_the_commit_failed_by_itself(
    fault_proxy: FaultProxy, direct: Connection
) -> None:
    direct.execute(INSERT, [1])
    rule = fault_proxy.on(FLUSH, CutAfter())
    with pytest.raises(OperationalError):
        _pipeline(_address(fault_proxy, direct), 1)
    assert rule.fired == 0


def test_a_rule_skips_and_ends(fault_proxy: FaultProxy, direct: Connection) -> None:
    rule = fault_proxy.on(FLUSH, CutBefore(), skip=2, times=1)
    delay = fault_proxy.on(FLUSH, Delay(0.001))
    failed: list[int] = []
    for number in range(5):
        try:
            _pipeline(_address(fault_proxy, direct), number)
        except OperationalError:
            failed.append(number)
    assert (failed, rule.fired, delay.fired, _flushes(direct)) == ([2], 1, 4, 4)


@pytest.mark.parametrize(("action", "stored"), [(Hang(), 0), (Hang(after=True), 1)])
def test_a_hanging_client_gets_its_answer_never(
    fault_proxy: FaultProxy,
    direct: Connection,
    elsewhere: ThreadPoolExecutor,
    action: Action,
    stored: int,
) -> None:
    rule = fault_proxy.on(FLUSH, action)
    pending = elsewhere.submit(_pipeline, _address(fault_proxy, direct), 1)
    fault_proxy.wait_fired(rule)
    assert _flushes(direct) == stored
    assert not pending.done()
    fault_proxy.drop_connections()
    assert isinstance(pending.exception(60), OperationalError)


def test_a_reset_in_mid_query_is_an_error_at_once(
    fault_proxy: FaultProxy, direct: Connection
) -> None:
    rule = fault_proxy.on(executes("pg_sleep"), Reset())
    with _connect(fault_proxy, direct) as connection, pytest.raises(OperationalError):
        connection.execute("select pg_sleep(200)")
    assert rule.fired == 1


def test_connections_are_refused_failed_and_accepted_again(
    fault_proxy: FaultProxy, direct: Connection, elsewhere: ThreadPoolExecutor
) -> None:
    fault_proxy.refuse_connections()
    with pytest.raises(OperationalError, match="refused"):
        _connect(fault_proxy, direct)
    fault_proxy.accept_connections()
    fault_proxy.on(connects, Fail("53300", "sorry, too many clients already"), times=1)
    with pytest.raises(OperationalError, match="too many clients"):
        _connect(fault_proxy, direct)
    hang = fault_proxy.on(connects, Hang(), times=1)
    pending = elsewhere.submit(_pipeline, _address(fault_proxy, direct), 1)
    fault_proxy.wait_fired(hang)
    fault_proxy.drop_connections()
    assert isinstance(pending.exception(60), OperationalError)
    _pipeline(_address(fault_proxy, direct), 1)
    assert _flushes(direct) == 1


def test_a_pause_loses_nothing(
    fault_proxy: FaultProxy, direct: Connection, elsewhere: ThreadPoolExecutor
) -> None:
    with _connect(fault_proxy, direct, prepare_threshold=None) as client:
        fault_proxy.pause()
        pending = elsewhere.submit(client.execute, INSERT, [1])
        assert {_flushes(direct) for _ in range(100)} == {0}
        assert not pending.done()
        with direct.transaction():
            direct.execute("lock table flushes")
            fault_proxy.resume()
            waiting = "select count(*) from pg_locks where not granted"
            eventually(lambda: _value(direct, waiting) == 1, "the insert waits for the lock")
            fault_proxy.pause()
        eventually(lambda: _flushes(direct) == 1, "the insert is committed")
        assert {_flushes(direct) for _ in range(100)} == {1}
        assert not pending.done()
        fault_proxy.resume()
        pending.result(60)


def test_new_connections_go_to_the_new_server_and_a_frozen_one_to_none(
    fault_proxy: FaultProxy, pool: PoolingProxy, direct: Connection, elsewhere: ThreadPoolExecutor
) -> None:
    with _connect(fault_proxy, direct) as old:
        fault_proxy.switch_upstream(pool.port)
        fault_proxy.freeze_connections()
        pending = elsewhere.submit(old.execute, "select 1")
        with _connect(fault_proxy, direct) as new:
            assert _value(new, "select 1") == 1
        assert (fault_proxy.connections_opened, pool.transactions) == (2, 1)
        assert not pending.done()
        fault_proxy.drop_connections()
        assert isinstance(pending.exception(60), OperationalError)


def test_a_defect_of_a_rule_is_no_fault(postgres_database: PostgresDatabase) -> None:
    proxy = FaultProxy(postgres_database.server.port).start()
    proxy.on(lambda exchange: bool(1 / len(exchange.statements)), CutBefore())
    with pytest.raises(OperationalError):
        psycopg.connect(postgres_database.url(port=proxy.port))
    with pytest.raises(ExceptionGroup):
        proxy.stop()


def test_consecutive_transactions_run_on_different_server_connections(
    pool: PoolingProxy, direct: Connection
) -> None:
    with _connect(pool, direct, prepare_threshold=None) as client:
        pids = [_value(client, "select pg_backend_pid()") for _ in range(4)]
        assert pids[0] != pids[1]
        assert pids == [pids[0], pids[1]] * 2
        with client.transaction():
            assert len({_value(client, "select pg_backend_pid()") for _ in range(4)}) == 1
        assert client.info.backend_pid not in pids
    (record,) = pool.clients
    assert (record.transactions, len(set(record.server_connections))) == (5, 2)
    assert (pool.transactions, pool.server_connections_opened) == (5, 2)


def test_a_batch_keeps_its_server_connection_until_the_last_sync_is_answered(
    postgres_database: PostgresDatabase, direct: Connection
) -> None:
    startup = {"user": direct.info.user, "database": direct.info.dbname}
    parse, sync = wire.parse("", "select 1").frame, wire.SYNC.frame
    batches = [parse + sync, parse + sync, wire.query("select 2").frame]
    with (
        PoolingProxy(postgres_database.server.port, pool_size=1, query_wait_seconds=20) as pool,
        socket.create_connection((pool.host, pool.port)) as raw,
    ):
        raw.sendall(wire.StartupPacket.startup(startup).frame)
        _receive_until_ready(raw, 1)
        raw.sendall(b"".join(batches))
        _receive_until_ready(raw, len(batches))
        assert pool.transactions == 1
        raw.sendall(Message(wire.ClientKind.FLUSH).frame)
        with _connect(pool, direct) as other:
            assert _value(other, "select 1") == 1


def test_a_pipeline_gives_its_server_connection_back(
    postgres_database: PostgresDatabase, direct: Connection
) -> None:
    """Behind its last Sync psycopg sends a Flush, which belongs to no batch and gets no answer."""
    with (
        PoolingProxy(postgres_database.server.port, pool_size=1, query_wait_seconds=20) as pool,
        _connect(pool, direct, prepare_threshold=None) as one,
        _connect(pool, direct, prepare_threshold=None) as other,
    ):
        for number in range(0, 100, 2):
            _flush(one, number)
            _flush(other, number + 1)
        assert (pool.transactions, pool.server_connections_opened) == (100, 1)
    assert _flushes(direct) == 100


def _receive_until_ready(raw: socket.socket, count: int) -> None:
    parser = MessageParser()
    while count > 0:
        messages = parser.feed(raw.recv(4096))
        count -= sum(message.kind == wire.ServerKind.READY_FOR_QUERY for message in messages)


@pytest.mark.parametrize("threshold", [0, 5])
def test_prepared_statements_fail_through_the_pool(
    pool: PoolingProxy, direct: Connection, threshold: int
) -> None:
    with _connect(pool, direct, prepare_threshold=threshold) as client:
        for _ in range(threshold):
            client.execute("select 1")
        with pytest.raises(psycopg.errors.InvalidSqlStatementName):
            client.execute("select 1")
    with (
        _connect(pool, direct, prepare_threshold=0) as other,
        pytest.raises(psycopg.errors.DuplicatePreparedStatement),
    ):
        _repeat(other, "select 1")
    with _connect(pool, direct, prepare_threshold=None) as client:
        for number in range(20):
            client.execute(INSERT, [number])
    assert _flushes(direct) == 20


def _repeat(client: Connection, query: str) -> None:
    for _ in range(3):
        client.execute(query.encode())


def test_a_session_setting_leaks_to_others_and_a_local_one_does_not(
    pool: PoolingProxy, direct: Connection
) -> None:
    with (
        _connect(pool, direct, prepare_threshold=None) as one,
        _connect(pool, direct, prepare_threshold=None) as other,
    ):
        with one.pipeline():
            one.execute("select set_config('aureus.tenant', 'local', true)")
            cursor = one.execute("select current_setting('aureus.tenant')")
        assert cursor.fetchone() == ("local",)
        seen = "select coalesce(current_setting('aureus.tenant', true), '')"
        assert [_value(other, seen) for _ in range(4)] == [""] * 4
        one.execute("set aureus.tenant = 'leak'")
        one.execute("set timezone = 'Asia/Tokyo'")
        assert {_value(other, seen) for _ in range(4)} == {"", "leak"}
        assert {_value(other, "show timezone") for _ in range(4)} == {"UTC"}
        assert {_value(one, "show timezone") for _ in range(4)} == {"Asia/Tokyo"}


def test_startup_options_are_refused(pool: PoolingProxy, direct: Connection) -> None:
    with pytest.raises(OperationalError, match="unsupported startup parameter: options"):
        _connect(pool, direct, options="-c lock_timeout=50")
    with _connect(pool, direct, application_name="aureus", client_encoding="utf8") as client:
        assert _value(client, "show application_name") == "aureus"


def test_a_cancel_reaches_the_query_of_its_client(
    pool: PoolingProxy, direct: Connection, elsewhere: ThreadPoolExecutor
) -> None:
    with _connect(pool, direct) as client:
        pending = elsewhere.submit(client.execute, "select pg_sleep(200)")
        sleeping = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'"
        eventually(lambda: _value(direct, sleeping) == 1, "the query sleeps")
        client.cancel_safe()
        assert isinstance(pending.exception(60), psycopg.errors.QueryCanceled)


def test_a_client_that_leaves_in_mid_transaction_takes_its_server_connection_along(
    postgres_database: PostgresDatabase, direct: Connection
) -> None:
    with PoolingProxy(postgres_database.server.port, pool_size=1) as pool:
        leaving = _connect(pool, direct)
        leaving.execute("begin")
        leaving.execute(INSERT, [1])
        leaving.close()
        with _connect(pool, direct) as client:
            assert _value(client, "select count(*) from flushes") == 0
        assert pool.server_connections_opened == 2


def test_a_client_that_waits_too_long_for_the_pool_is_thrown_out(
    postgres_database: PostgresDatabase, direct: Connection
) -> None:
    port = postgres_database.server.port
    with (
        PoolingProxy(port, pool_size=1, query_wait_seconds=0.05) as pool,
        _connect(pool, direct) as one,
        _connect(pool, direct) as other,
        one.transaction(),
    ):
        one.execute("select 1")
        with pytest.raises(psycopg.errors.ProtocolViolation, match="query_wait_timeout"):
            other.execute("select 1")


@given(
    st.lists(st.tuples(st.sampled_from([b"Q", b"Z", b"d"]), st.binary(max_size=40))),
    st.lists(st.integers(0, 30)),
)
def test_messages_are_the_same_however_the_stream_is_cut(
    parts: list[tuple[bytes, bytes]], sizes: list[int]
) -> None:
    messages = [Message(kind, payload) for kind, payload in parts]
    stream = b"".join(message.frame for message in messages)
    parser = MessageParser()
    found: list[Message] = []
    for size in sizes:
        found += parser.feed(stream[:size])
        stream = stream[size:]
    assert found + parser.feed(stream) == messages


def test_effects_of_many_processes_do_not_mix(tmp_path: Path) -> None:
    ledger = tmp_path / "effects.jsonl"
    assert effects.read_effects(ledger) == []
    command = [sys.executable, "-I", effects.__file__, str(ledger)]
    started = [subprocess.Popen([*command, f"n={n}", "task=charge = 1"]) for n in range(4)]
    for number in range(4, 50):
        effects.record_effect(ledger, n=number, path="a field of this name is allowed")
    assert [process.wait(60) for process in started] == [0, 0, 0, 0]
    found = effects.read_effects(ledger)
    assert sorted(int(effect["n"]) for effect in found) == list(range(50))
    assert {effect.get("task") for effect in found} == {None, "charge = 1"}


def test_a_torn_last_effect_is_left_out_and_a_broken_one_is_not(tmp_path: Path) -> None:
    ledger = tmp_path / "effects.jsonl"
    effects.record_effect(ledger, n=1)
    whole = ledger.read_bytes()
    for size in range(1, len(whole)):
        ledger.write_bytes(whole + whole[:size])
        assert effects.read_effects(ledger) == [{"n": 1}]
    ledger.write_bytes(whole[:4] + b"\n" + whole)
    with pytest.raises(ValueError, match="line 1"):
        effects.read_effects(ledger)
