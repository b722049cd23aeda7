"""Nothing of a piece of work is left when its task ends, however Aureus itself ends.

Every test watches real processes through a wire they hold: grandchildren that ignore SIGTERM, that left the group, that
left the session.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aureus.errors import ToolFailed
from aureus.tools import Tools, supervision
from tests.support.waiting import eventually
from tests.unit.tools.calling import RunTool, Wire, find_tool, make_call, run_until

LINUX = sys.platform == "linux"

HOLD = "exec 9>wire; echo up >&9; "

STUBBORN = {
    "a child": HOLD + "sleep 1000",
    "a child that ignores SIGTERM": HOLD + "trap '' TERM; sleep 1000; sleep 1000",
    "grandchildren": HOLD + "(sleep 1000; true) & (sleep 1000; true) & wait",
    "grandchildren that ignore SIGTERM": HOLD
    + "trap '' TERM; (sleep 1000; true) & sleep 1000; wait",
    "a stopped child": HOLD + "kill -STOP $$",
}

ESCAPED = {
    "another group": HOLD + "timeout 1000 sleep 1000; true",
    "another session": HOLD + "setsid sh -c 'sleep 1000; true' & wait",
    "an orphan in another session": HOLD
    + "(setsid sh -c \"trap '' TERM; sleep 1000; true\" &) ; sleep 1000",
    "one that keeps forking and leaving": HOLD + f"exec '{sys.executable}' -I -S runner.py",
}

RUNNER = """
import os
while True:
    if os.fork():
        os._exit(0)
    os.setsid()
"""

EVERY_SHAPE = {**STUBBORN, **(ESCAPED if LINUX else {})}

HOST = """
import asyncio, os, sys
from pathlib import Path
from aureus.tools import Tools, ToolCall

def call(task, script):
    return ToolCall(run_id="r_1", workflow_id="w", task_id=task, attempt=1, idempotency_key="key-1",
                    tenant_id="acme", inputs=eval(script), directory=Path.cwd())

def enumerated(scripts):
    return [("fetch" if number == 0 else f"fetch{number}", script) for number, script in enumerate(scripts)]

async def main():
    tools = Tools()
    calls = [tools.find(sys.argv[1]).run(call(*item)) for item in enumerated(sys.argv[2:])]
    await asyncio.gather(*calls)
"""


@pytest.fixture(autouse=True)
def runner(tmp_path: Path) -> None:
    """Put the program beside the workflow file that no list of processes catches."""
    (tmp_path / "runner.py").write_text(RUNNER, encoding="utf-8")


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Give a list whose processes are ended after the test."""
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for host in started:
        host.kill()
        host.wait()


