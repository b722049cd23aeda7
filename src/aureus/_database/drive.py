"""Drives one attempt at an operation up to each statement it asks for.

The driver answers time, identifiers and facts itself and hands the statements to a runner as requests. It holds the
promise of ``last``: a statement after the last one, or facts without a statement, are bugs and reported as such.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from aureus._database.bell import Wake
from aureus._database.kept import Kept
from aureus._database.observing import Observing
from aureus._database.statement import (
    Accompany,
    Beside,
    CurrentTime,
    Entries,
    FindKept,
    FindSubjectKeys,
    Keep,
    Lengthy,
    NewId,
    NewSalt,
    Op,
    Outside,
    OutsideWanted,
    Prepare,
    Record,
    Recorded,
    Rows,
    Statement,
)
from aureus.clock import Clock
from aureus.errors import IntegrityFailure, Invalid
from aureus.ids import Ids
from aureus.model.events import Fact
from aureus.model.subject_keys import SubjectKey

R = TypeVar("R")

STATEMENTS_MAX = 64
"""Statements of one operation; a loop over rows belongs into one statement."""

WHOLE_STATEMENTS_MAX = 16_384
"""Statements of one whole operation, which goes through pages: where documents are large, a page holds few of them."""


class OperationBug(AssertionError):
    """An operation broke the rules of its own kind; never the caller's fault."""


class Companion(NamedTuple):
    """A statement that travels with another one, and who takes its rows.

    With a write it is carried out only when that brought rows; a read is carried out in any case.
    """

    statement: Statement
    receive: Callable[[Rows], None]
    is_read: bool = False


SubjectKeysByName = Mapping[str, SubjectKey]
"""The keys of the people whom facts concern; empty where payloads are not encrypted."""

BeforeCommit = Callable[[Sequence[Recorded], datetime, str, SubjectKeysByName], Sequence[Companion]]
"""Turns the facts of one write of a tenant into the statements that travel with it; wired in by the client."""

Preparing = Callable[[Sequence[Fact], datetime, str, SubjectKeysByName], Entries]
"""Turns facts of one stream of a tenant into its entries, for an operation that appends them itself; wired in, too."""

BeforeWrite = Callable[[str], "Callable[[], Op[None]] | None"]
"""Says for a tenant what has to be read before the next write, or before a transaction; None when nothing is due."""


class Sealer(Protocol):
    """What is done for a tenant whose ledger has grown; wired in by the client."""

    def seal(self) -> Op[Any]:
        """Seal in the open transaction, where one writer at a time makes that possible; a failure is no caller's."""
        ...

    def note(self, tenant_id: str) -> None:
        """Take note that a commit has left something to be sealed later, where there are many writers."""
        ...


class Keyring(Protocol):
    """Keys of people: at hand, or from the key store, which may take long to answer; wired in by the client."""

    def kept_of(self, tenant_id: str, subjects: Iterable[str]) -> dict[str, SubjectKey]:
        """Return those keys of people that are at hand, by name."""
        ...

    def made_for(self, tenant_id: str, subjects: Iterable[str]) -> dict[str, SubjectKey]:
        """Return the keys of people from the key store, making those that are not there."""
        ...

    def kept(self, tenant_id: str, key_ids: Iterable[str]) -> dict[str, SubjectKey]:
        """Return those keys that are at hand, by identifier."""
        ...

    def fetched(self, tenant_id: str, key_ids: Iterable[str]) -> dict[str, SubjectKey]:
        """Return keys from the key store, without those that are not there."""
        ...


HeldKeys = dict[tuple[str, str], "SubjectKey | None"]
"""Keys that a call has asked for, so that each of its attempts has them; None for one that is not there."""

KEY_TRIES_MAX = 5
"""Times that a call asks for new keys; a key store that goes on giving destroyed ones is given up then."""

_STALE = "stale"
"""Marks a call whose keys at hand were refused: it asks the key store itself."""


