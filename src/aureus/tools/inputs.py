"""Rules for the inputs of a tool, and the words for what is wrong with them.

The same rules serve twice: when a workflow file is loaded, where a value may still be a ``${{ … }}`` reference whose
type nobody knows yet, and right before the work starts, where every value is final. All problems are found at once.
Rules are pure: whether a file exists or a program can be found is seen when the work starts.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeGuard

from aureus import codec
from aureus.errors import Invalid

Path = tuple[str | int, ...]
"""Names and list positions that lead from the inputs of a task to one value."""

Rule = Callable[[Any, Path], "Iterator[Problem]"]
"""Finds what is wrong with one value."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with the inputs of a task, and what to do about it."""

    path: Path
    message: str


@dataclass(frozen=True, slots=True)
class Input:
    """One input that a tool knows."""

    name: str
    rule: Rule
    required: bool = False


class InputRules:
    """Everything that must hold for the inputs of one tool."""

    def __init__(
        self,
        tool: str,
        *inputs: Input,
        together: Callable[[Mapping[str, Any]], Iterator[Problem]] | None = None,
    ) -> None:
        self._tool = tool
        self._inputs = {known.name: known for known in inputs}
        self._together = together

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the inputs in their documented order."""
        return tuple(self._inputs)

    def definition_problems(self, inputs: Mapping[str, Any]) -> list[Problem]:
        """List what is wrong in a workflow file; a value that holds a reference is left for later."""
        return self._problems({name: _without_references(value) for name, value in inputs.items()})

    def check(self, inputs: Mapping[str, Any]) -> None:
        """Raise ``Invalid`` with every problem of inputs whose references are all resolved."""
        problems = self._problems(inputs)
        if problems:
            raise Invalid(
                f"the inputs of tool '{self._tool}' cannot be used: "
                + "; ".join(problem.message for problem in problems),
                tool=self._tool,
                problems=[
                    {"path": list(found.path), "message": found.message} for found in problems
                ],
            )

    def _problems(self, inputs: Mapping[str, Any]) -> list[Problem]:
        problems = [self._unknown(name) for name in inputs if name not in self._inputs]
        for known in self._inputs.values():
            if known.name in inputs:
                problems.extend(apply(known.rule, inputs[known.name], (known.name,)))
            elif known.required:
                problems.append(Problem((), f"tool '{self._tool}' needs the input '{known.name}'"))
        if self._together is not None:
            problems.extend(self._together(inputs))
        return problems

    def _unknown(self, name: str) -> Problem:
        remedy = suggestion(name, self.names) or f"it knows {', '.join(self.names)}"
        return Problem((name,), f"tool '{self._tool}' has no input '{name}'; {remedy}")


class _Reference:
    """Stands for a value that is known only when the task starts."""


REFERENCE = _Reference()


def apply(rule: Rule, value: Any, path: Path) -> Iterator[Problem]:
    """Find what is wrong with a value, unless it is a reference."""
    if value is not REFERENCE:
        yield from rule(value, path)


def suggestion(name: str, known: Sequence[str]) -> str:
    """Return ``did you mean 'x'?`` for the known name that is nearest, or nothing."""
    folded = {candidate.lower(): candidate for candidate in known}
    near = difflib.get_close_matches(name.lower(), folded, n=1, cutoff=0.6)
    return f"did you mean '{folded[near[0]]}'?" if near else ""


def text(value: Any, path: Path) -> Iterator[Problem]:
    """Accept text that can be stored and handed to a program."""
    if not isinstance(value, str):
        yield _wrong(path, "text", value)
        return
    try:
        codec.check_text(value, _name(path))
    except Invalid as error:
        yield Problem(path, error.message)


def boolean(value: Any, path: Path) -> Iterator[Problem]:
    """Accept true and false."""
    if not isinstance(value, bool):
        yield _wrong(path, "true or false", value)


def number(low: float, high: float) -> Rule:
    """Accept numbers from low to high, both included."""

    def rule(value: Any, path: Path) -> Iterator[Problem]:
        if isinstance(value, bool) or not isinstance(value, int | float):
            yield _wrong(path, "a number", value)
        elif not math.isfinite(value) or not low <= value <= high:
            yield Problem(
                path, f"{_name(path)} is {value}; it must lie between {low:g} and {high:,}"
            )

    return rule


def integer(low: int, high: int) -> Rule:
    """Accept whole numbers from low to high, both included."""

    def rule(value: Any, path: Path) -> Iterator[Problem]:
        if isinstance(value, bool) or not isinstance(value, int):
            yield _wrong(path, "a whole number", value)
        elif not low <= value <= high:
            yield Problem(path, f"{_name(path)} is {value}; it must lie between {low} and {high:,}")

    return rule


def one_of(choices: type[StrEnum]) -> Rule:
    """Accept the values of an enumeration."""

    def rule(value: Any, path: Path) -> Iterator[Problem]:
        known = [choice.value for choice in choices]
        if value not in known:
            yield Problem(path, f"{_name(path)} is {value!r}; it must be one of {', '.join(known)}")

    return rule


def list_of(rule: Rule) -> Rule:
    """Accept lists whose every item satisfies a rule."""

    def items(value: Any, path: Path) -> Iterator[Problem]:
        if not is_list(value):
            yield _wrong(path, "a list", value)
            return
        for index, item in enumerate(value):
            yield from apply(rule, item, (*path, index))

    return items


def is_list(value: object) -> TypeGuard[list[Any]]:
    """Say whether a JSON value is a list."""
    return isinstance(value, list)


def is_map(value: object) -> TypeGuard[dict[Any, Any]]:
    """Say whether a JSON value is a map; what YAML reads may have keys that are not text."""
    return isinstance(value, dict)


def _without_references(value: Any) -> Any:
    if isinstance(value, str):
        return REFERENCE if "${{" in value else value
    if is_map(value):
        return {key: _without_references(item) for key, item in value.items()}
    if is_list(value):
        return [_without_references(item) for item in value]
    return value


def _wrong(path: Path, wanted: str, value: Any) -> Problem:
    return Problem(path, f"{_name(path)} must be {wanted}, not {kind(value)}")


def _name(path: Path) -> str:
    first, *rest = path
    return (
        f"'{first}"
        + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in rest)
        + "'"
    )


def kind(value: Any) -> str:
    """Return the word for the type of a JSON value, as a person who writes YAML would say it."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, str):
        return "text"
    return "a list" if is_list(value) else "a map"
