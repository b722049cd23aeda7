"""What ``${{ … }}`` in a workflow means: finding, evaluating and filling in expressions. Pure.

A text that is exactly one expression becomes its typed value; in any other text an expression becomes text (JSON for
what is not text). ``$${{`` stands for the characters ``${{``. A scope holds what is known:

    {"input": {name: value}, "run": {"id": …}, "tasks": {id: {"status": …, "result": …}}}

Nothing is converted. ``==`` of different types is false (1 and 1.0 are the same number, true is none); ``<`` compares
two numbers, or two texts by code points, and refuses the rest; ``&&``, ``||`` and ``!`` take truth values only. A path
that leads nowhere is an error, except as the first argument of ``default``.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeGuard

from aureus import codec
from aureus.engine.definition.grammar import OPEN, parse, parse_embedded, refused
from aureus.engine.definition.problems import quoted
from aureus.engine.definition.terms import (
    Call,
    Comparison,
    Expression,
    Literal,
    Logic,
    Not,
    Reference,
    Term,
)
from aureus.errors import Invalid, LimitExceeded

__all__ = [
    "Expression",
    "Reference",
    "condition",
    "evaluate",
    "parse",
    "references",
    "render",
    "split",
]

TEXT_CHARACTERS_MAX = codec.JSON_BYTES_MAX
"""Characters of one text after its expressions are filled in."""

_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_ABSENT = object()


def split(text: str) -> tuple[str | Expression, ...]:
    """Return the pieces of a text: literal text (escapes undone) and parsed expressions, in order.

    Raises ``Invalid`` with the ``position`` of a mistake, counted from the beginning of the text.
    """
    pieces: list[str | Expression] = []
    literal: list[str] = []
    index = 0
    while (found := text.find(OPEN, index)) >= 0:
        if found > index and text[found - 1] == "$":
            literal += [text[index : found - 1], OPEN]
            index = found + len(OPEN)
            continue
        literal.append(text[index:found])
        expression, index = parse_embedded(text, found + len(OPEN))
        if any(literal):
            pieces.append("".join(literal))
        literal = []
        pieces.append(expression)
    literal.append(text[index:])
    if any(literal):
        pieces.append("".join(literal))
    return tuple(pieces)


def references(value: Any) -> Iterator[Reference]:
    """Yield every path that the expressions in a nested value use; raises ``Invalid`` as ``split``."""
    if isinstance(value, str):
        for piece in split(value) if OPEN in value else ():
            if isinstance(piece, Expression):
                yield from piece.references()
    elif _is_map(value):
        for item in value.values():
            yield from references(item)
    elif _is_list(value):
        for item in value:
            yield from references(item)


def evaluate(expression: Expression, scope: Mapping[str, Any]) -> Any:
    """Return the value of an expression; raises ``Invalid`` with the ``position`` of what cannot be.

    The value is a part of the scope, not a copy.
    """
    return _Evaluation(expression, scope).value(expression.term)


def render(value: Any, scope: Mapping[str, Any]) -> Any:
    """Return a nested value with its expressions filled in; keys are kept as they are.

    Raises ``Invalid`` when an expression cannot be evaluated, ``LimitExceeded`` when a text grows too large.
    """
    if isinstance(value, str):
        return _render_text(value, scope) if OPEN in value else value
    if _is_map(value):
        return {key: render(item, scope) for key, item in value.items()}
    if _is_list(value):
        return [render(item, scope) for item in value]
    return value


def condition(when: Any, scope: Mapping[str, Any]) -> bool:
    """Return whether a ``when`` holds; None always does. Raises ``Invalid`` unless it is true or false."""
    if when is None:
        return True
    value = render(when, scope)
    if isinstance(value, bool):
        return value
    raise Invalid(
        f"the condition {quoted(str(when))} gives {_kind(value)}, not true or false. Compare it with something.",
        reason=f"the condition gives {_kind(value)}, not true or false",
        remedy="Compare it with something.",
        position=0,
    )


def _render_text(text: str, scope: Mapping[str, Any]) -> Any:
    pieces = split(text)
    if len(pieces) == 1 and isinstance(pieces[0], Expression):
        return evaluate(pieces[0], scope)
    parts: list[str] = []
    characters = 0
    for piece in pieces:
        value = evaluate(piece, scope) if isinstance(piece, Expression) else piece
        part = (
            value if isinstance(value, str) else codec.encode_text(value, what="a value in a text")
        )
        characters += len(part)
        if characters > TEXT_CHARACTERS_MAX:
            raise LimitExceeded(
                f"a text with its expressions filled in has more than {TEXT_CHARACTERS_MAX:,} characters. "
                "Hand the value over by itself, or in a file.",
                limit_characters=TEXT_CHARACTERS_MAX,
            )
        parts.append(part)
    return "".join(parts)


class _Evaluation:
    """One evaluation of one expression."""

    def __init__(self, expression: Expression, scope: Mapping[str, Any]) -> None:
        self._expression = expression
        self._scope = scope

    def value(self, term: Term) -> Any:
        match term:
            case Literal():
                return term.value
            case Reference():
                value, reason = self._look_up(term)
                if value is _ABSENT:
                    raise self._refused(
                        term, reason, "Name what is there, or give default(path, value)."
                    )
                return value
            case Not():
                return not self._truth(term.operand, "!", term.position)
            case Logic():
                return self._logic(term)
            case Comparison():
                return self._compare(term)
            case Call():
                return self._call(term)

    def _logic(self, term: Logic) -> bool:
        decisive = term.operator == "||"
        for operand in term.operands:
            if self._truth(operand, term.operator, term.position) is decisive:
                return decisive
        return not decisive

    def _truth(self, operand: Term, symbol: str, position: int) -> bool:
        value = self.value(operand)
        if isinstance(value, bool):
            return value
        raise self._refused_at(
            position,
            f"{symbol} takes true or false, not {_kind(value)}",
            "Compare the value with something.",
        )

    def _compare(self, term: Comparison) -> bool:
        left, right = self.value(term.left), self.value(term.right)
        if term.operator in ("==", "!="):
            return _same(left, right) is (term.operator == "==")
        if (_is_number(left) and _is_number(right)) or (
            isinstance(left, str) and isinstance(right, str)
        ):
            return _ORDER[term.operator](left, right)
        raise self._refused(
            term,
            f"{term.operator} compares two numbers or two texts, not {_kind(left)} and {_kind(right)}",
            "Nothing is converted: compare values of one type.",
        )

    def _call(self, term: Call) -> Any:
        if term.function == "default":
            return self._default(*term.arguments)
        values = [self.value(argument) for argument in term.arguments]
        whole = values[0]
        if term.function == "length":
            if isinstance(whole, str) or _is_list(whole) or _is_map(whole):
                return len(whole)
            raise self._refused(
                term, f"{_kind(whole)} has no length", "Hand over text, a list or a map."
            )
        return self._contains(term, whole, values[1])

    def _default(self, path: Term, otherwise: Term) -> Any:
        value = self._look_up(path)[0] if isinstance(path, Reference) else self.value(path)
        return self.value(otherwise) if value is None or value is _ABSENT else value

    def _contains(self, term: Call, whole: Any, part: Any) -> bool:
        if _is_list(whole):
            return any(_same(item, part) for item in whole)
        if isinstance(part, str) and (isinstance(whole, str) or _is_map(whole)):
            return part in whole
        raise self._refused(
            term,
            f"contains cannot look for {_kind(part)} in {_kind(whole)}",
            "Look for any value in a list, for text in text, or for the name of a field in a map.",
        )

    def _look_up(self, reference: Reference) -> tuple[Any, str]:
        value: Any = self._scope
        walked: tuple[str | int, ...] = ()
        for step in (reference.root, *reference.steps):
            part = _inside(value, step)
            if part is _ABSENT:
                return _ABSENT, _nothing_there(reference, walked, value, step)
            value = part
            walked += (step,)
        return value, ""

    def _refused(self, term: Term, reason: str, remedy: str) -> Invalid:
        return self._refused_at(term.position, reason, remedy)

    def _refused_at(self, position: int, reason: str, remedy: str) -> Invalid:
        return refused(self._expression.source, position - self._expression.start, reason, remedy)


def _inside(value: Any, step: str | int) -> Any:
    """Return a field of a map or an item of a list, or ``_ABSENT``."""
    if isinstance(step, str):
        return value.get(step, _ABSENT) if _is_map(value) else _ABSENT
    return value[step] if _is_list(value) and step < len(value) else _ABSENT


def _nothing_there(
    reference: Reference, walked: tuple[str | int, ...], value: Any, step: str | int
) -> str:
    at = str(Reference(str(walked[0]), walked[1:], 0)) if walked else "the scope"
    if _is_list(value):
        inside = f"{at} is a list of {len(value)}"
    elif _is_map(value):
        inside = f"{at} has no {step!r}"
    else:
        inside = f"{at} is {_kind(value)}"
    return f"{reference} leads nowhere: {inside}"


def _same(left: Any, right: Any) -> bool:
    """Compare as JSON does: Python holds that True == 1, also inside lists."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if _is_list(left) and _is_list(right):
        return len(left) == len(right) and all(map(_same, left, right))
    if _is_map(left) and _is_map(right):
        return left.keys() == right.keys() and all(_same(left[key], right[key]) for key in left)
    return bool(left == right)


def _is_map(value: Any) -> TypeGuard[Mapping[str, Any]]:
    return isinstance(value, Mapping)


def _is_list(value: Any) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return "text"
    if isinstance(value, list):
        return "a list"
    return "a map" if isinstance(value, Mapping) else "a number"
