"""What database URLs mean, which of them are refused, and what a refusal says."""

from __future__ import annotations

import contextlib
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import pq

from aureus.config import PostgresUrl, SqliteUrl, read_url
from aureus.errors import ConfigInvalid
from tests.unit.config.support import load_in

SQLITE = [
    ("sqlite://", None),
    ("sqlite:///:memory:", None),
    ("sqlite:///relative/file.db", "relative/file.db"),
    ("sqlite:////var/lib/aureus.db", "/var/lib/aureus.db"),
    ("SQLite:///a.db", "a.db"),
    ("sqlite+aiosqlite:///a.db", "a.db"),
    ("sqlite:///with%20blank%3F.db", "with blank?.db"),
    ("sqlite:///C:/data/a.db", "C:/data/a.db"),
    ("sqlite:///a=b.db", "a=b.db"),
]


@pytest.mark.parametrize(("text", "path"), SQLITE)
def test_sqlite_urls(text: str, path: str | None) -> None:
    assert read_url(text).url == SqliteUrl(None if path is None else Path(path))


def test_a_relative_file_lies_in_the_working_directory(tmp_path: Path) -> None:
    settings = load_in(tmp_path, {"DATABASE_URL": "sqlite:///data/own.db"})
    assert settings.database.url == SqliteUrl(tmp_path / "data" / "own.db")
    assert settings.database.description == f"SQLite {tmp_path}/data/own.db"
    absolute = load_in(tmp_path, {"DATABASE_URL": "sqlite:////data/own.db"})
    assert absolute.database.description == "SQLite /data/own.db"


POSTGRES = [
    ("postgresql://h/d", {"host": "h", "dbname": "d"}),
    ("postgres://h/d", {"host": "h", "dbname": "d"}),
    ("postgresql+asyncpg://h/d", {"host": "h", "dbname": "d"}),
    ("postgresql://u:p@h:6000/d", {"user": "u", "password": "p", "host": "h", "port": "6000", "dbname": "d"}),
    ("postgresql://u@h", {"user": "u", "host": "h"}),
    ("postgresql://", {}),
    ("postgresql:///d", {"dbname": "d"}),
    ("postgresql://u:a%20b%40%2F%3F%25%23@h/d", {"user": "u", "password": "a b@/?%#", "host": "h", "dbname": "d"}),
    ("postgresql://u:a@b:c@h/d", {"user": "u", "password": "a@b:c", "host": "h", "dbname": "d"}),
    ("postgresql://u:a#b@h/d", {"user": "u", "password": "a#b", "host": "h", "dbname": "d"}),
    ("postgresql://us%40er@h/d%2Fe", {"user": "us@er", "host": "h", "dbname": "d/e"}),
    ("postgresql://[::1]:6000/d", {"host": "::1", "port": "6000", "dbname": "d"}),
    ("postgresql://[fe80::1]/d", {"host": "fe80::1", "dbname": "d"}),
    ("postgresql://a:1,b:2/d", {"host": "a,b", "port": "1,2", "dbname": "d"}),
    ("postgresql://a,b/d", {"host": "a,b", "dbname": "d"}),
    ("postgresql://a,b:2/d", {"host": "a,b", "port": ",2", "dbname": "d"}),
    ("postgresql:///d?host=/run/postgresql&port=6000", {"host": "/run/postgresql", "port": "6000", "dbname": "d"}),
    ("postgresql://%2Frun%2Fpostgresql/d", {"host": "/run/postgresql", "dbname": "d"}),
    ("postgresql://localhost:1/d?host=/cloudsql/a:b:c", {"host": "/cloudsql/a:b:c", "dbname": "d"}),
    ("postgresql://h/d?user=u&password=p%26q", {"host": "h", "dbname": "d", "user": "u", "password": "p&q"}),
    ("postgresql://h/d?options=-c%20geqo%3Doff", {"host": "h", "dbname": "d", "options": "-c geqo=off"}),
    ("postgresql://h?target_session_attrs=read-write", {"host": "h", "target_session_attrs": "read-write"}),
    ("postgresql://h/d?channel_binding=require", {"host": "h", "dbname": "d", "channel_binding": "require"}),
    ("postgresql://?service=prod", {"service": "prod"}),
    ("postgresql://h/d?pool_health_check_period=1m", {"host": "h", "dbname": "d"}),
    ("host=h dbname=d", {"host": "h", "dbname": "d"}),
    ("host = h  port=6000\tdbname='d e'", {"host": "h", "port": "6000", "dbname": "d e"}),
    (r"host=h password='it\'s \\ here'", {"host": "h", "password": r"it's \ here"}),
    (r"host=h password=a\ b", {"host": "h", "password": "a b"}),
    ("host=h password=postgresql://x", {"host": "h", "password": "postgresql://x"}),
    ("host=h password='' dbname=d", {"host": "h", "dbname": "d"}),
    ("service=prod", {"service": "prod"}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "parameters"), POSTGRES)
