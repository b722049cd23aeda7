"""The command that erases people: it looks, asks, erases, and says what it did not look into."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from aureus.cli.main import aureus
from aureus.client import Aureus
from aureus.errors import Invalid, NotFound
from tests.support.person import NAME, WORD, write_life


class Shell:
    """A folder with a database, in which commands are run."""

    def __init__(self, folder: Path) -> None:
        self.url = f"sqlite:///{folder}/aureus.db"

    def run(self, *arguments: str, typed: str | None = None) -> Result:
        """Run a command and return what came of it."""
        environment = {"AUREUS_DATABASE_URL": self.url, "AUREUS_ACTOR": "officer"}
        command = ["erase", *arguments, "--reason", "request 17"]
        return CliRunner().invoke(aureus, command, env=environment, input=typed)

    def memories(self) -> int:
        """Return how many memories of the person there are."""
        with Aureus(self.url) as client:
            return client.memories.count(user_id=NAME)


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.chdir(tmp_path)
    found = Shell(tmp_path)
    with Aureus(found.url) as client:
        write_life(client)
    return found


def test_a_dry_run_tells_what_there_is(shell: Shell) -> None:
    result = shell.run(NAME, "--dry-run")
    assert result.exit_code == 0, result.exception
    assert "FOUND" in result.stdout
    assert "not erased: session planner/s1" in result.stderr
    assert shell.memories() > 0


def test_it_asks_nobody_where_nobody_is_there(shell: Shell) -> None:
    result = shell.run(NAME)
    assert result.exit_code == 2
    assert "--yes" in result.stderr
    assert shell.memories() > 0


@pytest.mark.parametrize(("typed", "is_erased"), [("y\n", True), ("n\n", False)])
def test_it_asks_a_person(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, typed: str, is_erased: bool
) -> None:
    monkeypatch.setattr("aureus.cli.erase._is_somebody_there", lambda: True)
    result = shell.run(NAME, typed=typed)
    assert (result.exit_code == 0) is is_erased
    assert (shell.memories() == 0) is is_erased


def test_the_report_says_what_was_erased_what_stays_and_what_was_not_looked_into(
    shell: Shell,
) -> None:
    result = shell.run(NAME, "--yes", "--session", "planner/s1", "--stream", "journal/ada")
    assert result.exit_code == 0, result.exception
    assert "ERASED" in result.stdout
    for part in (
        "recorded in the stream erasures/",
        "kept: the entries of profiles/ada",
        "not searched: keys of the world state",
    ):
        assert part in result.stderr
    assert WORD.encode() not in Path("aureus.db").read_bytes()


def test_events_that_were_erased_are_shown_as_such(shell: Shell) -> None:
    shell.run(NAME, "--yes")
    environment = {"AUREUS_DATABASE_URL": shell.url}
    result = CliRunner().invoke(aureus, ["events", "read", "talks/1"], env=environment)
    lines = result.stdout.splitlines()
    assert [line.endswith("(erased)") for line in lines] == [True, False]


def test_the_report_as_json_is_the_whole_report(shell: Shell) -> None:
    result = shell.run(NAME, "--yes", "--json", "--no-scrub")
    report: dict[str, Any] = json.loads(result.stdout)
    assert report["removed"]["memories"] == 8
    assert report["scrub"] == {
        "is_done": False,
        "to_do": ["VACUUM; PRAGMA wal_checkpoint(TRUNCATE);"],
    }
    assert report["named_sessions"] == [
        {"agent_id": "planner", "session_id": "s1", "collection": "sessions"}
    ]
    assert report["not_searched"]


def test_somebody_of_whom_nothing_is_held_is_an_error(shell: Shell) -> None:
    for more in (["--dry-run"], ["--yes"]):
        result = shell.run("nobody", *more)
        assert isinstance(result.exception, NotFound)


def test_a_reason_with_the_name_and_a_session_without_an_agent_are_refused(shell: Shell) -> None:
    assert isinstance(shell.run("request", "--yes").exception, Invalid)
    assert shell.run(NAME, "--yes", "--session", "s1").exit_code == 2
    assert shell.memories() > 0
