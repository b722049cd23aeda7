"""What a plan of PostgreSQL says about each look into a table: by which index, by how much of it, and what was known.

Conditions are taken apart as ``EXPLAIN (VERBOSE, FORMAT JSON)`` writes them. A column is known where the plan compares
it by equality with something else, at the look itself or in a join above it that may throw the row away.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

_COLUMN = r'\(?(?P<alias>\w+)\."?(?P<column>\w+)"?\)?(?:::[\w" ]+)?'
_LEFT = re.compile(rf"{_COLUMN} (?:=|IS NOT DISTINCT FROM) (?P<other>.*)", re.DOTALL)
_RIGHT = re.compile(rf"(?P<other>.*) = {_COLUMN}", re.DOTALL)
_BOUND = re.compile(rf"{_COLUMN} (?P<operator>>=|<=) (?P<other>.*)", re.DOTALL)

_NARROWED: Mapping[str, tuple[str, ...]] = {
    "Left": ("Inner",),
    "Anti": ("Inner",),
    "Right": ("Outer",),
    "Right Anti": ("Outer",),
    "Right Semi": ("Outer", "Inner"),
    "Full": (),
}
"""Whose rows the condition of a join throws away, by the kind of the join; of the others, both sides'."""


@dataclass(frozen=True, slots=True)
class Index:
    """An index as the catalogue has it; ``condition`` holds the clauses of a partial one."""

    table: str
    name: str
    columns: tuple[str, ...]
    is_unique: bool
    condition: frozenset[str]


@dataclass(frozen=True, slots=True)
class Look:
    """A look into a table; ``index`` is None where all of it is read.

    ``given`` are the columns that the index was entered with, by equality; ``known`` all that are known so. ``clauses``
    are the conditions that the rows fulfil, without the name of the table.
    """

    table: str
    index: str | None
    given: frozenset[str]
    known: frozenset[str]
    clauses: frozenset[str]


def indexes(connection: psycopg.Connection[Any]) -> dict[str, Index]:
    """Return the indexes of the schema by their names."""
    rows = connection.execute(
        """
        SELECT c.relname::text, x.relname::text, array_agg(a.attname::text ORDER BY k.place),
            bool_and(i.indisunique), pg_get_expr(i.indpred, i.indrelid)
        FROM pg_index AS i
        JOIN pg_class AS c ON c.oid = i.indrelid
        JOIN pg_namespace AS n ON n.oid = c.relnamespace AND n.nspname = 'aureus'
        JOIN pg_class AS x ON x.oid = i.indexrelid
        CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k (number, place)
        JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = k.number
        WHERE k.place <= i.indnkeyatts
        GROUP BY c.relname, x.relname, i.indpred, i.indrelid
        """
    )
    return {
        name: Index(table, name, tuple(columns), is_unique, frozenset(_clauses(condition or "")))
        for table, name, columns, is_unique, condition in rows
    }


def looks(plan: Mapping[str, Any]) -> Iterator[Look]:
    """Yield the looks of a plan into tables; those of functions and triggers are not in it."""
    yield from _looks(plan, (), None)


def _looks(
    node: Mapping[str, Any],
    above: Sequence[str],
    heap: tuple[Mapping[str, Any], Sequence[str]] | None,
) -> Iterator[Look]:
    kind = node["Node Type"]
    here = [node[name] for name in ("Index Cond", "Recheck Cond", "Filter") if name in node]
    if kind in ("Seq Scan", "Index Scan", "Index Only Scan"):
        yield _look(node, node, [*above, *here])
    elif kind == "Bitmap Heap Scan":
        heap = (node, [*above, *here])
    elif kind == "Bitmap Index Scan" and heap is not None:
        yield _look(heap[0], node, [*heap[1], *here])
    joining = [node[name] for name in ("Hash Cond", "Merge Cond", "Join Filter") if name in node]
    sides = _NARROWED.get(node.get("Join Type", ""), ("Outer", "Inner"))
    for child in node.get("Plans", ()):
        place = child["Parent Relationship"]
        if place in ("InitPlan", "SubPlan", "Subquery"):
            yield from _looks(child, (), None)
        else:
            added = joining if place in sides else []
            yield from _looks(child, [*above, *added], heap if kind.startswith("Bitmap") else None)


def _look(heap: Mapping[str, Any], node: Mapping[str, Any], conditions: Sequence[str]) -> Look:
    alias = heap["Alias"]
    return Look(
        heap["Relation Name"],
        node.get("Index Name"),
        _equal([node.get("Index Cond", "")], alias),
        _equal(conditions, alias),
        frozenset(
            clause.replace(f"{alias}.", "") for text in conditions for clause in _clauses(text)
        ),
    )


def shorter(look: Look, known: Mapping[str, Index]) -> list[str]:
    """Return the indexes that would have been entered with more than the one of a look; none for a whole key."""
    used = None if look.index is None else known[look.index]
    clauses = look.clauses | (used.condition if used else frozenset())
    entered = 0 if used is None else _beginning(used, look.given)
    taken = set() if used is None else set(used.columns[:entered])
    if used is not None and used.is_unique and entered == len(used.columns):
        return []
    return [
        index.name
        for index in known.values()
        if index.table == look.table and index.condition <= clauses
        for length in [_beginning(index, look.known)]
        if not set(index.columns[:length]) <= taken
        and (length > entered or (index.is_unique and length == len(index.columns)))
    ]


def _beginning(index: Index, columns: frozenset[str]) -> int:
    """Return how many columns of an index are among these before the first that is not."""
    for place, column in enumerate(index.columns):
        if column not in columns:
            return place
    return len(index.columns)


def _equal(conditions: Sequence[str], alias: str) -> frozenset[str]:
    """Return the columns of a table that conditions compare by equality, or bound by the same on both sides."""
    found: set[str] = set()
    bounds: dict[str, dict[str, str]] = {">=": {}, "<=": {}}
    for clause in (clause for text in conditions for clause in _clauses(text)):
        for form in (_LEFT, _RIGHT):
            match = form.fullmatch(clause)
            if match and match["alias"] == alias:
                found.add(match["column"])
        match = _BOUND.fullmatch(clause)
        if match and match["alias"] == alias:
            bounds[match["operator"]][match["column"]] = match["other"]
    found |= {name for name, other in bounds[">="].items() if bounds["<="].get(name) == other}
    return frozenset(found)


def _clauses(text: str) -> list[str]:
    """Return what a condition joins by AND."""
    text = _bare(text.strip())
    parts = list(_split(text))
    if len(parts) == 1:
        return [text] if text else []
    return [clause for part in parts for clause in _clauses(part)]


def _bare(text: str) -> str:
    """Return a condition without the brackets around the whole of it."""
    while text.startswith("("):
        closing = next(place for place, depth in _depths(text) if depth == 0)
        if closing < len(text) - 1:
            break
        text = text[1:-1]
    return text


def _split(text: str) -> Iterator[str]:
    start = 0
    for place, depth in _depths(text):
        if depth == 0 and text.startswith(" AND ", place):
            yield text[start:place]
            start = place + 5
    yield text[start:]


def _depths(text: str) -> Iterator[tuple[int, int]]:
    """Yield the places of a text outside quotes, each with the number of brackets that are open behind it."""
    depth, quote = 0, ""
    for place, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
            continue
        if character in "'\"":
            quote = character
        depth += (character in "([") - (character in ")]")
        yield place, depth
