"""Ruff, as pyproject.toml sets it up, refuses what the house style leaves to it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

STORE = "src/aureus/stores/notes.py"
HEAD = '"""Notes."""\n\nfrom __future__ import annotations\n\n'


def refused(path: str, text: str) -> set[str]:
    """Return the codes of the rules that ruff finds broken in a file."""
    command = [
        sys.executable,
        "-m",
        "ruff",
        "check",
        "--no-cache",
        "--output-format=concise",
        "--stdin-filename",
        path,
        "-",
    ]
    done = subprocess.run(
        command, cwd=ROOT, input=text, check=False, capture_output=True, text=True
    )
    assert done.returncode in {0, 1}, done.stderr
    return set(re.findall(r":\d+:\d+: ([A-Z]+\d+)", done.stdout))


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("T201", 'print("hello")'),
        ("TID251", "import random"),
        ("TID251", "from random import random"),
        ("TID251", "import datetime\n\nNOW = datetime.datetime.now(datetime.UTC)"),
        ("TID251", "from datetime import UTC, datetime\n\nNOW = datetime.now(UTC)"),
        ("TID251", "import time\n\nNOW = time.time()"),
        ("TID251", "from time import monotonic\n\nNOW = monotonic()"),
        ("TID251", "import time\n\ntime.sleep(1)"),
        ("TID251", "import asyncio\n\nWAIT = asyncio.sleep(1)"),
        ("TID251", "import uuid\n\nNEW = uuid.uuid4()"),
        ("TID251", "import os\n\nNEW = os.urandom(8)"),
        ("TID251", "import secrets"),
        ("TID252", "from . import runs"),
        ("FIX002", "# TO" + "DO: later"),
        ("D103", "def read() -> None:\n    return None"),
        ("ANN201", 'def read():\n    """Read."""'),
        ("BLE001", "try:\n    x = 1\nexcept Exception:\n    x = 2"),
        ("E722", "try:\n    x = 1\nexcept:\n    x = 2"),
        ("S301", "import pickle\n\nX = pickle.loads(b'')"),
        ("DTZ001", "import datetime\n\nX = datetime.datetime(2026, 1, 1)"),
        ("ERA001", "# x = f(1)"),
        ("E501", f"X = '{'x' * 120}'"),
    ],
)
def test_ruff_refuses(code: str, line: str) -> None:
    assert code in refused(STORE, f"{HEAD}{line}\n")


def test_a_module_begins_with_its_docstring_and_the_future_import() -> None:
    assert {"D100", "I002"} <= refused(STORE, "x = 1\n")


@pytest.mark.parametrize(
    ("path", "code", "line"),
    [
        ("src/aureus/cli/runs.py", "T201", 'print("data goes to standard output")'),
        ("src/aureus/clock.py", "TID251", "import time\n\nNOW = time.time()"),
        ("src/aureus/ids.py", "TID251", "import os\n\nNEW = os.urandom(8)"),
    ],
)
def test_the_one_place_that_may_is_let(path: str, code: str, line: str) -> None:
    assert code not in refused(path, f"{HEAD}{line}\n")
    assert code in refused(STORE, f"{HEAD}{line}\n")
