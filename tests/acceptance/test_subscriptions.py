"""Subscriptions on the command line: lines that go on where they stopped, and decisions about what failed."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest

from tests.acceptance.project import Project


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_lines_go_on_where_they_were_interrupted(
    project: Project, number: signal.Signals, code: int
) -> None:
    with project.open() as db:
        for n in range(3):
            db.events.append("orders/1", "t", {"n": n})
        following = project.start("events", "subscribe", "s", "--category", "orders")
        assert following.stdout is not None
        lines = [json.loads(following.stdout.readline()) for _ in range(3)]
        assert [line["position"] for line in lines] == [0, 1, 2]
        db.events.append("orders/1", "t", {"n": 3})
        assert json.loads(following.stdout.readline())["payload"] == {"n": 3}
        following.send_signal(number)
        out, err = following.communicate(timeout=30)
        assert (out, following.returncode) == ("", code)
        assert "Traceback" not in err
        db.events.append("orders/1", "t", {"n": 4})
        db.events.append("elsewhere", "t", {})
    again = project.run("events", "subscribe", "s", "--no-wait")
    assert [json.loads(line)["payload"]["n"] for line in again.stdout.splitlines()] == [4]
    assert (again.returncode, project.run("events", "subscribe", "s", "--no-wait").stdout) == (
        0,
        "",
    )


def test_a_reader_that_stops_listening_has_what_it_took(project: Project) -> None:
    with project.open() as db:
        for number in range(5):
            db.events.append("a", "t", {"n": number})
    for start in (0, 2):
        told = project.run("events", "subscribe", "s", "--no-wait", "--limit", "2").stdout
        assert [json.loads(line)["position"] for line in told.splitlines()] == [start, start + 1]
    shown = project.json("subscriptions", "show", "s")
    assert (shown["position"], shown["lag"], len(shown["buckets"])) == (3, 1, 1)


def test_a_group_is_joined_and_shown(project: Project) -> None:
    with project.open() as db:
        db.events.append("a", "t", {})
    flags = ("--group", "--member", "m1", "--buckets", "4", "--no-wait")
    assert len(project.run("events", "subscribe", "g", *flags).stdout.splitlines()) == 1
    (found,) = project.json("subscriptions", "list")
    assert (found["is_group"], found["bucket_count"], found["lag"]) == (True, 4, 0)
    assert "4 buckets" in project.run("subscriptions", "list").stdout
    assert "0 to go" in project.run("subscriptions", "show", "g").stdout


def test_what_is_parked_is_shown_replayed_and_skipped(project: Project) -> None:
    def fail(_: Any, __: Any) -> None:
        raise ValueError("broken")

    with project.open() as db:
        db.events.append("a", "t", {})
        db.events.append("b", "t", {})
        with db.subscription("s", types=["t"], live=False) as events:
            events.handle_each(fail, attempts=1, backoff_seconds=0)
    (one, two) = project.json("subscriptions", "parked", "s")
    assert (one["stream"], one["position"], two["stream"]) == ("a", 0, "b")
    assert "ValueError: broken" in project.run("subscriptions", "parked", "s").stdout
    assert project.json("subscriptions", "replay", "s", "a")["is_replaying"] is True
    skip = ("subscriptions", "skip", "s", "b", "1")
    assert project.run(*skip).returncode == 2
    assert project.run(*skip, "--reason", "it is broken", "--actor", "ada").returncode == 0
    told = project.run("events", "subscribe", "s", "--no-wait").stdout.splitlines()
    assert [json.loads(line)["stream"] for line in told] == ["a"]
    assert project.json("subscriptions", "parked", "s") == []
    with project.open() as db:
        (entry,) = db.audit.list(action="subscription.skip").entries
    assert (entry.actor, entry.details["reason"]) == ("ada", "it is broken")


def test_what_is_tried_again_and_again_is_shown(project: Project) -> None:
    class Killed(BaseException):
        """The end of a process, as far as a test can go."""

    def kill(_: Any, __: Any) -> None:
        raise Killed

    with project.open() as db:
        db.events.append("a", "t", {})
        for _ in range(2):
            dying = db.subscription("s", live=False)
            with pytest.raises(Killed):
                dying.handle_each(kill)
            dying._is_finished = True  # it never closes
    shown = project.json("subscriptions", "show", "s")
    assert (shown["buckets"][0]["tried"]["position"], shown["buckets"][0]["tried"]["count"]) == (
        0,
        1,
    )
    assert (
        "trying     position 0 of bucket 0, 1 tries"
        in project.run("subscriptions", "show", "s").stdout
    )


def test_what_is_not_there_or_wrong_ends_with_its_code(project: Project) -> None:
    with project.open() as db:
        db.events.append("a", "t", {})
    for arguments, code, said in [
        (["subscriptions", "show", "nobody"], 6, "no subscription"),
        (["subscriptions", "delete", "nobody"], 6, "no subscription"),
        (["subscriptions", "reset", "nobody"], 6, "no subscription"),
        (["subscriptions", "parked", "nobody"], 6, "no subscription"),
        (["subscriptions", "replay", "nobody", "a"], 6, "parked"),
        (["events", "subscribe", "s", "--no-wait", "--from", "later"], 2, "no position"),
        (["events", "subscribe", "s", "--no-wait", "--from", "7"], 5, "another history"),
        (["events", "subscribe", "s", "--member", "m"], 2, "--group"),
    ]:
        done = project.run(*arguments)
        assert (done.returncode, said in done.stderr) == (code, True), (arguments, done.stderr)
    assert project.run("events", "subscribe", "s", "--no-wait").returncode == 0
    assert project.run("subscriptions", "reset", "s", "--from", "now").returncode == 0
    assert project.run("subscriptions", "delete", "s").returncode == 0
    assert project.json("subscriptions", "list") == []
