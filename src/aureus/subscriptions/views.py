"""What a client shows of subscriptions: the operations of their store, consumers and groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from aureus._database.database import AsyncRunner, Runner
from aureus._database.drive import Call
from aureus._database.kinds import check_methods
from aureus.codec import shown
from aureus.errors import Invalid
from aureus.model.subscriptions import BUCKETS_DEFAULT, Start, Subscription
from aureus.stores.subscriptions import AsyncSubscriptionStore, SubscriptionStore
from aureus.stores.subscriptions.rows import (
    checked_bucket_count,
    checked_name,
    checked_start,
    checked_wanted,
)
from aureus.subscriptions.consuming import AnyMeans
from aureus.subscriptions.holding import Plan, sealed_before
from aureus.subscriptions.loop import AsyncConsumer, AsyncMeans
from aureus.subscriptions.threads import Consumer, Means

T = TypeVar("T")


class Subscriptions(SubscriptionStore, Generic[T]):
    """Subscriptions of one tenant, and the groups that share one."""

    def __init__(self, runner: Runner, call: Call, means: Means[T] | None = None) -> None:
        """Carry calls out; ``means`` is what consumers work with, None inside a transaction."""
        super().__init__(runner, call)
        self._means = means

    def create(  # pyright: ignore[reportIncompatibleVariableOverride] - the operation, with sealing before it
        self,
        name: str,
        *,
        stream: str | None = None,
        category: str | None = None,
        types: Sequence[str] = (),
        from_position: Start = "start",
        bucket_count: int | None = None,
    ) -> Subscription:
        """Make a subscription and return it; as the operation says, and ``"now"`` is behind all that is committed."""
        if self._means is not None:
            self._means.carry_out(sealed_before(from_position, seals=self._means.patience.seals))
        return super().create(
            name,
            stream=stream,
            category=category,
            types=types,
            from_position=from_position,
            bucket_count=bucket_count,
        )

    def reset(  # pyright: ignore[reportIncompatibleVariableOverride] - the operation, with sealing before it
        self, name: str, *, from_position: Start = "start", actor: str = "aureus"
    ) -> int:
        """Let a subscription begin anew; as the operation says, and ``"now"`` is behind all that is committed."""
        if self._means is not None:
            self._means.carry_out(sealed_before(from_position, seals=self._means.patience.seals))
        return super().reset(name, from_position=from_position, actor=actor)

    def group(
        self,
        name: str,
        *,
        stream: str | None = None,
        category: str | None = None,
        types: Sequence[str] = (),
        from_position: Start = "start",
        bucket_count: int = BUCKETS_DEFAULT,
    ) -> Group[T]:
        """Return a consumer group; it is made when its first member begins, and then has so many buckets for ever.

        Members share its events: each stream belongs to one bucket, each bucket to one member at a time, so that the
        events of a stream keep their order. At most as many members as buckets have something to do.
        """
        plan = _group(name, stream, category, types, from_position, bucket_count)
        return Group(plan, _required(self._means))


class Group(Generic[T]):
    """A consumer group."""

    def __init__(self, plan: dict[str, Any], means: Means[T]) -> None:
        self._plan = plan
        self._means = means

    def join(self, member: str | None = None, *, live: bool = True) -> Consumer[T]:
        """Return a consumer of the group's share that is this member's; by default the member gets a name of its own.

        A member that was killed holds its buckets until its lease ends; one that comes back under the same name before
        goes on with them at once. When two have the same name, the one that joined last takes over, and the other one
        gets ``LeaseLost``.
        """
        means = self._means
        return Consumer(_member(self._plan, means, member, live=live), means)


check_methods(Group)


class AsyncSubscriptions(AsyncSubscriptionStore, Generic[T]):
    """Subscriptions of one tenant, and the groups that share one, awaited."""

    def __init__(self, runner: AsyncRunner, call: Call, means: AsyncMeans[T] | None = None) -> None:
        """Carry calls out; ``means`` is what consumers work with, None inside a transaction."""
        super().__init__(runner, call)
        self._means = means

    async def create(  # pyright: ignore[reportIncompatibleVariableOverride] - the operation, with sealing before it
        self,
        name: str,
        *,
        stream: str | None = None,
        category: str | None = None,
        types: Sequence[str] = (),
        from_position: Start = "start",
        bucket_count: int | None = None,
    ) -> Subscription:
        """Make a subscription and return it; as the operation says, and ``"now"`` is behind all that is committed."""
        if self._means is not None:
            await self._means.carry_out(
                sealed_before(from_position, seals=self._means.patience.seals)
            )
        return await super().create(
            name,
            stream=stream,
            category=category,
            types=types,
            from_position=from_position,
            bucket_count=bucket_count,
        )

    async def reset(  # pyright: ignore[reportIncompatibleVariableOverride] - the operation, with sealing before it
        self, name: str, *, from_position: Start = "start", actor: str = "aureus"
    ) -> int:
        """Let a subscription begin anew; as the operation says, and ``"now"`` is behind all that is committed."""
        if self._means is not None:
            await self._means.carry_out(
                sealed_before(from_position, seals=self._means.patience.seals)
            )
        return await super().reset(name, from_position=from_position, actor=actor)

    def group(
        self,
        name: str,
        *,
        stream: str | None = None,
        category: str | None = None,
        types: Sequence[str] = (),
        from_position: Start = "start",
        bucket_count: int = BUCKETS_DEFAULT,
    ) -> AsyncGroup[T]:
        """Return a consumer group; it is made when its first member begins, and then has so many buckets for ever.

        Members share its events: each stream belongs to one bucket, each bucket to one member at a time, so that the
        events of a stream keep their order. At most as many members as buckets have something to do.
        """
        plan = _group(name, stream, category, types, from_position, bucket_count)
        return AsyncGroup(plan, _required(self._means))


class AsyncGroup(Generic[T]):
    """A consumer group, awaited."""

    def __init__(self, plan: dict[str, Any], means: AsyncMeans[T]) -> None:
        self._plan = plan
        self._means = means

    def join(self, member: str | None = None, *, live: bool = True) -> AsyncConsumer[T]:
        """Return a consumer of the group's share that is this member's; by default the member gets a name of its own.

        A member that was killed holds its buckets until its lease ends; one that comes back under the same name before
        goes on with them at once. When two have the same name, the one that joined last takes over, and the other one
        gets ``LeaseLost``.
        """
        means = self._means
        return AsyncConsumer(_member(self._plan, means, member, live=live), means)


check_methods(AsyncGroup)


def consumer(
    means: Means[T] | None,
    name: str,
    *,
    stream: str | None,
    category: str | None,
    types: Sequence[str],
    from_position: Start,
    live: bool,
) -> Consumer[T]:
    """Return the consumer of a subscription."""
    found = _required(means)
    plan = _plan(found, name, stream, category, types, from_position, live=live)
    return Consumer(plan, found)


def async_consumer(
    means: AsyncMeans[T] | None,
    name: str,
    *,
    stream: str | None,
    category: str | None,
    types: Sequence[str],
    from_position: Start,
    live: bool,
) -> AsyncConsumer[T]:
    """Return the consumer of a subscription, for an event loop."""
    found = _required(means)
    plan = _plan(found, name, stream, category, types, from_position, live=live)
    return AsyncConsumer(plan, found)


def _plan(
    means: AnyMeans,
    name: str,
    stream: str | None,
    category: str | None,
    types: Sequence[str],
    from_position: Start,
    *,
    live: bool,
) -> Plan:
    checked_start(from_position)
    _check_live(live)
    has_filters = stream is not None or category is not None or bool(types)
    return Plan(
        name=checked_name(name),
        wanted=checked_wanted(stream, category, types) if has_filters else None,
        from_position=from_position,
        is_live=live,
        **means.patience.plan(),
    )


def _group(
    name: str,
    stream: str | None,
    category: str | None,
    types: Sequence[str],
    from_position: Start,
    bucket_count: int,
) -> dict[str, Any]:
    checked_start(from_position)
    has_filters = stream is not None or category is not None or bool(types)
    return {
        "name": checked_name(name),
        "wanted": checked_wanted(stream, category, types) if has_filters else None,
        "from_position": from_position,
        "bucket_count": checked_bucket_count(bucket_count),
    }


def _member(
    plan: dict[str, Any],
    means: AnyMeans,
    member: str | None,
    *,
    live: bool,
) -> Plan:
    _check_live(live)
    member_id = means.ids.new() if member is None else checked_name(member, "member")
    return Plan(
        **plan,
        member_id=member_id,
        joining_id=means.ids.new(),
        is_live=live,
        **means.patience.plan(),
    )


def _check_live(live: Any) -> None:
    if not isinstance(live, bool):
        raise Invalid(
            f"live is {shown(live)} ({type(live).__name__}); it must be True or False", what="live"
        )


M = TypeVar("M")


def _required(means: M | None) -> M:
    """Return what consumers work with. Raises ``Invalid`` inside a transaction."""
    if means is None:
        raise Invalid(
            "a subscription is not followed inside a transaction, which would stay open meanwhile; "
            "use that of the client, and handle_each() for a transaction with each event"
        )
    return means
