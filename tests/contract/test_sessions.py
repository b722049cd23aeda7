"""Sessions: the document and its versions, the history, the end of a session, and finding them again."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from aureus.errors import Conflict, Invalid, LimitExceeded, NotFound, VersionConflict
from aureus.model.sessions import AdoptedMessage, AdoptedSession, Appended, MessageDraft
from tests.contract.stage import Stage

NEVER = datetime(2999, 1, 1, tzinfo=UTC)


@pytest.fixture
def sessions(stage: Stage) -> Any:
    """Give the sessions of one tenant."""
    return stage.stores.sessions


def types(stage: Stage, stream: str) -> list[str]:
    """Return the types of a stream's events."""
    return [event.type for event in stage.stores.events.read_stream(stream)]


def test_a_saved_session_is_loaded_as_it_was_returned(stage: Stage, sessions: Any) -> None:
    state = {"step": 1, "zero": 0, "empty": "", "no": False, "nothing": None, "ü": [1.5, 2**62]}
    now = stage.backend.clock.now()
    saved = sessions.save("planner", "s1", state, context={"user": "ada"})
    assert (saved.version, saved.state, saved.context) == (1, state, {"user": "ada"})
    assert (saved.created_at, saved.updated_at, saved.message_count) == (now, now, 0)
    assert sessions.load("planner", "s1") == saved == sessions.find("planner", "s1")

    stage.backend.clock.advance(5)
    again = sessions.save("planner", "s1", [1], expected_version=1)
    assert again == replace(saved, version=2, state=[1], updated_at=stage.backend.clock.now())
    assert sessions.load("planner", "s1") == again, "a save without a context keeps it"
    assert sessions.save("planner", "s1", 0, context={}).context == {}
    assert sessions.load("planner", "s1").state == 0
    assert types(stage, "sessions/planner/s1") == ["session_saved"] * 3


def test_a_stale_save_is_refused_and_changes_nothing(stage: Stage, sessions: Any) -> None:
    first = sessions.save("planner", "s1", {"n": 1}, expected_version=0)
    second = sessions.save("planner", "s1", {"n": 2}, expected_version=first.version)
    for expected in (0, 1, 3):
        with pytest.raises(VersionConflict) as caught:
            sessions.save("planner", "s1", {"n": 3}, expected_version=expected)
        assert (caught.value.expected_version, caught.value.actual_version) == (expected, 2)
    with pytest.raises(VersionConflict, match="is not there"):
        sessions.save("planner", "s2", {}, expected_version=4)
    assert sessions.load("planner", "s1") == second
    assert len(types(stage, "sessions/planner/s1")) == 2


def test_of_many_saves_of_one_version_exactly_one_wins(sessions: Any) -> None:
    sessions.save("planner", "s1", 0)

    def save(number: int) -> bool:
        try:
            sessions.save("planner", "s1", number, expected_version=1)
        except VersionConflict:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(save, range(16))) == 1
        list(pool.map(lambda number: sessions.save("planner", "s1", number), range(16)))
    assert sessions.load("planner", "s1").version == 18


def test_a_repeated_write_is_answered_and_not_done_again(stage: Stage, sessions: Any) -> None:
    saved = sessions.save("planner", "s1", {"n": 1}, operation_id="save")
    assert sessions.save("planner", "s1", {"n": 1}, operation_id="save") == saved
    appended = sessions.append("planner", "s1", "user", "hi", operation_id="turn")
    assert sessions.save("planner", "s1", {"n": 1}, operation_id="save").version == 2
    sessions.append("planner", "s1", "agent", "hello")
    assert sessions.append("planner", "s1", "user", "hi", operation_id="turn") == appended
    assert [message.content for message in sessions.history("planner", "s1")] == ["hi", "hello"]
    ended = sessions.set_expiry("planner", "s1", ttl_seconds=60, operation_id="end")
    assert sessions.set_expiry("planner", "s1", ttl_seconds=60, operation_id="end") == ended
    emptied = sessions.reset("planner", "s1", operation_id="reset")
    assert sessions.reset("planner", "s1", operation_id="reset") == emptied
    for _ in range(2):
        assert sessions.delete("planner", "s1", operation_id="delete")
    sessions.save("planner", "s2", 0)
    for _ in range(2):
        assert sessions.delete_agent("planner", operation_id="all") == 1
    assert types(stage, "sessions/planner/s1") == [
        "session_saved", "session_appended", "session_appended", "session_expiry_set", "session_reset",
        "session_deleted",
    ]  # fmt: skip
    assert types(stage, "sessions/planner") == ["sessions_deleted"]
    entries = stage.stores.audit.list().entries
    assert [entry.action for entry in entries] == [
        "session.reset", "session.delete", "session.delete-all",
    ]  # fmt: skip


