"""How two JSON values differ: what was added, removed and changed, by JSON pointer (RFC 6901).

Pure and deterministic: keys in the order of their text, items by their index. Objects are compared key by key; arrays
item by item, and the longer one has more at its end, so that every pointer is valid in the value that it points into.
Null is a value; ``ABSENT`` is none at all. Numbers differ when their JSON does: 1, 1.0 and true are three values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, cast

from aureus.model.plain import plain

DIFFERENCES_MAX = 1000
"""Places that two values are said to differ in; where there are more, whole parts are told as one."""


class Absence(Enum):
    """The type of ``ABSENT``."""

    ABSENT = "absent"

    def __repr__(self) -> str:
        return "ABSENT"

    __str__ = __repr__

    def __bool__(self) -> bool:
        return False


ABSENT: Final = Absence.ABSENT
"""No value at all, which differs from null."""


class DifferenceKind(Enum):
    """What happened at one place of a value."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where two values differ; ``before`` is ``ABSENT`` for what was added, ``after`` for what is gone."""

    kind: DifferenceKind
    pointer: str
    before: Any
    after: Any

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values, without what is absent."""
        found: dict[str, Any] = {"kind": self.kind.value, "pointer": self.pointer}
        for name, value in (("before", self.before), ("after", self.after)):
            if value is not ABSENT:
                found[name] = plain(value)
        return found


def differences(
    before: Any, after: Any, *, places_max: int = DIFFERENCES_MAX
) -> tuple[Difference, ...]:
    """Return where two values differ, in the order of keys and indexes; ``apply_differences`` makes one of the other.

    At most ``places_max`` places: where there are more, those below one key are told as one change of it, the keys with
    most places first, and at last the values as a whole. Takes what JSON holds; the work is proportional to the values.
    """
    part = _compare(before, after, "")
    return () if part is None else tuple(part.told(max(1, places_max)))


def apply_differences(found: Sequence[Difference], before: Any) -> Any:
    """Return the value that another one was when these differences were found between it and ``before``.

    ``before`` stays as it is. Differences of other values may raise ``LookupError``.
    """
    value = _copied(before)
    # Items go from the end and come at the end, so that no index moves before its turn.
    for one in reversed(found):
        if one.kind is DifferenceKind.REMOVED:
            value = _applied(one, value)
    for one in found:
        if one.kind is not DifferenceKind.REMOVED:
            value = _applied(one, value)
    return value


def resolve(pointer: str, value: Any) -> Any:
    """Return what a pointer leads to inside a value, ``ABSENT`` when it leads nowhere."""
    for step in _steps(pointer):
        try:
            value = value[_key(step, value)]
        except (LookupError, TypeError, ValueError):
            return ABSENT
    return value


@dataclass(frozen=True, slots=True)
class _Part:
    """A place where two values differ, with the places below it when both are objects or both are arrays."""

    whole: Difference
    below: tuple[_Part, ...]
    count: int

    def told(self, places_max: int) -> Iterator[Difference]:
        """Yield the differences, no more than so many; the part as a whole where that is the only way."""
        if not self.below or len(self.below) > places_max:
            yield self.whole
            return
        shares = [part.count for part in self.below]
        excess = self.count - places_max
        for index in sorted(range(len(shares)), key=lambda number: -shares[number]):
            cut = max(0, min(excess, shares[index] - 1))
            shares[index] -= cut
            excess -= cut
        for part, share in zip(self.below, shares, strict=True):
            yield from part.told(share)


def _compare(before: Any, after: Any, pointer: str) -> _Part | None:
    """Return how two values differ at a place, None when they do not."""
    if before is after:
        return None
    old, new = _children(before), _children(after)
    if old is None or new is None or _is_object(before) is not _is_object(after):
        if _is_same(before, after):
            return None
        return _Part(Difference(_kind(before, after), pointer, before, after), (), 1)
    below: list[_Part] = []
    for key in sorted(old.keys() | new.keys()):
        part = _compare(old.get(key, ABSENT), new.get(key, ABSENT), f"{pointer}/{_escaped(key)}")
        if part is not None:
            below.append(part)
    if not below:
        return None
    whole = Difference(DifferenceKind.CHANGED, pointer, before, after)
    return _Part(whole, tuple(below), sum(part.count for part in below))


def _kind(before: Any, after: Any) -> DifferenceKind:
    if before is ABSENT:
        return DifferenceKind.ADDED
    return DifferenceKind.REMOVED if after is ABSENT else DifferenceKind.CHANGED


def _is_object(value: Any) -> bool:
    return isinstance(value, Mapping)


def _children(value: Any) -> dict[Any, Any] | None:
    """Return what lies in an object or an array, by key or index; None for what is neither."""
    if isinstance(value, Mapping):
        return dict(cast(Mapping[str, Any], value))
    if isinstance(value, list | tuple):
        return dict(enumerate(cast(Sequence[Any], value)))
    return None


def _is_same(before: Any, after: Any) -> bool:
    """Return whether the JSON of two values is the same, of which one at least is neither object nor array."""
    if type(before) is not type(after):
        return False
    return repr(before) == repr(after) if isinstance(before, float) else bool(before == after)


def _applied(one: Difference, value: Any) -> Any:
    """Return a value with one difference carried out, in place where it is not the value as a whole."""
    steps = list(_steps(one.pointer))
    if not steps:
        return _copied(one.after)
    holder = value
    for step in steps[:-1]:
        holder = holder[_key(step, holder)]
    key: Any = _key(steps[-1], holder)
    if one.kind is DifferenceKind.REMOVED:
        del holder[key]
    elif one.kind is DifferenceKind.ADDED and isinstance(holder, list):
        cast(list[object], holder).insert(key, _copied(one.after))
    else:
        cast(dict[Any, Any], holder)[key] = _copied(one.after)
    return value


def _copied(value: Any) -> Any:
    """Return a copy that can be changed; tuples become lists, as in JSON."""
    if isinstance(value, Mapping):
        return {key: _copied(item) for key, item in cast(Mapping[str, Any], value).items()}
    if isinstance(value, list | tuple):
        return [_copied(item) for item in cast(Sequence[Any], value)]
    return value


def _escaped(step: str | int) -> str:
    return str(step).replace("~", "~0").replace("/", "~1")


def _steps(pointer: str) -> Iterator[str]:
    for step in pointer.split("/")[1:]:
        yield step.replace("~1", "/").replace("~0", "~")


def _key(step: str, holder: Any) -> str | int:
    """Return a step of a pointer as what it leads into takes it."""
    return int(step) if isinstance(holder, list | tuple) else step
