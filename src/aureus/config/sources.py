"""Who said what about each setting, strongest first.

The levels are: call argument, command-line flag, environment, ``.env``, ``aureus.toml``. A stronger level wins over
every name of a weaker one. Inside a level Aureus's own name wins, then what a database URL of that level says in its
options, then the other names in the order of the table. A variable that is empty says nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import TYPE_CHECKING, Any, cast

from aureus.config import files
from aureus.config.table import BY_FLAG, BY_KEY, SETTINGS, Alias, Setting
from aureus.config.values import did_you_mean, refuse
from aureus.errors import ConfigInvalid

if TYPE_CHECKING:
    from pathlib import Path

TASK_VARIABLES = frozenset({
    "AUREUS_RUN_ID", "AUREUS_WORKFLOW_ID", "AUREUS_TASK_ID", "AUREUS_ATTEMPT", "AUREUS_IDEMPOTENCY_KEY",
    "AUREUS_CORRELATION_ID",
})  # fmt: skip
"""What a tool tells the program it starts; no settings, and no mistakes either."""

TEST_PREFIX = "AUREUS_TEST_"
"""Names of the project's own tests."""


class Level(IntEnum):
    """Where something was said; the smaller, the stronger."""

    ARGUMENT = 0
    FLAG = 1
    ENVIRONMENT = 2
    DOTENV = 3
    TOML = 4
    DEFAULT = 5


class Said:
    """One statement about one setting. Its value may be a secret and is not part of ``repr``."""

    __slots__ = ("file", "level", "name", "plus", "rank", "unit", "where", "written")

    def __init__(
        self,
        level: Level,
        rank: int,
        name: str,
        where: str,
        written: object,
        *,
        unit: str = "",
        plus: str | None = None,
        file: Path | None = None,
    ) -> None:
        self.level = level
        self.rank = rank
        """Place among the names of one level: 0 is Aureus's own name, 1 an option of the URL."""
        self.name = name
        self.where = where
        self.written = written
        self.unit = unit
        self.plus = plus
        self.file = file

    @property
    def is_own(self) -> bool:
        """Return whether it was said to Aureus, not under a name that other programs read too."""
        return self.rank == 0

    @property
    def strength(self) -> tuple[int, bool]:
        """Return what is compared between different settings: the level, then whose name it is; smaller is stronger."""
        return (self.level, not self.is_own)

    def __repr__(self) -> str:
        return f"Said({self.where!r})"


class UrlOptions:
    """What the chosen database URL says in its options, and how strongly."""

    __slots__ = ("_level", "_options", "_where")

    def __init__(self, options: Mapping[str, str], said: Said | None) -> None:
        self._options = options
        self._level = said.level if said is not None else Level.DEFAULT
        self._where = said.where if said is not None else ""

    def say(self, setting: Setting) -> Iterable[Said]:
        """Return what the options say about a setting."""
        for option in setting.url_options:
            if option.name in self._options:
                where = f"{option.name} in the URL of {self._where}"
                yield Said(
                    self._level, 1, option.name, where, self._options[option.name], unit=option.unit
                )


NO_OPTIONS = UrlOptions({}, None)


