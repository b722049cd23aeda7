"""An argument of the wrong kind is refused by its name before anything is stored, by every operation of every store."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import pytest

from aureus._database.copying import SHARED_TABLES, TABLES
from aureus._database.operation import Operation
from aureus.client import Aureus
from aureus.errors import AureusError, Invalid
from aureus.transfer import copy_database
from tests.contract.stage import Stage
from tests.support.backends import settings_for

NOUNS = (
    "anchors",
    "approvals",
    "audit",
    "erasure",
    "events",
    "hypotheses",
    "idempotency_keys",
    "leases",
    "ledger",
    "memories",
    "profiles",
    "runs",
    "sessions",
    "snapshots",
    "subscriptions",
    "tasks",
    "workflows",
    "world_state",
    "agent",
    "conversation",
)

SAMPLES: Mapping[str, Any] = {
    "text": "text",
    "integer": 5,
    "huge": 2**70,
    "number": 2.5,
    "endless": math.inf,
    "no number": math.nan,
    "truth": True,
    "none": None,
    "bytes": b"bytes",
    "object": object(),
    "dict": {"a": 1},
    "texts": ["a", "b"],
    "mixed": ["a", 5, object()],
    "pair": (1, 2),
    "naive": datetime(2026, 1, 1),  # noqa: DTZ001 - a time without a zone is one of the wrong kinds
}
"""A value of each kind, by what it is called here."""

TAKES: Mapping[str, set[str]] = {
    "str": {"text"},
    "int": {"integer"},
    "float": {"integer", "number"},
    "bool": {"truth"},
    "None": {"none"},
    "bytes": {"bytes"},
    "Mapping[str, Any]": {"dict"},
    "dict[str, Any]": {"dict"},
    "Mapping[str, int]": {"dict"},
    "Sequence[str]": {"texts"},
    "Sequence[int]": {"pair"},
    "Place": {"texts"},
    "Start": {"text", "integer"},
    "Mode": {"text"},
    "Literal['all', 'web']": {"text"},
    "Literal['session']": {"text"},
    "ExpectedVersion": {"integer"},
    "Any": set(SAMPLES),
    "Json": set(SAMPLES),
    "IO[bytes]": set(SAMPLES),
    "Iterable[NewMemory]": {"texts", "mixed", "pair", "dict"},
    "Iterable[Note]": {"texts", "mixed", "pair", "dict"},
}
"""Which of them a part of a type takes; of any other part no sample is one."""


def parameters_of(method: Any) -> Iterator[tuple[str, str, Any]]:
    """Yield the name of each parameter with its type as it is written and as it is."""
    body = inspect.unwrap(method.body if isinstance(method, Operation) else method)
    hints = get_type_hints(body)
    for parameter in list(inspect.signature(body).parameters.values())[1:]:
        hint = hints.get(parameter.name, Any)
        if parameter.kind is parameter.VAR_KEYWORD:
            (fields,) = get_args(hint)
            for base in reversed(fields.__mro__[:-1] if hasattr(fields, "__mro__") else [fields]):
                written = {
                    name: str(getattr(one, "__forward_arg__", one))
                    for name, one in getattr(base, "__annotations__", {}).items()
                }
                types = get_type_hints(fields)
                yield from ((name, text, types[name]) for name, text in written.items())
        elif parameter.kind is not parameter.VAR_POSITIONAL:
            yield parameter.name, str(parameter.annotation), hint


def required_of(method: Any) -> list[str]:
    """Return the names of the parameters that have no default."""
    body = inspect.unwrap(method.body if isinstance(method, Operation) else method)
    return [
        one.name
        for one in list(inspect.signature(body).parameters.values())[1:]
        if one.default is one.empty and one.kind not in {one.VAR_KEYWORD, one.VAR_POSITIONAL}
    ]


def fitting(hint: Any) -> Any:
    """Return something of a type; what it says does not matter, for kinds are looked at first."""
    options = get_args(hint) if get_origin(hint) not in {None, dict, list, tuple} else ()
    simple = {str: "x", int: 1, float: 1.0, bool: True, bytes: b"", Any: {}}
    if isinstance(hint, type) and hint in simple:
        return simple[hint]
    if isinstance(hint, type) and issubclass(hint, Enum):
        return next(iter(hint))
    if isinstance(hint, type) and issubclass(hint, tuple) and get_origin(hint) is None:
        return tuple.__new__(hint, ("x",) * len(getattr(hint, "_fields", ())))
    if hint is datetime:
        return datetime.fromisoformat("2026-01-01T00:00:00+00:00")
    origin = get_origin(hint)
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        return {}
    if origin is not None and isinstance(origin, type) and hasattr(origin, "__iter__"):
        return []
    if options:
        return fitting(options[0]) if not isinstance(options[0], str) else options[0]
    return object.__new__(hint) if isinstance(hint, type) else lambda *_: ""


def parts_of(written: str) -> list[str]:
    """Return the parts of a union as it is written."""
    parts, depth, part = [], 0, ""
    for character in written:
        depth += {"[": 1, "]": -1}.get(character, 0)
        if character == "|" and not depth:
            parts.append(part.strip())
            part = ""
        else:
            part += character
    return [*parts, part.strip()]


def public_methods(target: Any) -> Iterator[tuple[str, Any]]:
    """Yield what a store offers."""
    for name in dir(type(target)):
        found = inspect.getattr_static(type(target), name)
        if not name.startswith("_") and (isinstance(found, Operation) or inspect.isfunction(found)):
            yield name, found


def store_of(stage: Stage, noun: str) -> Any:
    """Return a store, or a view that has operations of its own."""
    if noun == "agent":
        return stage.stores.agent("ann", user="ada")
    if noun == "conversation":
        return stage.stores.memories.conversation("s", agent_id="ann")
    return getattr(stage.stores, noun)


def row_counts(stage: Stage) -> dict[str, int]:
    """Return how many rows each table holds."""
    with stage.backend.transaction(stage.tenant) as tx:
        return {
            table: tx.execute(f"SELECT count(*) FROM {stage.table(table)}")[0][0]
            for table in (*TABLES, *SHARED_TABLES)
        }


def wrong_calls(target: Any) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """Yield a call with one wrong argument: method, parameter, what is passed, and all arguments."""
    for method_name, method in public_methods(target):
        known = {name: hint for name, _, hint in parameters_of(method)}
        needed = {name: fitting(known[name]) for name in required_of(method)}
        for name, written, _ in parameters_of(method):
            taken = set[str]().union(*(TAKES.get(part, set()) for part in parts_of(written)))
            for label, value in SAMPLES.items():
                if label not in taken:
                    yield method_name, name, label, {**needed, name: value}


def refused(store: Any, noun: str) -> Iterator[str]:
    """Yield each call that does not end as it should, with how it ends."""
    for method, parameter, label, arguments in wrong_calls(getattr(store, "_target", store)):
        called = f"{noun}.{method}({parameter}={label})"
        try:
            getattr(store, method)(**arguments)
        except AureusError as error:
            if parameter not in error.message:
                yield f"{called}: {error.message}"
        except Exception as error:  # noqa: BLE001 - whatever it is, it should have been an error of ours
            yield f"{called}: {type(error).__name__}: {error}"
        else:
            yield f"{called}: accepted"


def test_an_argument_of_the_wrong_kind_is_named_before_anything_is_stored(stage: Stage) -> None:
    before = row_counts(stage)
    for noun in NOUNS:
        assert list(refused(store_of(stage, noun), noun)) == []
    assert row_counts(stage) == before


def test_a_filter_of_no_name_is_refused_with_the_name_that_is_near(stage: Stage) -> None:
    with pytest.raises(Invalid, match="did you mean 'actor'"):
        stage.stores.events.list(actr="ann")
    with pytest.raises(Invalid, match="agent_id"):
        stage.stores.memories.query(agent="ann")


def test_every_store_of_a_client_is_tried(stage: Stage) -> None:
    stores = type(getattr(stage.stores, "_stores", stage.stores))
    found = {
        name for name in dir(stores)
        if not name.startswith("_") and not callable(getattr(stores, name))
    }  # fmt: skip
    assert found <= set(NOUNS)


WRONG = (5, 2.5, True, b"bytes", object(), ["a"], {"a": 1})


@pytest.mark.parametrize("wrong", WRONG, ids=lambda value: type(value).__name__)
def test_a_client_refuses_it_too(wrong: Any, tmp_path: Path) -> None:
    settings = settings_for("sqlite://", tmp_path)

    def in_transaction(tenant: Any) -> None:
        with db.transaction(tenant=tenant):
            raise AssertionError

    with Aureus(settings=settings) as db:
        calls: list[Callable[[], Any]] = [
            lambda: Aureus(settings=wrong),
            lambda: db.for_tenant(wrong),
            lambda: in_transaction(wrong),
            lambda: db.run_in_transaction(wrong),
            lambda: db.run(wrong),
            lambda: db.agent(wrong),
            lambda: db.agent("ann", provenance=wrong),
            lambda: db.subscription(wrong),
            lambda: db.subscription("s", category=wrong),
            lambda: db.subscriptions.group(wrong),
            lambda: db.sessions.collection(wrong),
            lambda: db.world_state.scope(wrong),
            lambda: copy_database(wrong, settings),
            lambda: copy_database(settings, wrong),
        ]
        for call in calls:
            with pytest.raises(AureusError):
                call()
