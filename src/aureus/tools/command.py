"""The tool ``command``: run a program and keep what it wrote.

The program is given as a list and no shell reads it, so that no input can become a second command.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from aureus import codec
from aureus.codec import Json
from aureus.errors import Invalid, LimitExceeded
from aureus.tools import failures
from aureus.tools import inputs as rule
from aureus.tools.contract import ToolCall
from aureus.tools.environment import as_text, child_environment, environment_rule
from aureus.tools.inputs import Input, InputRules, Path, Problem
from aureus.tools.supervision import Ended, Launcher, NotStarted, Work

OUTPUT_BYTES_DEFAULT = 1024 * 1024
"""Bytes kept of each of stdout and stderr: enough for logs and most JSON, small enough to lie in a journal row."""

OUTPUT_BYTES_MAX = 8 * 1024 * 1024
"""The largest limit that may be asked for; the two outputs together must stay below ``codec.JSON_BYTES_MAX``."""

_ESCAPED_BYTES_MAX = 6
"""What one character can grow to in JSON."""

_SHELL_CHARACTERS = frozenset("|&;<>()$`*?~\n")


class CommandTool:
    """Run a program without a shell; its exit code decides."""

    name = "command"

    def __init__(self, launcher: Launcher) -> None:
        self._launcher = launcher
        self._rules = InputRules(
            self.name,
            Input("command", _argv, required=True),
            Input("env", environment_rule),
            Input("cwd", rule.text),
            Input("stdin", rule.text),
            Input("json", rule.boolean),
            Input("allowExitCodes", rule.list_of(rule.integer(0, 255))),
            Input("outputLimitBytes", rule.integer(1, OUTPUT_BYTES_MAX)),
        )

    def check_definition(self, inputs: Mapping[str, Any]) -> Sequence[Problem]:
        """List what is wrong with inputs as they stand in a workflow file; pure."""
        return self._rules.definition_problems(inputs)

    def check(self, inputs: Mapping[str, Any]) -> None:
        """Raise ``Invalid`` when inputs with resolved references cannot be used; pure."""
        self._rules.check(inputs)

    async def run(self, call: ToolCall) -> Json:
        """Run the program; return its exit code and outputs, and with ``json`` the value it printed.

        Raises ``ToolFailed`` when it cannot be started, ends with an exit code that is not allowed, or prints no JSON
        although ``json`` asks for it.
        """
        given = call.inputs
        self.check(given)
        work = Work(
            identity=call.identity,
            argv=[as_text(argument) for argument in given["command"]],
            environment=child_environment(os.environ, call, given.get("env", {})),
            directory=call.directory / given.get("cwd", "."),
            stdin=given["stdin"].encode() if "stdin" in given else None,
            output_bytes_max=given.get("outputLimitBytes", OUTPUT_BYTES_DEFAULT),
        )
        ended = await self._launcher.run(work)
        if isinstance(ended, NotStarted):
            raise failures.not_started(ended, work)
        program = work.argv[0]
        if ended.exit_code not in given.get("allowExitCodes", [0]):
            line = failures.last_line(ended.stderr) or failures.last_line(ended.stdout)
            raise failures.ended_badly(
                ended,
                f"{program!r} ended with {failures.describe_exit(ended.exit_code)}"
                + (f": {line}" if line else " and wrote nothing"),
                reason="exit",
                program=program,
            )
        return _result(ended, program, parse=given.get("json", False))


def _result(ended: Ended, program: str, *, parse: bool) -> Json:
    result: dict[str, Any] = {
        "exitCode": ended.exit_code,
        "stdout": ended.stdout.text(),
        "stderr": ended.stderr.text(),
        "truncated": ended.stdout.truncated or ended.stderr.truncated,
    }
    if parse:
        result["value"] = _printed_value(ended, program)
    kept = len(ended.stdout.head) + len(ended.stderr.head)
    if kept * _ESCAPED_BYTES_MAX * (1 + parse) > codec.JSON_BYTES_MAX:
        try:
            codec.encode(result, what="the output")
        except LimitExceeded as error:
            raise failures.ended_badly(
                ended,
                f"{error.message} Lower outputLimitBytes, or let {program!r} write to a file.",
                reason="output",
                program=program,
            ) from error
    return result


def _printed_value(ended: Ended, program: str) -> Json:
    problem = ""
    if ended.stdout.truncated:
        problem = f"{ended.stdout.size_bytes:,} bytes, more than outputLimitBytes keeps"
    else:
        try:
            value: Json = codec.decode(ended.stdout.head)
            codec.check(value, "stdout")
        except Invalid as error:
            problem = error.message
        else:
            return value
    raise failures.ended_badly(
        ended,
        f"{program!r} was to print JSON on stdout (json: true), but it printed {problem}. "
        "Let it print one JSON value and nothing else there.",
        reason="output",
        program=program,
    )


def _argv(value: Any, path: Path) -> Iterator[Problem]:
    """Accept a list of text and numbers that starts with a program."""
    if isinstance(value, str):
        yield Problem(path, f"'command' must be a list, not text: write {_as_list(value)}")
        return
    if not rule.is_list(value) or not value:
        yield Problem(path, "'command' must be a list: the program, then its arguments")
        return
    for index, argument in enumerate(value):
        if argument is rule.REFERENCE:
            continue
        if isinstance(argument, bool) or argument is None:
            yield Problem(
                (*path, index),
                f"'command[{index}]' is {rule.kind(argument)}; quote it to hand it over as text",
            )
        elif isinstance(argument, int | float):
            continue
        else:
            yield from rule.text(argument, (*path, index))
    if value[0] == "":
        yield Problem((*path, 0), "'command[0]' names no program")


def _as_list(line: str) -> str:
    """Return how a command line is written as a list: with an explicit shell when it needs one."""
    try:
        words = shlex.split(line)
    except ValueError:
        words = []
    if not words or _SHELL_CHARACTERS & set(line):
        words = ["sh", "-c", line]
    return "command: [" + ", ".join(_yaml(word) for word in words) + "]"


def _yaml(word: str) -> str:
    plain = word.replace("-", "").replace("_", "").replace(".", "").replace("/", "").isalnum()
    return word if plain and word.isascii() else "'" + word.replace("'", "''") + "'"
