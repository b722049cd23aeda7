"""What is refused before anything starts, and that the message names the setting, the place and the way out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from aureus.config.later import LATER
from aureus.config.sources import TASK_VARIABLES
from aureus.config.table import BY_KEY, SETTINGS, Setting
from aureus.errors import ConfigInvalid
from aureus.tools import environment
from tests.unit.config.support import load_in, say


def refusal(
    directory: Path,
    environ: Mapping[str, str] | None = None,
    *,
    arguments: Mapping[str, object] | None = None,
    flags: Mapping[str, object] | None = None,
) -> ConfigInvalid:
    with pytest.raises(ConfigInvalid) as caught:
        load_in(directory, environ, arguments=arguments, flags=flags)
    return caught.value


def wrong_values(setting: Setting) -> list[str]:
    """Return what a setting must not accept as text."""
    wrong = ["nul\x00", "surrogate\udcff"]
    if setting.kind in {"integer", "seconds"}:
        below = "-1" if setting.may_be_none else f"{(setting.least or 0) - 1:.0f}"
        wrong += [below, f"{(setting.most or 0) + 1:.0f}", "9" * 5000]
        wrong += ["many", "1e3", "nan", "inf", "1_0", "٣", "true", "1.2.3"]
    if setting.kind == "integer":
        wrong += ["1.5", "5s"]
    if setting.kind == "choice":
        wrong += ["nonsense", f"{setting.choices[0]} {setting.choices[1]}"]
    if setting.kind == "name":
        wrong += ["x" * 64, "ü" * 32, "pg_mine", "none", "Information_Schema"]
    if setting.kind == "text":
        wrong += ["two\nlines", "bell\a"]
        if setting.most:
            wrong.append("x" * (int(setting.most) + 1))
    if setting.kind == "path":
        wrong += ["s3://bucket/logs", "~/logs"]
    return wrong


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.key)
def test_a_value_that_is_wrong_is_refused_with_its_name_and_place(
    setting: Setting, tmp_path: Path
) -> None:
    """Under Aureus's own name also where nothing uses it, such as the port of a SQLite file."""
    where = f"environment {setting.variable}"
    for text in wrong_values(setting):
        error = refusal(tmp_path, {setting.variable: text})
        assert error.message.startswith(f"{setting.key} ({where}) "), text[:80]
        assert (error.setting, error.origin, error.code) == (setting.key, where, "config_invalid")
        assert len(error.message) < 600


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.key)
def test_a_wrong_type_in_aureus_toml_is_refused_with_its_line(
    setting: Setting, tmp_path: Path
) -> None:
    """Also where something stronger overrules it."""
    section, _, name = setting.key.rpartition(".")
    table = f"[{section}]" if section else "# no section"
    wrong = ["[1]", "{a = 1}", "1979-05-27"]
    if setting.kind in {"text", "name", "secret", "url", "path"}:
        wrong += ["7", "true", "1.5"]
    if setting.kind in {"integer", "seconds"}:
        wrong += ["true", "'many'", "inf", "nan"]
    if setting.kind == "choice":
        wrong += ["7", "'nonsense'"]
    for written in wrong:
        (tmp_path / "aureus.toml").write_text(f"{table}\n\n{name} = {written}\n", encoding="utf-8")
        error = refusal(tmp_path)
        assert error.origin == "aureus.toml line 3", written
        assert error.message.startswith(f"{setting.key} (aureus.toml line 3) "), written


