"""Collects what a verification finds: the first things are listed, all are counted."""

from __future__ import annotations

from collections.abc import Iterable

from aureus.errors import IntegrityFailure, Invalid
from aureus.ledger.keys import PublicKey
from aureus.ledger.notes import Note
from aureus.ledger.proofs import VerifiedHead, verified_head
from aureus.model.verification import FINDINGS_MAX, Finding, FindingKind, SealedEntry


class Findings:
    """What is wrong so far: the first ones, and how many there are."""

    def __init__(self) -> None:
        self._listed: dict[FindingKind, list[Finding]] = {}
        self.count = 0

    def add(
        self,
        kind: FindingKind,
        message: str,
        position: int | None = None,
        last_position: int | None = None,
        entry: SealedEntry | None = None,
    ) -> None:
        """Take one up."""
        event = None if entry is None else entry.event
        self._take(
            Finding(
                kind,
                message,
                position,
                last_position,
                None if entry is None else entry.entry_no,
                None if event is None else event.fields.event_id,
            )
        )

    def add_of(
        self,
        kind: FindingKind,
        message: str,
        position: int | None,
        entry_no: int,
        event_id: str | None,
    ) -> None:
        """Take up one about an entry that is not at hand any more."""
        self._take(Finding(kind, message, position, None, entry_no, event_id))

    def _take(self, finding: Finding) -> None:
        self.count += 1
        listed = self._listed.setdefault(finding.kind, [])
        if len(listed) < FINDINGS_MAX:
            listed.append(finding)

    def add_note(
        self,
        note: Note,
        keys: Iterable[PublicKey],
        *,
        origin: str | None = None,
        may_be_foreign: bool = False,
    ) -> VerifiedHead | None:
        """Return the head of a note that one of the keys signed; else take up what is wrong with it.

        One that ``may_be_foreign`` counts as unsigned when none of the keys signed it, because keys are replaced; a
        false signature of one of them is wrong in any case.
        """
        try:
            return verified_head(note, keys, origin=origin)
        except (IntegrityFailure, Invalid) as error:
            if may_be_foreign and "key_id" not in error.fields:
                return self._unsigned(note, origin)
            self.add(FindingKind.WRONG_KEY, error.message)
            return None

    def _unsigned(self, note: Note, origin: str | None) -> VerifiedHead | None:
        try:
            return verified_head(note, (), origin=origin)
        except (IntegrityFailure, Invalid) as error:
            self.add(FindingKind.WRONG_KEY, error.message)
            return None

    def in_order(self) -> tuple[Finding, ...]:
        """Return the first hundred by position, and of each kind the first one; those about no entry come last.

        So nobody hides what he did behind a hundred other edits.
        """
        ordered = sorted((one for listed in self._listed.values() for one in listed), key=_place)
        first_of_kind = {one.kind: one for one in reversed(ordered)}.values()
        room = FINDINGS_MAX - len(first_of_kind)
        others = [one for one in ordered if one not in first_of_kind][: max(0, room)]
        return tuple(sorted([*first_of_kind, *others], key=_place))


def _place(one: Finding) -> tuple[bool, int]:
    return one.position is None, one.position or 0
