"""Write down the effects of tasks, to count them after a worker was killed.

A kill drill compares what the database says about a run with what its tasks did to the world. This file
is that world: one JSON line per effect, appended by one `write` to a file opened with O_APPEND and synced
before the call returns, so that lines of several processes never mix and an effect that was acknowledged
is there. It imports nothing of Aureus: it must not share a defect with what it measures.

As a command: `python tests/support/effects.py LEDGER name=value ...` (all values are texts).
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast


def record_effect(path: str | os.PathLike[str], /, **fields: Any) -> None:
    """Append one effect and wait until it is on the disk.

    Raises OSError when the line could not be written whole; it is then a torn line of the file.
    """
    line = json.dumps(fields, separators=(",", ":")).encode() + b"\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        written = os.write(descriptor, line)
        if written != len(line):
            raise OSError(f"only {written} of {len(line)} bytes of an effect reached {path!s}")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_effects(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Return the effects in the order of their lines; a file that is not there has none.

    A last line without its newline was torn by the death of its writer, who therefore never
    reported it done: it is left out. Any other line that is no JSON object raises ValueError.
    """
    try:
        *lines, _torn = Path(path).read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    return [_effect(line, f"line {number} of {path!s}") for number, line in enumerate(lines, 1)]


def _effect(line: bytes, place: str) -> dict[str, Any]:
    try:
        effect = json.loads(line)
    except ValueError as error:
        raise ValueError(f"{place} is not JSON: {line[:80]!r}") from error
    if not isinstance(effect, dict):
        raise ValueError(f"{place} is no JSON object: {line[:80]!r}")  # noqa: TRY004 - a bad file
    return cast(dict[str, Any], effect)


def main(arguments: Sequence[str]) -> int:
    """Record one effect from a shell command; return 2 when the arguments are wrong."""
    if not arguments or any("=" not in argument for argument in arguments[1:]):
        sys.stderr.write("usage: effects.py LEDGER name=value ...\n")
        return 2
    ledger, *assignments = arguments
    record_effect(ledger, **dict(assignment.split("=", 1) for assignment in assignments))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
