"""Sessions and world state on the command line, and the adoption of another program's table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import apsw
import pytest
from click.testing import CliRunner, Result

from aureus.cli.main import aureus
from aureus.client import Aureus
from aureus.errors import Invalid, NotFound, VersionConflict


class Shell:
    """A folder with a database, in which commands are run."""

    def __init__(self, folder: Path) -> None:
        self.url = f"sqlite:///{folder}/aureus.db"

    def run(self, *arguments: str) -> Result:
        """Run a command and return what came of it."""
        environment = {"AUREUS_DATABASE_URL": self.url, "AUREUS_ACTOR": "ada"}
        return CliRunner().invoke(aureus, list(arguments), env=environment)

    def say(self, *arguments: str) -> str:
        """Run a command that succeeds and return what it printed."""
        result = self.run(*arguments)
        assert result.exit_code == 0, (result.output, result.exception)
        return result.stdout

    def load(self, *arguments: str) -> Any:
        """Run a command that succeeds and return its JSON."""
        return json.loads(self.say(*arguments, "--json"))


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.chdir(tmp_path)
    shell = Shell(tmp_path)
    with Aureus(shell.url) as client:
        client.sessions.save("planner", "s1", {"step": 1}, context={"user": "ada"})
        client.sessions.append("planner", "s1", "user", "When is high water?\x1b[2J")
        client.sessions.append("planner", "s1", "agent", {"at": "14:32"})
        client.sessions.save("planner", "s2", [])
        client.sessions.collection("coach").save("trainer", "t1", 1)
    return shell


def test_sessions_are_listed_and_shown(shell: Shell) -> None:
    assert [line.split()[0] for line in shell.say("sessions", "list").splitlines()] == [
        "AGENT",
        "planner",
    ]
    assert shell.load("sessions", "list")[0]["session_count"] == 2
    assert shell.load("sessions", "list", "--collection", "coach")[0]["agent_id"] == "trainer"
    listed = [line.split()[:3] for line in shell.say("sessions", "list", "planner").splitlines()]
    assert listed[1:] == [["s2", "1", "0"], ["s1", "3", "2"]]
    assert [one["session_id"] for one in shell.load("sessions", "list", "planner")] == ["s2", "s1"]
    assert "no sessions of nobody" in shell.run("sessions", "list", "nobody").stderr

    shown = shell.say("sessions", "show", "planner", "s1")
    assert 'state     {"step":1}' in shown
    assert '2 agent: {"at":"14:32"}' in shown
    assert "\x1b" not in shown
    found = shell.load("sessions", "show", "planner", "s1", "--messages", "1")
    assert (found["version"], found["context"]) == (3, {"user": "ada"})
    assert [message["position"] for message in found["messages"]] == [2]
    assert isinstance(shell.run("sessions", "show", "planner", "s9").exception, NotFound)


def test_sessions_are_deleted_in_somebodys_name(shell: Shell) -> None:
    assert shell.say("sessions", "delete", "planner", "s1") == "1 deleted\n"
    assert shell.load("sessions", "delete", "planner", "s1") == {"deleted": 0}
    assert shell.run("sessions", "delete", "planner").exit_code == 2
    assert shell.run("sessions", "delete", "planner", "s2", "--all").exit_code == 2
    assert shell.load("sessions", "delete", "planner", "--all") == {"deleted": 1}
    with Aureus(shell.url) as client:
        entries = client.audit.list().entries
    assert [(entry.action, entry.actor) for entry in entries] == [
        ("session.delete", "ada"),
        ("session.delete-all", "ada"),
    ]


def test_a_table_of_another_program_is_adopted(shell: Shell, tmp_path: Path) -> None:
    forge = tmp_path / "forge.db"
    source = ["--from", f"sqlite:///{forge}"]
    connection = apsw.Connection(str(forge))
    connection.execute(
        'CREATE TABLE "agent-states" (agent_id TEXT, session_id TEXT, state TEXT, created_at, updated_at)'
    )
    document = {"version": 4, "data": {"n": 1}, "context": {"k": 1}, "history": [
        {"role": "user", "content": "hi", "timestamp": "2024-05-01T10:00:00Z", "metadata": {"m": 1}},
        {"role": "agent", "content": "hello"},
    ]}  # fmt: skip
    rows: list[Any] = [("planner", f"f{n}", json.dumps({**document, "data": n}), 1714557600, "2024-05-02 10:00:00")
            for n in range(450)]  # fmt: skip
    rows.append(("planner", "s1", '{"other": "shape"}', 0, 0))
    connection.executemany('INSERT INTO "agent-states" VALUES (?, ?, ?, ?, ?)', rows)

    report = shell.load("sessions", "adopt", "agent-states", *source)
    assert report == {
        "table": "agent-states", "collection": "sessions", "row_count": 451, "copied_count": 450, "left_count": 1,
        "grown_count": 450, "is_verified": True,
    }  # fmt: skip
    again = shell.say("sessions", "adopt", "agent-states", *source)
    assert again == "0 copied, 451 were here already\n"
    session = shell.load("sessions", "show", "planner", "f7")
    assert (session["state"], session["version"], session["context"]) == (7, 4, {"k": 1})
    assert session["created_at"] == "2024-05-01T10:00:00.000000Z"
    assert session["updated_at"] == "2024-05-02T10:00:00.000000Z"
    assert [message["content"] for message in session["messages"]] == ["hi", "hello"]
    assert session["messages"][0]["metadata"] == {"m": 1}

    connection.execute("UPDATE \"agent-states\" SET state = 'no JSON' WHERE session_id = 's1'")
    for table, error in (
        ("agent_states", NotFound),
        ('x"; DROP TABLE y', Invalid),
        ("a.b.c", Invalid),
        ("agent-states", Invalid),
    ):
        result = shell.run("sessions", "adopt", table, *source)
        assert isinstance(result.exception, error), table
    assert isinstance(
        shell.run("sessions", "adopt", "t", "--from", f"sqlite:///{tmp_path}/none.db").exception,
        NotFound,
    )
    connection.close()


def test_keys_are_set_read_and_listed(shell: Shell) -> None:
    assert shell.say("state", "set", "plan", '{"step": 1}') == "1\n"
    assert shell.load("state", "set", "plan", "a word", "--expected-version", "1")["version"] == 2
    conflict = shell.run("state", "set", "plan", "3", "--expected-version", "1")
    assert isinstance(conflict.exception, VersionConflict)
    assert shell.say("state", "get", "plan") == '"a word"\n'
    assert shell.load("state", "get", "plan", "--version", "1")["value"] == {"step": 1}
    assert "a word" in shell.say("state", "list", "pl")
    assert shell.load("state", "list", "x") == []
    assert [entry["version"] for entry in shell.load("state", "history", "plan")] == [2, 1]
    assert shell.load("state", "list", "--scope", "other") == []
    with Aureus(shell.url) as client:
        client.world_state.delete("plan")
    assert "(deleted)" in shell.say("state", "history", "plan")
    assert "nothing there" in shell.run("state", "list").stderr
    assert isinstance(shell.run("state", "history", "never").exception, NotFound)


def test_a_value_that_begins_like_json_is_no_text_by_mistake(shell: Shell) -> None:
    for mistyped in ('{"step": 1', "[1, 2", " {step: 1}"):
        refused = shell.run("state", "set", "plan", mistyped)
        assert (refused.exit_code, "begins like JSON" in refused.output) == (2, True)
    assert shell.say("state", "set", "plan", '"[draft] a word"') == "1\n"
    assert shell.say("state", "set", "plan", 'a "word"') == "2\n"


def test_old_versions_of_keys_are_pruned(shell: Shell) -> None:
    for number in range(4):
        shell.say("state", "set", "plan", str(number))
    refused = shell.run("state", "prune")
    assert isinstance(refused.exception, Invalid)
    assert "--keep N" in str(refused.exception)
    assert shell.run("state", "prune", "--before", "yesterday").exit_code == 2
    assert shell.say("state", "prune", "--before", "2020-01-01") == "0 versions\n"
    done = shell.load("state", "prune", "--keep", "2", "--reason", "tidy")
    assert (done["scope"], done["version_count"], len(done["record_ids"])) == ("default", 2, 1)
    assert [entry["version"] for entry in shell.load("state", "history", "plan")] == [4, 3]
