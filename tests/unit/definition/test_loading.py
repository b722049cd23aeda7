"""Loading as a whole: cheap to import, and either a workflow or a typed error for any bytes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aureus.engine.definition import Problem, from_dict, load_file, load_text, to_dict
from aureus.errors import AureusError, DefinitionInvalid
from aureus.model.workflows import Workflow

FILES = sorted((Path(__file__).parent / "files").glob("*/*.yaml"))


def test_importing_the_package_loads_no_parser() -> None:
    """Starting the command line must not pay for YAML; only loading a file does."""
    program = (
        "import sys, aureus.engine.definition\n"
        "heavy = ('ruamel', 'pydantic', 'difflib', 'apsw', 'psycopg')\n"
        "sys.exit(', '.join(name for name in heavy if name in sys.modules) or None)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_tools_are_checked_only_when_they_are_known() -> None:
    text = "tasks: [{id: a, toolName: shell}]"
    load_text(text, source="text")
    load_text(text, source="text", known_tools={"shell"})
    with pytest.raises(DefinitionInvalid, match=r'no tool "shell"\. There are no tools'):
        load_text(text, source="text", known_tools=())


def test_an_empty_list_of_allowed_tools_allows_all() -> None:
    load_text("tasks: [{id: a, toolName: shell, allowedTools: []}]", source="text")


def test_a_constant_condition_is_kept() -> None:
    loaded = load_text("tasks: [{id: a, when: true}, {id: b, when: false}]", source="text")
    assert [task.when for task in loaded.workflow.tasks] == [True, False]


def test_strict_loading_refuses_warnings_as_errors() -> None:
    text = "tasks: [{id: a, sandboxConfig: {enabled: true}}]"
    assert [p.severity.value for p in load_text(text, source="text").problems] == ["warning"]
    with pytest.raises(DefinitionInvalid, match=r"^text:1:32: error: Aureus does not sandbox"):
        load_text(text, source="text", strict=True)


def test_a_file_name_cannot_forge_lines_of_a_message() -> None:
    with pytest.raises(DefinitionInvalid) as caught:
        load_text("", source="a\nb\x1b[0m.yaml")
    assert len(caught.value.message.splitlines()) == 1
    assert "\x1b" not in caught.value.message


def load_or_refuse(path: Path, content: bytes) -> None:
    """Load bytes from a file; every outcome must be a workflow or one of our errors, and consistent."""
    path.write_bytes(content)
    workflow: Workflow | None = None
    refusal: AureusError | None = None
    try:
        workflow = load_file(path).workflow
    except AureusError as error:
        refusal = error
    if refusal is None:
        assert workflow is not None
        assert from_dict(to_dict(workflow)) == workflow
    elif isinstance(refusal, DefinitionInvalid):
        check_problems(refusal.problems, content.count(b"\n") + content.count(b"\r") + 2)
    else:
        assert refusal.message.isprintable()


def check_problems(problems: tuple[Problem, ...], line_max: int) -> None:
    """Every problem has a place in the file, a message and a remedy, all on one printable line."""
    assert problems
    for problem in problems:
        assert 1 <= problem.line <= line_max
        assert problem.column >= 1
        assert problem.message
        assert problem.remedy
        assert problem.render().isprintable()


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a file that every example overwrites."""
    return tmp_path_factory.mktemp("fuzz") / "workflow.yaml"


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_give_a_workflow_or_a_typed_error(scratch: Path, content: bytes) -> None:
    load_or_refuse(scratch, content)


PIECES = [
    "tasks:", "\n", "\n  ", "\n    ", "- ", "id: ", "a", "b", " ", ": ", ", ", "[", "]", "{", "}", "'", '"', "&x ",
    "*x", "!t ", "<<: ", "? ", "| ", "|\n", ">-\n", "---\n", "...\n", "%YAML 1.2\n", "%YAML 1.11\n",
    "#", "\t", "~", "1", "0x", ".nan",
    "needs: [", "when: ", "${{ ", " }}", "input.", "tasks.a.result", "inputs: ", "retry: ", "maxAttempts: ",
    "safetyPolicy: ", "rules: ", "compensation: {onFailure: ", "\\", "\\U", "ffffffff", "\ud7ff", "é", "\x85", "\ufeff",
]  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
def test_pieces_of_yaml_in_any_order_give_a_workflow_or_a_typed_error(
    scratch: Path, text: str
) -> None:
    load_or_refuse(scratch, text.encode())


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(FILES), st.data())
def test_damaged_files_give_a_workflow_or_a_typed_error(
    scratch: Path, path: Path, data: st.DataObject
) -> None:
    content = path.read_bytes()
    start = data.draw(st.integers(0, len(content)))
    removed = data.draw(st.integers(0, 12))
    added = data.draw(st.sampled_from(PIECES)).encode() + data.draw(st.binary(max_size=2))
    load_or_refuse(scratch, content[:start] + added + content[start + removed :])
