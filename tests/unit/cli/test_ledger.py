"""The ledger on the command line: signed, proved and verified, with and without its database."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import apsw
import pytest
from click.testing import CliRunner, Result

from aureus.cli.main import aureus
from aureus.client import Aureus
from aureus.errors import (
    AlreadyExists,
    ConfigInvalid,
    DatabaseMissing,
    HistoryRewound,
    IntegrityFailure,
    Invalid,
    NotFound,
)
from aureus.ledger.exports import ExportProof, SignedHead, range_lines
from aureus.ledger.keys import PublicKey
from aureus.ledger.notes import Note
from aureus.model.heads import Head


class Shell:
    """A folder with a database, in which commands are run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"sqlite:///{folder}/aureus.db"

    def run(self, *arguments: str) -> Result:
        """Run a command and return what came of it."""
        environment = {
            "AUREUS_DATABASE_URL": self.url,
            "AUREUS_ACTOR": "ada",
            "AUREUS_LEDGER_HEADS": str(self.folder / "heads"),
        }
        return CliRunner().invoke(aureus, ["ledger", *arguments], env=environment)

    def say(self, *arguments: str) -> str:
        """Run a command that succeeds and return what it printed."""
        result = self.run(*arguments)
        assert result.exit_code == 0, (result.output, result.exception)
        return result.stdout

    def load(self, *arguments: str) -> Any:
        """Run a command that succeeds and return its JSON."""
        return json.loads(self.say(*arguments, "--json"))

    def fail(self, error: type[Exception], *arguments: str) -> str:
        """Run a command that raises an error and return its message."""
        result = self.run(*arguments)
        assert isinstance(result.exception, error), (result.output, result.exception)
        return str(result.exception)

    def tamper(self, statement: str) -> None:
        """Change something in the database as its owner could."""
        connection = apsw.Connection(str(self.folder / "aureus.db"))
        for (name,) in list(
            connection.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'")
        ):
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute(statement)
        connection.close()


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.chdir(tmp_path)
    shell = Shell(tmp_path)
    with Aureus(shell.url) as client:
        for number in range(4):
            client.events.append("orders/1", "noted", {"n": number}, event_id=f"e-{number}")
    return shell


def test_a_key_is_made_once_and_signs(shell: Shell) -> None:
    public = PublicKey.from_text(shell.say("keygen", "--key-file", "key"))
    assert public.name == "aureus"
    assert (shell.folder / "key").stat().st_mode & 0o777 == 0o600
    shell.fail(AlreadyExists, "keygen", "--key-file", "key")
    assert shell.load("keygen", "--key-file", "key2", "--name", "other")["name"] == "other"
    note = Note.from_text(shell.say("sign", "--key-file", "key"))
    assert list(note.verify([public])) == [public]
    assert Head.from_text(note.text).size == 4
    assert shell.load("sign", "--key-file", "key")["size"] == 4
    assert "ledger.key_file" in shell.fail(ConfigInvalid, "sign")
    shell.fail(NotFound, "sign", "--key-file", "none")


def test_one_head_covers_all_tenants_and_only_a_log_that_goes_on_is_signed(shell: Shell) -> None:
    with Aureus(shell.url) as client:
        client.for_tenant("globex").events.append("a/1", "noted", {})
    public = PublicKey.from_text(shell.say("keygen", "--key-file", "key"))
    assert shell.load("anchor")["anchored_count"] == 2
    note = Note.from_text(shell.say("anchor", "--key-file", "key"))
    assert list(note.verify([public])) == [public]
    head = Head.from_text(note.text)
    assert (head.size, head.origin.startswith("aureus/anchors/")) == (2, True)
    with Aureus(shell.url) as client:
        client.events.append("a/1", "noted", {})
    again = shell.load("anchor", "--key-file", "key")
    assert (again["anchored_count"], again["head"]["size"]) == (1, 3)
    shell.tamper("UPDATE anchor_heads SET root = zeroblob(32) WHERE log_no = 1")
    assert "does not begin with" in shell.fail(IntegrityFailure, "anchor", "--key-file", "key")
    shell.tamper("UPDATE anchor_heads SET size = 1, peaks = zeroblob(32) WHERE log_no = 1")
    shell.tamper("DELETE FROM anchors WHERE position > 0")
    shell.tamper("DELETE FROM ledger_heads")
    assert "older state" in shell.fail(HistoryRewound, "anchor", "--key-file", "key")


def test_status_and_head_are_shown(shell: Shell) -> None:
    status = shell.load("status")
    assert (status["head"]["size"], status["pending_count"], status["signed_size"]) == (4, 0, None)
    assert status["is_rewound"] is False
    assert "signed up to" in shell.say("status")
    head = Head.from_text(shell.say("head"))
    assert shell.load("head") == head.to_dict()
    assert shell.load("status")["seen_size"] == 4
    assert shell.say("seal") == "0\n"
    assert shell.load("seal") == {"sealed_count": 0, "size": 4}


def test_what_is_intact_is_said_to_be(shell: Shell) -> None:
    assert "NOT ANCHORED" in shell.say("verify")
    public = shell.say("keygen", "--key-file", "key").strip()
    (shell.folder / "trusted").write_text(f"# ours\n\n{public}\n")
    (shell.folder / "head").write_text(shell.say("sign", "--key-file", "key"))
    for keys in (["--key", public], ["--key", "trusted"]):
        assert "anchored up to size 4." in shell.say("verify", *keys, "--head", "head")
    report = shell.load("verify", "--key", "trusted", "--since-last")
    assert (report["is_intact"], report["is_anchored"], report["entry_count"]) == (True, True, 0)


