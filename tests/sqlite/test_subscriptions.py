"""Subscriptions on SQLite: woken by other processes, exact when killed, and never past what is missing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from aureus.client import Aureus
from aureus.errors import IntegrityFailure
from tests.contract.stage import Stage
from tests.support import programs
from tests.support import subscription_program as program
from tests.support.backends import Backend, settings_for
from tests.support.consuming import reader, told
from tests.support.following import following
from tests.support.subscription_program import project_and_kill


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give the path of the file."""
    return tmp_path / "aureus.db"


@pytest.fixture
def stage(path: Path, tmp_path: Path) -> Iterator[Stage]:
    """Give a stage whose consumers look once in an hour by themselves."""
    settings = settings_for(f"sqlite:///{path}", tmp_path, **{"subscriptions.poll_seconds": 3600})
    backend = Backend(settings, is_async=False)
    yield Stage(backend, "acme")
    backend.close()


def test_a_reader_is_woken_by_the_commits_of_another_process(stage: Stage, path: Path) -> None:
    with (
        program.running("append_and_close", f"sqlite:///{path}", "a", 1) as writer,
        following(reader(stage, "s", live=True)) as follower,
    ):
        programs.heard(writer, "ready")
        for count in range(1, 6):
            programs.tell(writer)
            follower.wait(count)
        programs.unheard(writer)
    assert [event.position for event in follower.told] == list(range(5))


def test_projections_of_a_process_that_is_killed_again_and_again_are_exact(
    stage: Stage, path: Path
) -> None:
    with stage.backend.transaction("acme") as tx:
        tx.execute("CREATE TABLE seen (n INTEGER PRIMARY KEY, event_id TEXT, stream TEXT, version)")
    committed = [
        stage.stores.events.append(f"s/{number % 5}", "t", {}).event_id for number in range(60)
    ]
    url = f"sqlite:///{path}"
    for end in (7, 19, 33):
        with program.running("project", url, "p", "seen") as projecting:
            project_and_kill(projecting, end)
    with program.running("project", url, "p", "seen") as last:
        assert programs.unheard(last)[-1] == "ended"
    with stage.backend.transaction("acme") as tx:
        rows = tx.execute("SELECT event_id FROM seen ORDER BY n")
    assert [row[0] for row in rows] == committed


def test_an_event_that_kills_every_process_is_parked_in_the_end(stage: Stage, path: Path) -> None:
    for number in range(6):
        stage.stores.events.append(f"s/{number % 3}", "t", {})
    url = f"sqlite:///{path}"
    ends: list[int] = []
    while len(ends) < 6 and 0 not in ends:
        with program.running("perish", url, "p", "s/1") as perishing:
            programs.unheard(perishing)
        ends.append(perishing.returncode)
    assert ends == [-9, -9, -9, -9, 0]
    (parked,) = stage.stores.subscriptions.parked("p")
    assert (parked.stream, parked.position, parked.attempt_count) == ("s/1", 1, 3)
    assert "ended before it was done" in parked.error
    counts = [stage.stores.world_state.find(f"count/s/{number}") for number in range(3)]
    assert [one and one.value for one in counts] == [2, None, 2]


def tampered(path: Path, *statements: str) -> None:
    """Change what nobody may change, behind the back of the program."""
    connection = apsw.Connection(str(path))
    for (name,) in list(
        connection.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'")
    ):
        connection.execute(f'DROP TRIGGER "{name}"')
    for statement in statements:
        connection.execute(statement)
    connection.close()


def test_an_event_whose_content_was_erased_is_told_without_it(stage: Stage, path: Path) -> None:
    for number in range(3):
        stage.stores.events.append("a", "t", {"n": number})
    tampered(path, "DELETE FROM event_payloads WHERE entry_no = 2")
    found = told(stage, "s")
    assert [event.payload for event in found] == [{"n": 0}, {}, {"n": 2}]
    assert [event.is_redacted for event in found] == [False, True, False]


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM events WHERE entry_no = 2",
        "DELETE FROM ledger_batches WHERE first_position = 1",
        "DELETE FROM ledger_batches WHERE first_position = 2",
    ],
)
def test_what_is_missing_is_an_error_and_never_passed_over(
    stage: Stage, path: Path, statement: str
) -> None:
    for number in range(3):
        stage.stores.events.append("a", "t", {"n": number})
    tampered(path, statement)
    with pytest.raises(IntegrityFailure):
        told(stage, "s")


def test_closing_the_client_stores_how_far_an_abandoned_consumer_came(
    path: Path, tmp_path: Path
) -> None:
    settings = settings_for(f"sqlite:///{path}", tmp_path)
    with Aureus(settings=settings) as client:
        for number in range(3):
            client.events.append("a", "t", {"n": number})
        for event in client.subscription("s"):
            if event.position == 1:
                break
        joined = client.subscriptions.group("g").join("m", live=False)
        assert len(list(joined)) == 3
        assert len(client.subscriptions.members("g")) == 1
    with Aureus(settings=settings) as client:
        assert client.subscriptions.get("s").position == 0
        assert list(client.subscriptions.members("g")) == []


def test_a_child_follows_with_connections_of_its_own(path: Path) -> None:
    """Also while the parent waits for events, with a connection that looks for commits of others."""
    with program.running("fork", f"sqlite:///{path}") as forking:
        assert programs.unheard(forking) == ["child [0, 1]", "parent 1"]
