"""A stored time that no calendar has is an integrity failure that names its row, for its readers alone."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from aureus.errors import IntegrityFailure
from tests.contract.stage import Stage

Tamper = Callable[[Stage, str, str], None]


def spoil(tamper: Tamper, stage: Stage, table: str, column: str, where: str) -> None:
    """Give a column of a table a time that Python has no word for."""
    name = stage.table(table)
    moment = str(2**60) if name == table else "'infinity'"
    tamper(stage, table, f"UPDATE {name} SET {column} = {moment} WHERE {where}")


def test_an_event_out_of_time_is_named(stage: Stage, tamper: Tamper) -> None:
    for number in range(3):
        stage.stores.events.append("orders/1", "placed", {"n": number}, event_id=f"e-{number}")
    spoil(tamper, stage, "events", "occurred_at", "event_id = 'e-1'")
    events = stage.stores.events
    reads: list[Callable[[], Any]] = [
        events.list,
        lambda: events.read_stream("orders/1"),
        lambda: events.get("e-1"),
    ]
    for read in reads:
        with pytest.raises(IntegrityFailure, match="e-1") as caught:
            read()
        assert caught.value.column == "occurred_at"
        assert not caught.value.retryable
    assert events.get("e-0").payload == {"n": 0}
    assert events.append("orders/1", "placed", {}).version == 4
    stage.stores.ledger.seal()
    assert [found.event_id for found in stage.stores.ledger.verify().findings] == ["e-1"]


def test_a_key_out_of_time_is_named_and_others_are_read_and_written(
    stage: Stage, tamper: Tamper
) -> None:
    world = stage.stores.world_state
    for key in ("a", "b"):
        world.set(key, 1)
    spoil(tamper, stage, "world_state_versions", "created_at", "state_key = 'a'")
    spoil(tamper, stage, "world_state", "updated_at", "state_key = 'a'")
    with ThreadPoolExecutor(8) as pool:
        done = [pool.submit(world.get, "ab"[number % 2]) for number in range(16)]
        done += [pool.submit(world.set, f"c{number}", number) for number in range(8)]
    for number, one in enumerate(done):
        if number < 16 and number % 2 == 0:
            with pytest.raises(IntegrityFailure, match="'a'"):
                one.result()
        else:
            assert one.result().key != "a"
    with stage.backend.transaction(stage.tenant) as tx:
        with pytest.raises(IntegrityFailure, match="'a'"):
            tx.world_state.get("a")
        assert tx.world_state.get("b").value == 1
        tx.world_state.set("b", 2)
    assert world.get("b").value == 2
