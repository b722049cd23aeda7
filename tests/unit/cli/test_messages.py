"""What the command line logs on standard error: our own messages from a level on, and no chatter of the driver."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from aureus.cli.main import aureus
from aureus.errors import ConfigInvalid

ROOT = Path(__file__).resolve().parents[3]

_PROGRAM = """
import logging, sys
from aureus.cli.session import announce, settings_of
announce(settings_of({"log_level": sys.argv[1] or None}))
for name in ("aureus.database", "psycopg.pool"):
    for level in ("debug", "info", "warning", "error", "critical"):
        getattr(logging.getLogger(name), level)("a message")
"""


def messages(folder: Path, level: str, **environ: str) -> list[str]:
    """Return what a program logs that is started with ``--log-level``, as levels with names."""
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, level],
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
        env={"PYTHONPATH": str(ROOT / "src"), **environ},
    )
    assert done.stdout == ""
    first, *logged = done.stderr.splitlines()
    assert first.startswith("database: ")
    assert all(line.endswith(": a message") for line in logged)
    return [line.removesuffix(": a message") for line in logged]


OURS = [f"{level} aureus.database" for level in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")]
OF_DRIVER = [line.replace("aureus.database", "psycopg.pool") for line in OURS]
QUIET = OF_DRIVER[-1:]


@pytest.mark.parametrize(
    ("level", "logged"),
    [
        ("", OURS[1:] + QUIET),
        ("warning", OURS[2:] + QUIET),
        ("critical", OURS[4:] + QUIET),
        ("debug", OURS + OF_DRIVER),
    ],
)
def test_a_level_lets_through_what_is_as_important(
    tmp_path: Path, level: str, logged: list[str]
) -> None:
    assert messages(tmp_path, level) == logged


def test_the_environment_names_the_level_too(tmp_path: Path) -> None:
    assert messages(tmp_path, "", LOG_LEVEL="ERROR") == OURS[3:] + QUIET


def test_an_option_before_its_command_is_told_its_place() -> None:
    said = CliRunner().invoke(aureus, ["--database-url", "sqlite://", "runs", "list"])
    assert said.exit_code == 2
    assert "as in `aureus runs list --database-url …`" in said.output


def test_a_setting_that_is_wrong_is_named_by_the_flag_that_said_it() -> None:
    said = CliRunner().invoke(aureus, ["runs", "list", "--dsn", "aureus.db"])
    assert isinstance(said.exception, ConfigInvalid)
    assert "(flag --database-url)" in said.exception.message
