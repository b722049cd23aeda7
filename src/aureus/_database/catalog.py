"""The SQL of the product, read from files and compiled for one engine.

A file ``_sql/<shared|sqlite|postgres>/<noun>.sql`` holds named statements. An engine's own text replaces the shared
one of the same name. A statement begins with a header::

    -- name: save_session :one            (:one, :many or :exec)
    -- key: agent_id, session_id          (what two concurrent writes must not share; optional)
    -- locks: agent_id                    (in whose order gathered writes go, though they may share it; optional)
    -- records                            (facts may travel with it; optional)
    -- A sentence or two on what it is for.

and is written with ``:name`` parameters and tables of the schema ``aureus``; ``:tenant_id`` is bound by the runner.
On SQLite one name may hold several statements: the first is the guard, and the others run only when it brought rows.
The answer is the rows of the guard, or of a SELECT that stands last; that one runs in either case, so that a repeated
call finds what it has written, and no fact travels with it then. On PostgreSQL a statement that records says so by
``set_config('aureus.mark', :mark, true)`` for each row it returns; a plain INSERT, UPDATE or DELETE is wrapped to do
so. What several statements of a noun share stands once, below a header of its own: the text below ``-- part: columns``
takes the place of ``<<columns>>``, also in another part. An engine's own part replaces the shared one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Literal

from aureus import _sql
from aureus._database.statement import Query

Engine = Literal["sqlite", "postgres"]

SQL_FOLDER = Path(_sql.__path__[0])
"""Where the files are; ``importlib.resources`` would find them too, and costs as much as reading them all."""

_TOKEN = re.compile(
    r"""
      (?P<comment> --[^\n]* | /\*.*?\*/ )
    | (?P<sequence> nextval\('aureus\.(?P<counter>\w+)'\) )
    | (?P<string>  '(?:[^']|'')*' | "(?:[^"]|"")*" | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$ )
    | (?P<cast>    :: )
    | (?P<param>   (?<![\w:]):[a-z_][a-z0-9_]* )
    | (?P<schema>  \baureus\. )
    | (?P<end>     ; )
    """,
    re.VERBOSE | re.DOTALL,
)
_NAME = re.compile(r"^-- name: (?P<name>[a-z_][a-z0-9_]*) :(?P<cardinality>one|many|exec)\s*$")
_USE = re.compile(r"<<(?P<name>[a-z_][a-z0-9_]*)>>")
_WRITES = re.compile(r"^\s*(INSERT|UPDATE|DELETE|WITH)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Text:
    """A named statement as the file has it."""

    noun: str
    name: str
    cardinality: str
    key: tuple[str, ...]
    locks: tuple[str, ...]
    records: bool
    description: str
    body: str
    order: int


@dataclass(frozen=True, slots=True)
class Compiled:
    """A statement ready for a driver: texts with numbered or named places, and the parameters in their order."""

    query: Query
    cardinality: str
    key: tuple[str, ...]
    locks: tuple[str, ...]
    records: bool
    is_write: bool
    order: int
    texts: tuple[str, ...]
    parameters: tuple[tuple[str, ...], ...]


class CatalogError(Exception):
    """A file of the catalogue breaks the format; a bug of this package."""


@cache
def texts(engine: Engine) -> dict[Query, Text]:
    """Return every statement of an engine, its own texts before the shared ones."""
    found: dict[Query, Text] = {}
    shared: dict[str, dict[str, str]] = {}
    for folder in ("shared", engine):
        directory = SQL_FOLDER / folder
        for entry in sorted(directory.iterdir(), key=lambda item: item.name):
            if entry.name.endswith(".sql"):
                noun = entry.name.removesuffix(".sql")
                content = entry.read_text(encoding="utf-8")
                shared[noun] = {**shared.get(noun, {}), **parts(content)}
                for text in parse(noun, content):
                    found[Query(noun, text.name)] = text
    found = {
        query: replace(text, body=composed(text.body, shared[query.noun]))
        for query, text in found.items()
    }
    ranks = {query: rank for rank, query in enumerate(sorted(found, key=_rank))}
    return {query: replace(text, order=ranks[query]) for query, text in found.items()}


def _rank(query: Query) -> tuple[str, str]:
    return query.noun, query.name


def parse(noun: str, content: str) -> Iterator[Text]:
    """Yield the statements of one file; raises ``CatalogError`` for text outside the format."""
    for lines in _blocks(content, "-- name: "):
        head = _NAME.match(lines[0])
        if head is None:
            raise CatalogError(f"{noun}.sql: not a header: {lines[0]}")
        comments = list(_leading_comments(lines[1:]))
        lists: dict[str, tuple[str, ...]] = {"key": (), "locks": ()}
        description: list[str] = []
        for comment in comments:
            word, _, rest = comment.partition(": ")
            if word in lists:
                lists[word] = tuple(part.strip() for part in rest.split(","))
            elif comment != "records":
                description.append(comment)
        yield Text(
            noun=noun,
            name=head["name"],
            cardinality=head["cardinality"],
            key=lists["key"],
            locks=lists["locks"],
            records="records" in comments,
            description=" ".join(description),
            body="\n".join(lines[1 + len(comments) :]).strip(),
            order=0,
        )


def parts(content: str) -> dict[str, str]:
    """Return the parts of one file by name."""
    found: dict[str, str] = {}
    for lines in _blocks(content, "-- part: "):
        comments = list(_leading_comments(lines[1:]))
        name = lines[0].removeprefix("-- part: ").strip()
        found[name] = "\n".join(lines[1 + len(comments) :]).strip()
    return found


def composed(body: str, known: Mapping[str, str]) -> str:
    """Return a statement with its parts in place; raises ``CatalogError`` for an unknown part."""

    def part(use: re.Match[str]) -> str:
        if use["name"] not in known:
            raise CatalogError(f"there is no part {use['name']}")
        return composed(known[use["name"]], known)

    return _USE.sub(part, body)


def _blocks(content: str, kind: str) -> Iterator[list[str]]:
    """Yield the lines of each block whose header begins so."""
    for block in re.split(r"(?m)^(?=-- (?:name|part): )", content):
        if block.startswith(kind):
            yield block.splitlines()


def _leading_comments(lines: Sequence[str]) -> Iterator[str]:
    for line in lines:
        if not line.startswith("--"):
            return
        yield line[2:].strip()


class Catalog:
    """The statements of one engine, compiled on first use; ``schema`` is the quoted schema on PostgreSQL.

    The statements are those of the package's files, unless others are given.
    """

    def __init__(
        self,
        engine: Engine,
        schema: str = "aureus",
        statements: Mapping[Query, Text] | None = None,
    ) -> None:
        self._engine: Engine = engine
        self._statements = statements
        self._prefix = "" if engine == "sqlite" else quote(schema) + "."
        self._compiled: dict[Query, Compiled] = {}

    def compiled(self, query: Query) -> Compiled:
        """Return the statement behind a query name; raises ``CatalogError`` for an unknown one."""
        found = self._compiled.get(query)
        if found is None:
            known = texts(self._engine) if self._statements is None else self._statements
            text = known.get(query)
            if text is None:
                raise CatalogError(f"no statement {query.noun}.{query.name} for {self._engine}")
            found = self._compiled[query] = _compiled(self._engine, self._prefix, text)
        return found

    def script(self, content: str) -> str:
        """Return the text of a migration with the schema's name in place."""
        return _script(self._prefix, content)


