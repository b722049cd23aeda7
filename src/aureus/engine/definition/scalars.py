"""Plain scalars by the core schema of YAML 1.2.

``NO``, ``on``, ``12:30:45``, ``1_000`` and dates are text; ``1.10`` is a number where a number can stand, and stays the
text it was where text is wanted. Not-a-number and numbers that JSON or a database cannot hold are refused.
"""

from __future__ import annotations

import math
import re

_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")

NUMBER_CHARACTERS_MAX = 400
"""Characters of one number; longer ones are out of every range."""


class ScalarRefused(Exception):
    """A scalar is a number that nothing can hold."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy


def resolve(text: str) -> str | int | float | bool | None:
    """Return the value of a plain scalar; raises ``ScalarRefused``."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "0123456789+-.":
        return text
    if _NOT_FINITE.fullmatch(text):
        raise ScalarRefused(f"{text} is no number that JSON has", "Use null, or text in quotes.")
    if _INTEGER.fullmatch(text):
        value = _integer(text)
        if not -(2**63) <= value < 2**63:
            raise ScalarRefused(
                "the number is outside ±2^63", "Put it in quotes to keep it as text."
            )
        return value
    if _FLOAT.fullmatch(text):
        if len(text) > NUMBER_CHARACTERS_MAX:
            raise ScalarRefused(
                f"the number has more than {NUMBER_CHARACTERS_MAX} digits",
                "Put it in quotes to keep it as text.",
            )
        number = float(text)
        if not math.isfinite(number):
            raise ScalarRefused(
                "the number is too large for a float", "Put it in quotes to keep it as text."
            )
        return number
    return text


def _integer(text: str) -> int:
    if len(text) > NUMBER_CHARACTERS_MAX:
        return 2**64
    if text.startswith("0o"):
        return int(text, 8)
    return int(text, 16) if text.startswith("0x") else int(text)
