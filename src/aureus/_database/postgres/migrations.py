"""Brings a PostgreSQL schema to the newest state, with the role that the program drops to; many may try at once.

The usual start asks two questions of the catalogues and changes nothing, so a user without any right to migrate may
connect to a schema that is current. Migrating takes a transaction-level advisory lock by polling, never by waiting in
it, and each migration is one transaction together with its note; the grants travel with the last one.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, TypeVar

import psycopg
from psycopg import errors
from psycopg import sql as composed
from psycopg.raw_cursor import RawCursor

from aureus._database.catalog import SQL_FOLDER, Catalog, quote
from aureus._database.migrate import (
    Applied,
    Migration,
    MigrationStatus,
    bookkeeping,
    compare,
    literals_of,
    note_of,
    read_migrations,
)
from aureus._database.postgres import vectors
from aureus._database.postgres.errors import mapped
from aureus._database.statement import Queries, Row
from aureus.clock import Clock
from aureus.errors import AureusError, DatabaseBusy, DatabaseUnavailable, Forbidden, MigrationError
from aureus.ids import Ids

T = TypeVar("T")

PlainConnection = psycopg.Connection[Any]

_ROLE = re.compile(r"\baureus_app\b")
_ON_SCHEMA = re.compile(r"\bON SCHEMA aureus\b")
_PLACE = re.compile(r"\$\d+")
_sql = Queries("migrations")

_COLLISIONS = (errors.UniqueViolation, errors.DuplicateObject, errors.InternalError_)
"""What two processes that make the same role at once may get; the last one is 'tuple concurrently updated'."""

_WAITS = (errors.LockNotAvailable, errors.DeadlockDetected)


@dataclass(frozen=True, slots=True)
class Target:
    """Which schema is to be brought up to date, and how long to wait for others. Durations in seconds."""

    place: str
    """Which server and database this is, for messages."""
    schema: str = "aureus"
    role: str = "aureus_app"
    timeout_seconds: float = 60.0

    def describe(self) -> str:
        """Return the place with its schema, for messages."""
        return f"{self.place} schema {self.schema}"


@dataclass(frozen=True, slots=True)
class Prepared:
    """How a schema that is ready is to be used."""

    single_role: bool
    """True when the user of the URL must work itself, because it cannot drop to the role; row level security holds
    it all the same, since it owns no right to bypass it."""
    applied: tuple[str, ...] = ()
    """The names of the migrations that were applied now."""
    steps: tuple[str, ...] = field(default=(), compare=False)
    """What was made besides, because this server can do it."""


@dataclass(frozen=True, slots=True)
class _State:
    """What the catalogues say: the columns of describe_state."""

    has_schema: bool
    has_table: bool
    may_read: bool
    owns_table: bool
    has_relations: bool
    has_role: bool
    role_may_read: bool
    may_become_role: bool
    role_bypasses: bool
    user_bypasses: bool
    is_superuser: bool
    user_name: str

    @property
    def works_as_role(self) -> bool:
        return self.has_role and self.may_become_role and self.role_may_read


class Migrator:
    """Migrates one schema over an open connection in autocommit mode, which stays open."""

    def __init__(self, connection: PlainConnection, target: Target, clock: Clock, ids: Ids) -> None:
        self._connection = connection
        self._target = target
        self._clock = clock
        self._ids = ids
        self._deadline = clock.monotonic() + target.timeout_seconds
        self._catalog = Catalog("postgres", target.schema, bookkeeping("postgres"))

    def status(self) -> MigrationStatus:
        """Return what was applied and what is missing; changes nothing.

        Raises ``MigrationError``, ``Forbidden`` when the user may not look, and ``DatabaseUnavailable``.
        """

        def look() -> MigrationStatus:
            index = vectors.look(self._run, self._target.schema)
            return replace(self._status(self._describe()), vector_search=index.describe())

        return self._guarded(look)

    def ensure(self, *, may_migrate: bool) -> Prepared:
        """Find the schema current, or bring it up to date where that is allowed.

        Raises ``MigrationError`` when it is behind and may not be migrated, or does not fit this program;
        ``Forbidden`` when the user has not the rights; ``DatabaseBusy`` when others held the schema all the time.
        """
        return self._guarded(lambda: self._ensure(may_migrate=may_migrate))

    def migrate(self) -> Prepared:
        """Apply what is missing, make the role where that is possible, and give it its grants. Raises as ``ensure``."""
        return self._guarded(self._migrate)

    def _ensure(self, *, may_migrate: bool) -> Prepared:
        state = self._describe()
        found = self._status(state)
        if not found.is_current:
            if not may_migrate:
                raise found.behind()
            return self._migrate()
        may_mend = state.owns_table and (state.may_become_role or state.is_superuser)
        if may_migrate and may_mend and not state.works_as_role:
            return self._migrate()
        return Prepared(single_role=self._single_role(state))

    def _migrate(self) -> Prepared:
        self._status(self._describe())  # What does not fit is refused before a role is made.
        self._make_role()
        state = self._describe()
        self._refuse_bypass(state, has_role=state.has_role and state.may_become_role)
        done: list[str] = []
        while True:
            step = self._step()
            if step is None:
                self._wait()
                continue
            if step.applied is not None:
                done.append(step.applied)
            if step.is_last:
                steps = self._make_vectors()
                return Prepared(self._single_role(self._describe()), tuple(done), steps)

    def _make_vectors(self) -> tuple[str, ...]:
        """Make the index of vectors where that can be done; another process that does so at once is waited for."""
        while True:
            try:
                with self._connection.transaction():
                    self._run("set_limits")
                    if self._run("lock_schema", schema=self._target.schema) == [(True,)]:
                        state = self._describe()
                        if not state.owns_table:
                            return ()
                        role = self._target.role if state.has_role else None
                        made = vectors.make(
                            self._connection, self._run, schema=self._target.schema, role=role
                        )
                        return () if made is None else (made,)
            except _WAITS:
                pass
            self._wait()

    def _step(self) -> _Step | None:
        """Apply the next migration, and the grants with the last one; None when others hold the schema."""
        try:
            with self._connection.transaction():
                self._run("set_limits")
                if self._run("lock_schema", schema=self._target.schema) != [(True,)]:
                    return None
                # Read again: another process may have been here meanwhile.
                state = self._describe()
                missing = self._status(state).missing
                if missing:
                    self._apply(missing[0], state)
                if len(missing) <= 1 and state.has_role:
                    self._script(_grants(self._target.schema, self._target.role))
                return _Step(missing[0].title if missing else None, is_last=len(missing) <= 1)
        except _WAITS:
            return None

    def _apply(self, migration: Migration, state: _State) -> None:
        if not state.has_schema:
            name = composed.Identifier(self._target.schema)
            self._connection.execute(composed.SQL("CREATE SCHEMA {}").format(name))
        if not state.has_table:
            self._run("create_table")
        self._script(migration.content)
        self._run("note_applied", **note_of(migration))

    # The role.

    def _make_role(self) -> None:
        """Make the role and become its member, as far as this user may; concurrent attempts are survived."""
        name = composed.Identifier(self._target.role)
        is_modern = self._connection.info.server_version >= 160000
        options = composed.SQL(" WITH SET TRUE, INHERIT FALSE" if is_modern else "")
        create = composed.SQL("CREATE ROLE {} NOLOGIN NOBYPASSRLS").format(name)
        join = composed.SQL("GRANT {} TO CURRENT_USER{}").format(name, options)
        while True:
            state = self._describe()
            if state.has_role and state.may_become_role:
                return
            try:
                self._connection.execute(join if state.has_role else create)
            except errors.InsufficientPrivilege:
                return
            except _COLLISIONS:
                self._wait()

    def _single_role(self, state: _State) -> bool:
        """Decide whether to work without the role. Raises ``Forbidden`` when no way keeps tenants apart."""
        self._refuse_bypass(state, has_role=state.works_as_role)
        if not state.works_as_role and not state.may_read:
            raise self._may_not_read(state)
        return not state.works_as_role

    def _refuse_bypass(self, state: _State, *, has_role: bool) -> None:
        where, role, user = self._target.describe(), self._target.role, state.user_name
        if state.role_bypasses:
            raise Forbidden(
                f"{where}: the role {role} bypasses row level security, tenants would see each other; "
                f"run `ALTER ROLE {quote(role)} NOSUPERUSER NOBYPASSRLS`",
                role=role,
            )
        if state.user_bypasses and not has_role:
            raise Forbidden(
                f"{where}: the user {user} bypasses row level security and there is no role to drop to; "
                f"run `aureus db migrate`, which makes {role} where it may, or connect as a plain user",
                user=user,
            )

    def _may_not_read(self, state: _State) -> Forbidden:
        role, user = quote(self._target.role), quote(state.user_name)
        return Forbidden(
            f"{self._target.describe()}: the user {state.user_name} may not use this schema; "
            f"let its owner run `GRANT {role} TO {user}`",
            user=state.user_name,
        )

    # Reading.

    def _describe(self) -> _State:
        row = self._run("describe_state", schema=self._target.schema, role=self._target.role)[0]
        return _State(*row)

    def _status(self, state: _State) -> MigrationStatus:
        target = self._target
        if not state.has_table and state.has_relations:
            raise MigrationError(
                f"{target.describe()}: there are tables here that Aureus did not make; nothing was changed. "
                "Name another schema",
                schema=target.schema,
            )
        rows = self._applied(state) if state.has_table else []
        applied = map(Applied.from_row, rows)
        return compare(target.describe(), read_migrations("postgres"), applied, target.schema)

    def _applied(self, state: _State) -> list[Row]:
        if state.may_read:
            return self._run("list_applied")
        if not state.works_as_role:
            raise self._may_not_read(state)
        with self._connection.transaction():
            self._run("become", role=self._target.role)
            return self._run("list_applied")

    # Statements.

    def _run(self, statement: str, /, **parameters: Any) -> list[Row]:
        compiled = self._catalog.compiled(getattr(_sql, statement))
        values = [parameters[name] for name in compiled.parameters[0]]
        with RawCursor[Row](self._connection) as cursor:
            cursor.execute(compiled.texts[0].encode(), values, prepare=False)
            return cursor.fetchall() if cursor.description else []

    def _script(self, content: str) -> None:
        self._connection.execute(self._catalog.script(content).encode())

    def _wait(self) -> None:
        """Rest before the next try. Raises ``DatabaseBusy`` after the deadline."""
        if self._clock.monotonic() > self._deadline:
            raise DatabaseBusy(
                f"{self._target.describe()}: others held the schema for {self._target.timeout_seconds:g} s; "
                "look for long transactions, then repeat `aureus db migrate`"
            )
        threading.Event().wait(0.02 + 0.08 * self._ids.jitter())

    def _guarded(self, action: Callable[[], T]) -> T:
        try:
            return action()
        except errors.InsufficientPrivilege as error:
            raise Forbidden(
                f"{self._target.describe()}: {error.diag.message_primary}; "
                "let the owner of the schema run `aureus db migrate`",
            ) from error
        except psycopg.Error as error:
            raise self._failed(error) from error

    def _failed(self, error: psycopg.Error) -> AureusError:
        found = mapped(error, self._target.describe())
        if isinstance(found, DatabaseUnavailable):
            return found
        return MigrationError(
            f"the schema could not be read or brought up to date: {found.message}"
        )


@dataclass(frozen=True, slots=True)
class _Step:
    """What one transaction of a migration has done."""

    applied: str | None
    is_last: bool


def script(schema: str = "aureus", role: str = "aureus_app") -> str:
    """Return everything that ``migrate`` does to an empty database, to be read or carried out by hand."""
    catalog = Catalog("postgres", schema, bookkeeping("postgres"))
    parts = [
        f"CREATE SCHEMA IF NOT EXISTS {quote(schema)};",
        catalog.compiled(_sql.create_table).texts[0] + ";",
    ]
    for migration in read_migrations("postgres"):
        parts += [f"-- {migration.title}: {migration.why}", catalog.script(migration.content)]
        parts.append(_note(catalog, migration))
    parts += [
        "-- The role that the program drops to. Let each user of the program become it: GRANT … TO …;",
        (
            f"DO $$ BEGIN CREATE ROLE {quote(role)} NOLOGIN NOBYPASSRLS; "
            "EXCEPTION WHEN duplicate_object THEN NULL; END $$;"
        ),
        catalog.script(_grants(schema, role)),
    ]
    return "\n\n".join(["BEGIN;", *parts, "COMMIT;"]) + "\n"


def _note(catalog: Catalog, migration: Migration) -> str:
    compiled = catalog.compiled(_sql.note_applied)
    literals = literals_of(migration)
    places = {f"${place}": literals[name] for place, name in enumerate(compiled.parameters[0], 1)}
    return _PLACE.sub(lambda found: places[found[0]], compiled.texts[0]) + ";"


def _grants(schema: str, role: str) -> str:
    """Return the grants with the quoted names in place, except before a dot, where the catalogue puts the schema's."""
    content = _ROLE.sub(lambda _: quote(role), _grants_content())
    return _ON_SCHEMA.sub(lambda _: f"ON SCHEMA {quote(schema)}", content)


@cache
def _grants_content() -> str:
    return (SQL_FOLDER / "roles" / "postgres.sql").read_text("utf-8")