UNKNOWN_KEYS = [
    ("[database]\nurl = 'sqlite://'\nulr = 'x'", "database.ulr", 3, "did you mean database.url"),
    ("[database]\nschema_name = 'x'", "database.schema_name", 2, "is no setting"),
    ("[databse]\nurl = 'x'", "databse", 1, "is no setting"),
    ("tenat = 'x'", "tenat", 1, "did you mean tenant"),
    ("\n\n[engine]\nlease_ms = 5", "engine.lease_ms", 4, "is no setting"),
    ("database = 'sqlite://'", "database", 1, "is a section"),
    ("database = {url = 'sqlite://', ulr = 'x'}", "database.ulr", 1, "did you mean"),
    ("database.ulr = 'x'", "database.ulr", 1, "did you mean"),
    ("[tool.aureus]\ntenant = 'x'", "tool", 1, "is no setting"),
    ("[database.pool]\nmax = 3", "database.pool", 1, "is no setting"),
    ("[[database]]\nurl = 'x'", "database", 1, "is a section"),
    ("[database]\n'ulr' = 'x'", "database.ulr", 2, "did you mean"),
    ("[database]\nschema_file = 'x'", "database.schema_file", 2, "is no setting"),
    ("[database]\nauto_migrate = true", "database.auto_migrate", 2, "is no setting"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "key", "line", "advice"), UNKNOWN_KEYS)
def test_an_unknown_key_in_aureus_toml_is_refused_with_its_line(
    text: str, key: str, line: int | None, advice: str, tmp_path: Path
) -> None:
    (tmp_path / "aureus.toml").write_text(text, encoding="utf-8")
    error = refusal(tmp_path)
    place = "aureus.toml" if line is None else f"aureus.toml line {line}"
    assert error.message.startswith(f"{key} ({place}) ")
    assert advice in error.message


BROKEN_TOML = [
    ("[database\nurl = 'x'", "aureus.toml line 1, column"),
    ("tenant = 'a'\n\nactor = ", "aureus.toml line 3"),
    (
        "tenant = 'a'\ntenant = 'b'\n",
        "aureus.toml line 2, column 13 sets something for the second time",
    ),
    ("tenant = 'a'\ntenant = 'b'", "aureus.toml line 2 sets something for the second time"),
    ("tenant 'a'", "aureus.toml line 1, column"),
]


@pytest.mark.parametrize(("text", "place"), BROKEN_TOML)
def test_broken_toml_is_refused_with_its_line(text: str, place: str, tmp_path: Path) -> None:
    (tmp_path / "aureus.toml").write_text(text, encoding="utf-8")
    assert refusal(tmp_path).message.startswith(place)


@pytest.mark.parametrize("name", [".env", "aureus.toml"])
def test_a_file_that_cannot_be_read_is_refused(name: str, tmp_path: Path) -> None:
    """A directory, a link to itself, bytes that are no text, a file too large to be settings."""
    path = tmp_path / name
    path.mkdir()
    assert refusal(tmp_path).message == f"{name} is a directory; it has to be a file"
    path.rmdir()
    path.symlink_to(path)
    assert refusal(tmp_path).message.startswith(f"{name} cannot be read: ")
    path.unlink()
    path.write_bytes(b"# first\n# \xff\n")
    assert refusal(tmp_path).message == f"{name} line 2 is not valid UTF-8"
    path.write_bytes(b"#" * 1_048_577)
    assert refusal(tmp_path).message == f"{name} is larger than 1,048,576 bytes"
    path.write_bytes(b"#" * 1_048_576)
    assert load_in(tmp_path).tenant == "default"


def test_a_virtual_environment_named_dotenv_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()
    (tmp_path / ".env" / "pyvenv.cfg").touch()
    assert load_in(tmp_path).warnings == ()


@pytest.mark.parametrize("name", ["DATABASE_URL_FILE", "AUREUS_DATABASE_URL_FILE"])
def test_a_file_of_a_secret_that_cannot_be_read_is_refused(name: str, tmp_path: Path) -> None:
    where = f"database.url (environment {name}) names a "
    assert refusal(tmp_path, {name: "nowhere"}).message.startswith(
        f"{where}file that cannot be read: "
    )
    assert (
        refusal(tmp_path, {name: "."}).message == f"{where}directory or device; it has to be a file"
    )
    assert (
        refusal(tmp_path, {name: "/dev/null"}).message
        == f"{where}directory or device; it has to be a file"
    )
    (tmp_path / "empty").write_text(" \n", encoding="utf-8")
    assert refusal(tmp_path, {name: "empty"}).message == f"{where}file that is empty"


