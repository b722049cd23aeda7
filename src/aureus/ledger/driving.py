"""Carries out what steps ask of the stores, for threads and for event loops; see `aureus.ledger.steps`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from aureus._database.database import AsyncRunner, Runner
from aureus._database.drive import Call
from aureus.errors import AureusError, IntegrityFailure
from aureus.ledger.steps import Ask, Steps
from aureus.stores.anchors import AnchorStore, AsyncAnchorStore
from aureus.stores.audit import AsyncAuditStore, AuditStore
from aureus.stores.ledger import AsyncLedgerStore, LedgerStore
from aureus.stores.ledger_checks import AsyncLedgerCheckStore, LedgerCheckStore
from aureus.stores.proofs import AsyncProofStore, ProofStore

T = TypeVar("T")


class Driver:
    """The stores that steps ask, for threads."""

    def __init__(self, runner: Runner, call: Call) -> None:
        self.stores: dict[str, Any] = {
            "ledger": LedgerStore(runner, call),
            "proofs": ProofStore(runner, call),
            "audit": AuditStore(runner, call),
            "anchors": AnchorStore(runner, call),
            "checks": LedgerCheckStore(runner, call),
        }

    def carry_out(self, work: Steps[T]) -> T:
        """Do what steps ask of the stores, and return what they return. An error of a store is theirs to take first."""
        step: Callable[[], Ask] = partial(work.send, None)
        while True:
            try:
                ask = step()
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]  # the generator's own type says what it returns
            try:
                operation = getattr(self.stores[ask.store], ask.operation)
                answer = operation(*ask.arguments, **ask.options)
            except AureusError as error:
                step = partial(work.throw, error)
            except (OverflowError, ValueError) as error:
                step = partial(work.throw, _unreadable(error))
            else:
                step = partial(work.send, answer)


class AsyncDriver:
    """The stores that steps ask, for one event loop."""

    def __init__(self, runner: AsyncRunner, call: Call) -> None:
        self.stores: dict[str, Any] = {
            "ledger": AsyncLedgerStore(runner, call),
            "proofs": AsyncProofStore(runner, call),
            "audit": AsyncAuditStore(runner, call),
            "anchors": AsyncAnchorStore(runner, call),
            "checks": AsyncLedgerCheckStore(runner, call),
        }

    async def carry_out(self, work: Steps[T]) -> T:
        """Do what steps ask of the stores, and return what they return; what they do in between is done in a thread."""
        step: Callable[[], Ask] = partial(work.send, None)
        while True:
            ask, result = await asyncio.to_thread(_advanced, step)
            if ask is None:
                return result  # type: ignore[no-any-return]  # the generator's own type says what it returns
            try:
                operation = getattr(self.stores[ask.store], ask.operation)
                answer = await operation(*ask.arguments, **ask.options)
            except AureusError as error:
                step = partial(work.throw, error)
            except (OverflowError, ValueError) as error:
                step = partial(work.throw, _unreadable(error))
            else:
                step = partial(work.send, answer)


def _unreadable(error: Exception) -> AureusError:
    """Return what to say of a value in the database that no Python value stands for, such as an infinite time."""
    failure = IntegrityFailure(f"what is stored is nothing that Aureus wrote: {error}")
    failure.__cause__ = error
    return failure


def _advanced(step: Callable[[], Ask]) -> tuple[Ask | None, Any]:
    """Return what is asked for next, or None and the result; an end cannot leave a thread as an exception."""
    try:
        return step(), None
    except StopIteration as end:
        return None, end.value
