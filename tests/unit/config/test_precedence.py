"""The order in which places and names win, generated from the table for every setting and every name."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from aureus.config.table import BY_KEY, SETTINGS, Alias, Setting
from aureus.config.values import parse
from tests.unit.config.support import (
    PARTS,
    PLACES,
    PLAIN,
    load_in,
    postgres,
    row_of,
    samples,
    say,
    value_of,
)

Sayable = tuple[str, str]
"""A place and a name in it."""


def names_by_strength(setting: Setting) -> list[tuple[Sayable, Alias]]:
    """Return every way to say a setting, the strongest first, from the table and the documented order of places."""
    variables = [Alias(setting.variable), *setting.aliases]
    ways: list[tuple[Sayable, Alias]] = [(("argument", setting.key), Alias(setting.key))]
    ways += [(("flag", flag), Alias(flag)) for flag in setting.flags[:1]]
    for place in ("environment", ".env"):
        ways += [((place, variable.name), variable) for variable in variables]
    ways.append((("aureus.toml", setting.key), Alias(setting.key)))
    return ways


def neighbours() -> list[tuple[Setting, int]]:
    """Return each setting with the index of each way to say it that has a weaker one below."""
    return [
        (setting, index)
        for setting in PLAIN
        for index in range(len(names_by_strength(setting)) - 1)
    ]


def ways() -> list[tuple[Setting, int]]:
    return [
        (setting, index) for setting in PLAIN for index in range(len(names_by_strength(setting)))
    ]


def ident(case: object) -> str:
    if isinstance(case, Setting):
        return case.key
    return str(case)


def expected(setting: Setting, written: object, unit: str = "") -> object:
    value = parse(setting, written, "test", unit=unit)
    if setting.key == "database.prepared_statements":
        return value == "on"
    return value


def found(
    setting: Setting, directory: Path, says: list[tuple[str, str, str | int | float]]
) -> object:
    value = value_of(say(directory, says), setting.key)
    return str(value.relative_to(directory)) if isinstance(value, Path) else value


@pytest.mark.parametrize(("setting", "index"), ways(), ids=ident)
def test_every_name_of_every_setting_is_obeyed(
    setting: Setting, index: int, tmp_path: Path
) -> None:
    """Each name alone sets the value, in its own unit, and is given as the origin."""
    (place, name), alias = names_by_strength(setting)[index]
    written = samples(setting)[index % 7]
    settings = say(tmp_path, [(place, name, written)])
    value = value_of(settings, setting.key)
    value = str(value.relative_to(tmp_path)) if isinstance(value, Path) else value
    assert value == expected(setting, written, alias.unit)
    origin = settings.origin(setting.key)
    assert origin.startswith(place)
    assert name in origin or place == "aureus.toml"
    assert settings.warnings == ()


@pytest.mark.parametrize(("setting", "index"), neighbours(), ids=ident)
def test_a_stronger_name_wins_over_the_next_weaker_one(
    setting: Setting, index: int, tmp_path: Path
) -> None:
    """Neighbours in the documented order, with different values: being a total order, that settles every pair."""
    (strong, strong_alias), (weak, _) = names_by_strength(setting)[index : index + 2]
    first, second = distinct(setting, strong_alias)
    assert found(setting, tmp_path, [(*weak, second), (*strong, first)]) == expected(
        setting, first, strong_alias.unit
    )


def distinct(setting: Setting, alias: Alias) -> tuple[str | int | float, str | int | float]:
    first, second = samples(setting)[:2]
    if first == second:  # a choice between the default and one other word
        second = str(setting.default)
    return first, second


@pytest.mark.parametrize("setting", PLAIN, ids=ident)
def test_without_a_word_the_default_holds(setting: Setting, tmp_path: Path) -> None:
    settings = load_in(tmp_path)
    if setting.key == "actor":
        assert settings.actor == "unknown"
    elif setting.key == "database.prepared_statements":
        assert settings.database.prepared_statements
    elif setting.kind == "path" and setting.default is not None:
        assert value_of(settings, setting.key) == tmp_path / str(setting.default)
    else:
        assert value_of(settings, setting.key) == setting.default
    assert settings.origin(setting.key) == "default"


@pytest.mark.parametrize("setting", PLAIN, ids=ident)
def test_an_empty_variable_says_nothing(setting: Setting, tmp_path: Path) -> None:
    names = [setting.variable, *(alias.name for alias in setting.aliases)]
    settings = load_in(tmp_path, dict.fromkeys(names, ""))
    assert settings.origin(setting.key) == "default"


PART_NAMES = [
    (setting, alias)
    for setting in PARTS
    if setting.key.partition(".")[2]
    in {"host", "port", "name", "user", "password", "service", "passfile", "sslmode"}
    for alias in (Alias(setting.variable), *setting.aliases)
]


@pytest.mark.parametrize(
    ("setting", "alias"), PART_NAMES, ids=lambda case: case.name if isinstance(case, Alias) else ""
)
def test_every_name_of_a_part_reaches_the_address(
    setting: Setting, alias: Alias, tmp_path: Path
) -> None:
    """With PostgreSQL asked for, each name of host, port, database, user, password and TLS fills its place."""
    written = {"port": "6000", "sslmode": "require"}.get(setting.key.partition(".")[2], "sample")
    written = "true" if alias.name == "DATABASE_SSL" else written
    settings = load_in(tmp_path, {"STATE_STORE_TYPE": "postgres", alias.name: written})
    shown, origin = row_of(settings, setting.key) or ("", "")
    expected_shown = {"DATABASE_SSL": "verify-full", setting.variable: written}.get(
        alias.name, written
    )
    assert shown == ("***" if setting.kind == "secret" else expected_shown)
    assert origin == f"environment {alias.name}"
    assert expected_shown in postgres(settings).connection_parameters().values()


@pytest.mark.parametrize(
    ("stronger", "weaker"),
    [
        pair
        for setting in PARTS
        for pair in itertools.pairwise(
            [setting.variable, *(alias.name for alias in setting.aliases)]
        )
        if setting.key not in {"database.backend", "database.directory"}
    ],
)
def test_the_names_of_a_part_win_in_the_order_of_the_table(
    stronger: str, weaker: str, tmp_path: Path
) -> None:
    setting = next(
        item
        for item in PARTS
        if stronger in {item.variable, *(alias.name for alias in item.aliases)}
    )
    first, second = ("require", "verify-ca") if setting.kind == "choice" else ("6001", "6002")
    environ = {"STATE_STORE_TYPE": "postgres", stronger: first, weaker: second}
    shown, origin = row_of(load_in(tmp_path, environ), setting.key) or ("", "")
    assert origin == f"environment {stronger}"
    assert shown == ("***" if setting.kind == "secret" else first)


URL_NAMES = [
    BY_KEY["database.url"].variable,
    *(alias.name for alias in BY_KEY["database.url"].aliases),
]


@pytest.mark.parametrize("name", URL_NAMES)
def test_every_name_of_the_url_is_obeyed(name: str, tmp_path: Path) -> None:
    settings = load_in(tmp_path, {name: "postgresql://db.example/app"})
    assert settings.database.description == "PostgreSQL db.example:5432/app schema aureus"
    assert settings.origin("database.url") == f"environment {name}"


@pytest.mark.parametrize(("stronger", "weaker"), list(itertools.pairwise(URL_NAMES)))
def test_the_names_of_the_url_win_in_the_order_of_the_table(
    stronger: str, weaker: str, tmp_path: Path
) -> None:
    """The loser is reported, because somebody may believe in it."""
    environ = {stronger: "sqlite:///first.db", weaker: "sqlite:///second.db"}
    settings = load_in(tmp_path, environ)
    assert settings.database.description == f"SQLite {tmp_path}/first.db"
    assert settings.warnings == (
        f"environment {weaker} is not used: environment {stronger} says otherwise and is stronger",
    )


@pytest.mark.parametrize(("stronger", "weaker"), list(itertools.pairwise(PLACES)))
def test_a_url_of_a_stronger_place_wins(stronger: str, weaker: str, tmp_path: Path) -> None:
    names = {"environment": "AUREUS_DATABASE_URL", ".env": "AUREUS_DATABASE_URL", "flag": "--dsn"}
    says: list[tuple[str, str, str | int | float]] = [
        (stronger, names.get(stronger, "database.url"), "sqlite:///first.db"),
        (weaker, names.get(weaker, "database.url"), "sqlite:///second.db"),
    ]
    settings = say(tmp_path, says)
    assert settings.database.description == f"SQLite {tmp_path}/first.db"
    assert settings.warnings == ()


SECRET_NAMES = [
    (setting, name)
    for setting in SETTINGS
    if setting.is_secret and setting.key != "database.direct_url"
    for name in (setting.variable, *(alias.name for alias in setting.aliases))
]


@pytest.mark.parametrize(("setting", "name"), SECRET_NAMES, ids=ident)
def test_every_name_of_a_secret_may_name_a_file(
    setting: Setting, name: str, tmp_path: Path
) -> None:
    secret = "postgresql://db.example/app" if setting.kind == "url" else "correct horse"
    file = tmp_path / "secret"
    file.write_text(secret + "\n", encoding="utf-8")
    file.chmod(0o600)
    environ = {f"{name}_FILE": "secret", "STATE_STORE_TYPE": "postgres"}
    settings = load_in(tmp_path, environ)
    parameters = postgres(settings).connection_parameters()
    assert (
        (parameters["host"] == "db.example")
        if setting.kind == "url"
        else (parameters["password"] == secret)
    )
    assert f"{name}_FILE" in settings.origin(setting.key)
    assert settings.warnings == ()


OPTIONS = [(setting, option) for setting in PLAIN for option in setting.url_options]


@pytest.mark.parametrize(
    ("setting", "option"), OPTIONS, ids=lambda case: case.name if isinstance(case, Alias) else ""
)
def test_an_option_in_the_url_stands_between_the_own_name_and_the_others(
    setting: Setting, option: Alias, tmp_path: Path
) -> None:
    """Beside a foreign name it wins, beside Aureus's own it loses, and it never reaches libpq."""
    first, second = distinct(setting, option)
    written = f"{first}" if setting.kind != "seconds" else f"{first}s"
    environ = {"DATABASE_URL": f"postgresql://localhost/app?{option.name}={written}"}
    environ |= {alias.name: str(second) for alias in setting.aliases[:1]}
    settings = load_in(tmp_path, environ)
    assert value_of(settings, setting.key) == expected(setting, first)
    assert settings.origin(setting.key) == f"{option.name} in the URL of environment DATABASE_URL"
    settings = load_in(tmp_path, environ | {setting.variable: str(second)})
    assert value_of(settings, setting.key) == expected(setting, second)
    parameters = postgres(settings).connection_parameters()
    assert option.name not in parameters


