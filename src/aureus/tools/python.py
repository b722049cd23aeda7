"""The tool ``python``: call a function of the user's own module.

Each call has an interpreter of its own. A thread could not be stopped when the time is over, and a function that
crashes, leaks or changes its process must not hurt the engine or the next call.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path as FilePath
from typing import Any, cast

from aureus import codec
from aureus.codec import Json
from aureus.errors import Invalid, ToolFailed
from aureus.tools import failures
from aureus.tools import inputs as rule
from aureus.tools.contract import ToolCall
from aureus.tools.environment import child_environment, environment_rule
from aureus.tools.inputs import Input, InputRules, Path, Problem
from aureus.tools.output import Output, storable_text
from aureus.tools.supervision import Ended, Launcher, NotStarted, Work

PRINTED_BYTES_MAX = 1024 * 1024
"""Bytes kept of each of stdout and stderr of a function."""

_PROGRAM = (
    "import sys; sys.path.insert(0, sys.argv.pop()); import _python_host; _python_host.main()"
)
"""Imported and not run by path: a script is compiled at every start, a module comes from its cache."""

_FOLDER = str(FilePath(__file__).parent)


class PythonTool:
    """Call a Python function in a process of its own."""

    name = "python"

    def __init__(self, launcher: Launcher) -> None:
        self._launcher = launcher
        self._rules = InputRules(
            self.name,
            Input("call", _target, required=True),
            Input("args", _arguments),
            Input("env", environment_rule),
        )

    def check_definition(self, inputs: Mapping[str, Any]) -> Sequence[Problem]:
        """List what is wrong with inputs as they stand in a workflow file; pure."""
        return self._rules.definition_problems(inputs)

    def check(self, inputs: Mapping[str, Any]) -> None:
        """Raise ``Invalid`` when inputs with resolved references cannot be used; pure."""
        self._rules.check(inputs)

    async def run(self, call: ToolCall) -> Json:
        """Call the function; return its value and what it printed.

        Raises ``ToolFailed`` when the function cannot be found, raises, ends its process, or returns what is not JSON.
        """
        given = call.inputs
        self.check(given)
        target = given["call"]
        request = {
            "call": target,
            "args": given.get("args", {}),
            "directory": str(call.directory.absolute()),
        }
        work = Work(
            identity=call.identity,
            argv=[sys.executable, "-P", "-c", _PROGRAM, _FOLDER],
            environment=child_environment(os.environ, call, given.get("env", {})),
            directory=call.directory,
            stdin=json.dumps(request).encode(),
            output_bytes_max=PRINTED_BYTES_MAX,
            reply_bytes_max=codec.JSON_BYTES_MAX,
        )
        ended = await self._launcher.run(work)
        if isinstance(ended, NotStarted):
            raise failures.not_started(ended, work)
        return {
            "value": _value(ended, target),
            "stdout": ended.stdout.text(),
            "stderr": ended.stderr.text(),
            "truncated": ended.stdout.truncated or ended.stderr.truncated,
        }


def _value(ended: Ended, target: str) -> Json:
    """Return what the function returned, or raise what became of it instead."""
    reply = ended.reply
    if not reply.size_bytes:
        code = failures.describe_exit(ended.exit_code)
        line = failures.last_line(ended.stderr)
        message = f"{target} ended its process without a result, with {code}" + (
            f": {line}" if line else ""
        )
        raise failures.ended_badly(ended, message, reason="exit", call=target)
    if reply.truncated:
        message = (
            f"{target} returned more than {codec.JSON_BYTES_MAX:,} bytes of JSON. "
            "Write it to a file and return its name."
        )
        raise failures.ended_badly(ended, message, reason="result", call=target)
    try:
        answer = _decoded(reply)
    except Invalid as error:
        message = f"{target} did not return a JSON value: {error.message}"
        raise failures.ended_badly(ended, message, reason="result", call=target) from error
    if "value" in answer:
        value: Json = answer["value"]
        return value
    raise _failure(ended, target, answer)


def _decoded(reply: Output) -> dict[str, Any]:
    decoded = codec.decode(reply.head)
    if not isinstance(decoded, dict):
        raise Invalid("something else was written to descriptor 3")
    answer = cast(dict[str, Any], decoded)
    if "value" in answer:
        codec.check(answer["value"], "result")
    return answer


def _failure(ended: Ended, target: str, answer: dict[str, Any]) -> ToolFailed:
    told = {key: storable_text(str(text).encode()) for key, text in answer.items()}
    reason, message = told.get("reason", ""), told.get("message", "")
    if reason == "raised":
        kind = told.get("type", "")
        return failures.ended_badly(
            ended,
            f"{target} raised {kind}: {message}" if message else f"{target} raised {kind}",
            reason=reason,
            call=target,
            exception_type=kind,
            exception_message=message,
            traceback=told.get("traceback", ""),
        )
    what = "cannot be called" if reason == "import" else "did not return a JSON value"
    return failures.ended_badly(ended, f"{target} {what}: {message}", reason=reason, call=target)


def _target(value: Any, path: Path) -> Iterator[Problem]:
    """Accept ``module:function``, both possibly dotted."""
    if not isinstance(value, str):
        yield from rule.text(value, path)
        return
    module, colon, function = value.partition(":")
    names = f"{module}.{function}".split(".")
    if colon and not module.endswith(".py") and all(name.isidentifier() for name in names):
        return
    nearest = module.removesuffix(".py").replace("/", ".").strip(".")
    if not colon and "." in nearest:
        nearest, _, function = nearest.rpartition(".")
    remedy = f"{nearest or 'module'}:{function or 'function'}"
    yield Problem(
        path, f"'call' is {value!r}; it must name a module and a function, such as {remedy}"
    )


def _arguments(value: Any, path: Path) -> Iterator[Problem]:
    """Accept a map or a list."""
    if not isinstance(value, dict | list):
        yield Problem(
            path,
            f"'args' must be a map (arguments by name) or a list (by position), not {rule.kind(value)}",
        )