def test_postgresql_urls_and_keyword_strings(text: str, parameters: dict[str, str]) -> None:
    url = read_url(text).url
    assert isinstance(url, PostgresUrl)
    assert url.connection_parameters() == {**parameters, "client_encoding": "UTF8"}


LIBPQ_CAN = [
    text
    for text, _ in POSTGRES
    if "+asyncpg" not in text and "pool_" not in text and "a@b" not in text
]


@pytest.mark.parametrize("text", LIBPQ_CAN)
def test_urls_mean_what_libpq_takes_them_for(text: str) -> None:
    """Compared with the parser of libpq itself, but for what it adds: psycopg leaves empty values in."""
    theirs = {
        option.keyword.decode(): option.val.decode()
        for option in pq.Conninfo.parse(text.encode())
        if option.val is not None and option.val != b""
    }
    ours = read_url(text).url
    assert isinstance(ours, PostgresUrl)
    mine = ours.connection_parameters()
    del mine["client_encoding"]
    if (
        "cloudsql" in text
    ):  # libpq keeps the port of the placeholder address, which a socket never has
        del theirs["port"]
    if theirs.get("port", "").strip(",") == "":  # and a comma for each host without a port
        theirs.pop("port", None)
    assert mine == theirs


@given(
    st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1),
    st.text(
        st.characters(codec="utf-8", exclude_categories=["Cc"], exclude_characters="\u2028\u2029"),
        min_size=1,
    ),
)
def test_any_password_and_user_survive_percent_encoding(password: str, user: str) -> None:
    text = f"postgresql://{quote(user, safe='')}:{quote(password, safe='')}@h/d"
    url = read_url(text).url
    assert isinstance(url, PostgresUrl)
    parameters = url.connection_parameters()
    assert (parameters["user"], parameters["password"]) == (user, password)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1))
def test_any_password_survives_quoting_in_a_keyword_string(password: str) -> None:
    escaped = password.replace("\\", "\\\\").replace("'", "\\'")
    url = read_url(f"host=h password='{escaped}'").url
    assert isinstance(url, PostgresUrl)
    assert url.connection_parameters()["password"] == password


REFUSED = [
    ("mysql://h/d", "mysql"),
    ("http://h/d", "http"),
    ("file:./a.db", "sqlite:///path"),
    ("./a.db", "sqlite:///path"),
    ("aureus", "sqlite:///path"),
    ("C:/a.db", "sqlite:///path"),
    ("sqlite:a.db", "two slashes"),
    ("postgresql:/h/d", "two slashes"),
    ("sqlite://var/a.db", "three"),
    ("sqlite:///", "sqlite://"),
    ("sqlite:///directory/", "names no file"),
    ("sqlite:///~/a.db", "write the path out"),
    ("sqlite:///a.db?mode=ro", "%3F"),
    ("sqlite:///a%00.db", "control character"),
    ("sqlite:///a%0A.db", "control character"),
    ("postgresql://h:port/d", "percent-encoded"),
    ("postgresql://h:0/d", "65535"),
    ("postgresql://h:65536/d", "65535"),
    ("postgresql://h:١/d", "65535"),
    ("postgresql://a:1,b:2/d?port=1,2,3", "3 ports"),
    ("postgresql://[::1/d", "brackets"),
    ("postgresql://[::1]x/d", "brackets"),
    ("postgresql://u:p%zz@h/d", "%25"),
    ("postgresql://u:50%@h/d", "%25"),
    ("postgresql://u:%ff@h/d", "UTF-8"),
    ("postgresql://u:%00@h/d", "NUL"),
    ("postgresql://u%0A:p@h/d", "control character"),
    ("postgresql://h/d%0Aforged", "control character"),
    ("postgresql://h/d/e", "%2F"),
    ("postgresql://h/d?user=a@b", "%40"),
    ("postgresql://h/d?connect_timeout", "name=value"),
    ("postgresql://h/d?options=a=b", "name=value"),
    ("postgresql://h/d?dbname=a&dbname=b", "twice"),
    ("postgresql://h/d?pool_max_con=3", "pool_max_conns"),
    ("postgresql://h/d?ssl_mode=require", "sslmode"),
    ("postgresql://h/d?schema=x", "AUREUS_DATABASE_SCHEMA"),
    ("postgresql://h/d?currentSchema=x", "AUREUS_DATABASE_SCHEMA"),
    ("postgresql://h/d?connection_limit=3", "pool_max"),
    ("postgresql://h/d?client_encoding=latin1", "UTF-8"),
    ("postgresql://h/d?replication=database", "replication"),
    ("postgresql://h/d?zzzzzz=1", "take it out"),
    ("host=h dbname", "name=value"),
    ("host=h password='open", "name=value"),
    ("host=h pass word=x", "name=value"),
    ("host=h hots=x", "did you mean host"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "advice"), REFUSED)
