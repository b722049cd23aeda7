"""One flush on one connection: all its statements in one message, one Sync, and the answers when it has them all.

libpq's pipeline is driven here directly. psycopg's own sends every statement by itself, which wakes the server for each
of them, and keeps a cursor for each: half of the time of a small flush. Statements are prepared at their first use, and
known to be prepared once the server has said so, whatever becomes of the rest of their flush.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from weakref import WeakKeyDictionary

import psycopg
from psycopg.abc import PQGen
from psycopg.abc import Transformer as Conversion
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, ExecStatus, Format
from psycopg.pq.abc import PGconn, PGresult
from psycopg.waiting import Ready, Wait

from aureus._database.postgres.io import Exchange, Reply, Sent
from aureus._database.statement import Rows
from aureus._database.unreadable import Unreadable, unreadable
from aureus.clock import Clock
from aureus.errors import IntegrityFailure

STATEMENTS_KEPT: Final = 256
"""Prepared statements of one connection; the one that was not used for longest gives way."""

GRACE_SECONDS: Final = 1.0
"""How long a call waits past its deadline: the server ends a statement itself then, and says so."""

_UNKNOWN: Final = "26000"
"""The error for a prepared statement that the server does not know."""

_CHANGED: Final = "0A000"
"""The error for a prepared statement below which a table has changed, among others."""

_DROPPING: Final = ("DEALLOCATE", "DISCARD")
"""How the server calls what drops prepared statements."""

_SYNC: Final = ExecStatus.PIPELINE_SYNC

_AUTO: Final = [PyFormat.AUTO]

Key = tuple[str, tuple[int, ...]]
"""What a prepared statement is known by: its text and the types of its parameters."""


@dataclass(frozen=True, slots=True)
class _Ready:
    """A statement with its parameters as they travel."""

    key: Key
    parameters: Sequence[Any]
    formats: Sequence[Format]


@dataclass(slots=True)
class _Outcome:
    """What has come back so far."""

    rows: list[Rows]
    error: psycopg.Error | None = None


class Pipelines:
    """The pipelines of a pool's connections, each made at its first use."""

    def __init__(self, clock: Clock, *, prepares: bool) -> None:
        self._clock = clock
        self._prepares = prepares
        self._known: WeakKeyDictionary[Any, Pipeline] = WeakKeyDictionary()

    def steps(self, effect: Exchange) -> PQGen[Reply]:
        """Return the steps of an exchange, for the connection to wait for."""
        connection = effect.connection
        pipeline = self._known.get(connection)
        if pipeline is None:
            # Nothing that it holds may hold the connection: it would never be forgotten.
            pipeline = Pipeline(
                connection.pgconn, Transformer(connection.adapters), prepares=self._prepares
            )
            self._known[connection] = pipeline
        end = effect.deadline + GRACE_SECONDS
        return pipeline.exchanged(effect.statements, lambda: self._clock.monotonic() > end)

    def executed(self, connection: Any, status: str | None) -> None:
        """Take note of a statement of the caller's own, which may have dropped what was prepared."""
        pipeline = self._known.get(connection)
        if pipeline is not None and status is not None and status.startswith(_DROPPING):
            pipeline.forget_prepared()


