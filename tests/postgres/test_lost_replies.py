"""The reply of a commit that never arrives: one effect each, and the caller is told the truth."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from aureus.clock import SystemClock
from aureus.errors import AlreadyExists, DeadlineExceeded, OutcomeUnknown, StorageFull
from aureus.model.approvals import ApprovalRequest
from aureus.model.runs import Run
from aureus.model.states import ApprovalStatus, TaskStatus
from aureus.model.tasks import TaskChange, TaskKey
from tests.contract.stage import Stage, begun, fact, finished
from tests.postgres.conftest import MakeStage, passes
from tests.support.fault_proxy import (
    Action,
    CutAfter,
    CutBefore,
    Exchange,
    Fail,
    FaultProxy,
    Predicate,
    Reset,
    commit_of,
)
from tests.support.waiting import eventually

FLUSH = commit_of(r"insert into \S*flushes\S* \(flush_id\) values \(\$\d\)$")

LOST_REPLIES = 200


@pytest.mark.parametrize("is_async", [False, True])
def test_two_hundred_lost_replies_of_transitions_leave_one_effect_each(
    make_stage: MakeStage, fault_proxy: FaultProxy, is_async: bool
) -> None:
    stage = make_stage(port=fault_proxy.port, is_async=is_async)
    run = stage.start("r1").run
    rule = fault_proxy.on(every_other(), CutAfter())
    for number in range(LOST_REPLIES // 2):
        change = [begun(f"t{number}")]
        run = advance(stage, run, change, f"t{number}")
    fault_proxy.clear()
    assert rule.fired == LOST_REPLIES // 2
    assert run.version == LOST_REPLIES // 2 + 1
    assert stage.versions("r1") == list(range(1, LOST_REPLIES // 2 + 3))
    assert len(stage.stores.tasks.list("r1")) == LOST_REPLIES // 2 + 1


@pytest.mark.parametrize("is_async", [False, True])
def test_lost_replies_of_sessions_and_world_state_leave_one_effect_each(
    make_stage: MakeStage, fault_proxy: FaultProxy, is_async: bool
) -> None:
    stage = make_stage(port=fault_proxy.port, is_async=is_async)
    sessions, world = stage.stores.sessions, stage.stores.world_state
    rule = fault_proxy.on(every_other(), CutAfter())
    version = 0
    for number in range(20):
        version = sessions.save("a", "s", number, expected_version=version).version
        version = sessions.append("a", "s", "user", number, expected_version=version).version
        assert world.increment("n").value == number + 1
    fault_proxy.clear()
    assert rule.fired == 60
    history = sessions.history("a", "s")
    assert [(message.position, message.content) for message in history] == [
        (number + 1, number) for number in range(20)
    ]
    assert (sessions.load("a", "s").state, version) == (19, 40)
    assert [entry.value for entry in world.history("n")] == list(range(20, 0, -1))
    assert len(stage.stores.events.read_stream("sessions/a/s")) == 40


def every_other() -> Predicate:
    """Match every other flush, so that what repeats a lost one gets through."""
    count = 0

    def matches(exchange: Exchange) -> bool:
        nonlocal count
        if not FLUSH(exchange):
            return False
        count += 1
        return count % 2 == 1

    return matches


def advance(stage: Stage, run: Run, changes: list[TaskChange], kind: str) -> Run:
    """Carry out one transition with one fact."""
    return stage.advance(run, changes=changes, facts=[fact(run.run_id, kind)]).run


def test_a_start_with_a_lost_reply_tells_that_the_run_exists_and_it_is_this_one(
    make_stage: MakeStage, fault_proxy: FaultProxy
) -> None:
    stage = make_stage(port=fault_proxy.port)
    for number in range(20):
        rule = fault_proxy.on(FLUSH, CutAfter(), times=1)
        begin = stage.a_start(f"r{number}")
        with pytest.raises(AlreadyExists):
            stage.stores.runs.start(begin)
        assert rule.fired == 1
        assert stage.stores.runs.get(begin.run_id).transition_id == begin.transition_id
        assert stage.versions(begin.run_id) == [1, 2]


def test_what_never_reached_the_server_is_done_once(
    make_stage: MakeStage, fault_proxy: FaultProxy
) -> None:
    stage = make_stage(port=fault_proxy.port)
    actions: list[Action] = [CutBefore(), Fail("57P01", fatal=True), Fail("40001")]
    for number, action in enumerate(actions * 5):
        rule = fault_proxy.on(FLUSH, action, times=1)
        stage.start(f"r{number}")
        assert rule.fired == 1
        assert stage.versions(f"r{number}") == [1, 2]


@pytest.mark.parametrize("is_async", [False, True])
def test_a_commit_that_fails_at_its_very_end_because_of_others_is_repeated(
    make_stage: MakeStage, fault_proxy: FaultProxy, is_async: bool
) -> None:
    stage = make_stage(port=fault_proxy.port, is_async=is_async)
    run = stage.start("r1").run
    for number in range(20):
        rule = fault_proxy.on(FLUSH, Fail("40001", at_sync=True), times=1)
        run = advance(stage, run, [begun(f"t{number}")], "x")
        assert rule.fired == 1
    assert stage.versions("r1") == list(range(1, 23))


@pytest.mark.parametrize("is_async", [False, True])
def test_a_commit_that_fails_at_its_very_end_for_want_of_room_says_so_and_stores_nothing(
    make_stage: MakeStage, fault_proxy: FaultProxy, is_async: bool
) -> None:
    one = {"database.pool_min": 1, "database.pool_max": 1}
    stage = make_stage(port=fault_proxy.port, is_async=is_async, **one)
    run = stage.start("r1").run
    for number in range(5):
        rule = fault_proxy.on(FLUSH, Fail("53100", at_sync=True), times=1)
        with pytest.raises(StorageFull):
            advance(stage, run, [begun(f"t{number}")], "x")
        assert rule.fired == 1
    assert stage.versions("r1") == [1, 2]
    assert fault_proxy.connections_opened == 1
    assert advance(stage, run, [begun("t")], "x").version == run.version + 1


def test_an_outcome_that_is_open_is_settled(make_stage: MakeStage, fault_proxy: FaultProxy) -> None:
    stage = make_stage(port=fault_proxy.port)
    run = stage.start("r1").run
    for number in range(20):
        rule = fault_proxy.on(FLUSH, Reset(), times=1)
        run = advance(stage, run, [begun(f"t{number}")], "x")
        assert rule.fired == 1
    assert stage.versions("r1") == list(range(1, 23))


def test_lost_replies_of_gathered_flushes_leave_one_effect_for_each_member(
    make_stage: MakeStage, fault_proxy: FaultProxy
) -> None:
    stage = make_stage(port=fault_proxy.port)
    runs = [stage.start(f"r{number}").run for number in range(16)]
    rule = fault_proxy.on(every_other(), CutAfter(), times=20)

    def work(run: Run) -> None:
        for number in range(10):
            run = advance(stage, run, [begun(f"t{number}")], "x")

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, runs))
    assert rule.fired >= 5
    for run in runs:
        assert stage.versions(run.run_id) == list(range(1, 13))
        assert stage.stores.runs.get(run.run_id).version == 11


def test_an_answer_to_a_question_with_a_lost_reply_is_found_again(
    make_stage: MakeStage, fault_proxy: FaultProxy
) -> None:
    stage = make_stage(port=fault_proxy.port)
    ask = TaskKey("", "ask")
    waiting = TaskChange(ask, is_new=True, status=TaskStatus.WAITING, attempt=1)
    stage.start("r1", changes=[waiting], approvals=[ApprovalRequest(ask, "?", None, "e")])
    rule = fault_proxy.on(FLUSH, CutAfter(), times=1)
    answer = stage.stores.approvals.decide(
        "r1", ask, status=ApprovalStatus.DENIED, decision_id="d", decided_by="ada"
    )
    assert rule.fired == 1
    assert answer is not None
    assert answer[0].decision_id == "d"


def test_a_transaction_with_a_lost_reply_is_told_apart_from_one_that_failed(
    make_stage: MakeStage, fault_proxy: FaultProxy
) -> None:
    stage = make_stage(port=fault_proxy.port)
    rule = fault_proxy.on(commit_of("flushes"), CutAfter(), times=1)
    with stage.backend.transaction("acme") as tx:
        tx.runs.start(stage.a_start("r1"))
    assert rule.fired == 1
    assert stage.versions("r1") == [1, 2]


def test_a_server_that_stays_away_after_a_commit_leaves_the_outcome_unknown(
    make_stage: MakeStage, fault_proxy: FaultProxy
) -> None:
    stage = make_stage(port=fault_proxy.port)
    run = stage.start("r1").run
    planner = stage.backend.client._database.planner
    planner.options = replace(planner.options, acquire_seconds=0.05)
    lost = fault_proxy.on(FLUSH, CutAfter(), times=1)
    fault_proxy.on(lambda _: lost.fired > 0 and passes(stage.backend.clock), CutBefore())
    with pytest.raises(OutcomeUnknown):
        stage.stores.runs.advance(stage.a_transition(run, changes=[finished("read", "1")]))
    fault_proxy.clear()


def is_healthy(stage: Stage) -> bool:
    """Return whether the database answers."""
    found, thread = stage.backend.client.health(), stage.backend._thread
    return bool((found if thread is None else thread.run(found)).is_healthy)


@pytest.mark.parametrize("is_async", [False, True])
def test_a_server_that_says_nothing_keeps_nobody_past_the_deadline(
    make_stage: MakeStage, fault_proxy: FaultProxy, is_async: bool
) -> None:
    limits = {"database.call_deadline_seconds": 1.0, "database.acquire_timeout_seconds": 0.2}
    stage = make_stage(port=fault_proxy.port, clock=SystemClock(), is_async=is_async, **limits)
    make_stage().stores.events.append("a", "t", {})
    eventually(lambda: is_healthy(stage), "connections")
    fault_proxy.freeze_connections()
    with pytest.raises((OutcomeUnknown, DeadlineExceeded)):
        stage.stores.events.append("a", "t", {})
    fault_proxy.drop_connections()
    eventually(lambda: is_healthy(stage), "connections that work")
    assert make_stage().stores.events.stream_version("a") in (1, 2)
