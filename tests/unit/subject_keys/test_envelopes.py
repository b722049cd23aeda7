"""Envelopes: what was put in comes out with the same keys for the same entry, and with nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aureus.codec import encode
from aureus.errors import Invalid
from aureus.model.subject_keys import SubjectKey
from aureus.subject_keys.envelopes import (
    HEADER_BYTES_MAX,
    Content,
    EntryKeys,
    EnvelopeDamaged,
    entry_keys,
    is_envelope,
    key_ids_of,
)

ADA = SubjectKey("ada.1", bytes(range(32)))
BOB = SubjectKey("bob.1", bytes(range(1, 33)))
CONTENT = Content(b'{"text":"hello"}', b'{"m":1}')

ids = st.text("abcdefghijklmnopqrstuvwxyzABCXYZ0123456789._-", min_size=1, max_size=64)
keys = st.lists(
    st.builds(SubjectKey, ids, st.binary(min_size=32, max_size=32)),
    min_size=1,
    max_size=16,
    unique_by=lambda key: key.key_id,
)
contents = st.builds(Content, st.binary(max_size=300), st.none() | st.binary(max_size=100))
event_ids = st.text(min_size=1, max_size=40).filter(lambda text: text.isprintable())


@settings(deadline=None)
@given(keys, contents, event_ids)
def test_what_was_put_in_comes_out(
    people: list[SubjectKey], content: Content, event_id: str
) -> None:
    made = EntryKeys.of(people)
    envelope = made.encrypted(event_id, content)
    assert is_envelope(envelope)
    assert envelope.isascii()
    assert len(made.header) <= HEADER_BYTES_MAX
    assert key_ids_of(envelope) == tuple(sorted(key.key_id for key in people))
    again = EntryKeys.of(reversed(people))
    assert again.decrypted(event_id, envelope) == content
    assert again.encrypted(event_id, content) == envelope


@settings(deadline=None)
@given(keys, contents, st.data())
def test_a_changed_envelope_never_opens(
    people: list[SubjectKey], content: Content, data: st.DataObject
) -> None:
    made = EntryKeys.of(people)
    envelope = bytearray(made.encrypted("e1", content))
    place = data.draw(st.integers(0, len(envelope) - 1))
    envelope[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(EnvelopeDamaged):
        made.decrypted("e1", bytes(envelope))


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_an_envelope_of_certain_keys_or_of_none(stored: bytes) -> None:
    assert isinstance(key_ids_of(stored), tuple)
    with pytest.raises(EnvelopeDamaged):
        EntryKeys.of([ADA]).decrypted("e1", stored)


@settings(deadline=None)
@given(st.dictionaries(st.text(max_size=10), st.integers() | st.text(max_size=10), max_size=5))
def test_a_payload_is_never_taken_for_an_envelope(payload: dict[str, object]) -> None:
    stored = encode(payload, what="payload", bytes_max=10_000) if _fits(payload) else b"{}"
    assert not is_envelope(stored)


def _fits(payload: dict[str, object]) -> bool:
    try:
        encode(payload, what="payload", bytes_max=10_000)
    except Invalid:
        return False
    return True


def test_an_envelope_of_one_entry_does_not_open_as_that_of_another() -> None:
    made = EntryKeys.of([ADA])
    with pytest.raises(EnvelopeDamaged):
        made.decrypted("e2", made.encrypted("e1", CONTENT))


def test_it_takes_the_keys_of_all_people() -> None:
    both = EntryKeys.of([ADA, BOB])
    envelope = both.encrypted("e1", CONTENT)
    key_ids = key_ids_of(envelope)
    assert entry_keys(key_ids, {"ada.1": ADA}) is None
    assert entry_keys(key_ids, {"ada.1": ADA, "bob.1": BOB}) == both
    with pytest.raises(EnvelopeDamaged):
        EntryKeys.of([ADA]).decrypted("e1", both.header + envelope[len(both.header) :])
    assert entry_keys((), {}) is None


def test_the_salt_cannot_be_told_without_the_keys_and_differs_for_each_entry() -> None:
    made, other = EntryKeys.of([ADA]), EntryKeys.of([BOB])
    assert made.salt(b"\x01" * 32) == made.salt(b"\x01" * 32)
    assert len({made.salt(b"\x01" * 32), made.salt(b"\x02" * 32), other.salt(b"\x01" * 32)}) == 3


def test_format_1_does_not_change() -> None:
    made = EntryKeys.of([BOB, ADA])
    assert made.header == b'["aureus-payload-1","ada.1","bob.1"]'
    assert made.encrypted("e1", CONTENT).decode() == VECTOR
    assert made.salt(bytes(32)).hex() == SALT
    assert made.decrypted("e1", VECTOR.encode()) == CONTENT


def test_neither_keys_nor_what_follows_from_them_are_shown_by_accident() -> None:
    for shown in (repr(ADA), repr(EntryKeys.of([ADA]))):
        assert "key=" not in shown.replace("cipher_key=", "key=")
        assert "x02" not in shown


@pytest.mark.parametrize(
    ("key_id", "key"), [("", bytes(32)), ("a b", bytes(32)), ("a]", bytes(32)), ("x" * 65, bytes(32)), ("a", b"")]
)  # fmt: skip
def test_what_cannot_be_a_key_is_refused(key_id: str, key: bytes) -> None:
    with pytest.raises(Invalid):
        SubjectKey(key_id, key)


VECTOR = (
    '["aureus-payload-1","ada.1","bob.1"]'
    "B8bpWOjO98NU0jmguqlaSV3zOJvGiYR91SzXPM01A6U6Tn1PHdkjUMlh4IM="
)
SALT = "39c0a2a695f1409caf15a5b8a3ec35b681be27f910ed3ddf30c9b26c40b81eb7"
