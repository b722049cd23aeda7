"""A PostgreSQL schema is brought up to date once, with a role that owns nothing, as far as the user's rights go."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from psycopg import sql

from aureus._database.catalog import quote
from aureus._database.migrate import Migration, read_chain, read_migrations
from aureus._database.postgres import migrations
from aureus._database.postgres.migrations import Migrator, Prepared, Target, script
from aureus.clock import SystemClock
from aureus.errors import DatabaseBusy, DatabaseUnavailable, Forbidden, MigrationError
from aureus.ids import RandomIds
from tests.migrations.program import all_at_once, start
from tests.support.postgres import OWNER, SUPERUSER, PostgresServer
from tests.support.waiting import eventually

SCHEMAS = ["aureus", "My-Schema", 'od"d', "public"]
WITHOUT_TENANT = {"schema_migrations", "flushes", "anchor_heads", "anchors", "anchor_nodes"}
"""Tables that belong to no tenant, each for its own reason."""

EVERY = tuple(migration.title for migration in read_migrations("postgres"))
"""What a new schema is made of."""

HALF = f"{len(read_migrations('postgres')) + 1:04d}_half"
BROKEN = "-- why: a test\n-- breaking: no\n\nCREATE TABLE aureus.half (a integer);\nSELECT 1 / 0;\n"
WHOLE = "-- why: a test\n-- breaking: no\n\nCREATE TABLE aureus.half (a integer);\n"


class Place:
    """A database of one test, with a role of its own: roles belong to the whole server."""

    def __init__(self, server: PostgresServer) -> None:
        self.server = server
        self.name = server.create_database()
        self.role = f"app {self.name}"
        self._users: list[str] = []

    @contextmanager
    def connected(self, user: str = SUPERUSER) -> Generator[psycopg.Connection[Any]]:
        """Connect as a user, in autocommit mode."""
        with psycopg.connect(self.server.url(self.name, user=user), autocommit=True) as connection:
            yield connection

    @contextmanager
    def migrator(
        self, user: str = SUPERUSER, schema: str = "aureus", *, seconds: float = 60.0
    ) -> Generator[Migrator]:
        """Give what migrates this database for a user."""
        with self.connected(user) as connection:
            target = Target("test", schema, self.role, seconds)
            yield Migrator(connection, target, SystemClock(), RandomIds())

    def ensure(
        self, user: str = SUPERUSER, schema: str = "aureus", *, may_migrate: bool = True
    ) -> Prepared:
        """Bring the schema up to date as a user."""
        with self.migrator(user, schema) as migrator:
            return migrator.ensure(may_migrate=may_migrate)

    def run(self, statement: str, *names: str, user: str = SUPERUSER) -> list[tuple[Any, ...]]:
        """Run a statement with quoted names."""
        with self.connected(user) as connection:
            cursor = connection.execute(statement.format(*map(quote, names)).encode())
            return cursor.fetchall() if cursor.description else []

    def new_user(self, rights: str = "") -> str:
        """Make a user that may log in."""
        name = f"user_{self.name}_{len(self._users)}"
        self.run(f"CREATE ROLE {{}} LOGIN {rights}", name)
        self._users.append(name)
        return name

    def remove(self) -> None:
        """Remove the database and its roles."""
        self.server.drop_database(self.name)
        with psycopg.connect(self.server.url(), autocommit=True) as connection:
            for name in (*self._users, self.role):
                quoted = sql.Identifier(name)
                connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(quoted))


@pytest.fixture
def place(postgres_server: PostgresServer) -> Iterator[Place]:
    """Give an empty database."""
    made = Place(postgres_server)
    yield made
    made.remove()


def test_twenty_processes_that_start_at_once_migrate_once(
    place: Place, postgres_server: PostgresServer
) -> None:
    """Half of them in another database of the same server, which shares the role but not the lock."""
    other = Place(postgres_server)
    urls = [postgres_server.url(one.name) for one in (place, other)] * 10
    programs = [start("tests.migrations.program", url, "aureus", place.role) for url in urls]
    said = [line.split() for line in all_at_once(programs)]
    assert {single_role for _, single_role in said} == {"False"}
    assert sum(int(applied) for applied, _ in said) == 2 * len(EVERY)
    for one in (place, other):
        assert one.run("SELECT count(*) FROM aureus.schema_migrations") == [(len(EVERY),)]
    postgres_server.drop_database(other.name)


@pytest.mark.parametrize("schema", SCHEMAS)
def test_any_schema_name_is_taken_as_it_is(place: Place, schema: str) -> None:
    prepared = place.ensure(schema=schema)
    assert prepared == Prepared(single_role=False, applied=EVERY)
    assert place.ensure(schema=schema, may_migrate=False) == Prepared(single_role=False)
    with place.connected() as connection, connection.transaction():
        connection.execute("SELECT set_config('role', %s, true)", (place.role,))
        connection.execute("SELECT set_config('aureus.tenant', 'acme', true)")
        runs = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(schema, "runs"))
        assert connection.execute(runs).fetchall() == [(0,)]
    with place.migrator(schema=schema) as migrator:
        assert migrator.status().schema == schema


def test_two_schemas_live_side_by_side(place: Place) -> None:
    place.ensure(schema="one")
    place.ensure(schema="two")
    assert place.run("SELECT count(*) FROM {}.schema_migrations", "one") == [(len(EVERY),)]
    assert place.run("SELECT count(*) FROM {}.schema_migrations", "two") == [(len(EVERY),)]


def test_the_role_owns_nothing_and_may_do_what_it_must(place: Place) -> None:
    place.ensure()
    rows = place.run(
        "SELECT c.relname, "
        "string_agg(a.privilege_type, ',' ORDER BY a.privilege_type) FILTER (WHERE r.rolname LIKE 'app %') "
        "FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace "
        "LEFT JOIN LATERAL aclexplode(c.relacl) AS a ON true LEFT JOIN pg_roles AS r ON r.oid = a.grantee "
        "WHERE n.nspname = 'aureus' AND c.relkind IN ('r', 'S') GROUP BY c.relname"
    )
    granted = {name: set((rights or "").split(",")) for name, rights in rows}
    assert granted["events"] == {"INSERT", "SELECT"}
    assert granted["event_payloads"] == {"DELETE", "INSERT", "SELECT"}, "deleted on record only"
    assert granted["runs"] == {"INSERT", "SELECT", "UPDATE"}
    assert granted["schema_migrations"] == {"SELECT"}
    assert all(rights and rights != {""} for rights in granted.values()), granted
    assert not any(rights & {"TRUNCATE", "REFERENCES", "TRIGGER"} for rights in granted.values())
    owners = place.run("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'aureus'")
    assert owners == [(SUPERUSER,)]
    assert place.run(
        "SELECT rolcanlogin, rolsuper, rolbypassrls FROM pg_roles WHERE rolname LIKE 'app %'"
    ).count((False, False, False))


def test_every_table_is_held_by_forced_row_level_security_and_keys_begin_with_the_tenant(
    place: Place,
) -> None:
    place.ensure()
    tables = place.run(
        "SELECT c.relname, c.relrowsecurity AND c.relforcerowsecurity FROM pg_class AS c "
        "WHERE c.relnamespace = 'aureus'::regnamespace AND c.relkind = 'r'"
    )
    assert {name for name, is_held in tables if not is_held} == WITHOUT_TENANT
    keys = place.run(
        "SELECT c.conname, c.conrelid::regclass::text, a.attname FROM pg_constraint AS c "
        "JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1] "
        "WHERE c.connamespace = 'aureus'::regnamespace AND c.contype IN ('p', 'u', 'f')"
    )
    assert {table for _, table, first in keys if first != "tenant_id"} == {
        f"aureus.{name}" for name in WITHOUT_TENANT
    }
    indexes = place.run(
        "SELECT i.indexrelid::regclass::text, a.attname FROM pg_index AS i "
        "JOIN pg_class AS c ON c.oid = i.indrelid "
        "JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] "
        "WHERE i.indisunique AND c.relnamespace = 'aureus'::regnamespace"
    )
    assert {name for name, first in indexes if first != "tenant_id"} == {
        f"aureus.{name}_pkey" for name in WITHOUT_TENANT
    }


# Whose rights suffice for what.


def test_no_trigger_puts_a_statement_together_for_each_row(place: Place) -> None:
    """A statement made of text is planned anew for each row, which takes ten times as long as carrying it out."""
    place.ensure()
    made = place.run(
        "SELECT proname FROM pg_proc WHERE pronamespace = 'aureus'::regnamespace "
        "AND prorettype = 'trigger'::regtype AND prosrc ILIKE '%execute %'"
    )
    assert made == []


def test_a_user_who_may_make_no_role_works_in_single_role_mode_held_by_the_policies(
    place: Place,
) -> None:
    assert place.ensure(OWNER) == Prepared(single_role=True, applied=EVERY)
    assert place.ensure(OWNER, may_migrate=False) == Prepared(single_role=True)
    with pytest.raises(psycopg.Error) as caught:
        place.run("SELECT count(*) FROM aureus.runs", user=OWNER)
    assert caught.value.sqlstate == "AU002", "the owner is held too"


def test_a_user_who_may_make_roles_gets_one_and_becomes_its_member(place: Place) -> None:
    user = place.new_user("CREATEROLE")
    place.run("GRANT CREATE ON DATABASE {} TO {}", place.name, user)
    assert place.ensure(user) == Prepared(single_role=False, applied=EVERY)
    assert place.ensure(user, may_migrate=False) == Prepared(single_role=False)
    assert place.run(
        "SELECT m.inherit_option, m.set_option FROM pg_auth_members AS m JOIN pg_roles AS u ON u.oid = m.member "
        f"WHERE u.rolname = '{user}' AND m.set_option"
    ) == [(False, True)]


@pytest.mark.parametrize("step", ["role", "membership"])
def test_who_makes_the_same_role_at_the_same_moment_is_no_obstacle(place: Place, step: str) -> None:
    """Another database of the server is migrated too; its uncommitted role makes ours wait, and then fail."""
    user = place.new_user("CREATEROLE")
    place.run("GRANT CREATE ON DATABASE {} TO {}", place.name, user)
    join = f"GRANT {quote(place.role)} TO {quote(user)} WITH SET TRUE, INHERIT FALSE".encode()
    if step == "membership":
        place.run("CREATE ROLE {}", place.role, user=user)
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    with place.connected(user) as faster, ThreadPoolExecutor(1) as threads:
        with faster.transaction():
            if step == "role":
                faster.execute(f"CREATE ROLE {quote(place.role)}".encode())
            faster.execute(join)
            slower = threads.submit(place.ensure, user)
            eventually(lambda: place.run(waiting) != [(0,)], "a process that waits for the role")
        assert slower.result(60) == Prepared(single_role=False, applied=EVERY)


def test_a_member_of_the_role_needs_no_right_to_migrate(place: Place) -> None:
    place.ensure()
    user = place.new_user()
    place.run("GRANT {} TO {} WITH SET TRUE, INHERIT FALSE", place.role, user)
    for may_migrate in (True, False):
        assert place.ensure(user, may_migrate=may_migrate) == Prepared(single_role=False)
    with place.migrator(user) as migrator:
        assert migrator.status().is_current
        assert migrator.migrate() == Prepared(single_role=False)


def test_a_stranger_is_told_what_the_owner_has_to_run(place: Place) -> None:
    place.ensure()
    user = place.new_user()
    with pytest.raises(Forbidden, match=rf'GRANT "{place.role}" TO "{user}"'):
        place.ensure(user)


def test_a_user_who_may_not_create_a_schema_is_told(place: Place) -> None:
    user = place.new_user()
    with pytest.raises(Forbidden, match="aureus db migrate"):
        place.ensure(user)
    assert place.run("SELECT count(*) FROM pg_namespace WHERE nspname = 'aureus'") == [(0,)]


def test_a_schema_made_beforehand_is_taken_by_whom_it_belongs_to(place: Place) -> None:
    user = place.new_user()
    place.run("CREATE SCHEMA aureus AUTHORIZATION {}", user)
    assert place.ensure(user) == Prepared(single_role=True, applied=EVERY)


def test_whoever_bypasses_the_policies_must_drop_to_the_role(place: Place) -> None:
    user = place.new_user("BYPASSRLS")
    place.run("GRANT CREATE ON DATABASE {} TO {}", place.name, user)
    with pytest.raises(Forbidden, match="bypasses row level security"):
        place.ensure(user)
    assert place.run("SELECT count(*) FROM pg_namespace WHERE nspname = 'aureus'") == [(0,)]
    place.run("CREATE ROLE {}", place.role)
    place.run("GRANT {} TO {}", place.role, user)
    assert place.ensure(user) == Prepared(single_role=False, applied=EVERY)


def test_a_superuser_never_works_as_itself(place: Place) -> None:
    place.ensure(OWNER)
    with pytest.raises(Forbidden, match="aureus db migrate"):
        place.ensure(may_migrate=False)
    assert place.ensure() == Prepared(single_role=False), "where that is allowed, the role is made"


def test_a_role_that_bypasses_the_policies_is_refused(place: Place) -> None:
    place.run("CREATE ROLE {} BYPASSRLS", place.role)
    with pytest.raises(Forbidden, match="NOBYPASSRLS"):
        place.ensure()


def test_a_role_made_later_gets_its_grants_with_the_next_start(place: Place) -> None:
    assert place.ensure(OWNER).single_role is True
    place.run("CREATE ROLE {}", place.role)
    place.run("GRANT {} TO {}", place.role, OWNER)
    assert place.ensure(OWNER, may_migrate=False).single_role is True
    assert place.ensure(OWNER) == Prepared(single_role=False)


# What does not fit.


def test_other_peoples_tables_are_left_alone(place: Place) -> None:
    place.run("CREATE SCHEMA aureus")
    place.run("CREATE TABLE aureus.orders (id integer)")
    with pytest.raises(MigrationError, match="tables here that Aureus did not make"):
        place.ensure()
    assert place.run(
        "SELECT relname FROM pg_class WHERE relnamespace = 'aureus'::regnamespace"
    ) == [("orders",)]
    assert place.run(f"SELECT count(*) FROM pg_roles WHERE rolname = '{place.role}'") == [(0,)]


def test_a_schema_that_may_not_be_made_names_the_command(place: Place) -> None:
    with pytest.raises(MigrationError, match="aureus db init"):
        place.ensure(may_migrate=False)
    assert place.run("SELECT count(*) FROM pg_namespace WHERE nspname = 'aureus'") == [(0,)]


def test_a_changed_file_is_named(place: Place) -> None:
    place.ensure()
    place.run("UPDATE aureus.schema_migrations SET checksum = 'changed'")
    with pytest.raises(MigrationError, match=r"0001_initial\.sql differs"):
        place.ensure()


@pytest.mark.parametrize("is_breaking", [False, True])
def test_a_newer_schema_is_taken_unless_it_breaks_this_program(
    place: Place, is_breaking: bool
) -> None:
    place.ensure()
    place.run(
        "INSERT INTO aureus.schema_migrations VALUES "
        f"({len(read_migrations('postgres')) + 1}, 'later', 'x', {is_breaking}, now(), '9.9.9')"
    )
    if is_breaking:
        with pytest.raises(MigrationError, match=r"newer than this program.*9\.9\.9"):
            place.ensure()
    else:
        assert place.ensure() == Prepared(single_role=False)


def follow_with(monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    """Let the program know one more migration."""
    known = {f"{one.title}.sql": one.content for one in read_migrations("postgres")}
    more = read_chain({**known, f"{HALF}.sql": content})

    def chain(_: str) -> tuple[Migration, ...]:
        return more

    monkeypatch.setattr(migrations, "read_migrations", chain)


def test_a_migration_that_fails_leaves_nothing_and_is_tried_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    follow_with(monkeypatch, BROKEN)
    with pytest.raises(MigrationError, match="division by zero"):
        place.ensure()
    with place.migrator() as migrator:
        assert [one.title for one in migrator.status().missing] == [HALF]
    follow_with(monkeypatch, WHOLE)
    assert place.ensure() == Prepared(single_role=False, applied=(HALF,))


def test_who_cannot_have_the_lock_says_so_after_its_time(place: Place) -> None:
    place.ensure()
    with place.connected() as holder, holder.transaction():
        holder.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended('aureus migrations of ' || 'aureus', 0))"
        )
        with place.migrator(seconds=0.2) as migrator:
            with pytest.raises(DatabaseBusy, match="others held the schema"):
                migrator.migrate()
            assert migrator.ensure(may_migrate=True) == Prepared(single_role=False), (
                "a start needs no lock"
            )
    with place.migrator() as migrator:
        assert migrator.migrate() == Prepared(single_role=False)


def test_a_lost_connection_is_unavailable(place: Place) -> None:
    with place.migrator() as migrator, place.connected() as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        with pytest.raises(DatabaseUnavailable):
            migrator.ensure(may_migrate=True)


@pytest.mark.parametrize("schema", SCHEMAS[:3])
def test_what_is_printed_makes_the_same_schema(place: Place, schema: str) -> None:
    with place.connected() as connection:
        connection.execute(script(schema, place.role).encode())
    assert place.ensure(schema=schema, may_migrate=False) == Prepared(single_role=False)
    columns = (
        "SELECT c.table_name, c.column_name, c.data_type, c.is_nullable FROM information_schema.columns AS c "
        "WHERE c.table_schema = '{}' AND c.table_name <> 'memory_vectors' ORDER BY 1, 2"
    )  # That one is no migration: it is made where the server has the extension.
    place.ensure(schema="migrated")
    printed = place.run(columns.replace("{}", schema))
    assert printed == place.run(columns.replace("{}", "migrated"))
    assert printed
