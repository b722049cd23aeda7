"""A mistyped SQLite path: what only reads, or changes what is there, makes no database and says which one was meant."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from aureus.cli.main import COMMANDS, aureus
from aureus.client import AsyncAureus, Aureus
from aureus.config import load
from aureus.errors import AureusError, DatabaseError, DatabaseMissing
from aureus.transfer import copy_database

MAKING = (
    ("memory", "add", "likes tea", "--agent", "ann"),
    ("state", "set", "colour", '"blue"'),
    ("events", "append", "orders/1", "Placed", "{}"),
    ("audit", "mode", "all"),
    ("db", "init"),
)
"""Commands that put the first thing into a database; `run` and `sessions adopt` have tests of their own."""

LOOKING = (
    ("runs", "list"),
    ("runs", "show", "r_1"),
    ("runs", "resume", "r_1"),
    ("runs", "cancel", "r_1"),
    ("approve", "r_1"),
    ("deny", "r_1"),
    ("timeline", "r_1"),
    ("events", "r_1"),
    ("events", "streams"),
    ("events", "tail"),
    ("events", "subscribe", "s"),
    ("subscriptions", "list"),
    ("subscriptions", "show", "s"),
    ("subscriptions", "delete", "s"),
    ("subscriptions", "reset", "s"),
    ("subscriptions", "parked", "s"),
    ("subscriptions", "replay", "s", "x/1"),
    ("subscriptions", "skip", "s", "x/1", "3", "--reason", "r"),
    ("memory", "search", "tea"),
    ("memory", "list"),
    ("memory", "namespaces", "a"),
    ("memory", "show", "m_1"),
    ("memory", "history", "m_1"),
    ("memory", "forget", "m_1"),
    ("sessions", "list"),
    ("sessions", "show", "a", "s"),
    ("sessions", "delete", "a", "s"),
    ("state", "get", "colour"),
    ("state", "list"),
    ("state", "history", "colour"),
    ("state", "prune", "--before", "2026-01-01", "--reason", "r"),
    ("snapshots", "list"),
    ("snapshots", "show", "s_1"),
    ("snapshots", "create", "--agent", "a"),
    ("snapshots", "verify", "s_1"),
    ("snapshots", "diff", "s_1"),
    ("snapshots", "delete", "s_1"),
    ("snapshots", "approvals"),
    ("snapshots", "approve", "a_1"),
    ("snapshots", "deny", "a_1"),
    ("rollback", "--to", "s_1"),
    ("profiles", "list"),
    ("profiles", "show", "u"),
    ("profiles", "delete", "u"),
    ("hypotheses", "list"),
    ("hypotheses", "show", "h_1"),
    ("hypotheses", "learning", "a"),
    ("audit", "list"),
    ("audit", "show", "e_1"),
    ("audit", "mode"),
    ("audit", "verify"),
    ("audit", "export", "out.jsonl"),
    ("audit", "prune", "--before", "2026-01-01", "--reason", "r"),
    ("ledger", "status"),
    ("ledger", "head"),
    ("ledger", "seal"),
    ("ledger", "prove", "e_1"),
    ("ledger", "verify"),
    ("ledger", "accept-restore"),
    ("erase", "ada", "--reason", "asked", "--yes"),
    ("db", "status"),
    ("db", "migrate"),
    ("db", "copy", "sqlite:///copied.db"),
)

REFUSED = (
    ("memory", "add", "likes tea", "--agent", "ann", "--tag", ""),
    ("memory", "add", "likes tea", "--agent", "ann", "--type", "rumour"),
    ("memory", "add", "likes tea", "--agent", "ann", "--key", "k", "--expected-version", "3"),
    ("memory", "add", "likes tea", "--agent", "ann", "--expires-in", "nan"),
    ("memory", "add", "likes tea", "--agent", "ann", "--expires-in", "1e300"),
    ("memory", "add", "likes tea", "--agent", "ann", "--confidence", "nan"),
    ("state", "set", "", "1"),
    ("state", "set", "plan", '{"step": 1'),
    ("state", "set", "plan", "1", "--expected-version", "7"),
    ("events", "append", "", "Placed", "{}"),
    ("events", "append", "orders/1", "Placed", '{"n": NaN}'),
    ("events", "append", "orders/1", "Placed", "{}", "--expected-version", "exists"),
    ("events", "append", "orders/1", "Placed", "{}", "--expected-version", "sometimes"),
    ("sessions", "adopt", "agent_states", "--from", "sqlite:///nowhere.db"),
    ("sessions", "adopt", "agent_states", "--from", "sqlite:///aureus.db", "--collection", "a;b"),
    ("run", "w.yaml", "-i", "whom=x"),
    ("run", "w.yaml", "--run-id", ""),
)
"""Commands that make a database, with something in them that cannot be done."""

WITHOUT_A_DATABASE = {"validate", "config", "version", "subject-keys"}


def called(*words: str, folder: Path, url: str = "sqlite:///aureos.db") -> Result:
    """Carry a command out in a folder."""
    environ = {"AUREUS_DATABASE_URL": url, "XDG_STATE_HOME": str(folder)}
    return CliRunner().invoke(aureus, list(words), env=environ)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder that holds a database of another name."""
    monkeypatch.chdir(tmp_path)
    settings = load(
        arguments={"database.url": "sqlite:///aureus.db"}, directory=tmp_path, environ={}
    )
    Aureus(settings=settings).close()
    return tmp_path