@pytest.mark.parametrize("place", ["environment", ".env"])
def test_a_secret_and_its_file_in_one_place_are_refused(place: str, tmp_path: Path) -> None:
    says: list[tuple[str, str, str | int | float]] = [
        (place, "DATABASE_URL", "sqlite://"), (place, "DATABASE_URL_FILE", "secret"),
    ]  # fmt: skip
    with pytest.raises(ConfigInvalid, match="DATABASE_URL_FILE; set one of the two"):
        say(tmp_path, says)


def test_a_secret_and_its_file_in_two_places_are_ordinary_precedence(tmp_path: Path) -> None:
    says: list[tuple[str, str, str | int | float]] = [
        ("environment", "DATABASE_URL", "sqlite://"), (".env", "DATABASE_URL_FILE", "nowhere"),
    ]  # fmt: skip
    assert say(tmp_path, says).database.description == "SQLite in memory"


def test_aureus_toml_may_name_the_file_of_a_secret(tmp_path: Path) -> None:
    secret = tmp_path / "url"
    secret.write_text("sqlite:///of_file.db\n", encoding="utf-8")
    secret.chmod(0o600)
    toml = tmp_path / "aureus.toml"
    toml.write_text("[database]\nurl_file = 'url'\n", encoding="utf-8")
    settings = load_in(tmp_path)
    assert settings.database.description == f"SQLite {tmp_path}/of_file.db"
    assert settings.origin("database.url") == "aureus.toml line 2"
    toml.write_text("[database]\nurl_file = 'url'\nurl = 'sqlite://'\n", encoding="utf-8")
    assert "set one of the two" in refusal(tmp_path).message
    toml.write_text("[database]\nurl_file = 7\n", encoding="utf-8")
    assert "is no text" in refusal(tmp_path).message


def test_two_bounds_that_do_not_fit_are_refused_with_both_places(tmp_path: Path) -> None:
    message = refusal(tmp_path, {"DATABASE_POOL_MIN": "9", "DATABASE_POOL_MAX": "3"}).message
    assert message == (
        "database.pool_min (environment DATABASE_POOL_MIN) is 9, more than database.pool_max, 3 "
        "(environment DATABASE_POOL_MAX)"
    )


def test_an_unknown_argument_or_flag_is_refused_with_a_suggestion(tmp_path: Path) -> None:
    assert "did you mean database.url" in refusal(tmp_path, arguments={"database.ulr": "x"}).message
    assert "did you mean --dsn" in refusal(tmp_path, flags={"--dns": "x"}).message
    assert load_in(tmp_path, arguments={"tenant": None}, flags={"--dsn": None}).tenant == "default"


@pytest.mark.parametrize("key", ["tenant", "database.url", "database.schema"])
def test_an_empty_argument_is_refused(key: str, tmp_path: Path) -> None:
    """A variable that is empty says nothing; a caller who hands over an empty text means something."""
    assert "is empty" in refusal(tmp_path, arguments={key: ""}).message


@pytest.mark.parametrize("place", ["environment", ".env"])
def test_an_unknown_variable_with_our_prefix_is_a_warning(place: str, tmp_path: Path) -> None:
    warnings = say(tmp_path, [(place, "AUREUS_DATABASE_SCHEME", "x")]).warnings
    assert len(warnings) == 1
    assert warnings[0].startswith(place)
    assert "did you mean AUREUS_DATABASE_SCHEMA" in warnings[0]


