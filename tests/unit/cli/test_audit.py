"""The audit trail on the command line: found, shown, verified, exported, and what it records."""

from __future__ import annotations

import json
from pathlib import Path

import apsw
import pytest
from click.testing import Result

from aureus import ABSENT, Provenance
from aureus.client import Aureus
from aureus.errors import AlreadyExists, Invalid, NotFound
from tests.unit.cli.test_sessions import Shell


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AUREUS_LEDGER_HEADS", str(tmp_path / "heads"))
    shell = Shell(tmp_path)
    with Aureus(shell.url) as client:
        client.audit.append(
            "planner", "plan.change", before={"step": 1, "old": "\x1b[2J"}, after={"step": 2, "new": []},
            resource="plans/1", provenance=Provenance("r1", "t1"), metadata={"why": "late"}, operation_id="first",
        )  # fmt: skip
        client.audit.append("ada", "plan.refuse", outcome="denied", before=ABSENT, after=None)
        client.world_state.set("k", 1)
        client.world_state.delete("k", actor="ada")
    return shell


def failing(shell: Shell, *arguments: str) -> Result:
    """Run a command that does not succeed."""
    result = shell.run(*arguments)
    assert result.exit_code != 0, result.output
    return result


def test_entries_are_listed_by_what_they_are_about(shell: Shell) -> None:
    lines = shell.say("audit", "list").splitlines()
    assert [line.split()[2:5] for line in lines] == [
        ["ACTION", "OUTCOME", "RESOURCE"],
        ["planner", "plan.change", "success"],
        ["ada", "plan.refuse", "denied"],
        ["ada", "world-state.delete", "success"],
    ]
    for flags, actions in (
        (["--actor", "planner"], ["plan.change"]),
        (["--action", "plan.refuse"], ["plan.refuse"]),
        (["--outcome", "denied"], ["plan.refuse"]),
        (["--run", "r1", "--task", "t1"], ["plan.change"]),
        (["--resource", "plans/1", "--since", "2020-01-01"], ["plan.change"]),
        (["--until", "2020-01-01T00:00:00Z"], []),
        (["--newest", "--limit", "1"], ["world-state.delete"]),
    ):
        found = shell.load("audit", "list", *flags)
        assert [entry["action"] for entry in found["entries"]] == actions, flags
    page = shell.load("audit", "list", "--limit", "2")
    rest = shell.load("audit", "list", "--cursor", page["cursor"])
    assert len(page["entries"]) + len(rest["entries"]) == 3
    assert rest["cursor"] is None
    assert f"--cursor {page['cursor']}" in shell.run("audit", "list", "--limit", "2").stderr
    assert "nothing there" in shell.run("audit", "list", "--actor", "nobody").stderr
    assert "is no time" in failing(shell, "audit", "list", "--since", "soon").stderr


def test_an_entry_shows_what_it_changed(shell: Shell) -> None:
    shown = shell.say("audit", "show", "first")
    assert "actor       planner" in shown
    assert '"runId"' not in shown
    assert '+ /new  []\n- /old  "' in shown
    assert "~ /step  1 → 2" in shown
    assert "\x1b" not in shown
    entry = shell.load("audit", "show", "first")
    assert (entry["before"]["step"], entry["provenance"]["run_id"]) == (1, "r1")
    assert isinstance(shell.run("audit", "show", "nothing").exception, NotFound)


def test_the_mode_is_shown_and_set_in_somebodys_name(shell: Shell) -> None:
    assert shell.say("audit", "mode") == "decisions\n"
    assert shell.say("audit", "mode", "off") == "off\n"
    assert shell.load("audit", "mode")["changed_by"] == "ada"
    assert "set by ada" in shell.run("audit", "mode").stderr
    assert isinstance(shell.run("audit", "mode", "some").exception, Invalid)
    shell.say("state", "set", "l", "1")
    assert shell.load("audit", "mode", "default")["is_default"]
    changes = shell.load("audit", "list", "--action", "audit.set-mode")["entries"]
    assert [one["after"]["mode"] for one in changes] == ["off", None]


def test_what_is_exported_verifies_without_a_database(shell: Shell, tmp_path: Path) -> None:
    key = shell.say("ledger", "keygen", "--key-file", "private").strip()
    shell.say("ledger", "sign", "--key-file", "private")
    told = shell.load("audit", "export", "some.jsonl", "--actor", "ada")
    assert (told["file"], told["proof"]) == ("some.jsonl", "some.jsonl.proof")
    shell.say("audit", "export", "all.jsonl", "--whole")
    assert len(Path("some.jsonl").read_bytes().splitlines()) == 2
    assert isinstance(
        shell.run("audit", "export", "x.jsonl", "--whole", "--actor", "ada").exception, Invalid
    )
    (tmp_path / "aureus.db").rename(tmp_path / "away.db")
    for file in ("some.jsonl", "all.jsonl"):
        report = shell.load("audit", "verify", "--export", file, "--key", key)
        assert (report["is_intact"], report["is_anchored"]) == (True, True), file
        assert "NOT ANCHORED" in shell.say("audit", "verify", "--export", file)
        path = Path(file)
        path.write_bytes(path.read_bytes().replace(b"world_state_deleted", b"world_state_retained"))
        assert shell.run("audit", "verify", "--export", file, "--key", key).exit_code == 5


def test_entries_a_range_and_all_of_it_are_verified(shell: Shell, tmp_path: Path) -> None:
    assert shell.say("audit", "verify", "first") == "intact: position 0\n"
    assert "intact: 4 entries" in shell.say("audit", "verify")
    assert "intact: 2 entries" in shell.say("audit", "verify", "--from", "1", "--to", "3")
    assert shell.load("audit", "verify", "first")["is_intact"]
    assert failing(shell, "audit", "verify", "first", "--from", "1").exit_code == 2
    assert isinstance(shell.run("audit", "verify", "--from", "9").exception, Invalid)
    connection = apsw.Connection(str(tmp_path / "aureus.db"))
    connection.execute("DROP TRIGGER audit_references_no_update")
    connection.execute("UPDATE audit_references SET value = 'r2' WHERE kind = 'run'")
    connection.close()
    for arguments in (["first"], [], ["--from", "0", "--to", "2"]):
        result = shell.run("audit", "verify", *arguments)
        assert (result.exit_code, "audit_references" in result.output) == (5, True), arguments
    assert "intact" in shell.say("audit", "verify", "--from", "1")
    found = json.loads(shell.run("audit", "verify", "--json").stdout)
    assert [(one["kind"], one["event_id"]) for one in found["findings"]] == [("column", "first")]


def test_no_file_is_written_over_and_none_is_left_unfinished(shell: Shell) -> None:
    for name in ("there.jsonl", "new.jsonl.proof"):
        Path(name).write_text("mine")
    for name in ("there.jsonl", "new.jsonl"):
        assert isinstance(shell.run("audit", "export", name).exception, AlreadyExists)
    assert isinstance(shell.run("audit", "export", "nowhere/x.jsonl").exception, Invalid)
    assert sorted(path.name for path in Path().glob("*.jsonl*")) == [
        "new.jsonl.proof",
        "there.jsonl",
    ]
    assert {Path(name).read_text() for name in ("there.jsonl", "new.jsonl.proof")} == {"mine"}
