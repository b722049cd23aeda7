"""How numbers, times and words are read, and the lines of ``.env``."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aureus.config.files import line_of, read_dotenv
from aureus.config.table import BY_KEY, SETTINGS, Setting
from aureus.config.values import limits, parse, shown
from aureus.errors import ConfigInvalid
from tests.unit.config.support import load_in, row_of

TIMES = [
    ("10", 10), ("0.5", 0.5), (".5", 0.5), ("5.", 5), (" 10 ", 10), ("10s", 10), ("500ms", 0.5), ("250000us", 0.25),
    ("2m", 120), ("2min", 120), ("1h", 3600), ("1h30m", 5400), ("1h 30m 5s", 5405), ("1.5h", 5400), ("1H", 3600),
    (10, 10), (0.25, 0.25), ("none", None), ("off", None), ("0", None), (0, None), ("0s", None),
]  # fmt: skip


@pytest.mark.parametrize(("written", "seconds"), TIMES, ids=repr)
def test_times(written: object, seconds: float | None) -> None:
    found = parse(BY_KEY["database.idle_timeout_seconds"], written, "test")
    assert found == seconds if seconds is None else math.isclose(float(found or 0), seconds)


MILLISECONDS = [("30000", 30), ("1", 0.001), ("30s", 30), ("500ms", 0.5), (250, 0.25)]


@pytest.mark.parametrize(("written", "seconds"), MILLISECONDS)
def test_a_plain_number_is_in_the_unit_of_its_name_and_a_written_unit_wins(
    written: object, seconds: float
) -> None:
    found = parse(BY_KEY["database.connect_timeout_seconds"], written, "test", unit="ms")
    assert math.isclose(float(found or 0), seconds)


@pytest.mark.parametrize(
    "written", ["10 seconds", "h", "1x", "-1s", "1s-", "1.2.3s", "1e3", "", True, None, [1]]
)
def test_what_is_no_time(written: object) -> None:
    with pytest.raises(ConfigInvalid):
        parse(BY_KEY["database.call_deadline_seconds"], written, "test")


@given(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(),
        st.binary(),
        st.lists(st.integers()),
    )
)
def test_any_value_of_any_setting_is_taken_or_refused_and_nothing_else(written: object) -> None:
    for setting in BY_KEY.values():
        try:
            value = parse(setting, written, "test")
        except ConfigInvalid:
            continue
        assert shown(setting, value)
        if isinstance(value, int | float):
            assert setting.least is not None
            assert setting.most is not None
            assert setting.least <= value <= setting.most


LIMITS = [
    ("database.pool_max", "a whole number from 1 to 1000"),
    ("database.idle_timeout_seconds", "a time from 1 ms to 1 d, or none for no limit"),
    ("database.port", "a whole number from 1 to 65535"),
    ("audit.mode", "decisions, all or off"),
    ("database.schema", "1 to 63 bytes"),
]


@pytest.mark.parametrize(("key", "words"), LIMITS)
def test_limits_are_said_in_words(key: str, words: str) -> None:
    assert limits(BY_KEY[key]) == words


@pytest.mark.parametrize(
    "setting",
    [s for s in SETTINGS if s.kind in {"integer", "seconds"}],
    ids=lambda s: s.key,
)
def test_both_bounds_are_inside(setting: Setting) -> None:
    for bound in (setting.least, setting.most):
        written = bound if setting.kind == "seconds" else int(bound or 0)
        assert parse(setting, written, "test") == bound


def test_a_text_as_long_as_its_bound_is_inside(tmp_path: Path) -> None:
    assert len(load_in(tmp_path, {"AUREUS_TENANT": "x" * 255}).tenant) == 255


def test_a_caller_may_hand_over_a_path(tmp_path: Path) -> None:
    settings = load_in(tmp_path, arguments={"run_log.directory": tmp_path / "logs"})
    assert settings.run_log.directory == tmp_path / "logs"


def test_values_are_shown_with_their_units(tmp_path: Path) -> None:
    settings = load_in(tmp_path, {"DATABASE_TIMEOUT": "1500"})
    assert row_of(settings, "database.connect_timeout_seconds") == (
        "1.5 s",
        "environment DATABASE_TIMEOUT",
    )
    assert row_of(settings, "engine.task_timeout_seconds") == ("none", "default")
    assert row_of(settings, "run_log.directory") == (f"{tmp_path}/var/run", "default")
    assert row_of(settings, "database.prepared_statements") == ("on", "default")
    assert [row.setting for row in settings.shown()][:3] == ["tenant", "actor", "database.url"]


@pytest.mark.parametrize(
    "name", ["a-b", "Mixed Case", 'quo"te', "schema.dot", "ünïcödé", " blank ", "x" * 63, "public"]
)
def test_any_name_is_a_schema(name: str, tmp_path: Path) -> None:
    assert load_in(tmp_path, {"AUREUS_DATABASE_SCHEMA": name}).database.schema == name


DOTENV = [
    ("NAME=value", "value"),
    ("NAME = value ", "value"),
    ("export NAME=value", "value"),
    ("export\tNAME=value", "value"),
    ("NAME=value # comment", "value"),
    ("NAME=val#ue", "val#ue"),
    ("NAME=# comment", ""),
    ("NAME=", ""),
    ("NAME='va # lue'", "va # lue"),
    ("NAME='a\\n$HOME'", "a\\n$HOME"),
    ("NAME='it''", None),
    ("NAME='value' # comment", "value"),
    ("NAME='value'x", None),
    ('NAME="a\\nb\\t\\"c\\" \\\\ \\$ \\x"', 'a\nb\t"c" \\ $ \\x'),
    ('NAME="$HOME ${HOME}"', "$HOME ${HOME}"),
    ("NAME=$HOME", "$HOME"),
    ('NAME="two\nlines"', "two\nlines"),
    ("NAME='two\nlines' # x", "two\nlines"),
    ("NAME=a=b=c", "a=b=c"),
    ("NAME=first\nNAME=second", "second"),
    ("\ufeffNAME=value", "value"),
    ("# NAME=no\r\nNAME=value\r\n", "value"),
    ("NAME=postgresql://u:p%23@h/d?a=b#c", "postgresql://u:p%23@h/d?a=b#c"),
    ("  \n\t\nNAME=x", "x"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "value"), DOTENV)
def test_lines_of_dotenv(text: str, value: str | None, tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(text.encode())
    if value is None:
        with pytest.raises(ConfigInvalid, match=r"\.env line 1 "):
            read_dotenv(tmp_path)
        return
    assert read_dotenv(tmp_path)["NAME"][0] == value


@pytest.mark.parametrize(
    "text", ["no name", "1A=x", "=x", "A B=x", "NAME='open", 'NAME="open\\"', "- NAME=x"]
)
def test_lines_that_are_none_are_refused_with_their_number(text: str, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"A=1\n\n{text}\nB=2\n", encoding="utf-8")
    with pytest.raises(ConfigInvalid, match=r"\.env line 3 "):
        load_in(tmp_path)


def test_a_bare_name_in_dotenv_says_nothing(tmp_path: Path) -> None:
    """Container tools read it as "pass this variable on"."""
    (tmp_path / ".env").write_text("AUREUS_TENANT\n", encoding="utf-8")
    assert load_in(tmp_path).tenant == "default"


def test_lines_are_counted_across_values_of_several_lines(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("KEY='a\nb\nc'\nAUREUS_TENANT=acme\n", encoding="utf-8")
    settings = load_in(tmp_path)
    assert (settings.tenant, settings.origin("tenant")) == ("acme", ".env line 4, AUREUS_TENANT")


def test_only_the_working_directory_is_searched(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("AUREUS_TENANT=acme\n", encoding="utf-8")
    (tmp_path / "aureus.toml").write_text("tenant = 'acme'\n", encoding="utf-8")
    below = tmp_path / "below"
    below.mkdir()
    assert load_in(below).tenant == "default"


@given(st.text(max_size=80))
def test_any_text_is_lines_or_refused_and_nothing_else(text: str) -> None:
    assert line_of(text, "database.url") is None or "url" in text or "database" in text


@given(st.binary(max_size=80))
def test_any_bytes_in_both_files_are_settings_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    directory = tmp_path_factory.mktemp("any")
    for name in (".env", "aureus.toml"):
        (directory / name).write_bytes(content)
        try:
            load_in(directory)
        except ConfigInvalid as error:
            assert error.message  # noqa: PT017 - what is refused is refused with words
        (directory / name).unlink()


TOML_LINES = [
    ("[database]\nurl = 1", 2),
    ("[ database ] # x\n\n url=1", 3),
    ("database.url = 1", 1),
    ("tenant = 'a'\ndatabase . url = 1", 2),
    ("database = {url = 1}", 1),
    ('[database]\n"url" = 1', 2),
    ("[other]\nurl = 1\n[database]\nurl = 2", 4),
    ("[other]\nurl = 1", None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line"), TOML_LINES)
def test_the_line_of_a_key(text: str, line: int | None) -> None:
    assert line_of(text, "database.url") == line
