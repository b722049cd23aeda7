"""What ``command`` runs, what it hands over and takes back, and how its failures read."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from aureus import codec
from aureus.errors import Invalid, ToolFailed
from aureus.tools import Tools
from tests.unit.tools.calling import RunTool, Wire, find_tool, make_call


def python(program: str) -> list[str]:
    """Return the command that runs a Python program given as text."""
    return [sys.executable, "-I", "-S", "-c", program]


class TestResult:
    def test_holds_the_exit_code_and_both_outputs(self, run: RunTool) -> None:
        result = run("command", command=["sh", "-c", "echo out; echo err >&2"])
        assert result == {"exitCode": 0, "stdout": "out\n", "stderr": "err\n", "truncated": False}

    def test_arguments_reach_the_program_as_they_are(self, run: RunTool) -> None:
        awkward = ["a b", "$HOME", "*", "'\"", "", "ü€😀", "-n"]
        result = run("command", command=[*python("import sys; print(sys.argv[1:])"), *awkward])
        assert result["stdout"] == f"{awkward}\n"

    def test_numbers_become_arguments(self, run: RunTool) -> None:
        assert run("command", command=["echo", 1, 0.5])["stdout"] == "1 0.5\n"

    def test_stdin_is_empty_unless_given(self, run: RunTool) -> None:
        assert run("command", command=["cat"])["stdout"] == ""

    def test_stdin_is_the_given_text(self, run: RunTool) -> None:
        text = "Grüße\n" * 100_000
        result = run("command", command=["cat"], stdin=text, outputLimitBytes=1_000_000)
        assert result["stdout"] == text

    def test_json_is_parsed_on_request(self, run: RunTool) -> None:
        result = run("command", command=["echo", '{"n": [1, 2.5, null]}'], json=True)
        assert result["value"] == {"n": [1, 2.5, None]}

    def test_a_working_directory_starts_at_the_workflow_file(
        self, run: RunTool, tmp_path: Path
    ) -> None:
        (tmp_path / "inner").mkdir()
        assert run("command", command=["pwd"], cwd="inner")["stdout"] == f"{tmp_path / 'inner'}\n"
        assert run("command", command=["pwd"])["stdout"] == f"{tmp_path}\n"

    def test_a_program_may_lie_beside_the_workflow_file(self, run: RunTool, tmp_path: Path) -> None:
        script = tmp_path / "greet"
        script.write_text("#!/bin/sh\necho hello\n", encoding="utf-8")
        script.chmod(0o755)
        assert run("command", command=["./greet"])["stdout"] == "hello\n"

    def test_an_allowed_exit_code_is_no_failure(self, run: RunTool) -> None:
        result = run("command", command=["sh", "-c", "exit 1"], allowExitCodes=[0, 1])
        assert result["exitCode"] == 1

    def test_signals_are_as_a_new_program_expects_them(self, run: RunTool) -> None:
        """The launcher ignores some signals and its Python others; none of that may be inherited."""
        program = (
            "import signal\n"
            "print([s.name for s in signal.valid_signals() if isinstance(s, signal.Signals)"
            " and signal.getsignal(s) == signal.SIG_IGN], signal.pthread_sigmask(0, []))"
        )
        # Python itself ignores these two when it starts.
        assert run("command", command=python(program))["stdout"] == "['SIGPIPE', 'SIGXFSZ'] set()\n"

    def test_no_descriptor_leaks_into_the_program(self, run: RunTool) -> None:
        program = "import os; print([d for d in range(64) if os.path.exists(f'/dev/fd/{d}')])"
        held = os.open(os.devnull, os.O_RDONLY)
        try:
            printed = run("command", command=python(program))["stdout"]
        finally:
            os.close(held)
        assert printed == "[0, 1, 2]\n"


class TestOutput:
    def test_beyond_the_limit_is_dropped_and_said(self, run: RunTool) -> None:
        result = run("command", command=["printf", "0123456789"], outputLimitBytes=4)
        assert (result["stdout"], result["truncated"]) == ("0123", True)

    def test_at_the_limit_is_whole(self, run: RunTool) -> None:
        result = run("command", command=["printf", "0123"], outputLimitBytes=4)
        assert (result["stdout"], result["truncated"]) == ("0123", False)

    def test_a_limit_never_halves_a_character(self, run: RunTool) -> None:
        assert run("command", command=["printf", "aé"], outputLimitBytes=2)["stdout"] == "a"

    def test_far_beyond_the_limit_blocks_nobody(self, run: RunTool) -> None:
        """More than any pipe holds, to both outputs: who does not drain them waits for ever."""
        program = "import os\nfor _ in range(400):\n os.write(1, b'o' * 65536)\n os.write(2, b'e' * 65536)"
        result = run("command", command=python(program), outputLimitBytes=1000)
        assert result["stdout"] == "o" * 1000
        assert result["stderr"] == "e" * 1000
        assert result["truncated"]

    def test_what_is_no_text_becomes_storable(self, run: RunTool) -> None:
        program = "import os; os.write(1, bytes(range(256)) + b'\\xed\\xa0\\x80')"
        result = run("command", command=python(program))
        codec.check(result)
        assert result["stdout"].startswith("\ufffd\x01\x02")

    def test_output_that_grows_beyond_a_value_as_json_is_refused(self, run: RunTool) -> None:
        """Control characters take six bytes in JSON."""
        program = "import os\nfor _ in range(8 * 16): os.write(1, b'\\x01' * 65536)"
        with pytest.raises(ToolFailed, match="Lower outputLimitBytes") as caught:
            run("command", command=python(program), outputLimitBytes=8 * 1024 * 1024)
        assert caught.value.reason == "output"

    @pytest.mark.parametrize(
        ("printed", "said"),
        [
            ("{", "not JSON"),
            ("", "not JSON"),
            ("NaN", "not JSON"),
            ('"\\u0000"', "NUL"),
            ("1" * 5000, "more than outputLimitBytes"),
        ],
        ids=["torn", "empty", "not a number", "NUL", "cut"],
    )
    def test_what_is_no_json_is_refused_when_json_is_asked_for(
        self, run: RunTool, printed: str, said: str
    ) -> None:
        with pytest.raises(ToolFailed, match=said) as caught:
            run("command", command=["cat"], stdin=printed, json=True, outputLimitBytes=4000)
        assert caught.value.reason == "output"


class TestFailure:
    def test_an_exit_code_comes_with_the_end_of_both_outputs(self, run: RunTool) -> None:
        with pytest.raises(ToolFailed) as caught:
            run("command", command=["sh", "-c", "echo half; echo 'no tides today' >&2; exit 3"])
        error = caught.value
        assert error.message == "'sh' ended with exit code 3: no tides today"
        assert (error.reason, error.exit_code) == ("exit", 3)
        assert (error.stdout_tail, error.stderr_tail) == ("half\n", "no tides today\n")

    def test_the_end_of_a_long_output_is_kept_for_the_error(self, run: RunTool) -> None:
        program = "import sys; sys.stderr.write('x' * 200_000 + '\\nthe reason\\n'); sys.exit(1)"
        with pytest.raises(ToolFailed, match="the reason"):
            run("command", command=python(program), outputLimitBytes=10)

    def test_a_signal_has_its_name(self, run: RunTool) -> None:
        with pytest.raises(ToolFailed, match=r"signal 9 \(SIGKILL\)") as caught:
            run("command", command=["sh", "-c", "kill -KILL $$"])
        assert caught.value.exit_code == -9

    def test_arguments_stay_out_of_the_message(self, run: RunTool) -> None:
        with pytest.raises(ToolFailed) as caught:
            run("command", command=["sh", "-c", "exit 1", "sh", "s3cret"])
        assert "s3cret" not in str(caught.value.to_dict())

    @pytest.mark.parametrize(
        ("command", "reason", "said"),
        [
            (["no-such-program"], "not_found", "not on PATH"),
            (["echo hi"], "not_found", r"\['echo', 'hi'\]"),
            (["./nothing"], "not_found", "no such file"),
            (["plain"], "not_found", r"write \./plain"),
            (["./plain"], "not_executable", r"chmod \+x"),
            (["./folder"], "not_executable", "directory"),
            (["./garbage"], "not_executable", "#!/bin/sh"),
            (["./orphan"], "not_executable", "interpreter"),
            (["echo", "x" * 3_000_000], "too_long", "stdin"),
        ],
        ids=lambda value: value if isinstance(value, str) else None,
    )
    def test_what_cannot_be_started_is_named_with_its_remedy(
        self, run: RunTool, tmp_path: Path, command: list[str], reason: str, said: str
    ) -> None:
        (tmp_path / "folder").mkdir()
        for name, content, mode in (
            ("plain", "echo", 0o644),
            ("garbage", "\x7fnothing", 0o755),
            ("orphan", "#!/no/such/interpreter\n", 0o755),
        ):
            (tmp_path / name).write_text(content, encoding="utf-8")
            (tmp_path / name).chmod(mode)
        with pytest.raises(ToolFailed, match=said) as caught:
            run("command", command=command)
        assert caught.value.reason == reason

    def test_a_folder_on_path_that_may_not_be_entered_hides_nothing(
        self, run: RunTool, tmp_path: Path
    ) -> None:
        """For an ordinary user such a folder makes the system say "permission denied" of any unknown program."""
        closed = tmp_path / "closed"
        closed.mkdir(mode=0o000)
        with pytest.raises(ToolFailed, match="not on PATH") as caught:
            run("command", command=["no-such-program"], env={"PATH": f"{closed}:/usr/bin:/bin"})
        assert caught.value.reason == "not_found"

    @pytest.mark.parametrize("cwd", ["missing", "file"])
    def test_a_working_directory_that_is_none_is_named(
        self, run: RunTool, tmp_path: Path, cwd: str
    ) -> None:
        (tmp_path / "file").touch(mode=stat.S_IRUSR)
        with pytest.raises(ToolFailed, match=f"{tmp_path / cwd} cannot be entered") as caught:
            run("command", command=["true"], cwd=cwd)
        assert caught.value.reason == "cwd"

    def test_unusable_inputs_start_nothing(self, run: RunTool, tmp_path: Path) -> None:
        with pytest.raises(Invalid, match="stdin"):
            run("command", command=["touch", "trace"], stdin=5)
        assert not (tmp_path / "trace").exists()


class TestTogether:
    def test_twenty_commands_run_at_the_same_time(
        self, tools: Tools, tmp_path: Path, wire: Wire
    ) -> None:
        """Each waits until all are there: were one to wait for another's end, none would end."""
        names = [f"gate{number}" for number in range(20)]
        for name in names:
            os.mkfifo(tmp_path / name)

        async def one(name: str) -> Any:
            script = f"exec 9>wire; echo {name} >&9; read line <{name}; echo $line"
            inputs = {"command": ["sh", "-c", script]}
            call = make_call(tmp_path, inputs, task_id=name)
            return await find_tool(tools, "command").run(call)

        def open_the_gates() -> None:
            wire.wait_for(*names)
            for name in names:
                (tmp_path / name).write_text(f"passed {name}\n", encoding="utf-8")

        async def scenario() -> list[Any]:
            opening = asyncio.to_thread(open_the_gates)
            *results, _ = await asyncio.gather(*map(one, names), opening)
            return results

        printed = [result["stdout"] for result in asyncio.run(scenario())]
        assert printed == [f"passed {name}\n" for name in names]

    def test_tools_serve_several_event_loops_at_once(self, tools: Tools, tmp_path: Path) -> None:
        async def one(name: str) -> Any:
            call = make_call(tmp_path, {"command": ["echo", "hi"]}, task_id=name)
            return await find_tool(tools, "command").run(call)

        async def scenario() -> list[Any]:
            return await asyncio.gather(
                *(asyncio.to_thread(lambda name: asyncio.run(one(name)), name) for name in "abcd")
            )

        assert [result["stdout"] for result in asyncio.run(scenario())] == ["hi\n"] * 4
