"""The words and fields of a failure that a child process ended in."""

from __future__ import annotations

import errno
import os
import shutil
import signal
from pathlib import Path
from typing import Any

from aureus.errors import ToolFailed
from aureus.tools.output import Output
from aureus.tools.supervision import Ended, NotStarted, Work

_LINE_CHARACTERS_MAX = 300


def ended_badly(ended: Ended, what: str, *, reason: str, **fields: Any) -> ToolFailed:
    """Return the failure of a program that ran: what happened, and the end of both outputs."""
    return ToolFailed(
        what,
        reason=reason,
        exit_code=ended.exit_code,
        stdout_tail=ended.stdout.tail_text(),
        stderr_tail=ended.stderr.tail_text(),
        **fields,
    )


def describe_exit(code: int) -> str:
    """Return ``exit code 3`` or ``signal 9 (SIGKILL)``, with the usual cause where there is one."""
    if code >= 0:
        return f"exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
    cause = ", often for lack of memory" if -code == signal.SIGKILL else ""
    return f"signal {-code} ({name}){cause}"


def last_line(output: Output) -> str:
    """Return the last line with something on it, shortened; this is where most programs say what went wrong."""
    lines = output.tail_text().split("\n")
    line = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return line if len(line) <= _LINE_CHARACTERS_MAX else line[:_LINE_CHARACTERS_MAX] + "…"


def not_started(failure: NotStarted, work: Work) -> ToolFailed:
    """Return the failure of a program that could not be started, with its remedy."""
    program, folder = work.argv[0], work.directory
    said = os.strerror(failure.errno)
    if failure.stage == "cwd":
        message = f"the working directory {folder} cannot be entered: {said}. Create it, or correct 'cwd'."
        return ToolFailed(message, reason="cwd", directory=str(folder))
    if failure.stage == "fork":
        message = (
            f"no process could be started for {program!r}: {said}. Check the limit on processes."
        )
        return ToolFailed(message, reason="launcher", program=program)
    reason, remedy = _remedy(failure.errno, work)
    return ToolFailed(f"{program!r} could not be started: {remedy}", reason=reason, program=program)


def _remedy(number: int, work: Work) -> tuple[str, str]:
    program, folder = work.argv[0], work.directory
    found = folder / program
    if number == errno.ENOENT and "/" in program and found.exists():
        return "not_executable", "the interpreter that its first line (#!) names does not exist"
    if number == errno.ENOENT or (number == errno.EACCES and _is_nowhere(program, work)):
        return "not_found", _not_found(program, folder)
    if number == errno.EACCES:
        if found.is_dir():
            return "not_executable", "it is a directory"
        return (
            "not_executable",
            f"it is not executable; chmod +x {program}, or name its interpreter first",
        )
    if number == errno.ENOEXEC:
        return (
            "not_executable",
            "it is no program for this machine; a script needs a first line such as #!/bin/sh",
        )
    if number == errno.E2BIG:
        return (
            "too_long",
            "its arguments and environment are too long; hand large text over with 'stdin'",
        )
    return "not_started", os.strerror(number)


def _is_nowhere(program: str, work: Work) -> bool:
    """Return whether no folder on PATH holds a program; one that may not be entered also answers EACCES."""
    path = work.environment.get("PATH", os.defpath)
    return "/" not in program and shutil.which(program, mode=os.F_OK, path=path) is None


def _not_found(program: str, folder: Path) -> str:
    if any(character.isspace() for character in program):
        return f"there is no such program; write each argument as its own item of the list: {program.split()}"
    if "/" in program:
        return f"there is no such file, seen from {folder}"
    if (folder / program).is_file():
        return f"it is not on PATH; to run the file in {folder} write ./{program}"
    return "it is not on PATH; install it, or give its path"
