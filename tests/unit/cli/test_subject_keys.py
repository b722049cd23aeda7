"""The commands that make and replace the master key, and what ``aureus erase`` says of a key."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from aureus.cli.main import aureus
from aureus.client import Aureus
from aureus.errors import AlreadyExists, ConfigInvalid, NotFound
from tests.support.backends import settings_for


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Give the settings of a database with a key folder, and a folder to work in."""
    monkeypatch.chdir(tmp_path)
    return {
        "AUREUS_DATABASE_URL": f"sqlite:///{tmp_path}/aureus.db",
        "AUREUS_SUBJECT_KEYS_FOLDER": str(tmp_path / "keys"),
        "AUREUS_SUBJECT_KEYS_KEY_FILE": str(tmp_path / "master.key"),
        "AUREUS_ACTOR": "officer",
    }


def run(environment: dict[str, str], *arguments: str) -> Result:
    """Run a command and return what came of it."""
    return CliRunner().invoke(aureus, [*arguments], env=environment)


def test_a_master_key_is_made_once_and_never_shown(
    environment: dict[str, str], tmp_path: Path
) -> None:
    made = run(environment, "subject-keys", "keygen", "--json")
    assert made.exit_code == 0, made.exception
    key_file = tmp_path / "master.key"
    assert json.loads(made.stdout)["key_file"] == str(key_file)
    assert key_file.stat().st_mode & 0o777 == 0o600
    assert key_file.read_text().split()[2] not in made.output
    assert isinstance(run(environment, "subject-keys", "keygen").exception, AlreadyExists)
    other = run(environment, "subject-keys", "keygen", "--key-file", str(tmp_path / "other.key"))
    assert other.exit_code == 0
    assert (tmp_path / "other.key").exists()


def test_entries_of_commands_are_encrypted_and_the_keys_are_counted_and_wrapped_anew(
    environment: dict[str, str], tmp_path: Path
) -> None:
    run(environment, "subject-keys", "keygen")
    added = run(environment, "memory", "add", "prefers tea", "--agent", "planner", "--user", "ada")
    assert added.exit_code == 0, added.output
    assert run(environment, "subject-keys", "status").stdout == "1\n"
    assert json.loads(run(environment, "subject-keys", "status", "--json").stdout) == {
        "key_count": 1
    }
    old = (tmp_path / "master.key").read_text()
    turned = run(environment, "subject-keys", "rotate", "--json")
    assert json.loads(turned.stdout) == {"wrapped_count": 2}
    assert (tmp_path / "master.key").read_text() != old
    assert run(environment, "subject-keys", "rotate").stdout == "2\n"
    told = run(environment, "events", "memories/planner/ada", "--json")
    assert "memory_created" in told.stdout
    assert '"is_withheld": true' not in told.stdout


def test_an_erasure_says_that_the_key_is_destroyed(environment: dict[str, str]) -> None:
    run(environment, "subject-keys", "keygen")
    run(environment, "memory", "add", "prefers tea", "--agent", "planner", "--user", "ada")
    done = run(environment, "erase", "ada", "--reason", "request 17", "--yes")
    assert done.exit_code == 0, done.output
    assert "key destroyed: what 1 payloads erased here said can be read in no older" in done.stderr
    assert "never encrypted" in done.stderr
    assert run(environment, "subject-keys", "status").stdout == "0\n"


def test_settings_that_belong_together_are_wanted_together(
    environment: dict[str, str], tmp_path: Path
) -> None:
    del environment["AUREUS_SUBJECT_KEYS_KEY_FILE"]
    for command in (("subject-keys", "status"), ("events", "list")):
        result = run(environment, *command)
        assert isinstance(result.exception, ConfigInvalid)
        assert "subject_keys.key_file" in str(result.exception)
    assert isinstance(run(environment, "subject-keys", "keygen").exception, ConfigInvalid)
    del environment["AUREUS_SUBJECT_KEYS_FOLDER"]
    for name in ("status", "rotate"):
        result = run(environment, "subject-keys", name)
        assert isinstance(result.exception, ConfigInvalid)


def test_a_missing_master_key_keeps_entries_about_people_from_being_written(
    environment: dict[str, str], tmp_path: Path
) -> None:
    keys = {
        "subject_keys.folder": str(tmp_path / "keys"),
        "subject_keys.key_file": str(tmp_path / "master.key"),
    }
    settings = settings_for(environment["AUREUS_DATABASE_URL"], tmp_path, **keys)
    with Aureus(settings=settings) as client:
        client.events.append("talks/1", "said", {"text": "about nobody"})
        with pytest.raises(NotFound, match="subject-keys keygen"):
            client.events.append("talks/1", "said", {"text": "x"}, subjects=["ada"])
        assert len(client.events.read_stream("talks/1")) == 1
