"""The tree is that of RFC 6962, whatever it grew by; a proof holds as it was made, and in no other way."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aureus.errors import IntegrityFailure, Invalid
from aureus.model.merkle import (
    TILE_WIDTH,
    Node,
    Span,
    Subtrees,
    Tree,
    consistency_proof,
    consistency_spans,
    empty_root,
    inclusion_proof,
    inclusion_spans,
    subtrees_of,
    verify_consistency,
    verify_inclusion,
)

patient = settings(deadline=None)
"""Machines are crowded at times; nothing here is about speed."""

# The values that implementations of RFC 6962 agree on: eight entries, the roots of the first n of them, and proofs.

ENTRIES = [
    bytes.fromhex(entry)
    for entry in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]

ROOTS = [
    bytes.fromhex(root)
    for root in (
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    )
]

INCLUSION = {
    (0, 1): [],
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (5, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
    (1, 5): [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}

CONSISTENCY = {
    (1, 1): [],
    (1, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 5): [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
    (6, 7): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
}

SIZES = st.integers(1, 700)


def hashed(entry: bytes) -> bytes:
    return sha256(b"\x00" + entry).digest()


LEAVES = [hashed(entry) for entry in ENTRIES]
MANY = [hashed(index.to_bytes(4, "big")) for index in range(700)]


def naive_root(leaves: list[bytes]) -> bytes:
    """Return the root as RFC 6962, section 2.1, defines it."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return sha256(b"\x01" + naive_root(leaves[:split]) + naive_root(leaves[split:])).digest()


def naive_subtrees(leaves: list[bytes]) -> Subtrees:
    def root_of(level: int, index: int) -> bytes:
        part = leaves[index << level : (index + 1) << level]
        assert len(part) == 1 << level, "only complete subtrees are asked for"
        return naive_root(part)

    return root_of


def kept_hashes(leaves: list[bytes]) -> dict[tuple[int, int], bytes]:
    """Return what a store keeps: the leaf hashes, and what growing hands out."""
    kept = {(0, index): leaf for index, leaf in enumerate(leaves)}
    tree = Tree()
    for leaf in leaves:
        kept |= {(node.level, node.index): node.hash for node in tree.append(leaf)}
    return kept


KEPT = kept_hashes(MANY)


def loaded(spans: list[Span]) -> Subtrees:
    """Return what a store reads for the spans, and nothing besides."""
    return subtrees_of({
        (span.level, index): KEPT[span.level, index]
        for span in spans
        for index in range(span.first, span.end)
    })  # fmt: skip


