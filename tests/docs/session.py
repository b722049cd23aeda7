"""A shell that does what a page says, command by command, as a reader would.

Lines that begin with ``$`` are commands; what follows them is what the reader sees. A command that ends with ``&``
stays in the background, and the next one is typed when the page's lines have appeared: so a page can show how a run is
killed at a certain moment, without anybody waiting for a time. ``r_…`` in a command is the run that was last seen.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.docs.matching import matches
from tests.docs.pages import ROOT
from tests.support.waiting import eventually

COMMAND_SECONDS_MAX = 60.0
"""A command that takes longer hangs."""

_RUN = re.compile(r"\br_[0-9a-f]{32}\b")
_DONE = "command-has-ended"


@dataclass(frozen=True, slots=True)
class Command:
    """One command of a page, and what the page shows below it."""

    text: str
    shown: str

    @property
    def is_background(self) -> bool:
        """Return whether the command goes on while the next one is typed."""
        return self.text.split(" #")[0].rstrip().endswith("&")


def commands(block: str) -> Iterator[Command]:
    """Yield the commands of a console block; fails for a block that does not begin with one."""
    parts = re.split(r"(?m)^\$ ", block)
    assert not parts[0].strip(), f"the block does not begin with a command: {parts[0]!r}"
    for part in parts[1:]:
        lines = part.splitlines()
        length = 1
        while lines[length - 1].endswith("\\"):
            length += 1
        yield Command("\n".join(lines[:length]), "\n".join(lines[length:]))


class Session:
    """A shell in a folder of its own, with the examples and documents of the repository beside it."""

    def __init__(self, home: Path, settings: Mapping[str, str] | None = None) -> None:
        """Start the shell; ``settings`` are added to a nearly empty environment."""
        self.directory = home / "work"
        self.directory.mkdir()
        for name in ("docs", "examples"):
            left_out = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, self.directory / name, ignore=left_out)
        for page in ROOT.glob("*.md"):
            shutil.copy(page, self.directory)
        self._log = home / "screen"
        self._log.touch()
        environment = _environment(home) | dict(settings or {})
        with self._log.open("ab") as screen:
            self._shell = subprocess.Popen(
                ["sh"],
                stdin=subprocess.PIPE,
                stdout=screen,
                stderr=subprocess.STDOUT,
                cwd=self.directory,
                env=environment,
                start_new_session=True,
                text=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the shell and everything that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._shell.pid, signal.SIGKILL)
        with contextlib.suppress(BrokenPipeError):
            self._shell.communicate()

    @property
    def screen(self) -> str:
        """Return everything that was shown so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def do(self, command: Command, where: str) -> None:
        """Type a command, wait, and compare what is seen with what the page shows."""
        start = len(self.screen)
        text = command.text.replace("r_…", self._run()) if "r_…" in command.text else command.text
        if command.is_background:
            self._type(f"{text}\n")
            self._await_lines(command, start, where)
            return
        self._type(f"{{ {text}\n}} </dev/null; _code=$?; echo '{_DONE}' $_code; (exit $_code)\n")
        ended = re.compile(rf"(?m)^(.*?){_DONE} \d+$")
        eventually(
            lambda: ended.search(self.screen, start),
            f"{where}: the end of `{text}`; seen so far:\n{self.screen[start:]}",
            seconds_max=COMMAND_SECONDS_MAX,
        )
        said = re.sub(rf"{_DONE} \d+\n", "", self.screen[start:])
        assert matches(command.shown, said), _difference(where, text, command.shown, said)

    def run_python(self, text: str) -> str:
        """Run a Python program in the folder and return what it printed; fails when it fails."""
        path = self.directory / "block.py"
        path.write_text(text, encoding="utf-8")
        start = len(self.screen)
        self.do(Command("python -W error block.py > said.txt", ""), "python block")
        path.unlink()
        assert len(self.screen) > start
        return (self.directory / "said.txt").read_text(encoding="utf-8")

    def write(self, name: str, text: str) -> None:
        """Write a file of the page."""
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n", encoding="utf-8")

    def _type(self, text: str) -> None:
        assert self._shell.stdin is not None
        self._shell.stdin.write(text)
        self._shell.stdin.flush()

    def _await_lines(self, command: Command, start: int, where: str) -> None:
        try:
            eventually(
                lambda: matches(command.shown, self.screen[start:]),
                "the lines of the page",
                seconds_max=COMMAND_SECONDS_MAX,
            )
        except AssertionError:
            said = self.screen[start:]
            raise AssertionError(_difference(where, command.text, command.shown, said)) from None

    def _run(self) -> str:
        found = _RUN.findall(self.screen)
        assert found, "the page names a run, and none was seen yet"
        return str(found[-1])


def _environment(home: Path) -> dict[str, str]:
    programs = home / "bin"
    programs.mkdir()
    for name, arguments in (("aureus", " -m aureus"), ("python", "")):
        program = programs / name
        program.write_text(
            f'#!/bin/sh\nexec "{sys.executable}"{arguments} "$@"\n', encoding="utf-8"
        )
        program.chmod(0o755)
    inherited = {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
    if "PYTHONPATH" in inherited:
        inherited["PYTHONPATH"] = os.pathsep.join(
            str(ROOT / path) for path in inherited["PYTHONPATH"].split(os.pathsep)
        )
    return {
        "PATH": f"{programs}{os.pathsep}{os.defpath}",
        "HOME": str(home),
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "COLUMNS": "100",
        "PYTHONDONTWRITEBYTECODE": "1",
        "LOGNAME": "ada",
        "USER": "ada",
        **inherited,
    }


def _difference(where: str, command: str, shown: str, said: str) -> str:
    return f"{where}: `{command}` does not say what the page shows\n--- page\n{shown}\n--- program\n{said}"
