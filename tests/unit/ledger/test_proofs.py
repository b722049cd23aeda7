"""A proof file is C2SP's tlog-proof: what it shows holds offline, and nothing else does."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aureus.errors import IntegrityFailure, Invalid, LimitExceeded
from aureus.ledger.keys import SigningKey
from aureus.ledger.notes import Note
from aureus.ledger.proofs import FIRST_LINE, InclusionProof, verified_head
from aureus.model.heads import Head
from aureus.model.merkle import Tree, empty_root, inclusion_proof, subtrees_of

patient = settings(deadline=None)
"""Machines are crowded at times; nothing here is about speed."""

KEY = SigningKey("aureus", bytes(range(32)))
OTHER = SigningKey("aureus", bytes(32))
STRANGER = SigningKey("elsewhere", bytes(32))
LEAVES = [sha256(b"\x00" + bytes([number])).digest() for number in range(7)]


def head(size: int = 7, origin: str = "aureus/0a") -> Head:
    tree = Tree()
    tree.extend(LEAVES[:size])
    return Head(origin, size, tree.root())


def proof(index: int = 4, size: int = 7, extra: bytes | None = None) -> InclusionProof:
    subtrees = subtrees_of({(0, at): leaf for at, leaf in enumerate(LEAVES)})
    hashes = inclusion_proof(index, size, subtrees)
    return InclusionProof(index, tuple(hashes), Note(head(size).text()).signed_by(KEY), extra)


class TestHeads:
    def test_the_text_is_that_of_the_specification(self) -> None:
        # the example of C2SP's tlog-checkpoint
        text = (
            "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
        )
        read = Head.from_text(text)
        assert (read.origin, read.size) == ("example.com/behind-the-sofa", 20852163)
        assert read.root.hex().startswith("0ac5186a91863e8e")
        assert read.text() == text
        assert Head.from_text(text + "an extension\n") == read

    @patient
    @given(st.integers(1, 2**63 - 1), st.binary(min_size=32, max_size=32))
    def test_every_head_comes_back_from_its_text(self, size: int, root: bytes) -> None:
        made = Head("aureus/0a", size, root)
        assert Head.from_text(made.text()) == made
        assert made.to_dict() == {"origin": "aureus/0a", "size": size, "root": root.hex()}

    @pytest.mark.parametrize(
        "change",
        [
            ("aureus/0a\n", ""),
            ("aureus/0a", "aureus 0a"),
            ("aureus/0a", ""),
            ("\n7\n", "\n07\n"),
            ("\n7\n", "\n-7\n"),
            ("\n7\n", "\n7 \n"),
            ("\n7\n", "\n٧\n"),
            ("\n7\n", "\n9223372036854775808\n"),
            ("\n7\n", "\n0\n"),
            ("=\n", "\n"),
            ("=\n", "=\n\n"),
            ("=\n", "="),
            ("=\n", "==\n"),
        ],
        ids=repr,
    )
    def test_what_is_no_head_is_refused(self, change: tuple[str, str]) -> None:
        text = head().text()
        changed = text.replace(*change)
        assert changed != text
        with pytest.raises(Invalid):
            Head.from_text(changed)

    def test_no_entries_have_one_root(self) -> None:
        assert Head("a", 0, empty_root()).size == 0
        with pytest.raises(Invalid, match="no leaves"):
            Head("a", 0, bytes(32))
        with pytest.raises(Invalid, match="32 bytes"):
            Head("a", 1, b"")


class TestProofFiles:
    @patient
    @given(st.integers(1, 7), st.data(), st.none() | st.binary(min_size=1, max_size=50))
    def test_a_proof_comes_back_from_its_text_and_holds(
        self, size: int, data: st.DataObject, extra: bytes | None
    ) -> None:
        index = data.draw(st.integers(0, size - 1))
        read = InclusionProof.from_text(str(proof(index, size, extra)))
        assert read == proof(index, size, extra)
        verified = read.verify(LEAVES[index], [KEY.public], origin="aureus/0a")
        assert verified.head == head(size)
        assert verified.keys == (KEY.public,)
        assert verified.is_anchored

    def test_the_form_is_that_of_the_specification(self) -> None:
        lines = str(proof(extra=b"more")).split("\n")
        assert lines[:3] == [FIRST_LINE, "extra bW9yZQ==", "index 4"]
        assert lines[6:9] == ["", "aureus/0a", "7"]
        assert lines[10] == ""
        assert lines[11].startswith("— aureus ")
        assert lines[12:] == [""]

    def test_for_another_entry_position_or_head_it_does_not_hold(self) -> None:
        made = proof()
        for changed, leaf in (
            (made, LEAVES[3]),
            (replace(made, index=5), LEAVES[4]),
            (replace(made, hashes=made.hashes[:-1]), LEAVES[4]),
            (replace(made, hashes=(*made.hashes, LEAVES[0])), LEAVES[4]),
            (replace(made, checkpoint=Note(head(6).text()).signed_by(KEY)), LEAVES[4]),
        ):
            with pytest.raises(IntegrityFailure, match="does not lead"):
                changed.verify(leaf, [KEY.public])

    def test_without_a_signature_nothing_is_anchored(self) -> None:
        made = proof()
        unsigned = replace(made, checkpoint=Note(made.checkpoint.text))
        read = InclusionProof.from_text(str(unsigned))
        assert not read.verify(LEAVES[4]).is_anchored
        with pytest.raises(IntegrityFailure, match="signed by nobody"):
            read.verify(LEAVES[4], [KEY.public])

    def test_a_signature_is_no_anchor_for_who_has_no_key(self) -> None:
        verified = proof().verify(LEAVES[4])
        assert not verified.is_anchored
        assert verified.to_dict()["signed_by"] == []

    def test_keys_are_replaced_by_knowing_both(self) -> None:
        old = proof()
        new = replace(old, checkpoint=Note(old.checkpoint.text).signed_by(OTHER))
        for made, key in ((old, KEY), (new, OTHER)):
            assert made.verify(LEAVES[4], [KEY.public, OTHER.public]).keys == (key.public,)

    def test_a_wrong_key_is_told(self) -> None:
        with pytest.raises(IntegrityFailure, match="none of the keys"):
            proof().verify(LEAVES[4], [OTHER.public])
        with pytest.raises(IntegrityFailure, match="do not speak for"):
            proof().verify(LEAVES[4], [STRANGER.public])

    def test_the_head_of_another_tree_is_told(self) -> None:
        with pytest.raises(IntegrityFailure, match="not of aureus/0b"):
            proof().verify(LEAVES[4], [KEY.public], origin="aureus/0b")
        note = Note(head(origin="aureus2/0a").text()).signed_by(KEY)
        with pytest.raises(IntegrityFailure, match="do not speak for"):
            verified_head(note, [KEY.public])

    @pytest.mark.parametrize(
        "change",
        [
            (FIRST_LINE, "c2sp.org/tlog-proof@v2"),
            ("extra bW9yZQ==", "extra bW9yZQ"),
            ("extra bW9yZQ==", "more bW9yZQ=="),
            ("index 4\n", ""),
            ("index 4", "index 04"),
            ("index 4", "index four"),
            ("index 4", "index -4"),
            ("index 4\n", "index 4\nAAAA\n"),
            ("\n\naureus", "\naureus"),
            ("\n7\n", "\nseven\n"),
        ],
        ids=repr,
    )
    def test_what_is_no_proof_file_is_refused(self, change: tuple[str, str]) -> None:
        text = str(proof(extra=b"more"))
        changed = text.replace(*change)
        assert changed != text
        with pytest.raises(Invalid):
            InclusionProof.from_text(changed)

    def test_a_proof_has_limits(self) -> None:
        made = replace(proof(), hashes=(LEAVES[0],) * 64)
        with pytest.raises(LimitExceeded):
            InclusionProof.from_text(str(made))
