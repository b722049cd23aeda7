"""Overwrites the places on the disk where deleted rows had been: what an erasure ends with.

On a connection of its own, so that whoever has the database open goes on; the engine's module is imported only here.
"""

from __future__ import annotations

from aureus.config import DatabaseSettings, SqliteUrl
from aureus.model.erasures import Scrub


def scrub(settings: DatabaseSettings, wanted: bool | None) -> Scrub:
    """Compact the database so that nothing is left of deleted rows, and say what else it takes.

    None compacts a SQLite file, which keeps other writers waiting while it is written anew, and leaves PostgreSQL
    alone, where its tables would be locked. Raises nothing for what cannot be done now: the answer says so.
    """
    if isinstance(settings.url, SqliteUrl):
        from aureus._database.sqlite.scrubbing import scrub as scrub_sqlite

        return scrub_sqlite(settings.url.path, wanted is not False)
    from aureus._database.postgres.scrubbing import scrub as scrub_postgres

    return scrub_postgres(settings, settings.url, wanted is True)
