"""What a check of the house style finds, and the files it looks at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Files = Mapping[str, str]
"""The text files of the repository: path from the root, with slashes, to content."""


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """A place where a file breaks a rule; a note is worth a look and fails nothing."""

    path: str
    line: int
    rule: str
    message: str
    is_note: bool = False

    def __str__(self) -> str:
        kind = "note: " if self.is_note else ""
        return f"{self.path}:{self.line}: {kind}{self.message} [{self.rule}]"


def line_of(text: str, offset: int) -> int:
    """Return the number of the line that holds a character."""
    return text.count("\n", 0, offset) + 1
