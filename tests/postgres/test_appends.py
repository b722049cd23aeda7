"""Appends on PostgreSQL: in one flush, once although replies are lost, and seen by a tail although they commit late."""

from __future__ import annotations

import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import pytest

from aureus import NewEvent
from aureus.errors import VersionConflict
from aureus.model.tails import Tail
from tests.contract.stage import Stage
from tests.postgres.conftest import MakeStage
from tests.postgres.test_counts import Wire
from tests.postgres.test_lost_replies import every_other
from tests.support.fault_proxy import CutAfter, FaultProxy
from tests.support.waiting import eventually

ROUNDS = 10


@pytest.mark.parametrize("is_async", [False, True])
def test_lost_replies_of_appends_leave_each_event_once(
    make_stage: MakeStage, fault_proxy: FaultProxy, is_async: bool
) -> None:
    """Also with an expected version, which the repeated statement does not find any more."""
    stage = make_stage(port=fault_proxy.port, is_async=is_async, **{"ledger.sealing": "off"})
    append = stage.stores.events.append
    rule = fault_proxy.on(every_other(), CutAfter())
    for number in range(ROUNDS):
        assert append("any", "t", {"n": number}).version == number + 1
        assert append("exact", "t", {"n": number}, expected_version=number).version == number + 1
    fault_proxy.clear()
    assert rule.fired == 2 * ROUNDS
    for stream in ("any", "exact"):
        found = stage.stores.events.read_stream(stream)
        assert [event.payload["n"] for event in found] == list(range(ROUNDS))


def test_an_append_is_one_flush_and_several_are_gathered(
    make_stage: MakeStage, fault_proxy: FaultProxy
) -> None:
    stage = make_stage(port=fault_proxy.port, **{"ledger.sealing": "off"})
    stage.stores.events.append("warm", "up", {})
    wire = Wire(fault_proxy)
    stage.stores.events.append_all("s", [NewEvent("t", {})] * 3, expected_version=0)
    assert (len(wire.flushes), wire.commits) == (1, 1)

    lane = stage.backend.client._database._writes._lane
    with ThreadPoolExecutor(24) as pool:
        fault_proxy.pause()
        try:
            appends = [
                pool.submit(stage.stores.events.append, f"s{number}", "t", {})
                for number in range(24)
            ]
            eventually(lambda: len(lane) == 23, "all but the first to wait for the next flush")
        finally:
            fault_proxy.resume()
        for one in appends:
            one.result()
    assert wire.commits == 1 + 2, "the one before, that of the first, and that of all others"


class Late:
    """An append in a transaction that stays open until it is told to end."""

    def __init__(self, stage: Stage, stream: str, *, keeps: bool) -> None:
        self._stage, self._stream, self._keeps = stage, stream, keeps
        self._has_appended, self._may_end = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work)

    def begin(self) -> None:
        """Append, and leave the transaction open."""
        self._thread.start()
        assert self._has_appended.wait(60)

    def end(self) -> None:
        """Commit, or roll back where nothing is to be kept, and wait for the end; a second call does nothing."""
        self._may_end.set()
        self._thread.join()

    def _work(self) -> None:
        with suppress(VersionConflict), self._stage.backend.transaction("acme") as tx:
            tx.events.append(self._stream, "late", {})
            self._has_appended.set()
            self._may_end.wait(60)
            if not self._keeps:
                tx.events.append(self._stream, "never", {}, expected_version=99)


@contextmanager
def appended_late(stage: Stage, stream: str, *, keeps: bool = True) -> Generator[Late]:
    """Append in a transaction that ends with the block at the latest."""
    late = Late(stage, stream, keeps=keeps)
    late.begin()
    try:
        yield late
    finally:
        late.end()


def test_a_tail_tells_what_commits_late_and_waits_for_nobody(make_stage: MakeStage) -> None:
    stage = make_stage()
    events = stage.stores.events

    def look(tail: Tail) -> tuple[Tail, list[str]]:
        found: Tail = events.tail(tail)
        return found, [event.stream for event in found.events]

    with appended_late(stage, "open before the start") as before:
        tail = events.tail()
        with (
            appended_late(stage, "rolled back", keeps=False),
            appended_late(stage, "late") as late,
        ):
            events.append("early", "t", {})
            tail, streams = look(tail)
            assert streams == ["early"]
            events.append("early", "t", {})
            tail, streams = look(tail)
            assert streams == ["early"]
            assert tail.seen
            late.end()
            tail, streams = look(tail)
            assert streams == ["late"]
            before.end()
        tail, streams = look(tail)
        assert streams == ["open before the start"]
    # Whatever else runs on the server keeps the line down for a moment, but tells nothing twice.
    eventually(lambda: not (look(tail)[0]).seen, "the line that rises above everything")
    tail, streams = look(tail)
    assert (streams, tail.may_have_skipped) == ([], False)
