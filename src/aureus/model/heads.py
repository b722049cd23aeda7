"""The head of a ledger: how many entries its tree has, and their root.

Its text is the body of a checkpoint, as C2SP's tlog-checkpoint describes it: three lines with the origin, the size in
decimal and the root in base64. That text is what gets signed; whoever holds a signed head can be shown, ever after,
that the ledger still begins with what it stood for.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import Any

from aureus.errors import Invalid
from aureus.model.merkle import HASH_BYTES, SIZE_MAX, empty_root
from aureus.model.plain import plain_record

ORIGIN_CHARACTERS_MAX = 300
"""Characters of an origin: the name of a ledger, a slash, and a tenant's key of 32 digits leave room."""


INCARNATION_DIGITS_MAX = 10
"""Digits of an incarnation's number: what a 32-bit column counts has fewer."""


@dataclass(frozen=True, slots=True)
class Head:
    """What a tree was at one moment. Raises ``Invalid`` when it could be no tree's."""

    origin: str
    """Which tree: the name of the ledger, a slash and the tenant's key."""
    size: int
    root: bytes

    def __post_init__(self) -> None:
        check_origin(self.origin)
        if not 0 <= self.size <= SIZE_MAX:
            raise Invalid(f"a head has a size from 0 to {SIZE_MAX}, not {self.size}")
        if len(self.root) != HASH_BYTES:
            raise Invalid(f"the root of a head has {HASH_BYTES} bytes, not {len(self.root)}")
        if self.size == 0 and self.root != empty_root():
            raise Invalid("a head of size 0 has the root of no leaves, and this one has another")

    def text(self) -> str:
        """Return what is signed: three lines, each with its end."""
        return f"{self.origin}\n{self.size}\n{base64_text(self.root)}\n"

    @classmethod
    def from_text(cls, text: str) -> Head:
        """Return the head that a checkpoint's text is about.

        Lines behind the third are allowed by the format and mean nothing here. Raises ``Invalid``.
        """
        lines = text.split("\n")
        if len(lines) < 4 or lines[-1] or not all(lines[:-1]):
            raise Invalid(
                "a head is three lines or more, none of them empty: origin, size and root"
            )
        return cls(
            lines[0],
            decimal(lines[1], "the size of a head"),
            base64_bytes(lines[2], "the root of a head"),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the head as plain JSON values; the root in hexadecimal."""
        return plain_record(self)


def origin_of(name: str, tenant_key: str, incarnation: int) -> str:
    """Return the origin of a tenant's tree. A history that was restored is another tree, so it has another origin."""
    restored = "" if incarnation == 1 else f".{incarnation}"
    return f"{name}/{tenant_key}{restored}"


def incarnation_of(origin: str) -> int:
    """Return which incarnation of a tenant's tree an origin names."""
    last = origin.rpartition("/")[2]
    number = last.rpartition(".")[2] if "." in last else ""
    return int(number) if number.isdecimal() and len(number) < INCARNATION_DIGITS_MAX else 1


def is_same_ledger(origin: str, other: str) -> bool:
    """Return whether two origins are of one tenant's ledger: of any incarnation, whatever it was called then."""
    return origin == other or _tenant_key(origin) == _tenant_key(other)


def _tenant_key(origin: str) -> str:
    _, slash, last = origin.rpartition("/")
    stem, dot, number = last.rpartition(".")
    if not slash:
        return origin
    return stem if dot and number.isdecimal() else last


def check_origin(origin: str) -> None:
    """Raise ``Invalid`` for what cannot be the origin of a tree or the name of a key."""
    if not 0 < len(origin) <= ORIGIN_CHARACTERS_MAX:
        raise Invalid(f"a name of a ledger or key has 1 to {ORIGIN_CHARACTERS_MAX} characters")
    if any(sign.isspace() or sign == "+" or not sign.isprintable() for sign in origin):
        raise Invalid(
            f"{origin!r} cannot name a ledger or key: spaces, + and control characters are not allowed"
        )


def decimal(text: str, what: str) -> int:
    """Return a number written as ASCII digits without leading zeros. Raises ``Invalid``."""
    if (
        not (text.isascii() and text.isdigit())
        or (text[0] == "0" and text != "0")
        or len(text) > 19
    ):
        raise Invalid(f"{what} is {text[:30]!r}; it must be a decimal number without leading zeros")
    return int(text)


def base64_text(value: bytes) -> str:
    """Return bytes in the standard base64 alphabet, with padding."""
    return b64encode(value).decode()


def base64_bytes(text: str, what: str) -> bytes:
    """Return what standard base64 stands for, in its only form. Raises ``Invalid``."""
    try:
        value = b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        value = b""
    if not text or base64_text(value) != text:
        raise Invalid(f"{what} is no base64: {text[:60]!r}")
    return value
