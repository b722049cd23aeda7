"""The steps of flushes on PostgreSQL, carried out by a made-up server: every branch, without a socket."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast

import psycopg
import pytest
from psycopg import errors

from aureus._database.catalog import Catalog
from aureus._database.drive import Call, Sources
from aureus._database.postgres.alone import TAKEN_TRIES_MAX, alone
from aureus._database.postgres.flush import DOUBTS_MAX, GoAlone, Waiting, flush, waiting
from aureus._database.postgres.io import (
    Acquire,
    Compute,
    Exchange,
    NoConnection,
    Pause,
    Release,
    Reply,
    Sent,
)
from aureus._database.postgres.options import PostgresOptions
from aureus._database.postgres.planner import Planner
from aureus._database.statement import (
    Op,
    Queries,
    beside,
    fetch_all,
    fetch_likely_last,
    fetch_one,
    last,
    lengthy,
)
from aureus.clock import ManualClock
from aureus.errors import (
    AlreadyExists,
    AureusError,
    DatabaseUnavailable,
    Forbidden,
    Invalid,
    NotFound,
    OutcomeUnknown,
)
from aureus.ids import CountingIds

LEASES = Queries("leases")


def release(lease_id: str) -> Callable[[], Op[str]]:
    """Return an operation of one last statement that tells whether something was there."""

    def body() -> Op[str]:
        found = yield from last(LEASES.release_lease, lambda row: str(row[0]), lease_id=lease_id)
        if found is None:
            raise NotFound(f"no lease {lease_id}")
        return found

    return body


def look_then_release(lease_id: str) -> Callable[[], Op[str]]:
    """Return an operation of two statements."""

    def body() -> Op[str]:
        yield from fetch_one(LEASES.get_lease, bool, lease_id=lease_id)
        found = yield from last(LEASES.release_lease, lambda row: str(row[0]), lease_id=lease_id)
        return found or "nothing"

    return body


class Server:
    """Answers steps; ``faults`` maps the number of an exchange (from 1) to what goes wrong there."""

    def __init__(self, clock: ManualClock, faults: dict[int, Any] | None = None) -> None:
        self.clock = clock
        self.faults = faults or {}
        self.exchanges: list[list[str]] = []
        self.released: list[bool] = []
        self.happened = False
        self.refuses_connections = 0

    def carry_out(self, steps: Any) -> Any:
        """Carry steps out to their end."""
        try:
            effect = next(steps)
            while True:
                effect = steps.send(self.answer(effect))
        except StopIteration as end:
            return end.value

    def answer(self, effect: Any) -> Any:
        """Answer one step."""
        if isinstance(effect, Acquire):
            if self.refuses_connections:
                self.refuses_connections -= 1
                self.clock.advance(effect.timeout_seconds)
                refused = NoConnection("too long")
                refused.__cause__ = psycopg.OperationalError("connection refused")
                return refused
            return object()
        if isinstance(effect, Release):
            self.released.append(effect.is_broken)
            return None
        if isinstance(effect, Compute):
            return effect.work()
        if isinstance(effect, Pause):
            self.clock.advance(effect.seconds)
            return None
        assert isinstance(effect, Exchange)
        return self.exchange(effect.statements)

    def exchange(self, statements: Iterable[Sent]) -> Reply:
        """Answer a pipeline: every statement gets one row that echoes its last parameter."""
        sent = list(statements)
        self.exchanges.append([statement.text for statement in sent])
        rows: list[Any] = [self.row(statement) for statement in sent]
        fault = self.faults.get(len(self.exchanges))
        if fault is None:
            return Reply(rows)
        index, error = fault
        texts = [statement.text for statement in sent]
        answered = cast(int, index(texts) if callable(index) else index)
        return Reply(rows[:answered], error)

    def row(self, statement: Sent) -> Any:
        """Return what a statement brings."""
        if "flushes" in statement.text and "ON CONFLICT" in statement.text:
            return [] if self.happened else [("flush",)]
        if statement.parameters and statement.parameters[-1] == "missing":
            return []
        return [(statement.parameters[-1] if statement.parameters else None,)]


class World:
    """A planner with a clock to move and a server to break."""

    def __init__(self, faults: dict[int, Any] | None = None) -> None:
        self.clock = ManualClock()
        sources = Sources(self.clock, CountingIds(), lambda *_: ())
        options = PostgresOptions("host=example.invalid dbname=x", role="app_role")
        self.planner = Planner(Catalog("postgres"), options, sources, self.clock)
        self.server = Server(self.clock, faults)

    def member(self, lease_id: str, tenant: str = "a", seconds: float = 30.0) -> Waiting[str]:
        """Return an operation ready for a flush."""
        made = waiting(self.planner, release(lease_id), Call(tenant, seconds), is_read=False)
        assert isinstance(made, Waiting)
        return made

    def flush(self, *members: Waiting[str]) -> None:
        """Carry out one flush."""
        self.server.carry_out(flush(self.planner, members, is_read=False))

    def alone(self, make: Callable[[], Op[str]], seconds: float = 30.0) -> Any:
        """Carry out an operation by itself."""
        return self.server.carry_out(alone(self.planner, make, Call("a", seconds), is_read=False))


def test_a_gathered_flush_binds_each_tenant_in_turn_and_leaves_its_identifier() -> None:
    world = World()
    members = [world.member("one"), world.member("two"), world.member("three", tenant="b")]
    world.flush(*members)
    (texts,) = world.server.exchanges
    kinds = ["bind" if "set_config" in text else text.split()[0] for text in texts]
    assert kinds == ["bind", "DELETE", "DELETE", "bind", "DELETE", "INSERT", "DELETE"]
    assert [member.outcome for member in members] == ["one", "two", "three"]


def test_a_member_whose_body_raises_fails_alone_and_the_others_have_their_answers() -> None:
    world = World()
    good, bad = world.member("one"), world.member("missing")
    world.flush(bad, good)
    assert good.outcome == "one"
    assert isinstance(bad.outcome, NotFound)
    assert len(world.server.exchanges) == 1


def test_a_statement_that_fails_leaves_the_flush_and_the_rest_is_sent_again() -> None:
    refused = errors.UniqueViolation("twice")
    world = World({1: (2, refused)})
    members = [world.member("one"), world.member("two"), world.member("three")]
    world.flush(*members)
    assert isinstance(members[1].outcome, GoAlone)
    assert [members[0].outcome, members[2].outcome] == ["one", "three"]
    assert len(world.server.exchanges) == 2
    assert sum("DELETE" in text for text in world.server.exchanges[1]) == 2


def test_a_blocked_row_sends_only_its_own_operation_alone() -> None:
    world = World({1: (1, errors.LockNotAvailable("busy"))})
    members = [world.member("one"), world.member("two")]
    world.flush(*members)
    assert isinstance(members[0].outcome, GoAlone)
    assert members[1].outcome == "two"


def test_a_deadlock_sends_the_whole_flush_again_three_times_and_then_everybody_alone() -> None:
    deadlock = errors.DeadlockDetected("round and round")
    world = World(dict.fromkeys(range(1, 10), (1, deadlock)))
    members = [world.member("one"), world.member("two")]
    world.flush(*members)
    assert len(world.server.exchanges) == 4
    assert all(isinstance(member.outcome, GoAlone) for member in members)


@pytest.mark.parametrize("happened", [True, False])
def test_a_lost_reply_is_settled_before_anything_is_sent_again(happened: bool) -> None:
    world = World({1: (0, psycopg.OperationalError("server closed the connection"))})
    world.server.happened = happened
    member = world.member("one")
    world.flush(member)
    assert [len(texts) for texts in world.server.exchanges] == [4, 2, 3]
    assert "ON CONFLICT (flush_id) DO NOTHING" in world.server.exchanges[1][1]
    assert member.outcome == "one"
    assert world.server.released == [True, False, False]


def test_a_server_that_stays_away_after_a_lost_reply_leaves_the_outcome_unknown() -> None:
    gone = psycopg.OperationalError("server closed the connection")
    world = World(dict.fromkeys(range(1, 1000), (0, gone)))
    member = world.member("one", seconds=5.0)
    world.flush(member)
    assert isinstance(member.outcome, OutcomeUnknown)
    assert member.outcome.fields["flush_id"]


def test_replies_lost_again_and_again_end_although_each_doubt_is_settled() -> None:
    gone = psycopg.OperationalError("server closed the connection")
    world = World(dict.fromkeys(range(1, 1000, 2), (0, gone)))
    member = world.member("one", seconds=1e9)
    world.flush(member)
    assert isinstance(member.outcome, DatabaseUnavailable)
    assert len(world.server.exchanges) <= 2 * DOUBTS_MAX + 2


def test_a_server_that_is_away_at_first_costs_only_time() -> None:
    world = World()
    world.server.refuses_connections = 2
    member = world.member("one", seconds=60.0)
    world.flush(member)
    assert member.outcome == "one"


def test_a_server_that_stays_away_fails_the_members_at_their_deadlines() -> None:
    world = World()
    world.server.refuses_connections = 1000
    hasty, patient = world.member("one", seconds=5.0), world.member("two", seconds=25.0)
    world.flush(hasty, patient)
    assert isinstance(hasty.outcome, DatabaseUnavailable)
    assert isinstance(patient.outcome, DatabaseUnavailable)
    assert "connection refused" in str(hasty.outcome)


def test_a_wrong_password_is_reported_at_once() -> None:
    world = World()
    original = world.server.answer

    def refuse(effect: Any) -> Any:
        if isinstance(effect, Acquire):
            refused = NoConnection("no")
            refused.__cause__ = errors.InvalidPassword("wrong")
            return refused
        return original(effect)

    world.server.answer = refuse  # type: ignore[method-assign]  # a server that knows nobody
    member = world.member("one")
    world.flush(member)
    assert isinstance(member.outcome, Forbidden)
    assert world.clock.monotonic() == 0


def test_an_operation_alone_takes_one_flush_for_each_statement_and_commits_with_the_last() -> None:
    world = World()
    assert world.alone(look_then_release("one")) == "one"
    first, second = world.server.exchanges
    assert first[0] == "BEGIN"
    assert "set_config" in first[1]
    assert second[-1] == "COMMIT"
    assert "flushes" in second[-2]


def test_a_read_that_is_likely_over_takes_its_commit_along_and_begins_anew_when_it_is_not() -> None:
    def body(*, goes_on: bool) -> Callable[[], Op[str]]:
        def read() -> Op[str]:
            yield from lengthy()
            waiting = yield from beside(LEASES.get_lease, lease_id="beside")
            found = yield from fetch_likely_last(
                LEASES.get_lease, lambda row: str(row[0]), lease_id="one"
            )
            if goes_on:
                found += yield from fetch_all(
                    LEASES.get_lease, lambda row: str(row[0]), lease_id="two"
                )
            return " ".join((*found, *(str(row[0]) for row in waiting.rows)))

        return read

    for goes_on, flushes, answer in ((False, 1, "one beside"), (True, 4, "one two beside")):
        world = World()
        steps = alone(world.planner, body(goes_on=goes_on), Call("a"), is_read=True)
        assert world.server.carry_out(steps) == answer
        assert world.server.exchanges[0][-1] == "COMMIT"
        assert len(world.server.exchanges) == flushes
        assert world.server.released == [False] * (1 + goes_on)


def test_an_operation_alone_begins_anew_after_a_conflict() -> None:
    world = World({2: (0, errors.SerializationFailure("again"))})
    assert world.alone(look_then_release("one")) == "one"
    assert world.server.exchanges[2] == ["ROLLBACK"]
    assert len(world.server.exchanges) == 5


def test_an_operation_alone_that_cannot_succeed_is_rolled_back_and_reported() -> None:
    world = World({1: (2, errors.CheckViolation("never"))})
    with pytest.raises(Invalid):
        world.alone(look_then_release("one"))
    assert world.server.exchanges[-1] == ["ROLLBACK"]
    assert world.server.released == [False]


def test_an_operation_alone_begins_anew_where_a_key_was_taken_but_not_for_ever() -> None:
    """Whoever took it was waited for: what they wrote is seen by the next attempt."""
    taken = errors.UniqueViolation("twice")
    world = World({1: (2, taken)})
    assert world.alone(look_then_release("one")) == "one"
    attempts = 1 + TAKEN_TRIES_MAX
    world = World({1 + 2 * number: (2, taken) for number in range(attempts)})
    with pytest.raises(AlreadyExists):
        world.alone(look_then_release("one"))
    assert world.server.exchanges.count(["ROLLBACK"]) == attempts
    assert world.server.released == [False] * attempts


def test_an_operation_alone_settles_a_lost_commit_before_it_repeats_itself() -> None:
    gone = psycopg.OperationalError("server closed the connection")
    world = World({2: (0, gone)})
    world.server.happened = True
    assert world.alone(look_then_release("one")) == "one"
    assert "ON CONFLICT (flush_id) DO NOTHING" in world.server.exchanges[2][1]
    assert world.server.released == [True, False, False]


def test_a_connection_lost_before_the_commit_needs_no_settling() -> None:
    gone = psycopg.OperationalError("server closed the connection")
    world = World({1: (0, gone)})
    assert world.alone(look_then_release("one")) == "one"
    assert not any("DO NOTHING" in text for texts in world.server.exchanges for text in texts)


def test_facts_go_to_their_taker_only_when_the_write_brought_rows() -> None:
    world = World()
    taken: list[Any] = []
    from aureus._database.drive import Companion
    from aureus._database.statement import Statement, record
    from aureus.model.events import Fact

    def companions(*_: Any) -> Any:
        return [
            Companion(
                Statement(Queries("events").get_stream_version, {"stream": "s"}), taken.append
            )
        ]

    world.planner.sources = Sources(world.clock, CountingIds(), companions)

    def make(lease_id: str) -> Callable[[], Op[bool]]:
        def body() -> Op[bool]:
            yield from record(Fact("s", "t", {}, "me"))
            return (yield from last(LEASES.release_lease, bool, lease_id=lease_id)) is not None

        return body

    for lease_id in ("one", "missing"):
        member = waiting(world.planner, make(lease_id), Call("a"), is_read=False)
        assert isinstance(member, Waiting)
        world.server.carry_out(flush(world.planner, [member], is_read=False))
        assert member.outcome is (lease_id == "one")
    assert len(taken) == 1


def test_an_error_that_is_ours_already_stays_what_it_is() -> None:
    from aureus._database.postgres.errors import mapped

    error = AureusError("as it is")
    assert mapped(error) is error
