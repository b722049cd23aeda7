"""Events on the command line: appended, read and followed, by several processes on one database."""

from __future__ import annotations

import json
import signal

from aureus import NO_STREAM
from tests.acceptance.project import Project


def test_events_are_appended_and_read(project: Project) -> None:
    done = project.run("events", "append", "orders/1", "placed", '{"n": 1}', "--actor", "ada")
    assert done.stdout.split()[:2] == ["orders/1", "1"]
    project.write("payload.json", '{"text": "\\u0007 \\u001b[31m"}')
    again = ("events", "append", "orders/1", "said", "@payload.json", "--event-id", "e1")
    told = [
        project.json(*again, "--expected-version", expected) for expected in ("1", "exists", "9")
    ]
    assert told[0] == told[1] == told[2]
    assert (told[0]["version"], told[0]["position"]) == (2, None)

    assert "placed" in project.run("events", "orders/1").stdout
    lines = project.run("events", "read", "orders/1", "--json").stdout.splitlines()
    assert [json.loads(line)["actor"] for line in lines] == ["ada", told[0]["actor"]]
    shown = project.run("events", "orders/1", "--after", "1").stdout
    assert len(shown.splitlines()) == 1
    assert "\x1b" not in shown

    project.run("events", "append", "streams", "t", "{}")
    listed = project.json("events", "streams")
    assert [(one["stream"], one["version"]) for one in listed] == [("orders/1", 2), ("streams", 1)]
    assert "orders/1  2" in project.run("events", "streams", "ord").stdout
    assert project.json("events", "streams", "--after", "orders/1", "--limit", "1") == listed[1:]
    assert "no streams" in project.run("events", "streams", "x").stderr
    assert len(project.run("events", "read", "streams").stdout.splitlines()) == 1

    refused = [
        (["orders/1", "t", "{}", "--expected-version", "no-stream"], 6, "is at version 2"),
        (["orders/1", "t", "{}", "--event-id", "e1"], 6, "'e1' is version 2"),
        (["orders/1", "t", "[]"], 2, "JSON object"),
        (["orders/1", "t", "@missing"], 2, "missing cannot be read"),
        (["orders/1", "t", "{"], 2, "PAYLOAD is not JSON"),
        (["orders/1", "t", "{}", "--expected-version", "-1"], 2, "no-stream"),
    ]
    for arguments, code, said in refused:
        done = project.run("events", "append", *arguments)
        assert (done.returncode, said in done.stderr) == (code, True), done.stderr
    assert project.run("events", "nobody").returncode == 6


def test_a_tail_shows_what_other_processes_commit_until_it_is_interrupted(project: Project) -> None:
    with project.open() as db:
        for number in range(4):
            db.events.append("before/1", "t", {"n": number})
        tail = project.start("events", "tail", "--category", "before", "-n", "2", "--json")
        assert tail.stdout is not None
        assert [json.loads(tail.stdout.readline())["payload"]["n"] for _ in range(2)] == [2, 3]
        db.events.append("elsewhere", "t", {}, expected_version=NO_STREAM)
        db.events.append("before/2", "live", {"n": 4})
        live = json.loads(tail.stdout.readline())
        assert (live["stream"], live["payload"]) == ("before/2", {"n": 4})
        tail.send_signal(signal.SIGINT)
        out, err = tail.communicate(timeout=30)
    assert (out, tail.returncode) == ("", 130)
    assert "Traceback" not in err
