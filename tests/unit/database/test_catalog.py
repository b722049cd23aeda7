"""Statements are named, found and compiled for one engine, without a database."""

from __future__ import annotations

import pytest

from aureus._database.catalog import (
    Catalog,
    CatalogError,
    Compiled,
    Engine,
    Text,
    composed,
    parse,
    parts,
    quote,
    texts,
)
from aureus._database.statement import Queries, Query

FILE = """\
-- Runs: an essay that belongs to no statement.

-- name: save :one
-- key: run_id, scope
-- records
-- Save it; a first line.
-- A second one.
INSERT INTO aureus.runs (tenant_id, run_id, note) VALUES (:tenant_id, :run_id, ':run_id; aureus.x -- no')
RETURNING run_id; -- :comment aureus.y

-- name: list_all :many
-- Everything.
SELECT a.id::text, "aureus.z", $tag$ :no; $tag$ FROM aureus.runs AS a/* :no; */ WHERE a.id = :id AND a.id > :id;
"""


def statements(content: str, noun: str = "runs") -> dict[Query, Text]:
    """Return the statements of a file's text."""
    return {Query(noun, text.name): text for text in parse(noun, content)}


def compiled(engine: Engine, name: str, content: str = FILE, schema: str = "aureus") -> Compiled:
    """Return one statement compiled for an engine."""
    return Catalog(engine, schema, statements(content)).compiled(Query("runs", name))


def test_a_header_says_what_a_statement_is() -> None:
    save, everything = parse("runs", FILE)
    assert (save.name, save.cardinality, save.key, save.records) == (
        "save",
        "one",
        ("run_id", "scope"),
        True,
    )
    assert save.description == "Save it; a first line. A second one."
    assert (everything.name, everything.cardinality, everything.records) == (
        "list_all",
        "many",
        False,
    )


@pytest.mark.parametrize(
    "header", ["-- name: save", "-- name: Save :one", "-- name: save :some", "-- name: 1 :one"]
)
def test_a_header_outside_the_format_is_refused(header: str) -> None:
    with pytest.raises(CatalogError, match=r"runs\.sql"):
        list(parse("runs", f"{header}\nSELECT 1;"))


def test_sqlite_numbers_parameters_and_knows_no_schema() -> None:
    found = compiled("sqlite", "list_all")
    assert found.parameters == (("id",),)
    assert found.texts == (
        'SELECT a.id::text, "aureus.z", $tag$ :no; $tag$ FROM runs AS a WHERE a.id = ?1 AND a.id > ?1',
    )


def test_postgres_numbers_parameters_and_quotes_its_schema() -> None:
    found = compiled("postgres", "list_all", schema='My-"Schema"')
    (text,) = found.texts
    assert text == (
        'SELECT a.id::text, "aureus.z", $tag$ :no; $tag$ FROM "My-""Schema""".runs AS a '
        "WHERE a.id = $1 AND a.id > $1"
    )


def test_strings_and_comments_are_left_alone() -> None:
    (text,) = compiled("sqlite", "save").texts
    assert "':run_id; aureus.x -- no'" in text
    assert ":comment" not in text
    assert "aureus.y" not in text


def test_a_statement_that_records_marks_each_row_on_postgres() -> None:
    (text,) = compiled("postgres", "save").texts
    assert text.startswith("WITH written AS (INSERT INTO")
    assert text.endswith("SELECT written.*, set_config('aureus.mark', $3, true) FROM written")
    assert compiled("postgres", "save").parameters == (("tenant_id", "run_id", "mark"),)
    assert "mark" not in compiled("sqlite", "save").parameters[0]


def test_one_name_holds_several_texts_on_sqlite_alone() -> None:
    content = "-- name: two :one\nUPDATE aureus.a SET b = :b RETURNING c;\nDELETE FROM aureus.d WHERE e = :e;"
    found = compiled("sqlite", "two", content)
    assert found.texts == ("UPDATE a SET b = ?1 RETURNING c", "DELETE FROM d WHERE e = ?1")
    assert found.parameters == (("b",), ("e",))
    with pytest.raises(CatalogError, match="one statement"):
        compiled("postgres", "two", content)


