"""Stages on PostgreSQL, with and without a proxy that breaks things."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from aureus.clock import Clock, ManualClock
from tests.contract.stage import Stage
from tests.support.backends import Backend, settings_for
from tests.support.fault_proxy import FaultProxy
from tests.support.postgres import PostgresDatabase

MakeStage = Callable[..., Stage]


class PassingClock(ManualClock):
    """A clock on which time passes by looking at it: a limit comes after so many looks, however slow the machine is."""

    def monotonic(self) -> float:
        """Return the seconds that have passed, a tenth more than at the last look."""
        self.advance(0.1)
        return super().monotonic()


def passes(clock: ManualClock) -> bool:
    """Let a good part of a call's time pass, as a rule of a proxy whose server is away; always true."""
    clock.advance(20.0)
    return True


@pytest.fixture
def fault_proxy(postgres_database: PostgresDatabase) -> Iterator[FaultProxy]:
    """Give a proxy in front of the test's database, without rules yet."""
    server = postgres_database.server
    with FaultProxy(server.port, server.host) as proxy:
        yield proxy


@pytest.fixture
def make_stage(postgres_database: PostgresDatabase, tmp_path: Path) -> Iterator[MakeStage]:
    """Give a function that opens stages on the test's database, which are closed at the end."""
    opened = ExitStack()

    def make(
        *,
        port: int | None = None,
        is_async: bool = False,
        tenant: str = "acme",
        clock: Clock | None = None,
        **more: Any,
    ) -> Stage:
        url = postgres_database.url(port=port)
        # Behind a proxy exchanges are counted or broken: there nothing is sealed beside what a test does.
        sealing = "on" if port is None else "off"
        given = {"database.direct_url": postgres_database.url(), "ledger.sealing": sealing, **more}
        settings = settings_for(url, tmp_path, **given)
        backend = Backend(settings, is_async=is_async, clock=clock)
        opened.callback(backend.close)
        return Stage(backend, tenant)

    with opened:
        yield make


@pytest.fixture
def stage(make_stage: MakeStage) -> Stage:
    """Give a stage for threads."""
    return make_stage()


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Any]:
    """Give a function that opens a database by its URL, which is closed at the end."""
    backends = ExitStack()

    def open_at(url: str, *, clock: Clock | None = None, **more: Any) -> Backend:
        settings = settings_for(url, tmp_path, **more)
        backend = Backend(settings, is_async=False, clock=clock)
        backends.callback(backend.close)
        return backend

    with backends:
        yield open_at
