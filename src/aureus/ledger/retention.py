"""Retention of the audit trail: the payloads of its oldest sealed entries go, on record, and every proof still holds.

What may go is a prefix: the audit entries before a position, all of them older than a time, and none beyond the
newest signed head where there is one. Their rows, hashes and places in the tree stay. Records of erasures and what
vouches for snapshots are kept as they are, since verifying reads them; events that are no audit entries belong to what
they tell about.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from aureus._database.operation import AsyncStore, Operations, Store, write
from aureus._database.statement import (
    Op,
    Queries,
    Row,
    current_time,
    fetch_all,
    fetch_one,
    last,
    new_id,
)
from aureus.codec import check_text
from aureus.model.audit import PRUNE_ACTION, PrunedBatch
from aureus.model.erasures import REASON_CHARACTERS_MAX
from aureus.model.events import NAME_CHARACTERS_MAX, RESERVED_TYPES, AuditPoint, EventType, Fact
from aureus.model.plain import plain
from aureus.stores import erasures as entries
from aureus.stores.audit import MODES_STREAM, check_moment, check_name
from aureus.stores.ledger import head_of

sql = Queries("audit")
ledger_sql = Queries("ledger")
proof_sql = Queries("proofs")

_KEPT_TYPES = RESERVED_TYPES | {
    EventType.AUDIT_MODE_SET,
    EventType.LEDGER_RESTORED,
    EventType.STATE_SNAPSHOT,
}
"""What is never pruned: records of erasures, what tells when the trail and the ledger themselves were changed, and what
vouches for snapshots: without it each of them would seem to have been edited, and nobody could go back to it."""

LOOK_MAX = 2000
"""Positions that one batch looks at; at most ``stores.erasures.ENTRIES_MAX`` payloads of them go."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A sealed audit entry, and whether its payload may go."""

    position: int
    payload: tuple[int, str]
    """Entry number and identifier."""
    occurred_at: datetime
    may_go: bool


class RetentionOperations(Operations):
    """Operations that let go of what the audit trail held."""

    @write
    def prune_batch(
        self, before: datetime, *, actor: str, reason: str = "", record_id: str | None = None
    ) -> Op[PrunedBatch]:
        """Remove payloads and references of the oldest sealed audit entries, if they are older than a time.

        Atomic, with the entry that records it, ``record_id``; a repeated call with the same one removes nothing more.
        At most 500 entries: call it until ``is_done``. Raises ``Invalid``, and a retryable ``Conflict``.
        """
        check_moment(before, "before")
        check_name(actor, "actor", NAME_CHARACTERS_MAX)
        check_text(reason, "reason", characters_max=REASON_CHARACTERS_MAX)
        chosen = (yield from new_id()) if record_id is None else record_id
        check_name(chosen, "record_id", NAME_CHARACTERS_MAX)
        yield from entries.lock_erasures()
        first = (yield from fetch_one(sql.get_pruned_to, _number)) or 0
        earlier = yield from entries.find_record(chosen)
        if earlier is not None:
            return PrunedBatch(first, len(earlier.entry_nos), chosen, is_done=False)
        end = min((yield from _anchored_size()), first + LOOK_MAX)
        found = yield from fetch_all(sql.list_prunable, _candidate, first=first, end=end)
        older = _prefix(found, before)
        reached, is_over = end, end - first < LOOK_MAX
        if len(older) < len(found):
            reached, is_over = found[len(older)].position, True
        payloads = [one.payload for one in older if one.may_go]
        if len(payloads) > entries.ENTRIES_MAX:
            payloads = payloads[: entries.ENTRIES_MAX]
            reached, is_over = _position_behind(older, payloads[-1]), False
        if reached == first:
            return PrunedBatch(first, 0, None, is_done=True)
        if payloads:
            yield from entries.erase_payloads(
                payloads,
                erasure_id=chosen,
                record_id=chosen,
                fact=_record(chosen, before, reached, actor, reason, payloads),
            )
        now = yield from current_time()
        yield from last(sql.set_pruned_to, _number, pruned_to=reached, now=now)
        return PrunedBatch(reached, len(payloads), chosen if payloads else None, is_done=is_over)


class RetentionStore(RetentionOperations, Store):
    """Retention of one tenant's audit trail."""


class AsyncRetentionStore(RetentionOperations, AsyncStore):
    """Retention of one tenant's audit trail, awaited."""


def _anchored_size() -> Op[int]:
    """Return up to where entries are sealed and, where a head was ever signed, signed."""
    head = yield from fetch_one(ledger_sql.get_head, head_of)
    if head is None:
        return 0
    signed = yield from fetch_one(
        proof_sql.get_newest_signed, lambda row: int(row[1]), incarnation=head.incarnation
    )
    return head.size if signed is None else min(head.size, signed)


def _prefix(found: Sequence[_Candidate], before: datetime) -> list[_Candidate]:
    """Return the entries before the first one that is not older than a time."""
    for index, one in enumerate(found):
        if one.occurred_at >= before:
            return list(found[:index])
    return list(found)


def _position_behind(found: Sequence[_Candidate], payload: tuple[int, str]) -> int:
    return next(one.position + 1 for one in found if one.payload == payload)


def _record(
    record_id: str,
    before: datetime,
    pruned_to: int,
    actor: str,
    reason: str,
    payloads: entries.Payloads,
) -> Fact:
    """Return the fact that a batch states, by which a verifier finds who took the payloads away."""
    return Fact(
        stream=MODES_STREAM,
        type=EventType.PAYLOADS_ERASED,
        payload={
            "erasureId": record_id,
            "before": plain(before),
            "prunedTo": pruned_to,
            "reason": reason,
            "removed": {"event_payloads": len(payloads)},
            "entryNos": [entry_no for entry_no, _ in payloads],
            "event_ids": [event_id for _, event_id in payloads],
        },
        actor=actor,
        audit=AuditPoint(PRUNE_ACTION, "audit/retention", is_explicit=True),
        event_id=record_id,
    )


def _candidate(row: Row) -> _Candidate:
    position, entry_no, event_id, kind, occurred_at, is_there = row
    may_go = bool(is_there) and kind not in _KEPT_TYPES
    return _Candidate(int(position), (int(entry_no), str(event_id)), occurred_at, may_go)


def _number(row: Row) -> int:
    return int(row[0])
