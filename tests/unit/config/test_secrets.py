"""No rendering of settings, and no message, shows a secret."""

from __future__ import annotations

import dataclasses
import json
import os
import traceback
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from aureus.config import PostgresUrl, Settings, load
from aureus.config.url import MASK
from aureus.errors import ConfigInvalid
from tests.unit.config.support import load_in, postgres, row_of

ALPHABET = st.characters(codec="utf-8", exclude_characters="\x00")
PASSWORDS = st.builds("Qz{}zQ".format, st.text(ALPHABET, min_size=1, max_size=20))
"""Passwords with ends that nothing else contains, so that a part of one is recognised as well."""

ANYWHERE = hypothesis_settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)


def every_rendering(settings: Settings) -> str:
    """Return all that a program could print of settings without asking for the password."""
    url = settings.database.url
    texts = [
        repr(settings), str(settings), f"{settings}", f"{settings.database!r}", repr(settings.shown()),
        repr(dataclasses.asdict(settings)), repr(dataclasses.astuple(settings)),
        json.dumps(dataclasses.asdict(settings), default=str),
        repr(url), str(url), f"{url}", "{} {!r}".format(url, url), url.masked, url.describe("aureus"),  # noqa: UP032 - this form has a code path of its own
        settings.database.description, settings.database.auto_migrate_reason, *settings.warnings,
        *(settings.origin(row.setting) for row in settings.shown()),
    ]  # fmt: skip
    if isinstance(url, PostgresUrl):
        texts += [str(url.get(keyword)) for keyword in url.connection_parameters()]
    return "\n".join(texts)


def check_hidden(password: str, text: str) -> None:
    """Fail when a password stands in a text, whole, encoded, or one of its ends."""
    assert password not in text
    assert quote(password, safe="") not in text
    assert "Qz" not in text
    assert "zQ" not in text


def ways_to_give(password: str) -> list[dict[str, str]]:
    encoded = quote(password, safe="")
    quoted = password.replace("\\", "\\\\").replace("'", "\\'")
    return [
        {"DATABASE_URL": f"postgresql://u:{encoded}@db.example/d"},
        {"AUREUS_DATABASE_URL": f"postgresql://u@localhost/d?password={encoded}"},
        {"ARAGORA_POSTGRES_DSN": f"postgresql://u@localhost/d?sslpassword={encoded}"},
        {"AUREN_DB_DSN": f"host=localhost user=u password='{quoted}'"},
        {"STATE_STORE_TYPE": "postgres", "DATABASE_PASSWORD": password},
        {"DATABASE_URL": "postgresql://u@localhost/d", "PGPASSWORD": password},
        {"DATABASE_URL": "postgresql://u:other@localhost/d", "AUREUS_DATABASE_PASSWORD": password},
        {
            "DATABASE_URL": "postgresql://h/d",
            "AUREUS_DATABASE_DIRECT_URL": f"postgresql://u:{encoded}@db.example/d",
        },
        {
            "DATABASE_URL": "postgresql://h/d",
            "AUREN_DB_DSN": f"postgresql://u:{encoded}@db.example/d",
        },
        {"ARAGORA_DB_BACKEND": "sqlite", "DATABASE_URL": f"postgresql://u:{encoded}@db.example/d"},
    ]


@hypothesis_settings(ANYWHERE, max_examples=30)  # each in ten ways, in every rendering
@given(password=PASSWORDS.filter(lambda password: password.strip() == password))
def test_no_rendering_of_settings_contains_a_password(password: str, tmp_path: Path) -> None:
    for environ in ways_to_give(password):
        check_hidden(password, every_rendering(load_in(tmp_path, environ)))


@ANYWHERE
@given(password=PASSWORDS, level=st.sampled_from(["argument", "flag", "environment"]))
def test_no_message_contains_a_password_that_was_written_without_encoding(
    password: str, level: str, tmp_path: Path
) -> None:
    """Raw in a URL, a password is often read as something else; whatever is said then, it does not quote it."""
    for text in (
        f"postgresql://u:{password}@db.example/d",
        f"postgresql://db.example/d?password={password}",
        f"postgresql://db.example/d?pasword={password}",
        f"postgresql:/u:{password}@db.example/d",
        f"u:{password}@db.example/d",
        f"host=db.example password={password}",
        f"host=db.example password='{password}",
        f"sqlite://u:{password}@db.example/d",
    ):
        given = {
            level: {"environment": "DATABASE_URL", "flag": "--dsn", "argument": "database.url"}[
                level
            ]
        }
        try:
            loaded = load(
                arguments={given["argument"]: text} if level == "argument" else {},
                flags={given["flag"]: text} if level == "flag" else {},
                environ={given["environment"]: text} if level == "environment" else {},
                directory=tmp_path,
            )
        except ConfigInvalid as error:
            check_hidden(password, f"{error} {error!r} {error.to_dict()} {error.fields}")
            check_hidden(password, "".join(traceback.format_exception(error)))
        else:
            shown = every_rendering(loaded)
            assert password not in shown


