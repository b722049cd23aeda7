"""Erasures without a database: marks, how far a search has come, and what a report adds up to."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from aureus.model.erasures import (
    ErasureRecord,
    ErasureRequest,
    FoundEntry,
    Place,
    Scrub,
    Tally,
    Targets,
    record_fact,
    subject_mark,
)
from aureus.model.events import RESERVED_TYPES
from aureus.model.sessions import SessionName

NAMES = st.text(min_size=1, max_size=30)
END = Place(
    memory_id=None,
    version=None,
    hypothesis_id=None,
    snapshot_id=None,
    session=None,
    run=None,
    key=None,
    has_profile=True,
    entry_no=None,
)


def test_the_mark_of_a_subject_is_the_same_for_ever() -> None:
    """A vector, so that somebody who holds a request can compare it in years."""
    expected = "5a013a2c3da710b5b81a3fce1faba09fd13456f4e595b676bf6aee446fe8b719"
    assert subject_mark("ada", "e1") == expected


@given(NAMES, NAMES, NAMES)
def test_marks_differ_by_person_and_by_erasure(name: str, other: str, erasure_id: str) -> None:
    mark = subject_mark(name, erasure_id)
    assert (mark == subject_mark(other, erasure_id)) is (name == other)
    assert mark != subject_mark(name, erasure_id + "x")


@given(st.lists(st.tuples(st.integers(1, 9), NAMES), max_size=5), NAMES)
def test_a_record_says_what_its_event_is_read_as(entries: list[tuple[int, str]], name: str) -> None:
    fact = record_fact(
        ErasureRequest(name),
        erasure_id="e1",
        record_id="r1",
        reason="request 17",
        actor="officer",
        removed={"event_payloads": len(entries)},
        entries=entries,
    )
    assert fact.type in RESERVED_TYPES
    assert (fact.type == "payloads_erased") is bool(entries)
    record = ErasureRecord.from_payload("r1", fact.payload)
    assert record.entry_nos == tuple(entry_no for entry_no, _ in entries)
    assert record.removed == {"event_payloads": len(entries)}


def test_a_search_is_at_its_end_when_every_kind_is() -> None:
    assert not Place().is_end
    assert END.is_end
    assert not replace(END, memory_id="").is_end
    assert not replace(END, hypothesis_id="").is_end
    assert not replace(END, snapshot_id="").is_end
    assert not replace(END, entry_no=0).is_end
    assert not replace(END, streams=("profiles/ada",)).is_end
    assert replace(END, streams=("profiles/ada",), stream=1).is_end


def test_a_dry_run_counts_an_entry_once_however_it_is_found() -> None:
    tally = Tally(ErasureRequest("ada"), "e1", is_dry_run=True)
    entry = FoundEntry(7, "runs/r1", 3)
    for _ in range(2):
        tally.found(Targets(END, memory_ids=("m",), entries=(entry,)))
    report = tally.report(Scrub(is_done=False))
    assert report.removed == {"event_payloads": 1, "memories": 2}
    assert not report.is_empty


def test_streams_that_name_the_person_are_listed_and_others_are_not() -> None:
    request = ErasureRequest("ada/b", (SessionName("planner", "s1"),), ("journal/x",))
    assert set(request.own_streams()) == {"profiles/ada/b", "journal/x", "sessions/planner/s1"}
    tally = Tally(request, "e1", is_dry_run=False)
    streams = ("profiles/ada/b", "journal/x", "memories/planner/ada%2Fb", "memories/planner/bob")
    tally.found(
        Targets(replace(END, streams=streams), named_sessions=(SessionName("coach", "s2"),))
    )
    tally.erased(None)
    report = tally.report(Scrub(is_done=True))
    assert report.kept_streams == ("profiles/ada/b", "memories/planner/ada%2Fb")
    assert report.named_sessions == (SessionName("coach", "s2"),)
    assert report.is_empty
    assert report.to_dict()["named_sessions"][0]["agent_id"] == "coach"
