"""The only module that turns values into JSON bytes and back.

What goes in comes out: 0, "", false and null are kept, integers reach ±2⁶³, text is Unicode without NUL. What cannot
make the round trip on both engines (NaN, infinity, NUL, lone surrogates, larger integers, other types, deep nesting)
is refused with ``Invalid`` and the path of the value, before anything is stored. Never pickle, never type revival:
a stored object is only ever a dict, list, str, int, float, bool or None.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, cast

import orjson

from aureus.errors import Invalid, LimitExceeded

Json = dict[str, Any] | list[Any] | str | int | float | bool | None
"""A JSON value as Python sees it."""

JSON_DEPTH_MAX = 64
"""Levels of nesting; more is never data that a person or a model meant."""

JSON_BYTES_MAX = 16 * 1024 * 1024
"""Bytes of one encoded value: larger artefacts belong in files or object stores, with a reference here."""

_SHOWN_CHARACTERS_MAX = 60
"""Characters of a value that a message shows."""

_PATH_CHARACTERS_MAX = 200
"""Characters of the path of a value that a message shows: a value may be nested deeply, and its keys may be long."""

_INTEGER_MIN, _INTEGER_MAX = -(2**63), 2**63 - 1

_SURROGATE = re.compile("[\ud800-\udfff]")


def encode(value: Any, *, what: str = "value", bytes_max: int = JSON_BYTES_MAX) -> bytes:
    """Return the compact UTF-8 JSON of a value.

    Key order is kept. Raises ``Invalid`` with the path of the first part that JSON or an engine cannot hold, and
    ``LimitExceeded`` when the bytes are more than ``bytes_max``.
    """
    check(value, what)
    encoded = orjson.dumps(value)
    if len(encoded) > bytes_max:
        raise LimitExceeded(
            f"{what} has {len(encoded):,} bytes as JSON; the limit is {bytes_max:,}. "
            "Store it elsewhere and keep a reference.",
            what=what,
            size_bytes=len(encoded),
            limit_bytes=bytes_max,
        )
    return encoded


def encode_text(value: Any, *, what: str = "value") -> str:
    """Return the compact JSON text of a value; as ``encode``."""
    return encode(value, what=what).decode()


def encode_made(value: Any) -> str:
    """Return the JSON text of a value that Aureus made itself of checked parts, such as the rows of an index."""
    return orjson.dumps(value).decode()


def canonical(value: Any, *, what: str = "value") -> bytes:
    """Return JSON with sorted keys, for hashing what has no order of its own, such as inputs and definitions."""
    check(value, what)
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def canonical_made(value: Any) -> bytes:
    """Return JSON with sorted keys of a value that was checked before, such as what is stored."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def decode(encoded: bytes | str | memoryview) -> Any:
    """Return the value of JSON that Aureus wrote; raises ``Invalid`` when it is not JSON."""
    try:
        return orjson.loads(encoded)
    except orjson.JSONDecodeError as error:
        raise Invalid(f"not JSON: {error}") from error


def decode_once(encoded: bytes | str) -> Any:
    """Return the value of JSON in which every key of an object stands once; as ``decode``.

    Of a key that stands twice one reader takes the first value and another the last, so what is to be proved must not
    have any. JSON that Aureus writes is recognised by writing it again, which costs a few microseconds.
    """
    value = decode(encoded)
    given = encoded.encode() if isinstance(encoded, str) else encoded
    if orjson.dumps(value) == given.strip():
        return value
    try:
        json.loads(given, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise Invalid(f"not JSON that can be read in one way only: {error}") from error
    return value


def _once(pairs: list[tuple[str, Any]]) -> None:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice[:60]!r} stands twice")


def check(value: Any, what: str = "value") -> None:
    """Raise ``Invalid`` unless the value survives a round trip through JSON on both engines."""
    if not _is_sound(value, 0):
        _check(value, what, 0)


def check_text(text: Any, what: str, *, characters_max: int | None = None) -> None:
    """Raise ``Invalid`` for what is no text, or holds NUL or a lone surrogate, and ``LimitExceeded`` when too long."""
    if characters_max is None and type(text) is str and text.isascii() and "\x00" not in text:
        return
    if not isinstance(text, str):
        raise Invalid(
            f"{what} is {shown(text)} ({type(text).__name__}); it must be text", what=what
        )
    if "\x00" in text:
        raise Invalid(f"{what} contains a NUL character; remove it", what=what)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise Invalid(
            f"{what} contains a lone surrogate at character {error.start}; it is not valid text"
            + (" (a byte that is no UTF-8?)" if "\udc80" <= text[error.start] <= "\udcff" else ""),
            what=what,
        ) from error
    if characters_max is not None and len(text) > characters_max:
        raise LimitExceeded(
            f"{what} has {len(text):,} characters; the limit is {characters_max:,}",
            what=what,
            characters=len(text),
            limit_characters=characters_max,
        )


