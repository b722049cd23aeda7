"""One folder name for every run id, and back.

A run id is any text; a folder name has to be safe on every file system it may be copied to. The mapping is
injective also where the file system folds case, normalises Unicode or drops trailing dots, because a folder name
consists of lower-case ASCII only. Usual ids such as ``r_0198c1…`` and ``tides-1`` are their own folder name.
A name that would be too long ends in the SHA-256 of its id and keeps the id itself in a file (see ``folders``).
Nothing here touches the disk.
"""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress

from aureus import codec
from aureus.errors import Invalid

RUN_ID_CHARACTERS_MAX = 512
"""Characters of a run id."""

FOLDER_BYTES_MAX = 143
"""Bytes of a folder name: what eCryptfs leaves of the usual 255, so that logs also fit on encrypted disks."""

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_-.")
_UPPER = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_TOKEN = re.compile(r"\+(?P<upper>[a-z])|=(?P<byte>[0-9a-f]{2})|(?P<plain>[a-z0-9_.-])")
_HASH_MARK = "~"
_PREFIX_BYTES_MAX = FOLDER_BYTES_MAX - len(_HASH_MARK) - 64

_NUMBERED = tuple(f"{port}{number}" for port in ("com", "lpt") for number in range(10))
_DEVICES = frozenset({"con", "prn", "aux", "nul", *_NUMBERED})
"""Names that Windows gives to devices, with any extension."""


def folder_name(run_id: str) -> str:
    """Return the name of the folder that holds the log of a run.

    Lower-case ASCII letters, digits, ``_``, ``-`` and ``.`` stand for themselves, ``+a`` for A, ``=2f`` for a byte of
    UTF-8. Dots and dashes that would lead, dots that would trail and device names of Windows are written as bytes.
    Raises ``Invalid`` for an empty id, NUL or lone surrogates, ``LimitExceeded`` above 512 characters.
    """
    if not run_id:
        raise Invalid("a run id is empty; give it at least one character", what="run id")
    codec.check_text(run_id, "a run id", characters_max=RUN_ID_CHARACTERS_MAX)
    tokens = [_token(character) for character in run_id]
    if run_id[0] in ".-" or run_id.split(".", 1)[0] in _DEVICES:
        tokens[0] = _bytes_token(run_id[0])
    if run_id[-1] == ".":
        tokens[-1] = _bytes_token(".")
    whole = "".join(tokens)
    return whole if len(whole) <= FOLDER_BYTES_MAX else _shortened(tokens, run_id)


def is_shortened(folder: str) -> bool:
    """Tell whether a folder name ends in a hash, so that the id has to be kept beside the log."""
    return _HASH_MARK in folder


def run_id_of(folder: str, kept_id: str | None = None) -> str:
    """Return the run id whose folder has this name: the inverse of ``folder_name``.

    ``kept_id`` is what the folder keeps for a shortened name; it is believed only when its hash fits the name.
    Raises ``Invalid`` for a name that Aureus does not give.
    """
    run_id = kept_id if is_shortened(folder) else _decoded(folder)
    if run_id is not None:
        with suppress(Invalid):  # ids that cannot be
            if folder_name(run_id) == folder:
                return run_id
    raise Invalid(
        f"{folder[:200]!r} is not the folder of a run", what="folder", folder=folder[:200]
    )


def _token(character: str) -> str:
    if character in _PLAIN:
        return character
    if character in _UPPER:
        return f"+{character.lower()}"
    return _bytes_token(character)


def _bytes_token(character: str) -> str:
    return "".join(f"={byte:02x}" for byte in character.encode())


def _shortened(tokens: list[str], run_id: str) -> str:
    """Keep as many whole characters as fit, for people, and let the hash tell the rest apart."""
    prefix = ""
    for token in tokens:
        if len(prefix) + len(token) > _PREFIX_BYTES_MAX:
            break
        prefix += token
    return f"{prefix}{_HASH_MARK}{hashlib.sha256(run_id.encode()).hexdigest()}"


def _decoded(folder: str) -> str | None:
    """Return what the tokens of a name stand for, or None when it has other parts than tokens."""
    decoded = bytearray()
    position = 0
    while position < len(folder):
        token = _TOKEN.match(folder, position)
        if token is None:
            return None
        if token["upper"]:
            decoded += token["upper"].upper().encode()
        elif token["byte"]:
            decoded.append(int(token["byte"], 16))
        else:
            decoded += token["plain"].encode()
        position = token.end()
    try:
        return decoded.decode() or None
    except UnicodeDecodeError:
        return None