@lru_cache(maxsize=64)
def _script(prefix: str, content: str) -> str:
    return _TOKEN.sub(lambda found: _named(prefix, found), content)


def _named(prefix: str, found: re.Match[str]) -> str:
    """Return a token with the schema's name in place, also where it is the body of a function."""
    if found["tag"] is not None:
        quotes = f"${found['tag']}$"
        return quotes + _script(prefix, found[0][len(quotes) : -len(quotes)]) + quotes
    if found["schema"]:
        return prefix
    if found["sequence"]:
        name = (prefix + quote(found["counter"])).replace("'", "''")
        return f"nextval('{name}')"
    return found[0]


@lru_cache(maxsize=2048)
def _compiled(engine: Engine, prefix: str, text: Text) -> Compiled:
    """Compile a statement, once for all databases that a program opens: it takes longer than most of them run."""
    name = f"{text.noun}.{text.name}"
    body = _without_comments(text.body).strip()
    if engine == "postgres" and text.records and ":mark" not in body:
        body = _marked(body)
    parts = list(_split(body))
    if engine == "postgres" and len(parts) != 1:
        raise CatalogError(f"{name}: PostgreSQL takes one statement")
    rendered = [_render(engine, prefix, part) for part in parts]
    return Compiled(
        query=Query(text.noun, text.name),
        cardinality=text.cardinality,
        key=text.key,
        locks=text.locks,
        records=text.records,
        is_write=_is_write(body),
        order=text.order,
        texts=tuple(sql for sql, _ in rendered),
        parameters=tuple(names for _, names in rendered),
    )


def _render(engine: Engine, prefix: str, body: str) -> tuple[str, tuple[str, ...]]:
    names: list[str] = []

    def place(found: re.Match[str]) -> str:
        if not found["param"]:
            return _named(prefix, found)
        name = found["param"][1:]
        if name not in names:
            names.append(name)
        number = names.index(name) + 1
        return f"?{number}" if engine == "sqlite" else f"${number}"

    sql = _TOKEN.sub(place, body)
    return re.sub(r"\s*\n\s*", " ", sql).strip(), tuple(names)


def quote(identifier: str) -> str:
    """Return a PostgreSQL identifier in quotes."""
    return '"' + identifier.replace('"', '""') + '"'


def _split(body: str) -> Iterator[str]:
    start = 0
    for token in _TOKEN.finditer(body):
        if token["end"]:
            if body[start : token.start()].strip():
                yield body[start : token.start()]
            start = token.end()
    if body[start:].strip():
        yield body[start:]


def _without_comments(body: str) -> str:
    return _TOKEN.sub(lambda found: "" if found["comment"] else found[0], body)


def _marked(body: str) -> str:
    """Wrap a plain write so that each row it returns marks that it happened."""
    plain = body.rstrip().rstrip(";")
    if not re.match(r"\s*(INSERT|UPDATE|DELETE)\b", plain, re.IGNORECASE):
        raise CatalogError(f"a statement that records must set the mark itself: {plain[:60]}…")
    return (
        f"WITH written AS ({plain})\n"
        "SELECT written.*, set_config('aureus.mark', :mark, true) FROM written"
    )


def _is_write(body: str) -> bool:
    stripped = _TOKEN.sub(
        lambda found: "" if found["comment"] or found["string"] else found[0], body
    )
    if not _WRITES.match(stripped):
        return False
    return bool(re.search(r"\b(INSERT\s+INTO|UPDATE|DELETE\s+FROM)\b", stripped, re.IGNORECASE))
