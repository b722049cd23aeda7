"""What consumers for threads and for an event loop share: what they work with, and where their loop stands."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from aureus._database.bell import Bell, Wake
from aureus._database.drive import Call
from aureus.clock import Clock
from aureus.config import Settings
from aureus.errors import Invalid
from aureus.ids import Ids
from aureus.model.events import Event
from aureus.subscriptions.following import Following
from aureus.subscriptions.handling import Handling
from aureus.subscriptions.holding import Plan
from aureus.subscriptions.steps import Effect, Steps, until_delivery

CLOSE_SECONDS_MAX = 5.0
"""How long closing waits for what a consumer is just doing in another thread or task."""

log = logging.getLogger("aureus.subscriptions")

M = TypeVar("M", bound="AnyMeans")


@dataclass(frozen=True, slots=True)
class Patience:
    """How patient consumers of a database are, in seconds."""

    poll_seconds: float
    lease_seconds: float
    handling_seconds_max: float
    call_seconds: float
    """How long anything but the handler's work may take."""
    seals: bool

    @classmethod
    def of(cls, settings: Settings) -> Patience:
        """Return what is configured; no handler may take longer than the server lets a transaction idle."""
        wanted, database = settings.subscriptions, settings.database
        idle = database.idle_in_transaction_timeout_seconds
        return cls(
            wanted.poll_seconds,
            wanted.lease_seconds,
            min(wanted.handling_seconds_max, idle or wanted.handling_seconds_max),
            database.call_deadline_seconds,
            settings.ledger.sealing == "on",
        )

    def handling(self, call: Call) -> Call:
        """Return a call for the transaction of a handler, whose own work takes as long as it may."""
        return call._replace(timeout_seconds=self.handling_seconds_max + self.call_seconds)

    def plan(self) -> dict[str, Any]:
        """Return what plans are made with."""
        return {
            "poll_seconds": self.poll_seconds,
            "lease_seconds": self.lease_seconds,
            "handling_seconds_max": self.handling_seconds_max,
            "seals": self.seals,
        }


@dataclass(frozen=True, slots=True)
class AnyMeans:
    """What consumers of a database work with, whoever drives them."""

    call: Call
    bell: Bell
    clock: Clock
    open_consumers: set[Any]
    """Those that are at work, to be closed before the database is."""
    ids: Ids
    patience: Patience


class FunctionFailed(Exception):
    """The caller's function raised: the transaction is rolled back with it."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class Consuming(ABC, Generic[M]):
    """A consumer without its driver."""

    def __init__(self, plan: Plan, means: M, wake: Wake) -> None:
        """Follow a plan; nothing happens before the first event is asked for."""
        self._means = means
        self._following = Following(plan, means.clock)
        self._steps: Steps[None] | None = None
        self._wake_up = wake
        self._is_finished = False

    @property
    def name(self) -> str:
        """Return the name of the subscription."""
        return self._following.plan.name

    def acknowledge(self) -> None:
        """Count the event that was yielded last as handled: before a ``break``, or before something that may fail."""
        self._following.acknowledge()

    def _handling(self, attempts: int, backoff_seconds: float, batch_size: int) -> Handling:
        """Return how events are to be handled. Raises ``Invalid``."""
        plan = self._following.plan
        return Handling(
            self._means.clock,
            attempts,
            backoff_seconds,
            batch_size,
            plan.handling_seconds_max,
            plan.is_live,
        )

    def _refuse_second(self, *, is_running: bool) -> None:
        if is_running:
            raise Invalid(f"subscription {self.name!r} is being consumed already, by this consumer")

    def _begin_steps(self) -> Steps[None]:
        """Go on where the loop stands, or begin it."""
        if self._steps is None:
            self._means.open_consumers.add(self)
            if self._following.plan.is_live:  # others never wait for the bell
                self._means.bell.listen(self._wake_up)
            self._steps = self._following.steps()
        self._following.membership.free()
        return self._steps

    def _next(self) -> Generator[Effect, Any, Event | None]:
        """Return what is to be carried out until the next event is handed out."""
        return until_delivery(self._begin_steps(), self._is_closing)

    @abstractmethod
    def _is_closing(self) -> bool:
        """Return whether it is to end."""

    def _ended(self, event: Event | None) -> None:
        """Take note of what the loop came to: an event that is in hand now, or its end."""
        if event is not None:
            self._following.membership.busy()
            return
        self._end_steps()
        if not self._following.has_joined:
            self._means.open_consumers.discard(self)

    def _end_steps(self) -> None:
        """Forget where the loop stood: the next iteration begins anew from what is stored."""
        steps, self._steps = self._steps, None
        self._means.bell.leave(self._wake_up)
        if steps is not None:
            steps.close()

    def _last_steps(self) -> Steps[None] | None:
        """Return what is to be carried out at the very end; None when it was before."""
        if self._is_finished:
            return None
        self._is_finished = True
        self._end_steps()
        self._means.open_consumers.discard(self)
        return self._following.finish()
