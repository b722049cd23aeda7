"""Child processes that end when their task ends, however Aureus itself ends.

``Launcher`` talks to the program in ``_launcher.py``: it says what to start, collects the output, and asks for the end
when its task is cancelled. Invariant: when ``run`` returns or raises, nothing of the work is running any more, except
daemons that left its session and were not asked to stop. POSIX only.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aureus.errors import ToolFailed
from aureus.tools.environment import inherited_environment
from aureus.tools.output import Capture, Output

_PROGRAM = Path(__file__).with_name("_launcher.py")

_LAUNCH_SECONDS_MAX = 10.0
"""How long the launcher may take to accept work; it needs a millisecond unless somebody stopped it."""

_STOP = b"s"


@dataclass(frozen=True, slots=True)
class Work:
    """A program to start, with all it is given.

    Of work with the same ``identity`` and user, a machine runs one at a time (on Linux); a second one waits.
    ``reply_bytes_max`` opens descriptor 3 for a separate answer.
    """

    identity: tuple[str, ...]
    argv: Sequence[str]
    environment: Mapping[str, str]
    directory: Path
    stdin: bytes | None
    output_bytes_max: int
    reply_bytes_max: int | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended. A negative exit code is the number of the signal that killed it."""

    exit_code: int
    stdout: Output
    stderr: Output
    reply: Output


@dataclass(frozen=True, slots=True)
class NotStarted:
    """Why a program did not start: ``stage`` is cwd, exec or fork."""

    stage: str
    errno: int


class Launcher:
    """Starts and supervises programs. One serves a whole process, from any thread and event loop.

    Its own process starts with the first piece of work, costs about 10 MB, and is replaced when somebody ended it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._link: socket.socket | None = None
        self._owner = 0

    async def run(self, work: Work) -> Ended | NotStarted:
        """Run a program to its end.

        When cancelled, sends SIGTERM, after 2 s SIGKILL, to all its processes and waits for their end; when cancelled
        once more, SIGKILL at once. Raises ``ToolFailed`` when supervision itself breaks.
        """
        with contextlib.ExitStack() as opened:
            try:
                control, captures = self._start(work, opened)
            except OSError as error:
                raise ToolFailed(
                    f"no process could be started: {error.strerror or error}. "
                    "Check the limits on processes and open files.",
                    reason="launcher",
                ) from error
            report = await _ending(control)
            return _outcome(report, captures)

    def close(self) -> None:
        """End the launcher's process; work that still runs goes on. Safe to repeat."""
        with self._lock:
            self._stop_process()

    def _start(
        self, work: Work, opened: contextlib.ExitStack
    ) -> tuple[socket.socket, Sequence[Capture]]:
        """Hand the work to the launcher; return what tells of its end, and what collects its output."""
        control, theirs = socket.socketpair()
        opened.enter_context(control)
        captures: list[Capture] = []
        with theirs:
            for limit in (work.output_bytes_max, work.output_bytes_max, work.reply_bytes_max):
                if limit is not None:
                    captures.append(Capture(limit))
                    opened.callback(captures[-1].close)
            identity = json.dumps([os.getuid(), *work.identity]).encode()
            request = {
                "identity": hashlib.sha256(identity).hexdigest(),
                "argv": list(work.argv),
                "env": dict(work.environment),
                "cwd": str(work.directory),
            }
            with (
                _readable(json.dumps(request).encode()) as request_file,
                _readable(work.stdin) as stdin,
            ):
                writers = [capture.writer for capture in captures]
                self._hand_over([theirs.fileno(), request_file, stdin, *writers])
        for capture in captures:
            capture.close_writer()
        return control, captures

    def _hand_over(self, descriptors: list[int]) -> None:
        """Send descriptors to the launcher; start it when it is not there."""
        with self._lock:
            link = self._connect()
            try:
                socket.send_fds(link, [b"+"], descriptors)
            except OSError:
                self._stop_process()
                socket.send_fds(self._connect(), [b"+"], descriptors)

    def _connect(self) -> socket.socket:
        if self._link is not None and self._owner == os.getpid():
            return self._link
        self._stop_process()
        link, theirs = socket.socketpair()
        link.settimeout(_LAUNCH_SECONDS_MAX)
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 (our own program)
                [
                    *(sys.executable, "-I", "-S", "-X", "utf8", str(_PROGRAM)),
                    *(str(os.getpid()), str(theirs.fileno())),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=inherited_environment(os.environ),
                cwd="/",
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self._link, self._owner = link, os.getpid()
        return link

    def _stop_process(self) -> None:
        process, link = self._process, self._link
        self._process = self._link = None
        if link is not None:
            link.close()
        if process is None:
            return
        if self._owner != os.getpid():
            process.returncode = 0
            return
        try:
            process.wait(_LAUNCH_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def _readable(content: bytes | None) -> Generator[int]:
    """Lend a descriptor to read given bytes from: in memory where the system can, so that no disk is needed."""
    if content is None:
        descriptor = os.open(os.devnull, os.O_RDONLY)
    elif sys.platform == "linux":
        descriptor = os.memfd_create("aureus")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    try:
        if content is not None:
            with open(descriptor, "wb", closefd=False) as file:
                file.write(content)
            os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)


async def _ending(control: socket.socket) -> bytes:
    """Wait until the supervisor is gone, and return what it reported; when cancelled, see to the end first."""
    loop = asyncio.get_running_loop()
    gone: asyncio.Future[None] = loop.create_future()
    report = bytearray()

    def read() -> None:
        try:
            received = control.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            received = b""
        report.extend(received)
        if not received:
            loop.remove_reader(control)
            gone.set_result(None)

    control.setblocking(False)
    loop.add_reader(control, read)
    try:
        # A future and not a task: the end of the loop would cancel a task before the work has stopped.
        await asyncio.shield(gone)
    except asyncio.CancelledError:
        with contextlib.suppress(OSError):
            control.send(_STOP)
        while not gone.done():
            try:
                await asyncio.shield(gone)
            except asyncio.CancelledError:
                with contextlib.suppress(OSError):
                    control.shutdown(socket.SHUT_WR)
        raise
    finally:
        loop.remove_reader(control)
    return bytes(report)


def _outcome(report: bytes, captures: Sequence[Capture]) -> Ended | NotStarted:
    try:
        ending = json.loads(report)
    except ValueError:
        raise ToolFailed(
            "the process that supervised the work was killed, and the work with it; "
            "a machine that runs out of memory does that",
            reason="supervisor",
        ) from None
    if "stage" in ending:
        return NotStarted(ending["stage"], ending["errno"])
    stdout, stderr, *replies = (capture.finish() for capture in captures)
    return Ended(ending["exit"], stdout, stderr, replies[0] if replies else Output(b"", b"", 0))
