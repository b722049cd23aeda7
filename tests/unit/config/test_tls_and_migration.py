"""TLS is full unless somebody asked for less, and no schema is created in a database that was not named to Aureus."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from aureus.config import PostgresUrl, Settings
from aureus.errors import ConfigInvalid
from tests.unit.config.support import load_in, say

LOCAL = [
    "postgresql:///d", "postgresql://localhost/d", "postgresql://LOCALHOST./d", "postgresql://127.0.0.1/d",
    "postgresql://127.8.8.8/d", "postgresql://[::1]/d", "postgresql:///d?host=/run/postgresql", "host=@abstract",
    "postgresql://localhost,127.0.0.1/d", "host=db.example hostaddr=127.0.0.1",
]  # fmt: skip
REMOTE = [
    "postgresql://db.example/d", "postgresql://10.0.0.1/d", "postgresql://[fe80::1]/d", "postgresql://db/d",
    "postgresql://localhost,db.example/d", "host=localhost hostaddr=10.0.0.1", "postgresql://localhost.example/d",
    "postgresql://127.0.0.1.example/d", "postgresql://0.0.0.0/d", "service=prod",
]  # fmt: skip


def sslmode(settings: Settings) -> str | None:
    assert isinstance(settings.database.url, PostgresUrl)
    return settings.database.url.get("sslmode")


@pytest.mark.parametrize("url", LOCAL)
def test_this_machine_is_left_to_libpq(url: str, tmp_path: Path) -> None:
    settings = load_in(tmp_path, {"DATABASE_URL": url})
    assert sslmode(settings) is None
    assert settings.origin("database.sslmode") == "not used"
    assert settings.database.auto_migrate
    assert settings.warnings == ()


@pytest.mark.parametrize("url", REMOTE)
def test_another_host_is_verified_fully_and_not_migrated(url: str, tmp_path: Path) -> None:
    settings = load_in(tmp_path, {"DATABASE_URL": url})
    assert sslmode(settings) == "verify-full"
    assert settings.origin("database.sslmode") == "default"
    assert not settings.database.auto_migrate
    assert "aureus db init" in settings.database.auto_migrate_reason
    assert "environment DATABASE_URL" in settings.database.auto_migrate_reason


def test_a_variable_of_libpq_that_leads_elsewhere_makes_a_local_name_remote(tmp_path: Path) -> None:
    settings = load_in(
        tmp_path, {"DATABASE_URL": "postgresql://localhost/d", "PGHOSTADDR": "10.0.0.1"}
    )
    assert sslmode(settings) == "verify-full"


WAYS: list[tuple[str, Callable[[str], dict[str, str]]]] = [
    ("URL", lambda mode: {"DATABASE_URL": f"postgresql://db.example/d?sslmode={mode}"}),
    ("own", lambda mode: {"DATABASE_URL": "postgresql://db.example/d", "AUREUS_DATABASE_SSLMODE": mode}),
    ("libpq", lambda mode: {"DATABASE_URL": "postgresql://db.example/d", "PGSSLMODE": mode}),
    ("keywords", lambda mode: {"DATABASE_URL": f"host=db.example sslmode={mode}"}),
    ("direct", lambda mode: {"DATABASE_URL": "postgresql:///d",
                             "AUREUS_DATABASE_DIRECT_URL": f"postgresql://db.example/d?sslmode={mode}"}),
]  # fmt: skip


@pytest.mark.parametrize("mode", ["prefer", "allow"])
@pytest.mark.parametrize("way", [way for _, way in WAYS], ids=[name for name, _ in WAYS])
def test_modes_that_only_look_safe_are_refused(
    way: Callable[[str], dict[str, str]], mode: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigInvalid, match=rf"database\.sslmode .* is {mode}, .*verify-full"):
        load_in(tmp_path, way(mode))


@pytest.mark.parametrize("mode", ["require", "disable"])
@pytest.mark.parametrize("way", [way for _, way in WAYS], ids=[name for name, _ in WAYS])
def test_weak_modes_are_obeyed_when_asked_for_and_warned_about(
    way: Callable[[str], dict[str, str]], mode: str, tmp_path: Path
) -> None:
    settings = load_in(tmp_path, way(mode))
    url = settings.database.direct_url or settings.database.url
    assert isinstance(url, PostgresUrl)
    assert url.get("sslmode") == mode
    assert len([warning for warning in settings.warnings if f"sslmode={mode}" in warning]) == 1


@pytest.mark.parametrize("mode", ["verify-ca", "verify-full"])
def test_modes_that_verify_need_no_words(mode: str, tmp_path: Path) -> None:
    settings = load_in(tmp_path, {"DATABASE_URL": f"postgresql://db.example/d?sslmode={mode}"})
    assert (sslmode(settings), settings.warnings) == (mode, ())


SWITCHES = [
    ({"DATABASE_SSL": "true"}, "db.example", "verify-full"),
    ({"DATABASE_SSL": "1"}, "db.example", "verify-full"),
    ({"DATABASE_SSL": "false"}, "db.example", "disable"),
    ({"DATABASE_SSL": "true"}, "localhost", "verify-full"),
    ({"DATABASE_SSL": "false"}, "localhost", "disable"),
    ({"DATABASE_SSL": "true", "PGSSLMODE": "disable"}, "db.example", "verify-full"),
    ({"AUREUS_DATABASE_SSLMODE": "require", "DATABASE_SSL": "true"}, "db.example", "require"),
    ({"PGSSLMODE": "prefer"}, "localhost", "prefer"),
]  # fmt: skip


@pytest.mark.parametrize(("environ", "host", "mode"), SWITCHES)
def test_switches_of_tls(environ: dict[str, str], host: str, mode: str, tmp_path: Path) -> None:
    settings = load_in(tmp_path, {"DATABASE_URL": f"postgresql://{host}/d", **environ})
    assert sslmode(settings) == mode


def test_ssl_true_in_a_url_is_full_verification(tmp_path: Path) -> None:
    assert (
        sslmode(load_in(tmp_path, {"DATABASE_URL": "postgresql://h/d?ssl=true"})) == "verify-full"
    )


def test_libpq_variables_do_not_matter_to_sqlite(tmp_path: Path) -> None:
    assert load_in(tmp_path, {"PGSSLMODE": "nonsense", "PGPORT": "nonsense"}).warnings == ()


def roots(settings: Settings) -> str | None:
    assert isinstance(settings.database.url, PostgresUrl)
    return settings.database.url.get("sslrootcert")


def test_trusted_certificates_are_found_where_libpq_does_not_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First the URL, then libpq's own place, then ``SSL_CERT_FILE``, then the operating system's bundle."""
    bundle, named = tmp_path / "bundle.crt", tmp_path / "named.crt"
    bundle.touch()
    named.touch()
    monkeypatch.setattr("aureus.config.tls.BUNDLES", ("/nowhere", str(bundle)))
    remote = {"DATABASE_URL": "postgresql://db.example/d"}
    assert roots(load_in(tmp_path, remote)) == str(bundle)
    assert roots(load_in(tmp_path, {**remote, "SSL_CERT_FILE": str(named)})) == str(named)
    assert roots(load_in(tmp_path, {**remote, "PGSSLROOTCERT": "system"})) == "system"
    assert roots(load_in(tmp_path, {**remote, "PGSSLMODE": "verify-ca"})) is None, (
        "any public CA would do"
    )
    assert roots(load_in(tmp_path, {"DATABASE_URL": "service=prod"})) is None, (
        "the service may name its own"
    )
    home = tmp_path / ".postgresql"
    home.mkdir()
    (home / "root.crt").touch()
    assert roots(load_in(tmp_path, {**remote, "HOME": str(tmp_path)})) is None, (
        "libpq finds that itself"
    )
    monkeypatch.setattr("aureus.config.tls.BUNDLES", ())
    assert roots(load_in(tmp_path, remote)) is None


