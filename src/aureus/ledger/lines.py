"""Entries as lines of JSON, for exports and proof files: everything that their leaf is computed from.

``payload`` and ``metadata`` are text inside JSON: the exact bytes that were hashed, so that whoever reads a line needs
no rule of how JSON is written. Hashes and salt are hexadecimal; times are microseconds since 1970, as they are hashed.
An erased entry has null for salt, payload and metadata; one whose event is gone has no ``event_id``. One that was
encrypted and could not be read has null too, and under ``key_ids`` the keys that it would have taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from aureus.codec import decode_once, encode_made
from aureus.errors import AureusError, IntegrityFailure, Invalid
from aureus.model.leaf import LeafFields, commitment, leaf_hash
from aureus.model.merkle import HASH_BYTES
from aureus.model.subject_keys import Withheld, check_key_id
from aureus.model.verification import SealedEntry, StoredEvent

LINE_BYTES_MAX = 40 * 1024 * 1024
"""Bytes of a line: the largest payload and metadata (4 MiB each), where text inside text may need more room."""

_TEXTS = ("event_id", "stream", "type", "actor")
_OPTIONAL_TEXTS = ("correlation_id", "action", "resource", "outcome")
_PLACE = frozenset({"position", "entry_no", "leaf_hash"})
_EVERYTHING = _PLACE.union(
    _TEXTS,
    _OPTIONAL_TEXTS,
    ("version", "occurred_at_micros", "commitment", "salt", "payload", "metadata"),
)
_NOTHING: frozenset[str] = frozenset()


def entry_line(entry: SealedEntry) -> bytes:
    """Return an entry as one line of JSON, without its end."""
    line: dict[str, Any] = {
        "position": entry.position,
        "entry_no": entry.entry_no,
        "leaf_hash": entry.sealed_hash.hex(),
    }
    event = entry.event
    if event is not None:
        fields = event.fields
        line |= {name: getattr(fields, name) for name in _TEXTS}
        line |= {
            "version": event.version,
            "occurred_at_micros": fields.occurred_at_micros,
            **{name: getattr(fields, name) for name in _OPTIONAL_TEXTS},
            "commitment": event.commitment.hex(),
            "salt": None if event.salt is None else event.salt.hex(),
            "payload": _text(event.payload),
            "metadata": _text(event.metadata),
        }
        if event.withheld is not None and not event.withheld.is_damaged:
            line["key_ids"] = list(event.withheld.key_ids)
    return encode_made(line).encode()


def entry_of(line: bytes | str, what: str = "the line") -> SealedEntry:
    """Return the entry in a line. Raises ``IntegrityFailure``, naming ``what``, for anything else."""
    return entry_from(json_object(line, what), what)


def entry_from(
    line: dict[str, Any], what: str, *, beside: frozenset[str] = _NOTHING
) -> SealedEntry:
    """Return the entry in the object of a line, which has nothing else in it but what may stand ``beside`` it.

    Whatever is in a line that was verified is taken for proved, so there is nothing in it that is not looked at.
    """
    allowed = _PLACE if line.get("event_id") is None else _EVERYTHING
    unknown = line.keys() - allowed - beside
    if line.get("payload") is None and "event_id" in line:
        unknown -= {"key_ids"}  # said by whoever wrote the line, and proved by nothing
    if unknown:
        raise IntegrityFailure(
            f"{what} is no entry of a ledger: it has {min(unknown)[:60]!r}, which no entry has"
        )
    try:
        return SealedEntry(
            position=_number(line["position"]),
            entry_no=_number(line["entry_no"]),
            sealed_hash=_hash(line["leaf_hash"]),
            event=None if line.get("event_id") is None else _event(line),
        )
    except (KeyError, TypeError, ValueError, Invalid) as error:
        raise IntegrityFailure(
            f"{what} is no entry of a ledger: {error!r} is wrong in it"
        ) from error


def is_what_was_sealed(entry: SealedEntry) -> bool:
    """Return whether an entry's content gives its hash; one that was erased says nothing about its payload."""
    event = entry.event
    if event is None or leaf_hash(event.fields, event.commitment) != entry.sealed_hash:
        return False
    if event.salt is None or event.payload is None:
        return event.salt is None and event.payload is None and event.metadata is None
    return commitment(event.salt, event.payload, event.metadata) == event.commitment


def has_sealed_payload(entry: SealedEntry) -> bool:
    """Return whether the payload of an entry is there and what its commitment says."""
    event = entry.event
    if event is None or event.salt is None or event.payload is None:
        return False
    return commitment(event.salt, event.payload, event.metadata) == event.commitment


def json_object(line: bytes | str, what: str) -> dict[str, Any]:
    """Return the object that a line holds. Raises ``IntegrityFailure`` when it is none."""
    try:
        value = decode_once(line)
    except AureusError as error:
        raise IntegrityFailure(f"{what} is damaged: {error.message}") from error
    if not isinstance(value, dict):
        raise IntegrityFailure(f"{what} is damaged: it is no object")
    return cast(dict[str, Any], value)


def _event(line: dict[str, Any]) -> StoredEvent:
    sealed = _hash(line["leaf_hash"])
    return StoredEvent(
        fields=LeafFields(
            event_id=_str(line["event_id"]),
            stream=_str(line["stream"]),
            type=_str(line["type"]),
            actor=_str(line["actor"]),
            occurred_at_micros=_number(line["occurred_at_micros"]),
            correlation_id=_optional(line["correlation_id"]),
            action=_optional(line["action"]),
            resource=_optional(line["resource"]),
            outcome=_optional(line["outcome"]),
        ),
        version=_number(line["version"]),
        commitment=_hash(line["commitment"]),
        leaf_hash=sealed,
        salt=None if line["salt"] is None else _hash(line["salt"]),
        payload=_bytes(line["payload"]),
        metadata=_bytes(line["metadata"]),
        withheld=_withheld(line),
    )


def _withheld(line: dict[str, Any]) -> Withheld | None:
    if "key_ids" not in line:
        return None
    if any(line[name] is not None for name in ("salt", "payload", "metadata")):
        raise ValueError("key_ids beside a payload")
    key_ids: Any = line["key_ids"]
    if not isinstance(key_ids, list) or not key_ids:
        raise ValueError("key_ids")
    return Withheld(tuple(map(check_key_id, cast(Sequence[Any], key_ids))))


def _text(value: bytes | None) -> str | None:
    """Return bytes as text; what is none was not written by us, and its replacement will not give its hash."""
    return None if value is None else value.decode(errors="replace")


def _bytes(value: Any) -> bytes | None:
    return None if value is None else _str(value).encode()


def _optional(value: Any) -> str | None:
    return None if value is None else _str(value)


def _number(value: Any) -> int:
    if type(value) is not int or not -(2**63) <= value < 2**63:
        raise TypeError(f"{value!r} is no number")
    return value


def _str(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _hash(value: Any) -> bytes:
    made = bytes.fromhex(_str(value))
    if len(made) != HASH_BYTES:
        raise ValueError(f"{value!r} has not {HASH_BYTES} bytes")
    return made
