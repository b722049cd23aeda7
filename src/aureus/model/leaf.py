"""The bytes that are hashed for an entry of the ledger: format version 1.

    commitment = HMAC-SHA-256(salt, u64(len payload) ‖ payload ‖ optional(metadata))
    entry      = 0x01 ‖ text(event_id) ‖ text(stream) ‖ text(type) ‖ text(actor) ‖ i64(occurred_at µs)
                 ‖ optional(correlation_id) ‖ optional(action) ‖ optional(resource) ‖ optional(outcome) ‖ commitment
    leaf_hash  = SHA-256(0x00 ‖ entry)                                   (the leaf prefix of RFC 6962, section 2.1)

Integers are big-endian. text(x) is u32(length) ‖ UTF-8; optional(x) is 0x00 when absent, else 0x01 ‖ u32(length) ‖ x,
so that absent and empty differ. The payload enters as the exact bytes that were stored. Neither tenant nor stream
version is part of the leaf: the tree's origin names the tenant, and versions are what counting a stream's entries in
the tree's order yields. Changing anything here needs a new version byte; test vectors hold version 1.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

LEAF_VERSION = 1


@dataclass(frozen=True, slots=True)
class LeafFields:
    """What an entry's leaf is made of, besides its commitment."""

    event_id: str
    stream: str
    type: str
    actor: str
    occurred_at_micros: int
    correlation_id: str | None = None
    action: str | None = None
    resource: str | None = None
    outcome: str | None = None


def commitment(salt: bytes, payload: bytes, metadata: bytes | None) -> bytes:
    """Return the 32 bytes that stand for payload and metadata; nobody can guess them without the salt."""
    message = len(payload).to_bytes(8, "big") + payload + _optional(metadata)
    return hmac.digest(salt, message, hashlib.sha256)


def leaf_hash(fields: LeafFields, committed: bytes) -> bytes:
    """Return the hash that the tenant's Merkle tree holds for an entry."""
    entry = b"".join(
        (
            bytes((0x00, LEAF_VERSION)),
            _text(fields.event_id),
            _text(fields.stream),
            _text(fields.type),
            _text(fields.actor),
            fields.occurred_at_micros.to_bytes(8, "big", signed=True),
            _optional_text(fields.correlation_id),
            _optional_text(fields.action),
            _optional_text(fields.resource),
            _optional_text(fields.outcome),
            committed,
        )
    )
    return hashlib.sha256(entry).digest()


def _text(text: str) -> bytes:
    encoded = text.encode()
    return len(encoded).to_bytes(4, "big") + encoded


def _optional(value: bytes | None) -> bytes:
    return b"\x00" if value is None else b"\x01" + len(value).to_bytes(4, "big") + value


def _optional_text(text: str | None) -> bytes:
    return _optional(None if text is None else text.encode())
