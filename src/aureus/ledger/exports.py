"""Exports: entries as JSON lines, and beside them a proof file; both are verified with nothing but a public key.

An export is of one of two kinds. A *range* holds all entries from a position up to a head, and shows that none is
missing in between: the tree is computed from its lines. A *selection* holds some entries, each with its own proof of
inclusion; it shows that each is what was sealed, and cannot show that there are no others.

The lines are entries (`aureus.ledger.lines`), and in a range the kept roots of blocks, each before the first entry of
its block: by them damage is told to its place. The proof file is one JSON object: the head, the state that a range
begins behind, signed notes, and proofs from their heads to this one. Reading both takes constant memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import IO, Any, cast

from aureus.codec import encode
from aureus.errors import AureusError, IntegrityFailure
from aureus.ledger.contents import Contents
from aureus.ledger.findings import Findings
from aureus.ledger.keys import PublicKey
from aureus.ledger.lines import LINE_BYTES_MAX, entry_from, entry_line, json_object
from aureus.ledger.notes import Note
from aureus.ledger.proofs import VerifiedHead
from aureus.ledger.verifier import Verifier
from aureus.model.heads import Head
from aureus.model.merkle import (
    HASH_BYTES,
    TILE_LEVELS,
    TILE_WIDTH,
    Tree,
    verify_consistency,
    verify_inclusion,
)
from aureus.model.verification import FindingKind, SealedEntry, Verification

FORMAT = "aureus-export@v1"
"""What every proof file of an export names."""

PROOF_BYTES_MAX = 4 * 1024 * 1024
"""Bytes of a proof file: its parts grow with the logarithm of the ledger, and with the number of notes."""

NODES_MAX = 64
"""Kept roots that are known at one time: of the blocks of a page, and one for each level above them."""

SELECTED_MAX = 200_000
"""Positions of a selection that are remembered, to tell a line that stands there twice: 20 MB."""

_PAGE = TILE_WIDTH
_PROOF = frozenset({"proof"})
_PROOF_FILE = {"format", "kind", "head", "peaks", "start", "signed_heads"}


@dataclass(frozen=True, slots=True)
class SignedHead:
    """A note with a head, and what leads from it to the head of the export: None where the lines themselves do."""

    note: Note
    consistency: tuple[bytes, ...] | None = None


@dataclass(frozen=True, slots=True)
class ExportProof:
    """The proof file of an export."""

    head: Head
    peaks: bytes
    """The peaks of the head's tree; empty for a selection."""
    start: Tree | None = None
    """The tree that a range begins behind; None where it begins at position 0."""
    is_selection: bool = False
    signed_heads: tuple[SignedHead, ...] = ()

    def __str__(self) -> str:
        start = self.start
        value = {
            "format": FORMAT,
            "kind": "selection" if self.is_selection else "range",
            "head": self.head.text(),
            "peaks": self.peaks.hex(),
            "start": None
            if start is None
            else {"size": start.size, "peaks": start.to_bytes().hex()},
            "signed_heads": [
                {
                    "note": str(one.note),
                    "consistency": None
                    if one.consistency is None
                    else [value.hex() for value in one.consistency],
                }
                for one in self.signed_heads
            ],
        }
        return encode(value, what="the proof of an export").decode() + "\n"

    @classmethod
    def from_text(cls, text: str) -> ExportProof:
        """Return the proof in the text of a file. Raises ``IntegrityFailure`` for what is none."""
        what = "the proof file"
        if len(text) > PROOF_BYTES_MAX:
            raise IntegrityFailure(f"{what} is larger than any proof file")
        value = json_object(text, what)
        if value.get("format") != FORMAT or value.get("kind") not in {"range", "selection"}:
            raise IntegrityFailure(f"{what} is not of the format {FORMAT}")
        if value.keys() != _PROOF_FILE:
            raise IntegrityFailure(f"{what} has not the parts that a proof file has, and no others")
        try:
            return cls(
                head=Head.from_text(value["head"]),
                peaks=bytes.fromhex(value["peaks"]),
                start=None if value["start"] is None else _start(value["start"]),
                is_selection=value["kind"] == "selection",
                signed_heads=tuple(_signed_head(one) for one in value["signed_heads"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError, AureusError) as error:
            raise IntegrityFailure(f"{what} is damaged: {error}") from error


def range_lines(
    entries: Iterable[SealedEntry], nodes: Mapping[tuple[int, int], bytes]
) -> Iterator[bytes]:
    """Yield the lines of a page of a range: kept roots before the first entry of their block."""
    for entry in entries:
        if entry.position % TILE_WIDTH == 0:
            number = entry.position >> TILE_LEVELS
            for level, index in sorted(key for key in nodes if _is_begun(key, number)):
                yield _node_line(level, index, nodes[level, index])
        yield entry_line(entry) + b"\n"


def selection_line(entry: SealedEntry, proof: Sequence[bytes]) -> bytes:
    """Return the line of one selected entry, with what leads from it to the root of the head."""
    hashes = ",".join(f'"{value.hex()}"' for value in proof)
    return entry_line(entry)[:-1] + f',"proof":[{hashes}]}}\n'.encode()


def verify_export(
    lines: Iterable[bytes], proof: ExportProof, keys: Iterable[PublicKey] = ()
) -> Verification:
    """Return what there is to say about an export, as a verification of the ledger itself does.

    Without keys nothing is anchored. Raises ``IntegrityFailure`` for lines that are no entries at all.
    """
    known = list(keys)
    if proof.is_selection:
        return _verify_selection(lines, proof, known)
    notes = Findings()
    direct, proved = _trusted_heads(proof, known, notes)
    verifier = Verifier(proof.head, proof.peaks, heads=direct, start=proof.start, findings=notes)
    for page, nodes in _pages(lines):
        verifier.read(page, nodes)
    report = verifier.finish()
    anchors = {*report.anchors, *(one.head for one in proved)}
    return replace(report, anchors=tuple(sorted(anchors, key=lambda head: head.size)))


def read_lines(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the lines of a file that may be hostile: none is longer than the largest entry."""
    number = 0
    while line := file.readline(LINE_BYTES_MAX + 1):
        number += 1
        if len(line) > LINE_BYTES_MAX:
            raise IntegrityFailure(f"line {number} is longer than any entry")
        yield line


@dataclass(slots=True)
class _Page:
    entries: list[SealedEntry] = field(default_factory=list[SealedEntry])
    nodes: dict[tuple[int, int], bytes] = field(default_factory=dict[tuple[int, int], bytes])


def _pages(
    lines: Iterable[bytes],
) -> Iterator[tuple[list[SealedEntry], dict[tuple[int, int], bytes]]]:
    """Yield pages of entries; a kept root stays until its block is over."""
    page = _Page()
    for number, line in enumerate(lines, start=1):
        what = f"line {number}"
        value = json_object(line, what)
        if "level" in value:
            if len(page.nodes) >= NODES_MAX:
                raise IntegrityFailure(f"{what} is a kept root too many: blocks have fewer")
            _take_node(page, value, what)
            continue
        page.entries.append(entry_from(value, what))
        if len(page.entries) >= _PAGE:
            yield page.entries, page.nodes
            position = page.entries[-1].position
            page = _Page(
                nodes={
                    (level, index): root
                    for (level, index), root in page.nodes.items()
                    if (index + 1) << level > position + 1
                }
            )
    yield page.entries, page.nodes


def _take_node(page: _Page, value: dict[str, Any], what: str) -> None:
    try:
        level, index, root = int(value["level"]), int(value["index"]), bytes.fromhex(value["hash"])
    except (KeyError, TypeError, ValueError) as error:
        raise IntegrityFailure(f"{what} is no kept root of a block") from error
    if value.keys() != {"level", "index", "hash"}:
        raise IntegrityFailure(f"{what} has more in it than a kept root of a block")
    if len(root) != HASH_BYTES or level % TILE_LEVELS or not TILE_LEVELS <= level < 64:
        raise IntegrityFailure(f"{what} is no kept root of a block")
    page.nodes[level, index] = root


def _node_line(level: int, index: int, root: bytes) -> bytes:
    return f'{{"level":{level},"index":{index},"hash":"{root.hex()}"}}\n'.encode()


def _is_begun(key: tuple[int, int], block: int) -> bool:
    """Return whether a kept root is that of a subtree that begins with this block."""
    level, index = key
    return index << (level - TILE_LEVELS) == block


def _start(value: dict[str, Any]) -> Tree:
    if value.keys() != {"size", "peaks"}:
        raise ValueError("its start has other parts than size and peaks")
    return Tree.from_bytes(value["size"], bytes.fromhex(value["peaks"]))


def _signed_head(value: Any) -> SignedHead:
    one = cast(dict[str, Any], value)
    hashes = one["consistency"]
    if one.keys() != {"note", "consistency"}:
        raise ValueError("a signed head has other parts than its note and consistency")
    return SignedHead(
        Note.from_text(one["note"], signed=False),
        None if hashes is None else tuple(bytes.fromhex(text) for text in hashes),
    )


def _trusted_heads(
    proof: ExportProof, keys: Sequence[PublicKey], findings: Findings
) -> tuple[list[VerifiedHead], list[VerifiedHead]]:
    """Return the signed heads that the lines are compared with, and those that a proof leads from."""
    if not keys:
        return [], []
    direct: list[VerifiedHead] = []
    proved: list[VerifiedHead] = []
    for one in proof.signed_heads:
        verified = findings.add_note(one.note, keys, origin=proof.head.origin)
        if verified is None:
            continue
        if one.consistency is None:
            direct.append(verified)
        elif verify_consistency(
            verified.head.size,
            proof.head.size,
            one.consistency,
            verified.head.root,
            proof.head.root,
        ):
            proved.append(verified)
        else:
            findings.add(
                FindingKind.RECOMPUTED,
                f"nothing leads from the signed head of size {verified.head.size} to the head of the export",
                0,
                verified.head.size - 1,
            )
    return direct, proved


def _verify_selection(
    lines: Iterable[bytes], proof: ExportProof, keys: Sequence[PublicKey]
) -> Verification:
    findings = Findings()
    direct, proved = _trusted_heads(proof, keys, findings)
    anchors = [one.head for one in proved]
    anchors += [one.head for one in direct if one.head == proof.head]
    contents = Contents(findings, from_beginning=False)
    count, head = 0, proof.head
    seen: set[int] = set()
    for number, line in enumerate(lines, start=1):
        value = json_object(line, f"line {number}")
        entry = entry_from(value, f"line {number}", beside=_PROOF)
        count += 1
        if not verify_inclusion(
            entry.sealed_hash, entry.position, head.size, _hashes(value, number), head.root
        ):
            message = f"the proof of line {number} does not lead to the head: line, proof or head was changed"
            findings.add(FindingKind.INSERTED, message, entry.position, entry=entry)
            continue
        if entry.position in seen:
            message = f"line {number} is about an entry that another line is about already"
            findings.add(FindingKind.INSERTED, message, entry.position, entry=entry)
        if len(seen) < SELECTED_MAX:
            seen.add(entry.position)
        contents.check_alone(entry)
    return Verification(
        head=head,
        first_position=0,
        entry_count=count,
        findings=findings.in_order(),
        finding_count=findings.count,
        redactions=tuple(contents.redactions),
        redaction_count=contents.redaction_count,
        anchors=tuple(sorted(anchors, key=lambda one: one.size)),
        versions_unchecked=count,
        erasures_unchecked=contents.erasures_unchecked,
        withheld_count=contents.withheld.withheld_count,
        unreadable_count=contents.withheld.unreadable_count,
    )


def _hashes(value: dict[str, Any], number: int) -> list[bytes]:
    try:
        return [bytes.fromhex(text) for text in value["proof"]]
    except (KeyError, TypeError, ValueError) as error:
        raise IntegrityFailure(f"line {number} has no proof of its own") from error
