"""A table of another program in the same database is adopted, with the rights of the connecting user."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner

from aureus.cli.main import aureus
from aureus.client import Aureus
from aureus.errors import NotFound
from tests.support.backends import settings_for
from tests.support.postgres import OWNER, PostgresDatabase

SEED = """
CREATE TABLE public."agent_states" (agent_id text, session_id text, state jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (agent_id, session_id));
INSERT INTO public.agent_states SELECT 'a' || n % 7, 's' || n,
    jsonb_build_object('data', n, 'version', 2, 'history', jsonb_build_array(jsonb_build_object('role', 'user',
    'content', 'hi'))), '2024-05-01', '2024-05-02' FROM generate_series(1, 450) n;
"""


@pytest.mark.parametrize("user", [None, OWNER])
def test_an_existing_table_is_adopted_with_its_times(
    postgres_database: PostgresDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: Any
) -> None:
    url = postgres_database.url() if user is None else postgres_database.url(user=user)
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in SEED.split(";"):
            connection.execute(statement.encode())
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Any:
        return CliRunner().invoke(
            aureus, ["sessions", "adopt", *arguments, "--json"], env={"AUREUS_DATABASE_URL": url}
        )

    for copied in (450, 0):
        report = json.loads(run("public.agent_states", "--collection", "coach").stdout)
        assert (report["row_count"], report["copied_count"]) == (450, copied)
        assert report["is_verified"]
    assert isinstance(run("public.other").exception, NotFound)
    with Aureus(settings=settings_for(url, tmp_path)) as client:
        coach = client.sessions.collection("coach")
        session = coach.load("a6", "s13")
        assert (session.state, session.version, session.created_at.day) == (13, 2, 1)
        assert (session.updated_at.day, len(coach.history("a6", "s13"))) == (2, 1)
        assert client.sessions.count() == 0
        health = client.health()
    assert health.is_healthy
    assert health.pool is not None
    assert health.pool.size_max == 6
