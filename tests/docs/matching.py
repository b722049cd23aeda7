"""Whether what a program said is what a page shows.

What differs from run to run is the same word on both sides: run ids, times, durations, process numbers, bars. In the
page ``…`` stands for any text within a line, and a line that is nothing but ``…`` for any number of lines. Blanks
count as one, because columns are as wide as what they hold.
"""

from __future__ import annotations

import re
from typing import Final

WILDCARD: Final = "…"

_REPLACED: Final = (
    (re.compile(r"\x1b\[[0-9;]*m"), ""),
    (
        re.compile(r"(?m)^.*\bline \d+: +\d+ Killed.*\n?|^Killed\n?"),
        "",
    ),  # the shell's word, not ours
    (re.compile(r"\br_(?:[0-9a-f]{32}|[0-9a-f]*…)"), "r_ID"),
    (re.compile(r"\b\d{4}-\d\d-\d\d([T ])\d\d:\d\d:\d\d(?:\.\d+)?Z?"), "TIME"),
    (re.compile(r"\b\d\d:\d\d:\d\d(?:\.\d+)?"), "TIME"),
    (re.compile(r"\b\d+(?:\.\d+)? (?:ms|s|min|h|d)\b"), "DURATION"),
    (re.compile(r"\b(process|pid) \d+"), r"\1 NUMBER"),
    (re.compile(r"[·█]{4,}"), "BAR"),
    (re.compile(r"[ \t]+"), " "),
)


def matches(shown: str, said: str) -> bool:
    """Return whether a program said what a page shows."""
    return re.fullmatch(_pattern(_normal(shown)), _normal(said) + "\n") is not None


def _normal(text: str) -> str:
    for pattern, word in _REPLACED:
        text = pattern.sub(word, text)
    return "\n".join(line.strip() for line in text.strip().splitlines())


def _pattern(shown: str) -> str:
    if not shown:
        return r"\n*"
    parts: list[str] = []
    for line in shown.splitlines():
        if line == WILDCARD:
            parts.append(r"(?:.*\n)*")
        else:
            parts.append(r"[^\n]*".join(re.escape(piece) for piece in line.split(WILDCARD)) + r"\n")
    return "".join(parts)
