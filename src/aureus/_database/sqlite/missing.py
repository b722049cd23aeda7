"""Says that a database file is missing, and which one may have been meant.

Names alone are looked at: to open a file that is ours, and close it again, would drop the locks that this process holds
on it.
"""

from __future__ import annotations

import os
from difflib import get_close_matches
from itertools import islice
from pathlib import Path

from aureus.errors import DatabaseMissing

SIMILAR_MAX = 3
"""Names that a message suggests."""

_NAMES_MAX = 2000
"""Names of a folder that are compared: a folder of somebody's downloads must not hold an error up."""

_BESIDE = ("-wal", "-shm", "-journal")
"""How files end that SQLite keeps beside a database."""


def missing(path: Path) -> DatabaseMissing:
    """Return the error for a file that is not there and is not to be made."""
    similar = [str(one) for one in _similar(path)]
    meant = f"similar: {', '.join(similar)}. Name the one you mean, or make" if similar else "make"
    return DatabaseMissing(
        f"there is no database {path}; {meant} this one with `aureus db init`",
        path=str(path),
        similar=similar,
    )


def _similar(path: Path) -> list[Path]:
    """Return files with a name like that of a missing one, or folders like the first one that is missing above it."""
    folder, name, wants_folder = path.parent, path.name, False
    while not folder.is_dir() and folder != folder.parent:
        folder, name, wants_folder = folder.parent, folder.name, True
    names = _names_in(folder, wants_folder=wants_folder)
    return [folder / found for found in get_close_matches(name, names, n=SIMILAR_MAX)]


def _names_in(folder: Path, *, wants_folder: bool) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [
                entry.name
                for entry in islice(entries, _NAMES_MAX)
                if entry.is_dir() == wants_folder and not entry.name.endswith(_BESIDE)
            ]
    except OSError:
        return []  # what may not be listed suggests nothing
