"""A worker that is killed with SIGKILL: the next one goes on at once, and no finished task runs again."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from aureus.client import Aureus
from aureus.config import Settings
from tests.engine.conftest import SHARED
from tests.engine.worker_program import WAVES, WIDTH
from tests.engine.workshop import TENANT
from tests.support.effects import read_effects
from tests.support.programs import killed, running, unheard
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]


def worker(url: str, ledger: Path, *more: str) -> AbstractContextManager[subprocess.Popen[str]]:
    """Start a worker, and end it with the block."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    program = [sys.executable, str(ROOT / "tests/engine/worker_program.py")]
    return running([*program, url, str(ledger), *more], environment=environment)


@SHARED
@pytest.mark.parametrize("effects_before", [1, 4, 8, 13])
def test_a_killed_worker_is_followed_at_once_and_nothing_finished_runs_again(
    database_url: str, settings: Settings, tmp_path: Path, effects_before: int
) -> None:
    ledger = tmp_path / "effects"
    with worker(database_url, ledger, str(effects_before)) as first:
        eventually(lambda: len(read_effects(ledger)) >= effects_before, "the worker works")
        killed(first)
    with Aureus(settings=settings) as client:
        stores = client.for_tenant(TENANT)
        (run,) = stores.runs.list()
        rows = stores.tasks.list(run.run_id)
    finished = {row.name for row in rows if row.status.value == "completed"}
    before = read_effects(ledger)
    with worker(database_url, ledger) as second:
        assert unheard(second) == ["completed True"]
    after = read_effects(ledger)[len(before) :]
    assert not finished & {effect["task"] for effect in after}
    effects = Counter(effect["task"] for effect in read_effects(ledger))
    assert len(effects) == WAVES * WIDTH
    assert max(effects.values()) <= 2
    keys = {(effect["task"], effect["key"]) for effect in read_effects(ledger)}
    assert len(keys) == WAVES * WIDTH, "a repeated task has the same key"
