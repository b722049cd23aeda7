"""Finds the value of one setting: the strongest statement, parsed, and a warning where another one is overruled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from aureus.config.sources import Said, Sources, UrlOptions
from aureus.config.table import ACTOR, BY_KEY, SETTINGS, Setting
from aureus.config.values import Value, parse, refuse
from aureus.errors import ConfigInvalid

_LOGIN_NAMES = ("USER", "LOGNAME", "USERNAME")


class Found(NamedTuple):
    """The value of one setting, and who said it."""

    value: Value
    where: str
    is_default: bool = False


def check_own(sources: Sources) -> None:
    """Refuse what was said wrongly to Aureus itself, also where nothing asks for it or something stronger overrules it.

    Under the names of other programs a value that is not used is not looked at.
    """
    for setting in SETTINGS:
        for said in sources.say(setting):
            if said.is_own and said.file is None:
                parse(setting, said.written, said.where, unit=said.unit)


def find_all(sources: Sources, options: UrlOptions) -> dict[str, Found]:
    """Return the settings that stand for themselves; those that make up the database's address are found elsewhere."""
    found = {
        setting.key: _find(sources, setting, options)
        for setting in SETTINGS
        if not setting.is_part and setting.kind != "url"
    }
    _fit_pool(found)
    return found


def section(found: Mapping[str, Found], name: str) -> dict[str, Any]:
    """Return the values of one section by their short names."""
    start = f"{name}."
    return {
        key.removeprefix(start): item.value for key, item in found.items() if key.startswith(start)
    }


def warn_of_overruled(sources: Sources, setting: Setting, winner: Said, value: object) -> None:
    """Say so when a statement loses that somebody may believe in.

    That is another name of the same level, or Aureus's own name that a foreign one of a stronger level overrules, with
    a different value. The same name on two levels is ordinary precedence and needs no words.
    """
    for other in sources.say(setting):
        if _is_overruled(setting, winner, value, other):
            sources.warnings.append(
                f"{other.where} is not used: {winner.where} says otherwise and is stronger"
            )


def _find(sources: Sources, setting: Setting, options: UrlOptions) -> Found:
    winner = next(iter(sources.say(setting, options)), None)
    if winner is None:
        return _default(sources, setting)
    try:
        value = _parsed(setting, sources.read(setting, winner), winner)
    except ConfigInvalid as error:
        if winner.is_own:
            raise
        advice = f"{error.message}. If it is meant for another program, set {setting.variable}, which is stronger"
        raise ConfigInvalid(advice, **error.fields) from None
    warn_of_overruled(sources, setting, winner, value)
    return Found(value, winner.where)


def _default(sources: Sources, setting: Setting) -> Found:
    if setting is ACTOR:
        for name in _LOGIN_NAMES:
            login = sources.environ.get(name, "")
            if login.strip():
                where = f"default, from environment {name}"
                return Found(parse(setting, login, where), where, is_default=True)
        return Found("unknown", "default", is_default=True)
    value = None if setting.default is None else parse(setting, setting.default, "default")
    return Found(value, "default", is_default=True)


def _parsed(setting: Setting, written: object, said: Said) -> Value:
    value = parse(setting, written, said.where, unit=said.unit)
    if said.plus is None or not isinstance(value, int):
        return value
    overflow = parse(setting._replace(least=0), said.plus, said.where)
    return parse(setting, value + int(overflow or 0), said.where)


def _is_overruled(setting: Setting, winner: Said, value: object, other: Said) -> bool:
    if other.level < winner.level or (other.level, other.rank, other.name) == (
        winner.level,
        winner.rank,
        winner.name,
    ):
        return False
    if other.level != winner.level and (
        other.name == winner.name or winner.is_own or not other.is_own
    ):
        return False
    if other.file is not None:  # it is not opened only to compare
        return True
    try:
        return _parsed(setting, other.written, other) != value
    except ConfigInvalid:
        return True


def _fit_pool(found: dict[str, Found]) -> None:
    """Let a bound that nobody set follow the one that somebody did; two that were set have to fit."""
    least, most = found["database.pool_min"], found["database.pool_max"]
    if int(least.value or 0) <= int(most.value or 0):
        return
    if least.is_default:
        found["database.pool_min"] = least._replace(value=most.value)
    elif most.is_default:
        found["database.pool_max"] = most._replace(value=least.value)
    else:
        raise refuse(
            BY_KEY["database.pool_min"].key,
            least.where,
            f"is {least.value}, more than database.pool_max, {most.value} ({most.where})",
        )
