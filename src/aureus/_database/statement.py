"""What an operation may ask for.

A store operation is a generator: it yields the effects of this module and receives their answers. It holds every
decision and no I/O, so that one body serves plain calls, awaited calls and composition in one transaction, and can be
made anew for each attempt. Time, identifiers and facts are effects too: the same answers give the same run.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Protocol, TypeVar, cast

from aureus.errors import Conflict
from aureus.model.events import Event, Fact
from aureus.model.subject_keys import SubjectKey

Row = tuple[Any, ...]
Rows = Sequence[Row]
T = TypeVar("T")


class Query(NamedTuple):
    """The name of a statement in the catalogue; its text depends on the engine."""

    noun: str
    name: str


class Queries:
    """The statements of one noun, by attribute: ``sql = Queries("runs")``, then ``sql.start_run``.

    A catalogue test holds every name used in the package against the files.
    """

    def __init__(self, noun: str) -> None:
        self._noun = noun

    def __getattr__(self, name: str) -> Query:
        if name.startswith("_"):
            raise AttributeError(name)
        query = Query(self._noun, name)
        setattr(self, name, query)  # from now on it is found without this method
        return query


class Statement(NamedTuple):
    """One statement with its parameters; ``tenant_id`` is added by the runner.

    ``is_last`` promises: after these rows the operation only returns, or raises because no row came back, and no
    row means that nothing happened. So the commit may travel in the same flush.

    ``may_end`` only hopes so, for a read: where more is asked for after all, the operation begins anew without it.
    """

    query: Query
    parameters: dict[str, Any]
    is_last: bool = False
    may_end: bool = False


@dataclass(slots=True)
class Recorded:
    """A fact on its way into its stream; ``event`` is there once the statement that it travels with brought rows.

    It stays None when a repeated call found its own earlier write: the event exists, but was not written again.
    """

    fact: Fact
    event: Event | None = None


class Entries(Protocol):
    """Facts of one stream as the ledger holds them, ready for a statement that appends them."""

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters that such a statement takes: stream, category, count, entries and now."""
        ...

    def references(self) -> list[dict[str, str]]:
        """Return what the audit entries among them refer to: ``event_id``, ``kind`` and ``value`` of each."""
        ...

    def events(self, rows: Rows) -> list[Event]:
        """Return the events that the facts are, by the rows (version, entry_no, occurred_at, leaf_hash) of each.

        Time and hash are those of an entry that was there before; both are None for one that was written now.
        """
        ...


class CurrentTime:
    """Ask for the wall time."""


class NewId:
    """Ask for a fresh identifier; the k-th of a call is the same in each of its attempts."""


class NewSalt:
    """Ask for 32 random bytes."""


@dataclass(frozen=True, slots=True)
class Record:
    """State a fact; it is written together with the next statement, if and only if that one brings rows."""

    fact: Fact


@dataclass(frozen=True, slots=True)
class Accompany:
    """Let a statement travel with the next one; it is carried out if and only if that one brings rows."""

    statement: Statement


@dataclass(slots=True)
class Beside:
    """Let a read travel with the next statement; its ``rows`` are there when that one has been answered."""

    statement: Statement
    rows: Rows = ()


@dataclass(frozen=True, slots=True)
class Outside:
    """Ask for work that no transaction may wait for, such as a call of a model; see ``outside``."""

    work: Callable[[], Any]


class OutsideWanted(Exception):
    """An attempt has to begin anew with the result of work that is done outside; what it has sent is rolled back.

    The view of the operation does the work, in a thread where it serves an event loop, and tries again.
    """

    def __init__(self, work: Callable[[], Any], receive: Callable[[Any], None]) -> None:
        super().__init__("there is work to be done outside")
        self.work = work
        self.receive = receive


@dataclass(frozen=True, slots=True)
class FindKept:
    """Ask for what this client has kept; see ``find_kept``."""

    keys: Sequence[Hashable]


@dataclass(frozen=True, slots=True)
class Keep:
    """Let this client keep values that never change; see ``keep``."""

    values: Mapping[Hashable, bytes]


@dataclass(frozen=True, slots=True)
class FindSubjectKeys:
    """Ask for keys of people; see ``find_subject_keys``."""

    key_ids: Sequence[str]


class Lengthy:
    """Say that the operation computes for milliseconds between its statements; see ``lengthy``."""


@dataclass(frozen=True, slots=True)
class Prepare:
    """Ask for the entries of facts of one stream, for an operation that appends them itself."""

    facts: Sequence[Fact]


class Refused(Exception):
    """Nothing happened, and it takes a look at the database to say why.

    A body raises it after ``last`` brought no row: the commit has travelled, so it may not look itself. The view of the
    operation then carries ``explain`` out as a read, which raises the error for the caller.
    """

    def __init__(self, explain: Callable[[], Op[None]]) -> None:
        super().__init__("nothing happened")
        self.explain = explain


Effect = (
    Statement
    | CurrentTime
    | NewId
    | NewSalt
    | Record
    | Accompany
    | Beside
    | Outside
    | FindKept
    | Keep
    | FindSubjectKeys
    | Lengthy
    | Prepare
)
Op = Generator[Effect, Any, T]


def fetch_one(query: Query, decode: Callable[[Row], T], **parameters: Any) -> Op[T | None]:
    """Run a statement and return its row, or None."""
    rows = cast(Rows, (yield Statement(query, parameters)))
    return decode(rows[0]) if rows else None


