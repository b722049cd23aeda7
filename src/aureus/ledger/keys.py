"""The keys that sign heads: Ed25519, with the names and texts of C2SP's signed-note.

Sealing needs no key. Whoever signs keeps the private key in a file outside the database, so that the database alone
cannot make a head that somebody else would trust. The public key is one line of text to hand to whoever verifies:
``name+id+base64``. A key speaks for the ledger of its name and for every tenant's tree below it.

A key is replaced by giving verifiers both lines for a time: every signature says which key made it.
"""

from __future__ import annotations

import hashlib
import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aureus.errors import AlreadyExists, ConfigInvalid, Forbidden, Invalid, NotFound
from aureus.model.heads import base64_bytes, base64_text, check_origin

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

KEY_BYTES = 32
"""Bytes of an Ed25519 key, public or private (RFC 8032)."""

KEY_ID_BYTES = 4
"""Bytes of the number that tells keys of one name apart; it identifies and proves nothing."""

_ED25519 = b"\x01"  # the signature type of signed-note
_PRIVATE = "PRIVATE+KEY+"
_KEY_FILE_BYTES_MAX = 4096


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
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            descriptor = os.open(path, flags, 0o600)
        except FileExistsError as error:
            raise AlreadyExists(
                f"{path} is there already; a key is never overwritten. Name another file.",
                path=str(path),
            ) from error
        except OSError as error:
            raise _unusable(path, error) from error
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(descriptor, 0o600)  # whatever the umask of the process says
            file.write(self.secret_text() + "\n")
            file.flush()
            os.fsync(descriptor)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    @classmethod
    def load(cls, path: Path) -> SigningKey:
        """Return the key in a file. Raises ``NotFound``, ``Forbidden`` when others can read it, and ``Invalid``."""
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise NotFound(
                f"there is no key file {path}; `aureus ledger keygen` makes one", path=str(path)
            ) from error
        except OSError as error:
            raise _unusable(path, error) from error
        try:
            status = os.fstat(descriptor)
            _check_regular(path, status)
            content = os.read(descriptor, _KEY_FILE_BYTES_MAX)
        except OSError as error:
            raise _unusable(path, error) from error
        finally:
            os.close(descriptor)
        try:
            text = content.decode()
        except UnicodeDecodeError:
            raise Invalid(f"{path} holds no key: it is no text", path=str(path)) from None
        if not text.lstrip().startswith(_PRIVATE) and _has_public_key(text):
            raise Invalid(
                f"{path} holds a public key; whoever signs has the private one, which keygen wrote into a file",
                path=str(path),
            )
        _check_mode(path, status)
        return cls.from_secret_text(text)


def read_public_keys(path: Path) -> list[PublicKey]:
    """Return the keys in a file: one a line, with empty lines and lines that begin with # left out.

    Raises ``NotFound`` and ``Invalid``, which names the line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError as error:
        raise NotFound(f"there is no file {path} with public keys", path=str(path)) from error
    except OSError as error:
        raise _unusable(path, error) from error
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


def _has_public_key(text: str) -> bool:
    for line in text.splitlines():
        with suppress(Invalid):
            PublicKey.from_text(line)
            return True
    return False


def _check_regular(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise Invalid(f"{path} is no regular file, so it holds no key", path=str(path))


def _check_mode(path: Path, status: os.stat_result) -> None:
    if status.st_mode & 0o077:
        raise Forbidden(
            f"{path} can be read by others than its owner. Run: chmod 600 {path}, and think about a new key, "
            "since this one may have been seen.",
            path=str(path),
        )


def _unusable(path: Path, error: OSError) -> ConfigInvalid:
    return ConfigInvalid(
        f"the key file {path} cannot be used: {error.strerror}. Name a file in a folder that this user may use.",
        path=str(path),
    )
