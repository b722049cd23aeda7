"""The fixtures that every test may ask for; what they give is made in ``tests.support``.

No setting of the machine reaches a test: variables that Aureus or PostgreSQL's client library would read are taken
out of the environment before the first test. What tests write is gone after the session, also after a failure; to keep
it, give pytest a ``--basetemp``, or set ``TMPDIR``.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator

import psycopg_pool.base
import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from aureus.ids import RandomIds
from tests.support.migrated import migrate_template
from tests.support.postgres import PostgresDatabase, PostgresHome, PostgresServer
from tests.support.scratch import Scratch, memory_folder

_SETTINGS = re.compile(
    r"AUREUS_.*|AUREN_.*|ARAGORA_.*|PG[A-Z]+|DATABASE_.*|STATE_STORE_TYPE|EVENT_LOG_.*|NO_COLOR|FORCE_COLOR"
    r"|PYTHONDONTWRITEBYTECODE"
)


_SCRATCH = pytest.StashKey[Scratch]()

# Nothing is asserted about speed: Hypothesis alone would let an example of 200 ms fail, and one second of making them.
hypothesis_settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.load_profile("any machine")

# Hypothesis refuses an example during which somebody took a random number of the process, as a pool does in the
# background for each connection it makes.
setattr(psycopg_pool.base, "random", RandomIds().jitter)  # noqa: B010 - it is not exported


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the contract tests be asked for on every shape of a database; see ``tests.contract.conftest``."""
    parser.addoption("--all-shapes", action="store_true", help="contract tests on every shape")


def pytest_configure(config: pytest.Config) -> None:
    """Forget the settings of the machine, and write into its memory where it has enough."""
    for name in [name for name in os.environ if _SETTINGS.fullmatch(name)]:
        del os.environ[name]
    sys.dont_write_bytecode = (
        False  # else each process that tests start compiles all that it imports
    )
    memory = memory_folder()
    if memory is not None:
        config.stash[_SCRATCH] = Scratch(memory)


def pytest_report_header() -> str:
    """Say where the files of the session are."""
    return f"temporary files: {tempfile.gettempdir()}"


def pytest_unconfigure(config: pytest.Config) -> None:
    """Give the memory back; worker processes use that of the one which started them."""
    scratch = config.stash.get(_SCRATCH, None)
    if scratch is not None:
        scratch.close()


@pytest.fixture(scope="session", autouse=True)
def _state_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what programs remember outside their databases in a folder of the session, not in somebody's home."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="session")
def postgres_home() -> Iterator[PostgresHome]:
    """Give the directory of this session's servers; each worker process has one of its own."""
    with PostgresHome() as home:
        yield home


@pytest.fixture(scope="session")
def postgres_server(postgres_home: PostgresHome) -> PostgresServer:
    """Give the server that tests share: fast, and not to be stopped."""
    return postgres_home.new_server(is_durable=False)


@pytest.fixture
def own_postgres_server(postgres_home: PostgresHome) -> Iterator[PostgresServer]:
    """Give a server of this test's own, as durable as in production, to stop, kill and start."""
    server = postgres_home.new_server(is_durable=True)
    yield server
    server.remove()


@pytest.fixture(scope="session")
def prepare_postgres() -> Callable[[str], None]:
    """Give the function that sets up a database; databases of tests are copies of one that it was called for."""
    return migrate_template


@pytest.fixture
def postgres_database(
    postgres_server: PostgresServer, prepare_postgres: Callable[[str], None]
) -> Iterator[PostgresDatabase]:
    """Give a database of this test's own."""
    name = postgres_server.create_database(postgres_server.template(prepare_postgres))
    yield PostgresDatabase(postgres_server, name)
    postgres_server.discard_database(name)
