"""What the tests of the tools share: calls, and a wire that shows which processes of a call are still alive."""

from __future__ import annotations

import asyncio
import os
import select
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from aureus.codec import Json
from aureus.tools import Tool, ToolCall, Tools, WaitForApproval

WAIT_SECONDS_MAX = 60.0
"""A safety net: what is waited for here takes milliseconds."""


class RunTool(Protocol):
    """Runs a tool by name to its end."""

    def __call__(self, name: str, /, **inputs: Any) -> Any:
        """Return the result."""
        ...


def make_call(directory: Path, inputs: dict[str, Any], **changed: Any) -> ToolCall:
    """Return a call of one task with everything that a child is told."""
    told: dict[str, Any] = {
        "run_id": "r_1",
        "workflow_id": "digest",
        "task_id": "fetch",
        "attempt": 1,
        "idempotency_key": "key-1",
        "tenant_id": "acme",
        "correlation_id": "c-1",
    }
    return ToolCall(inputs=inputs, directory=directory, **(told | changed))


def find_tool(tools: Tools, name: str) -> Tool:
    """Return a tool that runs."""
    tool = tools.find(name)
    assert not isinstance(tool, WaitForApproval)
    return tool


class Wire:
    """A FIFO that processes hold open while they live.

    They open it for writing, write a line, and keep it open; when the last of them is dead, the reader sees the end
    of the file. That is how a test learns of deaths without asking for process ids, which are reused.
    """

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = path
        self._reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self._received = b""
        self._ended = False

    def close(self) -> None:
        """Give up the reading end."""
        os.close(self._reader)

    def wait_for(self, *lines: str) -> None:
        """Wait until all these lines were written, in any order."""
        self._read_until(lambda: set(lines) <= set(self.lines), f"{lines}")

    def wait_for_end(self) -> None:
        """Wait until nobody holds the wire any more."""
        self._read_until(lambda: self._ended, "the end of all who hold the wire")
        assert self._received, "nobody took the wire"

    def is_held(self) -> bool:
        """Say whether somebody holds the wire now; does not wait."""
        while select.select([self._reader], [], [], 0)[0] and not self._ended:
            self._read()
        assert self._received, "nobody took the wire"
        return not self._ended

    @property
    def lines(self) -> list[str]:
        """Return what was written so far."""
        return self._received.decode().splitlines()

    def _read_until(self, condition: Callable[[], bool], what: str) -> None:
        poll = select.poll()
        poll.register(self._reader, select.POLLIN)
        while not condition():
            # Before anybody writes, poll waits: an end of file is reported only after a writer was there.
            assert poll.poll(WAIT_SECONDS_MAX * 1000), f"waited in vain for {what}: {self.lines}"
            self._read()

    def _read(self) -> None:
        try:
            chunk = os.read(self._reader, 65536)
        except BlockingIOError:
            return
        self._received += chunk
        self._ended = not chunk


async def run_until(wire: Wire, tool: Tool, call: ToolCall, *lines: str) -> asyncio.Task[Json]:
    """Start a call and return its task once its processes have written these lines."""
    task = asyncio.create_task(_run(tool, call))
    waiting = asyncio.create_task(asyncio.to_thread(wire.wait_for, *lines))
    await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
    assert not task.done(), task.result()
    await waiting
    return task


async def _run(tool: Tool, call: ToolCall) -> Json:
    return await tool.run(call)
