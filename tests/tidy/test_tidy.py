"""The house style holds for every file, and each of its checks can fail."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from pathlib import Path

import pytest

from tools import tidy, tidy_python, tidy_sql
from tools.problem import Problem

IN_STORES = "src/aureus/stores/notes.py"
STATEMENTS = "src/aureus/_sql/shared/notes.sql"
MIGRATION = "src/aureus/_sql/migrations/sqlite/0002_notes.sql"
HASH = "--hash=sha256:" + "0" * 64


def rules(problems: Iterable[Problem]) -> list[str]:
    """Return the names of the rules that were broken."""
    return [problem.rule for problem in problems]


def test_every_file_is_tidy() -> None:
    problems = [found for found in tidy.check_all(tidy.read_files(tidy.ROOT)) if not found.is_note]
    assert not problems, "\n".join(map(str, sorted(problems)))


def test_this_repository_is_what_is_looked_at() -> None:
    files = tidy.read_files(tidy.ROOT)
    assert {"pyproject.toml", "tools/tidy.py", "tests/tidy/test_tidy.py"} <= set(files)
    assert not [path for path in files if path.startswith((".git/", ".venv/"))]


def test_a_tree_without_git_is_looked_at_too(tmp_path: Path) -> None:
    for name in ("kept.py", "folder/kept.sql", ".venv/left.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("text", encoding="utf-8")
    (tmp_path / "picture.png").write_bytes(b"\0\1")
    assert set(tidy.read_files(tmp_path)) == {"kept.py", "folder/kept.sql"}


def test_a_long_file_is_noted_and_a_longer_one_refused() -> None:
    assert not rules(tidy_python.check_sizes(IN_STORES, "x = 1\n" * 400))
    (note,) = tidy_python.check_sizes(IN_STORES, "x = 1\n" * 401)
    assert note.is_note
    (problem,) = tidy_python.check_sizes(IN_STORES, "x = 1\n" * 601)
    assert not problem.is_note


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_a_long_function_is_refused(kind: str) -> None:
    fits = f"{kind} f():\n" + "    x = 1\n" * 69
    assert not rules(tidy_python.check_sizes(IN_STORES, fits))
    assert rules(tidy_python.check_sizes(IN_STORES, fits + "    x = 1\n")) == ["function-length"]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("src/aureus/utils.py", ""),
        ("src/aureus/core/runs.py", ""),
        (IN_STORES, "class RunManager: ..."),
        (IN_STORES, "class Data: ..."),
        (IN_STORES, "def helper_for_runs(): ..."),
        (IN_STORES, "async def process(): ..."),
    ],
)
def test_a_name_that_says_nothing_is_refused(path: str, text: str) -> None:
    assert rules(tidy_python.check_names(path, text)) == ["vague-name"]


@pytest.mark.parametrize(
    "text",
    ["class ProcessLease: ...", "def score(): ...", "class JsonLines(logging.Handler): ...",
     "class QuietHandler(logging.Handler): ..."],
)  # fmt: skip
def test_a_name_that_says_something_is_fine(text: str) -> None:
    assert not rules(tidy_python.check_names(IN_STORES, text))


def test_the_name_of_a_test_is_a_sentence() -> None:
    text = "def test_helpers_of_a_dead_process_die(): ..."
    assert not rules(tidy_python.check_names("tests/unit/test_tools.py", text))
    assert rules(tidy_python.check_names("tests/helpers.py", text)) == ["vague-name"]


@pytest.mark.parametrize(
    "comment",
    [
        "type: ignore[misc]",
        "type: ignore  # the stubs are wrong here",
        "noqa: S101",
        "noqa - the stubs are wrong here",
        "pyright: ignore",
        "pragma: no cover",
        "ruff: noqa",
        "mypy: disable-error-code=misc",
        "pyright: basic",
    ],
)
def test_a_suppression_without_code_or_reason_is_refused(comment: str) -> None:
    assert "suppression" in rules(
        tidy_python.check_suppressions(IN_STORES, f"x = 1  # {comment}\n")
    )


@pytest.mark.parametrize(
    "comment",
    [
        "type: ignore[misc]  # the stubs miss this attribute",
        "type: ignore[misc]  # noqa: S101 - the stubs miss it",
        "noqa: S101, S102 - pytest speaks assert",
        "pyright: ignore[reportPrivateUsage] - a friend of the class",
        "pragma: no cover - only on macOS",
        "a plain remark",
    ],
)
def test_a_suppression_with_code_and_reason_is_fine(comment: str) -> None:
    assert not rules(tidy_python.check_suppressions(IN_STORES, f"x = 1  # {comment}\n"))


def test_a_suppression_inside_a_string_is_text() -> None:
    assert not rules(tidy_python.check_suppressions(IN_STORES, 'x = "# noqa"\n'))


@pytest.mark.parametrize(
    "expression",
    [
        '"SELECT a FROM b"',
        'f"SELECT a FROM {table}"',
        '"""\n  SELECT a,\n  b FROM c"""',
        '"insert into notes values (1)"',
        '"select a, b from notes where a = 1"',
        '"UPDATE notes SET a = 1"',
        '"DELETE FROM notes"',
        '"CREATE UNIQUE INDEX a ON b (c)"',
        '"WITH a AS (VALUES (1))"',
        '"PRAGMA journal_mode"',
        '"BEGIN IMMEDIATE"',
        '"SAVEPOINT a"',
        '"SET LOCAL lock_timeout = 1"',
    ],
)
def test_sql_in_a_string_is_refused_outside_the_database_layer(expression: str) -> None:
    text = f"query = {expression}\n"
    assert rules(tidy_python.check_sql_strings(IN_STORES, text)) == ["sql-string"]
    assert not rules(tidy_python.check_sql_strings("src/aureus/_database/migrate.py", text))
    assert not rules(tidy_python.check_sql_strings("tests/unit/test_notes.py", text))


@pytest.mark.parametrize(
    "text",
    [
        '"""Explains that SELECT x FROM y is slow."""',
        'message = "select a run from the list"',
        'message = "update the workflow and set a new version"',
        'message = "the run was deleted from this host"',
        'message = "with it as (a) rule"',
    ],
)
def test_prose_is_not_taken_for_sql(text: str) -> None:
    assert not rules(tidy_python.check_sql_strings(IN_STORES, text))


def test_a_stub_is_refused_in_the_product() -> None:
    text = "def f():\n    raise NotImplementedError\n"
    assert rules(tidy_python.check_stubs(IN_STORES, text)) == ["stub"]


@pytest.mark.parametrize("text", ["import requests", "from requests.sessions import Session"])
def test_an_undeclared_dependency_is_refused(text: str) -> None:
    assert rules(tidy_python.check_imports(IN_STORES, text, {"psycopg"})) == ["undeclared"]
    assert not rules(tidy_python.check_imports(IN_STORES, "import psycopg_pool, json", {"psycopg"}))


@pytest.mark.parametrize("text", ["from aureus import codec", "import orjson", "import aureus.ids"])
def test_the_model_imports_nothing_but_itself(text: str) -> None:
    path = "src/aureus/model/notes.py"
    assert rules(tidy_python.check_imports(path, text, {"orjson"})) == ["pure-model"]
    assert not rules(tidy_python.check_imports(IN_STORES, text, {"orjson"}))
    fine = (
        "import json\nfrom aureus.errors import Invalid\nfrom aureus.model.states import RunStatus"
    )
    assert not rules(tidy_python.check_imports(path, fine, set()))


def test_dependencies_are_read_and_must_be_used() -> None:
    pyproject = (
        '[project]\ndependencies = ["ruamel.yaml>=0.18", "psycopg[binary,pool]", "orjson"]\n'
    )
    assert tidy.declared_packages(pyproject) == {"ruamel", "psycopg", "orjson"}
    files = {
        "pyproject.toml": pyproject,
        IN_STORES: "import orjson\nfrom ruamel.yaml import YAML\n",
    }
    (problem,) = tidy.check_dependencies_used(files)
    assert "psycopg" in problem.message


def statement(
    body: str, header: str = "-- name: get_note :one", purpose: str = "-- One note."
) -> str:
    """Return the text of a catalogue file with one statement."""
    return (
        "\n".join(line for line in (header, purpose, textwrap.dedent(body).strip()) if line) + "\n"
    )


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (statement("SELECT 1;", header="-- name: getNote :one"), "sql-header"),
        (statement("SELECT 1;", header="-- name: get_note"), "sql-header"),
        (statement("SELECT 1;", header="-- part: Notes"), "sql-header"),
        (statement("SELECT a FROM notes", header="-- part: notes"), "sql-schema"),
        (statement("SELECT 1;", header="-- name: get_note :row"), "sql-header"),
        ("SELECT 1;\n", "sql-header"),
        (statement("SELECT 1;", purpose=""), "sql-description"),
        (statement("SELECT 1;", purpose="-- key: note_id"), "sql-description"),
        (statement("SELECT 1;", purpose="-- records"), "sql-description"),
        (statement("select 1;"), "sql-keyword"),
        (statement("SELECT 1 WHERE 1 in(2);"), "sql-keyword"),
        (statement("SELECT 1, \n    2;"), "sql-line"),
        (statement("SELECT\t1;").replace("SELECT ", "SELECT\t"), "sql-line"),
        (statement("SELECT " + "1" * 120 + ";"), "sql-line"),
        (statement("SELECT a FROM notes;"), "sql-schema"),
        (statement("SELECT a FROM aureus.notes JOIN tags ON true;"), "sql-schema"),
        (statement("INSERT INTO notes (a) VALUES (1);"), "sql-schema"),
        (statement("UPDATE notes SET a = 1;"), "sql-schema"),
        (statement("DELETE FROM notes;"), "sql-schema"),
    ],
)
def test_a_statement_out_of_form_is_refused(text: str, rule: str) -> None:
    assert rule in rules(tidy_sql.check_sql(STATEMENTS, text))


@pytest.mark.parametrize(
    "body",
    [
        "SELECT a FROM aureus.notes AS n JOIN aureus.tags AS t ON t.a IS DISTINCT FROM n.a;",
        "WITH old AS (SELECT 1), new (a) AS MATERIALIZED (SELECT 2) SELECT * FROM old JOIN new ON true;",
        "SELECT value FROM json_each(:rows) CROSS JOIN LATERAL (SELECT 1) AS one;",
        "SELECT r.a FROM ROWS FROM (f(1) AS (a text)) WITH ORDINALITY AS r (a, n);",
        "INSERT INTO aureus.notes (a) VALUES (1) ON CONFLICT (a) DO UPDATE SET a = excluded.a;",
        "SELECT a FROM aureus.notes FOR UPDATE SKIP LOCKED;",
        "SELECT extract(epoch FROM now()), 'select from nowhere' -- from a comment\nFROM aureus.notes;",
        "SELECT seq FROM sqlite_sequence WHERE name = 'events';",
        'SELECT n."order", n.key FROM aureus.notes AS n;',
    ],
)
def test_a_statement_in_form_is_fine(body: str) -> None:
    assert not list(tidy_sql.check_sql(STATEMENTS, statement(body)))


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("-- breaking: no\n-- why: notes\nCREATE TABLE aureus.notes (a);\n", "sql-header"),
        ("-- why: notes\n-- breaking: no\nCREATE TABLE notes (a);\n", "sql-schema"),
        ("-- why: notes\n-- breaking: no\nCREATE TABLE aureus.a (b REFERENCES notes (a));\n", "sql-schema"),
        ("-- why: notes\n-- breaking: no\nCREATE UNIQUE INDEX a ON notes (a);\n", "sql-schema"),
        ("-- why: notes\n-- breaking: no\nALTER TABLE notes ADD COLUMN b;\n", "sql-schema"),
        ("-- why: notes\n-- breaking: no\ncreate table aureus.notes (a);\n", "sql-keyword"),
    ],
)  # fmt: skip
def test_a_migration_out_of_form_is_refused(text: str, rule: str) -> None:
    assert rules(tidy_sql.check_sql(MIGRATION, text))[:1] == [rule]


def test_a_migration_in_form_is_fine() -> None:
    text = """\
        -- why: notes
        -- breaking: no
        CREATE TABLE aureus.notes (a TEXT NOT NULL, PRIMARY KEY (a)) STRICT;
        CREATE TRIGGER notes_fixed BEFORE UPDATE ON aureus.notes BEGIN SELECT 1; END;
        """
    assert not list(tidy_sql.check_sql(MIGRATION, textwrap.dedent(text)))


@pytest.mark.parametrize("name", ["uv.lock", "poetry.lock", "pylock.toml", "web/package-lock.json"])
def test_a_lock_file_is_refused(name: str) -> None:
    assert rules(tidy.check_lock_file(name)) == ["lock-file"]
    assert not rules(tidy.check_lock_file("tools/lock.py"))


@pytest.mark.parametrize(
    "parts",
    [
        ("https://py", "pi.org/simple"),
        ("https://files.python", "hosted.org/x.whl"),
        ("registry.", "npmjs.org"),
        ("--extra-index-", "url https://example.org"),
        ("file:/", "//opt/index"),
        ("cd /ro", "ot/project"),
        ("/ho", "me/ada/project"),
        ("/Us", "ers/ada/project"),
    ],
)
def test_an_address_of_an_index_or_a_machine_is_refused(parts: tuple[str, str]) -> None:
    """The places are written in two parts, or this file would break the rule itself."""
    assert rules(tidy.check_places("docs/setup.md", "one\n" + "".join(parts))) == ["place"]


@pytest.mark.parametrize(
    "text", ["see /homepage", "https://example.org/work/done", "a/root/b", "~/work"]
)
def test_other_paths_and_addresses_are_fine(text: str) -> None:
    assert not rules(tidy.check_places("docs/setup.md", text))


@pytest.mark.parametrize("parts", [("TO", "DO: later"), ("FIX", "ME"), ("XX", "X")])
def test_a_note_to_oneself_is_refused(parts: tuple[str, str]) -> None:
    assert rules(tidy.check_leftovers("docs/setup.md", "".join(parts))) == ["leftover"]


@pytest.mark.parametrize(
    "line",
    ["click==8.1", "click>=8.1 \\\n    " + HASH, "click \\\n    " + HASH, "--find-links wheels",
     "--index-url mirror", "click @ https://example.org/click.whl \\\n    " + HASH, "-e ."],
)  # fmt: skip
def test_a_requirement_that_is_not_pinned_is_refused(line: str) -> None:
    good = f"# made by a program\nrich==15.0.0 \\\n    {HASH} \\\n    {HASH}\n"
    assert not rules(tidy.check_pins("requirements/dev.txt", good))
    assert rules(tidy.check_pins("requirements/dev.txt", good + line + "\n")) == ["pin"]


def test_a_requirement_for_some_platforms_is_pinned_too() -> None:
    text = f"colorama==0.4.6 ; sys_platform == 'win32' \\\n    {HASH}\n"
    assert not rules(tidy.check_pins("requirements/dev.txt", text))


def test_a_term_of_the_glossary_must_be_a_name_in_the_product() -> None:
    files = {
        tidy.GLOSSARY: "# Glossary\n\n| **run log** | JSON lines |\n\n- **widget**: something else\n",
        "src/aureus/runlog/writer.py": "",
    }
    (problem,) = tidy.check_glossary(files)
    assert "widget" in problem.message
    assert problem.line == 5


def test_a_missing_glossary_is_a_problem() -> None:
    assert rules(tidy.check_glossary({})) == ["glossary"]
