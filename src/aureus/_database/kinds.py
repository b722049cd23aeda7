"""Refuses arguments of the wrong kind before anything is done, by what the signature of an operation says.

Type checkers hold those who use one; everybody else may pass ``actor=5``. Without this such a value was noticed deep
inside, as whatever error came first. Kinds alone are looked at: what a value may be within its kind is for the
operation to say. A signature is read when it is first called; from then on a call costs one to three microseconds.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from collections.abc import Callable as AnyCallable
from datetime import datetime
from enum import Enum
from math import isfinite
from types import FunctionType, NoneType, SimpleNamespace, UnionType
from typing import (
    Any,
    Literal,
    NamedTuple,
    NoReturn,
    Union,
    Unpack,
    cast,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from aureus.clock import has_place
from aureus.codec import shown
from aureus.errors import Invalid

INTEGER_MIN, INTEGER_MAX = -(2**63), 2**63 - 1
"""What both engines keep as a whole number."""


Accepts = Callable[[Any], bool]


class Kind(NamedTuple):
    """What a parameter accepts."""

    quick: frozenset[type]
    """Classes whose every object is accepted, without a further look."""
    accepts: Accepts
    says: str
    """What it is, for a message: ``text or None``."""


def _always(_: Any) -> bool:
    return True


ANYTHING = Kind(frozenset(), _always, "anything")
"""The kind of a JSON value, which is checked where it is encoded, and of what has no type."""


class Kinds:
    """The kinds of the parameters of one function."""

    def __init__(self, function: FunctionType) -> None:
        """Read the signature of a method; its first parameter is the object itself."""
        code = function.__code__
        named_count = code.co_argcount + code.co_kwonlyargcount
        names = code.co_varnames[1:named_count]
        hints = _kinds_in(function.__annotations__, function.__globals__, names)
        self._positional = [(name, hints[name]) for name in names[: code.co_argcount - 1]]
        self._by_name = hints
        self._is_closed = False
        """Whether the names that follow by keyword are those of a ``TypedDict``, and no others."""
        if code.co_flags & inspect.CO_VARKEYWORDS:
            rest = code.co_varnames[named_count + bool(code.co_flags & inspect.CO_VARARGS)]
            self._unpack(_types_in(function.__annotations__, function.__globals__, [rest])[rest])

    def _unpack(self, hint: Any) -> None:
        (fields,) = get_args(hint) if get_origin(hint) is Unpack else (hint,)
        if is_typeddict(fields):
            self._is_closed = True
            self._by_name = {**self._by_name, **_kinds_of_fields(fields)}

    def check(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """Raise ``Invalid`` for the first argument that is of the wrong kind."""
        for (name, (quick, accepts, says)), value in zip(self._positional, args, strict=False):
            if type(value) not in quick and not accepts(value):
                _refuse(name, says, value)
        if kwargs:
            by_name = self._by_name
            for name, value in kwargs.items():
                if name in by_name:
                    quick, accepts, says = by_name[name]
                    if type(value) not in quick and not accepts(value):
                        _refuse(name, says, value)
                elif self._is_closed:
                    self._refuse_name(name)

    def _refuse_name(self, name: str) -> NoReturn:
        from difflib import get_close_matches

        near = get_close_matches(name, self._by_name, n=1)
        meant = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(self._by_name)}"
        raise Invalid(f"{name} is nothing that can be given here; {meant}", what=name)


def checking(method: FunctionType) -> Callable[..., Any]:
    """Return a method that refuses arguments of the wrong kind before it begins."""
    kinds = functools.cache(lambda: Kinds(method))

    def check(args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        kinds().check(args, kwargs)

    if inspect.iscoroutinefunction(method):

        @functools.wraps(method)
        async def awaited(self: Any, *args: Any, **kwargs: Any) -> Any:
            check(args, kwargs)
            return await method(self, *args, **kwargs)

        return awaited

    @functools.wraps(method)
    def called(self: Any, *args: Any, **kwargs: Any) -> Any:
        check(args, kwargs)
        return method(self, *args, **kwargs)

    return called


def check_record(record: Any) -> None:
    """Raise ``Invalid`` for the first field of a record that is of the wrong kind: whoever makes one is not held."""
    for name, (quick, accepts, says) in _kinds_of_fields(cast(Any, type(record))).items():
        value = getattr(record, name)
        if type(value) not in quick and not accepts(value):
            _refuse(name, says, value)


def check_methods(cls: type[Any]) -> None:
    """Let every public method that a class defines refuse arguments of the wrong kind."""
    for name, method in list(vars(cls).items()):
        if isinstance(method, FunctionType) and not name.startswith("_"):
            setattr(cls, name, checking(method))


def _refuse(name: str, says: str, value: Any) -> NoReturn:
    if isinstance(value, datetime) and value.tzinfo is None and _MOMENT.says in says:
        raise Invalid(
            f"{name} is {value.isoformat(' ')}, a time without a zone; give one, such as UTC",
            what=name,
        )
    raise Invalid(
        f"{name} is {shown(value)} ({type(value).__name__}); it must be {says}", what=name
    )


# What a type in a signature accepts.


def _types_in(
    written: Mapping[str, Any], names_known: dict[str, Any], names: Iterable[str]
) -> dict[str, Any]:
    """Return what the types of parameters are that are written as text."""
    chosen = {name: written[name] for name in names if name in written}
    return get_type_hints(SimpleNamespace(__annotations__=chosen), names_known)


def _kinds_in(
    written: Mapping[str, Any], names_known: dict[str, Any], names: Sequence[str]
) -> dict[str, Kind]:
    """Return the kinds of parameters; a common type is not read again."""
    rare = [name for name in names if written.get(name) not in _COMMON]
    types = _types_in(written, names_known, rare) if rare else {}
    return {
        name: kind_of(types.get(name, Any)) if name in rare else _COMMON[written[name]]
        for name in names
    }


@functools.cache
def _kinds_of_fields(fields: Any) -> dict[str, Kind]:
    return {name: kind_of(hint) for name, hint in get_type_hints(fields).items()}


@functools.cache
def kind_of(hint: Any) -> Kind:
    """Return the kind that a type in a signature says."""
    if hint is Any:
        return ANYTHING
    if isinstance(hint, type) and hint in _SIMPLE:
        return _SIMPLE[hint]
    origin: Any = get_origin(hint)
    arguments = get_args(hint)
    if origin is Union or origin is UnionType:
        return _one_of([kind_of(one) for one in arguments])
    if origin is Literal:
        return _literal(arguments)
    if origin is tuple:
        return _tuple([kind_of(one) for one in arguments])
    if origin is AnyCallable:
        return Kind(frozenset(), callable, "a function")
    if _is_a(origin, Mapping):
        return _mapping(arguments)
    if _is_a(origin, Iterable):
        return _many(kind_of(arguments[0]), is_once=not _is_a(origin, Collection))
    return _of_class(hint)


def _is_a(found: Any, base: Any) -> bool:
    return isinstance(found, type) and issubclass(found, base)


def _of_classes(says: str, *classes: type[Any]) -> Kind:
    def accepts(value: Any) -> bool:
        return isinstance(value, classes)

    return Kind(frozenset(classes), accepts, says)


def _is_integer(value: Any) -> bool:
    if type(value) is not int and (not isinstance(value, int) or isinstance(value, bool)):
        return False
    return bool(INTEGER_MIN <= value <= INTEGER_MAX)


def _is_number(value: Any) -> bool:
    return (isinstance(value, float) and isfinite(value)) or _is_integer(value)


def _is_moment(value: Any) -> bool:
    return isinstance(value, datetime) and value.tzinfo is not None and has_place(value)


def _is_mapping(value: Any) -> bool:
    return isinstance(value, Mapping)


_MOMENT = Kind(frozenset(), _is_moment, "a time with a zone, such as UTC")

_SIMPLE: dict[type[Any], Kind] = {
    str: _of_classes("text", str),
    bool: _of_classes("True or False", bool),
    bytes: _of_classes("bytes", bytes),
    NoneType: _of_classes("None", NoneType),
    int: Kind(frozenset(), _is_integer, "a whole number within ±2^63"),
    float: Kind(frozenset(), _is_number, "a finite number"),
    datetime: _MOMENT,
}


def _one_of(kinds: Sequence[Kind]) -> Kind:
    if ANYTHING in kinds:
        return ANYTHING
    quick = frozenset[type]().union(*(kind.quick for kind in kinds))
    # The text that stands for a member of an enumeration is not any text.
    is_named = any(issubclass(cls, Enum) for cls in quick)
    says = " or ".join(kind.says for kind in kinds if not (is_named and kind is _SIMPLE[str]))
    return Kind(quick, functools.reduce(_either, [kind.accepts for kind in kinds]), says)


def _either(one: Accepts, other: Accepts) -> Accepts:
    def accepts(value: Any) -> bool:
        return one(value) or other(value)

    return accepts


def _literal(values: Sequence[Any]) -> Kind:
    """Accept what is of a class of the values: which of them there are, the operation says in its own words."""
    says = " or ".join(repr(value) for value in values)
    classes: set[type[Any]] = {type(value) for value in values}
    return _of_classes(says, *classes)


def _tuple(kinds: Sequence[Kind]) -> Kind:
    """Accept a tuple, or the list that it was in JSON."""
    says = f"a pair ({', '.join(kind.says for kind in kinds)})"

    def accepts(value: Any) -> bool:
        return (
            isinstance(value, tuple | list)
            and len(cast(Sequence[Any], value)) == len(kinds)
            and all(
                kind.accepts(item)
                for kind, item in zip(kinds, cast(Sequence[Any], value), strict=True)
            )
        )

    return Kind(frozenset(), accepts, says)


def _mapping(arguments: Sequence[Any]) -> Kind:
    """Accept a mapping; its values only where they are of one kind, for JSON is checked where it is encoded."""
    of = kind_of(arguments[1])
    if of is ANYTHING:
        return Kind(frozenset({dict}), _is_mapping, "a dict")

    def accepts(value: Any) -> bool:
        return _is_mapping(value) and all(
            isinstance(key, str) and of.accepts(item) for key, item in value.items()
        )

    return Kind(frozenset(), accepts, f"a dict of {of.says}")


def _many(of: Kind, *, is_once: bool) -> Kind:
    """Accept a list; of texts also a set, never one text. What is iterated once only is not looked into."""
    wanted: Any = Sequence
    if is_once:
        wanted = Iterable
    elif of is _SIMPLE[str]:
        wanted = Collection
    says = "a list" if of is ANYTHING else f"a list of {_plain(of.says)}"

    def accepts(value: Any) -> bool:
        if not isinstance(value, wanted) or isinstance(value, str | bytes | Mapping):
            return False
        return is_once or all(of.accepts(item) for item in value)

    return Kind(frozenset(), accepts, says)


def _plain(says: str) -> str:
    """Return what one item of a list is, without its article."""
    return says.removeprefix("an ").removeprefix("a ")


def _of_class(cls: Any) -> Kind:
    """Accept objects of a class; anything where it is a protocol, or no class at all."""
    if not isinstance(cls, type) or getattr(cls, "_is_protocol", False):
        return ANYTHING
    if _is_a(cls, Enum):
        names = ", ".join(str(member) for member in cast(type[Enum], cls))
        return _of_classes(f"one of {names}", cls)
    article = "an" if cls.__name__[0] in "AEIOU" else "a"
    return _of_classes(f"{article} {cls.__name__}", cls)


_COMMON: dict[Any, Kind] = {
    "Any": ANYTHING,
    "str": kind_of(str),
    "str | None": kind_of(str | None),
    "int": kind_of(int),
    "int | None": kind_of(int | None),
    "bool": kind_of(bool),
    "float": kind_of(float),
    "Sequence[str]": kind_of(Sequence[str]),
    "Mapping[str, Any] | None": kind_of(Mapping[str, Any] | None),
}
"""The kinds of most parameters, by their types as they are written."""
