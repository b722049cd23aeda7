"""Carries out what steps ask of the stores, for threads and for event loops; see `aureus.ledger.steps`."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

from aureus._database.database import AsyncRunner, Runner
from aureus._database.drive import Call
from aureus.ledger.steps import Steps
from aureus.stores.audit import AsyncAuditStore, AuditStore
from aureus.stores.ledger import AsyncLedgerStore, LedgerStore
from aureus.stores.proofs import AsyncProofStore, ProofStore

T = TypeVar("T")


class Driver:
    """The stores that steps ask, for threads."""

    def __init__(self, runner: Runner, call: Call) -> None:
        self.stores: dict[str, Any] = {
            "ledger": LedgerStore(runner, call),
            "proofs": ProofStore(runner, call),
            "audit": AuditStore(runner, call),
        }

    def carry_out(self, work: Steps[T]) -> T:
        """Do what steps ask of the stores, and return what they return."""
        answer: Any = None
        while True:
            try:
                ask = work.send(answer)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]  # the generator's own type says what it returns
            operation = getattr(self.stores[ask.store], ask.operation)
            answer = operation(*ask.arguments, **ask.options)


class AsyncDriver:
    """The stores that steps ask, for one event loop."""

    def __init__(self, runner: AsyncRunner, call: Call) -> None:
        self.stores: dict[str, Any] = {
            "ledger": AsyncLedgerStore(runner, call),
            "proofs": AsyncProofStore(runner, call),
            "audit": AsyncAuditStore(runner, call),
        }

    async def carry_out(self, work: Steps[T]) -> T:
        """Do what steps ask of the stores, and return what they return."""
        answer: Any = None
        while True:
            ask, result = await asyncio.to_thread(_advanced, work, answer)
            if ask is None:
                return result  # type: ignore[no-any-return]  # the generator's own type says what it returns
            operation = getattr(self.stores[ask.store], ask.operation)
            answer = await operation(*ask.arguments, **ask.options)


def _advanced(work: Steps[T], answer: Any) -> tuple[Any, Any]:
    """Return what is asked for next, or None and the result; an end cannot leave a thread as an exception."""
    try:
        return work.send(answer), None
    except StopIteration as end:
        return None, end.value
