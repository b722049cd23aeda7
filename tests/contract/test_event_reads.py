"""Reading events: by stream, type, category, time and text, in pages, counted, replayed and followed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from aureus import NewEvent
from aureus.errors import Invalid, LimitExceeded, NotFound
from aureus.model.events import Event
from aureus.stores.events.listing import SCAN_MAX
from tests.contract.stage import Stage


def fill(stage: Stage) -> list[Event]:
    """Append 30 events to three streams of two categories, one a minute, and return them in their order."""
    appended: list[Event] = []
    for number in range(30):
        stream = ("orders/1", "orders/2", "people")[number % 3]
        payload = {"n": number, "text": "Tea, Moon" if number % 10 == 4 else "coffee"}
        kind = "even" if number % 2 == 0 else "odd"
        actor = "ada" if number % 5 == 0 else "grace"
        appended.append(
            stage.stores.events.append(
                stream, kind, payload, actor=actor, correlation_id=f"c{number}"
            )
        )
        stage.backend.clock.advance(60)
    return appended


def pages(stage: Stage, **arguments: Any) -> list[int]:
    """List events page by page; return their numbers."""
    found: list[int] = []
    cursor = None
    while True:
        page = stage.stores.events.list(cursor=cursor, **arguments)
        assert len(page.events) <= arguments.get("limit", 100)
        found += [event.payload["n"] for event in page.events]
        cursor = page.cursor
        if cursor is None:
            return found


def moment(events: list[Event], number: int) -> datetime:
    """Return when an event happened."""
    return events[number].occurred_at


FILTERS: list[tuple[dict[str, Any], Callable[[Event], bool]]] = [
    ({}, lambda _: True),
    ({"stream": "orders/2"}, lambda e: e.stream == "orders/2"),
    ({"type": "odd"}, lambda e: e.type == "odd"),
    ({"category": "orders"}, lambda e: e.category == "orders"),
    ({"category": "people"}, lambda e: e.category == "people"),
    ({"actor": "ada"}, lambda e: e.actor == "ada"),
    ({"correlation_id": "c7"}, lambda e: e.correlation_id == "c7"),
    ({"text": "moon TEA,"}, lambda e: e.payload["n"] % 10 == 4),
    ({"stream": "orders/1", "type": "odd"}, lambda e: e.stream == "orders/1" and e.type == "odd"),
    ({"type": "even", "category": "people"}, lambda e: e.type == "even" and e.category == "people"),
    ({"type": "even", "text": "tea"}, lambda e: e.payload["n"] % 10 == 4),
    ({"category": "orders", "actor": "ada"}, lambda e: e.category == "orders" and e.actor == "ada"),
    ({"stream": "nobody"}, lambda _: False),
    ({"type": "nothing"}, lambda _: False),
]


@pytest.mark.parametrize("newest_first", [True, False])
def test_filters_and_pages_give_what_is_there_in_the_order_of_entries(
    stage: Stage, newest_first: bool
) -> None:
    events = fill(stage)
    times = [
        {"since": moment(events, 10)},
        {"until": moment(events, 20)},
        {"since": moment(events, 10), "until": moment(events, 20)},
        {"since": moment(events, 29) + timedelta(seconds=1)},
        {"until": moment(events, 0)},
    ]
    cases: list[tuple[dict[str, Any], Callable[[Event], bool], dict[str, datetime]]] = [
        (filters, test, {}) for filters, test in FILTERS
    ]
    cases += [({"type": "even"}, lambda e: e.type == "even", some) for some in times]
    cases += [({}, lambda _: True, some) for some in times]
    for filters, is_wanted, some in cases:
        wanted = [
            event.payload["n"]
            for event in events
            if is_wanted(event)
            and event.occurred_at >= some.get("since", events[0].occurred_at)
            and event.occurred_at < some.get("until", events[29].occurred_at + timedelta(1))
        ]
        if newest_first:
            wanted.reverse()
        for limit in (4, 100):
            arguments = {**filters, **some, "limit": limit, "newest_first": newest_first}
            assert pages(stage, **arguments) == wanted, arguments
    everything = stage.stores.events.list(newest_first=False)
    assert list(everything.events) == events


def replayed(stage: Stage, **filters: Any) -> list[Event]:
    """Replay events to their end, with either client."""
    found = stage.backend.client.for_tenant(stage.tenant).events.replay(**filters)

    async def collect() -> list[Event]:
        return [event async for event in found]

    thread = stage.backend._thread
    return list(found) if thread is None else thread.run(collect())


def test_a_replay_reads_to_the_end_page_by_page(stage: Stage) -> None:
    append_all = stage.stores.events.append_all
    batch = [NewEvent("even" if n % 2 == 0 else "odd", {"n": n}) for n in range(700)]
    events = [*append_all("a", batch), *append_all("b", batch), *append_all("c", batch)]
    assert replayed(stage) == events
    assert replayed(stage, stream="b", newest_first=True) == events[1399:699:-1]
    assert replayed(stage, type="odd", text="699") == events[699::700]
    assert replayed(stage, stream="nobody") == []


def test_a_range_of_a_stream_is_read_from_either_end(stage: Stage) -> None:
    events = stage.stores.events
    events.append_all("s", [NewEvent("t", {"n": n}) for n in range(1, 11)])

    def versions(**arguments: Any) -> list[int]:
        return [event.version for event in events.read_stream("s", **arguments)]

    assert versions(after_version=7) == [8, 9, 10]
    assert versions(after_version=2, to_version=5) == [3, 4, 5]
    assert versions(newest_first=True, limit=3) == [10, 9, 8]
    assert versions(newest_first=True, after_version=3, to_version=7, limit=2) == [7, 6]
    assert versions(to_version=0) == []


def test_a_search_looks_at_a_bounded_part_and_says_how_far_it_came(stage: Stage) -> None:
    events = stage.stores.events
    events.append("s", "first", {"n": 0, "text": "needle"})
    for _ in range(3):
        events.append_all("s", [NewEvent("t", {"n": 1, "text": "hay"})] * 900)
    page = events.list(text="needle")
    assert (page.events, page.cursor is None) == ((), False)
    assert page.cursor == events.list(limit=SCAN_MAX).events[-1].entry_no
    assert pages(stage, text="needle") == [0]
    start = events.read_stream("s", limit=1)[0].occurred_at
    assert events.list(text="none", since=start + timedelta(1)).cursor is None
    assert len(events.list(type="t", limit=5000).events) == SCAN_MAX


def test_any_text_is_looked_for_as_it_is_written(stage: Stage) -> None:
    texts = [
        'say "hi"', "back\\slash", "100%", "under_score", "it's; --", "Zürich", "tab\there", "$1 :x",
    ]  # fmt: skip
    events = stage.stores.events
    for number, text in enumerate(texts):
        events.append("s", "t", {"n": number, "key": text})
    for number, text in enumerate(texts):
        assert number in pages(stage, text=text), text
    assert pages(stage, text="ZüRICH") == [5]
    assert pages(stage, text="ZÜRICH") == []
    assert pages(stage, text='":"') == []
    refused = [("", Invalid), ("  ", Invalid), ("a\x00", Invalid), ("x" * 501, LimitExceeded)]
    for text, error in [*refused, ("a " * 17 + "b c d e f g h i j k l m n o p q r", LimitExceeded)]:
        with pytest.raises(error):
            events.list(text=text)
    for wrong in ({"since": datetime(2026, 1, 1)}, {"colour": "red"}, {"type": ""}):  # noqa: DTZ001 - refused for it
        with pytest.raises(Invalid):
            events.list(**wrong)
    with pytest.raises(NotFound):
        events.get("nobody")


def test_events_are_counted_and_summed_up(
    stage: Stage, another_stage: Callable[[str], Stage]
) -> None:
    events = fill(stage)
    store = stage.stores.events
    other = another_stage("other").stores.events
    other.append("orders/1", "odd", {})
    middle = moment(events, 15)
    counted = {
        store.count(): 30,
        store.count(stream="orders/1"): 10,
        store.count(type="odd", category="people"): 5,
        store.count(category="orders"): 20,
        store.count(since=middle, type="even"): 7,
        store.count(until=middle, stream="people", type="odd"): 3 - 1,
    }
    assert list(counted) == list(counted.values())
    assert (store.count(type="odd"), store.count(since=middle), store.count(until=middle)) == (
        15,
    ) * 3
    with pytest.raises(Invalid):
        store.count(text="tea")
    totals = store.statistics()
    assert (totals.event_count, totals.stream_count) == (30, 3)
    assert totals.by_type == {"even": 15, "odd": 15}
    assert totals.to_dict()["by_category"] == [
        {"category": "orders", "stream_count": 2, "event_count": 20},
        {"category": "people", "stream_count": 1, "event_count": 10},
    ]
    assert (totals.first_at, totals.last_at) == (moment(events, 0), moment(events, 29))
    assert other.statistics().event_count == 1
    assert another_stage("third").stores.events.statistics().first_at is None
    recent = store.list_recent(hours=0.1, limit=50)
    assert [event.payload["n"] for event in recent.events] == [29, 28, 27, 26, 25, 24]
    for past in (-1, 1e300):
        with pytest.raises(Invalid, match="hours"):
            store.list_recent(hours=past)


def test_a_tail_tells_each_event_once(stage: Stage, another_stage: Callable[[str], Stage]) -> None:
    store = stage.stores.events
    store.append("before", "t", {})
    tail = store.tail()
    assert tail.events == ()
    another_stage("other").stores.events.append("s", "not ours", {})
    first = store.append_all("s", [NewEvent("a", {}), NewEvent("b", {})])
    store.append("other/1", "c", {})
    tail = store.tail(tail, stream="s")
    assert list(tail.events) == first
    tail = store.tail(tail)
    assert (tail.events, tail.has_more, tail.may_have_skipped) == ((), False, False)
    store.append_all("s", [NewEvent("t", {"n": n}) for n in range(1000)])
    store.append("other/1", "d", {})
    tail = store.tail(tail, category="s")
    assert ([event.version for event in tail.events], tail.has_more) == (list(range(3, 1003)), True)
    tail = store.tail(tail, type="d")
    assert [event.stream for event in tail.events] == ["other/1"]


def test_streams_are_listed_by_name_page_by_page(
    stage: Stage, another_stage: Callable[[str], Stage]
) -> None:
    events = stage.stores.events
    names = ["a", "a/1", "a/2", "a-b", "ab", "b/1", "é", "\U0010ffff"]
    for count, name in enumerate(names, 1):
        events.append_all(name, [NewEvent("t", {})] * count)
    another_stage("other").stores.events.append("a/3", "t", {})
    listed = events.list_streams()
    assert [one.stream for one in listed] == sorted(names)
    assert {one.stream: one.version for one in listed} == {
        name: count for count, name in enumerate(names, 1)
    }
    assert listed[0].category == "a"
    assert listed[0].created_at <= listed[0].updated_at
    assert [one.stream for one in events.list_streams(prefix="a/")] == ["a/1", "a/2"]
    assert [one.stream for one in events.list_streams(prefix="\U0010ffff")] == ["\U0010ffff"]
    paged: list[str] = []
    while page := events.list_streams(after=paged[-1] if paged else "", limit=3):
        paged += [one.stream for one in page]
    assert paged == sorted(names)
    with pytest.raises(Invalid, match="prefix"):
        events.list_streams(prefix="\x00")
