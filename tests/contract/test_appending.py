"""Appending events: by callers, under what they expect of a stream, once for each identifier, never lost by a race."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from aureus import ANY, EXISTS, NO_STREAM, NewEvent
from aureus.errors import AlreadyExists, AureusError, Invalid, LimitExceeded, VersionConflict
from aureus.model.events import (
    APPEND_EVENTS_MAX,
    PAYLOAD_BYTES_MAX,
    STREAM_CHARACTERS_MAX,
    ExpectedVersion,
)
from tests.contract.stage import Stage, fact

TRICKY = {
    "text": 'ünï\u2028 "q" \\ \'; --\n',
    "zero": 0,
    "none": None,
    "no": False,
    "f": 1.5,
    "l": [[]],
}


def test_an_event_comes_back_as_it_was_appended(stage: Stage) -> None:
    events = stage.stores.events
    appended = events.append(
        "planner/s1",
        "preference_changed",
        TRICKY,
        metadata={"a": 0},
        actor="ada",
        correlation_id="c",
    )
    assert (appended.stream, appended.version, appended.category) == ("planner/s1", 1, "planner")
    assert (appended.payload, appended.metadata) == (TRICKY, {"a": 0})
    assert (appended.actor, appended.correlation_id, appended.action) == ("ada", "c", None)
    assert appended.occurred_at == stage.backend.clock.now()
    assert (len(appended.leaf_hash), appended.position) == (32, None)
    assert list(events.read_stream("planner/s1")) == [appended] == [events.get(appended.event_id)]
    assert appended.to_dict()["leaf_hash"] == appended.leaf_hash.hex()


def test_several_events_are_appended_together_in_their_order(stage: Stage) -> None:
    events = stage.stores.events
    first = events.append_all("s", [NewEvent(f"t{n}", {"n": n}) for n in range(300)])
    second = events.append_all("s", [NewEvent("u", {})], expected_version=300)
    assert [event.version for event in (*first, *second)] == list(range(1, 302))
    assert [event.type for event in events.read_stream("s", limit=400)] == [
        *(f"t{n}" for n in range(300)), "u",
    ]  # fmt: skip
    numbers = [event.entry_no for event in (*first, *second)]
    assert numbers == sorted(set(numbers))


EXPECTED: dict[int, list[tuple[ExpectedVersion, bool]]] = {
    0: [(ANY, True), (NO_STREAM, True), (EXISTS, False), (0, True), (1, False)],
    2: [
        (ANY, True),
        (NO_STREAM, False),
        (EXISTS, True),
        (0, False),
        (1, False),
        (2, True),
        (3, False),
    ],
}
"""How many events a stream has, what an append expects, and whether it happens."""


def test_an_append_happens_only_under_what_it_expects(stage: Stage) -> None:
    append = stage.stores.events.append
    cases = [(count, *case) for count, several in EXPECTED.items() for case in several]
    for count, expected, happens in cases:
        stream = f"s-{count}-{expected!r}"
        for _ in range(count):
            append(stream, "before", {})
        if happens:
            assert append(stream, "t", {}, expected_version=expected).version == count + 1
            continue
        with pytest.raises(VersionConflict) as raised:
            append(stream, "t", {}, expected_version=expected)
        wanted = str(expected) if isinstance(expected, str) else expected
        assert raised.value.fields == {
            "stream": stream,
            "expected_version": wanted,
            "actual_version": count,
        }
        assert stage.stores.events.stream_version(stream) == count


def race(count: int, call: Callable[[int], Any]) -> list[Any]:
    """Call from many threads at once; return what each was told."""

    def one(number: int) -> Any:
        try:
            return call(number)
        except AureusError as error:
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def test_twenty_writers_lose_nothing_and_a_version_has_one_winner(stage: Stage) -> None:
    append = stage.stores.events.append
    told = race(20, lambda n: append("any", "t", {"n": n}))
    assert sorted(event.version for event in told) == list(range(1, 21))
    by_version = sorted(told, key=lambda event: event.version)
    assert [e.entry_no for e in by_version] == sorted(e.entry_no for e in by_version)

    for expected in (NO_STREAM, 1):
        told = race(20, lambda n: append("one", "t", {"n": n}, expected_version=expected))  # noqa: B023 - called at once
        assert Counter(type(answer).__name__ for answer in told) == {
            "Event": 1,
            "VersionConflict": 19,
        }
        wrong = {answer.actual_version for answer in told if isinstance(answer, AureusError)}
        assert wrong == {1 if expected is NO_STREAM else 2}

    told = race(20, lambda _: append("same", "t", {"n": 1}, event_id="only-one"))
    assert len({answer.leaf_hash for answer in told}) == 1
    assert stage.stores.events.stream_version("same") == 1


def test_versions_and_entry_numbers_rise_together_however_events_are_written(stage: Stage) -> None:
    """Facts and appends, gathered and in transactions, with and without expectation, many streams at once."""
    events = stage.stores.events
    run = stage.start("r1").run

    def write(number: int) -> None:
        stream = f"mixed-{number % 3}"
        for turn in range(6):
            if number % 4 == 0:
                facts = [replace(fact("r1", "f"), stream=stream), fact("r1", "g")]
                stage.advance(run, facts=facts)
            elif number % 4 == 1:
                events.append_all(stream, [NewEvent("a", {"turn": turn}), NewEvent("b", {})])
            elif number % 4 == 2:
                append_until_it_fits(stream)
            else:
                with stage.backend.transaction("acme") as tx:
                    tx.events.append(stream, "c", {})
                    tx.events.append(stream, "d", {}, expected_version=EXISTS)

    def append_until_it_fits(stream: str) -> None:
        while True:
            try:
                events.append(stream, "e", {}, expected_version=events.stream_version(stream))
            except VersionConflict:
                continue
            return

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    total = 0
    for stream in ("mixed-0", "mixed-1", "mixed-2", "runs/r1"):
        found = events.read_stream(stream)
        assert [event.version for event in found] == list(range(1, len(found) + 1))
        assert [event.entry_no for event in found] == sorted(event.entry_no for event in found)
        total += len(found)
    assert total == 2 + 2 * 6 * 2 + 2 * 6 * 2 + 2 * 6 + 2 * 6 * 2


def test_an_append_is_repeated_without_writing(stage: Stage) -> None:
    events = stage.stores.events
    batch = [NewEvent("a", {"n": 1}, {"m": 2}, "id-1"), NewEvent("b", {"n": 2}, event_id="id-2")]
    first = events.append_all("s", batch, expected_version=NO_STREAM)
    stage.backend.clock.advance(5)
    assert events.append_all("s", batch, expected_version=NO_STREAM) == first
    assert events.append("s", "b", {"n": 2}, event_id="id-2", expected_version=77) == first[1]
    with stage.backend.transaction("acme") as tx:
        assert tx.events.append_all("s", batch) == first
        assert tx.events.append("s", "c", {}, event_id="id-3") == tx.events.append(
            "s", "c", {}, event_id="id-3"
        )
    assert events.stream_version("s") == 3


def test_an_identifier_that_is_taken_by_something_else_is_refused(
    stage: Stage, another_stage: Callable[[str], Stage]
) -> None:
    events = stage.stores.events
    kept = NewEvent("a", {"n": 1}, event_id="id-1", actor="ada")
    events.append_all("s", [kept])
    others = [
        ("t", [kept]),
        ("s", [replace(kept, payload={"n": 1.0})]),
        ("s", [replace(kept, metadata={"n": 1})]),
        ("s", [replace(kept, type="b")]),
        ("s", [replace(kept, actor="grace")]),
        ("s", [replace(kept, correlation_id="c")]),
        ("s", [NewEvent("new", {}), kept]),
    ]
    for stream, batch in others:
        with pytest.raises(AlreadyExists, match="'id-1' is version 1 of stream 's'") as raised:
            events.append_all(stream, batch)
        assert raised.value.event_id == "id-1"
    assert (events.stream_version("s"), events.stream_version("t")) == (1, 0)
    assert another_stage("other").stores.events.append("s", "x", {}, event_id="id-1").version == 1


REFUSED: list[tuple[type[AureusError], dict[str, Any]]] = [
    (Invalid, {"stream": ""}),
    (Invalid, {"stream": "nul\x00"}),
    (Invalid, {"stream": "lone\ud800"}),
    (LimitExceeded, {"stream": "x" * (STREAM_CHARACTERS_MAX + 1)}),
    (Invalid, {"type": ""}),
    (Invalid, {"actor": "a\x00"}),
    (Invalid, {"event_id": ""}),
    (Invalid, {"correlation_id": 7}),
    (Invalid, {"payload": [1]}),
    (Invalid, {"payload": {"n": float("nan")}}),
    (Invalid, {"payload": {"t": "a\x00b"}}),
    (LimitExceeded, {"payload": {"t": "x" * PAYLOAD_BYTES_MAX}}),
    (Invalid, {"expected_version": -1}),
    (Invalid, {"expected_version": True}),
    (Invalid, {"expected_version": None}),
]


def test_what_cannot_be_kept_is_refused_before_anything_is_written(stage: Stage) -> None:
    for error, arguments in REFUSED:
        with pytest.raises(error):
            stage.stores.events.append(**{"stream": "s", "type": "t", "payload": {}, **arguments})
    assert stage.stores.events.stream_version("s") == 0


def test_batches_have_bounds_and_no_identifier_twice(stage: Stage) -> None:
    append_all = stage.stores.events.append_all
    large = {"t": "x" * (PAYLOAD_BYTES_MAX - 100)}
    for batch in ([], [NewEvent("t", {}, event_id="i")] * 2):
        with pytest.raises(Invalid):
            append_all("s", batch)
    for batch in ([NewEvent("t", {})] * (APPEND_EVENTS_MAX + 1), [NewEvent("t", large)] * 3):
        with pytest.raises(LimitExceeded):
            append_all("s", batch)
    assert stage.stores.events.stream_version("s") == 0


def test_any_name_and_a_payload_of_a_megabyte_are_kept(stage: Stage) -> None:
    events = stage.stores.events
    names = [
        "",
        "/",
        "a/b/c",
        "ünï/\U0001f600",
        "it's; --",
        "%s :x $1 {}",
        "𐀀" * STREAM_CHARACTERS_MAX,
    ]
    payload = {"text": '"\\ü\n' * 180_000, "id": 'x"'}
    for name in names[1:]:
        assert events.append(name, "t", {}).category == name.split("/")[0]
        assert [event.stream for event in events.read_stream(name)] == [name]
    appended = events.append("large", "t", payload, metadata=payload)
    (found,) = events.read_stream("large")
    assert found == appended
    assert found.payload == found.metadata == payload


def test_an_append_commits_with_its_transaction_or_not_at_all(stage: Stage) -> None:
    with stage.backend.transaction("acme") as tx:
        assert tx.events.append("s", "a", {}).version == 1
        assert tx.events.append("s", "b", {}, expected_version=1).version == 2
        with pytest.raises(VersionConflict):
            tx.events.append("s", "never", {}, expected_version=1)
        assert tx.events.stream_version("s") == 2

    def break_off() -> None:
        with stage.backend.transaction("acme") as tx:
            assert tx.events.append("s", "never", {}).version == 3
            tx.events.append("s", "never", {}, expected_version=2)

    with pytest.raises(VersionConflict):
        break_off()
    assert [event.type for event in stage.stores.events.read_stream("s")] == ["a", "b"]