def test_an_option_ranks_where_its_url_was_said(tmp_path: Path) -> None:
    """A URL of aureus.toml does not overrule the environment with its options; one of a flag does."""
    environ = {"DATABASE_POOL_MAX": "7"}
    url = "postgresql://localhost/app?pool_max=9"
    (tmp_path / "aureus.toml").write_text(f"[database]\nurl = '{url}'\n", encoding="utf-8")
    assert load_in(tmp_path, environ).database.pool_max == 7
    assert load_in(tmp_path, environ, flags={"--dsn": url}).database.pool_max == 9


@pytest.mark.parametrize(
    ("size", "overflow"),
    [
        ("ARAGORA_DB_POOL_SIZE", "ARAGORA_DB_POOL_OVERFLOW"),
        ("AUREN_DB_POOL_SIZE", "AUREN_DB_MAX_OVERFLOW"),
    ],
)
def test_an_overflow_is_added_to_the_pool_it_belongs_to(
    size: str, overflow: str, tmp_path: Path
) -> None:
    assert load_in(tmp_path, {size: "20", overflow: "15"}).database.pool_max == 35
    assert load_in(tmp_path, {size: "30"}).database.pool_max == 30
    assert load_in(tmp_path, {overflow: "5"}).database.pool_max == 25, "on top of the default"
    assert (
        load_in(tmp_path, {overflow: "5", "AUREUS_DATABASE_POOL_MAX": "9"}).database.pool_max == 9
    )