def test_what_was_changed_is_named_and_the_exit_code_says_so(shell: Shell) -> None:
    shell.say("verify")
    shell.tamper("UPDATE events SET actor = 'nobody' WHERE event_id = 'e-2'")
    result = shell.run("verify")
    assert result.exit_code == 5
    assert "BROKEN: column at position 2" in result.stdout
    assert "e-2" in result.stdout
    (finding,) = json.loads(shell.run("verify", "--json").stdout)["findings"]
    assert (finding["kind"], finding["position"], finding["event_id"]) == ("column", 2, "e-2")


def test_an_older_state_is_refused_until_somebody_accepts_it(shell: Shell) -> None:
    shell.say("keygen", "--key-file", "key")
    backup = (shell.folder / "aureus.db").read_bytes()
    with Aureus(shell.url) as client:
        client.events.append("orders/1", "noted", {})
    assert Head.from_text(shell.say("head")).size == 5
    shell.fail(NotFound, "accept-restore")
    for rest in shell.folder.glob("aureus.db*"):
        rest.unlink()
    (shell.folder / "aureus.db").write_bytes(backup)
    assert "accept-restore" in shell.fail(HistoryRewound, "head")
    shell.fail(HistoryRewound, "sign", "--key-file", "key")
    assert "rewound" in shell.run("status").stderr
    assert shell.run("verify").exit_code == 5
    assert shell.say("accept-restore").startswith("incarnation 2, from size 4 on")
    assert "intact" in shell.say("verify")
    assert Head.from_text(shell.say("head")).origin.endswith(".2")


def test_a_proof_file_needs_no_database(shell: Shell) -> None:
    public = shell.say("keygen", "--key-file", "key").strip()
    assert "not anchored" in shell.run("prove", "e-1").stderr
    shell.say("sign", "--key-file", "key")
    assert shell.load("prove", "e-1", "-o", "proof")["position"] == 1
    assert shell.say("prove", "e-1") == (shell.folder / "proof").read_text()
    shell.fail(NotFound, "prove", "e-9")
    (shell.folder / "aureus.db").unlink()
    offline = ("verify", "--proof", "proof")
    assert "proved: event e-1 (noted in orders/1, by unknown" in shell.say(
        *offline, "--key", public
    )
    found = shell.load(*offline, "--key", public)
    assert (found["event"]["payload"], found["is_anchored"]) == ({"n": 1}, True)
    assert "NOT ANCHORED" in shell.run(*offline).stderr
    other = PublicKey("aureus", bytes(32)).text
    shell.fail(IntegrityFailure, *offline, "--key", other)
    text = (shell.folder / "proof").read_text()
    (shell.folder / "proof").write_text(text.replace("index 1", "index 2"))
    shell.fail(IntegrityFailure, *offline)
    (shell.folder / "proof").write_text("something else")
    shell.fail(Invalid, *offline)
    shell.fail(DatabaseMissing, "prove", "e-1")


def test_an_export_needs_no_database(shell: Shell) -> None:
    public = shell.say("keygen", "--key-file", "key").strip()
    note = Note.from_text(shell.say("sign", "--key-file", "key"))
    with Aureus(shell.url) as client:
        state = client.ledger.get_head()
        assert state is not None
        entries = client.ledger._driver.stores["proofs"].read_page(0, state.size)
    lines = b"".join(range_lines(entries, {}))
    proof = ExportProof(Head.from_text(note.text), state.peaks, signed_heads=(SignedHead(note),))
    (shell.folder / "lines").write_bytes(lines)
    (shell.folder / "lines.proof").write_text(str(proof))
    offline = ("verify", "--export", "lines", "--export-proof", "lines.proof", "--key", public)
    assert "anchored up to size 4." in shell.say(*offline)
    (shell.folder / "lines").write_bytes(lines.replace(b"unknown", b"somebody", 1))
    assert shell.run(*offline).exit_code == 5
    assert shell.run("verify", "--export", "lines", "--key", public).exit_code == 5
    shell.fail(NotFound, "verify", "--export", "none", "--export-proof", "lines.proof")
    for flags in (
        ["--export-proof", "lines.proof"],
        ["--export", "lines", "--proof", "proof"],
        ["--export", "lines", "--head", "note"],
        ["--proof", "proof", "--since-last"],
        ["--anchors", "--since-last"],
    ):
        result = shell.run("verify", *flags)
        assert (result.exit_code, "--" in result.stderr) == (2, True), flags


def test_bad_files_are_refused(shell: Shell) -> None:
    (shell.folder / "bad").write_bytes(b"\xff")
    shell.fail(Invalid, "verify", "--head", "bad")
    shell.fail(NotFound, "verify", "--head", "none")
    shell.fail(NotFound, "verify", "--key", "none")
    (shell.folder / "keys").write_text("a+b\n")
    assert "keys, line 1" in shell.fail(Invalid, "verify", "--key", "keys")
    shell.fail(Invalid, "verify", "--key", "bad")
