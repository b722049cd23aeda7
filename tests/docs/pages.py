"""The documents of the repository, taken apart: code blocks, tables, headings, links.

Only as much of Markdown as our pages use: fenced blocks, ``#`` headings, tables with pipes, inline links. A block that
is to be written to a file before what follows is carried out has ``<!-- file: NAME -->`` on the line above its fence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]

REFERENCE: Final = ROOT / "docs" / "reference"

_FENCE = re.compile(r"^( *)(```+)([^\n`]*)$")
_FILE = re.compile(r"^<!-- file: (?P<name>\S+) -->$")
_DATABASE = re.compile(r"(?m)^<!-- database: postgresql -->$")
_HEADING = re.compile(r"^(#{1,6}) +(.+?) *#*$")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`]+)`")
_CELL = re.compile(r"(?<!\\)\|")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block; ``line`` and ``end`` are those of its fences."""

    line: int
    end: int
    language: str
    text: str
    file: str | None


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands below it, up to the next heading of the same or a higher level."""

    title: str
    text: str

    def rows(self) -> list[list[str]]:
        """Return the cells of all tables of the section, without their headings."""
        lines = [line.strip() for line in self.text.splitlines()]
        rows: list[list[str]] = []
        for number, line in enumerate(lines):
            if not line.startswith("|") or re.fullmatch(r"[|\s:-]+", line):
                continue
            is_heading = number + 1 < len(lines) and re.fullmatch(r"\|[|\s:-]+", lines[number + 1])
            if not is_heading:
                rows.append([cell.strip() for cell in _CELL.split(line)[1:-1]])
        return rows

    def first_words(self) -> list[str]:
        """Return what stands in code marks in the first cell of every row."""
        return [word for row in self.rows() for word in _CODE.findall(row[0])]

    def code(self) -> set[str]:
        """Return everything that stands in code marks."""
        return set(_CODE.findall(self.text))


class Page:
    """One Markdown file."""

    def __init__(self, path: Path, text: str | None = None) -> None:
        self.path = path
        self.text = path.read_text(encoding="utf-8") if text is None else text

    @property
    def name(self) -> str:
        """Return the path from the root of the repository."""
        return self.path.relative_to(ROOT).as_posix()

    @property
    def needs_postgresql(self) -> bool:
        """Return whether the commands of the page are about a PostgreSQL server."""
        return _DATABASE.search(self.text) is not None

    @cached_property
    def blocks(self) -> list[Block]:
        """Return the fenced blocks in their order."""
        return list(self._blocks())

    @cached_property
    def prose(self) -> str:
        """Return the page without its fenced blocks; the numbers of lines stay."""
        lines = self.text.splitlines()
        for block in self.blocks:
            lines[block.line - 1 : block.end] = [""] * (block.end - block.line + 1)
        return "\n".join(lines)

    def section(self, title: str) -> Section:
        """Return the section with this heading, code marks not counted; fails when there is none."""
        lines = self.prose.splitlines()
        for number, line in enumerate(lines):
            heading = _HEADING.match(line)
            if heading is None or heading[2].replace("`", "") != title:
                continue
            end = number + 1
            while end < len(lines):
                following = _HEADING.match(lines[end])
                if following is not None and len(following[1]) <= len(heading[1]):
                    break
                end += 1
            return Section(title, "\n".join(lines[number + 1 : end]))
        raise AssertionError(f"{self.name} has no section {title!r}")

    def titles(self) -> list[str]:
        """Return the headings without code marks."""
        found = (_HEADING.match(line) for line in self.prose.splitlines())
        return [heading[2].replace("`", "") for heading in found if heading is not None]

    def anchors(self) -> set[str]:
        """Return what a link can name behind ``#``: headings as GitHub spells them."""
        slugs = (
            re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in self.titles()
        )
        return set(slugs)

    def links(self) -> Iterator[tuple[int, str]]:
        """Yield line and target of every inline link outside blocks and code."""
        for number, line in enumerate(self.prose.splitlines(), 1):
            for target in _LINK.findall(_CODE.sub("", line)):
                yield number, target

    def _blocks(self) -> Iterator[Block]:
        lines = self.text.splitlines()
        number = 0
        while number < len(lines):
            opened = _FENCE.match(lines[number])
            if opened is None:
                number += 1
                continue
            end = number + 1
            while end < len(lines) and lines[end].strip() != opened[2]:
                end += 1
            assert end < len(lines), f"{self.name}:{number + 1}: the block has no end"
            indent = len(opened[1])
            text = "\n".join(line[indent:] for line in lines[number + 1 : end])
            named = _FILE.match(lines[number - 1].strip()) if number else None
            yield Block(
                number + 1,
                end + 1,
                opened[3].strip(),
                text,
                None if named is None else named["name"],
            )
            number = end + 1


def every_page() -> list[Page]:
    """Return the Markdown files that are part of the repository."""
    found = [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "examples").rglob("*.md"),
    ]
    return [Page(path) for path in sorted(found)]


def manual() -> list[Page]:
    """Return the pages that a user follows: README, docs without the design notes, examples."""
    left_out = {ROOT / name for name in ("ARCHITECTURE.md", "CONTRIBUTING.md", "STYLE.md")}
    design = ROOT / "docs" / "design"
    return [
        page
        for page in every_page()
        if page.path not in left_out and design not in page.path.parents
    ]
