"""What ``python`` calls, what it takes back, and how its failures read."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from aureus import codec
from aureus.errors import ToolFailed
from aureus.tools import Tools
from tests.unit.tools.calling import RunTool, Wire, find_tool, make_call, run_until

MODULE = """
import asyncio, ctypes, os, sys, threading

class Report:
    @staticmethod
    def build(topic, *, words=3):
        return {"topic": topic, "words": words}

def echo(*args, **kwargs):
    return [list(args), kwargs]

async def later(value):
    await asyncio.sleep(0)
    return {"later": value}

def talk():
    print("said", "\\ud800")
    print("warned", file=sys.stderr)

def read():
    return sys.stdin.read()

def where():
    return [os.getcwd(), sys.path[0], threading.current_thread() is threading.main_thread()]

class Deep(Exception):
    pass

def fail():
    try:
        {}["missing"]
    except KeyError as error:
        raise Deep("not\\x00 found \\ud800") from error

def mute():
    class Mute(Exception):
        def __str__(self):
            raise RuntimeError
    raise Mute

def leave():
    sys.exit("enough")

def vanish():
    print("last words", file=sys.stderr)
    os._exit(7)

def crash():
    ctypes.string_at(0)

def give(source):
    return eval(source)

def big():
    return "x" * (17 * 1024 * 1024)

def scribble():
    os.write(3, b"[1]")
    os._exit(0)

def crash_at_the_end():
    import atexit
    atexit.register(os._exit, 9)
    return "done"

