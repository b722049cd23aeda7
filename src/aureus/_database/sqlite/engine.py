"""Carries out operations on a connection: statements, their companions, and what they answer.

Here is no queue and no commit. An operation runs whole, in the thread that called; when one of its statements fails it
sees the error, and must end with one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar, cast

from aureus._database.catalog import Catalog, Compiled
from aureus._database.drive import Call, Drive, OperationBug, Request, Sources
from aureus._database.sqlite.codec import Binding
from aureus._database.sqlite.connection import Connection
from aureus._database.statement import Op, Rows, Statement
from aureus.errors import AureusError

R = TypeVar("R")

SEALING_SECONDS_MAX = 5.0
"""How long a commit may take for sealing; a round that takes longer is left to a later one."""

_log = logging.getLogger("aureus")


class TakesLong(Exception):
    """A read computes for milliseconds, and was not to; nothing has been read yet."""


class Engine:
    """The statements of the catalogue and the sources of effects, put together."""

    def __init__(self, catalog: Catalog, sources: Sources) -> None:
        self._catalog = catalog
        self.sources = sources

    def read(
        self,
        connection: Connection,
        make: Callable[[], Op[R]],
        call: Call,
        deadline: float,
        *,
        may_take_long: bool = True,
    ) -> R:
        """Carry out a read outside any transaction: one statement as it is, several on one snapshot.

        Raises ``TakesLong`` for a lengthy one that may not take long.
        """
        drive = Drive(make(), self.sources, call)
        connection.deadline = deadline
        request = drive.start()
        if drive.is_lengthy and not may_take_long:
            drive.close()
            raise TakesLong
        if request is None or (request.is_last and len(self._compiled(request).texts) == 1):
            return self._finish(connection, drive, request, call, is_read=True)
        try:
            connection.begin(deadline, is_write=False)
            return self._finish(connection, drive, request, call, is_read=True)
        finally:
            connection.roll_back()

    def perform(
        self,
        connection: Connection,
        make: Callable[[], Op[R]],
        call: Call,
        deadline: float,
        *,
        is_read: bool,
        is_alone: bool = False,
    ) -> R:
        """Carry out an operation inside the open transaction: all of it, or nothing.

        Raises what the operation raises; the transaction goes on, unless SQLite itself has ended it, or the operation
        is alone in it: then there is nothing else to keep, and it needs no savepoint.
        """
        drive = Drive(make(), self.sources, call)
        connection.deadline = deadline
        try:
            if not is_alone:
                connection.save()
            result = self._finish(connection, drive, drive.start(), call, is_read=is_read)
        except BaseException:
            if is_alone:
                connection.give_up()
            else:
                connection.undo()
            raise
        if not is_alone:
            connection.keep()
        if drive.appends:
            connection.unsealed.add(call.tenant_id)
        return result

    def seal(self, connection: Connection) -> None:
        """Seal what the open transaction has appended, right before its commit.

        What cannot be sealed is committed all the same, and sealed by a later commit. Raises ``AureusError`` only when
        SQLite has ended the transaction over it.
        """
        sealer, tenants = self.sources.sealer, sorted(connection.unsealed)
        connection.unsealed.clear()
        if sealer is None:
            return
        for tenant_id in tenants:
            call = Call(tenant_id, SEALING_SECONDS_MAX)
            deadline = self.sources.clock.monotonic() + SEALING_SECONDS_MAX
            try:
                self.perform(connection, sealer.seal, call, deadline, is_read=False)
                connection.has_sealed = True
            except AureusError as error:
                if connection.is_lost:
                    raise
                _log.warning("the ledger of tenant %s could not be sealed: %s", tenant_id, error)

    def _finish(
        self,
        connection: Connection,
        drive: Drive[R],
        request: Request | None,
        call: Call,
        *,
        is_read: bool,
    ) -> R:
        while request is not None:
            if is_read and self._changes(request):
                raise OperationBug(f"the read {request.statement.query.name} changes something")
            try:
                rows = self._carry_out(connection, request, call)
            except AureusError as error:
                drive.throw(error)
                # PostgreSQL cannot go on either: its transaction is aborted.
                raise OperationBug(
                    f"an operation went on after {request.statement.query.name} had failed"
                ) from error
            request = drive.feed(rows)
        return cast(R, drive.result)

    def _carry_out(self, connection: Connection, request: Request, call: Call) -> Rows:
        answer, happened = self._answer(connection, request.statement, call)
        for companion in request.companions:
            if happened or companion.is_read:
                companion.receive(self._answer(connection, companion.statement, call)[0])
        return answer

    def _answer(
        self, connection: Connection, statement: Statement, call: Call
    ) -> tuple[Rows, bool]:
        """Return the rows of a statement, and whether its guard brought any."""
        compiled = self._catalog.compiled(statement.query)
        what = f"{statement.query.noun}.{statement.query.name}"
        binding = Binding(statement.parameters, call.tenant_id, what)
        texts, names = compiled.texts, compiled.parameters
        answer: Rows = []
        happened = False
        for position, text in enumerate(texts):
            is_answer = position == len(texts) - 1 and _is_query(text)
            if position and not (happened or is_answer):
                continue
            rows = connection.fetch(text, binding.values(names[position]), what)
            if position == 0:
                answer, happened = rows, bool(rows)
            elif is_answer:
                answer = rows
        return answer, happened

    def _changes(self, request: Request) -> bool:
        """Return whether a statement, or what travels with it, changes something."""
        return self._compiled(request).is_write or any(
            not one.is_read or self._catalog.compiled(one.statement.query).is_write
            for one in request.companions
        )

    def _compiled(self, request: Request) -> Compiled:
        return self._catalog.compiled(request.statement.query)


def _is_query(text: str) -> bool:
    return text[:6].upper() == "SELECT"
