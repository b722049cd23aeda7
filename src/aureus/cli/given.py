"""What commands are given beside their words: JSON, files and standard input, judged by the names of the arguments."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, cast

from aureus.codec import decode
from aureus.errors import Invalid


def text_given(text: str, what: str) -> str:
    """Return the text of an argument; of ``-`` what comes on standard input. Raises ``Invalid`` for other bytes."""
    if text != "-":
        return text
    if sys.stdin is None:  # pyright: ignore[reportUnnecessaryComparison] - a parent may have closed it
        raise Invalid(f"{what} is to be read from standard input, which is closed", what=what)
    return _decoded(sys.stdin.buffer.read(), f"{what}, on standard input,", what)


def json_given(text: str, what: str, *, reads_stdin: bool = False) -> Any:
    """Return the JSON value of an argument, or of the file behind an ``@``. Raises ``Invalid``."""
    if text.startswith("@"):
        text = _text_of(Path(text[1:]), what)
    elif reads_stdin:
        text = text_given(text, what)
    try:
        return decode(text)
    except Invalid as error:
        raise Invalid(f"{what} is {error.message}", what=what) from error


def object_given(text: str, what: str, *, reads_stdin: bool = False) -> dict[str, Any]:
    """Return a JSON object; as ``json_given``."""
    found = json_given(text, what, reads_stdin=reads_stdin)
    if not isinstance(found, dict):
        raise Invalid(f"{what} is no JSON object; write one, such as '{{\"n\": 1}}'", what=what)
    return cast(dict[str, Any], found)


def _text_of(path: Path, what: str) -> str:
    try:
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        why = os.strerror(error.errno or 0) if isinstance(error, OSError) else str(error)
        raise Invalid(f"{what}: {path} cannot be read: {why}", what=what) from error
    return _decoded(content, f"{what}: {path}", what)


def _decoded(content: bytes, where: str, what: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise Invalid(f"{where} is not UTF-8 from byte {error.start} on", what=what) from error
