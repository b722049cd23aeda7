"""Checks of what is stored beside the entries of a ledger and follows from them; each returns what is wrong.

They read what entries are found by (batches, streams, references), what the tree is proved from (kept roots), and what
a tenant's ledger and trail are told to do (incarnation, mode). Each is one statement, so that what others write in the
same moment is no finding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aureus._database.operation import AsyncStore, Operations, Store, read
from aureus._database.statement import Op, Queries, Row, last, last_all
from aureus.model.signed_heads import LedgerTotals

sql = Queries("ledger_checks")

LISTED_MAX = 100
"""Things of one kind that are listed."""


@dataclass(frozen=True, slots=True)
class ModeAndChange:
    """The row of a trail's mode, and the event of its last change."""

    mode: str | None
    version: int | None
    """None where there is no row."""
    changed_by: str | None
    change_count: int
    """Events that changed it."""
    actor: str | None
    """Whose the last of them is."""
    payload: bytes | None
    """What that one says; None without one, and when it was erased."""


class LedgerCheckOperations(Operations):
    """What a verification asks beside the entries."""

    @read
    def get_totals(self) -> Op[LedgerTotals]:
        """Return how many events there are and where they are. It counts all events of the tenant."""
        totals = yield from last(sql.get_totals, lambda row: LedgerTotals(*row))
        return totals or LedgerTotals(0, 0, 0, 0, 0, 0, 0)

    @read
    def list_strays(self, *, limit: int = LISTED_MAX) -> Op[list[tuple[int, str]]]:
        """Return entry number and identifier of events that are neither sealed nor waiting. It reads all events."""
        return (yield from last_all(sql.list_strays, _number_and_text, limit=limit))

    @read
    def is_waiting(self, entry_no: int) -> Op[bool]:
        """Return whether an event that is not sealed waits to be."""
        return (yield from last(sql.is_waiting, bool, entry_no=entry_no)) is not None

    @read
    def list_wrong_batches(
        self, position: int, *, limit: int = LISTED_MAX
    ) -> Op[list[tuple[int, int]]]:
        """Return first position and size of batches whose numbers do not follow from what they hold."""
        return (
            yield from last_all(
                sql.list_wrong_batches, _two_numbers, position=position, limit=limit
            )
        )

    @read
    def list_wrong_nodes(self, *, limit: int = LISTED_MAX) -> Op[list[tuple[int, int]]]:
        """Return level and index of kept roots that belong to no complete subtree."""
        return (yield from last_all(sql.list_wrong_nodes, _two_numbers, limit=limit))

    @read
    def list_wrong_streams(self, *, limit: int = LISTED_MAX) -> Op[list[str]]:
        """Return streams whose row says something else than their events."""
        return (yield from last_all(sql.list_wrong_streams, _text, limit=limit))

    @read
    def list_lost_streams(self, *, limit: int = LISTED_MAX) -> Op[list[str]]:
        """Return streams that have events and no row. It reads all events."""
        return (yield from last_all(sql.list_lost_streams, _text, limit=limit))

    @read
    def list_wrong_references(self, *, limit: int = LISTED_MAX) -> Op[list[tuple[int, str, str]]]:
        """Return entry number, kind and value of references of what is no audit entry."""
        return (
            yield from last_all(
                sql.list_wrong_references,
                lambda row: (int(row[0]), str(row[1]), str(row[2])),
                limit=limit,
            )
        )

    @read
    def get_mode_and_change(self) -> Op[ModeAndChange | None]:
        """Return the mode of the tenant's trail and its last change; see `ModeAndChange`."""
        return (yield from last(sql.get_mode_and_change, _mode_and_change))

    @read
    def get_incarnation_and_restore(
        self, stream: str
    ) -> Op[tuple[int, int | None, bytes | None] | None]:
        """Return the incarnation, and version and payload of the last event in the stream of its beginnings."""
        return (
            yield from last(
                sql.get_incarnation_and_restore,
                lambda row: (int(row[0]), row[1], _bytes(row[2])),
                stream=stream,
            )
        )


def _mode_and_change(row: Row) -> ModeAndChange:
    mode, version, changed_by, _, actor, payload, count = row
    return ModeAndChange(mode, version, changed_by, int(count), actor, _bytes(payload))


def _number_and_text(row: Row) -> tuple[int, str]:
    return int(row[0]), str(row[1])


def _two_numbers(row: Row) -> tuple[int, int]:
    return int(row[0]), int(row[1])


def _text(row: Row) -> str:
    return str(row[0])


def _bytes(value: Any) -> bytes | None:
    return None if value is None else bytes(value)


class LedgerCheckStore(LedgerCheckOperations, Store):
    """Checks of a ledger, for threads."""


class AsyncLedgerCheckStore(LedgerCheckOperations, AsyncStore):
    """Checks of a ledger, awaited."""