def test_what_is_written_late_to_a_deleted_session_is_refused(sessions: Any) -> None:
    sessions.save("planner", "s1", {"secret": 1}, context={"a": 1})
    sessions.append("planner", "s1", "user", "hi")
    with pytest.raises(VersionConflict):
        sessions.delete("planner", "s1", expected_version=1)
    assert sessions.delete("planner", "s1", expected_version=2)
    assert not sessions.delete("planner", "s1")
    assert sessions.find("planner", "s1") is None
    assert sessions.history("planner", "s1") == []
    assert (sessions.count(), list(sessions.list("planner"))) == (0, [])
    with pytest.raises(NotFound, match="there is no session planner/s1"):
        sessions.load("planner", "s1")
    with pytest.raises(VersionConflict) as caught:
        sessions.save("planner", "s1", {}, expected_version=2)
    assert caught.value.actual_version == 0
    lates: list[Callable[[], Any]] = [
        lambda: sessions.append("planner", "s1", "user", "late"),
        lambda: sessions.reset("planner", "s1"),
        lambda: sessions.set_expiry("planner", "s1"),
    ]
    for late in lates:
        with pytest.raises(NotFound, match="was deleted or has expired"):
            late()

    anew = sessions.save("planner", "s1", {"n": 1}, expected_version=0)
    assert (anew.version, anew.context, anew.message_count) == (4, {}, 0)
    assert sessions.append("planner", "s1", "user", "new").first_position == 1
    assert [message.content for message in sessions.history("planner", "s1")] == ["new"]


def test_a_history_is_read_from_either_end_in_pages(stage: Stage, sessions: Any) -> None:
    assert sessions.append("planner", "s1", "user", {"t": 0}) == Appended(1, 1, 1)
    drafts: list[Any] = [
        {"role": "agent", "content": n, "metadata": {"n": n}} for n in range(2, 40)
    ]
    assert sessions.append_many("planner", "s1", [*drafts, MessageDraft("tool", None)]) == (
        Appended(2, 2, 40)
    )
    session = sessions.load("planner", "s1")
    assert (session.state, session.version, session.message_count) == ({}, 2, 40)
    everything = sessions.history("planner", "s1", limit=1000)
    assert [message.position for message in everything] == list(range(1, 41))
    first, second, last = everything[0], everything[1], everything[-1]
    assert (first.role, first.content, first.metadata, first.version) == ("user", {"t": 0}, {}, 1)
    assert (second.content, second.metadata, second.version) == (2, {"n": 2}, 2)
    assert (last.role, last.content, last.created_at) == ("tool", None, stage.backend.clock.now())

    assert sessions.history("planner", "s1", after_position=38) == everything[38:]
    assert sessions.history("planner", "s1", from_end=True, limit=3) == everything[-3:]
    page = sessions.history("planner", "s1", from_end=True, before_position=38, limit=2)
    assert page == everything[35:37]
    between = sessions.history("planner", "s1", after_position=4, before_position=8)
    assert between == everything[4:7]

    sessions.save("planner", "s1", {"n": 1}, context={"k": 1})
    emptied = sessions.reset("planner", "s1")
    assert (emptied.state, emptied.context, emptied.message_count) == ({}, {}, 0)
    assert sessions.load("planner", "s1") == emptied
    assert sessions.history("planner", "s1") == []
    assert sessions.append("planner", "s1", "user", "again").first_position == 1


