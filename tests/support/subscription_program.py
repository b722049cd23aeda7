"""Programs of their own for subscriptions: `python -m tests.support.subscription_program VERB URL …`, to be killed.

Each says on standard output what it knows for certain, one line at a time.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final

from aureus import Aureus
from aureus._database.drive import Call
from aureus.config import load
from aureus.stores.ledger import LedgerStore
from tests.support import programs

ROOT: Final = Path(__file__).parents[2]


def running(*arguments: object) -> AbstractContextManager[subprocess.Popen[str]]:
    """Start one of these programs, and end it with the block."""
    return programs.running(
        [sys.executable, "-m", "tests.support.subscription_program", *map(str, arguments)],
        environment={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        directory=ROOT,
    )


def project_and_kill(projecting: subprocess.Popen[str], end: int) -> None:
    """Let a program that projects come to a position, and kill it there, or at most two events later."""
    while (position := int(programs.heard(projecting, "put").split()[1])) < end:
        programs.tell(projecting)
    assert position == end
    programs.tell(projecting, 2)
    programs.killed(projecting)


def say(*words: object) -> None:
    """Write a line; one system call, so that a killed program leaves no half line."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def opened(url: str, **more: Any) -> Aureus:
    """Open the database."""
    return Aureus(
        settings=load(
            arguments={"database.url": url, "tenant": "acme", "database.pool_min": 1, **more},
            environ={},
            directory=Path.cwd(),
        )
    )


def append(url: str, stream: str, count: str) -> None:
    """Append events and leave them unsealed: as one who is killed right after the commit."""
    client = opened(url, **{"ledger.sealing": "off"})
    for number in range(int(count)):
        client.events.append(stream, "t", {"n": number})
    say("appended")
    sys.stdin.read()


def append_and_close(url: str, stream: str, count: str) -> None:
    """Append events, sealed as usual, whenever a line comes in."""
    with opened(url) as client:
        say("ready")
        for _ in sys.stdin:
            for number in range(int(count)):
                client.events.append(stream, "t", {"n": number})
            say("appended")


def seal(url: str) -> None:
    """Seal what is pending and stay in the middle of it, with the right to seal in hand."""
    client = opened(url, **{"ledger.sealing": "off"})
    with client.transaction() as tx:
        done = LedgerStore(tx._transaction, Call("acme")).seal()
        say("sealing", done.sealed_count)
        sys.stdin.read()


def project(url: str, name: str, table: str, batch_size: str = "1") -> None:
    """Put every event into a table of one's own, in the transaction of the position; end at the end.

    Each takes a line, as long as lines may come: so it never runs ahead of who is to kill it.
    """
    client = opened(url)
    place = "%s, %s, %s" if "PostgreSQL" in client.description else "?, ?, ?"

    def put(tx: Any, event: Any) -> None:
        tx.execute(
            f"INSERT INTO {table} (event_id, stream, version) VALUES ({place})",
            (event.event_id, event.stream, event.version),
        )
        say("put", event.position)
        sys.stdin.readline()

    with client.subscription(name, types=["t"], live=False) as consumer:
        consumer.handle_each(put, batch_size=int(batch_size))
    client.close()
    say("ended")


def perish(url: str, name: str, stream: str) -> None:
    """Handle every event in a batch, and be killed by those of a stream; end at the end."""
    with opened(url) as client, client.subscription(name, types=["t"], live=False) as consumer:

        def count(tx: Any, event: Any) -> None:
            tx.world_state.increment(f"count/{event.stream}")
            if event.stream == stream:
                os.kill(os.getpid(), signal.SIGKILL)

        consumer.handle_each(count, attempts=3, batch_size=10)
    say("ended")


def belong(url: str, name: str, member: str) -> None:
    """Join a group and say what is told, for ever."""
    client = opened(url, **{"subscriptions.lease_seconds": 1, "subscriptions.poll_seconds": 0.05})
    with client.subscriptions.group(name, bucket_count=8).join(member) as consumer:
        for event in consumer:
            say("told", event.event_id)


def fork(url: str) -> None:
    """Follow, fork, and follow on both sides."""
    with opened(url) as client, client.subscription("s") as events:
        client.events.append("a", "t", {})
        next(events)
        child = os.fork()
        if child == 0:
            client.events.append("a", "t", {})
            mine = client.subscription("of the child", live=False)
            say("child", [event.position for event in mine])
            os._exit(0)
        os.waitpid(child, 0)
        say("parent", next(events).position)


VERBS: Final = {
    verb.__name__: verb for verb in (append, append_and_close, seal, project, perish, belong, fork)
}

if __name__ == "__main__":
    VERBS[sys.argv[1]](*sys.argv[2:])