@pytest.mark.parametrize(
    "name",
    [
        "AUREUS_TASK_ID",
        "AUREUS_RUN_ID",
        "AUREUS_ATTEMPT",
        "AUREUS_TEST_DATABASE_URL",
        "AUREUS_DATABASE_URL_FILE",
        "AUREUSX",
    ],
)
def test_variables_that_are_meant_to_be_there_are_no_mistakes(name: str, tmp_path: Path) -> None:
    environ = (
        {name: "secret", "AUREUS_DATABASE_BACKEND": "memory"}
        if name[-5:] != "_FILE"
        else {name: "secret"}
    )
    (tmp_path / "secret").write_text("sqlite://", encoding="utf-8")
    (tmp_path / "secret").chmod(0o600)
    assert load_in(tmp_path, environ).warnings == ()


def test_what_tools_tell_their_programs_is_no_mistake_of_settings() -> None:
    known = TASK_VARIABLES | {setting.variable for setting in SETTINGS}
    assert set(environment.TASK_VARIABLES) <= known


def test_a_database_in_place_of_the_run_logs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "log").touch()
    message = refusal(tmp_path, {"EVENT_LOG_DIR": "log"}).message
    assert message.startswith("run_log.directory (environment EVENT_LOG_DIR) names the file ")


def test_the_event_log_of_the_old_production_example_is_refused_by_name(tmp_path: Path) -> None:
    message = refusal(tmp_path, {"EVENT_LOG_TYPE": "s3"}).message
    assert message.startswith(
        "run_log.type (environment EVENT_LOG_TYPE) is 's3'; give filesystem or none"
    )


@pytest.mark.parametrize(
    "name", ["LOG_LEVEL", "DATABASE_POOL_MAX", "CONNECTION_TIMEOUT", "TASK_TIMEOUT"]
)
def test_a_value_that_another_program_may_have_meant_comes_with_the_way_out(
    name: str, tmp_path: Path
) -> None:
    error = refusal(tmp_path, {name: "silly"})
    own = next(
        setting.variable
        for setting in SETTINGS
        if name in {alias.name for alias in setting.aliases}
    )
    assert error.message.endswith(
        f"If it is meant for another program, set {own}, which is stronger"
    )
    assert (error.origin, error.setting) == (f"environment {name}", error.message.partition(" ")[0])


def test_a_foreign_word_for_the_store_is_not_looked_at_when_aureus_has_a_url(
    tmp_path: Path,
) -> None:
    environ = {"STATE_STORE_TYPE": "redis", "AUREUS_DATABASE_URL": "sqlite://"}
    assert load_in(tmp_path, environ).database.description == "SQLite in memory"
    assert "is 'redis'" in refusal(tmp_path, {"STATE_STORE_TYPE": "redis"}).message


PROTECTIONS = [name for later in LATER if later.protects for name in later.names]


@pytest.mark.parametrize("name", PROTECTIONS)
def test_a_protection_that_this_release_does_not_give_is_reported(
    name: str, tmp_path: Path
) -> None:
    assert [
        text
        for text in load_in(tmp_path, {name: "true"}).warnings
        if text.startswith(f"{name} is set")
    ]
    assert load_in(tmp_path, {name: "false"}).warnings == ()


def test_the_origin_of_no_setting_is_refused(tmp_path: Path) -> None:
    settings = load_in(tmp_path)
    with pytest.raises(ConfigInvalid, match="there is no setting"):
        settings.origin("database.ulr")
    assert settings.origin("database.host") == "not used"


def test_every_setting_has_limits(tmp_path: Path) -> None:
    """A number without bounds, or with a default outside them, would be a mistake in the table."""
    for setting in SETTINGS:
        if setting.kind in {"integer", "seconds"}:
            assert setting.least is not None
            assert setting.most is not None
            default = setting.default
            assert default is None or setting.least <= float(default) <= setting.most
        elif setting.kind == "choice":
            assert setting.default is None or setting.default in setting.choices
            assert {word for _, word in setting.synonyms} <= set(setting.choices)
    assert BY_KEY["database.schema"].default == "aureus"
