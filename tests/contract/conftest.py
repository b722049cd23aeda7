"""The backends of the contract: both engines, sync and async, and the other shapes that they are met in.

Every test runs on both engines, for threads and for event loops. Of the other shapes each test runs on one, always the
same: the tests of a noun come by all of them, and a suite of every test on every shape would take twice as long.
``--all-shapes`` runs that; do so for the files of a noun whose storage you change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from zlib import crc32

import psycopg
import pytest

from tests.contract.stage import Stage
from tests.support.backends import Backend, settings_for
from tests.support.migrated import migrated_file, migrated_memory
from tests.support.pooling_proxy import PoolingProxy
from tests.support.postgres import OWNER, PostgresDatabase
from tests.support.subject_keys import subject_keys_in

BACKENDS = ("sqlite-file", "sqlite-file-async", "postgres", "postgres-async")
"""What every test runs on."""

SHAPES = (
    "sqlite-memory",
    "sqlite-memory-async",
    "postgres-unprepared",
    "postgres-pooler",
    "postgres-pooler-async",
    "postgres-owner",
)
"""What each test runs on one of."""


KEYED = frozenset(
    {
        "test_appending",
        "test_audit",
        "test_erasure",
        "test_event_reads",
        "test_events",
        "test_profiles",
        "test_proofs",
        "test_snapshot_moments",
        "test_subscriptions",
    }
)
"""Files whose tests run with subject keys too: what they hold must not depend on whether payloads are encrypted."""

KEYED_SHAPES = ("sqlite-keys", "postgres-keys-async")
"""What each test of those files runs on besides."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Choose the backends of a test."""
    if "backend" not in metafunc.fixturenames:
        return
    name = f"{metafunc.function.__module__}.{metafunc.function.__name__}"
    shapes: Sequence[str] = SHAPES
    if getattr(metafunc.module, "OPENED_TWICE", False):
        shapes = [shape for shape in shapes if not shape.startswith("sqlite-memory")]
    if not metafunc.config.getoption("--all-shapes"):
        shapes = [shapes[crc32(name.encode()) % len(shapes)]]
    keyed = KEYED_SHAPES if metafunc.function.__module__.rpartition(".")[2] in KEYED else ()
    metafunc.parametrize("backend", [*BACKENDS, *shapes, *keyed], indirect=True)


@pytest.fixture
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    """Give an open database of each kind."""
    name: str = request.param
    is_async = name.endswith("-async")
    if name.startswith("sqlite-file"):
        opened = Backend(settings_for(migrated_file(tmp_path), tmp_path), is_async=is_async)
    elif name == "sqlite-keys":
        keys = subject_keys_in(tmp_path)
        opened = Backend(settings_for(migrated_file(tmp_path), tmp_path, **keys), is_async=False)
    elif name.startswith("sqlite-memory"):
        request.getfixturevalue("memory")
        opened = Backend(settings_for("sqlite://", tmp_path), is_async=is_async)
    else:
        opened = _postgres(request, name, tmp_path, is_async=is_async)
    yield opened
    opened.close()


@pytest.fixture
def memory() -> Iterator[None]:
    """Let databases in memory be copies of one."""
    with migrated_memory():
        yield


def _postgres(
    request: pytest.FixtureRequest, name: str, tmp_path: Path, *, is_async: bool
) -> Backend:
    database: PostgresDatabase = request.getfixturevalue("postgres_database")
    url = database.url(user=OWNER) if name == "postgres-owner" else database.url()
    more: dict[str, object] = {}
    if name.startswith("postgres-keys"):
        more |= subject_keys_in(tmp_path)
    if name == "postgres-unprepared":
        more["database.prepared_statements"] = "off"
    if name.startswith("postgres-pooler"):
        proxy: PoolingProxy = request.getfixturevalue("pooling_proxy")
        url = database.url(port=proxy.port)
        more["database.prepared_statements"] = "off"
        more["database.direct_url"] = database.url()
    return Backend(settings_for(url, tmp_path, **more), is_async=is_async)


@pytest.fixture
def pooling_proxy(postgres_database: PostgresDatabase) -> Iterator[PoolingProxy]:
    """Give a transaction pooler in front of the test's database."""
    server = postgres_database.server
    with PoolingProxy(server.port, server.host, pool_size=3) as proxy:
        yield proxy


@pytest.fixture
def stage(backend: Backend) -> Stage:
    """Give the stores of one tenant with a workflow and a lease to work under."""
    return Stage(backend, "acme")


@pytest.fixture
def another_stage(backend: Backend) -> Callable[[str], Stage]:
    """Give the stores of further tenants on the same database."""
    return lambda tenant: Stage(backend, tenant)


@pytest.fixture
def tamper(request: pytest.FixtureRequest) -> Callable[[Stage, str, str], None]:
    """Give a function that edits a table of a stage's database, as somebody whom no trigger and no right holds."""

    def as_superuser(statement: str) -> None:
        database: PostgresDatabase = request.getfixturevalue("postgres_database")
        with psycopg.connect(database.url()) as connection:
            connection.execute("SET LOCAL session_replication_role = replica")
            connection.execute(statement.encode())

    def without_triggers(stage: Stage, table: str, statement: str) -> None:
        with stage.backend.transaction(stage.tenant) as tx:
            triggers = tx.execute(
                f"SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = '{table}'"
            )
            for trigger, _ in triggers:
                tx.execute(f"DROP TRIGGER {trigger}")
            tx.execute(statement)
            for _, text in triggers:
                tx.execute(text)

    def edit(stage: Stage, table: str, statement: str) -> None:
        if stage.table(table) == table:
            without_triggers(stage, table, statement)
        else:
            as_superuser(statement)

    return edit