@pytest.mark.parametrize(
    ("body", "is_write"),
    [
        ("SELECT 1", False),
        ("SELECT 'UPDATE x'", False),
        ("INSERT INTO aureus.a VALUES (1)", True),
        ("WITH x AS (SELECT 1) SELECT * FROM x", False),
        ("WITH x AS (SELECT 1) INSERT INTO aureus.a SELECT * FROM x", True),
        ("with x as (select 1) delete from aureus.a", True),
        ("-- a comment: UPDATE\nSELECT 1", False),
    ],
)
def test_a_statement_knows_whether_it_writes(body: str, is_write: bool) -> None:
    assert compiled("sqlite", "x", f"-- name: x :many\n-- why\n{body};").is_write is is_write


def test_a_part_stands_where_it_is_used_and_is_no_statement_of_its_own() -> None:
    content = (
        "-- part: inner\n-- What for.\na, b\n\n-- part: outer\n-- Why.\nSELECT <<inner>>\n\n"
        "-- name: x :many\n-- All.\n<<outer>> FROM aureus.t;\n"
    )
    (text,) = parse("runs", content)
    assert text.body == "<<outer>> FROM aureus.t;"
    assert composed(text.body, parts(content)) == "SELECT a, b FROM aureus.t;"
    with pytest.raises(CatalogError, match="no part inner"):
        composed(text.body, {"outer": parts(content)["outer"]})


def test_rows_that_a_gathered_write_locks_are_named_beside_its_key() -> None:
    (text,) = parse("runs", "-- name: x :one\n-- locks: a, b\n-- Why.\nSELECT 1;")
    assert (text.key, text.locks, text.description) == ((), ("a", "b"), "Why.")


def test_an_unknown_statement_is_a_bug_with_its_name() -> None:
    with pytest.raises(CatalogError, match=r"no statement runs\.nope for sqlite"):
        compiled("sqlite", "nope")


def test_a_script_gets_the_schema_outside_of_strings_and_comments() -> None:
    content = (
        "CREATE TABLE aureus.a (b text DEFAULT 'aureus.c'); -- aureus.d\nSELECT ':x', aureus.f(1);"
    )
    assert Catalog("postgres", "s").script(content) == (
        "CREATE TABLE \"s\".a (b text DEFAULT 'aureus.c'); -- aureus.d\nSELECT ':x', \"s\".f(1);"
    )
    assert Catalog("sqlite").script("CREATE TABLE aureus.a (b)") == "CREATE TABLE a (b)"


def test_an_identifier_is_quoted_whatever_it_holds() -> None:
    assert quote('a"b') == '"a""b"'


def test_queries_are_asked_for_by_attribute() -> None:
    sql = Queries("runs")
    assert sql.start_run == Query("runs", "start_run")
    with pytest.raises(AttributeError):
        _ = sql._private


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_every_statement_of_the_package_compiles(engine: Engine) -> None:
    catalog = Catalog(engine)
    found = [catalog.compiled(query) for query in texts(engine)]
    assert found
    assert sorted(one.order for one in found) == list(range(len(found)))


def test_both_engines_have_the_same_statements_with_the_same_parameters() -> None:
    """Only ``mark`` and the statements of one engine's own machinery may differ."""
    ours: dict[Engine, Catalog] = {engine: Catalog(engine) for engine in ("sqlite", "postgres")}
    common = set(texts("sqlite")) & set(texts("postgres"))
    assert {query.noun for query in set(texts("sqlite")) ^ set(texts("postgres"))} <= {"flushes"}
    for query in common:
        names = [
            {name for part in catalog.compiled(query).parameters for name in part} - {"mark"}
            for catalog in ours.values()
        ]
        assert names[0] == names[1], query