@pytest.mark.parametrize("key", ["database.url", "database.direct_url"])
def test_what_is_no_database_url_is_refused_with_advice(
    key: str, text: str, advice: str, tmp_path: Path
) -> None:
    """The message names the setting, where it was said, and what to write instead."""
    arguments = {"database.url": "postgresql://localhost/d", key: text}
    with pytest.raises(ConfigInvalid) as caught:
        load_in(tmp_path, arguments=arguments)
    assert advice in caught.value.message
    assert caught.value.message.startswith(f"{key} (argument {key}) ")
    assert (caught.value.setting, caught.value.origin) == (key, f"argument {key}")


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_and_nothing_else(text: str) -> None:
    with contextlib.suppress(ConfigInvalid):
        read_url(text)


@given(
    st.text(st.sampled_from("ab:/@?%&=[],.5'\\ #"), max_size=40),
    st.sampled_from(["postgresql://", "host=", "sqlite://"]),
)
def test_any_text_of_separators_is_read_or_refused_and_nothing_else(text: str, start: str) -> None:
    try:
        url = read_url(start + text).url
    except ConfigInvalid:
        return
    assert str(url)
    assert url.describe("aureus")


def test_a_directory_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with pytest.raises(ConfigInvalid, match="names the directory"):
        load_in(tmp_path, {"DATABASE_URL": "sqlite:///data"})
    (tmp_path / "var" / "aureus.db").mkdir(parents=True)
    with pytest.raises(ConfigInvalid, match="names the directory"):
        load_in(tmp_path)


BLANKS = [
    ({"DATABASE_URL": "postgresql://h/d", "PGUSER": "u", "PGPASSWORD": "p"}, {"user": "u", "password": "p"}),
    ({"DATABASE_URL": "postgresql:///d", "PGHOST": "/run/x"}, {"host": "/run/x"}),
    ({"DATABASE_URL": "postgresql:///d", "AUREUS_DATABASE_PASSWORD": "own", "PGPASSWORD": "p"}, {"password": "own"}),
    ({"DATABASE_URL": "postgresql://localhost/d", "DATABASE_PASSWORD": "sibling"}, {"password": "sibling"}),
    ({"AUREUS_DATABASE_URL": "postgresql://localhost/d", "DATABASE_PASSWORD": "stranger"}, {"password": None}),
    ({"AUREN_DB_DSN": "postgresql://localhost/d", "DATABASE_USER": "stranger"}, {"user": None}),
    ({"DATABASE_URL": "postgresql://u:p@/d", "PGUSER": "x", "PGPASSWORD": "y"}, {"user": "u", "password": "p"}),
    ({"DATABASE_URL": "service=prod", "PGHOST": "x", "PGPASSWORD": "y"}, {"host": None, "password": None}),
    ({"STATE_STORE_TYPE": "postgres", "PGSERVICE": "prod"}, {"service": "prod", "host": None, "user": None}),
    ({"STATE_STORE_TYPE": "postgres"}, {"host": "localhost", "port": "5432", "dbname": "aureus", "user": "aureus"}),
    ({"STATE_STORE_TYPE": "postgres", "PGPASSFILE": "/p"}, {"passfile": "/p"}),
    ({"DATABASE_URL": "postgresql://localhost/d", "PGSSLROOTCERT": "/ca.pem"}, {"sslrootcert": "/ca.pem"}),
    ({"DATABASE_URL": "postgresql:///d?sslrootcert=/own", "PGSSLROOTCERT": "/ca.pem"}, {"sslrootcert": "/own"}),
]  # fmt: skip


