"""The import contracts in pyproject.toml refuse what they are there for.

They are tried on a small package of the same shape, so that each is seen to fail; that the real package keeps them is
checked by ``make check``.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

MODULES = (
    *("__main__", "client", "clock", "codec", "errors", "ids"),
    *("_database/postgres/runner", "_database/sqlite/runner", "_database/catalog"),
    *(
        "_sql/__init__",
        "cli/main",
        "config/table",
        "engine/definition/reader",
        "engine/worker",
        "ledger/recorder",
    ),
    *(
        "model/runs",
        "model/states",
        "runlog/writer",
        "stores/runs",
        "stores/tasks",
        "tools/command",
    ),
)

ALLOWED = {
    "cli/main": "import aureus.client",
    "client": "import aureus.engine.worker, aureus.runlog.writer, aureus.ledger.recorder",
    "engine/worker": "import asyncio, aureus.stores.runs, aureus.tools.command, aureus.config.table",
    "engine/definition/reader": "from ruamel.yaml import YAML",
    "stores/runs": "import datetime, aureus._database.sqlite.runner, aureus.model.runs, aureus.codec",
    "_database/sqlite/runner": "import apsw, threading, time, aureus.model.states",
    "_database/postgres/runner": "import psycopg, psycopg_pool",
    "model/runs": "import datetime, aureus.model.states, aureus.errors",
    "codec": "import aureus.errors",
}


def lint(folder: Path, imports: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Check a package made of our modules with these imports against our contracts."""
    for module in MODULES:
        path = folder / "aureus" / f"{module}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(imports.get(module, "") + "\n", encoding="utf-8")
        for package in path.relative_to(folder).parents[:-1]:
            (folder / package / "__init__.py").touch()
    shutil.copy(ROOT / "pyproject.toml", folder)
    program = "from importlinter.cli import lint_imports_command as run; run()"
    command = [sys.executable, "-c", program, "--no-cache", "--no-logo"]
    environment = {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "200"}
    return subprocess.run(
        command, cwd=folder, env=environment, check=False, capture_output=True, text=True
    )


def test_the_shape_of_the_package_is_allowed(tmp_path: Path) -> None:
    done = lint(tmp_path, ALLOWED)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("engine/worker", "import aureus.client", "Imports go down only"),
        ("engine/worker", "import aureus.runlog.writer", "Imports go down only"),
        ("stores/runs", "import aureus.ledger.recorder", "Imports go down only"),
        ("_database/sqlite/runner", "import aureus.stores.runs", "Imports go down only"),
        ("model/runs", "import aureus.config.table", "Imports go down only"),
        ("codec", "import aureus.clock", "Imports go down only"),
        ("errors", "import aureus.codec", "Imports go down only"),
        ("stores/runs", "import aureus.stores.tasks", "Stores do not know each other"),
        ("tools/command", "import aureus.stores.runs", "Tools know no store"),
        ("tools/command", "import aureus._database.sqlite.runner", "Tools know no store"),
        ("model/runs", "import aureus.codec", "The model is pure"),
        ("stores/runs", "import psycopg", "Only the runner of an engine"),
        ("engine/worker", "import apsw", "Only the runner of an engine"),
        ("client", "import sqlite3", "Only the runner of an engine"),
        ("_database/sqlite/runner", "import psycopg", "Only the runner of an engine"),
        ("_database/postgres/runner", "import apsw", "Only the runner of an engine"),
        ("_database/catalog", "import apsw", "Only the runner of an engine"),
        (
            "_database/sqlite/runner",
            "import aureus._database.postgres.runner",
            "The engines do not",
        ),
        ("cli/main", "from ruamel.yaml import YAML", "Only workflow definitions"),
        ("stores/runs", "import asyncio", "Decisions are made without"),
        ("stores/runs", "from time import sleep", "Decisions are made without"),
        ("model/runs", "import random", "Decisions are made without"),
    ],
)
def test_an_import_that_breaks_a_contract_is_refused(
    tmp_path: Path, module: str, line: str, contract: str
) -> None:
    done = lint(tmp_path, {module: line})
    assert done.returncode == 1, done.stdout + done.stderr
    broken = [text for text in done.stdout.splitlines() if text.endswith("BROKEN")]
    assert any(text.startswith(contract) for text in broken), done.stdout


def test_a_package_that_no_layer_names_is_refused(tmp_path: Path) -> None:
    (tmp_path / "aureus").mkdir()
    (tmp_path / "aureus" / "surprise.py").touch()
    done = lint(tmp_path, {})
    assert done.returncode == 1
    assert "surprise" in done.stdout
