"""A failed audit write fails what it belongs to: whichever statement it is, nothing of the transaction is left."""

from __future__ import annotations

from aureus import Provenance
from aureus.errors import AureusError
from tests.contract.stage import Stage
from tests.faults.nth_statement import failing

STATEMENTS_MAX = 40


def test_a_transaction_is_all_or_nothing_with_its_audit_entry(stage: Stage) -> None:
    number, is_through = 0, False
    while not is_through:
        number += 1
        assert number < STATEMENTS_MAX
        with failing(number, is_lasting=True) as fault:
            try:
                with stage.backend.transaction("acme") as tx:
                    tx.world_state.set("k", number)
                    tx.audit.append("ada", "set", after=number, provenance=Provenance("r1"))
                    tx.world_state.set("l", number)
            except AureusError:
                assert fault.fired
            else:
                is_through = True
        found = stage.stores.world_state.keys()
        entries = stage.stores.audit.list(run_id="r1").entries
        assert (found, len(entries)) == ((["k", "l"], 1) if is_through else ([], 0)), number
    assert number > 3
