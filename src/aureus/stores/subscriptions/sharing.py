"""How members of a consumer group share out its buckets: by leases, fenced by an epoch for each bucket."""

from __future__ import annotations

from aureus._database.operation import AsyncStore, Operations, Store, write
from aureus._database.statement import Op, Queries, fetch_all, fetch_one, last
from aureus.errors import LeaseLost
from aureus.model.subscriptions import Held, share_out
from aureus.stores.subscriptions.rows import bucket_of_row, held_of, member_of

sql = Queries("subscriptions")


class SharingOperations(Operations):
    """Operations of the members of a group."""

    @write
    def share(
        self,
        name: str,
        member_id: str,
        joining_id: str = "",
        *,
        lease_seconds: float,
        is_joining: bool = False,
    ) -> Op[list[Held] | None]:
        """Renew a membership, and take or give back buckets for all members to have their share; return what it holds.

        The membership ends ``lease_seconds`` from now, by the clock of the database, unless renewed; what an ended one
        held is free. A bucket that is taken gets a new epoch, so that who had it moves nothing any more. Buckets are
        given back as they are stored: store first. None when there is no such group. Atomic.

        ``joining_id`` tells consumers of the same name apart: one that is joining takes over from another one, and
        that gets ``LeaseLost``.
        """
        locked = yield from fetch_one(sql.lock_group, bool, name=name)
        if locked is None:
            return None
        members = yield from fetch_all(sql.list_members, member_of, name=name)
        before = next((one.joining_id for one in members if one.member_id == member_id), joining_id)
        if before != joining_id and not is_joining:
            raise replaced(name, member_id)
        yield from fetch_one(
            sql.renew_member,
            bool,
            name=name,
            member_id=member_id,
            joining_id=joining_id,
            lease_seconds=lease_seconds,
        )
        yield from fetch_all(sql.drop_lapsed_members, bool, name=name, member_id=member_id)
        members = yield from fetch_all(sql.list_members, member_of, name=name)
        buckets = yield from fetch_all(sql.list_buckets, bucket_of_row, name=name)
        sharing = share_out(
            member_id,
            [member.member_id for member in members],
            {one.bucket: one.member_id for one in buckets},
        )
        held = [
            one.held
            for one in buckets
            if one.member_id == member_id and one.bucket not in sharing.give
        ]
        take = list(sharing.take)
        if before != joining_id or is_joining:
            take, held = take + [one.bucket for one in held], []
        if sharing.give:
            yield from fetch_all(
                sql.give_buckets, bool, name=name, member_id=member_id, buckets=list(sharing.give)
            )
        if take:
            held += yield from fetch_all(
                sql.take_buckets,
                held_of,
                name=name,
                member_id=member_id,
                buckets=take,
            )
        return sorted(held, key=_number)

    @write
    def extend(
        self, name: str, member_id: str, joining_id: str = "", *, lease_seconds: float
    ) -> Op[bool]:
        """Renew a membership while its member is busy; return whether there still is one. Atomic."""
        extended = yield from last(
            sql.extend_member,
            bool,
            name=name,
            member_id=member_id,
            joining_id=joining_id,
            lease_seconds=lease_seconds,
        )
        return extended is not None

    @write
    def leave(self, name: str, member_id: str, joining_id: str = "") -> Op[bool]:
        """End a membership, so that others need not wait for its end; return whether there was one. Atomic.

        One that another consumer of the same name has by now is left as it is.
        """
        left = yield from fetch_one(
            sql.leave_group, bool, name=name, member_id=member_id, joining_id=joining_id
        )
        if left is not None:
            yield from fetch_all(sql.free_buckets, bool, name=name, member_id=member_id)
        return left is not None


class SharingStore(SharingOperations, Store):
    """What members of groups do, for threads."""


class AsyncSharingStore(SharingOperations, AsyncStore):
    """What members of groups do, awaited."""


def replaced(name: str, member_id: str) -> LeaseLost:
    """Return the error of a member whose name another consumer has taken."""
    return LeaseLost(
        f"another consumer has joined {name!r} under the name {member_id!r}; give each member a name of its own",
        name=name,
        member_id=member_id,
    )


def _number(held: Held) -> int:
    return held.bucket
