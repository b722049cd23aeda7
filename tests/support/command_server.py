"""Runs ``aureus`` again and again in processes that are forked from one that has imported it all.

Starting Python and importing what a command needs takes most of the time of a short command. Each command still has a
process, a folder, an environment and an exit of its own. What a fresh start alone can show is shown by commands that
are started as users do: every command of the acceptance tests is on SQLite, and whatever runs in the background.
"""

from __future__ import annotations

import gc
import json
import os
import pkgutil
import runpy
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Final, Self

SECONDS_MAX: Final = 60.0
"""A command that takes longer hangs."""

_MESSAGE_BYTES_MAX: Final = 1 << 20


class CommandServer:
    """The process that commands are forked from, until it is closed."""

    def __init__(self) -> None:
        self._socket, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.settimeout(SECONDS_MAX)
        path = os.pathsep.join(path for path in sys.path if path)
        with other:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.command_server", str(other.fileno())],
                env={**os.environ, "PYTHONPATH": path, "PYTHONWARNINGS": "error"},
                stdin=subprocess.DEVNULL,
                pass_fds=[other.fileno()],
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the process, which ends with its socket."""
        self._socket.close()
        self._process.wait(SECONDS_MAX)

    def run(
        self, arguments: Sequence[str], *, environment: Mapping[str, str], directory: Path
    ) -> subprocess.CompletedProcess[str]:
        """Run ``aureus`` to its end."""
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            asked = json.dumps([list(arguments), dict(environment), str(directory)]).encode()
            socket.send_fds(self._socket, [asked], [out.fileno(), err.fileno()])
            code = int(self._socket.recv(100))
            out.seek(0)
            err.seek(0)
            return subprocess.CompletedProcess(arguments, code, out.read(), err.read())


def serve(number: int) -> None:
    """Fork a process for each command that is asked for, and answer with its exit code; in the process, return."""
    with socket.socket(fileno=number) as asking:
        while True:
            asked, descriptors, _, _ = socket.recv_fds(asking, _MESSAGE_BYTES_MAX, 2)
            if not asked:
                sys.exit()
            child = os.fork()
            if child == 0:
                arguments, environment, directory = json.loads(asked)
                _become(arguments, environment, directory, descriptors)
                return
            for descriptor in descriptors:
                os.close(descriptor)
            _, status = os.waitpid(child, 0)
            asking.send(str(os.waitstatus_to_exitcode(status)).encode())


def _become(
    arguments: list[str], environment: dict[str, str], directory: str, descriptors: list[int]
) -> None:
    """Make this process one that was started for a command."""
    for number, descriptor in enumerate(descriptors, 1):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["aureus", *arguments]


def _import_all() -> None:
    import aureus

    for module in pkgutil.walk_packages(aureus.__path__, "aureus."):
        if not module.name.endswith("__main__"):
            with suppress(ImportError):  # of what is not installed here
                import_module(module.name)
    gc.freeze()


if __name__ == "__main__":
    _import_all()
    serve(int(sys.argv[1]))
    runpy.run_module("aureus", run_name="__main__", alter_sys=True)
