"""What is wrong with inputs is found before anything starts, all at once, with what to do about it."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aureus.errors import Invalid
from aureus.model.workflows import RiskTier
from aureus.tools import ApprovalInputs, Tools, WaitForApproval

TOOLS = Tools()

NAMES = st.sampled_from(
    [
        *("command", "env", "cwd", "stdin", "json", "allowExitCodes", "outputLimitBytes"),
        *("call", "args", "seconds", "ms", "message", "riskTier", "other"),
    ]
)
TEXT = st.text("ab={$ é\x00\ud800", max_size=4)

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT | st.just("${{ inputs.x }}"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


def problems(tool: str, **inputs: Any) -> list[str]:
    """Return what the loader would say."""
    return [problem.message for problem in TOOLS.find(tool).check_definition(inputs)]


class TestDefinition:
    def test_all_problems_are_found_at_once(self) -> None:
        found = TOOLS.find("command").check_definition(
            {"comand": ["ls"], "cwd": 5, "json": "yes", "allowExitCodes": [0, 300]}
        )
        assert [problem.path for problem in found] == [
            ("comand",),
            (),
            ("cwd",),
            ("json",),
            ("allowExitCodes", 1),
        ]
        assert [problem.message for problem in found] == [
            "tool 'command' has no input 'comand'; did you mean 'command'?",
            "tool 'command' needs the input 'command'",
            "'cwd' must be text, not the number 5",
            "'json' must be true or false, not text",
            "'allowExitCodes[1]' is 300; it must lie between 0 and 255",
        ]

    def test_an_unknown_input_far_from_all_lists_them(self) -> None:
        assert problems("sleep", ms=1, xyz=1) == [
            "tool 'sleep' has no input 'xyz'; it knows seconds, ms"
        ]

    @pytest.mark.parametrize(
        ("line", "written"),
        [
            ("echo hi", "command: [echo, hi]"),
            ("git log -n 3 a.txt", "command: [git, log, -n, 3, a.txt]"),
            ("echo 'a b'", "command: [echo, 'a b']"),
            ("ls | wc -l", "command: [sh, -c, 'ls | wc -l']"),
            ("echo $HOME", "command: [sh, -c, 'echo $HOME']"),
            ("echo it's", "command: [sh, -c, 'echo it''s']"),
        ],
    )
    def test_a_command_line_is_shown_as_a_list(self, line: str, written: str) -> None:
        assert problems("command", command=line) == [
            f"'command' must be a list, not text: write {written}"
        ]

    @pytest.mark.parametrize("command", [[], {}, None, 5])
    def test_a_command_is_a_list_with_a_program(self, command: Any) -> None:
        assert problems("command", command=command) == [
            "'command' must be a list: the program, then its arguments"
        ]

    def test_yaml_words_that_are_not_text_are_to_be_quoted(self) -> None:
        assert problems("command", command=["echo", True, None, 1, 1.5, ["x"], ""]) == [
            "'command[1]' is true; quote it to hand it over as text",
            "'command[2]' is nothing (null); quote it to hand it over as text",
            "'command[5]' must be text, not a list",
        ]

    def test_an_empty_program_is_refused(self) -> None:
        assert problems("command", command=["", "x"]) == ["'command[0]' names no program"]

    @pytest.mark.parametrize(
        ("env", "said"),
        [
            (["A=1"], "'env' must be a map of names to values, not a list"),
            ({"A=B": "x"}, "env has the name 'A=B'; a name is text without '='"),
            ({"": "x"}, "env has the name ''; a name is text without '='"),
            ({1: "x"}, "env has the name 1; a name is text without '='"),
            ({"A": ["x"]}, "'env.A' must be text, a number, true or false, not a list"),
            (
                {"A": "\ud800"},
                "'env.A' contains a lone surrogate at character 0; it is not valid text",
            ),
            ({"A": "x\x00"}, "'env.A' contains a NUL character; remove it"),
            (
                {"AUREUS_RUN_ID": "mine"},
                "env sets AUREUS_RUN_ID, which Aureus sets for every task; choose another name",
            ),
        ],
    )
    def test_an_environment_is_a_map_of_names_to_scalars(self, env: Any, said: str) -> None:
        assert problems("command", command=["env"], env=env) == [said]
        assert problems("python", call="a:b", env=env) == [said]

    @pytest.mark.parametrize(
        ("call", "nearest"),
        [
            ("reports.build", "reports:build"),
            ("reports.py:build", "reports:build"),
            ("lib/reports.py:build", "lib.reports:build"),
            ("reports", "reports:function"),
            (":build", "module:build"),
            ("", "module:function"),
        ],
    )
    def test_a_call_names_module_and_function(self, call: str, nearest: str) -> None:
        assert problems("python", call=call) == [
            f"'call' is {call!r}; it must name a module and a function, such as {nearest}"
        ]

    def test_arguments_are_a_map_or_a_list(self) -> None:
        assert problems("python", call="a:b", args="x") == [
            "'args' must be a map (arguments by name) or a list (by position), not text"
        ]
        assert problems("python", call=5) == ["'call' must be text, not the number 5"]

    @pytest.mark.parametrize("inputs", [{}, {"seconds": 1, "ms": 1}])
    def test_a_sleep_has_one_length(self, inputs: dict[str, Any]) -> None:
        assert problems("sleep", **inputs) == [
            "tool 'sleep' needs exactly one of 'seconds' and 'ms'"
        ]

    @pytest.mark.parametrize(
        ("inputs", "said"),
        [
            ({"seconds": -1}, "'seconds' is -1; it must lie between 0 and 2,678,400"),
            ({"seconds": 2_678_401}, "'seconds' is 2678401; it must lie between 0 and 2,678,400"),
            ({"seconds": float("nan")}, "'seconds' is nan; it must lie between 0 and 2,678,400"),
            ({"seconds": "1"}, "'seconds' must be a number, not text"),
            ({"seconds": True}, "'seconds' must be a number, not true"),
            ({"ms": 1.5}, "'ms' must be a whole number, not the number 1.5"),
        ],
    )
    def test_a_sleep_has_bounds(self, inputs: dict[str, Any], said: str) -> None:
        assert problems("sleep", **inputs) == [said]

    @pytest.mark.parametrize(
        ("inputs", "said"),
        [
            ({}, "tool 'wait-for-approval' needs the input 'message'"),
            ({"message": ["x"]}, "'message' must be text, not a list"),
            (
                {"message": "x", "riskTier": "high"},
                "'riskTier' is 'high'; it must be one of LOW, MEDIUM, HIGH, CRITICAL",
            ),
            (
                {"message": "x", "expiresInMs": 0},
                "'expiresInMs' is 0; it must lie between 1 and 31,622,400,000",
            ),
        ],
    )
    def test_an_approval_says_what_it_asks(self, inputs: dict[str, Any], said: str) -> None:
        assert problems("wait-for-approval", **inputs) == [said]


class TestReferences:
    @pytest.mark.parametrize(
        ("tool", "inputs"),
        [
            ("command", {"command": "${{ inputs.argv }}"}),
            (
                "command",
                {"command": ["echo", "${{ tasks.a.result }}"], "json": "${{ inputs.json }}"},
            ),
            ("command", {"command": ["${{ inputs.program }}"], "env": "${{ inputs.env }}"}),
            (
                "command",
                {"command": ["x"], "env": {"A": "${{ inputs.a }}"}, "stdin": "n: ${{ 1 }}"},
            ),
            ("command", {"command": ["x"], "allowExitCodes": ["${{ inputs.code }}"]}),
            ("python", {"call": "${{ inputs.call }}", "args": "${{ inputs.args }}"}),
            ("sleep", {"seconds": "${{ inputs.pause }}"}),
            ("wait-for-approval", {"message": "${{ 1 }}", "riskTier": "${{ inputs.tier }}"}),
        ],
    )
    def test_nothing_is_said_about_what_is_not_known_yet(
        self, tool: str, inputs: dict[str, Any]
    ) -> None:
        assert problems(tool, **inputs) == []

    def test_a_final_value_that_looks_like_a_reference_is_text(self) -> None:
        with pytest.raises(Invalid, match="'seconds' must be a number, not text"):
            TOOLS.find("sleep").check({"seconds": "${{ 1 }}"})


class TestCheck:
    def test_final_values_are_refused_with_all_problems_as_fields(self) -> None:
        with pytest.raises(Invalid) as caught:
            TOOLS.find("command").check({"command": ["ls"], "cwd": 5, "stdin": 6})
        assert caught.value.tool == "command"
        assert caught.value.problems == [
            {"path": ["cwd"], "message": "'cwd' must be text, not the number 5"},
            {"path": ["stdin"], "message": "'stdin' must be text, not the number 6"},
        ]

    @given(st.sampled_from(TOOLS.names), st.dictionaries(NAMES, VALUES, max_size=5))
    def test_inputs_are_accepted_or_refused_and_never_anything_else(
        self, tool: str, inputs: dict[str, Any]
    ) -> None:
        """What may run also loads: a file is never refused for values that would have been accepted."""
        found = TOOLS.find(tool).check_definition(inputs)
        with contextlib.suppress(Invalid):
            TOOLS.find(tool).check(inputs)
            assert not found


class TestApproval:
    def test_inputs_are_read_into_their_types(self) -> None:
        tool = TOOLS.find("wait-for-approval")
        assert isinstance(tool, WaitForApproval)
        inputs = {"message": "Send it?", "riskTier": "HIGH", "expiresInMs": 60_000}
        assert tool.read(inputs) == ApprovalInputs("Send it?", RiskTier.HIGH, 60_000)
        assert tool.read({"message": "x"}) == ApprovalInputs("x", None, None)
        with pytest.raises(Invalid):
            tool.read({})