class Call(NamedTuple):
    """For whom an operation runs, and how long it may take."""

    tenant_id: str
    timeout_seconds: float = 30.0
    made_ids: list[str] | None = None
    """The identifiers that its attempts have asked for so far; None where there is only one attempt."""
    made_outside: list[Any] | None = None
    """What was made outside for it so far; None where nobody but the attempt itself can do the work."""

    observing: Observing | None = None
    """Who is told of it; None where nobody wants to know."""
    is_whole: bool = False
    """True for an operation that sees the database at one moment, in a transaction of its own."""
    held_keys: HeldKeys | None = None
    """The keys of people that it was given so far; None where no attempt can begin anew with them."""

    def begun(self, *, is_whole: bool = False) -> Call:
        """Return the same for one call, whose attempts share identifiers and what was made outside."""
        return Call(self.tenant_id, self.timeout_seconds, [], [], self.observing, is_whole, {})

    def takes_new_keys(self) -> bool:
        """Let the next attempt ask for keys anew, because one was destroyed; False when that was done often enough.

        More than once, because the person may have been erased again meanwhile.
        """
        if self.held_keys is None:
            return False
        tries = sum(kind == _STALE for kind, _ in self.held_keys)
        if tries >= KEY_TRIES_MAX:
            return False
        self.held_keys.clear()
        self.held_keys.update({(_STALE, str(number)): None for number in range(tries + 1)})
        return True

    def refuse_whole(self) -> None:
        """Raise ``Invalid`` for a whole operation inside a caller's transaction, which may span several moments."""
        if self.is_whole:
            raise Invalid(
                "this call needs a transaction of its own, so that it sees one moment; "
                "call it on the database, not on the transaction"
            )


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the effects of operations get their answers."""

    clock: Clock
    ids: Ids
    before_commit: BeforeCommit
    prepare: Preparing | None = None
    sealer: Sealer | None = None
    kept: Kept = field(default_factory=Kept)
    keyring: Keyring | None = None
    """The keys of people; None where what entries say is not encrypted."""
    before_write: BeforeWrite | None = None
    ring: Wake | None = None
    """Called after a commit that has sealed something, where sealing is part of the commit."""

    def sealed(self) -> None:
        """Say that a commit has extended a ledger."""
        if self.ring is not None:
            self.ring()

    def appended(self, tenant_id: str) -> None:
        """Say that a commit has appended to a tenant's ledger."""
        if self.sealer is not None:
            self.sealer.note(tenant_id)

    def due(self, tenant_id: str) -> Callable[[], Op[None]] | None:
        """Return the read that a runner carries out before it writes for a tenant; None when there is none."""
        return None if self.before_write is None else self.before_write(tenant_id)


class Request(NamedTuple):
    """A statement that an operation waits for, with its companions."""

    statement: Statement
    companions: tuple[Companion, ...] = ()

    @property
    def is_last(self) -> bool:
        """Return whether the commit may travel with it."""
        return self.statement.is_last

    @property
    def may_end(self) -> bool:
        """Return whether the operation will hardly ask for more."""
        return self.statement.may_end


