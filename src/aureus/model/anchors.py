"""The anchor log: a small tree whose leaves are the heads of tenants' trees.

    entry = 0x01 ‖ u32(length) ‖ tenant_key ‖ u32(incarnation) ‖ u64(size) ‖ root
    leaf  = SHA-256(0x00 ‖ entry)                                        (the leaf prefix of RFC 6962, section 2.1)

Integers are big-endian. One signature over the head of this log speaks for every tenant, and a tenant that is shown
its own leaf and an inclusion proof learns nothing about the others.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aureus.model.merkle import verify_inclusion
from aureus.model.plain import plain_record

ANCHOR_VERSION = 1


@dataclass(frozen=True, slots=True)
class Anchor:
    """The head of a tenant's tree, as the anchor log holds it at ``position``."""

    position: int
    tenant_key: str
    incarnation: int
    size: int
    root: bytes
    leaf_hash: bytes
    anchored_at: datetime

    def to_dict(self) -> dict[str, Any]:
        """Return the anchor as plain JSON values; hashes in hexadecimal."""
        return plain_record(self)


@dataclass(frozen=True, slots=True)
class AnchorHead:
    """The state of the anchor log's tree; ``anchored_at`` is None before anything was anchored.

    ``log_key`` tells this log from every other; it was drawn by chance when the database was made.
    """

    log_key: str
    size: int
    root: bytes
    peaks: bytes
    anchored_at: datetime | None

    def to_dict(self) -> dict[str, Any]:
        """Return the head as plain JSON values; hashes in hexadecimal."""
        return plain_record(self)


@dataclass(frozen=True, slots=True)
class AnchorProof:
    """What shows that an anchor is one of the leaves under a head of the anchor log."""

    anchor: Anchor
    log_size: int
    log_root: bytes
    hashes: tuple[bytes, ...]

    def holds(self) -> bool:
        """Return whether the anchor's own content lies under the root."""
        anchor = self.anchor
        leaf = anchor_leaf(anchor.tenant_key, anchor.incarnation, anchor.size, anchor.root)
        return leaf == anchor.leaf_hash and verify_inclusion(
            leaf, anchor.position, self.log_size, self.hashes, self.log_root
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the proof as plain JSON values; hashes in hexadecimal."""
        return plain_record(self)


def anchor_leaf(tenant_key: str, incarnation: int, size: int, root: bytes) -> bytes:
    """Return the leaf hash of one tenant's head."""
    key = tenant_key.encode()
    entry = b"".join(
        (
            bytes((0x00, ANCHOR_VERSION)),
            len(key).to_bytes(4, "big"),
            key,
            incarnation.to_bytes(4, "big"),
            size.to_bytes(8, "big"),
            root,
        )
    )
    return hashlib.sha256(entry).digest()
