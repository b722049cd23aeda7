"""The tool ``sleep``: let time pass.

It waits for what it is told, in this process. What is left of a wait after a restart is the engine's to know.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from aureus.codec import Json
from aureus.tools import inputs as rule
from aureus.tools.contract import ToolCall
from aureus.tools.inputs import Input, InputRules, Problem

SLEEP_SECONDS_MAX = 31 * 24 * 3600
"""31 days: longer waits are schedules."""


class SleepTool:
    """Wait for a number of seconds or milliseconds."""

    name = "sleep"

    def __init__(self) -> None:
        self._rules = InputRules(
            self.name,
            Input("seconds", rule.number(0, SLEEP_SECONDS_MAX)),
            Input("ms", rule.integer(0, SLEEP_SECONDS_MAX * 1000)),
            together=_exactly_one,
        )

    def check_definition(self, inputs: Mapping[str, Any]) -> Sequence[Problem]:
        """List what is wrong with inputs as they stand in a workflow file; pure."""
        return self._rules.definition_problems(inputs)

    def check(self, inputs: Mapping[str, Any]) -> None:
        """Raise ``Invalid`` when inputs with resolved references cannot be used; pure."""
        self._rules.check(inputs)

    async def run(self, call: ToolCall) -> Json:
        """Wait, and return how long in milliseconds."""
        self.check(call.inputs)
        wait_ms = sleep_ms(call.inputs)
        await asyncio.sleep(wait_ms / 1000)  # noqa: TID251 (the tool is the wait)
        return {"sleptMs": wait_ms}


def sleep_ms(inputs: Mapping[str, Any]) -> int:
    """Return the wait that checked inputs ask for, in whole milliseconds."""
    return int(inputs["ms"]) if "ms" in inputs else round(inputs["seconds"] * 1000)


def _exactly_one(given: Mapping[str, Any]) -> Iterator[Problem]:
    if ("seconds" in given) == ("ms" in given):
        yield Problem((), "tool 'sleep' needs exactly one of 'seconds' and 'ms'")