class TestGrowing:
    def test_the_roots_are_those_that_everybody_computes(self) -> None:
        tree = Tree()
        assert tree.root() == ROOTS[0] == empty_root()
        for count, leaf in enumerate(LEAVES, start=1):
            tree.append(leaf)
            assert tree.root() == ROOTS[count]
            assert tree.size == count

    @patient
    @given(st.lists(st.integers(0, 300), max_size=6))
    def test_in_whatever_parts_leaves_come_the_tree_is_the_same(self, parts: list[int]) -> None:
        tree, leaves = Tree(), list[bytes]()
        for part in parts:
            added = [hashed(bytes([len(leaves) + at & 0xFF, part & 0xFF])) for at in range(part)]
            leaves += added
            tree.extend(added)
            assert tree.root() == naive_root(leaves)

    @patient
    @given(SIZES, st.integers(0, 300))
    def test_it_goes_on_from_its_stored_state(self, size: int, more: int) -> None:
        tree = Tree()
        tree.extend(MANY[:size])
        again = Tree.from_bytes(tree.size, tree.to_bytes())
        again.extend(MANY[size : size + more])
        assert again.root() == naive_root(MANY[: size + more])
        assert tree.root() == naive_root(MANY[:size])

    @patient
    @given(st.lists(st.integers(1, 400), max_size=4))
    def test_the_kept_subtrees_it_completes_are_handed_out_once(self, parts: list[int]) -> None:
        tree, kept = Tree(), list[Node]()
        leaves = [hashed(str(index).encode()) for index in range(sum(parts))]
        for part in parts:
            kept += tree.extend(leaves[tree.size : tree.size + part])
        complete = len(leaves) // TILE_WIDTH
        assert [(node.level, node.index) for node in kept] == [(8, at) for at in range(complete)]
        for node in kept:
            assert node.hash == naive_root(leaves[node.index * 256 : (node.index + 1) * 256])

    def test_higher_levels_are_kept_too(self) -> None:
        tree = Tree()
        leaf = hashed(b"again")
        kept = [node for _ in range(3) for node in tree.extend([leaf] * 30_000)]
        assert [node.index for node in kept if node.level == 8] == list(range(90_000 // 256))
        (high,) = [node for node in kept if node.level == 16]
        root = leaf
        for _ in range(16):
            root = sha256(b"\x01" + root + root).digest()
        assert high == Node(16, 0, root)

    def test_a_copy_grows_alone(self) -> None:
        tree = Tree()
        tree.extend(LEAVES[:3])
        tree.copy().extend(LEAVES[3:])
        assert (tree.size, tree.root()) == (3, ROOTS[3])
        assert len(tree.peaks) == 2

    def test_what_is_no_hash_is_no_leaf(self) -> None:
        tree = Tree()
        with pytest.raises(Invalid):
            tree.extend([LEAVES[0], b"short"])
        assert tree.size == 0

    @pytest.mark.parametrize(
        ("size", "peaks"),
        [(1, b""), (0, bytes(32)), (3, bytes(96)), (2, bytes(31)), (-1, bytes(32))],
    )
    def test_a_state_whose_size_and_peaks_disagree_is_refused(
        self, size: int, peaks: bytes
    ) -> None:
        with pytest.raises(IntegrityFailure):
            Tree.from_bytes(size, peaks)


class TestProofs:
    @pytest.mark.parametrize(("index", "size"), INCLUSION)
    def test_inclusion_is_proved_as_everybody_does(self, index: int, size: int) -> None:
        proof = [bytes.fromhex(text) for text in INCLUSION[index, size]]
        assert inclusion_proof(index, size, naive_subtrees(LEAVES)) == proof
        assert verify_inclusion(LEAVES[index], index, size, proof, ROOTS[size])

    @pytest.mark.parametrize(("old", "new"), CONSISTENCY)
    def test_consistency_is_proved_as_everybody_does(self, old: int, new: int) -> None:
        proof = [bytes.fromhex(text) for text in CONSISTENCY[old, new]]
        assert consistency_proof(old, new, naive_subtrees(LEAVES)) == proof
        assert verify_consistency(old, new, proof, ROOTS[old], ROOTS[new])

    @patient
    @given(SIZES, st.data())
    def test_every_leaf_is_proved_from_few_stored_hashes(
        self, size: int, data: st.DataObject
    ) -> None:
        index = data.draw(st.integers(0, size - 1))
        spans = inclusion_spans(index, size)
        proof = inclusion_proof(index, size, loaded(spans))
        assert proof == inclusion_proof(index, size, naive_subtrees(MANY[:size]))
        assert verify_inclusion(MANY[index], index, size, proof, naive_root(MANY[:size]))

    @patient
    @given(SIZES, SIZES)
    def test_every_earlier_tree_is_proved_from_few_stored_hashes(self, one: int, two: int) -> None:
        old, new = sorted((one, two))
        spans = consistency_spans(old, new)
        proof = consistency_proof(old, new, loaded(spans))
        assert proof == consistency_proof(old, new, naive_subtrees(MANY[:new]))
        old_root, new_root = naive_root(MANY[:old]), naive_root(MANY[:new])
        assert verify_consistency(old, new, proof, old_root, new_root)

    @patient
    @given(st.integers(1, 2**62), st.integers(1, 2**62))
    def test_a_proof_in_the_largest_tree_reads_few_hashes(self, one: int, two: int) -> None:
        old, new = sorted((one, two))
        for spans in (inclusion_spans(old - 1, new), consistency_spans(old, new)):
            by_level = [span.level for span in spans]
            assert all(by_level.count(level) <= 2 for level in by_level)
            assert all(0 < span.end - span.first <= TILE_WIDTH for span in spans)
            assert all(span.end <= new >> span.level for span in spans)

    def test_a_missing_stored_hash_is_named(self) -> None:
        hashes = {key: root for key, root in KEPT.items() if key != (8, 1)}
        with pytest.raises(IntegrityFailure, match="level 8, index 1") as refused:
            inclusion_proof(0, 600, subtrees_of(hashes))
        assert (refused.value.level, refused.value.index) == (8, 1)

    @pytest.mark.parametrize(("index", "size"), [(0, 0), (1, 1), (-1, 4), (0, 2**63)])
    def test_a_leaf_that_is_not_there_has_no_proof(self, index: int, size: int) -> None:
        with pytest.raises(Invalid):
            inclusion_proof(index, size, naive_subtrees(LEAVES))
        assert not verify_inclusion(LEAVES[0], index, size, [], LEAVES[0])

    @pytest.mark.parametrize(("old", "new"), [(0, 0), (0, 4), (5, 4), (-1, 4), (1, 2**63)])
    def test_nothing_is_proved_between_these_sizes(self, old: int, new: int) -> None:
        with pytest.raises(Invalid):
            consistency_proof(old, new, naive_subtrees(LEAVES))

    @pytest.mark.parametrize("proof", [[], [ROOTS[4]]])
    def test_the_empty_tree_proves_nothing(self, proof: list[bytes]) -> None:
        assert not verify_consistency(0, 4, proof, ROOTS[0], ROOTS[4])
        assert not verify_consistency(0, 0, proof, ROOTS[0], ROOTS[0])

    def test_equal_trees_need_no_hash_and_allow_none(self) -> None:
        assert verify_consistency(4, 4, [], ROOTS[4], ROOTS[4])
        assert not verify_consistency(4, 4, [ROOTS[4]], ROOTS[4], ROOTS[4])
        assert not verify_consistency(4, 4, [], ROOTS[4], ROOTS[5])
        assert not verify_consistency(4, 5, [], ROOTS[4], ROOTS[5])
        assert not verify_consistency(3, 5, [], ROOTS[3], ROOTS[5])


def damaged(proof: list[bytes], data: st.DataObject) -> list[bytes]:
    """Return a proof that differs: a bit, one hash fewer, one more, or two swapped."""
    ways = ["extra"] + ["flip", "cut"] * bool(proof) + ["swap"] * (len(set(proof)) > 1)
    way = data.draw(st.sampled_from(ways))
    at = data.draw(st.integers(0, max(0, len(proof) - 1)))
    if way == "flip":
        flipped = bytearray(proof[at])
        flipped[data.draw(st.integers(0, 31))] ^= 1 << data.draw(st.integers(0, 7))
        return [*proof[:at], bytes(flipped), *proof[at + 1 :]]
    if way == "cut":
        return proof[:at] + proof[at + 1 :]
    if way == "extra":
        extra = data.draw(st.sampled_from([bytes(32), b"", *proof]))
        at = data.draw(st.integers(0, len(proof)))
        return [*proof[:at], extra, *proof[at:]]
    other = next(index for index, value in enumerate(proof) if value != proof[at])
    swapped = list(proof)
    swapped[at], swapped[other] = swapped[other], swapped[at]
    return swapped


class TestWhatIsRefused:
    @patient
    @given(SIZES, st.data())
    def test_a_damaged_inclusion_proof(self, size: int, data: st.DataObject) -> None:
        index = data.draw(st.integers(0, size - 1))
        proof = inclusion_proof(index, size, loaded(inclusion_spans(index, size)))
        bad = damaged(proof, data)
        assert not verify_inclusion(MANY[index], index, size, bad, naive_root(MANY[:size]))

    @patient
    @given(SIZES, st.data())
    def test_an_inclusion_proof_for_something_else(self, size: int, data: st.DataObject) -> None:
        index = data.draw(st.integers(0, size - 1))
        proof = inclusion_proof(index, size, loaded(inclusion_spans(index, size)))
        root = naive_root(MANY[:size])
        other = data.draw(st.integers(0, size + 1).filter(lambda at: at != index))
        assert not verify_inclusion(MANY[index], other, size, proof, root)
        assert not verify_inclusion(bytes(32), index, size, proof, root)
        assert not verify_inclusion(b"", index, size, proof, root)
        assert not verify_inclusion(MANY[index], index, size, proof, bytes(32))
        assert not verify_inclusion(MANY[index], index, size, proof, b"")

    @patient
    @given(SIZES, SIZES, st.data())
    def test_a_damaged_consistency_proof(self, one: int, two: int, data: st.DataObject) -> None:
        old, new = sorted((one, two))
        proof = consistency_proof(old, new, loaded(consistency_spans(old, new)))
        bad = damaged(proof, data)
        old_root, new_root = naive_root(MANY[:old]), naive_root(MANY[:new])
        assert not verify_consistency(old, new, bad, old_root, new_root)

    @patient
    @given(SIZES, SIZES)
    def test_a_consistency_proof_for_other_roots(self, one: int, two: int) -> None:
        old, new = sorted((one, two))
        proof = consistency_proof(old, new, loaded(consistency_spans(old, new)))
        old_root, new_root = naive_root(MANY[:old]), naive_root(MANY[:new])
        assert not verify_consistency(old, new, proof, bytes(32), new_root)
        assert not verify_consistency(old, new, proof, old_root, bytes(32))
        assert not verify_consistency(old, new, proof, b"", b"")
        if old != new:
            assert not verify_consistency(old, new, proof, new_root, old_root)
            assert not verify_consistency(new, old, proof, new_root, old_root)

    @patient
    @given(st.integers(2, 300), st.data())
    def test_another_beginning(self, size: int, data: st.DataObject) -> None:
        old = data.draw(st.integers(1, size))
        at = data.draw(st.integers(0, old - 1))
        other = [*MANY[:at], bytes(32), *MANY[at + 1 : old]]
        proof = consistency_proof(old, size, loaded(consistency_spans(old, size)))
        assert not verify_consistency(old, size, proof, naive_root(other), naive_root(MANY[:size]))
