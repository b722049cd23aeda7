"""One attempt at a task: reserve its key, call its tool, stop it in time, and say how it ended.

Invariant: when an attempt has ended, its work has been stopped (or was told to, and did not within the limit). It knows
neither journal nor planner; errors of the database are raised, everything else becomes an outcome.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from aureus import codec
from aureus.clock import Clock
from aureus.codec import Json
from aureus.engine.commands import Work
from aureus.engine.outcomes import (
    Completed,
    Failed,
    Failure,
    Interrupted,
    Outcome,
    TimedOut,
    failed_by,
)
from aureus.errors import AlreadyExists, AureusError, Conflict, DatabaseError, Invalid, ToolFailed
from aureus.stores.idempotency_keys import AsyncIdempotencyKeyStore, Replay
from aureus.tools import Tool, ToolCall, WaitForApproval
from aureus.tools.contract import CURRENT_CALL

RESULT_BYTES_MAX = 4 * 1024 * 1024
"""Bytes of one result as JSON: larger artefacts belong in files, with their name as the result."""

KEY_WAIT_SECONDS = 1.0
"""Seconds between two looks at an idempotency key whose work is under way in another run."""

KEY_WAIT_SECONDS_MAX = 300.0
"""Seconds after which waiting for such a key counts as a failed attempt."""

STOP_SECONDS_MAX = 30.0
"""Seconds that a tool gets to stop its work. The tools of Aureus need 2 s and a kill; one that takes longer is left."""


class ToolFinder(Protocol):
    """Where tools are found by their name."""

    def find(self, name: str) -> Tool | WaitForApproval:
        """Return the tool of this name; raises ``NotFound``."""
        ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the attempts of one run have in common."""

    run_id: str
    workflow_id: str
    tenant_id: str
    directory: Path
    tools: ToolFinder
    keys: AsyncIdempotencyKeyStore
    clock: Clock
    pause: Callable[[float], Awaitable[None]]


class Attempt:
    """One attempt, to be run once; cancelling it stops its work and makes it ``Interrupted``."""

    def __init__(self, work: Work, number: int, around: Surroundings) -> None:
        self._work = work
        self._number = number
        self._around = around

    async def run(self) -> Outcome:
        """Do the work and return how it ended; raises only errors of the database."""
        work = self._work
        if work.problem is not None:
            return Failed(work.problem, is_retryable=False)
        try:
            if work.is_key_shared:
                replay = await self._reserve()
                if replay is not None:
                    return _completed(replay.result, replayed=True)
            return await self._perform()
        except asyncio.CancelledError:
            return Interrupted()
        except DatabaseError:
            raise
        except AlreadyExists as error:
            return Failed(Failure.of(error), is_retryable=False)
        except AureusError as error:
            return failed_by(error)

    async def _reserve(self) -> Replay | None:
        """Reserve the author's key; wait while another run does the same work, for it may fail or be replayed."""
        work, around = self._work, self._around
        give_up_at = around.clock.monotonic() + KEY_WAIT_SECONDS_MAX
        while True:
            try:
                return await around.keys.reserve(
                    work.idempotency_key,
                    run_id=around.run_id,
                    key=work.label.key,
                    input_hash=work.input_hash or "",
                )
            except AlreadyExists:
                raise
            except Conflict:
                if around.clock.monotonic() >= give_up_at:
                    raise
            await around.pause(KEY_WAIT_SECONDS)

    async def _perform(self) -> Outcome:
        work, around = self._work, self._around
        if work.label.tool is None:
            return _completed(dict(work.inputs))
        tool = around.tools.find(work.label.tool)
        if isinstance(tool, WaitForApproval):
            raise Invalid(f"tool {tool.name!r} waits for a person; it cannot be called")
        tool.check(work.inputs)
        call = ToolCall(
            run_id=around.run_id,
            workflow_id=around.workflow_id,
            task_id=work.label.task_id,
            attempt=self._number,
            idempotency_key=work.idempotency_key,
            tenant_id=around.tenant_id,
            inputs=work.inputs,
            directory=around.directory,
            correlation_id=around.run_id,
        )
        return await self._supervise(asyncio.create_task(_called(tool, call)))

    async def _supervise(self, calling: asyncio.Future[Json]) -> Outcome:
        """Wait for a tool, at most as long as its task may take; what it returns after that is ignored."""
        limit_ms = self._work.timeout_ms
        try:
            await asyncio.wait({calling}, timeout=None if limit_ms is None else limit_ms / 1000)
            if calling.done():
                return _ended(calling)
        except asyncio.CancelledError:
            await _stop(calling)
            raise
        has_stopped = await _stop(calling)
        left = "" if has_stopped else f", and had not stopped {STOP_SECONDS_MAX:g} s after that"
        return TimedOut(
            Failure("task_timed_out", f"it took longer than {limit_ms:,} ms and was stopped{left}")
        )


async def _called(tool: Tool, call: ToolCall) -> Json:
    CURRENT_CALL.set(call)  # in the context of this task alone
    return await tool.run(call)


def _ended(calling: asyncio.Future[Json]) -> Outcome:
    if calling.cancelled():
        raise ToolFailed("the tool cancelled itself", reason="cancelled")
    error = calling.exception()
    if error is None:
        return _completed(calling.result())
    if not isinstance(error, Exception):
        raise error
    return failed_by(error)


async def _stop(calling: asyncio.Future[Any]) -> bool:
    """Cancel a tool and wait until it has stopped its work; return whether it did in time.

    Being cancelled meanwhile means: at once. The tool is told so by a second cancellation.
    """
    calling.add_done_callback(_forget)
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + STOP_SECONDS_MAX
    calling.cancel()
    while not calling.done() and (seconds := give_up_at - loop.time()) > 0:
        try:
            await asyncio.wait({calling}, timeout=seconds)
        except asyncio.CancelledError:
            calling.cancel()
    return calling.done()


def _forget(calling: asyncio.Future[Any]) -> None:
    """Take note of an error that nobody waits for any more, so that asyncio does not report it."""
    if not calling.cancelled():
        calling.exception()


def _completed(result: Any, *, replayed: bool = False) -> Completed:
    """Return the outcome of work that is done; raises ``Invalid`` for a result that JSON cannot hold."""
    encoded = codec.encode(result, what="result", bytes_max=RESULT_BYTES_MAX)
    return Completed(encoded.decode(), codec.decode(encoded), replayed)
