"""The grammar of ``${{ … }}``: text to terms. Nothing is evaluated here, and Python's own parser is never involved.

    either   = both { "||" both }
    both     = compare { "&&" compare }
    compare  = unary [ ( "==" | "!=" | "<" | "<=" | ">" | ">=" ) unary ]
    unary    = "!" unary | primary
    primary  = number | string | "true" | "false" | "null" | "(" either ")" | call | path
    call     = name "(" [ either { "," either } ] ")"
    path     = ( "input" | "tasks" | "run" ) { "." word | "[" string | number "]" }

A word behind a dot may hold dashes (``tasks.read-balance.result``). There is no arithmetic. Depth and length have
limits.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from aureus.engine.definition.problems import listed, nearest, quoted
from aureus.engine.definition.terms import (
    WORD,
    Call,
    Comparison,
    Expression,
    Literal,
    Logic,
    Not,
    Reference,
    Term,
)
from aureus.errors import Invalid

EXPRESSION_CHARACTERS_MAX = 1_000
"""Characters of one expression."""

EXPRESSION_DEPTH_MAX = 32
"""Levels of parentheses, calls and negations in one expression."""

ROOTS = ("input", "tasks", "run")
"""What a path can start with."""

FUNCTIONS = {"contains": 2, "length": 1, "default": 2}
"""The functions and how many arguments they take."""

OPEN, CLOSE = "${{", "}}"

_TOKEN = re.compile(
    r"""(?P<blank>[ \t\r\n]+)
      | (?P<number>-?[0-9][0-9.eE+-]*)
      | (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<close>\}\})
      | (?P<operator>==|!=|<=|>=|&&|\|\||[<>!()\[\].,])""",
    re.VERBOSE | re.DOTALL,
)
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_ESCAPES = {"\\": "\\", "'": "'", '"': '"', "n": "\n", "t": "\t"}
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None}
_COMPARISONS = frozenset({"==", "!=", "<", "<=", ">", ">="})


_Part = Callable[[], Term]


def parse(text: str) -> Expression:
    """Return the expression that a text holds, without ``${{`` and ``}}`` around it.

    Raises ``Invalid`` with ``position`` (characters before the mistake), ``reason`` and ``remedy``.
    """
    parser = _Parser(text, 0, closed=False)
    return Expression(text, parser.whole())


def parse_embedded(text: str, start: int) -> tuple[Expression, int]:
    """Return the expression whose ``${{`` ends at ``start``, and the offset behind its ``}}``.

    Raises ``Invalid`` as ``parse`` does; ``position`` counts from the beginning of the text.
    """
    parser = _Parser(text, start, closed=True)
    term = parser.whole()
    end = parser.position
    return Expression(text[start:end], term, start), end + len(CLOSE)


def refused(text: str, position: int, reason: str, remedy: str) -> Invalid:
    """Return the error for a place in an expression."""
    return Invalid(
        f"{reason} at character {position + 1} of {quoted(text)}. {remedy}",
        reason=reason,
        remedy=remedy,
        position=position,
    )


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    position: int


class _Parser:
    """Recursive descent over the tokens of one expression; depth is counted, so recursion is bounded."""

    def __init__(self, text: str, start: int, *, closed: bool) -> None:
        self._text = text
        self._start = start
        self._closed = closed
        self._depth = 0
        self._token = self._read(start)

    @property
    def position(self) -> int:
        """Return where the next token starts."""
        return self._token.position

    def whole(self) -> Term:
        if self._token.kind == "end":
            raise refused(
                self._text,
                self.position,
                "the expression is empty",
                "Write a value, such as input.x.",
            )
        term = self._either()
        if self._token.kind != "end":
            raise self._unexpected("an operator or the end")
        return term

    def _either(self) -> Term:
        return self._logic("||", self._both)

    def _both(self) -> Term:
        return self._logic("&&", self._compare)

    def _logic(self, operator: str, part: _Part) -> Term:
        first = part()
        operands, position = [first], self.position
        while self._is(operator):
            self._advance()
            operands.append(part())
        return first if len(operands) == 1 else Logic(operator, tuple(operands), position)

    def _compare(self) -> Term:
        left = self._unary()
        if self._token.text not in _COMPARISONS or self._token.kind != "operator":
            return left
        operator = self._advance()
        comparison = Comparison(operator.text, left, self._unary(), operator.position)
        if self._token.kind == "operator" and self._token.text in _COMPARISONS:
            raise refused(
                self._text,
                self.position,
                "comparisons cannot be chained",
                "Join two comparisons with &&.",
            )
        return comparison

    def _unary(self) -> Term:
        if not self._is("!"):
            return self._primary()
        position = self._advance().position
        self._deeper(position)
        term = Not(self._unary(), position)
        self._depth -= 1
        return term

    def _primary(self) -> Term:
        token = self._token
        if token.kind == "number":
            self._advance()
            return Literal(self._number(token), token.position)
        if token.kind == "string":
            self._advance()
            return Literal(self._string(token), token.position)
        if token.kind == "name":
            return self._named()
        if self._is("("):
            self._deeper(self._advance().position)
            term = self._either()
            self._expect(")")
            self._depth -= 1
            return term
        raise self._unexpected("a value")

    def _named(self) -> Term:
        token = self._advance()
        if self._is("("):
            return self._call(token)
        if token.text in _WORDS:
            return Literal(_WORDS[token.text], token.position)
        if token.text not in ROOTS:
            near = nearest(token.text, ROOTS)
            remedy = (
                f"Paths start with {listed(ROOTS)}; put text in quotes."
                if near is None
                else f"Did you mean {quoted(near)}?"
            )
            raise refused(self._text, token.position, f"unknown name {quoted(token.text)}", remedy)
        return self._path(token)

    def _call(self, token: _Token) -> Term:
        if token.text not in FUNCTIONS:
            near = nearest(token.text, FUNCTIONS)
            known = f"The functions are {listed(FUNCTIONS)}."
            remedy = known if near is None else f"Did you mean {quoted(near)}?"
            raise refused(
                self._text, token.position, f"unknown function {quoted(token.text)}", remedy
            )
        self._advance()
        self._deeper(token.position)
        arguments: list[Term] = []
        while not self._is(")"):
            if arguments:
                self._expect(",")
            arguments.append(self._either())
        self._expect(")")
        self._depth -= 1
        wanted = FUNCTIONS[token.text]
        if len(arguments) != wanted:
            raise refused(
                self._text,
                token.position,
                f"{token.text} takes {wanted} argument{'s' * (wanted > 1)}, not {len(arguments)}",
                "Add or remove arguments.",
            )
        return Call(token.text, tuple(arguments), token.position)

    def _path(self, root: _Token) -> Term:
        steps: list[str | int] = []
        while True:
            if self._is("."):
                steps.append(self._word())
            elif self._is("["):
                self._advance()
                steps.append(self._index())
                self._expect("]")
            else:
                return Reference(root.text, tuple(steps), root.position)

    def _word(self) -> str:
        """Read the word behind a dot: the only place where a dash belongs to a name."""
        start = self._token.position + 1
        word = WORD.match(self._text, start)
        if word is None:
            raise refused(
                self._text,
                start,
                "expected a name behind the dot",
                "Write ['…'] for unusual names.",
            )
        self._token = self._read(word.end())
        return word.group()

    def _index(self) -> str | int:
        token = self._advance()
        if token.kind == "string":
            return self._string(token)
        if token.kind == "number" and token.text.isdigit():
            number = self._number(token)
            if isinstance(number, int):
                return number
        raise refused(
            self._text,
            token.position,
            "expected a quoted name or a number from 0 in the brackets",
            "Write ['name'] for a field, [0] for the first item.",
        )

    def _number(self, token: _Token) -> int | float:
        if not _NUMBER.fullmatch(token.text):
            raise refused(
                self._text,
                token.position,
                f"{quoted(token.text)} is not a number",
                "Write it as in JSON; there is no arithmetic.",
            )
        is_integer = token.text.lstrip("-").isdigit()
        number: int | float = int(token.text) if is_integer else float(token.text)
        if not (-(2**63) <= number < 2**63 if is_integer else math.isfinite(number)):
            raise refused(
                self._text, token.position, "the number is too large", "Write it as text."
            )
        return number

    def _string(self, token: _Token) -> str:
        body = token.text[1:-1]
        parts: list[str] = []
        index = 0
        while index < len(body):
            character = body[index]
            if character == "\\":
                index += 1
                if body[index] not in _ESCAPES:
                    raise refused(
                        self._text,
                        token.position + index,
                        f"unknown escape \\{quoted(body[index])[1:-1]}",
                        "Known are \\\\ \\' \\\" \\n \\t; in YAML double quotes write each \\ twice.",
                    )
                character = _ESCAPES[body[index]]
            parts.append(character)
            index += 1
        return "".join(parts)

    def _deeper(self, position: int) -> None:
        self._depth += 1
        if self._depth > EXPRESSION_DEPTH_MAX:
            raise refused(
                self._text,
                position,
                f"the expression is nested deeper than {EXPRESSION_DEPTH_MAX} levels",
                "Compute the value in a task.",
            )

    def _is(self, operator: str) -> bool:
        return self._token.kind == "operator" and self._token.text == operator

    def _expect(self, operator: str) -> None:
        if not self._is(operator):
            raise self._unexpected(f'"{operator}"')
        self._advance()

    def _advance(self) -> _Token:
        token = self._token
        self._token = self._read(token.position + len(token.text))
        return token

    def _read(self, position: int) -> _Token:
        match = _TOKEN.match(self._text, position)
        if match is not None and match.lastgroup == "blank":
            position = match.end()
            match = _TOKEN.match(self._text, position)
        if position - self._start > EXPRESSION_CHARACTERS_MAX:
            raise refused(
                self._text,
                self._start,
                f"the expression is longer than {EXPRESSION_CHARACTERS_MAX:,} characters",
                "Compute the value in a task.",
            )
        if match is None:
            return self._end_or_refuse(position)
        if match.lastgroup == "close":
            if not self._closed:
                raise refused(self._text, position, f"{CLOSE} without {OPEN}", "Remove the braces.")
            return _Token("end", "", position)
        return _Token(match.lastgroup or "", match.group(), position)

    def _end_or_refuse(self, position: int) -> _Token:
        if position < len(self._text):
            character = self._text[position]
            if character in "\"'":
                raise refused(
                    self._text, position, "the text in quotes does not end", "Close the quotes."
                )
            remedy = {
                "=": "Compare with ==.",
                "&": "Write && for and.",
                "|": "Write || for or.",
                "-": "There is no arithmetic; names with dashes go behind a dot or in ['…'].",
                "+": "There is no arithmetic: compute the value in a task.",
            }.get(character, "Remove it, or put text in quotes.")
            raise refused(self._text, position, f"unexpected {quoted(character)}", remedy)
        if self._closed:
            raise refused(
                self._text,
                self._start,
                f"{OPEN} without {CLOSE}",
                f"Close the expression, or write ${OPEN} for the characters themselves.",
            )
        return _Token("end", "", position)

    def _unexpected(self, wanted: str) -> Invalid:
        found = self._token
        shown = "the expression ends" if found.kind == "end" else f"{quoted(found.text)} stands"
        return refused(
            self._text,
            found.position,
            f"{shown} where {wanted} is expected",
            "Check the parentheses, quotes and operators.",
        )
