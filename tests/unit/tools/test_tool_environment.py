"""Which variables a child of a tool sees."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from aureus.errors import ToolFailed
from aureus.tools.environment import is_withheld
from tests.unit.tools.calling import RunTool

PRINT = [sys.executable, "-I", "-S", "-c", "import json, os; print(json.dumps(dict(os.environ)))"]


def seen(run: RunTool, **inputs: Any) -> dict[str, str]:
    """Return the environment of a command."""
    environment: dict[str, str] = json.loads(run("command", command=PRINT, **inputs)["stdout"])
    return environment


SECRETS = {
    "AUREUS_DATABASE_URL": "postgresql://u:p@h/d",
    "AUREUS_SIGNING_KEY": "k",
    "DATABASE_URL": "x",
    "DATABASE_PASSWORD": "x",
    "DATABASE_HOST": "h",
    "database_url": "x",
    "READONLY_DATABASE_URL": "x",
    "PGPASSWORD": "x",
    "PGHOST": "h",
    "PGSERVICEFILE": "f",
    "ARAGORA_POSTGRES_DSN": "x",
    "AUREN_DB_DSN": "x",
    "SUPABASE_KEY": "x",
    "MYSQL_ROOT_PASSWORD": "x",
    "SMTP_PASSWD": "x",
    "WAREHOUSE_DSN": "x",
    "JWT_SECRET": "x",
    "STORE": "postgresql+psycopg://u:p@h/d",
    "OTHER_STORE": "Postgres://u@h/d",
}


@pytest.mark.parametrize("name", SECRETS)
def test_what_opens_a_database_is_withheld(name: str) -> None:
    assert is_withheld(name, SECRETS[name])


@pytest.mark.parametrize(
    "name", ["PATH", "HOME", "LANG", "OPENAI_API_KEY", "PGP_KEY", "PAGER", "VIRTUAL_ENV"]
)
def test_what_programs_need_is_handed_on(name: str) -> None:
    assert not is_withheld(name, "value")


def test_a_child_sees_the_environment_of_aureus_without_its_secrets(
    run: RunTool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**SECRETS, "PLAIN": "kept"}.items():
        monkeypatch.setenv(name, value)
    environment = seen(run)
    assert environment["PLAIN"] == "kept"
    assert not SECRETS.keys() & environment.keys()


def test_a_function_does_not_see_them_either(run: RunTool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "s3cret")
    environment = run("python", call="os:environ.copy")["value"]
    assert "PGPASSWORD" not in environment
    assert environment["AUREUS_IDEMPOTENCY_KEY"] == "key-1"


def test_a_child_is_told_about_its_task(run: RunTool) -> None:
    environment = seen(run)
    assert {name: value for name, value in environment.items() if name.startswith("AUREUS_")} == {
        "AUREUS_RUN_ID": "r_1",
        "AUREUS_WORKFLOW_ID": "digest",
        "AUREUS_TASK_ID": "fetch",
        "AUREUS_ATTEMPT": "1",
        "AUREUS_IDEMPOTENCY_KEY": "key-1",
        "AUREUS_TENANT": "acme",
        "AUREUS_CORRELATION_ID": "c-1",
    }


def test_env_sets_values_as_yaml_writes_them(run: RunTool) -> None:
    environment = seen(run, env={"A": "text", "B": 8080, "C": True, "D": 0.5, "E": ""})
    assert [environment[name] for name in "ABCDE"] == ["text", "8080", "true", "0.5", ""]


def test_env_with_null_hands_on_what_is_withheld(
    run: RunTool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", "wanted")
    assert seen(run, env={"PGPASSWORD": None})["PGPASSWORD"] == "wanted"


def test_handing_on_what_is_not_set_is_refused(run: RunTool) -> None:
    with pytest.raises(ToolFailed, match="NOWHERE_SET") as caught:
        seen(run, env={"NOWHERE_SET": None})
    assert caught.value.reason == "environment"


def test_bytes_that_are_no_text_pass_unchanged(
    run: RunTool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAW", "\udcff")
    program = "import os; print(os.environb[b'RAW'])"
    result = run("command", command=[sys.executable, "-I", "-S", "-c", program])
    assert result["stdout"] == "b'\\xff'\n"


def test_path_of_env_finds_the_program(run: RunTool) -> None:
    with pytest.raises(ToolFailed, match="not on PATH"):
        run("command", command=["ls"], env={"PATH": "/nowhere"})
