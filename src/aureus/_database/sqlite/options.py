"""What a SQLite database is opened with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class SqliteOptions:
    """Where the file is, and what may be done to it. Durations in seconds."""

    path: Path | None
    """The database file; None keeps everything in the memory of this process, and nothing after its end."""
    creates: bool = True
    """Whether a missing file is made."""
    makes_folders: bool = True
    """Whether the folders above a file that is made are made too."""
    may_migrate: bool = True
    """Whether a missing or older schema is brought up to date while opening."""
    open_seconds: float = 30.0
    """How long opening waits for other processes that hold the file."""

    def __post_init__(self) -> None:
        if self.path is not None:
            # Connections are opened later too, when the working folder may be another one.
            object.__setattr__(self, "path", self.path.absolute())

    def place(self) -> str:
        """Return which database this is, for messages: nothing secret."""
        return "SQLite in memory" if self.path is None else f"SQLite {self.path}"