def test_concurrent_appends_leave_neither_gaps_nor_doubles(sessions: Any) -> None:
    def append(number: int) -> Appended:
        pair = [{"role": "a", "content": number}, {"role": "b", "content": number}]
        return sessions.append_many("planner", "s1", pair)  # type: ignore[no-any-return]  # any backend

    with ThreadPoolExecutor(8) as pool:
        appended = list(pool.map(append, range(24)))
    assert sorted(one.first_position for one in appended) == list(range(1, 48, 2))
    assert sorted(one.version for one in appended) == list(range(1, 25))
    history = sessions.history("planner", "s1", limit=1000)
    assert [message.position for message in history] == list(range(1, 49))
    for one in appended:
        pair = history[one.first_position - 1 : one.last_position]
        assert [message.role for message in pair] == ["a", "b"]
        assert pair[0].content == pair[1].content
    with pytest.raises(VersionConflict):
        sessions.append("planner", "s1", "a", 1, expected_version=23)
    assert sessions.append("planner", "s1", "a", 1, expected_version=24).version == 25


def test_an_expired_session_is_gone_at_once_and_swept_later(stage: Stage, sessions: Any) -> None:
    clock = stage.backend.clock
    sessions.save("planner", "sliding", {"n": 1}, ttl_seconds=10, context={"k": 1})
    sessions.save("planner", "fixed", {}, expires_at=clock.now() + timedelta(seconds=15))
    sessions.collection("coach").save("planner", "other", {}, ttl_seconds=10)
    clock.advance(6)
    assert sessions.append("planner", "sliding", "user", "hi").version == 2
    assert sessions.save("planner", "fixed", {}).expires_at == clock.now() + timedelta(seconds=9)
    clock.advance(9)
    assert sessions.find("planner", "fixed") is None
    assert sessions.load("planner", "sliding").ttl_seconds == 10
    assert [found.session_id for found in sessions.list("planner")] == ["sliding"]
    assert [agent.session_count for agent in sessions.list_agents()] == [1]
    assert (sessions.count(), sessions.count("planner")) == (1, 1)
    with pytest.raises(NotFound, match="expired"):
        sessions.append("planner", "fixed", "user", "late")

    clock.advance(1)
    assert sessions.history("planner", "sliding") == []
    assert sessions.find_containing({"n": 1}) == ()
    anew = sessions.save("planner", "sliding", {"n": 2})
    assert (anew.version, anew.context, anew.expires_at) == (3, {}, None)
    assert anew.created_at == clock.now()
    assert sessions.history("planner", "sliding") == []
    assert [sessions.sweep_expired(limit=1) for _ in range(3)] == [1, 1, 0]
    assert types(stage, "sessions") == ["sessions_expired"] * 2
    assert sessions.save("planner", "fixed", {}).version == 4

    sessions.delete("planner", "fixed")
    assert sessions.prune_deleted(before=clock.now()) == 0
    clock.advance(1)
    assert sessions.prune_deleted(before=clock.now()) == 2
    assert sessions.save("planner", "fixed", {}).version == 1
    kept = sessions.set_expiry("planner", "fixed", ttl_seconds=5)
    assert kept.expires_at == clock.now() + timedelta(seconds=5)
    assert sessions.set_expiry("planner", "fixed").expires_at is None


def test_sessions_are_listed_newest_update_first_in_pages(stage: Stage, sessions: Any) -> None:
    for number in range(7):
        stage.backend.clock.advance(number % 2)
        sessions.save("planner", f"s{number}", {"n": number})
    sessions.save("writer", "s1", {})
    stage.backend.clock.advance(1)
    sessions.append("planner", "s2", "user", "hi")
    names = [found.session_id for found in sessions.list("planner")]
    assert names == ["s2", "s6", "s5", "s4", "s3", "s1", "s0"]
    paged: list[str] = []
    before = None
    while page := sessions.list("planner", before=before, limit=2):
        paged += [found.session_id for found in page]
        before = (page[-1].updated_at, page[-1].session_id)
    assert paged == names
    agents = sessions.list_agents()
    assert [(agent.agent_id, agent.session_count) for agent in agents] == [
        ("planner", 7),
        ("writer", 1),
    ]
    assert agents[0].updated_at == stage.backend.clock.now()
    assert list(sessions.list_agents(after_agent_id="planner", limit=1)) == agents[1:]
    assert (sessions.count(), sessions.count("planner"), sessions.count("nobody")) == (8, 7, 0)
    assert (sessions.delete_agent("planner"), sessions.count()) == (7, 1)
    assert sessions.delete_agent("planner") == 0


