"""The head of the anchor log is signed only when it goes on from what was seen, and what was changed in it is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from aureus.errors import HistoryRewound, IntegrityFailure, NotFound
from aureus.ledger.keys import SigningKey
from aureus.ledger.notes import Note
from aureus.ledger.proofs import verified_head
from aureus.ledger.seen_heads import SeenHead, SeenHeads
from aureus.model.heads import Head
from aureus.model.verification import FindingKind
from tests.contract.stage import Stage
from tests.contract.test_anchors import grow

KEY = SigningKey("aureus", bytes(range(32)))
OTHER = SigningKey("aureus", bytes(32))


def folder(stage: Stage) -> SeenHeads:
    return SeenHeads(Path(str(stage.backend.settings.ledger.heads)))


def test_one_signed_head_covers_all_tenants(
    stage: Stage, another_stage: Callable[[str], Stage]
) -> None:
    other = another_stage("globex")
    grow(stage)
    grow(other)
    done = stage.stores.anchors.anchor(KEY, OTHER)
    assert (done.anchored_count, done.head.size) == (2, 2)
    note = Note.from_text(done.note)
    for key in (KEY, OTHER):
        assert verified_head(note, [key.public]).is_anchored
    again = other.stores.anchors.anchor(KEY)
    assert (again.anchored_count, again.head) == (0, done.head)
    assert len(Note.from_text(again.note).signatures) == 2
    report = stage.stores.anchors.verify(keys=[KEY.public], notes=[note])
    assert report.is_intact, report.summary
    assert (report.entry_count, [head.size for head in report.anchors]) == (2, [2])
    assert not stage.stores.anchors.verify(
        keys=[SigningKey("aureus", bytes([1] * 32)).public], notes=[note]
    ).is_intact


def test_an_older_log_is_neither_signed_nor_passed_over(stage: Stage) -> None:
    grow(stage)
    head = stage.stores.anchors.anchor(KEY).head
    key = head.origin.rpartition("/")[2]
    ahead = replace(head, size=head.size + 3, root=bytes(32))
    folder(stage).accept(key, SeenHead(ahead))
    with pytest.raises(HistoryRewound, match="accept-restore --anchors"):
        stage.stores.anchors.anchor(KEY)
    assert [one.kind for one in stage.stores.anchors.verify().findings] == [FindingKind.REWOUND]
    begun = stage.stores.anchors.accept_restore(actor="ada")
    assert begun.log_key != key
    (entry,) = stage.stores.audit.list(actor="ada").entries
    assert (entry.action, entry.details["before"]) == ("ledger.accept-restore", key)
    grow(stage)
    assert stage.stores.anchors.anchor(KEY).head.origin.endswith(begun.log_key)
    assert stage.stores.anchors.verify().is_intact
    with pytest.raises(NotFound, match="nothing to accept"):
        stage.stores.anchors.accept_restore(actor="ada")


def test_a_log_with_another_past_is_not_signed(stage: Stage) -> None:
    grow(stage)
    head = stage.stores.anchors.anchor().head
    other = Head(head.origin, head.size, bytes(32))
    folder(stage).accept(head.origin.rpartition("/")[2], SeenHead(other))
    with pytest.raises(IntegrityFailure, match="verify --anchors"):
        stage.stores.anchors.anchor(KEY)
    assert [one.kind for one in stage.stores.anchors.verify().findings] == [FindingKind.RECOMPUTED]


def test_a_log_of_several_blocks_is_intact_until_a_kept_hash_is_changed(
    stage: Stage,
    monkeypatch: pytest.MonkeyPatch,
    tamper: Callable[[Stage, str, str], None],
) -> None:
    monkeypatch.setattr("aureus.ledger.anchoring.ANCHORS_MAX", 100)
    for _ in range(260):
        grow(stage)
        stage.stores.anchors.append()
    report = stage.stores.anchors.verify()
    assert report.is_intact, report.summary
    assert report.entry_count == 260
    tamper(
        stage,
        "anchor_nodes",
        f"UPDATE {stage.table('anchor_nodes')} SET hash = (SELECT max(leaf_hash) FROM {stage.table('anchors')})",
    )
    (finding,) = stage.stores.anchors.verify().findings
    assert (finding.kind, finding.position) == (FindingKind.COLUMN, 0)


def test_a_tree_is_compared_with_its_newest_anchor(stage: Stage) -> None:
    grow(stage, 3)
    (anchor,) = stage.stores.anchors.append()
    grow(stage, 2)
    assert [head.size for head in stage.stores.ledger.verify().unsigned_heads] == [anchor.size]
