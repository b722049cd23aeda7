"""Notes and keys are those of C2SP's signed-note: others read ours, we read theirs, and nothing changed is believed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aureus.errors import (
    AlreadyExists,
    ConfigInvalid,
    Forbidden,
    IntegrityFailure,
    Invalid,
    LimitExceeded,
    NotFound,
)
from aureus.ledger.keys import PublicKey, SigningKey
from aureus.ledger.notes import NOTE_BYTES_MAX, SIGNATURES_MAX, Note, Signature

patient = settings(deadline=None)
"""Machines are crowded at times; nothing here is about speed."""

# The values that other implementations of the format publish for their tests.

PUBLIC_TEXT = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
SIGNER_TEXT = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
NOTE_TEXT = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
)
SIGNATURE_LINE = (
    "— PeterNeumann "
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)

PUBLIC = PublicKey.from_text(PUBLIC_TEXT)
ONE = SigningKey("ledger.example", bytes(range(32)))
TWO = SigningKey("ledger.example", bytes(range(1, 33)))


class TestPublishedValues:
    def test_a_key_has_the_published_name_id_and_text(self) -> None:
        assert (PUBLIC.name, PUBLIC.key_id.hex()) == ("PeterNeumann", "c74f20a3")
        assert PUBLIC.text == PUBLIC_TEXT
        assert SigningKey.from_secret_text(SIGNER_TEXT).public == PUBLIC
        assert SigningKey.from_secret_text(SIGNER_TEXT).secret_text() == SIGNER_TEXT

    def test_a_published_note_verifies(self) -> None:
        note = Note.from_text(NOTE_TEXT + "\n" + SIGNATURE_LINE)
        assert note.text == NOTE_TEXT
        assert list(note.verify([ONE.public, PUBLIC])) == [PUBLIC]

    def test_our_signature_is_the_published_one(self) -> None:
        note = Note(NOTE_TEXT).signed_by(SigningKey.from_secret_text(SIGNER_TEXT))
        assert str(note) == NOTE_TEXT + "\n" + SIGNATURE_LINE

    def test_no_part_of_a_public_key_is_one(self) -> None:
        for first in range(len(PUBLIC_TEXT)):
            for end in range(first + 1, len(PUBLIC_TEXT) + 1):
                if (first, end) != (0, len(PUBLIC_TEXT)):
                    with pytest.raises(Invalid):
                        PublicKey.from_text(PUBLIC_TEXT[first:end])

    @patient
    @given(st.integers(0, len(PUBLIC_TEXT) - 1), st.characters(codec="ascii"))
    def test_no_changed_public_key_is_one(self, at: int, sign: str) -> None:
        changed = PUBLIC_TEXT[:at] + sign + PUBLIC_TEXT[at + 1 :]
        if changed.strip() != PUBLIC_TEXT:
            with pytest.raises(Invalid):
                PublicKey.from_text(changed)


class TestNotes:
    @patient
    @given(st.text(st.characters(exclude_categories=["Cc", "Cs"]) | st.just("\n"), max_size=60))
    def test_what_was_signed_is_read_back_and_verifies(self, text: str) -> None:
        note = Note(text + "\n").signed_by(ONE, TWO)
        read = Note.from_text(str(note))
        assert read == note
        assert read.verify([ONE.public, TWO.public]) == [ONE.public, TWO.public]

    @patient
    @given(st.integers(0), st.data())
    def test_a_changed_text_never_verifies(self, seed: int, data: st.DataObject) -> None:
        text = f"some text {seed}\n"
        note = Note(text).signed_by(ONE)
        at = data.draw(st.integers(0, len(text) - 2))
        other = Note(text[:at] + "#" + text[at + 1 :], note.signatures)
        with pytest.raises(IntegrityFailure, match="was changed"):
            other.verify([ONE.public])

    @patient
    @given(st.integers(0, 63), st.integers(0, 7))
    def test_a_changed_signature_never_verifies(self, at: int, bit: int) -> None:
        (made,) = Note(NOTE_TEXT).signed_by(ONE).signatures
        changed = bytearray(made.signature)
        changed[at] ^= 1 << bit
        note = Note(NOTE_TEXT, (Signature(made.name, made.key_id, bytes(changed)),))
        with pytest.raises(IntegrityFailure, match="not over this text"):
            note.verify([ONE.public])

    def test_signatures_of_unknown_keys_are_ignored(self) -> None:
        same_name = Signature("ledger.example", b"\0\0\0\1", b"whatever")
        same_id = Signature("other.example", ONE.public.key_id, b"whatever")
        note = Note(NOTE_TEXT, (same_name, same_id)).signed_by(ONE)
        assert note.verify([ONE.public]) == [ONE.public]

    def test_one_false_signature_of_a_known_key_spoils_the_note(self) -> None:
        false = Signature(TWO.public.name, TWO.public.key_id, bytes(64))
        note = Note(NOTE_TEXT, (false,)).signed_by(ONE)
        assert note.verify([ONE.public]) == [ONE.public]
        with pytest.raises(IntegrityFailure):
            note.verify([ONE.public, TWO.public])

    def test_a_note_that_nobody_known_signed_is_not_believed(self) -> None:
        with pytest.raises(IntegrityFailure, match=r"signed by ledger\.example"):
            Note(NOTE_TEXT).signed_by(ONE).verify([TWO.public, PUBLIC])
        with pytest.raises(IntegrityFailure, match="signed by nobody"):
            Note(NOTE_TEXT).verify([ONE.public])

    def test_signing_again_replaces_the_signature_of_the_same_key(self) -> None:
        note = Note(NOTE_TEXT).signed_by(ONE).signed_by(TWO).signed_by(ONE)
        assert [one.key_id for one in note.signatures] == [TWO.public.key_id, ONE.public.key_id]

    def test_the_last_empty_line_ends_the_text(self) -> None:
        note = Note("first\n\n— looks like a signature\n\nlast\n").signed_by(ONE)
        assert Note.from_text(str(note)).text == note.text

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "text\n",
            "text\n\n",
            NOTE_TEXT + SIGNATURE_LINE,
            NOTE_TEXT + "\n" + SIGNATURE_LINE[:-1],
            NOTE_TEXT + "\n" + SIGNATURE_LINE.replace("— ", "- "),
            NOTE_TEXT + "\n" + SIGNATURE_LINE.replace("=", ""),
            NOTE_TEXT + "\n" + SIGNATURE_LINE.replace("nAM=", "nAN="),
            NOTE_TEXT + "\n— PeterNeumann x08gow==\n",
            NOTE_TEXT + "\n—  x08go/ZJkuBS\n",
            NOTE_TEXT + "\n— Peter+Neumann x08go/ZJkuBS\n",
            NOTE_TEXT + "\n" + SIGNATURE_LINE + "more\n",
            NOTE_TEXT + "\r\n\n" + SIGNATURE_LINE,
            "\ud800" + NOTE_TEXT + "\n" + SIGNATURE_LINE,
        ],
    )
    def test_what_is_no_note_is_refused(self, text: str) -> None:
        with pytest.raises(Invalid):
            Note.from_text(text)

    def test_a_note_has_limits(self) -> None:
        many = NOTE_TEXT + "\n" + SIGNATURE_LINE * SIGNATURES_MAX
        assert len(Note.from_text(many).signatures) == SIGNATURES_MAX
        with pytest.raises(LimitExceeded):
            Note.from_text(many + SIGNATURE_LINE)
        with pytest.raises(LimitExceeded):
            Note.from_text("é" * (NOTE_BYTES_MAX // 2 + 1))

    def test_an_unsigned_note_is_read_only_where_it_may_be(self) -> None:
        unsigned = Note(NOTE_TEXT)
        assert Note.from_text(str(unsigned), signed=False) == unsigned
        with pytest.raises(Invalid):
            Note.from_text(str(unsigned))
        with pytest.raises(Invalid, match="end of a line"):
            Note("no end")


class TestKeyFiles:
    def test_a_key_comes_back_from_its_file(self, tmp_path: Path) -> None:
        made = SigningKey.generate("ledger.example")
        made.save(tmp_path / "key")
        loaded = SigningKey.load(tmp_path / "key")
        assert loaded.public == made.public
        assert loaded.sign(b"x") == made.sign(b"x")

    def test_only_its_owner_can_read_it(self, tmp_path: Path) -> None:
        ONE.save(tmp_path / "key")
        assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
        (tmp_path / "key").chmod(0o640)
        with pytest.raises(Forbidden, match="chmod 600"):
            SigningKey.load(tmp_path / "key")

    def test_a_key_is_never_overwritten(self, tmp_path: Path) -> None:
        ONE.save(tmp_path / "key")
        (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
        for name in ("key", "link"):
            with pytest.raises(AlreadyExists):
                TWO.save(tmp_path / name)
        assert SigningKey.load(tmp_path / "key").public == ONE.public
        assert not (tmp_path / "elsewhere").exists()

    def test_two_generated_keys_differ(self) -> None:
        assert SigningKey.generate("a").public.key != SigningKey.generate("a").public.key

    def test_what_is_no_key_file_is_refused_without_telling_what_is_in_it(
        self, tmp_path: Path
    ) -> None:
        with pytest.raises(NotFound):
            SigningKey.load(tmp_path / "none")
        with pytest.raises(Invalid, match="no regular file"):
            SigningKey.load(tmp_path)
        with pytest.raises(ConfigInvalid):
            ONE.save(tmp_path / "none" / "key")
        for content in (
            b"hunter2",
            b"PRIVATE+KEY+a+hunter2",
            b"\xffhunter2",
            SIGNER_TEXT.replace("c74", "c75").encode(),
        ):
            (tmp_path / "bad").write_bytes(content)
            (tmp_path / "bad").chmod(0o600)
            with pytest.raises(Invalid) as refused:
                SigningKey.load(tmp_path / "bad")
            assert "hunter2" not in refused.value.message
            assert "AYEKFA" not in refused.value.message

    def test_a_key_does_not_show_itself(self) -> None:
        assert "PRIVATE" not in repr(ONE)
        assert ONE.secret_text().rpartition("+")[2] not in repr(ONE)

    @pytest.mark.parametrize("name", ["", "two words", "a+b", "a\tb", "a\u2003b", "x" * 301])
    def test_a_name_that_a_note_cannot_hold_is_refused(self, name: str) -> None:
        with pytest.raises(Invalid):
            SigningKey.generate(name)

    def test_a_key_speaks_for_its_ledger_and_the_trees_below(self) -> None:
        key = ONE.public
        assert key.speaks_for("ledger.example")
        assert key.speaks_for("ledger.example/0123")
        assert not key.speaks_for("ledger.example2/0123")
        assert not key.speaks_for("ledger")
