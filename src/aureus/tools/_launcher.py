"""The program that starts the children of one Aureus process and outlives it just long enough to end them.

It runs as its own small interpreter, by path, and imports nothing of Aureus. Over a socket it receives, for each piece
of work, one byte and file descriptors: a control socket, a file that holds the request, then what becomes the work's
descriptors 0, 1, 2, … . It forks a supervisor for each. Invariant: when the control socket closes or Aureus dies in
any way, the supervisor kills the work with all its descendants. On Linux that includes processes that left the group
or session, because the supervisor adopts orphans; elsewhere only the process group is reached.

A fresh interpreter for each piece of work would add 10 ms to its start; two forks of this one add 2.5.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import select
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

DESCRIPTORS_MAX = 8
"""File descriptors of one piece of work."""

TICK_SECONDS = 0.05
GRACE_TICKS = 40
"""2 s: how long what was asked to end, or was left behind, may take before it is killed."""

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_FIRST_PRIVATE_DESCRIPTOR = 10
_IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_RESTORED = (*_IGNORED, signal.SIGCHLD, signal.SIGALRM, signal.SIGPIPE, signal.SIGXFSZ)

Prctl = Callable[[int, int], int]


def main() -> None:
    """Serve the Aureus process whose id and socket are the arguments."""
    aureus, link = int(sys.argv[1]), socket.socket(fileno=int(sys.argv[2]))
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    prctl = _find_prctl()
    lifeline = _lifeline(aureus)
    poll = select.poll()
    poll.register(link, select.POLLIN)
    if lifeline is not None:
        poll.register(lifeline, select.POLLIN)
    while lifeline not in (ready := [descriptor for descriptor, _ in poll.poll()]):
        if link.fileno() in ready and not _serve(link, lifeline, prctl):
            return


def _lifeline(process: int) -> int | None:
    """Return a descriptor that becomes readable when the process dies, where the system has such a thing.

    It notices a death that the socket hides: a process forked from Aureus may hold a copy of the other end.
    """
    if sys.platform != "linux":
        return None
    try:
        return os.pidfd_open(process)
    except OSError:
        return None


def _serve(link: socket.socket, lifeline: int | None, prctl: Prctl | None) -> bool:
    """Start one supervisor; say whether more may come."""
    byte, descriptors, _, _ = socket.recv_fds(link, 1, DESCRIPTORS_MAX)
    if not byte:
        return False
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
    control, request, *work = descriptors
    try:
        child = os.fork()
    except OSError as error:
        os.write(control, json.dumps({"stage": "fork", "errno": error.errno}).encode())
        child = -1
    if child == 0:
        try:
            link.close()
            _Supervisor(socket.socket(fileno=control), lifeline, prctl).run(request, work)
        finally:
            os._exit(0)
    for descriptor in descriptors:
        os.close(descriptor)
    return True


def _find_prctl() -> Prctl | None:
    """Return Linux's prctl, or nothing where orphans can be neither adopted nor listed."""
    if sys.platform != "linux" or not os.access(_children_file(os.getpid(), os.getpid()), os.R_OK):
        return None
    try:
        import ctypes
    except ImportError:
        return None
    function = ctypes.CDLL(None).prctl
    return lambda option, value: int(function(option, value, 0, 0, 0))


def _noted(_number: int, _frame: FrameType | None) -> None:
    """Do nothing: a signal with a handler is written to the wake-up descriptor, one without is lost."""