STATES: list[Any] = [
    {"a": {"b": 1, "c": [1, 2]}, "tags": ["x", "y"], "n": 1.0},
    {"a": {"b": 2}, "tags": [["x"]], "n": 1},
    {"a": {"b": 1}, "list": [{"p": 1, "q": 2}, {"p": 2, "q": 1}], "no": None, "yes": True},
    {"a": [{"b": 1}], "yes": 1, "long": "ü" * 200},
    [1, "x", {"a": {"b": 1}}],
    "x",
    {},
]

QUERIES: dict[str, tuple[Any, list[int]]] = {
    "nested": ({"a": {"b": 1}}, [0, 2]),
    "two facets": ({"a": {"b": 1}, "tags": ["y"]}, [0]),
    "a list in any order": ({"a": {"c": [2, 1, 1]}}, [0]),
    "numbers by value": ({"n": 1}, [0, 1]),
    "truth is no number": ({"yes": True}, [2]),
    "nothing is a value": ({"no": None}, [2]),
    "objects in lists": ({"list": [{"q": 2}]}, [2]),
    "of one item": ({"list": [{"p": 1, "q": 1}]}, []),
    "long text": ({"long": "ü" * 200}, [3]),
    "another long text": ({"long": "ü" * 199}, []),
    "a list": ([{"a": {}}, 1], [4]),
    "a scalar": ("x", [5]),
    "an empty object": ({}, [0, 1, 2, 3, 6]),
    "an empty list": ({"tags": []}, [0, 1]),
}


def test_sessions_are_found_by_what_their_states_contain(sessions: Any) -> None:
    coach = sessions.collection("coach")

    def found(wanted: Any, **more: Any) -> list[int]:
        page = coach.find_containing(wanted, **more)
        assert all(session == coach.load(session.agent_id, session.session_id) for session in page)
        return [int(session.session_id) for session in page]

    def check() -> None:
        for name, (wanted, numbers) in QUERIES.items():
            assert sorted(found(wanted)) == numbers, name

    for number, state in enumerate(STATES[:4]):
        coach.save(f"agent{number % 2}", str(number), state)
    assert not coach.index_states().is_ready
    for number, state in enumerate(STATES[4:], 4):
        coach.save(f"agent{number % 2}", str(number), state)
    check()
    progress = coach.index_states(limit=5)
    assert (progress.is_ready, progress.session_count) == (False, 5)
    check()
    assert coach.index_states(limit=5).is_ready
    assert coach.index_states().session_count == 0
    check()
    assert found({"a": {}}, agent_id="agent1") == [1]
    assert found({}, limit=2) == [0, 2]
    assert found({}, after=("agent0", "2"), limit=2) == [6, 1]
    assert found({"n": 1}, after=("agent0", "9")) == [1]

    coach.save("agent0", "0", {"n": 3})
    assert (found({"n": 1}), found({"n": 3}), found({"tags": ["y"]})) == ([1], [0], [])
    coach.reset("agent0", "0")
    coach.delete("agent1", "1")
    assert (found({"n": 3}), found({"n": 1})) == ([], [])
    assert sessions.find_containing({"a": {}}) == ()
    coach.drop_index()
    coach.save("agent0", "0", {"n": 4})
    assert found({"n": 4}) == [0]


def test_no_facet_outlives_the_state_it_was_taken_from(stage: Stage, sessions: Any) -> None:
    clock = stage.backend.clock

    def facets() -> list[str]:
        with stage.backend.transaction(stage.tenant) as tx:
            rows = tx.execute(f"SELECT facet FROM {stage.table('session_facets')} ORDER BY facet")
        return [row[0] for row in rows]

    while not sessions.index_states().is_ready:
        pass
    sessions.save("planner", "s1", {"a": "x", "n": None}, ttl_seconds=5)
    assert facets() == ['"x@.a', "null@.n"]
    sessions.save("planner", "s1", {"a": "y", "n": None})
    assert facets() == ['"y@.a', "null@.n"]
    clock.advance(6)
    sessions.save("planner", "s1", {"b": True}, ttl_seconds=5)
    assert facets() == ["true@.b"]
    clock.advance(6)
    assert sessions.sweep_expired() == 1
    assert facets() == []
    with stage.backend.transaction(stage.tenant) as tx:
        for table in ("session_states", "session_messages"):
            assert tx.execute(f"SELECT count(*) FROM {stage.table(table)}")[0][0] == 0


