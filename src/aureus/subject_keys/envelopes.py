"""How payload and metadata of an entry are encrypted: envelope format 1.

    envelope   = header ‖ base64(AES-256-SIV(cipher key, content; header, event_id)) header     =
    ["aureus-payload-1","<key id>",…]                        JSON without spaces, ids in their order content    =
    u32(length of payload) ‖ payload ‖ optional(metadata)     optional: 0x00, or 0x01 ‖ bytes keys       =
    HKDF-SHA-256(the people's keys joined in the order of their ids; info = "aureus subject keys 1" ‖ header)
                 the first 64 bytes are the cipher key, the last 32 the salt key
    salt       = HMAC-SHA-256(salt key, what the column salt holds)        under which the payload is committed to

An entry about several people takes all their keys, so that erasing one of them is enough. A payload is a JSON object
and begins with ``{``: what begins with ``[`` is an envelope. It is text, so that it travels and is stored as payloads
are.

AES-SIV (RFC 5297) needs no nonce: the same entry under the same keys gives the same bytes, so that an append that is
repeated is recognised by them, and nothing else is ever equal. The salt is not stored, only what it is made from: with
a salt in the clear, whoever has an old copy could try short payloads against the commitment.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from typing import Any, cast

from aureus.codec import decode, encode_made
from aureus.errors import Invalid
from aureus.model.subject_keys import SubjectKey, check_key_id

_TAG = "aureus-payload-1"
_FIRST = b"["
_INFO = b"aureus subject keys 1"
_CIPHER_KEY_BYTES = 64
_SALT_KEY_BYTES = 32
_LENGTH_BYTES = 4

HEADER_BYTES_MAX = 2048
"""Bytes of a header; the triggers that look for destroyed keys read no more than these. Sixteen ids have 1,100."""


DERIVED_MAX = 64
"""Sets of people of whose keys the derived ones are kept with the first of them."""


class EnvelopeDamaged(Exception):
    """The keys do not open it: it was changed, or it belongs to another entry."""


@dataclass(frozen=True, slots=True)
class Content:
    """What was in an envelope."""

    payload: bytes
    metadata: bytes | None


@dataclass(frozen=True, slots=True)
class EntryKeys:
    """What an entry about certain people is encrypted with; for any number of threads."""

    header: bytes
    cipher_key: bytes = field(repr=False)
    salt_key: bytes = field(repr=False)
    _cipher: Any = field(repr=False, compare=False)

    @classmethod
    def of(cls, keys: Iterable[SubjectKey]) -> EntryKeys:
        """Return what follows from the keys of all people whom an entry concerns; their order does not matter."""
        ordered = sorted({key.key_id: key for key in keys}.values(), key=lambda key: key.key_id)
        key_ids = tuple(key.key_id for key in ordered)
        kept = ordered[0].derived
        made = kept.get(key_ids)
        if made is None:
            if len(kept) >= DERIVED_MAX:
                kept.clear()
            made = kept[key_ids] = cls._derived(key_ids, b"".join(key.key for key in ordered))
        return cast(EntryKeys, made)

    @classmethod
    def _derived(cls, key_ids: tuple[str, ...], joined: bytes) -> EntryKeys:
        from cryptography.hazmat.primitives.ciphers.aead import AESSIV
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        header = encode_made([_TAG, *key_ids]).encode()
        made = HKDF(
            SHA256(), _CIPHER_KEY_BYTES + _SALT_KEY_BYTES, salt=None, info=_INFO + header
        ).derive(joined)
        cipher_key = made[:_CIPHER_KEY_BYTES]
        return cls(header, cipher_key, made[_CIPHER_KEY_BYTES:], AESSIV(cipher_key))

    def salt(self, stored: bytes) -> bytes:
        """Return the salt of the commitment, from what is stored for it."""
        return hmac.digest(self.salt_key, stored, sha256)

    def encrypted(self, event_id: str, content: Content) -> bytes:
        """Return the envelope of an entry."""
        payload, metadata = content.payload, content.metadata
        plain = b"".join(
            (
                len(payload).to_bytes(_LENGTH_BYTES, "big"),
                payload,
                b"\x00" if metadata is None else b"\x01" + metadata,
            )
        )
        sealed = self._cipher.encrypt(plain, [self.header, event_id.encode()])
        return self.header + base64.b64encode(sealed)

    def decrypted(self, event_id: str, envelope: bytes) -> Content:
        """Return what an envelope of these keys holds. Raises ``EnvelopeDamaged``."""
        if not envelope.startswith(self.header):
            raise EnvelopeDamaged
        try:
            sealed = base64.b64decode(envelope[len(self.header) :], validate=True)
            plain = self._cipher.decrypt(sealed, [self.header, event_id.encode()])
        except (_invalid_tag(), ValueError) as error:
            raise EnvelopeDamaged from error
        end = _LENGTH_BYTES + int.from_bytes(plain[:_LENGTH_BYTES], "big")
        rest = plain[end:]
        return Content(plain[_LENGTH_BYTES:end], None if rest[:1] == b"\x00" else rest[1:])


@cache
def _invalid_tag() -> type[Exception]:
    """Return what the library raises for bytes that do not open; it is loaded when something is encrypted."""
    from cryptography.exceptions import InvalidTag

    return InvalidTag


def is_envelope(payload: Any) -> bool:
    """Return whether this is an encrypted payload; a plain one is a JSON object."""
    return payload is not None and payload[:1] == _FIRST


def key_ids_of(envelope: bytes) -> tuple[str, ...]:
    """Return the identifiers of the keys that an envelope takes all of; none for what is no envelope of this format."""
    header, end, _ = envelope[:HEADER_BYTES_MAX].partition(b"]")
    try:
        listed: Any = decode(header + end)
        if not isinstance(listed, list) or listed[:1] != [_TAG]:
            return ()
        key_ids = cast(Sequence[Any], listed)[1:]
        return tuple(check_key_id(key_id) for key_id in key_ids)
    except Invalid:
        return ()


def entry_keys(key_ids: Sequence[str], keys: Mapping[str, SubjectKey]) -> EntryKeys | None:
    """Return what an envelope is opened with; None when one of its keys is not there."""
    if not key_ids or any(key_id not in keys for key_id in key_ids):
        return None
    return EntryKeys.of(keys[key_id] for key_id in key_ids)