MEANT = [
    ([("argument", "database.url", "postgresql://db.example/d")], True),
    ([("flag", "--dsn", "postgresql://db.example/d")], True),
    ([("environment", "AUREUS_DATABASE_URL", "postgresql://db.example/d")], True),
    ([(".env", "AUREUS_DATABASE_URL", "postgresql://db.example/d")], True),
    ([("aureus.toml", "database.url", "postgresql://db.example/d")], False),
    ([("environment", "DATABASE_URL", "postgresql://db.example/d")], False),
    ([("environment", "ARAGORA_POSTGRES_DSN", "postgresql://db.example/d")], False),
    ([(".env", "DATABASE_URL", "postgresql://db.example/d")], False),
    ([("environment", "DATABASE_URL", "sqlite:///a.db")], True),
    ([("environment", "DATABASE_URL", "postgresql://localhost/d")], True),
    ([("flag", "--state-store-type", "postgres"), ("environment", "DATABASE_URL", "postgresql://db.example/d")], False),
    ([("environment", "STATE_STORE_TYPE", "postgres"), ("environment", "DATABASE_HOST", "db.example")], False),
    ([("environment", "STATE_STORE_TYPE", "postgres"), ("environment", "PGHOST", "db.example")], False),
    ([("environment", "STATE_STORE_TYPE", "postgres")], True),
    ([("environment", "AUREUS_DATABASE_HOST", "db.example")], True),
    ([("environment", "AUREUS_DATABASE_SERVICE", "prod")], True),
    ([("environment", "AUREUS_DATABASE_URL", "postgresql:///d"), ("environment", "PGHOST", "db.example")], False),
    ([("environment", "AUREUS_DATABASE_URL", "postgresql:///d"), ("environment", "PGHOSTADDR", "10.0.0.1")], False),
    ([("environment", "AUREUS_DATABASE_URL", "postgresql:///d"), ("environment", "PGSERVICE", "prod")], False),
    ([("environment", "AUREUS_DATABASE_HOST", "localhost"), ("environment", "PGHOSTADDR", "10.0.0.1")], False),
    ([("environment", "AUREUS_DATABASE_URL", "postgresql:///d"), (".env", "AUREUS_DATABASE_HOST", "db.example")], True),
    ([("environment", "AUREUS_DATABASE_URL", "postgresql://db.example/d"), ("environment", "PGUSER", "u")], True),
    ([("environment", "DATABASE_URL", "postgresql://db.example/d"),
      ("environment", "AUREUS_DATABASE_DIRECT_URL", "postgresql://direct.example/d")], True),
    ([("argument", "database.url", "postgresql://db.example/d"),
      ("aureus.toml", "database.direct_url", "postgresql://direct.example/d")], False),
]  # fmt: skip