def test_aureus_own_name_that_a_foreign_one_overrules_is_reported(tmp_path: Path) -> None:
    (tmp_path / "aureus.toml").write_text("[database]\npool_max = 5\n", encoding="utf-8")
    assert load_in(tmp_path, {"DATABASE_POOL_MAX": "9"}).warnings == (
        "aureus.toml line 2 is not used: environment DATABASE_POOL_MAX says otherwise and is stronger",
    )
    assert load_in(tmp_path, {"DATABASE_POOL_MAX": "5"}).warnings == (), "they agree"
    assert load_in(tmp_path, {"AUREUS_DATABASE_POOL_MAX": "9"}).warnings == (), (
        "ordinary precedence"
    )


def test_the_same_input_gives_the_same_settings(tmp_path: Path) -> None:
    environ = {"DATABASE_URL": "postgresql://u:p@localhost/app", "USER": "ada"}
    assert load_in(tmp_path, environ) == load_in(tmp_path, environ)


def test_the_actor_is_the_login_name_unless_it_is_set(tmp_path: Path) -> None:
    assert load_in(tmp_path, {"LOGNAME": "ada"}).actor == "ada"
    assert load_in(tmp_path, {"USER": "ada", "LOGNAME": "bob"}).actor == "ada"
    settings = load_in(tmp_path, {"USER": "ada", "AUREUS_ACTOR": "robot"})
    assert (settings.actor, settings.origin("actor")) == ("robot", "environment AUREUS_ACTOR")


def test_the_bounds_of_the_pool_follow_each_other_when_one_is_set(tmp_path: Path) -> None:
    assert load_in(tmp_path, {"DATABASE_POOL_MAX": "1"}).database.pool_min == 1
    assert load_in(tmp_path, {"DATABASE_POOL_MIN": "30"}).database.pool_max == 30
