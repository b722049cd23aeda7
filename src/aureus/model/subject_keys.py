"""Keys of people: each encrypts what entries say about one person; without it no copy can be read. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from aureus.errors import Invalid

KEY_BYTES = 32
"""Bytes of a subject's key."""

KEY_ID_CHARACTERS_MAX = 64
"""Characters of a key's identifier."""

_KEY_ID = re.compile(rf"[A-Za-z0-9._-]{{1,{KEY_ID_CHARACTERS_MAX}}}")


@dataclass(frozen=True, slots=True)
class SubjectKey:
    """The key of one person in one tenant, as long as it lives.

    ``key_id`` stands in the clear in what was encrypted: it says nothing about the person, and no key that is made
    later ever has the same. Raises ``Invalid`` for what cannot be one.
    """

    key_id: str
    """Up to 64 letters, digits, dots, dashes and underscores."""
    key: bytes = field(repr=False)
    """32 random bytes."""
    derived: dict[tuple[str, ...], Any] = field(
        default_factory=dict[tuple[str, ...], Any], repr=False, compare=False
    )
    """What was made of it and other keys, by their identifiers: it lives in memory as long as the key does."""

    def __post_init__(self) -> None:
        check_key_id(self.key_id)
        if len(self.key) != KEY_BYTES:
            raise Invalid(f"a subject's key has {KEY_BYTES} bytes, not {len(self.key)}", what="key")


@dataclass(frozen=True, slots=True)
class Withheld:
    """Stands in the place of a payload that is encrypted and could not be read."""

    key_ids: tuple[str, ...]
    """The keys that it takes all of; empty when it is no envelope of ours."""
    is_damaged: bool = False
    """Whether the keys are here and do not open it: it was changed, or belongs to another entry."""


def check_key_id(key_id: Any) -> str:
    """Return the identifier of a key. Raises ``Invalid``."""
    if not isinstance(key_id, str) or not _KEY_ID.fullmatch(key_id):
        raise Invalid(
            f"{key_id!r} names no key; it has 1 to {KEY_ID_CHARACTERS_MAX} letters, digits, dots, dashes, underscores",
            what="key_id",
        )
    return key_id
