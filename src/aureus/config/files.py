"""Reads the files that settings come from: ``.env``, ``aureus.toml`` and the files of secrets.

Every message names the file and the line and quotes nothing of it, because a line of these files may be a password.
The files are read once and whole; nothing is expanded, and no directory above is searched.
"""

from __future__ import annotations

import re
import stat
from typing import TYPE_CHECKING, Any

from aureus.errors import ConfigInvalid

if TYPE_CHECKING:
    from pathlib import Path

FILE_BYTES_MAX = 1_048_576
"""Size of a file of settings; anything larger is some other file."""

SECRET_DIRECTORIES = ("/run/secrets/", "/var/run/secrets/")
"""Where container systems place secrets readable by all: only the container's own processes see them."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_TABLE = re.compile(r"\s*\[{1,2}\s*([^\[\]]+?)\s*\]{1,2}\s*(?:#.*)?")
_KEY = re.compile(
    r"\s*((?:[A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*'))*)\s*="
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "$": "$"}


def read_text(path: Path, what: str) -> str | None:
    """Return the text of a file; None when there is none. Raises ``ConfigInvalid`` when it cannot be read."""
    try:
        with path.open("rb") as file:
            encoded = file.read(FILE_BYTES_MAX + 1)
    except FileNotFoundError:
        return None
    except IsADirectoryError:
        raise ConfigInvalid(f"{what} is a directory; it has to be a file", origin=what) from None
    except OSError as error:
        raise ConfigInvalid(f"{what} cannot be read: {error.strerror}", origin=what) from error
    if len(encoded) > FILE_BYTES_MAX:
        raise ConfigInvalid(f"{what} is larger than {FILE_BYTES_MAX:,} bytes", origin=what)
    try:
        return encoded.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = encoded.count(b"\n", 0, error.start) + 1
        raise ConfigInvalid(f"{what} line {line} is not valid UTF-8", origin=what) from None


def read_dotenv(directory: Path) -> dict[str, tuple[str, int]]:
    r"""Return the variables of ``.env`` with their lines; empty when there is none.

    A line is ``NAME=value``, with ``export`` before it or not. A value in single quotes is taken as it stands, one in
    double quotes knows ``\n \r \t \" \\ \$``; both may span lines. Without quotes it ends before `` #``.
    """
    path = directory / ".env"
    if (path / "pyvenv.cfg").exists():  # a virtual environment that somebody gave this name
        return {}
    text = read_text(path, ".env")
    found: dict[str, tuple[str, int]] = {}
    lines = [] if text is None else text.replace("\r\n", "\n").split("\n")
    number = 0
    while number < len(lines):
        start = number + 1
        line = lines[number].strip()
        number += 1
        if not line or line.startswith("#"):
            continue
        line = re.sub(r"\Aexport\s+", "", line)
        name, equals, value = (part.strip() for part in line.partition("="))
        if not _NAME.fullmatch(name):
            raise ConfigInvalid(f".env line {start} is not NAME=value", origin=f".env line {start}")
        if (
            not equals
        ):  # a bare name asks container tools to pass a variable on; it says nothing here
            continue
        if value[:1] in {"'", '"'}:
            while (end := _closing_quote(value)) is None and number < len(lines):
                value += "\n" + lines[number]
                number += 1
            found[name] = (_unquoted(value, end, start), start)
        else:
            found[name] = (re.sub(r"(\A|\s)#.*", "", value).strip(), start)
    return found


def _closing_quote(value: str) -> int | None:
    quote = value[0]
    position = 1
    while position < len(value):
        if value[position] == "\\" and quote == '"':
            position += 1
        elif value[position] == quote:
            return position
        position += 1
    return None


def _unquoted(value: str, end: int | None, line: int) -> str:
    if end is None:
        raise ConfigInvalid(
            f".env line {line} opens a quote that never closes", origin=f".env line {line}"
        )
    after = value[end + 1 :].strip()
    if after and not after.startswith("#"):
        raise ConfigInvalid(
            f".env line {line} goes on after the closing quote", origin=f".env line {line}"
        )
    inside = value[1:end]
    if value[0] == "'":
        return inside
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[0]), inside, flags=re.DOTALL)


def read_toml(directory: Path) -> tuple[dict[str, Any], str]:
    """Return aureus.toml as nested values, and its text for ``line_of``; both empty when there is none."""
    text = read_text(directory / "aureus.toml", "aureus.toml")
    if not text:
        return {}, ""
    import tomllib  # most processes have no such file, and the parser takes 10 ms to load

    try:
        return tomllib.loads(text), text
    except tomllib.TOMLDecodeError as error:
        raise _not_toml(str(error), text) from None


def _not_toml(said: str, text: str) -> ConfigInvalid:
    place = re.search(r"line (\d+), column (\d+)", said)
    line = place[1] if place else text.rstrip().count("\n") + 1
    where = f"aureus.toml line {line}"
    column = f", column {place[2]}" if place else ""
    problem = (
        "sets something for the second time"
        if "Cannot" in said
        else "is not TOML; look for a missing quote or ="
    )
    return ConfigInvalid(f"{where}{column} {problem}", origin=where)


def line_of(text: str, key: str) -> int | None:
    """Return the line of aureus.toml that sets a dotted key, or opens its table; None when it is written otherwise."""
    wanted = key.split(".")
    table: list[str] = []
    nearest: int | None = None
    for number, line in enumerate(text.splitlines(), 1):
        if match := _TABLE.fullmatch(line):
            table = _parts(match[1])
            path = table
        elif match := _KEY.match(line):
            path = [*table, *_parts(match[1])]
        else:
            continue
        if path[: len(wanted)] == wanted:
            return number
        if path == wanted[: len(path)]:  # the table it stands in, which may be written inline
            nearest = number
    return nearest


def _parts(dotted: str) -> list[str]:
    return [part.strip().strip("\"'") for part in dotted.split(".")]


def read_secret(path: Path, what: str) -> tuple[str, bool]:
    """Return what a secret's file holds without the line break at its end, and whether everybody may read it."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise ConfigInvalid(
            f"{what} names a file that cannot be read: {error.strerror}", origin=what
        ) from error
    if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
        raise ConfigInvalid(f"{what} names a directory or device; it has to be a file", origin=what)
    text = read_text(path, f"the file of {what}")
    if text is None or not text.strip():
        raise ConfigInvalid(f"{what} names a file that is empty", origin=what)
    is_open = bool(mode & stat.S_IROTH) and not str(path).startswith(SECRET_DIRECTORIES)
    return text.rstrip("\r\n"), is_open