WRONG_PLACES = [
    ("AUREUS_DATABASE_HOST", "postgresql://u:QzsecretzQ@h/d"),
    ("AUREUS_DATABASE_HOST", "u:QzsecretzQ@h"),
    ("STATE_STORE_TYPE", "postgresql://u:QzsecretzQ@h/d"),
    ("DATABASE_POOL_MAX", "postgresql://u:QzsecretzQ@h/d"),
    ("DATABASE_TIMEOUT", "password=QzsecretzQ"),
    ("EVENT_LOG_DIR", "s3://key:QzsecretzQ@bucket"),
    ("ARAGORA_DATA_DIR", "file://u:QzsecretzQ@h"),
    ("LOG_LEVEL", "u:QzsecretzQ@h"),
    ("AUREUS_DATABASE_SCHEMA", "postgresql://u:QzsecretzQ@h/d" + "x" * 60),
]


@pytest.mark.parametrize(("name", "value"), WRONG_PLACES)
def test_a_secret_in_the_wrong_place_is_not_quoted(name: str, value: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        load_in(tmp_path, {name: value})
    check_hidden("QzsecretzQ", f"{caught.value} {caught.value.to_dict()}")


@pytest.mark.parametrize(
    "content",
    [
        "DATABASE_PASSWORD='QzsecretzQ",
        "DATABASE_PASSWORD='a' QzsecretzQ",
        "QzsecretzQ !",
        'X="QzsecretzQ',
    ],
)
def test_a_broken_dotenv_is_not_quoted(content: str, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"# first\n{content}\n", encoding="utf-8")
    with pytest.raises(ConfigInvalid, match=r"\.env line 2 ") as caught:
        load_in(tmp_path)
    check_hidden("QzsecretzQ", "".join(traceback.format_exception(caught.value)))


@pytest.mark.parametrize(
    "content",
    ["password = QzsecretzQ", "password = 'QzsecretzQ", "password = 'a' QzsecretzQ", "password 'QzsecretzQ'",
     "[database]\npassword = ['QzsecretzQ']", "[database]\npassword = 7\nurl = 'QzsecretzQ'"],
)  # fmt: skip
def test_a_broken_toml_is_not_quoted(content: str, tmp_path: Path) -> None:
    (tmp_path / "aureus.toml").write_text(content, encoding="utf-8")
    with pytest.raises(ConfigInvalid) as caught:
        load_in(tmp_path)
    check_hidden("QzsecretzQ", "".join(traceback.format_exception(caught.value)))


def test_the_password_is_given_to_the_connector_and_shown_as_stars(tmp_path: Path) -> None:
    settings = load_in(tmp_path, {"DATABASE_URL": "postgresql://u:secret@localhost/d"})
    assert postgres(settings).connection_parameters().items() >= {("password", "secret")}
    assert postgres(settings).get("password") == MASK
    assert row_of(settings, "database.password") == ("***", "environment DATABASE_URL")
    assert (
        row_of(load_in(tmp_path, {"DATABASE_URL": "postgresql:///d"}), "database.password") is None
    )


def test_a_password_on_the_command_line_is_warned_about(tmp_path: Path) -> None:
    settings = load_in(tmp_path, flags={"--dsn": "postgresql://u:secret@localhost/d"})
    assert [w for w in settings.warnings if "process list" in w and "secret" not in w]
    assert load_in(tmp_path, flags={"--dsn": "postgresql://u@localhost/d"}).warnings == ()


def test_a_secret_that_everybody_may_read_is_warned_about(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("secret\n", encoding="utf-8")
    environ = {"STATE_STORE_TYPE": "postgres", "DATABASE_PASSWORD_FILE": str(file)}
    file.chmod(0o644)
    assert load_in(tmp_path, environ).warnings == (
        "environment DATABASE_PASSWORD_FILE: everybody on this machine may read the file; chmod 600 it",
    )
    file.chmod(0o640)
    assert load_in(tmp_path, environ).warnings == ()


def test_a_secret_of_a_container_may_be_readable_by_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "password"
    file.write_text("secret", encoding="utf-8")
    file.chmod(0o444)
    monkeypatch.setattr("aureus.config.files.SECRET_DIRECTORIES", (f"{tmp_path}/",))
    environ = {"STATE_STORE_TYPE": "postgres", "DATABASE_PASSWORD_FILE": str(file)}
    assert load_in(tmp_path, environ).warnings == ()


@pytest.mark.parametrize("ending", ["", "\n", "\r\n", "\n\n"])
def test_only_line_breaks_at_the_end_of_a_secret_file_are_cut(ending: str, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_bytes(b" spaces count " + ending.encode())
    file.chmod(0o600)
    settings = load_in(tmp_path, {"STATE_STORE_TYPE": "postgres", "PGPASSWORD_FILE": "password"})
    assert postgres(settings).connection_parameters().items() >= {("password", " spaces count ")}


def test_a_secret_may_come_through_a_pipe(tmp_path: Path) -> None:
    """As with ``<(pass show database)``: it can be read once only."""
    read_end, write_end = os.pipe()
    try:
        os.write(write_end, b"postgresql://u:secret@localhost/d\n")
        os.close(write_end)
        settings = load_in(tmp_path, {"AUREUS_DATABASE_URL_FILE": f"/dev/fd/{read_end}"})
    finally:
        os.close(read_end)
    assert settings.database.description == "PostgreSQL localhost:5432/d schema aureus"


def test_a_secret_file_of_a_name_that_loses_is_not_opened(tmp_path: Path) -> None:
    settings = load_in(
        tmp_path, {"AUREUS_DATABASE_URL": "sqlite://", "DATABASE_URL_FILE": "/nowhere"}
    )
    assert settings.database.description == "SQLite in memory"
    assert [
        text
        for text in settings.warnings
        if text.startswith("environment DATABASE_URL_FILE is not used")
    ]
