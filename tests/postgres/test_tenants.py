"""No tenant sees another, whoever connects: enforced by PostgreSQL itself."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors

from aureus._database.drive import Call
from aureus.errors import Forbidden, Invalid, TenantUnbound
from aureus.stores.runs import RunStore
from tests.contract.stage import Stage
from tests.postgres.conftest import MakeStage
from tests.support.postgres import OWNER, PostgresDatabase

TABLES = [
    "workflows", "workflow_versions", "runs", "run_inputs", "tasks", "task_results", "idempotency_keys",
    "approvals", "leases", "streams", "events", "event_payloads",
    "sessions", "session_states", "session_messages", "session_collections", "session_facets",
    "world_state", "world_state_versions",
]  # fmt: skip


@pytest.fixture
def two(make_stage: MakeStage) -> tuple[Stage, Stage]:
    """Give two tenants with runs of equal ids."""
    stages = make_stage(tenant="acme"), make_stage(tenant="other")
    for stage in stages:
        stage.start("r1", inputs={"of": stage.tenant})
    return stages


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("bound", [None, "", "acme"])
def test_raw_sql_under_the_applications_role_sees_its_tenant_or_fails(
    two: tuple[Stage, Stage], postgres_database: PostgresDatabase, table: str, bound: str | None
) -> None:
    with psycopg.connect(postgres_database.url()) as connection:
        connection.execute("SET ROLE aureus_app")
        if bound is not None:
            connection.execute("SELECT set_config('aureus.tenant', %s, true)", (bound,))
        query = f"SELECT DISTINCT tenant_id FROM aureus.{table}".encode()
        if bound:
            assert set(connection.execute(query).fetchall()) <= {("acme",)}
            return
        with pytest.raises(psycopg.Error) as caught:
            connection.execute(query)
        assert caught.value.sqlstate == "AU002"


def test_an_unbound_read_is_an_error_even_where_no_row_would_match(
    postgres_database: PostgresDatabase,
) -> None:
    with psycopg.connect(postgres_database.url()) as connection:
        connection.execute("SET ROLE aureus_app")
        with pytest.raises(psycopg.Error) as caught:
            connection.execute("SELECT 1 FROM aureus.runs WHERE run_id = 'nobody'")
        assert caught.value.sqlstate == "AU002"


def test_rows_of_another_tenant_can_be_neither_written_nor_moved(
    two: tuple[Stage, Stage], postgres_database: PostgresDatabase
) -> None:
    with psycopg.connect(postgres_database.url(), autocommit=True) as connection:
        connection.execute("SET ROLE aureus_app")
        connection.execute("SELECT set_config('aureus.tenant', 'acme', false)")
        changed = connection.execute("UPDATE aureus.runs SET version = 9 WHERE tenant_id = 'other'")
        assert changed.rowcount == 0
        for statement in (
            "UPDATE aureus.runs SET tenant_id = 'other'",
            "INSERT INTO aureus.streams VALUES ('other', 's', 's', 0, now(), now())",
        ):
            with pytest.raises(errors.InsufficientPrivilege):
                connection.execute(statement)
        for statement in (
            "TRUNCATE aureus.runs",
            "DELETE FROM aureus.runs",
            "DELETE FROM aureus.events",
        ):
            with pytest.raises(errors.InsufficientPrivilege):
                connection.execute(statement)


def test_a_client_that_connects_as_superuser_and_binds_nobody_gets_an_error_and_no_row(
    two: tuple[Stage, Stage],
) -> None:
    stage, _ = two
    unbound = RunStore(stage.backend.client._database, Call(""))
    with pytest.raises(TenantUnbound):
        unbound.list()
    with pytest.raises(Invalid):
        stage.backend.client.for_tenant("")


def test_many_tenants_in_one_flush_keep_to_themselves(make_stage: MakeStage) -> None:
    from concurrent.futures import ThreadPoolExecutor

    first = make_stage()
    stages = [Stage(first.backend, f"tenant-{number}") for number in range(20)]

    def work(stage: Stage) -> None:
        for number in range(5):
            stage.start(f"r{number}", inputs={"of": stage.tenant})

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(work, stages))
    for stage in stages:
        assert len(stage.stores.runs.list()) == 5
        assert stage.stores.runs.get_inputs("r3") == {"of": stage.tenant}


def test_nothing_of_a_tenant_stays_behind_on_a_pooled_connection(
    two: tuple[Stage, Stage],
) -> None:
    stage, _ = two
    database = stage.backend.client._database
    with database._pool.connection() as connection:
        row = connection.execute(
            "SELECT current_user = session_user, coalesce(current_setting('aureus.tenant', true), '')"
        ).fetchone()
    assert row == (True, "")


def test_single_role_mode_keeps_tenants_apart_for_a_plain_user(
    postgres_database: PostgresDatabase, make_stage: MakeStage
) -> None:
    from pathlib import Path

    from tests.support.backends import Backend, settings_for

    make_stage()
    with psycopg.connect(postgres_database.url(), autocommit=True) as connection:
        connection.execute(f"ALTER ROLE {OWNER} INHERIT")
        connection.execute(f"GRANT aureus_app TO {OWNER} WITH INHERIT TRUE")
    url = postgres_database.url(user=OWNER)
    backend = Backend(
        settings_for(url, Path("/"), **{"database.role_mode": "single"}), is_async=False
    )
    try:
        stages = [Stage(backend, tenant) for tenant in ("acme", "other")]
        for stage in stages:
            stage.start("r1", inputs={"of": stage.tenant})
        assert [stage.stores.runs.get_inputs("r1")["of"] for stage in stages] == ["acme", "other"]
        with pytest.raises(TenantUnbound):
            RunStore(backend.client._database, Call("")).list()
    finally:
        backend.close()


def test_single_role_mode_is_refused_for_who_bypasses_row_level_security(
    make_stage: MakeStage,
) -> None:
    make_stage()
    with pytest.raises(Forbidden, match="bypasses row level security"):
        make_stage(**{"database.role_mode": "single"})
