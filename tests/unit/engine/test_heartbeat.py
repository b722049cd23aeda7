"""When the lease is renewed, when others are listened to, and when neither."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, cast

from aureus.clock import ManualClock
from aureus.engine.heartbeat import Heartbeat, Listener
from aureus.errors import DatabaseUnavailable
from aureus.model.leases import ProcessIdentity
from aureus.model.renewal import Rhythm
from aureus.stores.leases import LeaseStore, Notice

HOLDER = ProcessIdentity("here", "boot", 1, "1")


class Leases:
    """The lease operations, which note what was asked."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.is_away = False
        self.notices: list[Notice] = []

    def acquire(self, lease_id: str, holder: ProcessIdentity, *, lease_seconds: float) -> None:
        self._note("acquire")

    def list_notices(self, lease_id: str) -> list[Notice]:
        self._note("list_notices")
        return self.notices

    def prune(self) -> int:
        self._note("prune")
        return 0

    def _note(self, name: str) -> None:
        self.calls.append(name)
        if self.is_away:
            raise DatabaseUnavailable("gone")


class Loop:
    """An event loop that carries out what it is told at once, or not while it is blocked."""

    def __init__(self) -> None:
        self.is_blocked = False
        self.held: list[tuple[Any, tuple[Any, ...]]] = []

    def call_soon_threadsafe(self, callback: Any, *arguments: Any) -> None:
        self.held.append((callback, arguments))
        while self.held and not self.is_blocked:
            told, given = self.held.pop(0)
            told(*given)


class Stage:
    """A heartbeat without a thread, under a clock that is moved by hand."""

    def __init__(self, lease_seconds: float = 15) -> None:
        self.clock, self.leases, self.loop = ManualClock(), Leases(), Loop()
        self.deadlines: list[float] = []
        self.noticed: list[Notice] = []
        self.lost = 0
        self.heartbeat = Heartbeat(
            cast(LeaseStore, self.leases),
            "lease",
            HOLDER,
            Rhythm(lease_seconds),
            acquired_at=0.0,
            clock=self.clock,
            loop=cast(asyncio.AbstractEventLoop, self.loop),
            listener=Listener(self.deadlines.append, self._notice, self._lose),
        )

    def beats(self, seconds: float, *, every: float = 0.25) -> list[tuple[float, str]]:
        """Let time pass and return when something was done, and what."""
        found: list[tuple[float, str]] = []
        for _ in range(round(seconds / every)):
            self.clock.advance(every)
            done = self.heartbeat.beat()
            if done is not None:
                found.append((self.clock.monotonic(), done))
        return found

    def _notice(self, notices: Sequence[Notice]) -> None:
        self.noticed += notices

    def _lose(self) -> None:
        self.lost += 1


def test_an_idle_process_renews_three_times_per_lease_and_does_nothing_else() -> None:
    stage = Stage()
    beats = stage.beats(30)
    assert beats == [
        (1.0, "pruned"), (5.0, "renewed"), (10.0, "renewed"), (15.0, "renewed"),
        (20.0, "renewed"), (25.0, "renewed"), (30.0, "renewed"),
    ]  # fmt: skip
    assert stage.deadlines[-1] == 30.0 + 13.5


def test_a_working_process_makes_at_most_one_statement_a_second() -> None:
    stage = Stage()
    stage.heartbeat.is_watching = True
    times = [moment for moment, _ in stage.beats(60)]
    assert len(times) == 60
    assert all(later - earlier >= 1.0 for earlier, later in pairwise(times))


def test_what_others_want_is_passed_on() -> None:
    stage = Stage()
    stage.leases.notices = [Notice("cancel", "r_1")]
    stage.beats(4)
    assert stage.noticed == []
    stage.heartbeat.is_watching = True
    stage.beats(1)
    assert stage.noticed == [Notice("cancel", "r_1")]


def test_a_failed_renewal_is_tried_again_every_second_until_the_lease_is_over() -> None:
    stage = Stage()
    stage.beats(4)
    stage.leases.is_away = True
    done = [what for _, what in stage.beats(30)]
    assert done == ["failed"] * 9 + ["lost"] * len(done[9:])
    assert stage.lost >= 1
    assert "acquire" not in stage.leases.calls[10:]


def test_a_database_that_comes_back_in_time_saves_the_lease() -> None:
    stage = Stage()
    stage.beats(4)
    stage.leases.is_away = True
    stage.beats(8)
    stage.leases.is_away = False
    assert stage.beats(1)[-1][1] == "renewed"
    assert stage.lost == 0


def test_the_deadline_counts_from_when_the_renewal_was_sent() -> None:
    stage = Stage()
    slow = stage.leases.acquire

    def acquire(*arguments: Any, **more: Any) -> None:
        stage.clock.advance(3)
        slow(*arguments, **more)

    stage.leases.acquire = acquire  # type: ignore[method-assign]  # a slow database
    stage.beats(5)
    assert stage.deadlines == [5.0 + 13.5]


def test_a_blocked_loop_loses_its_lease() -> None:
    stage = Stage()
    stage.beats(4)
    stage.loop.is_blocked = True
    done = stage.beats(16)
    assert done[0] == (5.0, "renewed"), "a second of silence is nothing"
    assert done[1] == (18.5, "lost")
    assert stage.leases.calls.count("acquire") == 1
    assert stage.lost == 0, "nobody can be told while the loop is blocked"
    stage.loop.is_blocked = False
    stage.loop.call_soon_threadsafe(lambda: None)
    assert stage.lost >= 1


def test_a_loop_that_answers_again_keeps_its_lease() -> None:
    stage = Stage()
    stage.beats(4)
    stage.loop.is_blocked = True
    stage.beats(7)
    stage.loop.is_blocked = False
    stage.beats(1)
    assert stage.lost == 0
    assert stage.beats(30)[-1][1] == "renewed"


def test_a_lease_whose_time_ran_out_is_not_renewed_however_late_the_thread_is() -> None:
    """As after SIGSTOP: somebody else may hold its runs already."""
    stage = Stage()
    stage.clock.advance(60)
    assert stage.heartbeat.beat() == "lost"
    assert stage.leases.calls == []
    assert stage.lost == 1


def test_under_a_short_lease_others_are_listened_to_between_the_renewals() -> None:
    stage = Stage(lease_seconds=1.5)
    stage.heartbeat.is_watching = True
    done = [what for _, what in stage.beats(3, every=0.125)]
    assert done.count("renewed") >= 4
    assert done.count("looked") >= 4
    assert stage.lost == 0
