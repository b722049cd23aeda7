"""The master key of a key folder: one line of a file outside the folder and outside the database.

It only wraps other keys. While it is being replaced its file has two lines, the new key first: keys that are wrapped
under the old one are still read, and every key that is made is wrapped under the first. Without the file nothing in the
folder can be read by anybody, so keep a copy of it where neither the folder nor the database is.
"""

from __future__ import annotations

import base64
import binascii
from hashlib import sha256
from pathlib import Path

from aureus import key_files
from aureus.errors import ConfigInvalid, IntegrityFailure, Invalid
from aureus.ids import RandomIds

COMMAND = "aureus subject-keys keygen"
"""The command that makes a master key."""

_TAG = "aureus-master-key-1"
_KEY_BYTES = 32
_NONCE_BYTES = 12


class MasterKey:
    """A key that wraps keys. Its representation shows only its name."""

    __slots__ = ("_key", "name")

    def __init__(self, key: bytes) -> None:
        if len(key) != _KEY_BYTES:
            raise Invalid(f"a master key has {_KEY_BYTES} bytes, not {len(key)}")
        self._key = key
        self.name = sha256(b"aureus master key name" + key).hexdigest()[:16]

    def __repr__(self) -> str:
        return f"MasterKey({self.name})"

    @classmethod
    def generate(cls) -> MasterKey:
        """Return a new key from the operating system's random source."""
        return cls(RandomIds().salt())

    def wrapped(self, key: bytes, what: str) -> str:
        """Return a key encrypted under this one (AES-256-GCM), as text; it opens as ``what`` alone."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = RandomIds().salt()[:_NONCE_BYTES]
        return base64.b64encode(
            nonce + AESGCM(self._key).encrypt(nonce, key, _bound(what))
        ).decode()

    def unwrapped(self, text: str, what: str) -> bytes:
        """Return the key in such a text. Raises ``IntegrityFailure`` when it was changed, or wraps something else."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        try:
            sealed = base64.b64decode(text, validate=True)
            return AESGCM(self._key).decrypt(
                sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _bound(what)
            )
        except (binascii.Error, InvalidTag, ValueError) as error:
            raise IntegrityFailure(
                f"the wrapped key {what} was changed, or is another one"
            ) from error

    def line(self) -> str:
        """Return the key as a line of its file."""
        return f"{_TAG} {self.name} {base64.b64encode(self._key).decode()}"

    @classmethod
    def from_line(cls, line: str) -> MasterKey:
        """Return the key of such a line. Raises ``Invalid``; the message never contains the line."""
        tag, _, rest = line.strip().partition(" ")
        name, _, encoded = rest.partition(" ")
        try:
            key = cls(base64.b64decode(encoded, validate=True)) if tag == _TAG else None
        except (binascii.Error, ValueError, Invalid):
            key = None
        if key is None or key.name != name:
            raise Invalid(f"a master key has the form {_TAG} NAME KEY; this line has not")
        return key


class MasterFile:
    """The file with the master key."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._keys: tuple[MasterKey, ...] = ()

    def keys(self, *, anew: bool = False) -> tuple[MasterKey, ...]:
        """Return the keys in the file, the one that wraps first; read again when asked for ``anew``.

        Raises ``NotFound``, ``Forbidden``, and ``Invalid``, which never contains a line.
        """
        if anew or not self._keys:
            lines = key_files.read(self.path, made_by=COMMAND).splitlines()
            keys = tuple(MasterKey.from_line(line) for line in lines if line.strip())
            if not keys:
                raise Invalid(f"{self.path} holds no master key", path=str(self.path))
            self._keys = keys
        return self._keys

    def key_named(self, name: str) -> MasterKey:
        """Return the key of a name, also one that was put into the file meanwhile. Raises ``ConfigInvalid``."""
        for anew in (False, True):
            for key in self.keys(anew=anew):
                if key.name == name:
                    return key
        raise ConfigInvalid(
            f"keys are wrapped under the master key {name}, which is not in {self.path}: it belongs to another key "
            "folder, or was replaced. Name the file with that key.",
            path=str(self.path),
        )

    def create(self) -> MasterKey:
        """Make a master key in a new file. Raises ``AlreadyExists`` and ``ConfigInvalid``."""
        key = MasterKey.generate()
        key_files.save_new(self.path, key.line())
        return key

    def begin_replacing(self) -> MasterKey:
        """Put a new key before the one that is there, unless that was done before; return it."""
        keys = self.keys(anew=True)
        if len(keys) == 1:
            keys = (MasterKey.generate(), *keys)
            key_files.replace(self.path, "\n".join(key.line() for key in keys))
            self._keys = keys
        return keys[0]

    def end_replacing(self) -> None:
        """Leave only the first key in the file: nothing may be wrapped under the others any more."""
        key = self.keys(anew=True)[0]
        key_files.replace(self.path, key.line())
        self._keys = (key,)


def _bound(what: str) -> bytes:
    return b"aureus-wrapped-key-1\x00" + what.encode()
