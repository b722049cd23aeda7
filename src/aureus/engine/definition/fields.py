"""Typed access to the fields of one map of a workflow file.

Every method asks for one field by its name and adds a problem when the value is not what the field takes; the result is
then None, as for a field that is absent. An empty field (``retry:`` with nothing behind it) counts as absent. ``close``
reports the fields that nobody asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, TypeVar

from aureus.engine.definition.nodes import ListNode, MapNode, Node, ScalarNode, plain
from aureus.engine.definition.problems import Path, Place, Problems, listed, quoted
from aureus.engine.definition.scalars import ScalarRefused

Choice = TypeVar("Choice", bound=StrEnum)

TEXT_CHARACTERS_MAX = 10_000
"""Characters of a description, message or other free text."""

NAME_CHARACTERS_MAX = 128
"""Characters of an id or name that other parts refer to."""

_SYNONYMS = {
    "dependson": "needs",
    "after": "needs",
    "if": "when",
    "condition": "when",
    "tool": "toolName",
    "uses": "toolName",
    "with": "inputs",
    "args": "inputs",
    "params": "inputs",
    "parameters": "inputs",
    "timeout": "timeoutMs",
    "timeoutseconds": "timeoutMs",
    "attempts": "maxAttempts",
    "steps": "tasks",
    "risk": "riskTier",
}
"""What other workflow languages call our fields; letters only, lower case."""


@dataclass(frozen=True, slots=True)
class Text:
    """A text together with where it stands."""

    value: str
    place: Place
    path: Path


class Fields:
    """The fields of one map, read one by one."""

    def __init__(self, node: MapNode, path: Path, problems: Problems, what: str) -> None:
        self.node = node
        self.path = path
        self.problems = problems
        self._what = what
        self._known: list[str] = []

    def place(self, name: str) -> Place:
        """Return where the value of a field stands, or the map when the field is absent."""
        entry = self.node.entries.get(name)
        return self.node.place if entry is None else entry.value.place

    def value(self, name: str) -> Node | None:
        """Return the node of a field, or None when it is absent or empty."""
        self._known.append(name)
        entry = self.node.entries.get(name)
        if entry is None or (isinstance(entry.value, ScalarNode) and entry.value.is_null):
            return None
        return entry.value

    def require(self, name: str, remedy: str) -> None:
        """Add a problem when a field is absent or empty."""
        if self.value(name) is None:
            entry = self.node.entries.get(name)
            place = self.node.place if entry is None else entry.key_place
            self.problems.error(
                place, self.path, f"{self._what} needs the field {quoted(name)}", remedy
            )

    def text(self, name: str, *, characters_max: int = TEXT_CHARACTERS_MAX) -> str | None:
        """Return free text. A number or word without quotes is the text it was written as."""
        node = self.value(name)
        if node is None:
            return None
        found = as_text(node, self.path.child(name), self.problems, characters_max=characters_max)
        return None if found is None else found.value

    def name(self, name: str, *, characters_max: int = NAME_CHARACTERS_MAX) -> str | None:
        """Return text that others refer to: not empty, printable, no blanks around it."""
        node = self.value(name)
        if node is None:
            return None
        found = as_name(node, self.path.child(name), self.problems, characters_max=characters_max)
        return None if found is None else found.value

    def names(self, name: str) -> list[Text]:
        """Return a list of names with their places; a bad item is reported and left out."""
        return list(self._list_of_text(name, as_name, NAME_CHARACTERS_MAX))

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of free texts."""
        return tuple(item.value for item in self._list_of_text(name, as_text, TEXT_CHARACTERS_MAX))

    def integer(self, name: str, minimum: int, maximum: int, *, hint: str = "") -> int | None:
        """Return a whole number within limits; a fraction, text or truth value is refused."""
        value = self._number(name)
        if isinstance(value, int) and minimum <= value <= maximum:
            return value
        if value is not None:
            self._refuse(
                name, f"a whole number from {minimum:,} to {maximum:,}", hint or f"Write {minimum}."
            )
        return None

    def number(self, name: str, minimum: float, maximum: float) -> float | None:
        """Return a number within limits, as a float."""
        value = self._number(name)
        if isinstance(value, int | float) and minimum <= value <= maximum:
            return float(value)
        if value is not None:
            self._refuse(name, f"a number from {minimum:g} to {maximum:g}", "Write 2, for example.")
        return None

    def boolean(self, name: str) -> bool | None:
        """Return a truth value."""
        node = self.value(name)
        if node is None:
            return None
        value = _resolved(node)
        if isinstance(value, bool):
            return value
        self._refuse(name, "true or false", "YAML 1.2 reads yes, no, on and off as text.")
        return None

    def choice(self, name: str, kind: type[Choice]) -> Choice | None:
        """Return one of the words of an enumeration; case matters."""
        node = self.value(name)
        if node is None:
            return None
        words: dict[str, Choice] = {member.value: member for member in kind}
        word = node.text if isinstance(node, ScalarNode) else ""
        if word in words:
            return words[word]
        remedy = self.problems.suggest(word, words, "Use one of these words.")
        self._refuse(name, f"one of {', '.join(words)}", remedy)
        return None

    def fields(self, name: str, what: str) -> Fields | None:
        """Return the fields of a map inside this one."""
        node = self.value(name)
        if node is None:
            return None
        if isinstance(node, MapNode):
            return Fields(node, self.path.child(name), self.problems, what)
        self._refuse(name, "a map", f"Write the fields of {what} below it, indented.")
        return None

    def items(self, name: str, remedy: str) -> list[tuple[Node, Path]]:
        """Return the nodes of a list with their paths; an absent list is empty."""
        node = self.value(name)
        if node is None:
            return []
        path = self.path.child(name)
        if isinstance(node, ListNode):
            return [(item, path.child(index)) for index, item in enumerate(node.items)]
        self._refuse(name, "a list", remedy)
        return []

    def json_map(self, name: str) -> dict[str, Any] | None:
        """Return a map of any JSON values."""
        node = self.value(name)
        if node is None:
            return None
        if not isinstance(node, MapNode):
            self._refuse(name, "a map", "Write names and values below it, indented.")
            return None
        value: dict[str, Any] = plain(node, self.path.child(name), self.problems)
        return value

    def close(self) -> None:
        """Report the fields that nobody asked for."""
        known = list(dict.fromkeys(self._known))
        for name, entry in self.node.entries.items():
            if name in known:
                continue
            synonym = _SYNONYMS.get("".join(filter(str.isalnum, name)).lower())
            if synonym is not None and synonym in known:
                remedy = f"Did you mean {quoted(synonym)}?"
            else:
                others = f"Remove it; {self._what} has the fields {listed(known, words_max=30)}."
                remedy = self.problems.suggest(name, known, others)
            self.problems.error(
                entry.key_place,
                self.path.child(name),
                f"unknown field {quoted(name)} in {self._what}",
                remedy,
            )

    def _list_of_text(self, name: str, read: _ReadText, characters_max: int) -> Iterator[Text]:
        for node, path in self.items(
            name, 'Write a list: ["a", "b"], or lines that start with "- ".'
        ):
            text = read(node, path, self.problems, characters_max=characters_max)
            if text is not None:
                yield text

    def _number(self, name: str) -> int | float | str | None:
        """Return the number of a field, None when it is absent, or "" for anything else."""
        node = self.value(name)
        if node is None:
            return None
        value = _resolved(node)
        return value if isinstance(value, int | float) and not isinstance(value, bool) else ""

    def _refuse(self, name: str, wanted: str, remedy: str) -> None:
        node = self.node.entries[name].value
        self.problems.error(
            node.place,
            self.path.child(name),
            f"{quoted(name)} must be {wanted}, not {shown(node)}",
            remedy,
        )


