"""Signed notes, as C2SP's signed-note describes them: a text, an empty line, and lines with signatures over the text.

A signature names its key by name and id. Signatures of keys that a verifier does not know are ignored, so that keys
can be replaced and others can sign too; one of a known key that does not verify makes the whole note worthless.
What a note says counts only when `Note.verify` returned.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from aureus.errors import IntegrityFailure, Invalid, LimitExceeded
from aureus.ledger.keys import KEY_ID_BYTES, PublicKey, SigningKey
from aureus.model.heads import base64_bytes, base64_text, check_origin

NOTE_BYTES_MAX = 512 * 1024
"""Bytes of a note: 64 signatures of the largest kind (5 KB), and a text."""

SIGNATURES_MAX = 64
"""Signatures of a note; the format wants at least 16 to be accepted."""

_DASH = "\N{EM DASH} "


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature line: who says to have signed, and the signature."""

    name: str
    key_id: bytes
    signature: bytes

    def line(self) -> str:
        """Return the line with its end."""
        return f"{_DASH}{self.name} {base64_text(self.key_id + self.signature)}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A text with the signatures that it came with; none when it was never signed."""

    text: str
    signatures: tuple[Signature, ...] = ()

    def __post_init__(self) -> None:
        _check_text(self.text)
        if not self.text.endswith("\n"):
            raise Invalid("the text of a note ends with the end of a line")

    def __str__(self) -> str:
        return self.text + "\n" + "".join(signature.line() for signature in self.signatures)

    @classmethod
    def from_text(cls, text: str, *, signed: bool = True) -> Note:
        """Return the note that a text holds, with nothing verified.

        One without any signature is only read where ``signed`` is False. Raises ``Invalid`` and ``LimitExceeded``.
        """
        if len(text) > NOTE_BYTES_MAX or len(text.encode(errors="replace")) > NOTE_BYTES_MAX:
            raise LimitExceeded(
                f"a note has at most {NOTE_BYTES_MAX:,} bytes; this one has more",
                limit_bytes=NOTE_BYTES_MAX,
            )
        _check_text(text)
        if text.endswith("\n\n") and not signed:
            return cls(text[:-1])
        body, separator, signatures = text.rpartition("\n\n")
        if not separator or not signatures.endswith("\n"):
            raise Invalid("a signed note is a text, an empty line and at least one signature")
        lines = signatures[:-1].split("\n")
        if len(lines) > SIGNATURES_MAX:
            raise LimitExceeded(
                f"a note has at most {SIGNATURES_MAX} signatures, and this one has {len(lines)}",
                limit=SIGNATURES_MAX,
            )
        return cls(f"{body}\n", tuple(_signature(line) for line in lines))

    def signed_by(self, *keys: SigningKey) -> Note:
        """Return the note with signatures of these keys in place of those that they made before."""
        made = [
            Signature(key.public.name, key.public.key_id, key.sign(self.text.encode()))
            for key in keys
        ]
        names = {(signature.name, signature.key_id) for signature in made}
        others = [one for one in self.signatures if (one.name, one.key_id) not in names]
        return replace(self, signatures=(*others, *made))

    def verify(self, keys: Iterable[PublicKey]) -> Sequence[PublicKey]:
        """Return which of these keys signed the text, at least one.

        Raises ``IntegrityFailure`` when a signature with the name and id of one of them is not its own, and when there
        is none of any of them.
        """
        known = {(key.name, key.key_id): key for key in keys}
        found: dict[PublicKey, None] = {}
        for signature in self.signatures:
            key = known.get((signature.name, signature.key_id))
            if key is None:
                continue
            if not key.verifies(self.text.encode(), signature.signature):
                raise IntegrityFailure(
                    f"the signature of {key.name} ({key.key_id.hex()}) is not over this text: "
                    "the note was changed, or somebody else signed in its name",
                    key_name=key.name,
                    key_id=key.key_id.hex(),
                )
            found[key] = None
        if not found:
            names = ", ".join(sorted({one.name for one in self.signatures})) or "nobody"
            raise IntegrityFailure(
                f"none of the keys given signed this note; it was signed by {names}. "
                "Give the public key of whoever signed, as `aureus ledger keygen` printed it.",
                signed_by=names,
            )
        return list(found)


def _signature(line: str) -> Signature:
    if not line.startswith(_DASH):
        raise Invalid(f"this is no line of a signature: {line[:60]!r}")
    name, _, encoded = line.removeprefix(_DASH).partition(" ")
    check_origin(name)
    value = base64_bytes(encoded, f"the signature of {name}")
    if len(value) <= KEY_ID_BYTES:
        raise Invalid(f"the signature of {name} is cut short")
    return Signature(name, value[:KEY_ID_BYTES], value[KEY_ID_BYTES:])


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Invalid("a note is Unicode text; this one has half of a character") from None
    if any(sign < " " and sign != "\n" for sign in text):
        raise Invalid("a note has no control characters but the ends of its lines")
