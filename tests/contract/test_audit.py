"""The audit trail: entries as they were appended, once, in every list that they belong to, and in every mode."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from io import BytesIO
from itertools import combinations
from typing import Any

import pytest

from aureus import ABSENT, AuditMode, Provenance
from aureus.errors import (
    AlreadyExists,
    Conflict,
    Forbidden,
    IntegrityFailure,
    Invalid,
    LimitExceeded,
    NotFound,
)
from aureus.ledger.audit_modes import FOLLOW_SECONDS
from aureus.ledger.exports import verify_export
from aureus.model.audit import AuditEntry
from aureus.model.audit_references import references_of
from aureus.model.differences import differences
from tests.contract.stage import Stage, fact
from tests.support.backends import Backend
from tests.support.consuming import seal

CAME = datetime(2026, 5, 1, 12, tzinfo=UTC)

PROVENANCE = Provenance("r1", "t1", "s1", "e0", CAME)


@pytest.fixture
def audit(stage: Stage) -> Any:
    return stage.stores.audit


def test_an_entry_comes_back_as_it_was_appended(stage: Stage, audit: Any) -> None:
    before = {"step": 1, "plan": ["a", "b"], "gone": None, "ü/~": ""}
    after = {"step": 1.0, "plan": ["a"], "new": 0, "ü/~": False}
    entry = audit.append(
        "planner", "plan.change", before=before, after=after, metadata={"why": "\u2028"}, provenance=PROVENANCE,
        source_event_ids=["e1", "e2"], resource="plans/1", correlation_id="c", outcome="partial",
    )  # fmt: skip
    assert (entry.actor, entry.action, entry.resource, entry.outcome) == (
        "planner", "plan.change", "plans/1", "partial",
    )  # fmt: skip
    assert (entry.before, entry.after, entry.metadata) == (before, after, {"why": "\u2028"})
    assert (entry.source_event_ids, entry.provenance) == (("e1", "e2"), PROVENANCE)
    assert (entry.stream, entry.version, entry.correlation_id) == ("audit/planner", 1, "c")
    assert (entry.occurred_at, entry.is_redacted) == (stage.backend.clock.now(), False)
    assert {(one.kind.value, one.pointer) for one in entry.diff} == {
        ("added", "/new"), ("removed", "/gone"), ("removed", "/plan/1"), ("changed", "/step"), ("changed", "/ü~1~0"),
    }  # fmt: skip
    assert set(map(repr, entry.diff)) == set(map(repr, differences(before, after)))
    assert audit.get(entry.event_id) == entry == audit.list().entries[0]
    assert entry.to_dict()["diff"][0] == {"kind": "added", "pointer": "/new", "after": 0}
    event = stage.stores.events.get(entry.event_id)
    assert (event.action, event.leaf_hash, event.entry_no) == (
        "plan.change", entry.leaf_hash, entry.entry_no,
    )  # fmt: skip


def test_absent_differs_from_null(audit: Any) -> None:
    values: dict[str, Any] = {"absent": ABSENT, "null": None, "zero": 0, "empty": {}}
    for one, before in values.items():
        for two, after in values.items():
            entry = audit.append("a", "x", before=before, after=after)
            found = audit.get(entry.event_id)
            assert (found.before is ABSENT, found.after is ABSENT) == (
                one == "absent",
                two == "absent",
            )
            assert (found.before, found.after) == (before, after)
            assert bool(found.diff) == (one != two)
            assert ("before" in found.to_dict()) == (one != "absent")
    assert audit.append("a", "x").to_dict().keys() & {"before", "after"} == set()


def test_an_entry_is_part_of_the_transaction_that_it_is_appended_in(stage: Stage) -> None:
    def work(fails: bool) -> None:
        with stage.backend.transaction("acme") as tx:
            tx.world_state.set("k", 1)
            tx.audit.append("ada", "state.set", before=ABSENT, after=1)
            if fails:
                tx.audit.append("ada", "state.set", after=float("nan"))

    with pytest.raises(Invalid, match=r"after is nan"):
        work(fails=True)
    assert (stage.stores.world_state.find("k"), stage.stores.audit.list().entries) == (None, ())
    work(fails=False)
    assert stage.stores.world_state.get("k").value == 1
    assert [entry.after for entry in stage.stores.audit.list().entries] == [1]


def test_a_repeated_append_returns_the_first_and_another_one_is_refused(
    stage: Stage, audit: Any
) -> None:
    given: dict[str, Any] = {
        "after": {"n": 1},
        "operation_id": "op",
        "provenance": PROVENANCE,
        "resource": "r",
    }
    first = audit.append("ada", "x", **given)
    stage.backend.clock.advance(60)
    assert audit.append("ada", "x", **given) == first
    with stage.backend.transaction("acme") as tx:
        assert tx.audit.append("ada", "x", **given) == first
    others: list[dict[str, Any]] = [
        {"after": {"n": 2}}, {"before": None}, {"outcome": "failure"}, {"resource": None}, {"metadata": {"m": 1}},
        {"correlation_id": "c"}, {"provenance": None}, {"source_event_ids": ["e"]},
    ]  # fmt: skip
    for other in others:
        with pytest.raises(AlreadyExists, match="another operation_id"):
            audit.append("ada", "x", **{**given, **other})
    for actor, action in (("ada", "y"), ("bob", "x")):
        with pytest.raises(AlreadyExists):
            audit.append(actor, action, **given)
    assert audit.list().entries == (first,)
    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(lambda _: audit.append("eve", "z", operation_id="race"), range(8)))
    assert {entry.entry_no for entry in told} == {told[0].entry_no}


def test_many_append_for_one_actor_at_once_and_lose_nothing(stage: Stage, audit: Any) -> None:
    with ThreadPoolExecutor(12) as pool:
        told = list(pool.map(lambda n: audit.append("ada", "x", after=n), range(60)))
    assert sorted(entry.version for entry in told) == list(range(1, 61))
    by_version = sorted(told, key=lambda entry: entry.version)
    assert [e.entry_no for e in by_version] == sorted(e.entry_no for e in by_version)
    assert stage.stores.events.stream_version("audit/ada") == 60


def seeded(stage: Stage) -> list[AuditEntry]:
    """Append entries of which every filter finds some and no two find the same; return them in their order."""
    audit = stage.stores.audit
    entries: list[AuditEntry] = []
    for n in range(40):
        if n % 3:
            stage.backend.clock.advance(1)
        entries.append(
            audit.append(
                f"actor-{n % 2}",
                f"action-{n % 3}",
                after=n,
                resource=f"resource-{n % 4}" if n % 5 else None,
                correlation_id=f"correlation-{n % 5}" if n % 4 else None,
                outcome="failure" if n % 7 == 0 else "success",
                provenance=Provenance(
                    f"run-{n % 3}", f"task-{n % 4}", f"step-{n % 5}", f"event-{n % 6}"
                )
                if n % 2
                else None,
                source_event_ids=[f"event-{n % 6}", f"event-{(n + 1) % 6}"] if n % 3 else [],
            )
        )
    return entries


FILTERS: dict[str, tuple[Any, Callable[[AuditEntry], bool]]] = {
    "actor": ("actor-1", lambda e: e.actor == "actor-1"),
    "action": ("action-2", lambda e: e.action == "action-2"),
    "resource": ("resource-3", lambda e: e.resource == "resource-3"),
    "outcome": ("failure", lambda e: e.outcome == "failure"),
    "correlation_id": ("correlation-1", lambda e: e.correlation_id == "correlation-1"),
    "run_id": ("run-1", lambda e: e.provenance is not None and e.provenance.run_id == "run-1"),
    "task_id": ("task-3", lambda e: e.provenance is not None and e.provenance.task_id == "task-3"),
    "step_id": ("step-2", lambda e: e.provenance is not None and e.provenance.step_id == "step-2"),
    "source_event_id": (
        "event-5",
        lambda e: (
            "event-5" in e.source_event_ids
            or (e.provenance is not None and e.provenance.source_event_id == "event-5")
        ),
    ),
}


def test_every_filter_finds_what_it_says_alone_and_together(stage: Stage) -> None:
    entries = seeded(stage)
    audit = stage.stores.audit
    middle = (entries[10].occurred_at, entries[30].occurred_at)
    wanted = (
        [(name,) for name in FILTERS] + list(combinations(FILTERS, 2)) + [tuple(FILTERS)[:4], ()]
    )
    for names in wanted:
        values = {name: FILTERS[name][0] for name in names}
        found = [e for e in entries if all(FILTERS[name][1](e) for name in names)]
        assert list(audit.list(**values).entries) == found, names
        assert list(audit.list(newest_first=True, **values).entries) == found[::-1], names
        timed = [e for e in found if middle[0] <= e.occurred_at < middle[1]]
        between = audit.list(since=middle[0], until=middle[1], **values)
        assert (list(between.entries), between.cursor) == (timed, None), names
    assert len({len(audit.list(**{name: FILTERS[name][0]}).entries) for name in FILTERS}) > 4
    assert (
        audit.list(actor="nobody")
        == audit.list(run_id="none")
        == audit.list(until=CAME.replace(year=2000))
    )


@pytest.mark.parametrize("newest_first", [False, True])
def test_pages_join_without_gap_or_repetition(stage: Stage, newest_first: bool) -> None:
    entries = seeded(stage)[:: -1 if newest_first else 1]
    audit = stage.stores.audit
    since, until = sorted((entries[3].occurred_at, entries[-3].occurred_at))
    choices: list[dict[str, Any]] = [
        {}, {"actor": "actor-0"}, {"run_id": "run-1"}, {"since": since, "until": until}, {"outcome": "failure"},
        {"actor": "actor-1", "action": "action-1", "since": since},
    ]  # fmt: skip
    for filters in choices:
        all_of_them = list(audit.list(newest_first=newest_first, **filters).entries)
        told: list[AuditEntry] = []
        cursor = None
        while cursor is not None or not told:
            page = audit.list(newest_first=newest_first, cursor=cursor, limit=3, **filters)
            assert len(page.entries) <= 3
            told += page.entries
            cursor = page.cursor
            if cursor is None:
                break
        assert told == all_of_them
        if not filters:
            assert told == entries


def test_a_rare_entry_is_found_page_by_page_among_many(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aureus.stores.audit.finding.SCAN_MAX", 10)
    audit = stage.stores.audit
    for n in range(45):
        audit.append("ada", "rare" if n in {3, 31, 44} else "common", after=n, outcome="odd")
    page = audit.list(outcome="odd", action="rare", actor="ada", limit=2)
    counts = [len(page.entries)]
    found = [entry.after for entry in page.entries]
    while page.cursor is not None:
        page = audit.list(outcome="odd", action="rare", actor="ada", limit=2, cursor=page.cursor)
        counts.append(len(page.entries))
        found += [entry.after for entry in page.entries]
    assert (found, sum(counts)) == ([3, 31, 44], 3)
    assert 0 in counts


def test_a_walk_reads_all_pages(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aureus.stores.audit.WALK_PAGE", 7)
    entries = seeded(stage)
    walk = stage.stores.audit.walk
    if hasattr(walk(), "__next__"):
        assert list(walk()) == entries
        assert list(walk(newest_first=True, actor="actor-1")) == entries[1::2][::-1]


def test_events_of_stores_are_found_by_the_run_and_task_that_they_name(stage: Stage) -> None:
    audit = stage.stores.audit
    audit.set_mode(AuditMode.ALL, actor="ada")
    stage.start("r1", facts=[fact("r1", "WORKFLOW_STARTED"), fact("r1", "TASK_STARTED", "read")])
    stage.start("r2", facts=[fact("r2", "WORKFLOW_STARTED"), fact("r2", "TASK_STARTED", "read")])
    mine = audit.append("ada", "look", provenance=Provenance("r1"))
    assert [entry.type for entry in audit.list(run_id="r1").entries] == [
        "WORKFLOW_STARTED", "TASK_STARTED", "audit_entry",
    ]  # fmt: skip
    assert [entry.details["runId"] for entry in audit.list(task_id="read").entries] == ["r1", "r2"]
    assert len(audit.list(task_id="read", run_id="r2").entries) == 1
    assert audit.list(run_id="r1", actor="ada").entries == (mine,)
    entry = audit.list(run_id="r2").entries[1]
    assert (entry.before, entry.diff, entry.details["taskId"]) == (ABSENT, (), "read")


def test_references_are_what_the_payload_says(stage: Stage) -> None:
    entries = seeded(stage)
    with stage.backend.transaction("acme") as tx:
        rows = tx.execute(f"SELECT entry_no, kind, value FROM {stage.table('audit_references')}")
    stored: dict[int, set[tuple[str, str]]] = {}
    for number, kind, value in rows:
        stored.setdefault(number, set()).add((kind, value))
    for entry in entries:
        payload = stage.stores.events.get(entry.event_id).payload
        assert stored.pop(entry.entry_no, set()) == set(references_of(payload))
    assert stored == {}


def test_what_is_written_can_be_neither_changed_nor_removed(stage: Stage) -> None:
    seeded(stage)
    for change in ("UPDATE {} SET entry_no = entry_no", "DELETE FROM {}"):
        with (
            pytest.raises((IntegrityFailure, Forbidden)),
            stage.backend.transaction("acme") as tx,
        ):
            tx.execute(change.format(stage.table("audit_references")))


def test_a_mode_says_what_is_recorded_and_its_change_always_is(stage: Stage, audit: Any) -> None:
    world = stage.stores.world_state

    def changed(key: str) -> list[str]:
        world.set(key, 1)
        world.delete(key)
        audit.append("ada", "look", resource=key)
        return [
            entry.action for entry in audit.list().entries if (entry.resource or "").endswith(key)
        ]

    assert audit.get_mode().to_dict() == {
        "mode": "decisions", "is_default": True, "changed_by": None, "changed_at": None,
    }  # fmt: skip
    assert changed("decisions") == ["world-state.delete", "look"]
    for mode, actions in (
        ("off", ["look"]),
        ("all", ["world-state.set", "world-state.delete", "look"]),
        (AuditMode.DECISIONS, ["world-state.delete", "look"]),
        (None, ["world-state.delete", "look"]),
    ):
        stage.backend.clock.advance(1)
        set_mode = audit.set_mode(mode, actor="root")
        assert audit.get_mode() == set_mode
        assert (set_mode.mode, set_mode.is_default) == (mode or "decisions", mode is None)
        assert (set_mode.changed_by, set_mode.changed_at) == ("root", stage.backend.clock.now())
        assert changed(f"under {mode!r}") == actions
    changes = audit.list(action="audit.set-mode").entries
    assert [(entry.before["mode"], entry.after["mode"]) for entry in changes] == [
        (None, "off"), ("off", "all"), ("all", "decisions"), ("decisions", None),
    ]  # fmt: skip
    assert {(entry.actor, entry.resource, entry.stream) for entry in changes} == {
        ("root", "audit/mode", "audit")
    }


def test_a_repeated_change_of_the_mode_happens_once(audit: Any) -> None:
    first = audit.set_mode("all", actor="ada", operation_id="op")
    assert audit.set_mode("all", actor="ada", operation_id="op") == first
    assert len(audit.list().entries) == 1
    audit.set_mode("all", actor="ada")
    assert len(audit.list().entries) == 2
    for wrong in ("", "some", 1):
        with pytest.raises(Invalid, match="one of decisions, all, off"):
            audit.set_mode(wrong, actor="ada")
    with ThreadPoolExecutor(6) as pool:
        told = list(
            pool.map(lambda _: attempt(lambda: audit.set_mode("off", actor="ada")), range(6))
        )
    winners = [one for one in told if not isinstance(one, Conflict)]
    assert winners
    assert len(audit.list(action="audit.set-mode").entries) == 2 + len(winners)


def attempt(work: Callable[[], Any]) -> Any:
    """Return what a call returns, or the conflict that it raises."""
    try:
        return work()
    except Conflict as conflict:
        return conflict


def test_a_mode_belongs_to_one_tenant(stage: Stage, another_stage: Callable[[str], Stage]) -> None:
    other = another_stage("other")
    stage.stores.audit.set_mode("all", actor="ada")
    for one, count in ((stage, 2), (other, 0)):
        one.stores.world_state.set("k", 1)
        assert len(one.stores.audit.list().entries) == count
    mine = stage.stores.audit.list().entries[0]
    with pytest.raises(NotFound):
        other.stores.audit.get(mine.event_id)
    assert other.stores.audit.get_mode().is_default


def test_a_transaction_keeps_the_mode_that_it_began_with(stage: Stage) -> None:
    with stage.backend.transaction("acme") as tx:
        tx.audit.set_mode("all", actor="ada")
        stage.backend.clock.advance(FOLLOW_SECONDS)
        tx.world_state.set("k", 1)
    stage.stores.world_state.set("l", 1)
    with stage.backend.transaction("acme") as tx:
        tx.world_state.set("m", 1)
    resources = [entry.resource for entry in stage.stores.audit.list().entries]
    assert resources == ["audit/mode", "world_state/default/l", "world_state/default/m"]


def test_a_mode_that_was_rolled_back_is_not_followed(stage: Stage) -> None:
    def work() -> None:
        with stage.backend.transaction("acme") as tx:
            tx.audit.set_mode("all", actor="ada")
            tx.world_state.set("", 1)

    with pytest.raises(Invalid):
        work()
    stage.stores.world_state.set("k", 1)
    assert stage.stores.audit.list().entries == ()


def test_another_client_follows_within_its_time(stage: Stage) -> None:
    backend = stage.backend
    if not str(backend.settings.database.url).startswith("sqlite://"):
        other = Backend(backend.settings, is_async=False, clock=backend.clock)
    else:
        other = backend
    world = other.tenant("acme").world_state
    world.set("k", 0)
    stage.stores.audit.set_mode("all", actor="ada")
    world.set("k", 1)
    backend.clock.advance(FOLLOW_SECONDS)
    world.set("k", 2)
    actions = [entry.action for entry in stage.stores.audit.list().entries]
    assert actions[0] == "audit.set-mode"
    assert actions[1:] == ["world-state.set"] * (1 if other is not backend else 2)
    if other is not backend:
        other.close()


def test_what_cannot_be_recorded_is_refused(audit: Any) -> None:
    refused: list[tuple[type[Exception], Callable[[], Any]]] = [
        (Invalid, lambda: audit.append("", "x")),
        (Invalid, lambda: audit.append("a", "")),
        (Invalid, lambda: audit.append("a\x00", "x")),
        (Invalid, lambda: audit.append("a", "x", outcome="")),
        (Invalid, lambda: audit.append("a", "x", resource="")),
        (Invalid, lambda: audit.append("a", "x", operation_id="")),
        (Invalid, lambda: audit.append("a", "x", before=object())),
        (Invalid, lambda: audit.append("a", "x", after={"a": [float("inf")]})),
        (Invalid, lambda: audit.append("a", "x", metadata={"a": "\ud800"})),
        (Invalid, lambda: audit.append("a", "x", source_event_ids="e1")),
        (Invalid, lambda: audit.append("a", "x", source_event_ids=[""])),
        (Invalid, lambda: audit.append("a", "x", provenance=Provenance(run_id=""))),
        (Invalid, lambda: audit.append("a", "x", provenance=Provenance(occurred_at=datetime(2026, 1, 1)))),  # noqa: DTZ001 - that is what is refused
        (LimitExceeded, lambda: audit.append("a" * 201, "x")),
        (LimitExceeded, lambda: audit.append("a", "x" * 201)),
        (LimitExceeded, lambda: audit.append("a", "x", resource="r" * 501)),
        (LimitExceeded, lambda: audit.append("a", "x", source_event_ids=["e"] * 201)),
        (LimitExceeded, lambda: audit.append("a", "x", before="b" * 2**22, after="a")),
        (Invalid, lambda: audit.list(cursor="nonsense")),
        (Invalid, lambda: audit.list(since=datetime(2026, 1, 1))),  # noqa: DTZ001 - that is what is refused
        (Invalid, lambda: audit.list(color="red")),
        (Invalid, lambda: audit.list(actor="")),
        (NotFound, lambda: audit.get("nothing")),
    ]  # fmt: skip
    for error, work in refused:
        with pytest.raises(error):
            work()
    assert audit.list().entries == ()


def test_the_longest_names_are_recorded_and_found(audit: Any) -> None:
    long = "ü" * 200
    entry = audit.append(
        long, long, resource="ü" * 500, correlation_id=long, outcome=long, operation_id=long,
        provenance=Provenance(long, long, long, long),
    )  # fmt: skip
    for name in (
        "actor",
        "action",
        "correlation_id",
        "outcome",
        "run_id",
        "task_id",
        "step_id",
        "source_event_id",
    ):
        assert audit.list(**{name: long}).entries == (entry,)
    assert audit.list(resource="ü" * 500).entries == (entry,)


def test_an_event_without_an_action_is_no_entry(stage: Stage, audit: Any) -> None:
    event = stage.stores.events.append("s", "t", {"runId": "r1"})
    with pytest.raises(NotFound):
        audit.get(event.event_id)
    assert audit.list().entries == audit.list(run_id="r1").entries == ()


def test_the_time_of_an_entry_is_that_of_who_wrote_it(stage: Stage, audit: Any) -> None:
    late = audit.append("a", "late")
    stage.backend.clock.advance(-3600)
    early = audit.append("a", "early")
    assert audit.list().entries == (early, late)
    assert early.entry_no > late.entry_no
    half = late.occurred_at - timedelta(minutes=30)
    assert audit.list(since=half).entries == (late,)
    assert audit.list(until=half).entries == (early,)


def test_what_was_appended_verifies_with_and_without_what_may_be_left_out(
    stage: Stage, audit: Any
) -> None:
    """The example that another audit log failed: nothing but actor, action and states."""
    given: list[dict[str, Any]] = [
        {}, {"before": None, "after": {"a": [1, None, ""]}}, {"metadata": {}}, {"metadata": {"m": None}},
        {"source_event_ids": ["e"]}, {"provenance": PROVENANCE}, {"provenance": Provenance()},
        {"after": {"text": 'ünï\u2028 \\ "q"', "big": 2**63 - 1, "small": -0.0, "e": 1e-7}},
    ]  # fmt: skip
    entries = [audit.append("agent", "act", **options) for options in given]
    for entry in entries:
        assert audit.verify_entry(entry.event_id).findings == ()
    seal(stage)
    late = audit.append("agent", "act")
    listed = {entry.event_id: entry.position for entry in audit.list(actor="agent").entries}
    assert late.event_id in listed
    for entry in entries:
        found = audit.verify_entry(entry.event_id)
        assert found.is_intact
        assert audit.get(entry.event_id).position == listed[entry.event_id] == found.position
        assert found.position is not None
        assert found.to_dict()["is_intact"]
    assert audit.verify_all().is_intact
    seal(stage)
    assert audit.verify_range(1).entry_count == len(stage.stores.events.list(limit=100).events) - 1


def test_an_export_holds_what_the_filters_let_through(audit: Any) -> None:
    for number in range(4):
        audit.append("ada" if number % 2 else "bob", "x", after=number)
    lines = BytesIO()
    proof = audit.export(lines, actor="ada")
    assert verify_export(BytesIO(lines.getvalue()), proof).entry_count == 2
    with pytest.raises(Invalid, match="takes no filters"):
        audit.export(BytesIO(), whole=True, actor="ada")
