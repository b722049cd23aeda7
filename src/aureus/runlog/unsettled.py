"""Which runs may have events that their log does not hold yet.

A process that dies between a commit and the line that tells about it leaves a log behind, and when that was the end of
the run nobody would look again. So a run is noted here before its first line is written and crossed out when the log
holds its last one; whoever opens an engine next finds the notes and brings those logs up to date.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from aureus.codec import decode, encode
from aureus.errors import Invalid
from aureus.runlog.folders import log_path, refusals
from aureus.runlog.names import folder_name, run_id_of
from aureus.runlog.scan import Owner

FOLDER = ".unsettled"
"""Beside the folders of runs, none of whose names begins with a dot."""


class Unsettled:
    """The notes of one tenant's runs; each is a file named as the run's folder that holds its id."""

    def __init__(self, directory: Path, tenant_id: str) -> None:
        """Remember where the notes are; nothing is made yet."""
        self._tenant_id = tenant_id
        self._folder = log_path(directory.absolute(), tenant_id, "r").parent.parent / FOLDER

    def note(self, run_id: str) -> None:
        """Note a run before its log is written. Raises as the run log does."""
        owner = self._owner(run_id)
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with refusals(owner, "note"):
            self._folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(owner.path, flags, 0o640)
            try:
                os.write(descriptor, encode(run_id))
            finally:
                os.close(descriptor)

    def settle(self, run_id: str) -> None:
        """Cross a run out: its log holds everything, or whoever goes on with it will see to it."""
        with refusals(self._owner(run_id), "settle"), suppress(FileNotFoundError):
            self._owner(run_id).path.unlink()

    def run_ids(self) -> list[str]:
        """Return the runs that are noted; what is no note of a run is left alone."""
        try:
            paths = sorted(path for path in self._folder.iterdir() if path.is_file())
        except (FileNotFoundError, NotADirectoryError):
            return []
        found: list[str] = []
        for path in paths:
            with suppress(Invalid, OSError):
                found.append(run_id_of(path.name, decode(path.read_bytes())))
        return found

    def _owner(self, run_id: str) -> Owner:
        return Owner(run_id, self._tenant_id, self._folder / folder_name(run_id))