def fetch_all(query: Query, decode: Callable[[Row], T], **parameters: Any) -> Op[list[T]]:
    """Run a statement and return all its rows."""
    rows = cast(Rows, (yield Statement(query, parameters)))
    return [decode(row) for row in rows]


def fetch_likely_last(query: Query, decode: Callable[[Row], T], **parameters: Any) -> Op[list[T]]:
    """Run what will hardly be followed by another statement of a read, and return all its rows.

    PostgreSQL ends the transaction with it, which saves a round trip; if the read goes on nevertheless, it is carried
    out anew from its start.
    """
    rows = cast(Rows, (yield Statement(query, parameters, may_end=True)))
    return [decode(row) for row in rows]


def beside(query: Query, **parameters: Any) -> Op[Beside]:
    """Let a read travel with the next statement, on which it does not depend: both take one round trip.

    The answer has the rows as soon as the next statement is answered.
    """
    return cast(Beside, (yield Beside(Statement(query, parameters))))


def last(query: Query, decode: Callable[[Row], T], **parameters: Any) -> Op[T | None]:
    """Run the operation's last statement and return its row, or None when nothing happened."""
    rows = cast(Rows, (yield Statement(query, parameters, is_last=True)))
    return decode(rows[0]) if rows else None


def last_all(query: Query, decode: Callable[[Row], T], **parameters: Any) -> Op[list[T]]:
    """Run the operation's last statement and return all its rows."""
    rows = cast(Rows, (yield Statement(query, parameters, is_last=True)))
    return [decode(row) for row in rows]


def current_time() -> Op[datetime]:
    """Return the wall time, the same for the whole operation."""
    return cast(datetime, (yield CurrentTime()))


def new_id() -> Op[str]:
    """Return a fresh identifier of 32 hexadecimal digits.

    An operation that is attempted again, because the reply of its commit was lost, is given the same one: so it finds
    what it has written.
    """
    return cast(str, (yield NewId()))


def new_salt() -> Op[bytes]:
    """Return 32 random bytes, other ones in each attempt."""
    return cast(bytes, (yield NewSalt()))


def record(fact: Fact) -> Op[Recorded]:
    """State a fact that the next statement brings about; see ``Record``."""
    return cast(Recorded, (yield Record(fact)))


def record_all(facts: Iterable[Fact]) -> Op[list[Recorded]]:
    """State several facts, in their order."""
    recorded: list[Recorded] = []
    for fact in facts:
        recorded.append((yield from record(fact)))  # noqa: PERF401 - a comprehension cannot yield
    return recorded


def accompany(query: Query, **parameters: Any) -> Op[None]:
    """Let a statement travel with the next one, whose header says that it records.

    It is carried out behind that one, in the same commit, if and only if it brought rows; on PostgreSQL the statement
    sees to that itself by comparing ``aureus.mark``. Nobody waits for its rows.
    """
    yield Accompany(Statement(query, parameters))


def outside(work: Callable[[], T]) -> Op[T]:
    """Return the result of slow work, done before the operation begins and in no transaction of its own.

    Only before the first statement. It is done once for a call, however often the call is attempted, and in a thread
    where an event loop waits. Inside a caller's transaction that transaction stays open meanwhile.
    """
    return cast(T, (yield Outside(work)))


def find_kept(keys: Sequence[Hashable]) -> Op[dict[Any, bytes]]:
    """Return what this client has kept in memory of the operation's tenant, by key."""
    return cast("dict[Any, bytes]", (yield FindKept(keys)))


def keep(values: Mapping[Any, bytes]) -> Op[None]:
    """Let this client keep values in memory for later operations of the same tenant, while there is room.

    Only what never changes, under a key that nothing else ever has: not even after the database was put back to an
    earlier state, or the transaction that showed it was rolled back.
    """
    yield Keep(values)


def find_subject_keys(key_ids: Sequence[str]) -> Op[Mapping[str, SubjectKey]]:
    """Return keys of people by their identifiers; those that are not there, or not here, are left out.

    Keys that are not at hand are asked for outside, and the attempt begins anew with them.
    """
    return cast("Mapping[str, SubjectKey]", (yield FindSubjectKeys(key_ids)))


def lengthy() -> Op[None]:
    """Say, best before the first statement, that it computes for milliseconds, over rows of several statements.

    An event loop then lets a thread do the computing, and PostgreSQL sends the first statement by itself, not gathered
    with those of others, since more will follow in the same snapshot. The answer is the same.
    """
    yield Lengthy()


def composed(operation: Op[T]) -> Op[T]:
    """Carry an operation out as a part of another: what was its last statement is not the last one here.

    Where it finds that nothing happened, the reason is looked for and raised at once.
    """
    answer: Any = None
    while True:
        try:
            effect = operation.send(answer)
        except StopIteration as end:
            return cast(T, end.value)
        except Refused as refused:
            yield from composed(refused.explain())
            raise Conflict("somebody changed it in the same moment; repeat the call") from None
        if isinstance(effect, Statement) and (effect.is_last or effect.may_end):
            effect = effect._replace(is_last=False, may_end=False)
        answer = yield effect


def events_of(recorded: Iterable[Recorded]) -> tuple[Event, ...]:
    """Return the events that facts have become; none of a repeated call."""
    return tuple(item.event for item in recorded if item.event is not None)


def prepare(facts: Sequence[Fact]) -> Op[Entries]:
    """Return the entries of facts of one stream; nothing is written by it."""
    return cast(Entries, (yield Prepare(facts)))
