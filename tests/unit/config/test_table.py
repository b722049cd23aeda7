"""The table, the page made from it and the records are one thing."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from dataclasses import fields
from pathlib import Path

import pytest
from psycopg import pq

from aureus.config import (
    AuditSettings,
    DatabaseSettings,
    EngineSettings,
    EventSettings,
    LedgerSettings,
    LogSettings,
    MemorySettings,
    RunLogSettings,
    Settings,
    SubjectKeySettings,
    SubscriptionSettings,
    libpq,
)
from aureus.config.later import LATER
from aureus.config.table import BY_FLAG, BY_KEY, SETTINGS, URL_OPTIONS
from aureus.errors import ConfigInvalid
from tests.unit.config.support import load_in, say, value_of
from tools.gen_settings_doc import CASES, PAGE, REFUSED, Case, example_lines, main, render

SECTIONS = {
    "database": DatabaseSettings,
    "run_log": RunLogSettings,
    "engine": EngineSettings,
    "audit": AuditSettings,
    "ledger": LedgerSettings,
    "subject_keys": SubjectKeySettings,
    "subscriptions": SubscriptionSettings,
    "memory": MemorySettings,
    "events": EventSettings,
    "log": LogSettings,
}
RESULTS = {"database.auto_migrate", "database.auto_migrate_reason", "warnings", "rows"}
"""Fields that follow from settings and are none."""


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(), "run: python -m tools.gen_settings_doc"
    assert main(["--check"]) == 0


@pytest.mark.parametrize(
    "case", CASES, ids=lambda case: " & ".join(f"{p} {n}={v}" for p, n, v in case.says)
)
def test_each_documented_disagreement_ends_as_the_page_says(case: Case, tmp_path: Path) -> None:
    if case.store == REFUSED:
        with pytest.raises(ConfigInvalid):
            say(tmp_path, list(case.says))
        return
    settings = say(tmp_path, list(case.says))
    assert settings.database.description.replace(str(tmp_path), ".") == case.store
    assert bool(settings.warnings) == ("warning" in case.why)


def test_the_example_of_the_page_sets_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "aureus.toml").write_text("\n".join(example_lines()), encoding="utf-8")
    written, default = load_in(tmp_path), load_in(tmp_path / "nowhere")
    for setting in SETTINGS:
        if not setting.is_part and setting.kind not in {"url", "path"}:
            assert value_of(written, setting.key) == value_of(default, setting.key)
    assert written.origin("database.schema") != "default"


def test_the_records_have_a_field_for_each_row_and_none_besides() -> None:
    of_sections = {
        f"{name}.{field.name}" for name, record in SECTIONS.items() for field in fields(record)
    }
    of_all = {field.name for field in fields(Settings)} - set(SECTIONS)
    rows = {setting.key for setting in SETTINGS if not setting.is_part}
    assert (of_sections | of_all) - RESULTS == rows


def test_no_name_means_two_settings() -> None:
    names = Counter(
        name
        for setting in SETTINGS
        for alias in setting.aliases
        for name in (alias.name, alias.plus)
        if name
    )
    names.update(setting.variable for setting in SETTINGS)
    names.update(flag for setting in SETTINGS for flag in setting.flags)
    assert [name for name, count in names.items() if count > 1] == []
    options = [option.name for setting in SETTINGS for option in setting.url_options]
    assert len(options) == len(set(options)) == len(URL_OPTIONS)
    assert len(BY_KEY) == len(SETTINGS)
    assert len(BY_FLAG) == sum(len(setting.flags) for setting in SETTINGS)


def test_no_option_of_ours_hides_a_parameter_of_libpq() -> None:
    assert not set(URL_OPTIONS) & libpq.KEYWORDS


def test_names_that_are_not_used_are_not_used() -> None:
    used = {alias.name for setting in SETTINGS for alias in setting.aliases}
    used |= {alias.plus for setting in SETTINGS for alias in setting.aliases}
    for later in LATER:
        for name in later.names:
            pattern = re.compile(
                re.escape(name).replace(r"\*", ".+").replace("<STORE>", "(?!DB_).+")
            )
            assert [used_name for used_name in used if pattern.fullmatch(used_name)] == []


NAMES_OF_THE_SYSTEMS = [
    "STATE_STORE_TYPE",
    "DATABASE_URL",
    "DATABASE_HOST",
    "DATABASE_PORT",
    "DATABASE_NAME",
    "DATABASE_USER",
    "DATABASE_PASSWORD",
    "DATABASE_POOL_MAX",
    "DATABASE_POOL_MIN",
    "DATABASE_SSL",
    "DATABASE_TIMEOUT",
    "DATABASE_IDLE_TIMEOUT",
    "EVENT_LOG_TYPE",
    "EVENT_LOG_DIR",
    "EVENT_LOG_BASE_DIR",
    "JWT_SECRET",
    "RATE_LIMIT_MAX",
    "ENABLE_MULTITENANCY",
    "ENABLE_METRICS",
    "METRICS_PORT",
    "METRICS_PATH",
    "MAX_CONCURRENT_WORKFLOWS",
    "WORKFLOW_TIMEOUT",
    "TASK_TIMEOUT",
    "MAX_RETRY_ATTEMPTS",
    "MAX_WORKFLOW_SIZE",
    "BACKUP_ENABLED",
    "BACKUP_INTERVAL_HOURS",
    "AUREN_DB_DSN",
    "AUREN_DB_POOL_SIZE",
    "AUREN_DB_MAX_OVERFLOW",
    "DATABASE_MIN_CONNECTIONS",
    "DATABASE_MAX_CONNECTIONS",
    "CONNECTION_TIMEOUT",
    "ARAGORA_POSTGRES_DSN",
    "SUPABASE_URL",
    "SUPABASE_KEY",
    "SUPABASE_DB_PASSWORD",
    "SUPABASE_POSTGRES_DSN",
    "ARAGORA_DB_BACKEND",
    "ARAGORA_CRITIQUE_STORE_BACKEND",
    "ARAGORA_DB_POOL_SIZE",
    "ARAGORA_DB_POOL_OVERFLOW",
    "ARAGORA_DB_POOL_TIMEOUT",
    "ARAGORA_DB_COMMAND_TIMEOUT",
    "ARAGORA_DB_STATEMENT_TIMEOUT",
    "ARAGORA_DB_POOL_RECYCLE",
    "ARAGORA_POSTGRES_POOL_MIN",
    "ARAGORA_POSTGRES_POOL_MAX",
    "ARAGORA_DB_TIMEOUT",
    "ARAGORA_DB_MODE",
    "ARAGORA_ENV",
    "ARAGORA_ENCRYPTION_KEY",
    "ARAGORA_ENCRYPTION_REQUIRED",
    "ARAGORA_REQUIRE_DISTRIBUTED",
    "ARAGORA_MULTI_INSTANCE",
    "ARAGORA_USE_SHARED_POOL",
    "ARAGORA_USE_SECRETS_MANAGER",
    "ARAGORA_POSTGRES_PRIMARY_DSN",
    "ARAGORA_POSTGRES_REPLICA_DSNS",
    "ARAGORA_REPLICA_POOL_SIZE",
    "ARAGORA_REPLICA_FAILOVER",
    "ARAGORA_POSTGRES_PRIMARY",
    "ARAGORA_POSTGRES_REPLICAS",
    "ARAGORA_DECISION_RETENTION_DAYS",
    "ARAGORA_DECISION_MAX_ENTRIES",
    "ARAGORA_WEBHOOK_RETRY_MAX_ATTEMPTS",
    "ARAGORA_ELO_INITIAL",
    "ARAGORA_ELO_K_FACTOR",
    "ARAGORA_ELO_CALIBRATION_MIN_COUNT",
    "ARAGORA_DATA_DIR",
    "PGHOST",
    "PGPORT",
    "PGUSER",
    "PGPASSWORD",
    "PGDATABASE",
    "PGSSLMODE",
    "PGAPPNAME",
    "PGCONNECT_TIMEOUT",
    "PGSERVICE",
    "PGPASSFILE",
]


@pytest.mark.parametrize("name", NAMES_OF_THE_SYSTEMS)
def test_every_name_of_the_four_systems_and_of_libpq_is_on_the_page(
    name: str, tmp_path: Path
) -> None:
    """As a name that is obeyed, or in the list of those that are not used; and it is never an unknown name."""
    patterns = re.findall(r"`([A-Z][A-Z0-9_<>*]+)`", render())
    regexes = [re.escape(p).replace(r"\*", ".+").replace("<STORE>", ".+") for p in patterns]
    assert any(re.fullmatch(regex, name) for regex in regexes)


def test_libpq_knows_every_parameter_that_is_handed_to_it() -> None:
    """Checked against the libpq that psycopg brings; a newer one may know more."""
    known = {
        option.keyword.decode(): option.envvar and option.envvar.decode()
        for option in pq.Conninfo.get_defaults()
    }
    for keyword, variable in libpq.ENVIRONMENT.items():
        if keyword in known:
            assert known[keyword] == variable
    ours = libpq.KEYWORDS | {"sslmode", "application_name", "connect_timeout", "client_encoding"}
    not_ours = {"replication", "sslkeylogfile"}
    assert set(known) - not_ours <= ours
    secret = {
        option.keyword.decode() for option in pq.Conninfo.get_defaults() if option.dispchar == b"*"
    }
    assert secret <= libpq.SECRETS


def test_loading_settings_needs_the_standard_library_only() -> None:
    """And not its TOML parser either, which most processes never use."""
    source = Path(__file__).parents[3] / "src"
    program = (
        "import sys, types; package = types.ModuleType('aureus'); package.__path__ = [sys.argv[1] + '/aureus'];"
        "sys.modules['aureus'] = package; import aureus.config; print(*sys.modules)"
    )
    loaded = subprocess.run(
        [sys.executable, "-I", "-c", program, str(source)],
        capture_output=True,
        text=True,
        check=True,
    )
    top = {name.partition(".")[0] for name in loaded.stdout.split()}
    assert not top & {
        "pydantic",
        "psycopg",
        "apsw",
        "orjson",
        "ruamel",
        "click",
        "rich",
        "tomllib",
        "asyncio",
    }
