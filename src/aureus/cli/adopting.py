"""Copies the sessions that another program keeps in a table, in batches that may be repeated, and counts them after."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from aureus._database.foreign import ForeignTable, open_table
from aureus.codec import decode
from aureus.config import DatabaseSettings, Settings, read_here
from aureus.errors import Invalid
from aureus.model.agent_states import COLUMNS, session_of
from aureus.model.plain import plain_record
from aureus.model.sessions import AdoptedSession
from aureus.stores.sessions import SessionStore

BATCH_ROWS = 200
"""Sessions of one transaction."""

BATCH_CHARACTERS = 1024 * 1024
"""Characters of documents after which a batch is written: large ones travel in small company."""


@dataclass(frozen=True, slots=True)
class AdoptionReport:
    """What was copied, and whether it adds up."""

    table: str
    collection: str
    row_count: int
    copied_count: int
    left_count: int
    """Sessions of the table whose names were taken in the collection."""
    grown_count: int
    """How many more sessions the collection has than before."""

    @property
    def is_verified(self) -> bool:
        """Return whether every row of the table was copied or left alone, and the collection grew by the copied."""
        return (
            self.row_count == self.copied_count + self.left_count
            and self.grown_count == self.copied_count
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON values."""
        return {**plain_record(self), "is_verified": self.is_verified}


def adopt_table(
    store: SessionStore, collection: str, settings: Settings, table: str, source: str | None
) -> AdoptionReport:
    """Copy a table into a collection. Raises ``Invalid``, ``NotFound`` and ``DatabaseUnavailable``."""
    before = store.count()
    row_count = copied_count = read_count = 0
    with open_table(_database(settings, source), table, COLUMNS) as foreign:
        row_count = foreign.count()
        for batch in _batches(foreign):
            read_count += len(batch)
            copied_count += len(store.adopt(batch, actor=settings.actor))
    return AdoptionReport(
        table=table,
        collection=collection,
        row_count=row_count,
        copied_count=copied_count,
        left_count=read_count - copied_count,
        grown_count=store.count() - before,
    )


def look_at(settings: Settings, table: str, source: str) -> None:
    """Find out whether a table of another database can be read. Raises as ``adopt_table``."""
    with open_table(_database(settings, source), table, COLUMNS) as foreign:
        foreign.count()


def _database(settings: Settings, source: str | None) -> DatabaseSettings:
    if source is None:
        return settings.database
    return read_here(arguments={"database.url": source}).database


def _batches(foreign: ForeignTable) -> Iterator[Sequence[AdoptedSession]]:
    batch: list[AdoptedSession] = []
    characters = 0
    for page in foreign.pages(BATCH_ROWS):
        for row in page:
            batch.append(_session(*row))
            characters += len(row[2])
            if len(batch) >= BATCH_ROWS or characters >= BATCH_CHARACTERS:
                yield batch
                batch, characters = [], 0
    if batch:
        yield batch


def _session(agent_id: str, session_id: str, state: str, *times: Any) -> AdoptedSession:
    try:
        document = decode(state)
    except Invalid as error:
        raise Invalid(f"the state of {agent_id}/{session_id} is {error.message}") from error
    return session_of(agent_id, session_id, document, *times)