def start_host(
    folder: Path, tool: str, *inputs: dict[str, Any], epilogue: str = ""
) -> subprocess.Popen[bytes]:
    """Start a process of its own that runs tools in a folder."""
    program = HOST + (epilogue or "asyncio.run(main())\n")
    return subprocess.Popen(
        [sys.executable, "-c", program, tool, *map(repr, inputs)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )


def change_launcher(
    monkeypatch: pytest.MonkeyPatch, folder: Path, text: str, replacement: str
) -> None:
    """Let tools start a launcher that differs in one point."""
    source = Path(supervision.__file__).with_name("_launcher.py").read_text(encoding="utf-8")
    assert text in source
    changed = folder / "changed_launcher.py"
    changed.write_text(source.replace(text, replacement), encoding="utf-8")
    monkeypatch.setattr(supervision, "_PROGRAM", changed)


def shell(script: str) -> dict[str, Any]:
    return {"command": ["sh", "-c", script]}


class TestCancellation:
    @pytest.mark.parametrize("script", EVERY_SHAPE.values(), ids=EVERY_SHAPE.keys())
    def test_leaves_nothing_running(
        self, tools: Tools, tmp_path: Path, wire: Wire, script: str
    ) -> None:
        async def scenario() -> None:
            call = make_call(tmp_path, shell(script))
            task = await run_until(wire, find_tool(tools, "command"), call, "up")
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert not wire.is_held()

        asyncio.run(scenario())

    def test_by_a_timeout_leaves_nothing_running(
        self, tools: Tools, tmp_path: Path, wire: Wire
    ) -> None:
        async def scenario() -> None:
            call = make_call(tmp_path, shell(STUBBORN["grandchildren"]))
            task = await run_until(wire, find_tool(tools, "command"), call, "up")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await task
            assert not wire.is_held()

        asyncio.run(scenario())

    def test_lets_a_stopped_program_clean_up(
        self, tools: Tools, tmp_path: Path, wire: Wire
    ) -> None:
        script = "trap 'echo cleaned >&9; exit 0' TERM; " + HOLD + "kill -STOP $$"

        async def scenario() -> None:
            call = make_call(tmp_path, shell(script))
            task = await run_until(wire, find_tool(tools, "command"), call, "up")
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(scenario())
        assert wire.lines == ["up"]
        assert not wire.is_held()
        assert wire.lines == ["up", "cleaned"]

    def test_asks_before_it_kills(self, tools: Tools, tmp_path: Path, wire: Wire) -> None:
        script = (
            "trap 'echo cleaned >&9; exit 0' TERM; " + HOLD + "while :; do sleep 1000 & wait; done"
        )

        async def scenario() -> None:
            call = make_call(tmp_path, shell(script))
            task = await run_until(wire, find_tool(tools, "command"), call, "up")
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(scenario())
        assert not wire.is_held()
        assert wire.lines == ["up", "cleaned"]

    def test_twice_kills_at_once(
        self, tools: Tools, tmp_path: Path, wire: Wire, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The work answers SIGTERM and goes on, in a grace period that is longer than any test may take."""
        change_launcher(monkeypatch, tmp_path, "GRACE_TICKS = 40", "GRACE_TICKS = 40_000")
        script = "trap 'echo asked >&9' TERM; " + HOLD + "while :; do sleep 1000 & wait; done"

        async def scenario() -> None:
            call = make_call(tmp_path, shell(script))
            task = await run_until(wire, find_tool(tools, "command"), call, "up")
            task.cancel()
            await asyncio.to_thread(wire.wait_for, "asked")
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert not wire.is_held()

        asyncio.run(scenario())

    def test_before_the_start_starts_nothing(self, tools: Tools, tmp_path: Path) -> None:
        async def scenario() -> None:
            call = make_call(tmp_path, shell("touch trace"))
            task = asyncio.ensure_future(find_tool(tools, "command").run(call))
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(scenario())
        assert not (tmp_path / "trace").exists()

    def test_when_the_loop_ends_leaves_nothing_running(
        self, tools: Tools, tmp_path: Path, wire: Wire
    ) -> None:
        """The end of ``asyncio.run`` cancels every task at once, in no order."""

        async def scenario() -> asyncio.Task[Any]:
            call = make_call(tmp_path, shell(STUBBORN["grandchildren that ignore SIGTERM"]))
            return await run_until(wire, find_tool(tools, "command"), call, "up")

        assert asyncio.run(scenario()).cancelled()
        assert not wire.is_held()

    def test_of_one_call_leaves_the_others_alone(
        self, tools: Tools, tmp_path: Path, wire: Wire
    ) -> None:
        async def scenario() -> Any:
            tool = find_tool(tools, "command")
            os.mkfifo(tmp_path / "gate")
            staying = asyncio.create_task(
                _result(tools, tmp_path, "cat gate; echo stayed", task_id="other")
            )
            leaving = await run_until(
                wire, tool, make_call(tmp_path, shell(HOLD + "sleep 1000")), "up"
            )
            leaving.cancel()
            await asyncio.wait([leaving])
            os.close(await asyncio.to_thread(os.open, tmp_path / "gate", os.O_WRONLY))
            return await staying

        assert asyncio.run(scenario())["stdout"] == "stayed\n"


class TestDeathOfAureus:
    @pytest.mark.parametrize("script", EVERY_SHAPE.values(), ids=EVERY_SHAPE.keys())
    def test_ends_a_command(
        self, tmp_path: Path, wire: Wire, hosts: list[subprocess.Popen[bytes]], script: str
    ) -> None:
        hosts.append(host := start_host(tmp_path, "command", shell(script)))
        wire.wait_for("up")
        host.kill()
        wire.wait_for_end()

    def test_ends_a_function_and_what_it_started(
        self, tmp_path: Path, wire: Wire, hosts: list[subprocess.Popen[bytes]]
    ) -> None:
        source = "import subprocess\ndef start(script): subprocess.run(['sh', '-c', script])\n"
        (tmp_path / "starting.py").write_text(source, encoding="utf-8")
        inputs = {"call": "starting:start", "args": [STUBBORN["grandchildren"]]}
        hosts.append(host := start_host(tmp_path, "python", inputs))
        wire.wait_for("up")
        host.kill()
        wire.wait_for_end()

    def test_ends_all_of_many(
        self, tmp_path: Path, wire: Wire, hosts: list[subprocess.Popen[bytes]]
    ) -> None:
        names = [f"up{number}" for number in range(20)]
        scripts = [shell(f"exec 9>wire; echo {name} >&9; sleep 1000; true") for name in names]
        hosts.append(host := start_host(tmp_path, "command", *scripts))
        wire.wait_for(*names)
        host.kill()
        wire.wait_for_end()

    @pytest.mark.skipif(not LINUX, reason="only Linux tells of a death behind a copied socket")
    def test_is_noticed_behind_a_forked_copy(
        self, tmp_path: Path, wire: Wire, hosts: list[subprocess.Popen[bytes]]
    ) -> None:
        """A process forked from Aureus keeps its sockets open; the work must end all the same."""
        epilogue = (
            "import threading, subprocess\n"
            "def fork():\n"
            "    subprocess.run(['sh', '-c', 'read line <fork'])\n"
            "    if os.fork() == 0:\n"
            "        open('forked', 'w').write(str(os.getpid()))\n"
            "        open('leave').read()\n"
            "        os._exit(0)\n"
            "threading.Thread(target=fork).start()\n"
            "asyncio.run(main())\n"
        )
        for name in ("fork", "leave"):
            os.mkfifo(tmp_path / name)
        command = shell(STUBBORN["grandchildren"])
        hosts.append(host := start_host(tmp_path, "command", command, epilogue=epilogue))
        wire.wait_for("up")
        (tmp_path / "fork").write_text("now\n", encoding="utf-8")
        eventually((tmp_path / "forked").exists, "the host forks")
        host.kill()
        wire.wait_for_end()
        (tmp_path / "leave").write_text("", encoding="utf-8")

    def test_before_the_launcher_is_ready_leaves_no_launcher(
        self, tmp_path: Path, hosts: list[subprocess.Popen[bytes]]
    ) -> None:
        epilogue = "Tools().find('command')._launcher._connect()\nos.kill(os.getpid(), 9)\n"
        hosts.append(host := start_host(tmp_path, "command", epilogue=epilogue))
        host.wait()
        eventually(lambda: not _launchers_of(host.pid), "the launcher leaves")


@pytest.mark.skipif(
    not LINUX, reason="elsewhere nothing is free again the moment its owner is dead"
)
class TestOneCopyAtATime:
    def test_a_successor_waits_until_the_first_copy_is_dead(
        self,
        tools: Tools,
        tmp_path: Path,
        wire: Wire,
        hosts: list[subprocess.Popen[bytes]],
    ) -> None:
        """The supervisor of the first copy is stopped, so that the death of its Aureus is not noticed for a while."""
        first = (
            "exec 9>wire; echo $PPID >&9; echo $$ >first; echo up >&9; kill -STOP $PPID; sleep 1000"
        )
        second = "kill -0 $(cat first) 2>/dev/null && echo together || echo alone"

        async def scenario() -> Any:
            successor = asyncio.create_task(_result(tools, tmp_path, second))
            # A second copy that does not wait has the time to show it.
            await asyncio.wait([successor], timeout=0.3)
            os.kill(int(wire.lines[0]), signal.SIGCONT)
            return await successor

        hosts.append(host := start_host(tmp_path, "command", shell(first)))
        wire.wait_for("up")
        host.kill()
        host.wait()
        assert asyncio.run(scenario())["stdout"] == "alone\n"

    def test_a_copy_that_waited_is_asked_before_it_is_killed(
        self, tools: Tools, tmp_path: Path, wire: Wire
    ) -> None:
        cleaning = "trap 'sleep 0.2; echo cleaned >&9; exit 0' TERM; exec 9>wire; echo second >&9; "

        async def scenario() -> None:
            tool = find_tool(tools, "command")
            call = make_call(tmp_path, shell(HOLD + "sleep 1000"))
            first = await run_until(wire, tool, call, "up")
            second = asyncio.create_task(_result(tools, tmp_path, cleaning + "kill -STOP $$"))
            await asyncio.wait([second], timeout=0.1)
            first.cancel()
            await asyncio.wait([first])
            await asyncio.to_thread(wire.wait_for, "second")
            second.cancel()
            with pytest.raises(asyncio.CancelledError):
                await second

        asyncio.run(scenario())
        assert not wire.is_held()
        assert "cleaned" in wire.lines

    def test_a_waiting_copy_can_be_cancelled(
        self, tools: Tools, tmp_path: Path, wire: Wire
    ) -> None:
        async def scenario() -> None:
            call = make_call(tmp_path, shell(HOLD + "sleep 1000"))
            first = await run_until(wire, find_tool(tools, "command"), call, "up")
            second = asyncio.create_task(_result(tools, tmp_path, "touch trace"))
            await asyncio.wait([second], timeout=0.1)
            second.cancel()
            with pytest.raises(asyncio.CancelledError):
                await second
            assert wire.is_held()
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first

        asyncio.run(scenario())
        assert not (tmp_path / "trace").exists()

    @pytest.mark.parametrize(
        "changed",
        [{"tenant_id": "b"}, {"run_id": "r_2"}, {"task_id": "b"}, {"idempotency_key": "b"}],
        ids=str,
    )
    def test_other_work_does_not_wait(
        self, tools: Tools, tmp_path: Path, wire: Wire, changed: dict[str, Any]
    ) -> None:
        async def scenario() -> None:
            call = make_call(tmp_path, shell(HOLD + "sleep 1000"))
            first = await run_until(wire, find_tool(tools, "command"), call, "up")
            assert (await _result(tools, tmp_path, "echo hi", **changed))["stdout"] == "hi\n"
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first

        asyncio.run(scenario())


class TestDeathOfTheHelpers:
    def test_of_the_launcher_hurts_no_running_work(
        self, tools: Tools, tmp_path: Path, wire: Wire
    ) -> None:
        async def scenario() -> list[Any]:
            os.mkfifo(tmp_path / "gate")
            script = HOLD + "cat gate; echo survived"
            task = await run_until(
                wire, find_tool(tools, "command"), make_call(tmp_path, shell(script)), "up"
            )
            process = tools._launcher._process
            assert process is not None
            process.kill()
            process.wait()
            os.close(await asyncio.to_thread(os.open, tmp_path / "gate", os.O_WRONLY))
            return [await task, await _result(tools, tmp_path, "echo next")]

        survived, following = asyncio.run(scenario())
        assert (survived["stdout"], following["stdout"]) == ("survived\n", "next\n")

    @pytest.mark.skipif(not LINUX, reason="only Linux ends a child with its parent")
    def test_of_the_supervisor_ends_the_program_and_is_told(self, run: RunTool, wire: Wire) -> None:
        with pytest.raises(ToolFailed, match="supervised") as caught:
            run("command", **shell(HOLD + "kill -KILL $PPID; exec sleep 1000"))
        assert caught.value.reason == "supervisor"
        wire.wait_for_end()

    def test_the_helpers_ignore_what_is_meant_for_aureus(self, tools: Tools, run: RunTool) -> None:
        """A service manager sends SIGTERM to everybody; work ends when Aureus says so, after its hand-over."""
        run("command", command=["true"])
        process = tools._launcher._process
        assert process is not None
        process.send_signal(signal.SIGTERM)
        assert run("command", **shell("kill -TERM $PPID; echo here"))["stdout"] == "here\n"
        assert tools._launcher._process is process


class TestNormalEnd:
    def test_stragglers_may_finish_what_they_write(self, run: RunTool) -> None:
        """As ``tee`` does behind a shell's redirection: it ends after the shell that started it."""
        script = "(while kill -0 $$ 2>/dev/null; do :; done; echo late) & echo early"
        assert run("command", **shell(script))["stdout"] == "early\nlate\n"

    def test_stragglers_that_stay_are_killed(self, run: RunTool, wire: Wire) -> None:
        assert run("command", **shell(HOLD + "trap '' TERM; sleep 1000 & exit 0"))["exitCode"] == 0
        assert not wire.is_held()

    @pytest.mark.skipif(not LINUX, reason="elsewhere only the process group is known")
    def test_stragglers_in_another_group_are_killed(self, run: RunTool, wire: Wire) -> None:
        assert run("command", **shell(HOLD + "timeout 1000 sleep 1000 & exit 0"))["exitCode"] == 0
        assert not wire.is_held()

    @pytest.mark.skipif(not LINUX, reason="setsid is a program of Linux")
    def test_a_daemon_with_its_own_session_stays(self, run: RunTool, wire: Wire) -> None:
        """Leaving the session is how a program says that it is to outlive its starter; it even holds stdout."""
        script = (
            "setsid sh -c 'exec 9>wire; echo $$ >&9; exec sleep 1000' & read line <ready; echo done"
        )
        os.mkfifo(wire.path.parent / "ready")
        script = script.replace("exec sleep", "echo >ready; exec sleep")
        assert run("command", **shell(script))["stdout"] == "done\n"
        assert wire.is_held()
        os.kill(int(wire.lines[0]), signal.SIGKILL)
        wire.wait_for_end()

    @pytest.mark.skipif(not LINUX, reason="setsid is a program of Linux")
    def test_killing_stragglers_spares_a_daemon(
        self, run: RunTool, tmp_path: Path, wire: Wire
    ) -> None:
        daemon = "exec 9>wire; echo $$ >&9; echo >ready; exec sleep 1000"
        os.mkfifo(tmp_path / "ready")
        run("command", **shell(f"setsid sh -c '{daemon}' & read line <ready; sleep 1000 & exit 0"))
        assert wire.is_held()
        os.kill(int(wire.lines[0]), signal.SIGKILL)
        wire.wait_for_end()

    def test_no_descriptor_and_no_zombie_is_left(
        self, tools: Tools, tmp_path: Path, run: RunTool
    ) -> None:
        def once() -> None:
            run("command", command=["true"])
            run("python", call="os:getpid")
            with pytest.raises(ToolFailed):
                run("command", command=["no-such-program"])

        once()
        before = _descriptors()
        for _ in range(5):
            once()
        assert _descriptors() == before
        process = tools._launcher._process
        assert process is not None
        if LINUX:
            eventually(lambda: not supervision_children(process.pid), "supervisors are collected")

    def test_closing_ends_the_launcher_and_may_be_repeated(
        self, tools: Tools, run: RunTool
    ) -> None:
        run("command", command=["true"])
        process = tools._launcher._process
        assert process is not None
        tools.close()
        tools.close()
        assert process.returncode == 0
        assert run("command", command=["echo", "again"])["stdout"] == "again\n"


class TestLimits:
    def test_no_free_descriptor_is_a_failure_of_the_tool(
        self, tools: Tools, tmp_path: Path
    ) -> None:
        import resource

        async def scenario() -> None:
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (len(_descriptors()) + 1, hard))
            try:
                await _result(tools, tmp_path, "true")
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

        with pytest.raises(ToolFailed, match="limits on processes and open files") as caught:
            asyncio.run(scenario())
        assert caught.value.reason == "launcher"


class TestWithoutLinux:
    """Where orphans cannot be adopted, the process group and the closed socket do what they can."""

    @pytest.fixture(autouse=True)
    def plain_launcher(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        change_launcher(monkeypatch, tmp_path, 'sys.platform != "linux"', "True")

    def test_a_command_runs(self, run: RunTool) -> None:
        assert run("command", command=["echo", "hi"])["stdout"] == "hi\n"

    @pytest.mark.parametrize("script", STUBBORN.values(), ids=STUBBORN.keys())
    def test_cancellation_leaves_nothing_of_the_group(
        self, tools: Tools, tmp_path: Path, wire: Wire, script: str
    ) -> None:
        async def scenario() -> None:
            call = make_call(tmp_path, shell(script))
            task = await run_until(wire, find_tool(tools, "command"), call, "up")
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            wire.wait_for_end()

        asyncio.run(scenario())

    def test_stragglers_that_stay_are_killed(self, run: RunTool, wire: Wire) -> None:
        assert run("command", **shell(HOLD + "sleep 1000 & exit 0"))["exitCode"] == 0
        wire.wait_for_end()


async def _result(tools: Tools, folder: Path, script: str, **changed: Any) -> Any:
    return await find_tool(tools, "command").run(make_call(folder, shell(script), **changed))


def _descriptors() -> list[str]:
    return sorted(path.name for path in Path("/dev/fd").iterdir())


def supervision_children(pid: int) -> str:
    """Return the children of a process, collected or not."""
    return Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")


def _launchers_of(pid: int) -> list[str]:
    found = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    return [line for line in found.stdout.splitlines() if f"_launcher.py {pid} " in line]
