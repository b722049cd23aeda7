"""Programs that a test starts, and follows line by line: whatever happens to the test, none outlives it.

What a program has said is read from one stream, here and in the tests: ``communicate`` with a time limit reads from the
pipe itself, and passes over the lines that the stream has taken out of it already.
"""

from __future__ import annotations

import subprocess
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

SECONDS_MAX: Final = 60.0
"""A program that takes longer to end after it was told to hangs."""


@contextmanager
def running(
    command: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
    is_heard: bool = True,
) -> Generator[subprocess.Popen[str]]:
    """Start a program, and end it with the block, by SIGKILL if it has not ended.

    One that is not heard never waits for a reader.
    """
    program = subprocess.Popen(
        command,
        cwd=directory,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE if is_heard else subprocess.DEVNULL,
        text=True,
    )
    try:
        yield program
    finally:
        program.kill()
        for stream in (program.stdin, program.stdout):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()
        program.wait(SECONDS_MAX)


def heard(program: subprocess.Popen[str], word: str = "") -> str:
    """Wait for a line that begins with a word and return it, without its end."""
    assert program.stdout is not None
    for line in program.stdout:
        if line.startswith(word):
            return line.rstrip("\n")
    raise AssertionError(f"the program ended without saying {word!r}")


def tell(program: subprocess.Popen[str], lines: int = 1) -> None:
    """Write so many empty lines to a program."""
    assert program.stdin is not None
    program.stdin.write("\n" * lines)
    program.stdin.flush()


def killed(program: subprocess.Popen[str]) -> list[str]:
    """End a program by SIGKILL and return the lines that it had said and nobody had heard; a torn one is none."""
    assert program.stdout is not None
    program.kill()
    rest = program.stdout.read()
    program.wait(SECONDS_MAX)
    return rest.split("\n")[:-1]


def unheard(program: subprocess.Popen[str]) -> list[str]:
    """Close a program's input, wait for its end, and return the lines that nobody had heard."""
    assert program.stdin is not None
    assert program.stdout is not None
    program.stdin.close()
    rest = program.stdout.read()
    program.wait(SECONDS_MAX)
    return rest.splitlines()
