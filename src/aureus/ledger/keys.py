"""The keys that sign heads: Ed25519, with the names and texts of C2SP's signed-note.

Sealing needs no key. Whoever signs keeps the private key in a file outside the database, so that the database alone
cannot make a head that somebody else would trust. The public key is one line of text to hand to whoever verifies:
``name+id+base64``. A key speaks for the ledger of its name and for every tenant's tree below it.

A key is replaced by giving verifiers both lines for a time: every signature says which key made it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aureus import key_files
from aureus.errors import Invalid, NotFound
from aureus.model.heads import base64_bytes, base64_text, check_origin

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

KEY_BYTES = 32
"""Bytes of an Ed25519 key, public or private (RFC 8032)."""

KEY_ID_BYTES = 4
"""Bytes of the number that tells keys of one name apart; it identifies and proves nothing."""

_ED25519 = b"\x01"  # the signature type of signed-note
_PRIVATE = "PRIVATE+KEY+"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """What verifies the signatures of one key."""

    name: str
    key: bytes

    def __post_init__(self) -> None:
        check_origin(self.name)
        if len(self.key) != KEY_BYTES:
            raise Invalid(f"a public key has {KEY_BYTES} bytes, not {len(self.key)}")

    @property
    def key_id(self) -> bytes:
        """Return the four bytes that name this key in a signature, beside its name."""
        named = self.name.encode() + b"\n" + _ED25519 + self.key
        return hashlib.sha256(named).digest()[:KEY_ID_BYTES]

    @property
    def text(self) -> str:
        """Return the line to hand to whoever verifies."""
        return f"{self.name}+{self.key_id.hex()}+{base64_text(_ED25519 + self.key)}"

    @classmethod
    def from_text(cls, text: str) -> PublicKey:
        """Return the key of such a line. Raises ``Invalid``, also when its parts disagree."""
        if text.strip().startswith(_PRIVATE):
            raise Invalid(
                "this is a private key: whoever has it can sign. Give the public one, as keygen printed it"
            )
        name, key_id, key = _parts(text.strip(), "a public key")
        public = cls(name, key)
        if public.key_id != key_id:
            raise Invalid(
                f"the id of the public key {name} is not that of its bytes: the line was changed or cut"
            )
        return public

    def speaks_for(self, origin: str) -> bool:
        """Return whether a head of this origin is this key's to sign."""
        return origin == self.name or origin.startswith(f"{self.name}/")

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Return whether this key made the signature over these bytes."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        try:
            Ed25519PublicKey.from_public_bytes(self.key).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True

    def to_dict(self) -> dict[str, Any]:
        """Return the key as plain JSON values."""
        return {"name": self.name, "key_id": self.key_id.hex(), "public_key": self.text}


class SigningKey:
    """A private key with its name. Neither its text nor its representation shows it by accident."""

    __slots__ = ("_private", "public")

    def __init__(self, name: str, seed: bytes) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        if len(seed) != KEY_BYTES:
            raise Invalid(f"a private key has {KEY_BYTES} bytes, not {len(seed)}")
        self._private: Ed25519PrivateKey = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = PublicKey(name, self._private.public_key().public_bytes_raw())

    def __repr__(self) -> str:
        return f"SigningKey({self.public.text})"

    @classmethod
    def generate(cls, name: str) -> SigningKey:
        """Return a new key from the operating system's random source. Raises ``Invalid`` for a name that cannot be."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return cls(name, Ed25519PrivateKey.generate().private_bytes_raw())

    def sign(self, message: bytes) -> bytes:
        """Return the signature over these bytes; the same bytes give the same signature."""
        return self._private.sign(message)

    def secret_text(self) -> str:
        """Return the private key as the one line of its file."""
        public = self.public
        secret = base64_text(_ED25519 + self._private.private_bytes_raw())
        return f"{_PRIVATE}{public.name}+{public.key_id.hex()}+{secret}"

    @classmethod
    def from_secret_text(cls, text: str) -> SigningKey:
        """Return the key of such a line. Raises ``Invalid``; the message never contains the line."""
        stripped = text.strip()
        if not stripped.startswith(_PRIVATE):
            raise Invalid(f"a private key begins with {_PRIVATE}; this text does not")
        name, key_id, seed = _parts(stripped.removeprefix(_PRIVATE), "a private key")
        signing = cls(name, seed)
        if signing.public.key_id != key_id:
            raise Invalid(f"the id of the private key {name} is not that of its bytes")
        return signing

    def save(self, path: Path) -> None:
        """Write the key into a new file that only its owner can read, and wait until it is on disk.

        Raises ``AlreadyExists`` when there is something at that path: a key is never overwritten.
        """
        key_files.save_new(path, self.secret_text())

    @classmethod
    def load(cls, path: Path) -> SigningKey:
        """Return the key in a file. Raises ``NotFound``, ``Forbidden`` when others can read it, and ``Invalid``."""
        return cls.from_secret_text(
            key_files.read(path, made_by="aureus ledger keygen", looked_at=_refuse_public_key)
        )


def read_public_keys(path: Path) -> list[PublicKey]:
    """Return the keys in a file: one a line, with empty lines and lines that begin with # left out.

    Raises ``NotFound`` and ``Invalid``, which names the line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError as error:
        raise NotFound(f"there is no file {path} with public keys", path=str(path)) from error
    except OSError as error:
        raise key_files.unusable(path, error) from error
    except UnicodeDecodeError as error:
        raise Invalid(f"{path} holds no public keys: it is no text", path=str(path)) from error
    keys: list[PublicKey] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            keys.append(PublicKey.from_text(line))
        except Invalid as error:
            raise Invalid(f"{path}, line {number}: {error.message}", path=str(path)) from error
    return keys


def _parts(text: str, what: str) -> tuple[str, bytes, bytes]:
    """Return name, id and key of ``name+id+base64``. Raises ``Invalid`` without telling the text."""
    name, _, rest = text.partition("+")
    key_id, _, encoded = rest.partition("+")
    is_id = len(key_id) == 2 * KEY_ID_BYTES and set(key_id) <= set("0123456789abcdef")
    try:
        key = base64_bytes(encoded, "key")
    except Invalid:
        key = b""
    if not name or not is_id or len(key) != 1 + KEY_BYTES or key[:1] != _ED25519:
        raise Invalid(f"{what} has the form name+id+base64, for Ed25519; this text has not")
    return name, bytes.fromhex(key_id), key[1:]


def _refuse_public_key(path: Path, text: str) -> None:
    """Say so when a file holds a public key, which everybody may read, before its rights are looked at."""
    if not text.lstrip().startswith(_PRIVATE) and any(map(_is_public_key, text.splitlines())):
        raise Invalid(
            f"{path} holds a public key; whoever signs has the private one, which keygen wrote into a file",
            path=str(path),
        )


def _is_public_key(line: str) -> bool:
    try:
        PublicKey.from_text(line)
    except Invalid:
        return False
    return True
