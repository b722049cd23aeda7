"""What a process imports before it does anything: it is what a user waits for at every command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

DRIVERS = {"apsw", "psycopg", "psycopg_pool"}
LIBRARIES = {"asyncio", "cryptography", "numpy", "ruamel", "Stemmer"}
LAYERS = {"client", "config", "engine", "execution", "ledger", "model", "stores"}

COMMAND_LINE = """
from aureus.cli.main import aureus
try:
    aureus(["{}"])
except SystemExit:
    pass
"""

OPEN = """
from aureus import Aureus
with Aureus("sqlite:///aureus.db") as db:
    db.runs.list()
"""

AWAITED = """
from aureus.client import AsyncAureus
"""


def imported(program: str, folder: Path) -> set[str]:
    """Run a program and return the names of all that it has imported, of packages and of modules."""
    told = f"{program}\nimport sys\nprint(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", told], cwd=folder, capture_output=True, text=True, check=True
    )
    modules = set(done.stderr.split())
    return modules | {module.partition(".")[0] for module in modules}


@pytest.mark.parametrize(
    "program",
    ["import aureus", COMMAND_LINE.format("--help"), COMMAND_LINE.format("--version")],
    ids=["package", "help", "version"],
)
def test_whoever_only_looks_pays_for_no_driver_library_or_layer(
    program: str, tmp_path: Path
) -> None:
    found = imported(program, tmp_path)
    assert not found & {*DRIVERS, *LIBRARIES, "orjson", "importlib.metadata"}
    assert not found & {f"aureus.{layer}" for layer in LAYERS}


def test_an_open_database_has_imported_the_nouns_that_were_asked_for(tmp_path: Path) -> None:
    found = imported(OPEN, tmp_path)
    assert {"apsw", "aureus.stores.runs"} <= found
    assert not found & {*LIBRARIES, "psycopg", "psycopg_pool"}
    stores = {name.removeprefix("aureus.stores.") for name in found if "aureus.stores." in name}
    assert {store.partition(".")[0] for store in stores} == {"health", "ledger", "runs"}
    assert not found & {
        f"aureus.{name}" for name in ("engine", "erasing", "retrieval", "snapshots")
    }


def test_a_client_for_event_loops_imports_none_for_threads(tmp_path: Path) -> None:
    found = imported(AWAITED, tmp_path)
    assert "aureus.client.loop" in found
    assert not found & {*DRIVERS, *LIBRARIES - {"asyncio"}, "aureus.client.threads"}
