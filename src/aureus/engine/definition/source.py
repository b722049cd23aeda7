"""Getting the text of a workflow file: only regular files, never more bytes than allowed, UTF-8 or a clear refusal."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from aureus.engine.definition.problems import TOP, Place, Problems, escaped
from aureus.engine.definition.reader import TEXT_BYTES_MAX
from aureus.errors import Invalid, LimitExceeded, NotFound

_OTHER_ENCODINGS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
_BOM = b"\xef\xbb\xbf"


def read_file(path: Path) -> str:
    """Return the text of a file, without a byte order mark.

    Raises ``NotFound``, ``Invalid`` when it is no readable regular file (a FIFO does not block), ``LimitExceeded`` and,
    for bytes that are not UTF-8, ``DefinitionInvalid``.
    """
    name = escaped(str(path), characters_max=None)
    encoded = _read(path, name)
    if len(encoded) > TEXT_BYTES_MAX:
        raise too_large(name)
    return _decode(encoded, name)


def too_large(name: str) -> LimitExceeded:
    """Return the error for a text that is larger than ``TEXT_BYTES_MAX``."""
    return LimitExceeded(
        f"{name} has more than {TEXT_BYTES_MAX:,} bytes, the limit for a workflow file. "
        "Keep data in files that the tasks read.",
        source=name,
        limit_bytes=TEXT_BYTES_MAX,
    )


def _read(path: Path, name: str) -> bytes:
    try:
        # O_NONBLOCK: opening a FIFO that nobody writes to would wait for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError as error:
        raise NotFound(f"there is no file {name}. Check the path.", source=name) from error
    except (OSError, ValueError) as error:
        raise Invalid(
            f"{name} cannot be opened: {_reason(error)}. Check the path and who may read it.",
            source=name,
        ) from error
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            kind = "a directory" if stat.S_ISDIR(mode) else "not a regular file"
            raise Invalid(f"{name} is {kind}. Name a workflow file.", source=name)
        return _read_bytes(descriptor)
    except OSError as error:
        raise Invalid(
            f"{name} cannot be read: {_reason(error)}. Try again.", source=name
        ) from error
    finally:
        os.close(descriptor)


def _read_bytes(descriptor: int) -> bytes:
    """Read until the end, or until one byte more than allowed is there."""
    parts: list[bytes] = []
    left = TEXT_BYTES_MAX + 1
    while left > 0 and (part := os.read(descriptor, left)):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _reason(error: OSError | ValueError) -> str:
    return error.strerror or "unknown" if isinstance(error, OSError) else str(error)


def _decode(encoded: bytes, name: str) -> str:
    body = encoded.removeprefix(_BOM)
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        before, offset = body[: error.start], error.start + len(encoded) - len(body)
        line_start = before.rfind(b"\n") + 1
        column = len(before[line_start:].decode(errors="replace")) + 1
        other = _OTHER_ENCODINGS.get(encoded[:2], "another encoding")
        problems = Problems(name)
        problems.error(
            Place(before.count(b"\n") + 1, column),
            TOP,
            f"byte {offset} (0x{encoded[offset]:02x}) is not UTF-8; this may be {other}",
            "Save the file as UTF-8.",
        )
        raise problems.refuse() from error
