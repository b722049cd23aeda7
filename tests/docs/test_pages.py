"""What the pages show is done: every command, every Python program, every workflow."""

from __future__ import annotations

from pathlib import Path

import pytest

from aureus.engine.definition import load_text
from aureus.engine.tool_checks import tool_problems
from aureus.tools import Tools
from tests.docs.matching import matches
from tests.docs.pages import Block, Page, manual
from tests.docs.session import Session, commands

_DONE = frozenset({"console", "python"})

_PAGES = {page.name: page for page in manual() if _DONE & {block.language for block in page.blocks}}

_WORKFLOWS = {
    f"{page.name}:{block.line}": block
    for page in manual()
    for block in page.blocks
    if block.language == "yaml"
    and any(line.startswith("tasks:") for line in block.text.splitlines())
}


@pytest.mark.parametrize("name", _PAGES)
def test_what_a_page_shows_is_what_happens(
    name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Blocks are carried out in their order, in one folder, as by a reader who begins at the top."""
    page = _PAGES[name]
    settings: dict[str, str] = {}
    if page.needs_postgresql:
        settings["AUREUS_DATABASE_URL"] = request.getfixturevalue("empty_database").url()
    with Session(tmp_path, settings) as session:
        for number, block in enumerate(page.blocks):
            following = page.blocks[number + 1] if number + 1 < len(page.blocks) else None
            _do(session, page, block, following)


@pytest.mark.parametrize("place", _WORKFLOWS)
def test_a_workflow_that_a_page_shows_is_valid(place: str) -> None:
    tools = Tools()
    loaded = load_text(_WORKFLOWS[place].text, source=place, known_tools=tools.names)
    assert [*tool_problems(loaded.workflow, tools)] == []


def test_something_is_carried_out() -> None:
    """An empty list would pass all of the above."""
    assert {"README.md", "docs/tutorial/first-workflow.md"} <= _PAGES.keys()
    assert len(_WORKFLOWS) >= 3


def _do(session: Session, page: Page, block: Block, following: Block | None) -> None:
    where = f"{page.name}:{block.line}"
    if block.file is not None:
        session.write(block.file, block.text)
    elif block.language == "python":
        printed = session.run_python(block.text)
        if following is not None and following.language == "text":
            assert matches(following.text, printed), f"{where} printed\n{printed}"
    elif block.language == "console":
        for command in commands(block.text):
            session.do(command, where)
