"""The audit trail on PostgreSQL: once although replies are lost, and without deadlock between transactions."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from aureus import Provenance
from tests.postgres.conftest import MakeStage
from tests.postgres.test_lost_replies import every_other
from tests.support.fault_proxy import CutAfter, FaultProxy

ROUNDS = 8


@pytest.mark.parametrize("is_async", [False, True])
def test_lost_replies_leave_each_entry_and_each_change_of_the_mode_once(
    make_stage: MakeStage, fault_proxy: FaultProxy, is_async: bool
) -> None:
    stage = make_stage(port=fault_proxy.port, is_async=is_async)
    audit = stage.stores.audit
    rule = fault_proxy.on(every_other(), CutAfter())
    for number in range(ROUNDS):
        entry = audit.append("ada", "x", after=number, provenance=Provenance("r1"))
        assert (entry.version, entry.after) == (number + 1, number)
        assert audit.set_mode("all" if number % 2 else "off", actor="ada").changed_by == "ada"
    fault_proxy.clear()
    assert rule.fired >= ROUNDS
    assert [entry.after for entry in audit.list(run_id="r1").entries] == list(range(ROUNDS))
    assert len(audit.list(action="audit.set-mode").entries) == ROUNDS


def test_many_clients_append_for_one_actor_and_in_transactions(make_stage: MakeStage) -> None:
    stages = [make_stage() for _ in range(3)]

    def work(number: int) -> None:
        stage = stages[number % 3]
        if number % 4:
            stage.stores.audit.append("ada", "x", after=number)
            return
        with stage.backend.transaction("acme") as tx:
            tx.audit.append("ada", "x", after=number)
            tx.world_state.set(f"k{number}", number)
            tx.audit.append("ada", "y", after=number)

    with ThreadPoolExecutor(9) as pool:
        list(pool.map(work, range(48)))
    entries = stages[0].stores.audit.list(actor="ada").entries
    assert sorted(entry.version for entry in entries) == list(range(1, 61))
    by_version = sorted(entries, key=lambda entry: entry.version)
    assert [one.entry_no for one in by_version] == sorted(one.entry_no for one in entries)
