"""Writes a SQLite file anew without what was deleted.

Deleting frees room and leaves the bytes: in the gaps of pages, in free pages, and in the write-ahead log, also of what
was overwritten long ago. VACUUM copies what there is into new pages, and a truncating checkpoint leaves nothing in the
log. `PRAGMA secure_delete` would cost every write and not reach what is in the file already.
"""

from __future__ import annotations

from pathlib import Path

import apsw

from aureus._database.sqlite.connect import Opener
from aureus._database.sqlite.options import SqliteOptions
from aureus.clock import SystemClock
from aureus.errors import AureusError
from aureus.ids import RandomIds
from aureus.model.erasures import Scrub

LOCK_SECONDS_MAX = 30.0
"""How long it waits for other writers before it begins, and for readers before it gives the log up."""

_LATER = "another process holds the database; when it has ended, erase again, or run VACUUM and a truncating checkpoint"


def scrub(path: Path | None, wanted: bool) -> Scrub:
    """Compact the file and empty its log. Other writers wait until that is done, readers do not.

    A file in memory is not touched: its places are used again, and go with the process.
    """
    if path is None:
        return Scrub(is_done=True)
    if not wanted:
        return Scrub(is_done=False, to_do=("VACUUM; PRAGMA wal_checkpoint(TRUNCATE);",))
    clock = SystemClock()
    opener = Opener(SqliteOptions(path, creates=False), clock, RandomIds())
    try:
        connection = opener.checkpointer(clock.monotonic() + LOCK_SECONDS_MAX)
    except AureusError as error:
        return Scrub(is_done=False, to_do=(f"{_LATER} ({error.message})",))
    try:
        connection.raw.set_progress_handler(None)  # only waiting has a bound, not the work itself
        connection.run("PRAGMA temp_store = FILE")  # the copy may be larger than the memory
        connection.run("VACUUM")
        connection.deadline = clock.monotonic() + LOCK_SECONDS_MAX
        connection.raw.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    except (apsw.Error, AureusError) as error:
        return Scrub(is_done=False, to_do=(f"{_LATER} ({error})",))
    finally:
        connection.close()
    return Scrub(is_done=True)
