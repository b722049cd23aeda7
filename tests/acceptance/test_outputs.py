"""Where output cannot go, or holds what a terminal lacks: one line that says so, an exit code, and no traceback."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.project import Project

FULL = Path("/dev/full")
"""A file on a disk that is always full; Linux has it."""


def shell(project: Project, line: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a line of the shell in which ``aureus`` is the command line."""
    program = f'aureus() {{ "{sys.executable}" -m aureus "$@"; }}\n{line}'
    return subprocess.run(
        ["sh", "-c", program],
        cwd=project.folder,
        env={**project.environment, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture
def stocked(project: Project) -> Project:
    """Give a project with a memory that few encodings hold."""
    added = project.run(
        "memory", "add", "tea \N{TEACUP WITHOUT HANDLE} 日本", "--agent", "a", "--id", "m"
    )
    assert added.returncode == 0
    return project


@pytest.mark.parametrize("words", ["memory list", "memory show m --json", "memory search tea"])
def test_an_output_that_cannot_be_written_is_told_in_one_line(stocked: Project, words: str) -> None:
    done = shell(stocked, f"aureus {words} > {FULL}")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "error: the output cannot be written: No space left on device"
    )
    assert "Traceback" not in done.stderr
    assert shell(stocked, f"aureus {words} > {FULL} 2>&1").returncode == 1


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252"])
def test_what_a_terminal_lacks_is_shown_by_its_number(stocked: Project, encoding: str) -> None:
    shown = shell(stocked, "aureus memory search tea", PYTHONUTF8="0", PYTHONIOENCODING=encoding)
    assert (shown.returncode, "Traceback" in shown.stderr) == (0, False)
    assert r"tea \U0001f375 \u65e5\u672c" in shown.stdout
    as_json = shell(
        stocked, "aureus memory show m --json", PYTHONUTF8="0", PYTHONIOENCODING=encoding
    )
    assert as_json.stdout.isascii()
    assert json.loads(as_json.stdout)["text"] == "tea \N{TEACUP WITHOUT HANDLE} 日本"


def test_a_closed_standard_input_is_told(stocked: Project) -> None:
    done = shell(stocked, "aureus memory add - --agent a <&-")
    assert (done.returncode, "standard input, which is closed" in done.stderr) == (2, True)


def test_a_folder_that_is_gone_is_told(stocked: Project) -> None:
    done = shell(stocked, "mkdir gone && cd gone && rmdir ../gone && aureus memory list")
    assert (done.returncode, "is gone" in done.stderr) == (2, True)
    assert "Traceback" not in done.stderr


def test_the_first_page_of_help_has_a_line_for_each_example(project: Project) -> None:
    shown = project.run("--help").stdout
    assert "\\b" not in shown
    assert "  aureus runs list               what ran, runs and waits\n" in shown
