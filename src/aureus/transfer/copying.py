"""Copies tenants from one database into another, between engines too: every row, position, hash and signed head.

A tenant is read at one moment, sealed up to its last entry, and written in one transaction. Then both are compared row
by row, and the ledger of the copy is verified. Whoever repeats a copy that was interrupted goes on with the tenants
that are missing.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace

from aureus._database.copying import (
    SHARED_TABLES,
    TABLES,
    Footprint,
    Reader,
    Side,
    Writer,
    footprint,
)
from aureus._database.opening import migrate_schema, open_side
from aureus.client import Aureus
from aureus.client.opening import check_tenant, read_settings, refuse_loop
from aureus.config import Settings
from aureus.errors import Conflict, IntegrityFailure, Invalid, NotFound
from aureus.model.copies import DatabaseCopy, TenantCopy

SEALING_TRIES_MAX = 10
"""Times that sealing is tried before the source counts as being written to."""

Told = Callable[[TenantCopy], None]


def copy_database(
    source: Settings | str,
    target: Settings | str,
    *,
    tenants: Sequence[str] = (),
    told: Told | None = None,
) -> DatabaseCopy:
    """Copy tenants into another database, all of the source when none is named.

    On PostgreSQL all are those whose ledger has begun, and that of the settings: with ``events.routine`` off a tenant
    may have sessions and keys alone, of which no entry tells, and nobody sees it there unless it is named.

    The source is there, or ``DatabaseMissing`` is raised. The target's file and schema are made or brought up to date;
    the folder of a file is there, so that a mistyped one, or a disk that is not mounted, is noticed and not made. Each
    tenant is one transaction in the target: all of it, or nothing. A tenant that the target holds already must be the
    same, row by row, and is then left alone; so a copy that was interrupted goes on when it is repeated. Nothing but
    the ledger's sealing is written to the source. What is written to the source afterwards is not in the copy: stop its
    writers first. ``told`` is called after each tenant.

    Not copied are run logs, keys, the heads kept outside the database, and your own tables. Raises ``Invalid``,
    ``NotFound`` for a tenant that the source does not have, ``Conflict`` when the target holds other data of a tenant
    or the source is being written to, ``Forbidden``, and ``IntegrityFailure`` when the copy is not what was read.
    """
    refuse_loop()
    read_from = _existing(_settings_of(source))
    write_to = _without_detour(_settings_of(target))
    if read_from.database.description == write_to.database.description:
        raise Invalid(f"source and target are the same: {read_from.database.description}")
    with Aureus(settings=read_from) as origin, closing(open_side(read_from.database)) as left:
        migrate_schema(write_to.database, makes_folders=False)
        with (
            Aureus(settings=write_to) as copy,
            closing(open_side(write_to.database)) as right,
        ):
            return _Copying(origin, left, copy, right, told).copy_all(tenants)


class _Copying:
    """One copy under way: two databases, and what is to be told."""

    def __init__(
        self, origin: Aureus, left: Side, copy: Aureus, right: Side, told: Told | None
    ) -> None:
        self._origin = origin
        self._left = left
        self._copy = copy
        self._right = right
        self._told = told

    def copy_all(self, tenants: Sequence[str]) -> DatabaseCopy:
        done: list[TenantCopy] = []
        for tenant_id in self._chosen(tenants):
            done.append(self._copy_tenant(tenant_id))
            if self._told is not None:
                self._told(done[-1])
        has_anchors = not tenants and self._copy_anchors()
        self._right.settle()
        return DatabaseCopy(self._left.place, self._right.place, tuple(done), has_anchors)

    def _chosen(self, tenants: Sequence[str]) -> list[str]:
        """Return the tenants to copy. On PostgreSQL one whose ledger has not begun is known by its name alone."""
        known = self._left.tenants()
        if not tenants:
            mine = self._origin.settings.tenant
            return known if mine in known or not self._is_there(mine) else [*known, mine]
        for tenant_id in map(check_tenant, tenants):
            if tenant_id not in known and not self._is_there(tenant_id):
                raise NotFound(
                    f"{self._left.place} has no tenant {tenant_id}; it has {', '.join(known) or 'none'}",
                    tenant=tenant_id,
                )
        return list(dict.fromkeys(tenants))

    def _is_there(self, tenant_id: str) -> bool:
        with self._left.reading(tenant_id) as reader:
            return reader.has_rows()

    def _seal(self, tenant_id: str) -> None:
        ledger = self._origin.for_tenant(tenant_id).ledger
        while not ledger.seal().is_done:
            pass

    def _copy_tenant(self, tenant_id: str) -> TenantCopy:
        with self._sealed(tenant_id) as reader:
            had = self._footprints(self._right, tenant_id)
            was_there = any(one.row_count for one in had.values())
            if was_there:
                read = {table: footprint(reader, table) for table in TABLES}
            else:
                with self._right.writing(tenant_id) as writer:
                    read = {table: self._put(reader, writer, table) for table in TABLES}
        self._compare(tenant_id, read, self._footprints(self._right, tenant_id), was_there)
        ledger = self._copy.for_tenant(tenant_id).ledger
        found = ledger.verify()
        rows = sum(one.row_count for one in read.values())
        return TenantCopy(tenant_id, rows, found.head, was_there, found)

    @contextmanager
    def _sealed(self, tenant_id: str) -> Generator[Reader]:
        """Look at a moment at which nothing of a tenant waits to be sealed."""
        for _ in range(SEALING_TRIES_MAX):
            self._seal(tenant_id)
            with self._left.reading(tenant_id) as reader:
                if not reader.unsealed_count():
                    yield reader
                    return
        raise Conflict(
            f"{self._left.place}: somebody keeps writing to tenant {tenant_id}; stop the writers, then repeat the copy",
            tenant=tenant_id,
        )

    def _footprints(self, side: Side, tenant_id: str | None) -> dict[str, Footprint]:
        tables = SHARED_TABLES if tenant_id is None else TABLES
        with side.reading(tenant_id) as reader:
            return {table: footprint(reader, table) for table in tables}

    def _put(self, reader: Reader, writer: Writer, table: str) -> Footprint:
        columns = sorted(reader.columns(table))
        found = Footprint()
        for page in reader.pages(table, columns):
            writer.put(table, columns, page)
            found = found.plus(page)
        return found

    def _compare(
        self,
        tenant_id: str,
        read: dict[str, Footprint],
        there: dict[str, Footprint],
        was_there: bool,
    ) -> None:
        other = [table for table in TABLES if read[table] != there[table]]
        if not other:
            return
        message = (
            f"{self._right.place}: tenant {tenant_id} is not what {self._left.place} holds of it, in "
            f"{', '.join(other)}"
        )
        if was_there:
            raise Conflict(
                f"{message}; it was there before, and nothing was changed. Copy into another database or schema",
                tenant=tenant_id,
            )
        raise IntegrityFailure(f"{message}; do not use this copy", tenant=tenant_id)

    def _copy_anchors(self) -> bool:
        """Copy the anchor log where the target has none; return whether both are the same."""
        there = self._footprints(self._right, None)
        with self._left.reading(None) as reader:
            read = {table: footprint(reader, table) for table in SHARED_TABLES}
            if there["anchors"].row_count == 0 and read["anchors"].row_count:
                with self._right.writing(None) as writer:
                    writer.clear_anchor_head()
                    read = {table: self._put(reader, writer, table) for table in SHARED_TABLES}
        there = self._footprints(self._right, None)
        return read["anchors"] == there["anchors"]


def _settings_of(given: Settings | str) -> Settings:
    return given if isinstance(given, Settings) else read_settings(given, None)


def _existing(settings: Settings) -> Settings:
    """Return a source's settings: a missing file is a mistyped one, and not made."""
    return replace(settings, database=replace(settings.database, create="off"))


def _without_detour(settings: Settings) -> Settings:
    """Return a target's settings: the way around a pooler that the environment names is the source's."""
    return replace(settings, database=replace(settings.database, direct_url=None))
