"""Whether one JSON value contains another: the rule of PostgreSQL's ``jsonb @> jsonb`` (manual, section 8.14.3).

Objects contain objects of which every member is contained in the member of the same name. Lists contain lists of which
every element is contained in some element, whatever the order and however often. Anything else contains what equals it.
One exception stands at the top only: a list also contains a lone text, number or truth value that is one of its
elements.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast


def contains(stored: Any, wanted: Any) -> bool:
    """Return whether a stored JSON value contains the wanted one."""
    if isinstance(stored, list) and not isinstance(wanted, list | dict):
        return any(_equals(element, wanted) for element in cast(Sequence[Any], stored))
    return _contains(stored, wanted)


def _contains(stored: Any, wanted: Any) -> bool:
    if isinstance(wanted, dict):
        if not isinstance(stored, dict):
            return False
        members = cast(Mapping[str, Any], stored)
        parts = cast(Mapping[str, Any], wanted)
        return all(
            name in members and _contains(members[name], part) for name, part in parts.items()
        )
    if isinstance(wanted, list):
        if not isinstance(stored, list):
            return False
        elements = cast(Sequence[Any], stored)
        return all(
            any(_contains(element, part) for element in elements)
            for part in cast(Sequence[Any], wanted)
        )
    return _equals(stored, wanted)


def _equals(one: Any, other: Any) -> bool:
    """Return whether two scalars are the same JSON: true is not 1, but 1 is 1.0."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, int | float):
        return isinstance(other, int | float) and one == other
    return type(one) is type(other) and bool(one == other)
