"""YAML text to nodes that know their place: one document, plain data, within limits.

The parser's events are turned into a tree of scalars, lists and maps by a loop with a stack of its own, so that depth,
aliases and sizes are refused before anything is expanded. Tags, merge keys, duplicate keys and keys that are not text
are refused. Knows nothing about workflows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from aureus import codec
from aureus.engine.definition.nodes import (
    LINE_BREAK,
    Document,
    Entry,
    ListNode,
    MapNode,
    Node,
    ScalarNode,
)
from aureus.engine.definition.problems import TOP, Place, Problems, escaped, quoted

TEXT_BYTES_MAX = 1024 * 1024
"""Bytes of one workflow file."""

NODES_MAX = 100_000
"""Values of one file, counted as if every alias were written out: an alias bomb is refused before it goes off."""

EXPANDED_CHARACTERS_MAX = 4 * 1024 * 1024
"""Characters of one file, counted as if every alias were written out."""

DEPTH_MAX = codec.JSON_DEPTH_MAX - 4
"""Levels of nesting; four less than JSON may have, because a definition is stored inside other values."""

KEY_CHARACTERS_MAX = 256
"""Characters of one key."""

# What YAML calls printable, without U+0085: the parser would silently turn it into a blank.
_FORBIDDEN = re.compile(
    "[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)

_DIRECTIVE = re.compile(r"^%YAML", re.MULTILINE)
_IMPOSSIBLE = re.compile(r"\\U(?!000|0010)[0-9A-Fa-f]{8}")
# What the parser raises for text that it does not check: chr() of "\\UFFFFFFFF", versions such as 1.11.
_PARSER_FAILURES = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
)


class _Stop(Exception):
    """Reading on makes no sense; the problem has been added."""


def read_yaml(text: str, problems: Problems) -> Document | None:
    """Return the document of a YAML text, or None after adding why there is none.

    Problems that leave the rest of the file readable are added, and reading goes on.
    """
    try:
        _check_characters(text, problems)
        root = _Builder(problems).build(_events(text, problems))
    except _Stop:
        return None
    return Document(root, LINE_BREAK.split(text))


def _check_characters(text: str, problems: Problems) -> None:
    found = _FORBIDDEN.search(text)
    if found is None:
        return
    problems.error(
        _place_of(text, found.start()),
        TOP,
        f"the character U+{ord(found.group()):04X} may not stand in a YAML file",
        "Remove it, or write it as an escape inside double quotes.",
    )
    raise _Stop


def _events(text: str, problems: Problems) -> Iterator[Any]:
    """Yield the parser's events; its errors become problems."""
    from ruamel.yaml import YAML  # 25 ms; only loading a file needs it
    from ruamel.yaml.error import MarkedYAMLError

    parser: Any = YAML(typ="safe", pure=True)
    reached = Place(1, 1)
    try:
        for event in parser.parse(text):
            reached = _place(event)
            yield event
    except MarkedYAMLError as error:
        _explain(error, text, problems)
        raise _Stop from error
    except _PARSER_FAILURES as error:
        _explain_failure(error, text, reached, problems)
        raise _Stop from error


def _explain_failure(error: Exception, text: str, reached: Place, problems: Problems) -> None:
    """Say what the parser did not check before it used it."""
    impossible, directive = _IMPOSSIBLE.search(text), _DIRECTIVE.search(text)
    if impossible is not None:
        problems.error(
            _place_of(text, impossible.start()),
            TOP,
            "an escape inside double quotes names a character that does not exist",
            "Unicode ends at \\U0010FFFF.",
        )
    elif directive is not None:
        _refuse_version(_place_of(text, directive.start()), problems)
    else:
        problems.error(
            reached,
            TOP,
            f"this is not YAML: the parser failed behind this place ({type(error).__name__})",
            "Check quotes, brackets, colons and indentation below it.",
        )


def _refuse_version(place: Place, problems: Problems) -> None:
    problems.error(
        place,
        TOP,
        "the file asks for another version of YAML than 1.2",
        "Remove the %YAML line; note that yes, no, on and off are text.",
    )