@pytest.mark.parametrize(("environ", "expected"), BLANKS)
def test_blanks_of_a_url_are_filled_from_names_that_belong_to_it(
    environ: dict[str, str], expected: dict[str, str | None], tmp_path: Path
) -> None:
    """A password that was set beside ``DATABASE_URL`` never goes to a server that another name chose."""
    url = load_in(tmp_path, environ).database.url
    assert isinstance(url, PostgresUrl)
    parameters = url.connection_parameters()
    assert {keyword: parameters.get(keyword) for keyword in expected} == expected


def test_a_part_that_the_url_contradicts_is_reported(tmp_path: Path) -> None:
    environ = {"DATABASE_URL": "postgresql://u:p@localhost/d", "AUREUS_DATABASE_USER": "other"}
    assert load_in(tmp_path, environ).warnings == (
        "environment AUREUS_DATABASE_USER is not used: the URL of environment DATABASE_URL says otherwise",
    )


DESCRIPTIONS = [
    ("postgresql://u:p@db.example:6000/app", "PostgreSQL db.example:6000/app schema aureus"),
    ("postgresql://db.example", "PostgreSQL db.example:5432 schema aureus"),
    ("postgresql://[::1]/app", "PostgreSQL [::1]:5432/app schema aureus"),
    ("postgresql:///app?host=/run/postgresql", "PostgreSQL /run/postgresql:5432/app schema aureus"),
    ("postgresql:///app", "PostgreSQL local socket:5432/app schema aureus"),
    ("postgresql://a:1,b:2/app", "PostgreSQL a:1,b:2/app schema aureus"),
    ("host=db.example hostaddr=10.0.0.1 user=u password=p dbname=app", "PostgreSQL db.example:5432/app schema aureus"),
    ("service=prod", "PostgreSQL service prod schema aureus"),
    ("sqlite://", "SQLite in memory"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line"), DESCRIPTIONS)
def test_the_store_is_described_in_one_line_without_user_and_password(
    text: str, line: str, tmp_path: Path
) -> None:
    assert load_in(tmp_path, {"DATABASE_URL": text}).database.description == line


MASKED = [
    ("postgresql://u:p@db:6000/app?target_session_attrs=any", "postgresql://u:***@db:6000/app?target_session_attrs=any"),
    ("postgresql://db/app?password=p", "postgresql://:***@db:5432/app"),
    ("postgresql://u:p@/app?host=/run/x", "postgresql://u:***@/app?host=/run/x"),
    ("host=db user='a b' sslpassword=p sslkey=/k", "postgresql://a%20b@db:5432/?sslpassword=***&sslkey=/k"),
    ("postgresql://h/d?oauth_client_secret=p", "postgresql://h:5432/d?oauth_client_secret=***"),
    ("sqlite:////var/a%20b.db", "sqlite:////var/a%20b.db"),
    ("sqlite://", "sqlite://"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "masked"), MASKED)
def test_a_url_is_shown_with_its_secrets_masked(text: str, masked: str) -> None:
    url = read_url(text).url
    assert (url.masked, str(url)) == (masked, masked)
    assert masked in repr(url)


POOLED = [
    ("postgresql://h/d", True),
    ("postgresql://h:5432/d", True),
    ("postgresql://h:6543/d", False),
    ("postgresql://h:6432/d", False),
    ("postgresql://h/d?pgbouncer=true", False),
    ("postgresql://h/d?pgbouncer=false", True),
    ("postgresql://ep-x-pooler.region.example/d", False),
    ("postgresql://pooler.example/d", True),
    ("postgresql://h:6543/d?prepared_statements=on", True),
    ("postgresql://h/d?prepared_statements=off", False),
]


@pytest.mark.parametrize(("text", "prepares"), POOLED)
def test_prepared_statements_are_off_behind_a_transaction_pooler(
    text: str, prepares: bool, tmp_path: Path
) -> None:
    settings = load_in(tmp_path, {"DATABASE_URL": text})
    assert settings.database.prepared_statements is prepares


def test_urls_are_values() -> None:
    """Equal URLs are equal and hash alike; a different password is a different URL."""
    one, same, other = (read_url(f"postgresql://u:{word}@h/d").url for word in ("a", "a", "b"))
    assert one == same
    assert hash(one) == hash(same)
    assert one != other
    assert SqliteUrl(None) != one
    assert len({SqliteUrl(None), SqliteUrl(None), SqliteUrl(Path("a"))}) == 2
