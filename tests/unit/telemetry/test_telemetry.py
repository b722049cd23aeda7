"""Telemetry is told of every call of a store, and cannot spoil one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

import pytest

from aureus import AsyncAureus, Aureus
from aureus.errors import NotFound, VersionConflict
from aureus.telemetry import METRICS, LogTelemetry, MemoryTelemetry


def test_calls_are_counted_and_measured_by_operation_and_outcome() -> None:
    told = MemoryTelemetry()
    with Aureus("sqlite://", telemetry=told) as db:
        db.sessions.save("planner", "s1", {})
        db.sessions.collection("coach").save("planner", "s1", {})
        with pytest.raises(VersionConflict):
            db.sessions.save("planner", "s1", {}, expected_version=9)
        with db.transaction() as tx:
            tx.world_state.set("k", 1)
        with pytest.raises(NotFound):
            db.for_tenant("other").world_state.get("k")
    assert told.counted("aureus.operations", operation="sessions.save", outcome="ok") == 2
    refused = {"operation": "sessions.save", "outcome": "version_conflict"}
    assert told.counted("aureus.operations", **refused) == 1
    assert told.counted("aureus.operations", operation="world_state.set", outcome="ok") == 1
    missing = {"operation": "world_state.get", "outcome": "not_found"}
    assert told.counted("aureus.operations", **missing) == 1
    count, total, largest = told.measured(
        "aureus.operation.seconds", operation="sessions.save", outcome="ok"
    )
    assert count == 2
    assert 0 < largest <= total


def test_awaited_calls_are_told_too() -> None:
    told = MemoryTelemetry()

    async def main() -> None:
        async with AsyncAureus("sqlite://", telemetry=told) as db:
            await db.sessions.save("planner", "s1", {})
            with pytest.raises(NotFound):
                await db.sessions.load("planner", "s2")

    asyncio.run(main())
    assert told.counted("aureus.operations", operation="sessions.save", outcome="ok") == 1
    refused = {"operation": "sessions.load", "outcome": "not_found"}
    assert told.counted("aureus.operations", **refused) == 1


def test_a_telemetry_that_fails_spoils_nothing(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(MemoryTelemetry):
        def count(self, name: str, attributes: Mapping[str, str]) -> None:
            raise RuntimeError("no room")

    with Aureus("sqlite://", telemetry=Broken()) as db:
        assert db.sessions.save("planner", "s1", {}).version == 1
    assert "failed to take sessions.save" in caplog.text


def test_a_logger_is_told_of_failures_and_of_what_is_slow(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("mine")
    with Aureus("sqlite://", telemetry=LogTelemetry(logger)) as db:
        db.sessions.save("planner", "s1", {})
        assert db.sessions.find("planner", "s2") is None
        assert caplog.messages == []
        with pytest.raises(NotFound):
            db.sessions.load("planner", "s2")
    assert caplog.messages == ["aureus.operations: sessions.load ended with not_found"]
    LogTelemetry(logger, slow_seconds=0.5).measure("m", 0.75, {"operation": "runs.get"})
    assert caplog.messages[-1] == "m: runs.get took 0.750 s"


def test_every_name_is_told_with_its_kind_and_unit() -> None:
    names = [metric.name for metric in METRICS]
    assert len(names) == len(set(names))
    assert all(name.startswith("aureus.") for name in names)
    assert {metric.kind for metric in METRICS} == {"counter", "histogram"}


def test_a_database_that_answers_is_healthy() -> None:
    with Aureus("sqlite://") as db:
        found = db.health()
    assert (found.is_healthy, found.is_current, found.pool) == (True, True, None)
    assert found.latency_ms is not None
    plain: dict[str, Any] = found.to_dict()
    assert plain["schema_version"] >= 3
    assert (plain["database"], plain["error"]) == ("SQLite in memory", None)
    closed = db.health()
    assert (closed.is_healthy, closed.latency_ms, closed.error_code) == (
        False,
        None,
        "database_error",
    )
