"""A round that finds the tree extended by somebody else says so, and does not go on as if it had sealed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from aureus.errors import Conflict, IntegrityFailure
from aureus.model.ledger import LedgerHead
from aureus.model.merkle import empty_root
from aureus.stores.ledger import _extended

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HEAD = LedgerHead("0a", 1, 0, empty_root(), b"", 0, NOW)


def test_a_head_that_was_set_by_somebody_else_is_a_conflict() -> None:
    work = _extended(HEAD, 10, NOW)
    next(work)
    work.send([(1, 7, bytes(32))])
    with pytest.raises(Conflict, match="nothing was sealed"):
        work.send([])


def test_a_head_that_contradicts_itself_is_not_extended() -> None:
    work = _extended(
        LedgerHead("0a", 1, 0, bytes(32), b"", 0, NOW),
        10,
        NOW,
    )
    next(work)
    with pytest.raises(IntegrityFailure, match="contradicts itself"):
        work.send([(1, 7, bytes(32))])