class _ReadText(Protocol):
    def __call__(
        self, node: Node, path: Path, problems: Problems, *, characters_max: int
    ) -> Text | None: ...


def as_text(node: Node, path: Path, problems: Problems, *, characters_max: int) -> Text | None:
    """Return a scalar as the text it was written as, or None after adding a problem."""
    if not isinstance(node, ScalarNode) or node.is_null:
        problems.error(
            node.place, path, f"this must be text, not {shown(node)}", "Write text here."
        )
        return None
    if len(node.text) > characters_max:
        problems.error(
            node.place,
            path,
            f"the text has {len(node.text):,} characters; the limit is {characters_max:,}",
            "Shorten it.",
        )
        return None
    return Text(node.text, node.place, path)


def as_name(node: Node, path: Path, problems: Problems, *, characters_max: int) -> Text | None:
    """Return a scalar as a name: 1 or more printable characters without blanks around them."""
    text = as_text(node, path, problems, characters_max=characters_max)
    if text is None:
        return None
    reason = unusable_name(text.value)
    if reason is not None:
        problems.error(
            node.place,
            path,
            f"{quoted(text.value)} {reason}",
            "Use letters, digits, dashes; other printable characters are allowed.",
        )
        return None
    return text


def unusable_name(name: str) -> str | None:
    """Return why text cannot be a name, or None when it can."""
    if not name:
        return "is empty"
    if not name.isprintable():
        return "holds characters that cannot be printed"
    if name != name.strip():
        return "begins or ends with a blank"
    return None


def shown(node: Node) -> str:
    """Return what a node is, for a message."""
    if isinstance(node, MapNode):
        return "a map"
    if isinstance(node, ListNode):
        return "a list"
    if node.is_null:
        return "nothing"
    return f"the text {quoted(node.text)}" if node.is_text else quoted(node.text)[1:-1]


def _resolved(node: Node) -> str | int | float | bool | None:
    """Return the value of a scalar; "" stands for everything that is no number or truth value."""
    if not isinstance(node, ScalarNode):
        return ""
    try:
        return node.resolve()
    except ScalarRefused:
        return ""
