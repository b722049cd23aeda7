"""The parts of a parsed expression: plain records, compared by value.

``position`` is the offset of a part in the text that the expression was found in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from aureus.engine.definition.problems import quoted

WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
"""A name behind a dot; others stand in brackets."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A value that stands in the expression itself."""

    value: str | int | float | bool | None
    position: int


@dataclass(frozen=True, slots=True)
class Reference:
    """A path into what is known when the expression is evaluated: a root and the steps from it."""

    root: str
    steps: tuple[str | int, ...]
    position: int

    def __str__(self) -> str:
        return self.root + "".join(
            f"[{step}]" if isinstance(step, int) else _dotted(step) for step in self.steps
        )


@dataclass(frozen=True, slots=True)
class Not:
    """Negation."""

    operand: Term
    position: int


@dataclass(frozen=True, slots=True)
class Logic:
    """``&&`` or ``||`` over two or more operands; evaluation stops as soon as the result is known."""

    operator: str
    operands: tuple[Term, ...]
    position: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """One comparison; comparisons cannot be chained."""

    operator: str
    left: Term
    right: Term
    position: int


@dataclass(frozen=True, slots=True)
class Call:
    """A call of one of ``FUNCTIONS``."""

    function: str
    arguments: tuple[Term, ...]
    position: int


Term = Literal | Reference | Not | Logic | Comparison | Call


@dataclass(frozen=True, slots=True)
class Expression:
    """A parsed expression. ``start`` is the offset of its ``source`` in the text that it was found in."""

    source: str
    term: Term
    start: int = 0

    def references(self) -> tuple[Reference, ...]:
        """Return the paths of the expression, in the order of its text."""
        return tuple(_references(self.term))


def _dotted(step: str) -> str:
    return f".{step}" if WORD.fullmatch(step) else f"[{quoted(step)}]"


def _references(term: Term) -> Iterator[Reference]:
    if isinstance(term, Reference):
        yield term
    elif isinstance(term, Not):
        yield from _references(term.operand)
    elif isinstance(term, Logic):
        for operand in term.operands:
            yield from _references(operand)
    elif isinstance(term, Comparison):
        yield from _references(term.left)
        yield from _references(term.right)
    elif isinstance(term, Call):
        for argument in term.arguments:
            yield from _references(argument)