def _explain(error: Any, text: str, problems: Problems) -> None:
    mark, begun = error.problem_mark or error.context_mark, error.context_mark
    line, column = (mark.line, mark.column) if mark is not None else (0, 0)
    lines = LINE_BREAK.split(text)
    remedy = "Check quotes, brackets, colons and indentation on this line and the ones above it."
    if line < len(lines) and lines[line][column : column + 1] == "\t":
        message = "a tab where YAML wants spaces"
        remedy = "Indent with spaces; most editors can convert the tabs of a file."
    else:
        reason = " ".join(part for part in (error.context, error.problem) if part)
        message = f"this is not YAML: {escaped(reason, characters_max=200)}"
        if begun is not None and begun.line != line:
            message += f", begun in line {begun.line + 1}"
    problems.error(Place(line + 1, column + 1), TOP, message, remedy)


def _place_of(text: str, offset: int) -> Place:
    breaks = [match.end() for match in LINE_BREAK.finditer(text[:offset])]
    return Place(len(breaks) + 1, offset - (breaks[-1] if breaks else 0) + 1)


@dataclass(slots=True)
class _Key:
    text: str
    place: Place
    usable: bool = True


@dataclass(slots=True)
class _Frame:
    """A list or map whose end has not been read yet."""

    node: ListNode | MapNode
    anchor: str | None
    key: _Key | None = None
    size: int = 1
    characters: int = 0
    height: int = 1


@dataclass(slots=True)
class _Anchored:
    """What an anchor stands for, with its size written out; ``node`` is None until it is complete."""

    node: Node | None = None
    size: int = 0
    characters: int = 0
    height: int = 0


