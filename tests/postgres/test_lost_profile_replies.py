"""Profiles and hypotheses whose commit's reply is lost: one effect each, although the caller made no identifier."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.postgres.conftest import MakeStage
from tests.postgres.test_lost_replies import every_other
from tests.support.fault_proxy import CutAfter, FaultProxy

ROUNDS = 10


@pytest.mark.parametrize("is_async", [False, True])
def test_lost_replies_leave_one_effect_each(
    make_stage: MakeStage, fault_proxy: FaultProxy, is_async: bool
) -> None:
    """What several statements write, and what one statement does, gathered and alone."""
    stage = make_stage(port=fault_proxy.port, is_async=is_async)
    profiles, hypotheses = stage.stores.profiles, stage.stores.hypotheses
    streams: list[str] = []
    rule = fault_proxy.on(every_other(), CutAfter())
    for number in range(ROUNDS):
        user_id = f"u{number}"
        assert profiles.update(user_id, goals={"a": 1}).version == 1
        assert profiles.update(user_id, goals={"b": 2}).version == 2
        assert profiles.delete(user_id)
        formed = hypotheses.propose("it rains", agent_id="a", user_id=user_id)
        tested = hypotheses.add_evidence(formed.hypothesis_id, "wet", side="for", confidence=0.9)
        assert (tested.version, tested.evidence_for_count) == (2, 1)
        assert hypotheses.delete(formed.hypothesis_id)
        streams.append(formed.stream)
    fault_proxy.clear()
    assert rule.fired == 6 * ROUNDS
    for number in range(ROUNDS):
        events = stage.stores.events.read_stream(f"profiles/u{number}")
        assert [event.type for event in events] == [
            "goal_updated",
            "goal_updated",
            "profile_deleted",
        ]
    assert {stage.stores.events.stream_version(stream) for stream in streams} == {3}


def test_lost_replies_of_gathered_merges_lose_and_double_nothing(
    make_stage: MakeStage, fault_proxy: FaultProxy
) -> None:
    stage = make_stage(port=fault_proxy.port)
    rule = fault_proxy.on(every_other(), CutAfter(), times=20)

    def work(worker: int) -> None:
        for number in range(5):
            stage.stores.profiles.update(f"u{worker % 4}", goals={f"{worker}.{number}": number})

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(work, range(12)))
    assert rule.fired >= 3
    for number in range(4):
        profile = stage.stores.profiles.get(f"u{number}")
        assert (profile.version, len(profile.goals)) == (15, 15)
        assert stage.stores.events.stream_version(profile.stream) == 15
