"""Turns what somebody wrote into the value of a setting, or says what is wrong with it and where it stands.

Pure: text and typed values in, values out. A message quotes what it refuses, except where that is a secret or looks
as if it held one. Times are seconds, whatever the unit they were written in.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import cast

from aureus.config.table import Setting
from aureus.errors import ConfigInvalid

NAME_BYTES_MAX = 63
"""Length of an identifier in PostgreSQL; longer ones are cut there in silence."""

CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
"""What breaks or forges a line of a log."""

_INTEGER = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)")
_DURATION = re.compile(r"(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:us|µs|ms|min|s|m|h|d))+")
_DURATION_PART = re.compile(r"([0-9.]+)(us|µs|ms|min|s|m|h|d)")
_SECONDS = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400}
_NO_LIMIT = frozenset({"none", "off"})
_RESERVED_NAMES = frozenset({"information_schema", "none"})
"""Names that PostgreSQL keeps, besides those that begin with ``pg_``; to drop to the role ``none`` drops nothing."""

_SUSPICIOUS = re.compile(r"://|@|passw|secret", re.IGNORECASE)

Value = str | int | float | None


def refuse(key: str, where: str, problem: str) -> ConfigInvalid:
    """Return the error that names a setting, where it was said, and what is wrong with it."""
    return ConfigInvalid(f"{key} ({where}) {problem}", setting=key, origin=where)


def parse(setting: Setting, written: object, where: str, *, unit: str = "") -> Value:
    """Return the value of a setting; raises ``ConfigInvalid`` when it is of the wrong type or out of range.

    ``unit`` is that of a plain number, where the name it was given under has a unit of its own.
    """
    if setting.kind == "integer":
        return _integer(setting, written, where)
    if setting.kind == "seconds":
        return _seconds(setting, written, where, unit)
    if setting.kind == "choice":
        return _choice(setting, written, where)
    text = _text(setting, written, where)
    if setting.kind == "name":
        _check_name(setting, text, where)
    elif setting.kind == "path":
        _check_path(setting, text, where)
    return text


def shown(setting: Setting, value: object) -> str:
    """Return a value that is not secret as text for people."""
    if value is None:
        return "none"
    if setting.kind == "seconds" and isinstance(value, int | float):
        return f"{value:g} s"
    return str(value)


def quoted(written: object) -> str:
    """Return what somebody wrote, for a message; hidden when it may hold a secret, cut when it is long."""
    text = str(written)
    if _SUSPICIOUS.search(text):
        return "a value that may hold a secret and is not shown"
    return repr(text if len(text) <= 60 else text[:60] + "…")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the end of a message that suggests the nearest known name; empty when none is near."""
    from difflib import get_close_matches  # only a mistake needs it

    close = get_close_matches(name, sorted(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def limits(setting: Setting) -> str:
    """Return in words what a setting accepts."""
    if setting.kind == "choice":
        return _alternatives(setting.choices)
    nothing = ", or none for no limit" if setting.may_be_none else ""
    if setting.kind == "name":
        return f"1 to {NAME_BYTES_MAX} bytes"
    if setting.kind == "text" and setting.most is not None:
        return f"1 to {setting.most:g} bytes"
    if setting.least is None or setting.most is None:
        return "any text"
    number = {"integer": "a whole number", "seconds": "a time"}[setting.kind]
    return f"{number} from {_amount(setting, setting.least)} to {_amount(setting, setting.most)}{nothing}"


def _amount(setting: Setting, amount: float) -> str:
    if setting.kind == "seconds":
        for unit, seconds in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
            if amount >= seconds and amount % seconds == 0:
                return f"{amount / seconds:g} {unit}"
        return f"{amount * 1000:g} ms"
    return f"{amount:.0f}"


def _alternatives(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} or {last}"


def _integer(setting: Setting, written: object, where: str) -> int:
    number: int | None = None
    if isinstance(written, int) and not isinstance(written, bool):
        number = written
    elif isinstance(written, str) and _INTEGER.fullmatch(written.strip()):
        number = int(written.strip()[:20])
    return int(_in_range(setting, number, written, where))


def _seconds(setting: Setting, written: object, where: str, unit: str) -> float | None:
    number: float | None = None
    if isinstance(written, int | float) and not isinstance(written, bool):
        number = written * _SECONDS[unit or "s"]
    elif isinstance(written, str):
        text = written.strip().lower()
        if setting.may_be_none and text in _NO_LIMIT:
            return None
        compact = text.replace(" ", "")
        if _NUMBER.fullmatch(text):
            number = float(text) * _SECONDS[unit or "s"]
        elif _DURATION.fullmatch(compact):
            number = _sum_of_parts(compact)
    if number == 0 and setting.may_be_none:
        return None
    return float(_in_range(setting, number, written, where))


def _sum_of_parts(text: str) -> float | None:
    try:
        return sum(float(part) * _SECONDS[unit] for part, unit in _DURATION_PART.findall(text))
    except ValueError:  # "1.2.3s": the parts match where the number does not
        return None


def _in_range(setting: Setting, number: float | None, written: object, where: str) -> float:
    least, most = setting.least, setting.most
    if (
        number is None
        or (least is not None and not number >= least)
        or (most is not None and not number <= most)
    ):
        raise refuse(setting.key, where, f"is {quoted(written)}; give {limits(setting)}")
    return number


def _choice(setting: Setting, written: object, where: str) -> str:
    word: str | None = None
    if isinstance(written, str):
        word = written.strip().lower()
    elif isinstance(written, bool):
        word = str(written).lower()
    if word is not None:
        word = dict(setting.synonyms).get(word, word)
        if word in setting.choices:
            return word
    raise refuse(setting.key, where, f"is {quoted(written)}; give {_alternatives(setting.choices)}")


def _text(setting: Setting, written: object, where: str) -> str:
    if isinstance(written, os.PathLike):
        written = os.fspath(cast("os.PathLike[str]", written))
    if not isinstance(written, str):
        raise refuse(setting.key, where, f"is of the type {type(written).__name__}; give text")
    text = written.strip() if setting.kind == "url" else written
    if not text:
        raise refuse(setting.key, where, "is empty; give text, or leave it out")
    if "\x00" in text:
        raise refuse(setting.key, where, "contains a NUL character; remove it")
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise refuse(setting.key, where, "is not valid UTF-8 text") from None
    if setting.kind == "text":
        if setting.most is not None and size > setting.most:
            raise refuse(setting.key, where, f"has {size} bytes; give {limits(setting)}")
        if CONTROL_CHARACTERS.search(text):
            raise refuse(
                setting.key, where, "contains a line break or another control character; remove it"
            )
    return text


def _check_name(setting: Setting, text: str, where: str) -> None:
    size = len(text.encode())
    if size > NAME_BYTES_MAX:
        raise refuse(
            setting.key, where, f"has {size} bytes; PostgreSQL cuts names after {NAME_BYTES_MAX}"
        )
    if text.startswith("pg_") or text.lower() in _RESERVED_NAMES:
        raise refuse(
            setting.key, where, f"is {quoted(text)}; PostgreSQL keeps such names for itself"
        )


def _check_path(setting: Setting, text: str, where: str) -> None:
    if "://" in text:
        raise refuse(setting.key, where, "is a URL; give a directory or file of this machine")
    if text.startswith("~"):
        raise refuse(
            setting.key, where, "starts with ~, which only a shell expands; write the path out"
        )
