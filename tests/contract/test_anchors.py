"""The anchor log: one tree over the heads of all tenants, in which each finds itself and learns nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from aureus.errors import Forbidden, IntegrityFailure, Invalid, NotFound
from aureus.model.merkle import Tree, empty_root, verify_consistency
from tests.contract.stage import Stage
from tests.support.consuming import seal

BLOCK = 256
"""Leaves of a subtree that is kept."""


def grow(stage: Stage, count: int = 1) -> None:
    """Append to a tenant's ledger and seal it."""
    for number in range(count):
        stage.stores.events.append("a/1", "t", {"n": number})
    seal(stage)


def test_heads_that_have_grown_are_anchored_once(
    stage: Stage, another_stage: Callable[[str], Stage]
) -> None:
    assert stage.stores.anchors.append() == []
    empty = stage.stores.anchors.get_head()
    assert (empty.size, empty.root, empty.anchored_at) == (0, empty_root(), None)
    other = another_stage("globex")
    grow(stage, 2)
    grow(other)
    first = stage.stores.anchors.append()
    heads = [one.stores.ledger.get_head() for one in (stage, other)]
    assert {(one.tenant_key, one.size, one.root) for one in first} == {
        (head.tenant_key, head.size, head.root) for head in heads
    }
    assert other.stores.anchors.append() == []
    grow(other)
    (third,) = other.stores.anchors.append()
    assert (third.position, third.size) == (2, 2)
    assert stage.stores.anchors.list() == [*first, third]
    assert stage.stores.anchors.list(from_position=2, limit=1) == [third]
    tree = Tree()
    tree.extend(anchor.leaf_hash for anchor in [*first, third])
    head = stage.stores.anchors.get_head()
    assert (head.size, head.root) == (3, tree.root())
    assert head.anchored_at == stage.backend.clock.now()


def test_a_tenant_is_shown_that_its_head_lies_under_the_one_root(
    stage: Stage, another_stage: Callable[[str], Stage]
) -> None:
    others = [another_stage(f"tenant-{number}") for number in range(4)]
    for one in (stage, *others):
        grow(one)
    stage.stores.anchors.append(limit=2)
    stage.stores.anchors.append()
    for one in (stage, *others):
        head = one.stores.ledger.get_head()
        proof = one.stores.anchors.prove(head.tenant_key)
        assert proof.holds()
        assert (proof.anchor.size, proof.anchor.root) == (head.size, head.root)
        assert proof.log_root == stage.stores.anchors.get_head().root
        assert not replace(proof, anchor=replace(proof.anchor, size=9)).holds()
        assert not replace(proof, hashes=proof.hashes[:-1]).holds()
    log = stage.stores.anchors
    first, last = Tree(), Tree()
    first.extend(anchor.leaf_hash for anchor in log.list(limit=2))
    last.extend(anchor.leaf_hash for anchor in log.list())
    grown = log.prove_consistency(2, 5)
    assert verify_consistency(2, 5, grown, first.root(), last.root())
    with pytest.raises(NotFound, match="never anchored"):
        stage.stores.anchors.prove("nobody")


def test_anchors_cannot_be_changed_and_limits_are_checked(stage: Stage) -> None:
    grow(stage)
    stage.stores.anchors.append()
    for statement in ("UPDATE {} SET size = 9", "DELETE FROM {}"):
        with (
            stage.backend.transaction(stage.tenant) as tx,
            pytest.raises((IntegrityFailure, Forbidden)),
        ):
            tx.execute(statement.format(stage.table("anchors")))
    with pytest.raises(Invalid, match="limit is 0"):
        stage.stores.anchors.append(limit=0)
    with pytest.raises(Invalid, match="1,000"):
        stage.stores.anchors.list(limit=1001)


def test_many_anchors_keep_the_subtrees_that_proofs_need(stage: Stage) -> None:
    """More than one block of 256 leaves."""
    for _ in range(BLOCK + 4):
        grow(stage)
        stage.stores.anchors.append()
    head = stage.stores.ledger.get_head()
    proof = stage.stores.anchors.prove(head.tenant_key)
    assert proof.holds()
    assert (proof.anchor.position, proof.log_size) == (BLOCK + 3, BLOCK + 4)
