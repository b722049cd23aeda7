"""Copies of databases: every row, position and hash arrives, between engines too, or nothing does."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from aureus._database.copying import TABLES, footprint
from aureus._database.opening import open_side
from aureus._database.postgres.copying import PostgresWriter
from aureus._database.sqlite.copying import SqliteWriter
from aureus.config import Settings, SqliteUrl
from aureus.errors import Conflict, DatabaseError, Forbidden, IllegalTransition, Invalid, NotFound
from aureus.ledger.notes import Note
from aureus.model.states import RunStatus
from aureus.transfer import copy_database
from tests.contract.stage import Stage
from tests.contract.test_ledger import sealed
from tests.support import killed_copy
from tests.support.backends import Backend, settings_for
from tests.support.everything import KEY, write_everything
from tests.support.postgres import OWNER, PostgresServer
from tests.support.subject_keys import MemoryKeys

ENGINES = ("sqlite", "postgres")

Make = Callable[..., Settings]


@pytest.fixture
def make(
    tmp_path: Path, postgres_server: PostgresServer, prepare_postgres: Callable[[str], None]
) -> Iterator[Make]:
    """Give a function that names a new database of an engine; its schema is there on PostgreSQL."""
    made: list[str] = []

    def new(engine: str, **more: Any) -> Settings:
        folder = tmp_path / f"{len(made)}"
        made.append("")
        if engine == "sqlite":
            folder.mkdir()
            return settings_for(f"sqlite:///{folder}/aureus.db", folder, **more)
        made[-1] = postgres_server.create_database(postgres_server.template(prepare_postgres))
        user = {name: more.pop(name) for name in ("user",) if name in more}
        return settings_for(postgres_server.url(made[-1], **user), folder, **more)

    yield new
    for name in filter(None, made):
        postgres_server.discard_database(name)


@pytest.fixture
def open_at() -> Iterator[Callable[..., Backend]]:
    """Give a function that opens a database; all are closed at the end."""
    opened: list[Backend] = []

    def open_one(settings: Settings, **more: Any) -> Backend:
        opened.append(Backend(settings, is_async=False, **more))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()


@pytest.fixture(params=ENGINES)
def source(request: pytest.FixtureRequest, make: Make, open_at: Any) -> Any:
    """Give the stage that is copied, on each engine."""
    return Stage(open_at(make(request.param), subject_keys=MemoryKeys()), "acme")


@pytest.fixture
def target(source: Stage, make: Make) -> Any:
    """Give the settings of a database without data, of the other engine."""
    is_file = isinstance(source.backend.settings.database.url, SqliteUrl)
    return make("postgres" if is_file else "sqlite")


@pytest.mark.parametrize("engine", ENGINES)
def test_every_table_arrives_and_what_was_signed_still_holds(
    source: Stage, engine: str, make: Make, open_at: Any
) -> None:
    write_everything(source)
    other = Stage(source.backend, "globex")
    other.stores.events.append("a/1", "t", {"n": 1})
    settings = source.backend.settings
    _require_rows_everywhere(settings)
    signed = Note.from_text(source.stores.ledger.sign(KEY).note)
    target = make(engine)
    done = copy_database(settings, target)
    assert [one.tenant_id for one in done.tenants] == ["acme", "globex"]
    assert done.anchors_copied
    assert done.is_intact
    copy = Stage(open_at(target), "acme")
    report = copy.stores.ledger.verify(keys=[KEY.public], notes=[signed])
    assert report.withheld_count > 0  # keys of people stay where they are
    assert report.is_intact
    assert report.is_anchored
    assert copy.stores.ledger.get_head() == source.stores.ledger.get_head()
    assert copy.stores.anchors.get_head() == source.stores.anchors.get_head()
    _goes_on(source, copy)


def _goes_on(source: Stage, copy: Stage) -> None:
    """Require that work goes on in the copy where the source ended, and what was written is found."""
    run = source.stores.runs.get("r2")
    assert copy.stores.runs.get("r2") == run
    copy.advance(run)
    last = source.stores.events.append("many", "t", {})
    assert copy.stores.events.append("many", "t", {}).version == last.version
    for stage in (source, copy):
        stage.stores.memories.index()
    found = [
        [hit.memory.memory_id for hit in stage.stores.memories.recall("likes tea").hits]
        for stage in (source, copy)
    ]
    assert found[0] == found[1] != []
    assert copy.stores.ledger.verify().is_intact


def _require_rows_everywhere(settings: Settings) -> None:
    with closing(open_side(settings.database)) as side:
        for tenant_id, tables in (("acme", TABLES), (None, ("anchor_heads", "anchors"))):
            with side.reading(tenant_id) as reader:
                counts = {table: footprint(reader, table).row_count for table in tables}
            assert [table for table, count in counts.items() if not count] == []


@pytest.fixture
def small(source: Stage) -> Stage:
    """Give a source of two tenants with a run and an event each."""
    for stage in (source, Stage(source.backend, "globex")):
        run = stage.start("r1").run
        stage.advance(run, status=RunStatus.FAILED, keeps_lease=False)
        stage.stores.events.append("a/1", "t", {"n": 1})
        sealed(stage)
    return source


def test_a_repeated_copy_finds_everything_there(small: Stage, target: Settings) -> None:
    told: list[str] = []
    first = copy_database(
        small.backend.settings, target, told=lambda one: told.append(one.tenant_id)
    )
    again = copy_database(small.backend.settings, target)
    assert told == ["acme", "globex"]
    assert [one.was_there for one in (*first.tenants, *again.tenants)] == [False, False, True, True]
    assert [one.row_count for one in first.tenants] == [one.row_count for one in again.tenants]


@pytest.mark.parametrize("put_no", [1, 9])
def test_a_copy_that_is_killed_leaves_whole_tenants_and_goes_on(
    put_no: int, small: Stage, target: Settings, tmp_path: Path
) -> None:
    copy_database(small.backend.settings, target, tenants=["acme"])
    ended = killed_copy.run(small.backend.settings, target, tmp_path, put_no)
    assert ended == -signal.SIGKILL
    done = copy_database(small.backend.settings, target)
    assert [(one.tenant_id, one.was_there) for one in done.tenants] == [
        ("acme", True),
        ("globex", False),
    ]
    assert done.is_intact


def test_guards_of_the_target_are_back_after_a_copy_and_after_a_failed_one(
    small: Stage, target: Settings, open_at: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise DatabaseError("out of luck")

    with monkeypatch.context() as patch:
        patch.setattr(_writer_of(target), "put", fail)
        with pytest.raises(DatabaseError, match="out of luck"):
            copy_database(small.backend.settings, target)
    copy = Stage(open_at(target), "acme")
    assert list(copy.stores.events.read_stream("a/1")) == []
    _require_guard(copy)
    copy_database(small.backend.settings, target, tenants=["globex"])
    _require_guard(copy)


def test_a_tenant_that_is_there_with_other_data_is_left_alone(
    small: Stage, target: Settings, open_at: Any
) -> None:
    copy_database(small.backend.settings, target)
    copy = Stage(open_at(target), "acme")
    event = copy.stores.events.append("a/1", "t", {"mine": True})
    with pytest.raises(Conflict, match=r"tenant acme is not what .* was there before") as caught:
        copy_database(small.backend.settings, target)
    assert caught.value.tenant == "acme"
    assert len(list(copy.stores.events.read_stream("a/1"))) == event.version == 2


def test_one_tenant_moves_alone_without_the_anchor_log(
    small: Stage, target: Settings, open_at: Any
) -> None:
    small.stores.anchors.append()
    done = copy_database(small.backend.settings, target, tenants=["globex", "globex"])
    assert ([one.tenant_id for one in done.tenants], done.anchors_copied) == (["globex"], False)
    with closing(open_side(target.database)) as side:
        assert side.tenants() == ["globex"]
    assert Stage(open_at(target), "globex").stores.anchors.get_head().size == 0


@pytest.mark.parametrize("engine", ENGINES)
def test_a_tenant_of_whom_no_entry_tells_is_copied_too(
    engine: str, make: Make, open_at: Any
) -> None:
    """Where routine writes are no events, sessions and keys were all left behind, and nothing said so."""
    source, target = make(engine, **{"events.routine": "off"}), make("sqlite")
    backend = open_at(source)
    mine = source.tenant
    for tenant_id in (mine, "another"):
        backend.tenant(tenant_id).sessions.save("a", "s", {"of": tenant_id})
    assert backend.tenant(mine).ledger.get_head() is None
    named = ["another"] if engine == "postgres" else []
    copied = [one.tenant_id for one in copy_database(source, target).tenants]
    copied += [
        one.tenant_id for one in copy_database(source, target, tenants=named).tenants if named
    ]
    assert sorted(copied) == sorted([mine, "another"])
    for tenant_id in (mine, "another"):
        found = open_at(target).tenant(tenant_id).sessions.load("a", "s")
        assert found.state == {"of": tenant_id}


def test_numbers_of_two_tenants_that_meet_in_one_file_are_a_conflict(
    make: Make, open_at: Any
) -> None:
    target = make("sqlite")
    sources = [Stage(open_at(make("sqlite")), tenant) for tenant in ("acme", "globex")]
    for source in sources:
        source.stores.events.append("a/1", "t", {})
    copy_database(sources[0].backend.settings, target)
    with pytest.raises(Conflict, match="Copy into a new file"):
        copy_database(sources[1].backend.settings, target)
    with closing(open_side(target.database)) as side:
        assert side.tenants() == ["acme"]


def test_tenants_of_two_databases_meet_in_one_schema(make: Make, open_at: Any) -> None:
    target = make("postgres")
    for tenant in ("acme", "globex"):
        source = Stage(open_at(make("sqlite")), tenant)
        source.stores.events.append("a/1", "t", {})
        copy_database(source.backend.settings, target)
    with closing(open_side(target.database)) as side:
        assert side.tenants() == ["acme", "globex"]


def test_what_cannot_be_copied_is_refused_before_anything_is_written(
    small: Stage, target: Settings
) -> None:
    settings = small.backend.settings
    with pytest.raises(NotFound, match=r"no tenant acne; it has acme, globex"):
        copy_database(settings, target, tenants=["globex", "acne"])
    with pytest.raises(Invalid, match="source and target are the same"):
        copy_database(settings, settings)
    with pytest.raises(Invalid, match="in memory"):
        copy_database(settings, "sqlite://")
    with closing(open_side(target.database)) as side:
        assert side.tenants() == []
    with closing(open_side(settings.database)) as side:
        assert side.tenants() == ["acme", "globex"]


def test_a_plain_user_copies_from_a_schema_but_not_into_it(make: Make, open_at: Any) -> None:
    source = Stage(open_at(make("postgres", user=OWNER)), "acme")
    source.stores.events.append("a/1", "t", {})
    done = copy_database(source.backend.settings, make("sqlite"))
    assert [one.tenant_id for one in done.tenants] == ["acme"]
    with pytest.raises(Forbidden, match="owner of the schema"):
        copy_database(source.backend.settings, make("postgres", user=OWNER))


def test_a_source_that_is_written_to_is_copied_as_it_was_at_one_moment_or_not_at_all(
    source: Stage, target: Settings, open_at: Any
) -> None:
    source.stores.events.append("a/1", "t", {})
    size = 0
    with _appending(source), suppress(Conflict):
        size = copy_database(source.backend.settings, target).tenants[0].head.size
    copy = open_at(target).tenant("acme")
    versions = [event.version for event in copy.events.read_stream("a/1", limit=1000)]
    assert versions == list(range(1, size + 1))
    assert size == 0 or copy.ledger.verify().is_intact


def _writer_of(settings: Settings) -> type[Any]:
    return SqliteWriter if isinstance(settings.database.url, SqliteUrl) else PostgresWriter


def _require_guard(stage: Stage) -> None:
    """Require that the table of runs still refuses one that begins with its end."""
    run = stage.start(stage.new_id()).run
    stage.advance(run, status=RunStatus.FAILED, keeps_lease=False)
    runs = stage.table("runs")
    with pytest.raises(IllegalTransition), stage.backend.transaction(stage.tenant) as tx:
        tx.execute(f"INSERT INTO {runs} SELECT * FROM {runs} WHERE run_id = '{run.run_id}'")


@contextmanager
def _appending(stage: Stage) -> Generator[None]:
    """Append all the time from another thread."""
    ended = threading.Event()

    def append() -> None:
        while not ended.is_set():
            stage.stores.events.append("a/1", "t", {})

    with ThreadPoolExecutor(1) as pool:
        writer = pool.submit(append)
        try:
            yield
        finally:
            ended.set()
            writer.result()