class _Supervisor:
    """Watches over one piece of work until nothing of it is left."""

    def __init__(self, control: socket.socket, lifeline: int | None, prctl: Prctl | None) -> None:
        self._control = control
        self._lifeline = lifeline
        self._prctl = prctl
        self._child = 0
        self._exit_code: int | None = None
        self._childless = False
        self._stop_asked = False
        self._abandoned = False
        self._ticks = 0
        self._signals, writer = os.pipe()
        for end in (self._signals, writer):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, signal.SIGALRM):
            signal.signal(number, _noted)
        self._poll = select.poll()
        for descriptor in (self._signals, control.fileno(), lifeline):
            if descriptor is not None:
                self._poll.register(descriptor, select.POLLIN)

    def run(self, request: int, work: list[int]) -> None:
        """Start the work, wait for its end, and report how it ended."""
        if self._prctl is not None:
            self._prctl(_PR_SET_CHILD_SUBREAPER, 1)
        with os.fdopen(request, "rb") as file:
            asked = json.load(file)
        with socket.socket(socket.AF_UNIX) as claim:
            self._claim(claim, asked["identity"])
            if self._interrupted():
                return
            report = self._start(asked, work)
            for descriptor in work:
                os.close(descriptor)
            if report is None:
                self._see_to_the_end()
                report = {"exit": self._exit_code}
        with contextlib.suppress(OSError):
            self._control.sendall(json.dumps(report).encode())

    def _claim(self, claim: socket.socket, identity: str) -> None:
        """Wait until nobody on this machine does the same work.

        A successor may take over a task some milliseconds before the supervisor of a dead process has killed the first
        copy. An abstract address of Linux has one owner, and none the moment that one is dead.
        """
        if sys.platform != "linux":
            return
        address = f"\0aureus-{identity}"
        while not self._interrupted():
            try:
                claim.bind(address)
                claim.listen()
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    return
                self._wait_for_owner(address)
            else:
                return

    def _wait_for_owner(self, address: str) -> None:
        """Wait until the owner of an address is gone, or Aureus says or means to stop."""
        with socket.socket(socket.AF_UNIX) as owner, contextlib.suppress(ConnectionError):
            owner.connect(address)
            self._poll.register(owner, select.POLLIN)
            self._wait()
            self._poll.unregister(owner)

    def _start(self, request: dict[str, Any], work: list[int]) -> dict[str, Any] | None:
        """Fork and execute; return the report of a failure."""
        reader, writer = os.pipe()
        private = fcntl.fcntl(writer, fcntl.F_DUPFD_CLOEXEC, _FIRST_PRIVATE_DESCRIPTOR)
        os.close(writer)
        supervisor = os.getpid()
        try:
            self._child = os.fork()
        except OSError as error:
            return {"stage": "fork", "errno": error.errno}
        if self._child == 0:
            _become(request, work, supervisor, self._prctl, private)
        self._childless = False
        os.close(private)
        with os.fdopen(reader, "rb") as file:
            failure = file.read()
        if not failure:
            return None
        os.waitpid(self._child, 0)
        report: dict[str, Any] = json.loads(failure)
        return report

    def _see_to_the_end(self) -> None:
        while self._exit_code is None and not self._interrupted():
            self._wait()
        if not self._interrupted():
            self._let_stragglers_finish()
        if self._stop_asked and not self._abandoned:
            self._signal(signal.SIGTERM)
            self._signal(signal.SIGCONT)
            self._wait_while(self._anybody, until_stopped=False)
        if self._interrupted():
            self._kill_all()

    def _let_stragglers_finish(self) -> None:
        """Give what the work left in its session the grace period, then kill it.

        ``tee`` behind a shell's ``> >(tee log)`` needs the moment. A daemon with its own session is left alone.
        """
        if not self._session_alive():
            return
        self._wait_while(self._session_alive)
        if not self._interrupted() and self._session_alive():
            self._signal(signal.SIGKILL, session_only=True)
            self._wait_while(self._session_alive)

    def _wait_while(self, condition: Callable[[], bool], *, until_stopped: bool = True) -> None:
        """Wait until the condition is false, the grace period is over, or Aureus says or means to stop."""
        self._ticks = 0
        signal.setitimer(signal.ITIMER_REAL, TICK_SECONDS, TICK_SECONDS)
        while self._ticks < GRACE_TICKS and not self._abandoned and condition():
            if until_stopped and self._stop_asked:
                break
            self._wait()
        signal.setitimer(signal.ITIMER_REAL, 0)

    def _wait(self) -> None:
        """Wait for a child's end, a tick, or news from Aureus, and note it."""
        for descriptor, _ in self._poll.poll():
            if descriptor == self._signals:
                self._ticks += os.read(descriptor, 512).count(signal.SIGALRM)
            elif descriptor == self._lifeline:
                self._abandoned = True
            elif descriptor == self._control.fileno():
                told = self._told_to_stop()
                self._stop_asked |= told
                self._abandoned |= not told
        self._reap()

    def _told_to_stop(self) -> bool:
        try:
            return bool(self._control.recv(64))
        except OSError:
            return False

    def _interrupted(self) -> bool:
        return self._stop_asked or self._abandoned

    def _reap(self) -> None:
        pid = 1
        while pid:
            pid = self._wait_for_child(os.WNOHANG)

    def _wait_for_child(self, options: int) -> int:
        """Collect one ended child, which may be an adopted one; return 0 when there is none."""
        try:
            pid, status = os.waitpid(-1, options)
        except ChildProcessError:
            self._childless = True
            return 0
        if pid == self._child:
            self._exit_code = os.waitstatus_to_exitcode(status)
        return pid

    def _kill_all(self) -> None:
        """Kill every descendant and wait until none is left.

        As one dies its children become ours, so that killing and waiting in turn reaches all of them, whatever they
        fork meanwhile.
        """
        self._signal(signal.SIGKILL)
        while self._wait_for_child(0):
            self._signal(signal.SIGKILL)
        self._wait_while(self._anybody, until_stopped=False)

    def _anybody(self) -> bool:
        return self._group_alive() if self._prctl is None else not self._childless

    def _session_alive(self) -> bool:
        if self._prctl is None:
            return self._group_alive()
        return any(_session_of(pid) == self._child for pid in _descendants(os.getpid()))

    def _group_alive(self) -> bool:
        try:
            os.killpg(self._child, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True

    def _signal(self, number: int, *, session_only: bool = False) -> None:
        """Send a signal to the group, and on Linux once to every descendant outside it.

        The group is addressed as one only while its leader is not collected: later its number may be somebody else's.
        """
        as_group = self._prctl is None or self._exit_code is None
        if as_group:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._child, number)
        if self._prctl is None:
            return
        for pid in list(_descendants(os.getpid())):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                in_group = as_group and os.getpgid(pid) == self._child
                if not in_group and not (session_only and os.getsid(pid) != self._child):
                    os.kill(pid, number)