@pytest.mark.parametrize(("says", "may"), MEANT)
def test_a_schema_is_created_only_where_the_database_was_named_to_aureus(
    says: list[tuple[str, str, str | int | float]], may: bool, tmp_path: Path
) -> None:
    settings = say(tmp_path, says)
    assert settings.database.auto_migrate is may
    assert ("aureus db init" in settings.database.auto_migrate_reason) is not may


def test_the_way_around_a_pooler(tmp_path: Path) -> None:
    environ = {
        "DATABASE_URL": "postgresql://u:p@db.example:6543/d",
        "AUREUS_DATABASE_DIRECT_URL": "postgresql://u:p@db.example:5432/d?sslmode=verify-ca",
    }
    database = load_in(tmp_path, environ).database
    assert isinstance(database.direct_url, PostgresUrl)
    assert not database.prepared_statements
    assert database.direct_url.get("port") == "5432"
    assert database.direct_url.get("sslmode") == "verify-ca"
    assert sslmode(load_in(tmp_path, environ)) == "verify-full", "each URL has its own options"
    assert load_in(tmp_path, environ).warnings == ()
    assert (
        load_in(tmp_path, environ).origin("database.direct_url")
        == "environment AUREUS_DATABASE_DIRECT_URL"
    )


ODD_DIRECT = [
    ("sqlite:///a.db", "postgresql://h/d", "the store is SQLite"),
    ("postgresql:///d", "postgresql://localhost:6543/d", "leads to a pooler itself"),
    ("postgresql:///d", "postgresql://localhost/other", "names another database"),
]


@pytest.mark.parametrize(("url", "direct", "warning"), ODD_DIRECT)
def test_an_odd_direct_url_is_warned_about(
    url: str, direct: str, warning: str, tmp_path: Path
) -> None:
    settings = load_in(tmp_path, {"DATABASE_URL": url, "AUREUS_DATABASE_DIRECT_URL": direct})
    assert [text for text in settings.warnings if warning in text]


def test_a_direct_url_is_postgresql(tmp_path: Path) -> None:
    environ = {"DATABASE_URL": "postgresql:///d", "AUREUS_DATABASE_DIRECT_URL": "sqlite:///a.db"}
    with pytest.raises(ConfigInvalid, match=r"database\.direct_url .* is no PostgreSQL URL"):
        load_in(tmp_path, environ)
