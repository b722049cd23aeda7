"""What consumers of subscriptions do: read what is sealed, and move positions that they hold."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from aureus._database.operation import AsyncStore, Operations, Store, read, write
from aureus._database.statement import (
    Op,
    Queries,
    Row,
    current_time,
    fetch_all,
    fetch_one,
    last,
    last_all,
)
from aureus.errors import IntegrityFailure, Invalid, LeaseLost, VersionConflict
from aureus.model.subscriptions import (
    BUCKETS_MAX,
    PARKED_STREAMS_MAX,
    Held,
    ParkedStream,
    SealedPage,
    Tried,
    Wanted,
)
from aureus.stores.subscriptions.rows import (
    held_json,
    held_of,
    parameters_of,
    parked_of,
    sealed_event_of,
)
from aureus.subject_keys.opening import opened_events

sql = Queries("subscriptions")

SCAN_MAX = 2000
"""Positions that one look goes through: some 20 ms of work. The statement has this number too."""

READ_MAX = 500
"""Events that one look brings at most."""

READ_BYTES_MAX = 8 * 1024 * 1024
"""Bytes of content that one look brings, before the event with which it is more: an event may have 4 MiB."""


class ConsumerOperations(Operations):
    """Operations of a consumer."""

    @read
    def read_sealed(
        self,
        after_position: int,
        wanted: Wanted,
        *,
        bucket_count: int = 1,
        held: Sequence[Held] = (),
        limit: int = READ_MAX,
        scan: int = SCAN_MAX,
        bytes_max: int = READ_BYTES_MAX,
    ) -> Op[SealedPage]:
        """Return events behind a position, in the order of positions, and how far that look went.

        It goes through at most 2,000 positions, so that a filter that lets little through makes progress, and no call
        is long; it brings at most 500 events, and no further one when these have 8 MiB of content. With
        several buckets only events of the ``held`` ones are returned, behind the position of each. An event whose
        content was erased comes without it.

        Raises ``IntegrityFailure`` when a sealed entry or its event is missing: nothing is passed over.
        """
        if not 1 <= scan <= SCAN_MAX:
            raise Invalid(f"scan is {scan}; a look goes through 1 to {SCAN_MAX:,} positions")
        count = max(1, min(limit, READ_MAX))
        rows = yield from fetch_all(
            sql.read_sealed,
            _as_it_is,
            after_position=after_position,
            scan=scan,
            limit=count,
            bytes_max=bytes_max,
            bucket_count=bucket_count,
            held=held_json(held),
            **parameters_of(wanted),
        )
        size, has_unsealed, scanned_count, last_position, missing_position = rows[0][:5]
        _check_dense(after_position, scan, size, scanned_count, last_position, missing_position)
        found = yield from opened_events([row[5:-1] for row in rows if row[5] is not None], 1)
        events = tuple(sealed_event_of(row) for row in found)
        reached = after_position if last_position is None else last_position
        if events and (len(events) == count or rows[-1][-1] >= bytes_max):
            reached = events[-1].position or 0
        return SealedPage(events, reached, size, bool(has_unsealed))

    @write
    def claim(self, name: str) -> Op[Held | None]:
        """Take over the one bucket of a subscription; None when there is none of this name. Atomic."""
        return (yield from last(sql.claim_bucket, held_of, name=name))

    @write
    def advance(self, name: str, held: Sequence[Held], *, is_strict: bool = False) -> Op[set[int]]:
        """Move buckets to the positions given, each only while its epoch holds; return those that moved. Atomic.

        Repeating it is harmless, unless ``is_strict``: then a bucket that is there already does not move.
        """
        now = yield from current_time()
        moved = yield from last_all(
            sql.advance_buckets,
            _number,
            name=name,
            held=held_json(held),
            is_strict=is_strict,
            now=now,
        )
        return set(moved)

    @write
    def release(self, name: str, held: Sequence[Held]) -> Op[set[int]]:
        """Move buckets as far as they have come, and give them back in order; return those that were held. Atomic.

        Repeating it is harmless.
        """
        now = yield from current_time()
        given = yield from last_all(
            sql.release_buckets, _number, name=name, held=held_json(held), now=now
        )
        return set(given)

    @write
    def handled(self, name: str, held: Sequence[Held]) -> Op[None]:
        """Move buckets in the transaction that handled their events. Raises ``LeaseLost``: it must not be."""
        moved = yield from self._advance(name, held, is_strict=True)
        for one in held:
            if one.bucket not in moved:
                raise lost(name, one.bucket)

    @write
    def note_try(self, name: str, held: Held, tried: Tried) -> Op[None]:
        """Note how often the event behind a bucket's position was tried. Atomic.

        Repeating it is harmless. Raises ``LeaseLost``.
        """
        noted = yield from last(
            sql.note_try,
            bool,
            name=name,
            bucket=held.bucket,
            epoch=held.epoch,
            position=tried.position,
            count=tried.count,
            error=tried.error,
            first_tried_at=tried.first_at,
        )
        if noted is None:
            raise lost(name, held.bucket)

    @read
    def has_reached(self, name: str, held: Sequence[Held]) -> Op[bool]:
        """Return whether a bucket is at a position or beyond. Raises ``LeaseLost`` when it is not held any more."""
        for one in held:
            position = yield from fetch_one(
                sql.get_position, _number, name=name, bucket=one.bucket, epoch=one.epoch
            )
            if position is None:
                raise lost(name, one.bucket)
            if position < one.position:
                return False
        return True

    # Streams of which an event could not be handled.

    @read
    def list_parked(self, name: str) -> Op[list[ParkedStream]]:
        """Return the parked streams of a subscription, all that there may be."""
        return (
            yield from fetch_all(
                sql.list_parked,
                parked_of,
                name=name,
                after_stream="",
                limit=PARKED_STREAMS_MAX * BUCKETS_MAX,
            )
        )

    @write
    def park(
        self, name: str, held: Held, stream: str, attempt_count: int, error: str, since: datetime
    ) -> Op[None]:
        """Move a bucket past an event that failed, and let its stream wait there. Atomic.

        ``since`` is when it failed first. Repeating it is harmless. Raises ``LeaseLost``.
        """
        moved = yield from self._advance(name, [held], is_strict=False)
        if not moved:
            raise lost(name, held.bucket)
        now = yield from current_time()
        yield from fetch_one(
            sql.park_stream,
            bool,
            name=name,
            stream=stream,
            bucket=held.bucket,
            position=held.position,
            attempt_count=attempt_count,
            error=error,
            first_failed_at=since,
            now=now,
        )

    @write
    def keep_parked(self, name: str, held: Held, parked: ParkedStream) -> Op[None]:
        """Note that a parked stream failed again, where it is parked, with this count and error. Atomic.

        Repeating it is harmless. Raises ``LeaseLost``.
        """
        yield from self._lock(name, held)
        now = yield from current_time()
        yield from fetch_one(
            sql.keep_parked,
            bool,
            name=name,
            stream=parked.stream,
            position=parked.position,
            attempt_count=parked.attempt_count,
            error=parked.error,
            now=now,
        )

    @write
    def move_parked(
        self, name: str, held: Held, stream: str, position: int, *, is_strict: bool
    ) -> Op[None]:
        """Note that the event at a position of a parked stream is handled. Atomic.

        Repeating it is harmless, unless ``is_strict``. Raises ``LeaseLost``, and ``VersionConflict`` when the stream is
        parked further on, because somebody decided to skip, or not at all.
        """
        yield from self._lock(name, held)
        moved = yield from fetch_one(
            sql.move_parked, bool, name=name, stream=stream, position=position, is_strict=is_strict
        )
        if moved is None:
            raise VersionConflict(
                f"stream {stream!r} of {name!r} is not parked at position {position} any more",
                name=name,
                stream=stream,
                position=position,
            )

    @write
    def unpark(self, name: str, held: Held, stream: str) -> Op[None]:
        """Let a stream be handled with the others from a position of its bucket on. Atomic.

        Repeating it is harmless. Raises ``LeaseLost``.
        """
        moved = yield from self._advance(name, [held], is_strict=False)
        if not moved:
            raise lost(name, held.bucket)
        yield from fetch_one(sql.unpark_stream, bool, name=name, stream=stream)

    def _advance(self, name: str, held: Sequence[Held], *, is_strict: bool) -> Op[list[int]]:
        now = yield from current_time()
        return (
            yield from fetch_all(
                sql.advance_buckets,
                _number,
                name=name,
                held=held_json(held),
                is_strict=is_strict,
                now=now,
            )
        )

    def _lock(self, name: str, held: Held) -> Op[None]:
        locked = yield from fetch_one(
            sql.lock_bucket, bool, name=name, bucket=held.bucket, epoch=held.epoch
        )
        if locked is None:
            raise lost(name, held.bucket)


class ConsumerStore(ConsumerOperations, Store):
    """What consumers do, for threads."""


class AsyncConsumerStore(ConsumerOperations, AsyncStore):
    """What consumers do, awaited."""


def lost(name: str, bucket: int) -> LeaseLost:
    """Return the error of a consumer that was taken over."""
    return LeaseLost(
        f"bucket {bucket} of subscription {name!r} is not this consumer's any more: another one has taken it over, "
        "or it was reset or deleted",
        name=name,
        bucket=bucket,
    )


def _check_dense(
    after_position: int,
    scan: int,
    size: int,
    scanned_count: int,
    last_position: int | None,
    missing_position: int | None,
) -> None:
    """Raise ``IntegrityFailure`` unless every position of a look has its entry, and every entry its event."""
    if missing_position is not None:
        raise IntegrityFailure(
            f"the entry at position {missing_position} is sealed, but its event is missing; "
            "`aureus ledger verify` says more",
            position=missing_position,
        )
    expected = min(size - 1, after_position + scan) - after_position
    if scanned_count < expected or (
        last_position is not None and last_position - after_position != scanned_count
    ):
        raise IntegrityFailure(
            f"the ledger has {size} sealed entries, but there is a gap behind position {after_position}; "
            "`aureus ledger verify` says more",
            position=after_position,
            size=size,
        )


def _number(row: Row) -> int:
    return int(row[0])


def _as_it_is(row: Row) -> Row:
    return row