def _become(
    request: dict[str, Any], work: list[int], supervisor: int, prctl: Prctl | None, failure: int
) -> None:
    """Turn this fresh fork into the work; never returns."""
    stage = "exec"
    try:
        os.setsid()
        if prctl is not None:
            prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != supervisor:
            os._exit(1)
        stage = "cwd"
        os.chdir(request["cwd"])
        stage = "exec"
        for target, descriptor in enumerate(work):
            os.dup2(descriptor, target)
        for number in _RESTORED:
            signal.signal(number, signal.SIG_DFL)
        argv = request["argv"]
        os.execvpe(argv[0], argv, request["env"])  # noqa: S606 (what this program is for)
    except (OSError, ValueError) as error:
        code = error.errno if isinstance(error, OSError) else errno.EINVAL
        os.write(failure, json.dumps({"stage": stage, "errno": code}).encode())
    finally:
        os._exit(1)


def _descendants(root: int) -> Iterator[int]:
    """Give the descendants of a process that is single-threaded or not, parents first."""
    try:
        threads = [int(thread.name) for thread in os.scandir(f"/proc/{root}/task")]
    except OSError:
        return
    for thread in threads:
        try:
            with os.fdopen(os.open(_children_file(root, thread), os.O_RDONLY), "rb") as file:
                children = [int(pid) for pid in file.read().split()]
        except OSError:
            continue
        for child in children:
            yield child
            yield from _descendants(child)


def _children_file(process: int, thread: int) -> str:
    return f"/proc/{process}/task/{thread}/children"


def _session_of(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None


if __name__ == "__main__":
    main()
