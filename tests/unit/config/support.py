"""Loads settings in a directory of a test, from what a test wants to have said where."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from aureus.config import PostgresUrl, Settings, load
from aureus.config.table import BY_KEY, Setting

PLACES = ("argument", "flag", "environment", ".env", "aureus.toml")
"""Strongest first."""


def load_in(
    directory: Path,
    environ: Mapping[str, str] | None = None,
    *,
    arguments: Mapping[str, object] | None = None,
    flags: Mapping[str, object] | None = None,
) -> Settings:
    """Load with an environment of a test's own: nothing of this process enters."""
    return load(arguments=arguments, flags=flags, environ=environ or {}, directory=directory)


def postgres(settings: Settings) -> PostgresUrl:
    """Return the URL of settings that lead to PostgreSQL."""
    url = settings.database.url
    assert isinstance(url, PostgresUrl)
    return url


def say(directory: Path, says: list[tuple[str, str, str | int | float]]) -> Settings:
    """Load with each (place, name, value) said in its place."""
    arguments = {name: value for place, name, value in says if place == "argument"}
    flags = {name: value for place, name, value in says if place == "flag"}
    environ = {name: str(value) for place, name, value in says if place == "environment"}
    dotenv = [f"{name}='{value}'" for place, name, value in says if place == ".env"]
    toml = [
        f"{name} = {value if isinstance(value, int | float) else _toml_text(value)}"
        for place, name, value in says
        if place == "aureus.toml"
    ]
    if dotenv:
        (directory / ".env").write_text("\n".join(dotenv), encoding="utf-8")
    if toml:
        (directory / "aureus.toml").write_text("\n".join(toml), encoding="utf-8")
    return load(arguments=arguments, flags=flags, environ=environ, directory=directory)


def value_of(settings: Settings, key: str) -> object:
    """Return the value of a setting by its key."""
    value: object = settings
    for name in key.split("."):
        value = getattr(value, name)
    return value


def row_of(settings: Settings, key: str) -> tuple[str, str] | None:
    """Return what ``config show`` prints for a setting, and the origin; None when it is not in use."""
    return next(((row.value, row.origin) for row in settings.shown() if row.setting == key), None)


def samples(setting: Setting) -> list[str | int | float]:
    """Return seven different values that a setting accepts, none of them its default."""
    if setting.kind == "choice":
        usable = [word for word in setting.choices if word != setting.default]
        return [usable[index % len(usable)] for index in range(7)]
    if setting.kind == "url":
        return [f"sqlite:///sample{number}.db" for number in range(7)]
    if setting.kind in {"integer", "bytes"}:
        least = int(setting.least or 0)
        return [least + number for number in range(3, 10)]
    if setting.kind == "seconds":
        least = int(setting.least or 0)
        return [least + number for number in range(3, 10)]
    return [f"sample{number}" for number in range(7)]


def _toml_text(value: str) -> str:
    return "'" + value + "'"


PARTS = [setting for setting in BY_KEY.values() if setting.is_part]
PLAIN = [setting for setting in BY_KEY.values() if not setting.is_part and setting.kind != "url"]
