"""The comparison of pages with programs can fail, and fails where it should."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.matching import matches
from tests.docs.pages import Page, every_page
from tests.docs.session import Command, Session, commands


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        ("done", "done\n"),
        ("", "\n"),
        (
            "run r_0193ab… completed in 1.3 s",
            "run r_0123456789abcdef0123456789abcdef completed in 12 ms\n",
        ),
        ("12:00:00.123 TASK_STARTED find", "02:28:03.908 TASK_STARTED           find"),
        ("first\n…\nlast", "first\nx\ny\nlast"),
        ("first\n…\nlast", "first\nlast"),
        ("database: SQLite …/var/aureus.db", "database: SQLite /tmp/x y/var/aureus.db"),
        ("a  ██··", "a  ·██··█"),
        ("waits", "sh: line 3: 30139 Killed                  aureus run x.yaml\nwaits"),
    ],
    ids=lambda text: text[:20],
)
def test_what_differs_from_run_to_run_does_not_matter(shown: str, said: str) -> None:
    assert matches(shown, said)


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        ("done", "done\nand more"),
        ("done", "gone"),
        ("done", ""),
        ("", "done"),
        ("first\nlast", "first\nx\nlast"),
        ("first …", "x first y"),
        ("3 tasks", "4 tasks"),
        ("a.c", "abc"),
        ("…\nlast", "last\nx"),
    ],
)
def test_what_is_different_is_not_taken_for_equal(shown: str, said: str) -> None:
    assert not matches(shown, said)


def test_a_session_compares_what_it_sees(tmp_path: Path) -> None:
    with Session(tmp_path) as session:
        session.do(Command("echo one; false", "one"), "here")
        session.do(Command("echo $?", "1"), "here")
        with pytest.raises(AssertionError, match=r"here: `echo two` does not say"):
            session.do(Command("echo two", "three"), "here")
        with pytest.raises(AssertionError, match="none was seen yet"):
            session.do(Command("echo r_…", ""), "here")
        session.do(Command(f"echo r_{'0' * 32}", "r_0…"), "here")
        session.do(Command("echo r_… | wc -c", "35"), "here")


def test_a_session_waits_for_the_lines_of_a_background_command(tmp_path: Path) -> None:
    """The shell below never ends by itself: what comes next is done as soon as its line was seen."""
    with Session(tmp_path) as session:
        session.do(Command("(echo ready; exec tail -f /dev/null) &", "ready"), "here")
        session.do(Command("kill -9 $!", ""), "here")


def test_commands_are_told_from_what_they_say() -> None:
    assert [*commands("$ a \\\n  b\nsaid\n$ c")] == [Command("a \\\n  b", "said"), Command("c", "")]
    with pytest.raises(AssertionError, match="does not begin with a command"):
        list(commands("said\n$ a"))


_TEXT = """# One `x`

| A | B |
|---|---|
| `k` \\| | v |

<!-- file: a.yaml -->
```yaml
id: x
```
## Two
[l](#one-x)
"""


def test_pages_are_taken_apart() -> None:
    page = Page(every_page()[0].path, _TEXT)
    (block,) = page.blocks
    assert (block.line, block.end, block.language, block.text, block.file) == (
        8,
        10,
        "yaml",
        "id: x",
        "a.yaml",
    )
    assert page.prose.splitlines()[7:10] == ["", "", ""]
    assert page.titles() == ["One x", "Two"]
    assert page.anchors() == {"one-x", "two"}
    assert page.section("One x").rows() == [["`k` \\|", "v"]]
    assert page.section("One x").first_words() == ["k"]
    assert [*page.links()] == [(12, "#one-x")]
    with pytest.raises(AssertionError, match="has no section"):
        page.section("Three")