class Sources:
    """Everything that was said, from the five levels; reads ``.env`` and ``aureus.toml`` when it is made."""

    def __init__(
        self,
        *,
        arguments: Mapping[str, object],
        flags: Mapping[str, object],
        environ: Mapping[str, str],
        directory: Path,
    ) -> None:
        self.environ = environ
        self.directory = directory.absolute()
        self.warnings: list[str] = []
        self._secrets: dict[Path, str] = {}
        self._arguments = {key: value for key, value in arguments.items() if value is not None}
        self._flags = {key: value for key, value in flags.items() if value is not None}
        _check_known("argument", self._arguments, BY_KEY)
        _check_known("flag", self._flags, {**BY_KEY, **BY_FLAG})
        self._environment = {
            name: (value, f"environment {name}") for name, value in environ.items() if value.strip()
        }
        self._dotenv = {
            name: (value, f".env line {line}, {name}")
            for name, (value, line) in files.read_dotenv(directory).items()
            if value.strip()
        }
        self._toml = _flatten(*files.read_toml(directory))
        for variables in (self._environment, self._dotenv):
            self._warn_of_unknown(variables)

    def say(self, setting: Setting, options: UrlOptions = NO_OPTIONS) -> list[Said]:
        """Return every statement about a setting, the strongest first."""
        found = list(options.say(setting))
        if setting.key in self._arguments:
            found.append(
                Said(
                    Level.ARGUMENT,
                    0,
                    setting.key,
                    f"argument {setting.key}",
                    self._arguments[setting.key],
                )
            )
        found.extend(
            Said(Level.FLAG, 0, name, f"flag {name}", self._flags[name])
            for name in (setting.key, *setting.flags)
            if name in self._flags
        )
        for level, variables in (
            (Level.ENVIRONMENT, self._environment),
            (Level.DOTENV, self._dotenv),
        ):
            if not variables:
                continue
            names = (Alias(setting.variable), *setting.aliases)
            for rank, alias in enumerate(names):
                said = self._variable(setting, alias, level, variables, rank + 1 if rank else 0)
                if said is not None:
                    found.append(said)
        if setting.key in self._toml:
            value, where = self._toml[setting.key]
            found.append(Said(Level.TOML, 0, setting.key, where, value))
        if setting.is_secret and f"{setting.key}_file" in self._toml:
            found.append(self._toml_secret(setting))
        return sorted(found, key=lambda said: (said.level, said.rank))

    def variable(self, name: str) -> str | None:
        """Return a variable that is no setting, from the environment or ``.env``."""
        for variables in (self._environment, self._dotenv):
            if name in variables:
                return variables[name][0]
        return None

    def read(self, setting: Setting, said: Said) -> object:
        """Return what was said, from its file where it is a secret in a file; a file is read once, it may be a pipe."""
        if said.file is None:
            return said.written
        if said.file in self._secrets:
            return self._secrets[said.file]
        text, is_open = files.read_secret(said.file, f"{setting.key} ({said.where})")
        if is_open:
            self.warnings.append(
                f"{said.where}: everybody on this machine may read the file; chmod 600 it"
            )
        self._secrets[said.file] = text
        return text

    def _variable(
        self,
        setting: Setting,
        alias: Alias,
        level: Level,
        variables: Mapping[str, tuple[str, str]],
        rank: int,
    ) -> Said | None:
        direct = variables.get(alias.name)
        in_file = variables.get(f"{alias.name}_FILE") if setting.is_secret else None
        plus = variables.get(alias.plus) if alias.plus else None
        if direct and in_file:
            raise refuse(
                setting.key, direct[1], f"stands beside {alias.name}_FILE; set one of the two"
            )
        if in_file:
            path = self.directory / in_file[0]
            return Said(level, rank, f"{alias.name}_FILE", in_file[1], None, file=path)
        if direct:
            added = plus[0] if plus else None
            return Said(level, rank, alias.name, direct[1], direct[0], unit=alias.unit, plus=added)
        if plus:
            return Said(level, rank, alias.plus, plus[1], setting.default, plus=plus[0])
        return None

    def _toml_secret(self, setting: Setting) -> Said:
        value, where = self._toml[f"{setting.key}_file"]
        if setting.key in self._toml:
            raise refuse(setting.key, where, f"stands beside {setting.key}; set one of the two")
        if not isinstance(value, str):
            raise refuse(
                setting.key, where, "is no text; give the path of the file that holds the secret"
            )
        return Said(Level.TOML, 0, f"{setting.key}_file", where, None, file=self.directory / value)

    def _warn_of_unknown(self, variables: Mapping[str, tuple[str, str]]) -> None:
        known = {setting.variable for setting in SETTINGS}
        known |= {f"{setting.variable}_FILE" for setting in SETTINGS if setting.is_secret}
        for name, (_, where) in sorted(variables.items()):
            if (
                name.startswith("AUREUS_")
                and name not in known | TASK_VARIABLES
                and not name.startswith(TEST_PREFIX)
            ):
                self.warnings.append(
                    f"{where} is no setting of Aureus and is not obeyed{did_you_mean(name, known)}"
                )


def _check_known(kind: str, given: Iterable[str], known: Mapping[str, Setting]) -> None:
    for key in given:
        if key not in known:
            raise ConfigInvalid(
                f"there is no setting {key!r} ({kind}){did_you_mean(key, known)}",
                setting=key,
                origin=kind,
            )


def _flatten(values: Mapping[str, Any], text: str) -> dict[str, tuple[object, str]]:
    """Return the settings of aureus.toml by key, each with its line; refuses what is no setting."""
    known = set(BY_KEY) | {f"{setting.key}_file" for setting in SETTINGS if setting.is_secret}
    sections = {key.partition(".")[0] for key in known if "." in key}
    found: dict[str, tuple[object, str]] = {}
    for name, value in values.items():
        if name in sections and not isinstance(value, dict):
            raise _unknown(name, text, f"is a section; write [{name}] above its settings")
        inner: Mapping[str, Any] = {"": value}
        if name in sections:
            inner = cast(dict[str, Any], value)
        for key, item in inner.items():
            dotted = f"{name}.{key}" if key else name
            if dotted not in known:
                raise _unknown(dotted, text, f"is no setting{did_you_mean(dotted, known)}")
            line = files.line_of(text, dotted)
            found[dotted] = (item, f"aureus.toml line {line}" if line else "aureus.toml")
    return found


def _unknown(key: str, text: str, problem: str) -> ConfigInvalid:
    line = files.line_of(text, key)
    return refuse(key, f"aureus.toml line {line}" if line else "aureus.toml", problem)
