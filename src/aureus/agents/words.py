"""The words of a JSON value, by which it is found when it is remembered."""

from __future__ import annotations

from collections.abc import Iterator

from aureus.codec import Json


def words_of(value: Json) -> str:
    """Return the words of a JSON value: what stands in it, with the names it stands under, a line each."""
    return "\n".join(_lines(value, ""))


def _lines(value: Json, name: str) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _lines(item, f"{name} {key}".strip())
    elif isinstance(value, list):
        for item in value:
            yield from _lines(item, name)
    elif value is not None:
        text = str(value).lower() if isinstance(value, bool) else str(value)
        yield f"{name}: {text}" if name else text