number = 5
"""


@pytest.fixture(autouse=True)
def module(tmp_path: Path) -> None:
    """Put the functions beside the workflow file."""
    (tmp_path / "work.py").write_text(MODULE, encoding="utf-8")
    (tmp_path / "broken.py").write_text("import no_such_package\n", encoding="utf-8")
    (tmp_path / "raising.py").write_text("raise ValueError('at import')\n", encoding="utf-8")
    (tmp_path / "folder").mkdir()


class TestCall:
    def test_a_map_is_arguments_by_name(self, run: RunTool) -> None:
        result = run("python", call="work:Report.build", args={"topic": "tides", "words": 2})
        assert result["value"] == {"topic": "tides", "words": 2}

    def test_a_list_is_arguments_by_position(self, run: RunTool) -> None:
        assert run("python", call="work:echo", args=[1, "ü"])["value"] == [[1, "ü"], {}]

    def test_no_arguments_are_needed(self, run: RunTool) -> None:
        assert run("python", call="work:echo")["value"] == [[], {}]

    def test_an_async_function_is_awaited(self, run: RunTool) -> None:
        assert run("python", call="work:later", args=["x"])["value"] == {"later": "x"}

    def test_printed_text_is_captured_beside_the_value(self, run: RunTool) -> None:
        assert run("python", call="work:talk") == {
            "value": None,
            "stdout": "said \\ud800\n",
            "stderr": "warned\n",
            "truncated": False,
        }

    def test_stdin_is_empty(self, run: RunTool) -> None:
        assert run("python", call="work:read")["value"] == ""

    def test_a_function_runs_in_the_main_thread_beside_its_workflow_file(
        self, run: RunTool, tmp_path: Path
    ) -> None:
        assert run("python", call="work:where")["value"] == [str(tmp_path), str(tmp_path), True]

    def test_installed_packages_can_be_called(self, run: RunTool) -> None:
        assert run("python", call="os.path:join", args=["a", "b"])["value"] == "a/b"

    def test_modules_of_the_same_name_in_two_folders_are_two(
        self, tools: Tools, tmp_path: Path
    ) -> None:
        results: list[Any] = []
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            source = f"def who():\n    return {name!r}\n"
            (tmp_path / name / "same.py").write_text(source, encoding="utf-8")
            call = make_call(tmp_path / name, {"call": "same:who"})
            results.append(asyncio.run(_run(tools, call)))
        assert [result["value"] for result in results] == ["one", "two"]

    @pytest.mark.parametrize("name", ["sleep", "command", "_python_host_", "output"])
    def test_modules_of_aureus_do_not_hide_those_of_the_user(
        self, run: RunTool, tmp_path: Path, name: str
    ) -> None:
        (tmp_path / f"{name}.py").write_text("def mine():\n    return 'mine'\n", encoding="utf-8")
        assert run("python", call=f"{name}:mine")["value"] == "mine"


class TestResult:
    @pytest.mark.parametrize(
        "source",
        ["0", "''", "False", "None", "[]", "{}", "-2**63", "2**63 - 1", "1.5", "'é\\u2028😀'"],
    )
    def test_what_json_holds_comes_back_unchanged(self, run: RunTool, source: str) -> None:
        value = run("python", call="work:give", args=[source])["value"]
        expected = eval(source)  # noqa: S307 - the literals above
        assert (type(value), value) == (type(expected), expected)

    def test_a_tuple_comes_back_as_a_list(self, run: RunTool) -> None:
        assert run("python", call="work:give", args=["(1, (2,))"])["value"] == [1, [2]]

    @pytest.mark.parametrize(
        ("source", "said"),
        [
            ("{'a': [0, {1, 2}]}", r"result\.a\[1\] is a set"),
            ("{1: 2}", "result has the key 1"),
            ("{'a': float('nan')}", r"result\.a is nan"),
            ("[2**63]", r"result\[0\] is an integer outside"),
            ("'\\ud800'", "result contains a lone surrogate"),
            ("{'\\ud800': 1}", "a key of result contains a lone surrogate"),
            ("'a\\x00b'", "result contains a NUL"),
            ("b'raw'", "result is a bytes"),
            ("(n for n in [1])", "result is a generator"),
            ("(lambda l: l.append(l) or l)([])", "nested too deeply"),
            ("__import__('functools').reduce(lambda l, _: [l], range(100), [])", "64 levels"),
            ("__import__('enum').IntEnum('E', 'A').A", "result is a E"),
        ],
    )
    def test_what_json_cannot_hold_is_named_by_its_path(
        self, run: RunTool, source: str, said: str
    ) -> None:
        with pytest.raises(ToolFailed, match=said) as caught:
            run("python", call="work:give", args=[source])
        assert caught.value.reason == "result"

    def test_a_result_over_the_limit_is_refused(self, run: RunTool) -> None:
        with pytest.raises(ToolFailed, match="more than 16,777,216 bytes") as caught:
            run("python", call="work:big")
        assert caught.value.reason == "result"

    def test_something_else_on_the_answering_descriptor_is_refused(self, run: RunTool) -> None:
        with pytest.raises(ToolFailed, match="descriptor 3"):
            run("python", call="work:scribble")

    def test_a_crash_after_the_answer_does_not_undo_it(self, run: RunTool) -> None:
        """The work was done and its value is whole: to run it again would do it twice."""
        assert run("python", call="work:crash_at_the_end")["value"] == "done"


class TestFailure:
    def test_an_exception_has_its_type_message_and_traceback(self, run: RunTool) -> None:
        with pytest.raises(ToolFailed) as caught:
            run("python", call="work:fail")
        error = caught.value
        assert error.reason == "raised"
        assert error.exception_type == "work.Deep"
        assert error.exception_message == "not\ufffd found \\ud800"
        assert error.message == "work:fail raised work.Deep: not\ufffd found \\ud800"
        assert '{}["missing"]' in error.traceback
        assert "_python_host" not in error.traceback
        codec.check(error.to_dict())

    def test_an_exception_without_text_is_still_one(self, run: RunTool) -> None:
        with pytest.raises(ToolFailed, match="Mute") as caught:
            run("python", call="work:mute")
        assert caught.value.reason == "raised"

    def test_wrong_arguments_read_as_python_says_it(self, run: RunTool) -> None:
        with pytest.raises(ToolFailed, match="unexpected keyword argument 'depth'"):
            run("python", call="work:Report.build", args={"topic": "x", "depth": 1})

    def test_leaving_by_sys_exit_is_a_failure(self, run: RunTool) -> None:
        with pytest.raises(ToolFailed, match="raised SystemExit: enough"):
            run("python", call="work:leave")

    @pytest.mark.parametrize(
        ("function", "code", "said"),
        [("vanish", 7, "exit code 7: last words"), ("crash", -11, r"signal 11 \(SIGSEGV\)")],
    )
    def test_a_process_that_ends_without_a_result_is_a_failure(
        self, run: RunTool, function: str, code: int, said: str
    ) -> None:
        with pytest.raises(ToolFailed, match=said) as caught:
            run("python", call=f"work:{function}")
        assert (caught.value.reason, caught.value.exit_code) == ("exit", code)

    @pytest.mark.parametrize(
        ("call", "said"),
        [
            ("nowhere:x", "no module 'nowhere' in"),
            ("nowhere.inner:x", "no module 'nowhere' in"),
            ("work.inner:x", r"no module 'work\.inner'"),
            ("work:absent", r"work\.py\) has no 'absent'"),
            ("folder:absent", "folder without"),
            ("work:Report.absent", r"has no 'Report\.absent'"),
            ("work:number", "is a int, which cannot be called"),
        ],
    )
    def test_what_cannot_be_found_is_named(self, run: RunTool, call: str, said: str) -> None:
        with pytest.raises(ToolFailed, match=said) as caught:
            run("python", call=call)
        assert caught.value.reason == "import"

    def test_a_package_that_the_module_lacks_is_not_taken_for_the_module(
        self, run: RunTool
    ) -> None:
        with pytest.raises(ToolFailed, match=r"ModuleNotFoundError.*no_such_package") as caught:
            run("python", call="broken:x")
        assert caught.value.reason == "raised"
        assert "broken.py" in caught.value.traceback

    def test_a_module_that_raises_shows_where(self, run: RunTool) -> None:
        with pytest.raises(ToolFailed, match="ValueError: at import") as caught:
            run("python", call="raising:x")
        assert "raising.py" in caught.value.traceback


class TestStop:
    def test_a_stopped_function_runs_its_own_clean_up(
        self, tools: Tools, tmp_path: Path, wire: Wire
    ) -> None:
        source = (
            "import time\n"
            "def wait(path):\n"
            "    wire = open(path, 'w')\n"
            "    try:\n"
            "        print('up', file=wire, flush=True)\n"
            "        time.sleep(1000)\n"
            "    finally:\n"
            "        print('cleaned', file=wire, flush=True)\n"
        )
        (tmp_path / "waiting.py").write_text(source, encoding="utf-8")

        async def scenario() -> None:
            call = make_call(tmp_path, {"call": "waiting:wait", "args": [str(wire.path)]})
            task = await run_until(wire, find_tool(tools, "python"), call, "up")
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert not wire.is_held()

        asyncio.run(scenario())
        assert wire.lines == ["up", "cleaned"]


async def _run(tools: Tools, call: Any) -> Any:
    return await find_tool(tools, "python").run(call)