class Drive(Generic[R]):
    """One attempt at one operation."""

    def __init__(self, body: Op[R], sources: Sources, call: Call) -> None:
        self._body = body
        self._sources = sources
        self._tenant_id = call.tenant_id
        self._made_ids = [] if call.made_ids is None else call.made_ids
        self._id_count = 0
        self._made_outside = call.made_outside
        self._held_keys = call.held_keys
        self._outside_count = 0
        self._now: datetime | None = None
        self._facts: list[Recorded] = []
        self._accompanying: list[Companion] = []
        self._count = 0
        self._count_max = WHOLE_STATEMENTS_MAX if call.is_whole else STATEMENTS_MAX
        self._after_last = False
        self.is_lengthy = False
        """Whether the operation computes for milliseconds between its statements."""
        self.result: R | None = None
        self.is_done = False
        self.appends = False
        """Whether a statement so far may have appended to the tenant's ledger."""

    def start(self) -> Request | None:
        """Run to the first statement; None when the operation ended without one."""
        return self._advance(None)

    def feed(self, rows: Rows) -> Request | None:
        """Hand over the rows of the statement asked for, and run to the next one; None when it has ended."""
        if not (self._after_last and rows):
            return self._advance(rows)
        try:
            return self._advance(rows)
        except (OperationBug, IntegrityFailure):
            raise  # A stored row that cannot be read is nobody's bug.
        except Exception as error:
            # The commit has travelled with those rows: an error now would tell the caller that nothing happened.
            raise OperationBug(
                f"an operation raised although its last statement brought rows: {error!r}"
            ) from error

    def throw(self, error: BaseException) -> Request | None:
        """Let the operation see that its statement failed; it may catch the error and go on."""
        return self._run(self._body.throw, error)

    def close(self) -> None:
        """Give the attempt up."""
        self._body.close()

    def _advance(self, answer: Any) -> Request | None:
        return self._run(self._body.send, answer)

    def _run(self, step: Callable[[Any], Any], answer: Any) -> Request | None:
        try:
            effect = step(answer)
            while not isinstance(effect, Statement):
                effect = self._body.send(self._answer(effect))
        except StopIteration as end:
            if self._facts or self._accompanying:
                raise OperationBug("facts were recorded after the last statement") from None
            self.result = end.value
            self.is_done = True
            return None
        return self._request(effect)

    def _answer(self, effect: Any) -> Any:
        if isinstance(effect, CurrentTime):
            return self._time()
        if isinstance(effect, NewId):
            return self._new_id()
        if isinstance(effect, NewSalt):
            return self._sources.ids.salt()
        if isinstance(effect, Record):
            recorded = Recorded(effect.fact)
            self._facts.append(recorded)
            return recorded
        if isinstance(effect, Accompany):
            return self._accompanying.append(Companion(effect.statement, _nobody))
        if isinstance(effect, Beside):
            return self._beside(effect)
        if isinstance(effect, Outside):
            return self._outside(effect)
        if isinstance(effect, Lengthy):
            self.is_lengthy = True
            return None
        if isinstance(effect, FindKept):
            return self._sources.kept.find(self._tenant_id, effect.keys)
        if isinstance(effect, Keep):
            return self._sources.kept.keep(self._tenant_id, effect.values)
        if isinstance(effect, FindSubjectKeys):
            return self._keys_named(effect.key_ids)
        if isinstance(effect, Prepare) and self._sources.prepare is not None:
            self.appends = True
            keys = self._keys_of(effect.facts)
            return self._sources.prepare(effect.facts, self._time(), self._tenant_id, keys)
        raise OperationBug(f"an operation yielded {effect!r}")

    def _new_id(self) -> str:
        self._id_count += 1
        if self._id_count > len(self._made_ids):
            self._made_ids.append(self._sources.ids.new())
        return self._made_ids[self._id_count - 1]

    def _beside(self, effect: Beside) -> Beside:
        def receive(rows: Rows) -> None:
            effect.rows = rows

        self._accompanying.append(Companion(effect.statement, receive, is_read=True))
        return effect

    def _outside(self, effect: Outside) -> Any:
        if self._count:
            raise OperationBug("work outside was asked for after a statement")
        if self._made_outside is None:
            return effect.work()
        self._outside_count += 1
        if self._outside_count > len(self._made_outside):
            raise OutsideWanted(effect.work, self._made_outside.append)
        return self._made_outside[self._outside_count - 1]

    def _keys_of(self, facts: Sequence[Fact]) -> SubjectKeysByName:
        """Return the keys of the people whom facts concern."""
        keyring = self._sources.keyring
        if keyring is None:
            return _NO_KEYS
        subjects = sorted({subject for fact in facts for subject in fact.subjects})
        return self._held("subject", subjects, keyring.kept_of, keyring.made_for)

    def _keys_named(self, key_ids: Sequence[str]) -> Mapping[str, SubjectKey]:
        keyring = self._sources.keyring
        if keyring is None:
            return _NO_KEYS
        return self._held("id", key_ids, keyring.kept, keyring.fetched)

    def _held(
        self,
        kind: str,
        names: Sequence[str],
        at_hand: Callable[[str, Iterable[str]], dict[str, SubjectKey]],
        ask: Callable[[str, Iterable[str]], dict[str, SubjectKey]],
    ) -> Mapping[str, SubjectKey]:
        """Return keys that the call holds, that are at hand, or that were asked for outside, in this order.

        What a call has used it holds: so each of its attempts finds the same, and no attempt of a flush has to wait.
        """
        held: HeldKeys = {} if self._held_keys is None else self._held_keys
        missing = [name for name in names if (kind, name) not in held]
        if missing and (_STALE, "0") not in held:
            held.update(
                {(kind, name): key for name, key in at_hand(self._tenant_id, missing).items()}
            )
            missing = [name for name in missing if (kind, name) not in held]
        if missing:

            def work() -> HeldKeys:
                found = ask(self._tenant_id, missing)
                return {(kind, name): found.get(name) for name in missing}

            if self._held_keys is not None:
                raise OutsideWanted(work, held.update)
            held.update(work())
        return {name: key for name in names if (key := held[kind, name]) is not None}

    def _time(self) -> datetime:
        if self._now is None:
            self._now = self._sources.clock.now()
        return self._now

    def _request(self, statement: Statement) -> Request:
        self._count += 1
        if self._after_last:
            raise OperationBug(f"{statement.query.name} follows the statement marked as last")
        if self._count > self._count_max:
            raise OperationBug(
                f"{statement.query.name} is statement {self._count} of one operation"
            )
        self._after_last = statement.is_last
        facts, self._facts = self._facts, []
        companions: Sequence[Companion] = ()
        if facts:
            keys = self._keys_of([recorded.fact for recorded in facts])
            companions = self._sources.before_commit(facts, self._time(), self._tenant_id, keys)
        self.appends = self.appends or bool(companions)
        accompanying, self._accompanying = self._accompanying, []
        return Request(statement, (*companions, *accompanying))


_NO_KEYS: Mapping[str, SubjectKey] = {}


def _nobody(_: Rows) -> None:
    """Take the rows of a statement that nobody waits for."""