def test_racing_writers_leave_a_history_that_agrees_with_its_session(
    stage: Stage, sessions: Any
) -> None:
    """Appends wait for resets and deletions, and the other way round: nothing of an ended life may stay behind."""
    works: list[Callable[[], Any]] = [
        lambda: sessions.append("planner", "s1", "user", "x"),
        lambda: sessions.append_many("planner", "s1", [{"role": "a", "content": 1}] * 3),
        lambda: sessions.reset("planner", "s1"),
        lambda: sessions.delete("planner", "s1"),
        lambda: sessions.save("planner", "s1", {"n": 1}),
    ]

    def work(number: int) -> None:
        with suppress(NotFound, Conflict):  # revived between the refusal and the look at it
            works[number * 7 % 5]()

    sessions.save("planner", "s1", {})
    for end in (works[4], works[3]):
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(40)))
        end()
        session = sessions.find("planner", "s1")
        count = 0 if session is None else session.message_count
        with stage.backend.transaction(stage.tenant) as tx:
            rows = tx.execute(
                f"SELECT position FROM {stage.table('session_messages')} ORDER BY position"
            )
            states = tx.execute(f"SELECT count(*) FROM {stage.table('session_states')}")
        assert [row[0] for row in rows] == list(range(1, count + 1))
        assert states[0][0] == (session is not None)


def test_collections_and_tenants_know_nothing_of_each_other(
    stage: Stage, another_stage: Callable[[str], Stage]
) -> None:
    others = [stage.stores.sessions.collection("coach"), another_stage("other").stores.sessions]
    mine = stage.stores.sessions
    mine.save("planner", "s1", "mine")
    for number, other in enumerate(others):
        assert other.find("planner", "s1") is None
        other.save("planner", "s1", number, expected_version=0)
        other.append("planner", "s1", "user", number)
        assert [message.content for message in other.history("planner", "s1")] == [number]
        assert other.delete_agent("planner") == 1
    session = mine.load("planner", "s1")
    assert (session.state, session.version, session.message_count) == ("mine", 1, 0)
    assert types(stage, "sessions:coach/planner/s1") == ["session_saved", "session_appended"]
    for name in ("x; DROP TABLE sessions", 'x"', "", "1x", "a.b", "ü", "x" * 64):
        with pytest.raises(Invalid, match="no name for a collection"):
            mine.collection(name)


def test_what_cannot_be_stored_is_refused_before_anything_is(sessions: Any) -> None:
    for name in ("", "a\x00", "\ud800"):
        with pytest.raises(Invalid):
            sessions.save(name, "s1", {})
        with pytest.raises(Invalid):
            sessions.load("planner", name)
    refused: list[Callable[[], Any]] = [
        lambda: sessions.save("planner", "s1", {"a": float("nan")}),
        lambda: sessions.save("planner", "s1", {}, context={"a": "\x00"}),
        lambda: sessions.save("planner", "s1", {}, ttl_seconds=0),
        lambda: sessions.save("planner", "s1", {}, ttl_seconds=1, expires_at=NEVER),
        lambda: sessions.save("planner", "s1", {}, expires_at=datetime(2030, 1, 1)),  # noqa: DTZ001 - what is refused
        lambda: sessions.save("planner", "s1", {}, expires_at=NEVER.replace(year=1970)),
        lambda: sessions.save("planner", "s1", {}, operation_id=""),
        lambda: sessions.append("planner", "s1", "a\x00", 1),
        lambda: sessions.append_many("planner", "s1", [{"role": "a"}]),
        lambda: sessions.append_many("planner", "s1", [{"role": "a", "content": 1, "id": 1}]),
    ]
    for attempt in refused:
        with pytest.raises(Invalid):
            attempt()
    for attempt in (
        lambda: sessions.save("x" * 513, "s1", {}),
        lambda: sessions.append("planner", "s1", "r" * 65, 1),
        lambda: sessions.append_many("planner", "s1", []),
        lambda: sessions.append_many("planner", "s1", [MessageDraft("a", 1)] * 1001),
    ):
        with pytest.raises(LimitExceeded):
            attempt()
    assert sessions.count() == 0