def shown(value: Any) -> str:
    """Return what a message shows of a value that somebody gave: the beginning of it, whatever it is."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - nested too deeply, or an object that cannot say what it is
        return f"what cannot be shown, {type(value).__name__}"
    return text if len(text) <= _SHOWN_CHARACTERS_MAX else f"{text[:_SHOWN_CHARACTERS_MAX]}…"


def as_object(value: Any, what: str) -> dict[str, Any]:
    """Return a mapping as what becomes a JSON object. Raises ``Invalid`` for anything else."""
    if not isinstance(value, Mapping):
        raise Invalid(
            f"{what} is {shown(value)} ({type(value).__name__}); it must be a dict", what=what
        )
    return dict(cast("Mapping[str, Any]", value))


def check_name(name: str, what: str, *, bytes_max: int) -> str:
    """Return text that is to be part of a key.

    Raises ``Invalid`` when it is empty or no valid text, and ``LimitExceeded`` when it has more bytes than a key holds.
    """
    if not name:
        raise Invalid(f"{what} is empty; it has at least one character", what=what)
    check_text(name, what)
    size = len(name) if name.isascii() else len(name.encode())
    if size > bytes_max:
        raise LimitExceeded(
            f"{what} has {size:,} bytes; the limit is {bytes_max:,}",
            what=what,
            size_bytes=size,
            limit_bytes=bytes_max,
        )
    return name


def check_names(names: Any, what: str, *, count_max: int, bytes_max: int) -> tuple[str, ...]:
    """Return a list of texts that are to be parts of keys, each once.

    Raises ``Invalid`` for a single text and for what ``check_name`` refuses, and ``LimitExceeded`` for too many.
    """
    if isinstance(names, str):
        raise Invalid(f"{what} is text; it is a list of names", what=what)
    found = tuple(dict.fromkeys(check_name(name, what, bytes_max=bytes_max) for name in names))
    if len(found) > count_max:
        raise LimitExceeded(
            f"there are {len(found):,} {what}; the limit is {count_max:,}",
            what=what,
            limit=count_max,
        )
    return found


def _is_sound(value: Any, depth: int) -> bool:
    """Return whether ``_check`` would raise nothing; quicker, since it makes no path of what it looks at."""
    kind = type(value)  # pyright: ignore[reportUnknownVariableType] - the value may be anything
    if kind is str:
        return _is_sound_text(value)
    if value is None or kind is bool:
        return True
    if kind is int:
        return bool(_INTEGER_MIN <= value <= _INTEGER_MAX)
    if kind is float:
        return math.isfinite(value)
    if depth >= JSON_DEPTH_MAX:
        return False
    if kind is dict:
        for key in value:
            if type(key) is not str or not _is_sound_text(key):
                return False
        value = value.values()
    elif kind is not list and kind is not tuple:
        return False
    for item in value:
        if type(item) is str and item.isascii() and "\x00" not in item:
            continue  # most of what there is
        if not _is_sound(item, depth + 1):
            return False
    return True


def _is_sound_text(text: str) -> bool:
    if "\x00" in text:
        return False
    return text.isascii() or _SURROGATE.search(text) is None


def _check(value: Any, path: str, depth: int) -> None:
    kind = type(value)  # pyright: ignore[reportUnknownVariableType] - the value may be anything
    if kind is str:
        check_text(value, path)
    elif value is None or kind is bool:
        return
    elif kind is int:
        if not _INTEGER_MIN <= value <= _INTEGER_MAX:
            raise Invalid(f"{path} is an integer outside ±2^63; store it as text", what=path)
    elif kind is float:
        if not math.isfinite(value):
            raise Invalid(
                f"{path} is {value}; JSON has no such number, use null or text", what=path
            )
    elif depth >= JSON_DEPTH_MAX:
        raise LimitExceeded(f"{path} is nested deeper than {JSON_DEPTH_MAX} levels", what=path)
    elif kind is dict:
        for key, item in value.items():
            if type(key) is not str:
                raise Invalid(f"{path} has the key {shown(key)}; JSON keys are text", what=path)
            check_text(key, f"a key of {path}")
            _check(item, _path(f"{path}.{key}"), depth + 1)
    elif kind is list or kind is tuple:
        for index, item in enumerate(value):
            _check(item, _path(f"{path}[{index}]"), depth + 1)
    else:
        raise Invalid(
            f"{path} is of the type {kind.__name__}; JSON holds dict, list, str, int, float, bool and None",
            what=path,
        )


def _path(path: str) -> str:
    """Return the path of a value, without its middle where it is long."""
    if len(path) <= _PATH_CHARACTERS_MAX:
        return path
    half = _PATH_CHARACTERS_MAX // 2
    return f"{path[:half]}…{path[-half + 1 :]}"
