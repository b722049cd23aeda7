"""Work ends with Aureus, and two copies of one task never work at once.

Every test kills real processes and watches theirs through a wire they hold.
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
from aureus.tools import Tools
from tests.support.waiting import eventually
from tests.unit.tools.calling import RunTool, Wire, find_tool, make_call, run_until
from tests.unit.tools.shapes import EVERY_SHAPE, HOLD, LINUX, STUBBORN, run_shell, shell

pytestmark = pytest.mark.usefixtures("runner")

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
            successor = asyncio.create_task(run_shell(tools, tmp_path, second))
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
            second = asyncio.create_task(run_shell(tools, tmp_path, cleaning + "kill -STOP $$"))
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
            second = asyncio.create_task(run_shell(tools, tmp_path, "touch trace"))
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
            assert (await run_shell(tools, tmp_path, "echo hi", **changed))["stdout"] == "hi\n"
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
            return [await task, await run_shell(tools, tmp_path, "echo next")]

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


def _launchers_of(pid: int) -> list[str]:
    found = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    return [line for line in found.stdout.splitlines() if f"_launcher.py {pid} " in line]
