"""Shell scripts whose processes are hard to get rid of."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from aureus.tools import Tools
from tests.unit.tools.calling import find_tool, make_call

LINUX = sys.platform == "linux"

HOLD = "exec 9>wire; echo up >&9; "

STUBBORN = {
    "a child": HOLD + "sleep 1000",
    "a child that ignores SIGTERM": HOLD + "trap '' TERM; sleep 1000; sleep 1000",
    "grandchildren": HOLD + "(sleep 1000; true) & (sleep 1000; true) & wait",
    "grandchildren that ignore SIGTERM": HOLD
    + "trap '' TERM; (sleep 1000; true) & sleep 1000; wait",
    "a stopped child": HOLD + "kill -STOP $$",
}

ESCAPED = {
    "another group": HOLD + "timeout 1000 sleep 1000; true",
    "another session": HOLD + "setsid sh -c 'sleep 1000; true' & wait",
    "an orphan in another session": HOLD
    + "(setsid sh -c \"trap '' TERM; sleep 1000; true\" &) ; sleep 1000",
    "one that keeps forking and leaving": HOLD + f"exec '{sys.executable}' -I -S runner.py",
}

RUNNER = """
import os
while True:
    if os.fork():
        os._exit(0)
    os.setsid()
"""

EVERY_SHAPE = {**STUBBORN, **(ESCAPED if LINUX else {})}


def shell(script: str) -> dict[str, Any]:
    """Return the inputs of a command that is a shell script."""
    return {"command": ["sh", "-c", script]}


async def run_shell(tools: Tools, folder: Path, script: str, **changed: Any) -> Any:
    """Run a shell script as a command and return its result."""
    return await find_tool(tools, "command").run(make_call(folder, shell(script), **changed))
