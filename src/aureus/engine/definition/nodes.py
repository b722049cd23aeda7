"""What a YAML file holds, with the place of every part: scalars, lists and maps.

A plain scalar has no type until somebody asks for one: what is text to one field may be a number to another.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from aureus.engine.definition.problems import Path, Place, Problems
from aureus.engine.definition.scalars import ScalarRefused, resolve

LINE_BREAK = re.compile(r"\r\n|\r|\n")
"""What ends a line, as in YAML 1.2."""


@dataclass(slots=True)
class ScalarNode:
    """A scalar as it was written. ``style`` is "" for plain, otherwise one of ``'`` ``"`` ``|`` ``>``."""

    place: Place
    text: str
    style: str
    single_line: bool

    def resolve(self) -> str | int | float | bool | None:
        """Return the value by the core schema; raises ``ScalarRefused``. What is quoted is text."""
        return self.text if self.style else resolve(self.text)

    @property
    def is_text(self) -> bool:
        """Return whether the value is text."""
        try:
            return isinstance(self.resolve(), str)
        except ScalarRefused:
            return False

    @property
    def is_null(self) -> bool:
        """Return whether this is an empty or null scalar."""
        return not self.style and self.text in ("", "~", "null", "Null", "NULL")


@dataclass(slots=True)
class ListNode:
    """A list."""

    place: Place
    items: list[Node] = field(default_factory=list["Node"])


@dataclass(slots=True)
class MapNode:
    """A map with text keys, in the order of the file."""

    place: Place
    entries: dict[str, Entry] = field(default_factory=dict[str, "Entry"])


@dataclass(slots=True)
class Entry:
    """One field of a map."""

    key_place: Place
    value: Node


Node = ScalarNode | ListNode | MapNode


PLACES_MAX = 500
"""Places inside scalars that are worked out for one file: each costs a walk through the scalar."""


@dataclass(slots=True)
class Document:
    """The root of a file, and its lines for finding places inside text."""

    root: Node
    lines: list[str]
    places_left: int = PLACES_MAX

    def place_inside(self, scalar: ScalarNode, offset: int) -> Place:
        """Return the place of a character of a scalar, or of the scalar where that cannot be told."""
        self.places_left -= 1
        if self.places_left < 0:
            return scalar.place
        before = scalar.text[:offset]
        line, start = scalar.place.line, scalar.place.column - 1
        text = scalar.text
        if scalar.style == "|":
            line, start = line + 1 + before.count("\n"), 0
            offset -= before.rfind("\n") + 1
            text = scalar.text.split("\n")[before.count("\n")]
        elif not scalar.single_line:
            return scalar.place
        found = self.lines[line - 1].find(text, start)
        return scalar.place if found < 0 else Place(line, found + offset + 1)


def plain(node: Node, path: Path, problems: Problems) -> Any:
    """Return the JSON value of a node; what cannot be one is added to the problems and becomes None."""
    if isinstance(node, MapNode):
        return {
            key: plain(entry.value, path.child(key), problems)
            for key, entry in node.entries.items()
        }
    if isinstance(node, ListNode):
        return [plain(item, path.child(index), problems) for index, item in enumerate(node.items)]
    try:
        return node.resolve()
    except ScalarRefused as refused:
        problems.error(node.place, path, refused.message, refused.remedy)
        return None
