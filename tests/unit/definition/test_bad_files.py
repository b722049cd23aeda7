"""Every mistake in a workflow file is found, at its line and column, with a message and a remedy.

Each file below ``files/bad`` ends with what is expected of it: ``# expect: LINE:COLUMN SEVERITY | message | remedy``,
one line per problem, and ``# with:`` for the options it is loaded with.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from aureus.engine.definition import Problem, load_text
from aureus.errors import DefinitionInvalid

FILES = sorted((Path(__file__).parent / "files" / "bad").glob("*.yaml"))
EXPECT = re.compile(r"# expect: (\d+):(\d+) (error|warning) \| (.+) \| (.+)")


def options(text: str) -> dict[str, Any]:
    """Return what a file asks to be loaded with."""
    found: dict[str, Any] = {}
    for words in re.findall(r"^# with: (.+)$", text, re.MULTILINE):
        for word in words.split():
            name, _, value = word.partition("=")
            if name == "tools":
                found["known_tools"] = value.split(",")
            elif name == "policy":
                found["policy"] = value
            else:
                assert name == "strict"
                found["strict"] = True
    return found


def problems_of(text: str, **given: Any) -> tuple[Problem, ...]:
    """Load text that must be refused; return all its problems."""
    with pytest.raises(DefinitionInvalid) as caught:
        load_text(text, source="file.yaml", **given)
    problems: tuple[Problem, ...] = caught.value.problems
    return problems


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_bad_file_is_refused_with_all_its_problems(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    expected = [match.groups() for match in map(EXPECT.fullmatch, text.splitlines()) if match]
    assert len(expected) == text.count("# expect:"), "an expectation is not in its form"
    problems = problems_of(text, **options(text))
    found = [(str(p.line), str(p.column), p.severity.value) for p in problems]
    assert found == [(line, column, severity) for line, column, severity, _, _ in expected]
    for problem, (_, _, _, message, remedy) in zip(problems, expected, strict=True):
        assert message in problem.message
        assert remedy in problem.remedy


def test_there_are_bad_files() -> None:
    assert len(FILES) >= 60


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        pytest.param("", 1, 1, "empty", id="empty"),
        pytest.param("\n\n", 1, 1, "empty", id="blank_lines"),
        pytest.param('tasks:\n  - id: "a\n', 3, 1, "begun in line 2", id="unclosed_quote"),
        pytest.param("tasks:\n  - id: a\x00b\n", 2, 10, "U+0000", id="nul"),
        pytest.param("tasks:\r\n  - id: \x1b[31m\r\n", 2, 9, "U+001B", id="escape_character"),
        pytest.param("tasks:\n  - id: a\x85b\n", 2, 10, "U+0085", id="next_line_character"),
        pytest.param("tasks:\n  - id: a\ufeffb\n", 2, 10, "U+FEFF", id="byte_order_mark_inside"),
        pytest.param("tasks:\n  - id: \ud800\n", 2, 9, "U+D800", id="lone_surrogate"),
        pytest.param("a: " * 61, 1, 5, "YAML", id="maps_on_one_line"),
        pytest.param("- " * 61 + "a", 1, 121, "60 levels", id="too_deep"),
        pytest.param("[" * 900, 1, 61, "60 levels", id="much_too_deep"),
        pytest.param(
            "a: &a [[[[[[[[[[x]]]]]]]]]]\n"
            "b: &b [[[[[[[[[[[[[[[[[[[[*a]]]]]]]]]]]]]]]]]]]]\n"
            "c: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[*b]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]\n",
            3,
            36,
            "60 levels",
            id="too_deep_through_aliases",
        ),
        pytest.param("%TAG ! tag:x,2000:\n---\n!y {}\n", 3, 1, "tags", id="tag_directive"),
    ],
)
def test_text_that_is_no_yaml_document_is_refused_at_its_place(
    text: str, line: int, column: int, message: str
) -> None:
    first = problems_of(text)[0]
    assert (first.line, first.column) == (line, column)
    assert message in first.message


def test_an_alias_bomb_of_one_long_text_is_refused() -> None:
    text = f"a: &a '{'x' * 500_000}'\nb: [{', '.join(['*a'] * 9)}]\ntasks: [{{id: a}}]\n"
    (problem,) = problems_of(text)
    assert "4,194,304 characters" in problem.message


def test_a_list_of_too_many_tasks_is_one_problem() -> None:
    text = "tasks: [" + ",".join(f"{{id: t{n}}}" for n in range(10_001)) + "]"
    text += "\ndependencies: {t1: [t0]}\n"
    text += "safetyPolicy: {rules: [{type: no_cycles, approvedFollowers: [t2]}]}\n"
    (problem,) = problems_of(text)
    assert "10,001 tasks; the limit is 10,000" in problem.message


def test_a_graph_of_a_hundred_thousand_nodes_is_refused() -> None:
    text = "tasks: [" + ",".join(f"{{id: {n}}}" for n in range(70_000)) + "]"
    (problem,) = problems_of(text)
    assert "100,000 values" in problem.message


def test_suggestions_stop_when_they_would_cost_too_much() -> None:
    text = "tasks:\n" + "".join(f"- {{id: task{n}, needs: [tusk{n}]}}\n" for n in range(3_000))
    problems = problems_of(text)
    assert len(problems) == 3_000
    assert "Did you mean" in problems[0].remedy
    assert "Did you mean" not in problems[-1].remedy


def test_places_inside_texts_stop_when_they_would_cost_too_much() -> None:
    text = "tasks:\n- id: a\n  inputs:\n    x: |\n" + "      ${{ run.x }}\n" * 600
    problems = sorted(problems_of(text), key=lambda problem: problem.line)
    assert [problem.line for problem in problems[:100]] == [4] * 100
    assert problems[-1].line == 504


def test_only_the_first_circles_are_named() -> None:
    text = "tasks:\n" + "".join(f"- {{id: t{n}, needs: [t{n ^ 1}]}}\n" for n in range(40))
    problems = problems_of(text)
    assert len(problems) == 10
    assert "more circles" in problems[-1].remedy


def test_a_message_lists_the_first_problems_and_counts_the_rest() -> None:
    text = "tasks:\n" + "- {id: a}\n" * 61
    with pytest.raises(DefinitionInvalid) as caught:
        load_text(text, source="plans/file.yaml")
    lines = caught.value.message.splitlines()
    assert lines[0] == (
        'plans/file.yaml:3:8: error: the id "a" is taken by the task in line 2. '
        "Give every task an id of its own."
    )
    assert len(lines) == 51
    assert lines[-1] == "plans/file.yaml: and 10 more problems."
    assert len(caught.value.to_dict()["problems"]) == 60


def test_a_message_shows_nothing_that_a_terminal_would_obey() -> None:
    (problem,) = problems_of('tasks: [{id: "\\e[31m\\u202e' + "x" * 100 + '"}]\n')
    assert problem.message.isprintable()
    assert len(problem.message) < 200


def test_a_problem_knows_its_path() -> None:
    text = "tasks:\n- id: a\n- id: b\n  retry: {maxAttempts: x}\n  inputs: {a b: [1, .nan]}\n"
    paths = [problem.path for problem in problems_of(text)]
    assert paths == ["tasks[1].retry.maxAttempts", 'tasks[1].inputs["a b"][1]']
