"""Copies a tenant out of a PostgreSQL schema, or into one.

Reading drops to the application's role, like all else; writing is done by the user of the URL, who has to own the
schema. Both are held by row level security: one transaction sees and writes one tenant.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, LiteralString

import orjson
import psycopg
from psycopg import errors, sql

from aureus._database.copying import NUMBERS, PAGE_ROWS, SHARED_TABLES, TABLES
from aureus._database.postgres.errors import mapped
from aureus._database.postgres.opening import prepare
from aureus._database.statement import Row
from aureus.clock import from_micros
from aureus.config import DatabaseSettings, PostgresUrl
from aureus.errors import AureusError, Conflict, Forbidden

Connection = psycopg.Connection[Any]

_COLUMNS = """SELECT a.attname, format_type(a.atttypid, NULL)
FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relname = %s AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
ORDER BY a.attnum"""
_KEY = """SELECT a.attname
FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
CROSS JOIN unnest(i.indkey) WITH ORDINALITY AS k (attnum, place)
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = k.attnum
WHERE n.nspname = %s AND c.relname = %s AND i.indisprimary
ORDER BY k.place"""
_GATES = """SELECT c.relname, t.tgname
FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relname = ANY (%s) AND NOT t.tgisinternal AND t.tgtype & 6 = 6"""
"""Triggers before an insert: bit 1 says before, bit 2 says insert."""
_BEGIN_READ = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_BIND = "SELECT set_config('aureus.tenant', %s, true)"
_LIMITS = (
    "SELECT set_config('statement_timeout', '0', true), set_config('lock_timeout', '10s', true)"
)

_READ: dict[str, LiteralString] = {
    "timestamp with time zone": "CAST(extract(epoch FROM {}) * 1000000 AS bigint)",
    "boolean": "CAST({} AS integer)",
    "json": "CAST({} AS text)",
    "bigint[]": "CAST(array_to_json({}) AS text)",
}
"""How a column is read in the form in which rows travel; others are read as they are."""

_WRITTEN: dict[str, Callable[[Any], Any]] = {
    "timestamp with time zone": from_micros,
    "boolean": bool,
    "bigint[]": lambda text: "{" + ",".join(map(str, orjson.loads(text))) + "}",
}


class PostgresSide:
    """A schema."""

    def __init__(self, settings: DatabaseSettings, url: PostgresUrl) -> None:
        self._options = prepare(settings, url)
        direct = self._options.direct() or self._options
        self._schema = settings.schema
        self._connection = _guarded(
            lambda: psycopg.connect(
                direct.connection_string(), autocommit=True, prepare_threshold=None
            ),
            self.place,
        )

    @property
    def place(self) -> str:
        """Return which server, database and schema this is."""
        return f"{self._options.place()} schema {self._schema}"

    def tenants(self) -> list[str]:
        """Return the tenants whose ledger has begun, as the anchor log may see them."""
        query = sql.SQL("SELECT h.tenant_id FROM {} AS h ORDER BY h.tenant_id")
        with self._begun("BEGIN READ ONLY") as connection:
            self._become_role()
            # A tenant has to be bound for any look; which one does not matter for this one.
            connection.execute(_BIND, ("-",))
            connection.execute("SELECT set_config('aureus.anchoring', 'on', true)")
            heads = sql.Identifier(self._schema, "ledger_heads")
            return [tenant for (tenant,) in connection.execute(query.format(heads)).fetchall()]

    @contextmanager
    def reading(self, tenant_id: str | None) -> Generator[PostgresReader]:
        """Look at one moment, which nobody waits for."""
        with self._begun(_BEGIN_READ) as connection:
            self._become_role()
            connection.execute(_LIMITS)
            if tenant_id is not None:
                connection.execute(_BIND, (tenant_id,))
            yield PostgresReader(connection, self._schema)

    @contextmanager
    def writing(self, tenant_id: str | None) -> Generator[PostgresWriter]:
        """Write in one transaction. Whoever starts or advances runs in this schema waits for it."""
        with self._begun("BEGIN") as connection:
            connection.execute(_LIMITS)
            if tenant_id is not None:
                connection.execute(_BIND, (tenant_id,))
            gates = connection.execute(_GATES, (self._schema, list(TABLES))).fetchall()
            self._switch(gates, "DISABLE")
            yield PostgresWriter(connection, self._schema)
            if tenant_id is not None:
                self._raise_numbers()
            self._switch(gates, "ENABLE")
            connection.execute("COMMIT")

    def settle(self) -> None:
        """Take statistics of all tables."""
        names = [sql.Identifier(self._schema, table) for table in (*TABLES, *SHARED_TABLES)]
        query = sql.SQL("ANALYZE {}").format(sql.SQL(", ").join(names))
        _guarded(lambda: self._connection.execute(query), self.place)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    @contextmanager
    def _begun(self, begin: str) -> Generator[Connection]:
        try:
            self._connection.execute(begin.encode())
            try:
                yield self._connection
            finally:
                if not self._connection.closed:
                    self._connection.rollback()
        except psycopg.Error as error:
            raise _failed(error, self.place) from error

    def _become_role(self) -> None:
        if self._options.role is not None:
            self._connection.execute("SELECT set_config('role', %s, true)", (self._options.role,))

    def _switch(self, gates: Sequence[Row], word: LiteralString) -> None:
        """Leave the guards of beginnings aside: they cannot know of runs and tasks that began elsewhere."""
        for table, trigger in gates:
            self._connection.execute(
                sql.SQL("ALTER TABLE {} {} TRIGGER {}").format(
                    sql.Identifier(self._schema, table), sql.SQL(word), sql.Identifier(trigger)
                )
            )

    def _raise_numbers(self) -> None:
        """Let numbers go on behind the greatest one, taking them one by one: others may take some meanwhile."""
        for number, table in NUMBERS.items():
            query = sql.SQL(
                "SELECT count(nextval({})) FROM generate_series("
                "(SELECT s.last_value FROM {} AS s), (SELECT max(t.{}) FROM {} AS t))"
            ).format(
                sql.Literal(sql.Identifier(self._schema, number).as_string(None)),
                sql.Identifier(self._schema, number),
                sql.Identifier(number),
                sql.Identifier(self._schema, table),
            )
            self._connection.execute(query)


class PostgresReader:
    """A transaction that reads."""

    def __init__(self, connection: Connection, schema: str) -> None:
        self._connection = connection
        self._schema = schema

    def columns(self, table: str) -> tuple[str, ...]:
        """Return the stored columns of a table."""
        return tuple(_kinds(self._connection, self._schema, table))

    def pages(self, table: str, columns: Sequence[str]) -> Iterator[list[Row]]:
        """Yield the rows of a table in the order of its key."""
        kinds = _kinds(self._connection, self._schema, table)
        key = self._connection.execute(_KEY, (self._schema, table)).fetchall()
        query = sql.SQL("SELECT {} FROM {} ORDER BY {}").format(
            sql.SQL(", ").join(_as_read(name, kinds[name]) for name in columns),
            sql.Identifier(self._schema, table),
            sql.SQL(", ").join(sql.Identifier(name) for (name,) in key),
        )
        with self._connection.cursor(name="aureus_copy") as cursor:
            cursor.execute(query)
            while rows := cursor.fetchmany(PAGE_ROWS):
                yield rows

    def has_rows(self) -> bool:
        """Return whether there is anything of the tenant."""
        return any(
            self._connection.execute(
                sql.SQL("SELECT EXISTS (SELECT FROM {})").format(
                    sql.Identifier(self._schema, table)
                )
            ).fetchall()[0][0]
            for table in TABLES
        )

    def unsealed_count(self) -> int:
        """Return how many entries wait to be sealed."""
        query = sql.SQL("SELECT count(*) FROM {}").format(
            sql.Identifier(self._schema, "ledger_pending")
        )
        return int(self._connection.execute(query).fetchall()[0][0])


class PostgresWriter:
    """A transaction that writes."""

    def __init__(self, connection: Connection, schema: str) -> None:
        self._connection = connection
        self._schema = schema

    def put(self, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        """Insert rows in one pipeline. Raises ``Conflict`` for those that are there."""
        kinds = _kinds(self._connection, self._schema, table)
        query = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
            sql.Identifier(self._schema, table),
            sql.SQL(", ").join(map(sql.Identifier, columns)),
            sql.SQL(", ").join(sql.Placeholder() * len(columns)),
        )
        written = [
            (at, _WRITTEN[kinds[name]])
            for at, name in enumerate(columns)
            if kinds[name] in _WRITTEN
        ]
        try:
            with self._connection.cursor() as cursor:
                cursor.executemany(query, [_as_written(row, written) for row in rows])
        except errors.UniqueViolation as error:
            raise Conflict(
                f"{table}: {error.diag.message_detail}; rows of this tenant are in the target already",
                table=table,
            ) from error

    def clear_anchor_head(self) -> None:
        """Remove the head of an empty anchor log."""
        table = sql.Identifier(self._schema, "anchor_heads")
        self._connection.execute(sql.SQL("DELETE FROM {} WHERE size = 0").format(table))


def _kinds(connection: Connection, schema: str, table: str) -> dict[str, str]:
    return dict(connection.execute(_COLUMNS, (schema, table)).fetchall())


def _as_read(name: str, kind: str) -> sql.Composable:
    return sql.SQL(_READ.get(kind, "{}")).format(sql.Identifier(name))


def _as_written(row: Row, written: Sequence[tuple[int, Callable[[Any], Any]]]) -> Row:
    values = list(row)
    for at, write in written:
        if values[at] is not None:
            values[at] = write(values[at])
    return tuple(values)


def _guarded(action: Callable[[], Any], place: str) -> Any:
    try:
        return action()
    except psycopg.Error as error:
        raise _failed(error, place) from error


def _failed(error: psycopg.Error, place: str) -> AureusError:
    if isinstance(error, errors.InsufficientPrivilege):
        return Forbidden(
            f"{place}: {error.diag.message_primary}; connect as the owner of the schema to copy into it"
        )
    return mapped(error, place)
