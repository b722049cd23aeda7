"""A connection lets its plans go whenever it has become twice as old, and never inside a transaction."""

from __future__ import annotations

import gc
from dataclasses import dataclass, field

from psycopg.pq import TransactionStatus

from aureus._database.postgres.plans import FIRST_SECONDS, PlanAges
from aureus.clock import ManualClock


@dataclass
class Line:
    transaction_status: TransactionStatus = TransactionStatus.IDLE


@dataclass(eq=False)
class Connection:
    pgconn: Line = field(default_factory=Line)


def test_plans_are_let_go_when_a_connection_is_twice_as_old() -> None:
    clock, connection = ManualClock(), Connection()
    ages = PlanAges(clock)
    due: list[int] = []
    for second in range(100):
        if ages.is_due(connection):
            due.append(second)
        clock.advance(FIRST_SECONDS)
    assert due == [1, 2, 4, 8, 16, 32, 64]


def test_a_connection_that_rested_is_due_once() -> None:
    clock, connection = ManualClock(), Connection()
    ages = PlanAges(clock)
    assert not ages.is_due(connection)
    clock.advance(1000 * FIRST_SECONDS)
    assert [ages.is_due(connection) for _ in range(3)] == [True, False, False]
    clock.advance(999 * FIRST_SECONDS)
    assert not ages.is_due(connection)


def test_nothing_is_let_go_inside_a_transaction() -> None:
    clock, connection = ManualClock(), Connection()
    ages = PlanAges(clock)
    assert not ages.is_due(connection)
    clock.advance(2 * FIRST_SECONDS)
    connection.pgconn.transaction_status = TransactionStatus.INERROR
    assert not ages.is_due(connection)
    connection.pgconn.transaction_status = TransactionStatus.IDLE
    assert ages.is_due(connection)


def test_connections_that_are_gone_are_forgotten() -> None:
    ages = PlanAges(ManualClock())
    assert not ages.is_due(Connection())
    gc.collect()
    assert len(ages._due) == 0
