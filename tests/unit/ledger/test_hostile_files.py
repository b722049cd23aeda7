"""Files from strangers: whatever is in them, what is raised is ours, and nothing that was changed is believed."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aureus.codec import decode, encode_made
from aureus.errors import AureusError, IntegrityFailure
from aureus.ledger.exports import ExportProof, SignedHead, range_lines, verify_export
from aureus.ledger.keys import PublicKey, SigningKey
from aureus.ledger.lines import entry_line, entry_of
from aureus.ledger.notes import Note
from aureus.ledger.proofs import InclusionProof, verify_proof
from aureus.model.heads import Head
from aureus.model.merkle import inclusion_proof, subtrees_of
from tests.support.ledgers import many_entries

patient = settings(deadline=None)
"""Machines are crowded at times; nothing here is about speed."""

KEY = SigningKey("aureus", bytes(range(32)))
LEDGER = many_entries(9).ledger()
NOTE = Note(LEDGER.head.text()).signed_by(KEY)
SUBTREES = subtrees_of({(0, at): one.sealed_hash for at, one in enumerate(LEDGER.entries)})
PROOF_TEXT = str(
    InclusionProof(4, tuple(inclusion_proof(4, 9, SUBTREES)), NOTE, entry_line(LEDGER.entries[4]))
)
LINES = b"".join(range_lines(LEDGER.entries, {}))
EXPORT_TEXT = str(
    ExportProof(LEDGER.head, LEDGER.tree.to_bytes(), signed_heads=(SignedHead(NOTE),))
)

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


def edited(text: str, data: st.DataObject) -> str:
    """Return a text with a part of it left out, doubled, or replaced."""
    first = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(first, min(len(text), first + 20)))
    part = data.draw(
        st.sampled_from(["", text[first:end] * 2, "\n", "0", "-1", "\ud800"]) | st.text(max_size=3)
    )
    return text[:first] + part + text[end:]


@patient
@given(st.text(max_size=200), st.data())
def test_a_note_or_key_is_refused_by_our_errors_only(text: str, data: st.DataObject) -> None:
    for candidate in (text, edited(str(NOTE), data), edited(KEY.public.text, data)):
        for read in (Note.from_text, PublicKey.from_text, Head.from_text, InclusionProof.from_text):
            with suppress(AureusError):
                read(candidate)


@patient
@given(st.data())
def test_an_edited_note_proves_nothing_else(data: st.DataObject) -> None:
    with suppress(AureusError):
        note = Note.from_text(edited(str(NOTE), data))
        note.verify([KEY.public])
        assert note.text == NOTE.text


@patient
@given(st.data())
def test_an_edited_proof_file_proves_nothing_else(data: st.DataObject) -> None:
    with suppress(AureusError):
        found = verify_proof(edited(PROOF_TEXT, data), [KEY.public])
        assert found.event.fields == LEDGER.entries[4].event.fields  # type: ignore[union-attr] # it has one
        assert found.event.payload == LEDGER.entries[4].event.payload  # type: ignore[union-attr] # it has one
        assert found.verified.head == LEDGER.head


def test_a_proof_file_cannot_say_that_the_entry_lies_elsewhere() -> None:
    """The position that the entry names is no part of its hash."""
    proof = InclusionProof.from_text(PROOF_TEXT)
    moved = entry_line(replace(LEDGER.entries[4], position=5))
    with pytest.raises(IntegrityFailure, match="the proof is for 4"):
        verify_proof(str(replace(proof, extra=moved)), [KEY.public])


@patient
@given(st.data())
def test_an_edited_export_is_intact_only_when_it_says_the_same(data: st.DataObject) -> None:
    text = edited(LINES.decode(), data)
    with suppress(AureusError, UnicodeEncodeError):
        lines = text.encode().splitlines(keepends=True)
        report = verify_export(lines, ExportProof.from_text(EXPORT_TEXT), [KEY.public])
        if report.is_intact:
            said = [entry_of(line).event for line in lines if line.strip()]
            whole = [(one.fields, one.payload, one.metadata) for one in said if one is not None]
            assert whole == [
                (one.fields, one.payload, one.metadata)
                for one in (entry.event for entry in LEDGER.entries)
                if one is not None
            ]


@patient
@given(st.data())
def test_an_edited_proof_of_an_export_is_refused_by_our_errors_only(data: st.DataObject) -> None:
    with suppress(AureusError):
        proof = ExportProof.from_text(edited(EXPORT_TEXT, data))
        verify_export(LINES.splitlines(keepends=True), proof, [KEY.public])


@patient
@given(st.sampled_from(sorted(decode(entry_line(LEDGER.entries[0])))), ANYTHING)
def test_a_line_of_anything_is_refused_by_our_errors_only(name: str, value: Any) -> None:
    line = decode(entry_line(LEDGER.entries[0])) | {name: value}
    with suppress(AureusError):
        entry_of(encode_made(line))
