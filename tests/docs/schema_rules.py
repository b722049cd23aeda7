"""What the migrations of an engine say about states, read from their text.

A CHECK lists the states of a column; a trigger lists how rows may begin and which moves are legal. Only the forms that
our migrations use are understood; a form that is not understood is a failure, never an empty answer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from tests.docs.pages import ROOT

ENGINES: Final = ("postgres", "sqlite")

_TABLE = re.compile(r"(?s)CREATE TABLE aureus\.(\w+) \(\n(.*?)\n\)[^;]*;")
_COLUMN = re.compile(
    r"(?m)^    (\w+) (?:text|bigint|integer|boolean|json|bytea|timestamptz|double|TEXT|INTEGER|REAL|BLOB)\b"
)
_RENAMED = re.compile(r"ALTER TABLE aureus\.(\w+) RENAME TO (\w+);")
_ADDED = re.compile(r"ALTER TABLE aureus\.(\w+)\s+ADD COLUMN (\w+) ")
_WORD = re.compile(r"'(\w+)'")
_PAIR = re.compile(r"\('(\w+)', '(\w+)'\)")


@dataclass(frozen=True, slots=True)
class Rules:
    """How the rows of one table may begin and move."""

    initial: frozenset[str]
    moves: frozenset[tuple[str, str]]


def migrations(engine: str) -> str:
    """Return the text of all migrations of an engine in their order, without comments."""
    folder = ROOT / "src" / "aureus" / "_sql" / "migrations" / engine
    texts = [path.read_text(encoding="utf-8") for path in sorted(folder.glob("[0-9]*.sql"))]
    assert texts, f"there are no migrations in {folder}"
    return re.sub(r"(?m)--.*$", "", "\n".join(texts))


def tables(sql: str) -> dict[str, list[str]]:
    """Return the columns of every table, those that were added later too; a new one may replace an old one."""
    found = {name: _COLUMN.findall(body) for name, body in _TABLE.findall(sql)}
    for name, column in _ADDED.findall(sql):
        found[name].append(column)
    for made, name in _RENAMED.findall(sql):
        found[name] = found.pop(made)
    assert all(found.values())
    return found


def listed(sql: str, table: str, column: str) -> frozenset[str]:
    """Return the values that the CHECK of a column allows."""
    (body,) = [body for name, body in _TABLE.findall(sql) if name == table]
    check = re.search(rf"(?s)CHECK \({column} IN \(([^)]*)\)\)", body)
    assert check is not None, f"{table}.{column} has no CHECK with a list"
    return frozenset(_WORD.findall(check[1]))


def rules(sql: str, engine: str, table: str) -> Rules:
    """Return what the triggers of a table allow."""
    noun = table.removesuffix("s")
    if engine == "sqlite":
        begins = _only(
            rf"(?s)TRIGGER {table}_move_insert BEFORE INSERT.*?NOT IN \((.*?)\)\nBEGIN", sql
        )
        moves = _only(
            rf"(?s)TRIGGER {table}_move_update BEFORE UPDATE.*?\(VALUES\s(.*?)\)\nBEGIN", sql
        )
        return Rules(frozenset(_WORD.findall(begins)), frozenset(_PAIR.findall(moves)))
    body = _only(rf"(?s)CREATE FUNCTION aureus\.check_{noun}_move\(\).*?\$\$(.*?)\$\$", sql)
    begins, _, rest = body.partition("END IF;\n    IF ")
    initial = _only(r"(?s)IF NEW\.status (?:IN|=) (.*?) THEN", begins)
    pairs = frozenset(_PAIR.findall(rest))
    if not pairs:
        # One state that leads to every other one, which the CHECK lists.
        origin = _only(r"^OLD\.status = '(\w+)' THEN", rest)
        pairs = frozenset((origin, state) for state in listed(sql, table, "status") - {origin})
    return Rules(frozenset(_WORD.findall(initial)), pairs)


def _only(pattern: str, text: str) -> str:
    found = re.findall(pattern, text)
    assert len(found) == 1, f"{pattern} was found {len(found)} times"
    return str(found[0])
