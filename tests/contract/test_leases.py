"""Leases: the right to work, by the database's own clock."""

from __future__ import annotations

from aureus.model.leases import ProcessIdentity
from tests.contract.stage import HOLDER, Stage


def test_a_lease_names_its_holder_and_is_renewed_in_place(stage: Stage) -> None:
    first = stage.stores.leases.acquire("mine", HOLDER, lease_seconds=30)
    second = stage.stores.leases.acquire("mine", HOLDER, lease_seconds=30)
    found = stage.stores.leases.find("mine")
    assert found.holder == HOLDER
    assert found.acquired_at == first.acquired_at
    assert found.expires_at == second.expires_at >= first.expires_at
    assert not found.is_expired


def test_the_databases_clock_decides_when_a_lease_is_over(stage: Stage) -> None:
    stage.stores.leases.acquire("short", HOLDER, lease_seconds=-1)
    assert stage.stores.leases.find("short").is_expired
    stage.backend.clock.advance(1_000_000)
    assert not stage.stores.leases.find(stage.lease_id).is_expired


def test_a_released_lease_is_gone_and_releasing_twice_is_harmless(stage: Stage) -> None:
    stage.stores.leases.acquire("mine", ProcessIdentity("h", "b", 2, "s"), lease_seconds=30)
    assert stage.stores.leases.release("mine") is True
    assert stage.stores.leases.release("mine") is False
    assert stage.stores.leases.find("mine") is None


def test_old_leases_are_forgotten_unless_an_unfinished_run_names_them(stage: Stage) -> None:
    two_days = -2.0 * 86_400
    stage.start("r1")
    stage.stores.leases.acquire("old", HOLDER, lease_seconds=two_days)
    stage.stores.leases.acquire(stage.lease_id, HOLDER, lease_seconds=two_days)
    stage.stores.leases.acquire("recent", HOLDER, lease_seconds=-1)
    move_clock_to_database(stage)
    assert stage.stores.leases.prune() == 1
    assert stage.stores.leases.find("old") is None
    assert stage.stores.leases.find(stage.lease_id) is not None
    assert stage.stores.leases.find("recent") is not None


def move_clock_to_database(stage: Stage) -> None:
    """Bring the test's clock to the database's time."""
    now = stage.stores.leases.acquire("now", HOLDER, lease_seconds=60).renewed_at
    stage.backend.clock.advance((now - stage.backend.clock.now()).total_seconds())