def test_names_and_texts_of_every_kind_come_back(sessions: Any) -> None:
    names = ["a/b", "a%2Fb", "ü\n", "'; --", "x" * 512, "😀" * 128]
    for name in names:
        sessions.save(name, name, {name: name})
        sessions.append(name, name, "user", name)
        assert sessions.load(name, name).state == {name: name}
        assert sessions.history(name, name)[0].content == name
    assert [agent.agent_id for agent in sessions.list_agents()] == sorted(names)


def test_a_transaction_spans_sessions_and_the_callers_own_rows(stage: Stage, sessions: Any) -> None:
    sessions.save("planner", "s1", {"n": 1})
    with suppress(VersionConflict), stage.backend.transaction(stage.tenant) as tx:
        tx.sessions.save("planner", "s1", {"n": 2})
        tx.sessions.append("planner", "s1", "user", "hi")
        assert tx.sessions.load("planner", "s1").version == 3
        tx.sessions.save("planner", "s1", {"n": 3}, expected_version=1)
    assert sessions.load("planner", "s1").version == 1
    with stage.backend.transaction(stage.tenant) as tx:
        tx.sessions.save("planner", "s1", {"n": 2}, expected_version=1)
        with pytest.raises(VersionConflict):
            tx.sessions.save("planner", "s1", {"n": 3}, expected_version=1)
        tx.world_state.set("k", 1)
    assert sessions.load("planner", "s1").state == {"n": 2}
    assert stage.stores.world_state.get("k").value == 1


def test_adopted_sessions_keep_their_times_and_are_taken_once(stage: Stage, sessions: Any) -> None:
    created, updated = (
        datetime(2024, 5, 1, tzinfo=UTC),
        datetime(2024, 5, 2, 0, 0, 1, 7, tzinfo=UTC),
    )
    message = AdoptedMessage("user", {"text": "hi"}, {"k": 1}, created)
    given = [
        AdoptedSession("planner", "s1", 7, {"n": 1}, {"c": 1}, created, updated, [message] * 2),
        AdoptedSession("planner", "s2", 0, "x", {}, created, updated),
    ]
    while not sessions.index_states().is_ready:
        pass
    assert sorted(sessions.adopt(given)) == [("planner", "s1"), ("planner", "s2")]
    session = sessions.load("planner", "s1")
    assert (session.version, session.state, session.context) == (7, {"n": 1}, {"c": 1})
    assert (session.created_at, session.updated_at) == (created, updated)
    history = sessions.history("planner", "s1")
    assert [one.position for one in history] == [1, 2]
    assert (history[0].content, history[0].metadata, history[0].created_at) == (
        message.content,
        message.metadata,
        created,
    )
    assert sessions.load("planner", "s2").version == 1
    assert [found.session_id for found in sessions.find_containing({"n": 1})] == ["s1"]
    sessions.save("planner", "s2", "mine")
    assert list(sessions.adopt(given)) == []
    assert sessions.load("planner", "s2").state == "mine"
    assert types(stage, "sessions") == ["sessions_adopted"]
    assert sessions.append("planner", "s1", "user", "more").first_position == 3


@pytest.mark.parametrize(
    "arguments",
    [
        {"agent_id": 5},
        {"session_id": b"s"},
        {"context": 5},
        {"ttl_seconds": "60"},
        {"expires_at": "2030-01-01"},
        {"operation_id": 5},
    ],
    ids=lambda arguments: next(iter(arguments)),
)
def test_what_is_of_another_kind_is_refused_before_anything_is_stored(
    stage: Stage, arguments: dict[str, Any]
) -> None:
    with pytest.raises(Invalid, match=next(iter(arguments))):
        stage.stores.sessions.save(**{"agent_id": "a", "session_id": "s", "state": {}, **arguments})
    with pytest.raises(Invalid, match="metadata"):
        stage.stores.sessions.append("a", "s", "user", "hi", metadata="none")
    assert stage.stores.sessions.count() == 0