class _Builder:
    """Turns events into a tree with a stack instead of recursion, counting as it goes."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._stack: list[_Frame] = []
        self._anchors: dict[str, _Anchored] = {}
        self._root: Node | None = None
        self._size = 0
        self._characters = 0

    def build(self, events: Iterator[Any]) -> Node:
        from ruamel.yaml import events as kinds

        documents = 0
        for event in events:
            if isinstance(event, kinds.ScalarEvent):
                self._scalar(event)
            elif isinstance(event, kinds.MappingStartEvent):
                self._start(event, MapNode(_place(event)))
            elif isinstance(event, kinds.SequenceStartEvent):
                self._start(event, ListNode(_place(event)))
            elif isinstance(event, kinds.MappingEndEvent | kinds.SequenceEndEvent):
                self._end()
            elif isinstance(event, kinds.AliasEvent):
                self._alias(event)
            elif isinstance(event, kinds.DocumentStartEvent):
                documents += 1
                self._document(event, documents)
        if self._root is None:
            self._stop(Place(1, 1), "the file is empty", "Write a workflow with at least `tasks`.")
        return self._root

    def _document(self, event: Any, number: int) -> None:
        if number > 1:
            self._stop(
                _place(event),
                "a second document starts here",
                "One file holds one workflow: move the rest to a file of its own.",
            )
        if event.version is not None and tuple(event.version) != (1, 2):
            _refuse_version(_place(event), self._problems)

    def _scalar(self, event: Any) -> None:
        place = _place(event)
        self._refuse_tag(event, place)
        node = ScalarNode(
            place,
            self._checked_text(event.value, place),
            event.style or "",
            event.start_mark.line == event.end_mark.line,
        )
        if event.anchor is not None:
            self._anchors[event.anchor] = _Anchored(node, 1, len(node.text), 0)
        self._attach(node, 1, len(node.text), 0)

    def _start(self, event: Any, node: ListNode | MapNode) -> None:
        self._refuse_tag(event, node.place)
        if len(self._stack) >= DEPTH_MAX:
            self._stop_depth(node.place)
        if event.anchor is not None:
            self._anchors[event.anchor] = _Anchored()
        self._stack.append(_Frame(node, event.anchor))
        self._count(node.place, 1, 0)

    def _end(self) -> None:
        frame = self._stack.pop()
        if frame.anchor is not None:
            self._anchors[frame.anchor] = _Anchored(
                frame.node, frame.size, frame.characters, frame.height
            )
        # Its parts were counted when they were read.
        self._link(frame.node, frame.size, frame.characters, frame.height)

    def _alias(self, event: Any) -> None:
        place, name = _place(event), event.anchor
        anchored = self._anchors.get(name)
        if anchored is None:
            self._stop(
                place,
                f"*{quoted(name)[1:-1]} refers to an anchor that was not set above",
                f"Write &{quoted(name)[1:-1]} before the value it stands for, or quote the text.",
            )
        if anchored.node is None:
            self._stop(
                place,
                f"*{quoted(name)[1:-1]} stands inside the value that it refers to",
                "A value cannot contain itself; write out what is meant.",
            )
        if len(self._stack) + anchored.height > DEPTH_MAX:
            self._stop_depth(place)
        self._attach(anchored.node, anchored.size, anchored.characters, anchored.height)

    def _attach(self, node: Node, size: int, characters: int, height: int) -> None:
        self._count(node.place, size, characters)
        self._link(node, size, characters, height)

    def _count(self, place: Place, size: int, characters: int) -> None:
        self._size += size
        self._characters += characters
        if self._size > NODES_MAX:
            self._stop(
                place,
                f"the file holds more than {NODES_MAX:,} values, with every alias written out",
                "Split the workflow, or keep large data in a file that a task reads.",
            )
        if self._characters > EXPANDED_CHARACTERS_MAX:
            self._stop(
                place,
                f"the file holds more than {EXPANDED_CHARACTERS_MAX:,} characters, "
                "with every alias written out",
                "Keep large texts in a file that a task reads.",
            )

    def _link(self, node: Node, size: int, characters: int, height: int) -> None:
        """Put a complete node where it belongs: the root, a list, or a map as key or value."""
        if not self._stack:
            self._root = node
            return
        frame = self._stack[-1]
        frame.size += size
        frame.characters += characters
        frame.height = max(frame.height, height + 1)
        if isinstance(frame.node, ListNode):
            frame.node.items.append(node)
        elif frame.key is None:
            frame.key = self._key(node, frame.node)
        else:
            if frame.key.usable:
                frame.node.entries[frame.key.text] = Entry(frame.key.place, node)
            frame.key = None

    def _key(self, node: Node, parent: MapNode) -> _Key:
        refused: tuple[str, str] | None = None
        text = node.text if isinstance(node, ScalarNode) else ""
        if not isinstance(node, ScalarNode):
            refused = ("a key is a list or a map", "Keys are text.")
        elif not node.style and text == "<<":
            refused = (
                "merge keys (<<) are not read",
                "Write the fields out, or give a whole value with an alias (*name).",
            )
        elif not node.is_text:
            shown = quoted(text) if text else "nothing"
            refused = (
                f"the key is {shown}, which is not text",
                f"Put it in quotes: {quoted(text)}.",
            )
        elif len(text) > KEY_CHARACTERS_MAX:
            refused = (
                f"a key has {len(text):,} characters; the limit is {KEY_CHARACTERS_MAX}",
                "Use a shorter key.",
            )
        elif text in parent.entries:
            first = parent.entries[text].key_place.line
            refused = (
                f"{quoted(text)} is given twice; the first is in line {first}",
                "Remove one of the two.",
            )
        if refused is not None:
            self._problems.error(node.place, TOP, *refused)
        return _Key(text, node.place, usable=refused is None)

    def _checked_text(self, text: str, place: Place) -> str:
        """Join the halves of surrogate pairs, which JSON writes as two escapes; refuse what is not text."""
        try:
            text.encode()
        except UnicodeEncodeError:
            halves = text.encode("utf-16-le", "surrogatepass")
            text = halves.decode("utf-16-le", "replace")
            if text.encode("utf-16-le") != halves:
                self._problems.error(
                    place,
                    TOP,
                    "the text holds half of a surrogate pair",
                    "Write the character itself, or both halves.",
                )
        if "\x00" in text:
            self._problems.error(
                place, TOP, "the text holds a NUL character", "Remove it: no database keeps it."
            )
        return text

    def _refuse_tag(self, event: Any, place: Place) -> None:
        if event.tag is not None:
            self._problems.error(
                place,
                TOP,
                f"tags such as {quoted(event.tag)} are not read",
                "Remove the tag; put a value in quotes to make it text.",
            )

    def _stop_depth(self, place: Place) -> NoReturn:
        self._stop(
            place,
            f"the file is nested deeper than {DEPTH_MAX} levels",
            "Flatten the value, or keep it in a file that a task reads.",
        )

    def _stop(self, place: Place, message: str, remedy: str) -> NoReturn:
        self._problems.error(place, TOP, message, remedy)
        raise _Stop


def _place(event: Any) -> Place:
    return Place(event.start_mark.line + 1, event.start_mark.column + 1)
