"""What is wrong with a workflow file: every problem with its place, and what to do about it.

Reading a file never stops at the first mistake. Each part of the reader adds to one ``Problems``; the loader decides at
the end. Nothing here raises, and nothing here knows YAML or workflows.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from aureus.errors import DefinitionInvalid
from aureus.model.workflows import Severity

QUOTED_CHARACTERS_MAX = 80
"""Characters of somebody's text that a message repeats."""

LISTED_MAX = 50
"""Problems that the text of an error lists; the error itself carries all of them."""

_COMPARISONS_MAX = 20_000
"""Words compared for suggestions in one file: a file with 10,000 misspelt names must not cost minutes."""


@dataclass(frozen=True, slots=True)
class Place:
    """A position in a file; both numbers count from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Path:
    """The way from the top of a file to one of its values; ``str`` writes ``tasks[2].retry.maxAttempts``."""

    parent: Path | None = None
    key: str | int = ""

    def child(self, key: str | int) -> Path:
        """Return the path of a part of this value."""
        return Path(self, key)

    def __str__(self) -> str:
        keys: list[str | int] = []
        path = self
        while path.parent is not None:
            keys.append(path.key)
            path = path.parent
        return "".join(_step(key) for key in reversed(keys)).removeprefix(".")


TOP = Path()
"""The path of the whole file."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a workflow file. ``line`` and ``column`` count from 1."""

    severity: Severity
    message: str
    remedy: str
    line: int
    column: int
    path: str
    source: str

    def render(self) -> str:
        """Return the problem as one line in the form of compilers, which editors know how to open."""
        return (
            f"{self.source}:{self.line}:{self.column}: {self.severity.value}: "
            f"{self.message}. {self.remedy}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the problem as plain values."""
        return {
            "severity": self.severity.value,
            "message": self.message,
            "remedy": self.remedy,
            "line": self.line,
            "column": self.column,
            "path": self.path,
            "source": self.source,
        }


class Problems:
    """Collects the problems of one file; with ``strict`` a warning counts as an error."""

    def __init__(self, source: str, *, strict: bool = False) -> None:
        self._strict = strict
        self.source = escaped(source, characters_max=None)
        self._found: list[Problem] = []
        self._comparisons_left = _COMPARISONS_MAX

    def error(self, place: Place, path: Path, message: str, remedy: str) -> None:
        """Add a mistake that keeps the workflow from being used."""
        self._add(Severity.ERROR, place, path, message, remedy)

    def warning(self, place: Place, path: Path, message: str, remedy: str) -> None:
        """Add something that the author should know, and that ``strict`` refuses."""
        self._add(Severity.WARNING, place, path, message, remedy)

    def add(self, severity: Severity, place: Place, path: Path, message: str, remedy: str) -> None:
        """Add a problem of the given severity."""
        self._add(severity, place, path, message, remedy)

    def suggest(self, word: str, known: Collection[str], otherwise: str) -> str:
        """Return "Did you mean …?" with the nearest known word, or ``otherwise`` when none is near."""
        self._comparisons_left -= len(known)
        near = nearest(word, known) if self._comparisons_left >= 0 else None
        return otherwise if near is None else f"Did you mean {quoted(near)}?"

    @property
    def has_errors(self) -> bool:
        """Return whether a mistake was found; warnings do not count."""
        return any(problem.severity is Severity.ERROR for problem in self._found)

    def sorted(self) -> tuple[Problem, ...]:
        """Return the problems in the order of the file."""
        return tuple(sorted(self._found, key=lambda problem: (problem.line, problem.column)))

    def refuse(self) -> DefinitionInvalid:
        """Return the error that lists every problem."""
        found = self.sorted()
        lines = [problem.render() for problem in found[:LISTED_MAX]]
        if len(found) > LISTED_MAX:
            lines.append(f"{self.source}: and {len(found) - LISTED_MAX:,} more problems.")
        return DefinitionInvalid("\n".join(lines), source=self.source, problems=found)

    def _add(self, severity: Severity, place: Place, path: Path, message: str, remedy: str) -> None:
        severity = Severity.ERROR if self._strict else severity
        self._found.append(
            Problem(severity, message, remedy, place.line, place.column, str(path), self.source)
        )


def nearest(word: str, known: Collection[str]) -> str | None:
    """Return the known word that looks most like this one, ignoring case and separators, or None."""
    import difflib  # 3 ms, and only wrong files need it

    plain = {_letters(candidate): candidate for candidate in known}
    matches = difflib.get_close_matches(_letters(word[:200]), plain, n=1, cutoff=0.65)
    return plain[matches[0]] if matches else None


def quoted(text: str) -> str:
    """Return somebody's text for a message: in double quotes, shortened, nothing unprintable."""
    return f'"{escaped(text, characters_max=QUOTED_CHARACTERS_MAX)}"'


def escaped(text: str, *, characters_max: int | None) -> str:
    """Return text with what a terminal would obey, or not show, as escapes."""
    shortened = characters_max is not None and len(text) > characters_max
    shown = text[:characters_max] if shortened else text
    if not shown.isprintable():
        shown = "".join(_escape(character) for character in shown)
    return shown + "…" if shortened else shown


def listed(words: Collection[str], *, words_max: int = 12) -> str:
    """Return words for a message, in their order, with the number of those left out."""
    shown = [quoted(word) for word in list(words)[:words_max]]
    more = len(words) - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more else "")


def _escape(character: str) -> str:
    return (
        character
        if character.isprintable()
        else character.encode("unicode_escape", "surrogatepass").decode()
    )


def _letters(word: str) -> str:
    return word.lower().replace("_", "").replace("-", "").replace(" ", "") or word


def _step(key: str | int) -> str:
    if isinstance(key, int):
        return f"[{key}]"
    return f".{key}" if key.replace("-", "_").isidentifier() else f"[{quoted(key)}]"