class Pipeline:
    """What one connection keeps from flush to flush. It is used by one caller at a time."""

    def __init__(self, connection: PGconn, transformer: Conversion, *, prepares: bool) -> None:
        self._connection = connection
        self._transformer = transformer
        self._prepares = prepares
        self._names: dict[Key, bytes] = {}
        self._named_count = 0
        self._unwanted: list[bytes] = []

    def exchanged(self, statements: Sequence[Sent], is_late: Callable[[], bool]) -> PQGen[Reply]:
        """Send statements in one pipeline with one Sync and collect their rows.

        A parameter that cannot be sent keeps all of them from being sent. The reply's error is the first one; where the
        connection broke, it says nothing about what happened.
        """
        ready: list[_Ready] = []
        try:
            for sent in statements:
                ready.append(self._converted(sent))  # noqa: PERF401 - how far it came is told
        except (psycopg.Error, UnicodeError) as error:
            refused = error if isinstance(error, psycopg.Error) else psycopg.DataError(str(error))
            return Reply([[] for _ in ready], refused)
        outcome = _Outcome([])
        try:
            self._connection.enter_pipeline_mode()
            made = self._queue(ready)
            yield from self._send(is_late)
            yield from self._collect(ready, made, outcome, is_late)
            self._connection.exit_pipeline_mode()
        except psycopg.Error as error:
            outcome.error = outcome.error or error
        finally:
            self._transformer.set_pgresult(None)
        return Reply(outcome.rows, outcome.error)

    def _converted(self, sent: Sent) -> _Ready:
        if not sent.parameters:
            return _Ready((sent.text, ()), (), ())
        transformer = self._transformer
        values = transformer.dump_sequence(sent.parameters, _AUTO * len(sent.parameters))
        return _Ready((sent.text, transformer.types or ()), values, transformer.formats or ())

    # Sending.

    def _queue(self, ready: Sequence[_Ready]) -> list[bytes | None]:
        """Hand the statements to libpq, and return for each of them the name under which it is prepared now."""
        connection = self._connection
        for name in self._unwanted:
            connection.send_query_params(b"DEALLOCATE " + name, None)
        making: dict[Key, bytes] = {}
        made: list[bytes | None] = []
        for one in ready:
            text, types = one.key
            values, formats = one.parameters or None, one.formats or None
            if not self._prepares:
                connection.send_query_params(
                    text.encode(), values, types or None, formats, Format.BINARY
                )
                made.append(None)
                continue
            known = self._known(one.key) or making.get(one.key)
            if known is None:
                known = making[one.key] = self._new_name()
                connection.send_prepare(known, text.encode(), types or None)
                made.append(known)
            else:
                made.append(None)
            connection.send_query_prepared(known, values, formats, Format.BINARY)
        return made

    def _send(self, is_late: Callable[[], bool]) -> PQGen[None]:
        """Send what is queued, and read meanwhile: a server that cannot get rid of its answers takes nothing more."""
        connection = self._connection
        connection.pipeline_sync()
        while connection.flush():
            ready = yield Wait.RW
            if ready & Ready.R:
                connection.consume_input()
            elif not ready and is_late():
                raise _unanswered()

    # Collecting.

    def _collect(
        self,
        ready: Sequence[_Ready],
        made: Sequence[bytes | None],
        outcome: _Outcome,
        is_late: Callable[[], bool],
    ) -> PQGen[None]:
        unwanted, self._unwanted = self._unwanted, []
        for _ in unwanted:
            self._note(outcome, (yield from self._results(is_late)))
        for one, name in zip(ready, made, strict=True):
            if name is not None:
                results = yield from self._results(is_late)
                self._note(outcome, results)
                if results[-1].status == ExecStatus.COMMAND_OK:
                    self._keep(one.key, name)
            results = yield from self._results(is_late)
            self._note(outcome, results, one.key)
            if outcome.error is None:
                outcome.rows.append(self._rows(results[-1]))
        # An error of the commit itself comes before the answer to the Sync.
        while (results := (yield from self._results(is_late)))[-1].status != _SYNC:
            self._note(outcome, results)

    def _results(self, is_late: Callable[[], bool]) -> PQGen[list[PGresult]]:
        """Return the results of one message: they end with None, or with the answer to the Sync."""
        connection = self._connection
        results: list[PGresult] = []
        while True:
            while connection.is_busy():
                if (yield Wait.R):
                    connection.consume_input()
                elif is_late():
                    raise _unanswered()
            result = connection.get_result()
            if result is None:
                if connection.status == ConnStatus.BAD or not results:
                    raise self._lost(results)
                return results
            results.append(result)
            if result.status == _SYNC:
                return results

    def _lost(self, results: Sequence[PGresult]) -> psycopg.Error:
        """Return what ended the connection, as the server said it, if it did."""
        for result in results:
            if result.status == ExecStatus.FATAL_ERROR:
                found = error_from_result(result)
                if found.sqlstate is not None:
                    return found
        return psycopg.OperationalError(
            self._connection.get_error_message() or "the connection was lost"
        )

    def _note(self, outcome: _Outcome, results: Sequence[PGresult], key: Key | None = None) -> None:
        """Keep the first error."""
        for result in results:
            if outcome.error is None and result.status == ExecStatus.FATAL_ERROR:
                outcome.error = error_from_result(result)
                self._forget(key, outcome.error.sqlstate)

    def _rows(self, result: PGresult) -> Rows:
        if not result.nfields:
            return []
        self._transformer.set_pgresult(result)
        try:
            return self._transformer.load_rows(0, result.ntuples, tuple)
        except OverflowError:
            return Unreadable(self._first_unreadable(result))

    def _first_unreadable(self, result: PGresult) -> IntegrityFailure:
        """Return the error for the first row that holds a time which is none."""
        names = [(result.fname(column) or b"").decode() for column in range(result.nfields)]
        for row in range(result.ntuples):
            values: list[Any] = []
            wrong: str | None = None
            for column, name in enumerate(names):
                loader = self._transformer.get_loader(
                    result.ftype(column), Format(result.fformat(column))
                )
                data = result.get_value(row, column)
                try:
                    values.append(None if data is None else loader.load(data))
                except OverflowError:
                    values.append(None)
                    wrong = wrong or name
            if wrong is not None:
                return unreadable(names, tuple(values), wrong)
        raise AssertionError("every time of these rows can be read")

    # Prepared statements.

    def _new_name(self) -> bytes:
        self._named_count += 1
        return b"aureus_%d" % self._named_count

    def _known(self, key: Key) -> bytes | None:
        """Return the name of a statement that is prepared, which is now the last one to give way."""
        name = self._names.pop(key, None)
        if name is not None:
            self._names[key] = name
        return name

    def _keep(self, key: Key, name: bytes) -> None:
        self._names[key] = name
        if len(self._names) > STATEMENTS_KEPT:
            self._unwanted.append(self._names.pop(next(iter(self._names))))

    def _forget(self, key: Key | None, state: str | None) -> None:
        """Let a statement be prepared anew where an error says that it has to be."""
        if state == _UNKNOWN:
            self.forget_prepared()
        elif state == _CHANGED and key is not None and (name := self._names.pop(key, None)):
            self._unwanted.append(name)

    def forget_prepared(self) -> None:
        """Prepare everything anew: somebody has dropped a statement, or all of them for all we know."""
        self._names.clear()
        self._unwanted.clear()


def _unanswered() -> psycopg.OperationalError:
    return psycopg.OperationalError("the server did not answer until the deadline")
