"""Which migrations there are, which are missing, and whether a database and this program fit together.

Pure: files of the package and rows that an engine has read. Migrations go forward only, with the same numbers and
names on both engines. A file that was applied must never change; a database may be newer than the program, unless a
migration that the program does not know says that it breaks older ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from hashlib import sha256
from typing import Any

from aureus._database.catalog import SQL_FOLDER, CatalogError, Engine, Text, parse
from aureus._database.statement import Query, Row
from aureus._version import __version__
from aureus.errors import MigrationError

_FILE = re.compile(r"(?P<number>\d{4})_(?P<name>[a-z0-9_]+)\.sql")
_FIELD = re.compile(r"^-- (?P<name>why|breaking): (?P<value>\S.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of the chain."""

    number: int
    name: str
    why: str
    is_breaking: bool
    """Whether programs that do not know it must not use the database afterwards."""
    content: str
    checksum: str

    @property
    def title(self) -> str:
        """Return number and name, as in the name of its file."""
        return f"{self.number:04d}_{self.name}"


@dataclass(frozen=True, slots=True)
class Applied:
    """A migration that a database has noted."""

    number: int
    name: str
    checksum: str
    is_breaking: bool
    applied_at: datetime
    applied_by_version: str

    @classmethod
    def from_row(cls, row: Row) -> Applied:
        """Decode a row of schema_migrations."""
        number, name, checksum, is_breaking, applied_at, version = row
        return cls(number, name, checksum, bool(is_breaking), applied_at, version)

    @property
    def title(self) -> str:
        """Return number and name, as in the name of its file."""
        return f"{self.number:04d}_{self.name}"


@dataclass(frozen=True, slots=True)
class MigrationStatus:
    """How a database and this program compare."""

    place: str
    applied: tuple[Applied, ...]
    missing: tuple[Migration, ...]
    """What this program knows and the database lacks, in the order in which it is to be applied."""
    newer: tuple[Applied, ...]
    """What the database has and this program does not know; none of it is breaking."""
    schema: str | None = None
    """The schema on PostgreSQL."""
    vector_search: str = "exact"
    """How the nearest vectors are found: ``exact``, by reading all of a model's, or ``hnsw`` with the extension."""

    @property
    def is_current(self) -> bool:
        """Return whether the database has everything that this program needs."""
        return not self.missing

    @property
    def is_new(self) -> bool:
        """Return whether nothing was ever applied."""
        return not self.applied

    def behind(self) -> MigrationError:
        """Return the error for a caller who may not migrate in silence."""
        missing = ", ".join(migration.title for migration in self.missing)
        if self.is_new:
            return MigrationError(
                f"{self.place}: there is no Aureus schema yet; run `aureus db init`",
                missing=missing,
            )
        return MigrationError(
            f"{self.place}: the schema is older than this program, it lacks {missing}; run `aureus db migrate`",
            missing=missing,
        )


@cache
def read_migrations(engine: Engine) -> tuple[Migration, ...]:
    """Return the chain of an engine, first migration first; raises ``CatalogError`` for a broken chain."""
    folder = SQL_FOLDER / "migrations" / engine
    return read_chain({entry.name: entry.read_text("utf-8") for entry in folder.iterdir()})


def read_chain(contents: Mapping[str, str]) -> tuple[Migration, ...]:
    """Return the migrations among named files, in order; raises ``CatalogError`` unless they count from 1."""
    chain: list[Migration] = []
    for file_name in sorted(contents):
        found = _FILE.fullmatch(file_name)
        if found is not None:
            chain.append(_migration(int(found["number"]), found["name"], contents[file_name]))
    numbers = [migration.number for migration in chain]
    if numbers != list(range(1, len(chain) + 1)):
        raise CatalogError(f"migrations must count from 1 without gaps, there are {numbers}")
    return tuple(chain)


def _migration(number: int, name: str, content: str) -> Migration:
    head = content.split("\n\n", 1)[0]
    fields = {found["name"]: found["value"].strip() for found in _FIELD.finditer(head)}
    if "why" not in fields or fields.get("breaking") not in ("yes", "no"):
        raise CatalogError(
            f"{number:04d}_{name}.sql must begin with `-- why: …` and `-- breaking: yes|no`"
        )
    return Migration(
        number=number,
        name=name,
        why=fields["why"],
        is_breaking=fields["breaking"] == "yes",
        content=content,
        checksum=sha256(content.encode()).hexdigest(),
    )


@cache
def bookkeeping(engine: Engine) -> Mapping[Query, Text]:
    """Return the statements with which an engine notes what was applied."""
    content = (SQL_FOLDER / "migrations" / engine / "bookkeeping.sql").read_text("utf-8")
    return {Query(text.noun, text.name): text for text in parse("migrations", content)}


def compare(
    place: str,
    chain: Sequence[Migration],
    applied: Iterable[Applied],
    schema: str | None = None,
) -> MigrationStatus:
    """Compare the chain of this program with what a database has noted.

    Raises ``MigrationError`` when a file differs from the one that was applied, when one was left out, or when the
    database is newer in a way that this program cannot work with.
    """
    noted = tuple(sorted(applied, key=lambda one: one.number))
    known = {migration.number: migration for migration in chain}
    newer = tuple(one for one in noted if one.number not in known)
    for one in noted:
        if one.number in known:
            _require_same(place, known[one.number], one)
    numbers = {one.number for one in noted}
    missing = tuple(migration for migration in chain if migration.number not in numbers)
    if missing and noted and missing[0].number < noted[-1].number:
        raise MigrationError(
            f"{place}: {missing[0].title} was never applied, although {noted[-1].title} was; "
            "restore the database from a backup, or start a new one",
            missing=missing[0].title,
        )
    breaking = [one for one in newer if one.is_breaking]
    if breaking:
        raise MigrationError(
            f"{place}: the database is newer than this program: {breaking[0].title} was applied by Aureus "
            f"{breaking[0].applied_by_version}; upgrade this one to that version or a later one",
            newer=breaking[0].title,
            version=breaking[0].applied_by_version,
        )
    return MigrationStatus(place, noted, missing, newer, schema)


def note_of(migration: Migration) -> dict[str, Any]:
    """Return the parameters with which a migration is noted."""
    return {
        "number": migration.number,
        "name": migration.name,
        "checksum": migration.checksum,
        "is_breaking": migration.is_breaking,
        "version": __version__,
    }


def literals_of(migration: Migration) -> dict[str, str]:
    """Return the same as SQL literals, for a script to be read; none of our values holds a quote."""
    return {
        name: str(value).lower() if isinstance(value, bool | int) else f"'{value}'"
        for name, value in note_of(migration).items()
    }


def _require_same(place: str, known: Migration, noted: Applied) -> None:
    if known.name != noted.name or known.checksum != noted.checksum:
        raise MigrationError(
            f"{place}: {known.title}.sql differs from {noted.title}.sql, which was applied to this database by Aureus "
            f"{noted.applied_by_version}; a migration that was applied must not change: reinstall the package "
            "unchanged, or start a new database",
            file=f"{known.title}.sql",
        )
