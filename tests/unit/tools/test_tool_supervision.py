"""Nothing of a piece of work is left when its task ends.

Every test watches real processes through a wire they hold: grandchildren that ignore SIGTERM, that left the group, that
left the session.
"""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from aureus.errors import ToolFailed
from aureus.tools import Tools, supervision
from tests.support.waiting import eventually
from tests.unit.tools.calling import RunTool, Wire, find_tool, make_call, run_until
from tests.unit.tools.shapes import EVERY_SHAPE, HOLD, LINUX, STUBBORN, run_shell, shell

pytestmark = pytest.mark.usefixtures("runner")


def change_launcher(
    monkeypatch: pytest.MonkeyPatch, folder: Path, text: str, replacement: str
) -> None:
    """Let tools start a launcher that differs in one point."""
    source = Path(supervision.__file__).with_name("_launcher.py").read_text(encoding="utf-8")
    assert text in source
    changed = folder / "changed_launcher.py"
    changed.write_text(source.replace(text, replacement), encoding="utf-8")
    monkeypatch.setattr(supervision, "_PROGRAM", changed)


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
        """The work answers SIGTERM and goes on, in a grace period of a minute."""
        change_launcher(monkeypatch, tmp_path, "GRACE_TICKS = 40", "GRACE_TICKS = 1200")
        script = "trap 'echo asked >&9' TERM; " + HOLD + "while :; do sleep 1000 & wait; done"

        async def scenario() -> None:
            call = make_call(tmp_path, shell(script))
            task = await run_until(wire, find_tool(tools, "command"), call, "up")
            task.cancel()
            await asyncio.to_thread(wire.wait_for, "asked")
            task.cancel()
            await asyncio.wait([task], timeout=30)
            assert task.cancelled()
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
                run_shell(tools, tmp_path, "cat gate; echo stayed", task_id="other")
            )
            leaving = await run_until(
                wire, tool, make_call(tmp_path, shell(HOLD + "sleep 1000")), "up"
            )
            leaving.cancel()
            await asyncio.wait([leaving])
            os.close(await asyncio.to_thread(os.open, tmp_path / "gate", os.O_WRONLY))
            return await staying

        assert asyncio.run(scenario())["stdout"] == "stayed\n"


@pytest.mark.skipif(
    not LINUX, reason="elsewhere nothing is free again the moment its owner is dead"
)
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
            eventually(lambda: not _children(process.pid), "supervisors are collected")

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
                await run_shell(tools, tmp_path, "true")
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


def _descriptors() -> list[str]:
    return sorted(path.name for path in Path("/dev/fd").iterdir())


def _children(pid: int) -> str:
    """Return the children of a process, collected or not."""
    return Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