@pytest.mark.parametrize("words", LOOKING, ids=" ".join)
def test_a_command_that_puts_nothing_in_makes_no_database(
    words: tuple[str, ...], folder: Path
) -> None:
    before = sorted(folder.rglob("*"))
    done = called(*words, folder=folder)
    assert isinstance(done.exception, DatabaseMissing), done.output
    assert str(folder / "aureos.db") in done.exception.message
    assert "aureus.db" in done.exception.message
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("words", LOOKING[:1], ids=" ".join)
def test_a_missing_folder_is_not_made_either(words: tuple[str, ...], folder: Path) -> None:
    (folder / "state").mkdir()
    done = called(*words, folder=folder, url="sqlite:///stat/aureus.db")
    assert isinstance(done.exception, DatabaseMissing)
    assert str(folder / "state") in done.exception.message
    assert not (folder / "stat").exists()


@pytest.mark.parametrize("words", MAKING, ids=" ".join)
def test_a_command_that_puts_the_first_thing_in_makes_the_database_and_says_so(
    words: tuple[str, ...], folder: Path
) -> None:
    done = called(*words, folder=folder, url="sqlite:///new/one.db")
    assert done.exception is None, done.output
    assert "one.db (made now, with its folder)" in done.stderr
    assert (folder / "new" / "one.db").is_file()
    again = called(*words, folder=folder, url="sqlite:///new/one.db")
    assert "made now" not in again.stderr


@pytest.mark.parametrize("words", REFUSED, ids=" ".join)
def test_what_cannot_be_done_makes_no_database(words: tuple[str, ...], folder: Path) -> None:
    (folder / "w.yaml").write_text("id: w\nname: W\ntasks:\n  - {id: a, inputs: {x: 1}}\n")
    before = sorted(folder.rglob("*"))
    done = called(*words, folder=folder, url="sqlite:///new/one.db")
    assert isinstance(done.exception, AureusError | SystemExit), done.exception
    assert done.exit_code != 0
    assert sorted(folder.rglob("*")) == before


def test_a_run_makes_its_database_and_says_so(folder: Path) -> None:
    (folder / "w.yaml").write_text("id: w\nname: W\ntasks:\n  - {id: a, inputs: {x: 1}}\n")
    done = called(
        "run", "w.yaml", "--event-log-type", "none", folder=folder, url="sqlite:///a/b/r.db"
    )
    assert done.exit_code == 0, done.output
    assert f"r.db (made now, with the folders from {folder / 'a'} on)" in done.stderr


def test_every_command_group_is_held_to_it() -> None:
    tried = {words[0] for words in (*LOOKING, *MAKING)} | {"run"} | WITHOUT_A_DATABASE
    assert tried == set(COMMANDS)


def test_the_error_is_plain_json_with_its_code(folder: Path) -> None:
    done = called("runs", "list", "--json", folder=folder)
    assert isinstance(done.exception, DatabaseMissing)
    assert not done.exception.retryable
    told = json.loads(json.dumps(done.exception.to_dict()))
    assert told["code"] == "database_missing"
    assert told["path"] == str(folder / "aureos.db")
    assert told["similar"] == [str(folder / "aureus.db")]


def test_a_client_opens_without_making_where_the_setting_says_so(folder: Path) -> None:
    settings = load(
        arguments={"database.url": "sqlite:///aureos.db", "database.create": "off"},
        directory=folder,
        environ={},
    )
    with pytest.raises(DatabaseMissing, match="aureos"):
        Aureus(settings=settings)
    assert not (folder / "aureos.db").exists()


def test_an_awaited_client_opens_without_making_too(folder: Path) -> None:
    settings = load(
        arguments={"database.url": "sqlite:///aureos.db"},
        environ={"AUREUS_DATABASE_CREATE": "false"},
        directory=folder,
    )

    async def listed() -> None:
        async with AsyncAureus(settings=settings) as db:
            await db.runs.list()

    with pytest.raises(DatabaseMissing, match="aureos"):
        asyncio.run(listed())
    assert not (folder / "aureos.db").exists()


def test_a_copy_makes_neither_its_source_nor_a_folder(folder: Path) -> None:
    with pytest.raises(DatabaseMissing, match="aureos"):
        copy_database("sqlite:///aureos.db", "sqlite:///copied.db")
    with pytest.raises(DatabaseError, match="no folder"):
        copy_database("sqlite:///aureus.db", "sqlite:///bakup/copied.db")
    names = {path.name for path in folder.iterdir()}
    assert not names & {"aureos.db", "copied.db", "bakup"}


def test_a_copy_says_that_it_makes_its_target(folder: Path) -> None:
    done = called("db", "copy", "sqlite:///copied.db", folder=folder, url="sqlite:///aureus.db")
    assert done.exit_code == 0, done.output
    assert f"to: SQLite {folder / 'copied.db'} (made now)" in done.stderr
