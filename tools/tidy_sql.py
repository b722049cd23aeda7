"""The rules for the SQL of the product: each statement is named, described and written in one form.

A lexer of one expression blanks comments and strings, so that the rules see only SQL; it knows no grammar, and the
rules are made so that none is needed. That statements are valid and used is proved elsewhere, against the engines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from tools.problem import Problem, line_of

FOLDER: Final = "src/aureus/_sql/"
LINE_CHARACTERS_MAX: Final = 120

_HEADER = re.compile(
    r"-- (name: [a-z][a-z0-9]*(_[a-z0-9]+)* :(one|many|exec)|part: [a-z][a-z0-9_]*)"
)
_ANNOTATION = re.compile(r"-- (key: |locks: |records$)")
_MIGRATION = re.compile(r"/migrations/\w+/\d{4}_\w+\.sql$")
_BLANKED = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'", re.DOTALL)

_KEYWORDS: Final = (
    "all|alter|and|as|asc|before|begin|between|by|case|check|collate|conflict|constraint|create|cross|declare|default"
    "|delete|desc|distinct|do|drop|each|else|end|except|execute|exists|for|foreign|from|full|grant|group|having|if|in"
    "|index|inner|insert|into|is|join|key|language|lateral|left|like|limit|nothing|not|null|on|or|order|outer|over"
    "|partition|policy|primary|raise|recursive|references|returning|returns|right|row|security|select|sequence|set"
    "|skip|strict|table|then|to|truncate|union|unique|update|using|values|view|when|where|with"
)
"""Words that are always keywords in our SQL; the literals true and false, and the names of types, are lower case."""

_LOWER_KEYWORD = re.compile(
    rf"(?<![\w.:\"])({_KEYWORDS})(?![\w.\"(])|(?<![\w.:\"])(values|in|exists)(?=\()"
)

_TABLE = re.compile(
    r"""
    (?P<before> \b(?:DISTINCT|EXTRACT|SUBSTRING|TRIM|OVERLAY)\s*(?:\([^()]*)? )?
    \b(?P<verb> FROM | JOIN | (?<!OR\ )INSERT\s+INTO | REFERENCES
      | (?<!DO\ )(?<!FOR\ )(?<!KEY\ )(?<!ON\ )(?<!OR\ )(?<!BEFORE\ )(?<!AFTER\ )UPDATE
      | TABLE(?:\s+IF(?:\s+NOT)?\s+EXISTS)?
      | INDEX\s+\w+\s+ON )
    \s+(?:ONLY\s+)?(?P<name> [A-Za-z_][\w.]* )
    (?P<call> \s*\( )?
    """,
    re.VERBOSE,
)
_CTE = re.compile(
    r"(?:\bWITH(?:\s+RECURSIVE)?|,)\s*(\w+)\s*(?:\([^()]*\)\s*)?AS\s+(?:NOT\s+)?(?:MATERIALIZED\s+)?\("
)
_FOREIGN: Final = ("pg_", "information_schema.", "sqlite_", "pragma_")


def check_sql(path: str, text: str) -> Iterator[Problem]:
    """Yield everything in an SQL file that breaks the form."""
    if not path.startswith(FOLDER):
        return
    code = blanked(text)
    yield from _check_lines(path, text)
    yield from _check_keywords(path, code)
    if _MIGRATION.search(path):
        yield from _check_migration(path, text)
        yield from _check_tables(path, code, 0, frozenset(_CTE.findall(code)))
    elif not path.startswith((FOLDER + "roles/", FOLDER + "optional/")):
        yield from _check_statements(path, text, code)


def blanked(text: str) -> str:
    """Return the text with comments and strings as blanks, every character in its old place."""
    return _BLANKED.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)


def _check_lines(path: str, text: str) -> Iterator[Problem]:
    for number, line in enumerate(text.splitlines(), 1):
        if len(line) > LINE_CHARACTERS_MAX:
            message = f"{len(line)} characters; at most {LINE_CHARACTERS_MAX}"
            yield Problem(path, number, "sql-line", message)
        if line != line.rstrip() or "\t" in line:
            yield Problem(path, number, "sql-line", "a tab, or blanks at the end")


def _check_keywords(path: str, code: str) -> Iterator[Problem]:
    for found in _LOWER_KEYWORD.finditer(code):
        yield Problem(
            path, line_of(code, found.start()), "sql-keyword", f"write {found[0].upper()}"
        )


def _check_migration(path: str, text: str) -> Iterator[Problem]:
    head = text.splitlines()[:2]
    if [line.partition(":")[0] for line in head] != ["-- why", "-- breaking"]:
        yield Problem(
            path, 1, "sql-header", "begins with the lines '-- why: …' and '-- breaking: yes|no'"
        )


def _check_statements(path: str, text: str, code: str) -> Iterator[Problem]:
    starts = [found.start() for found in re.finditer(r"(?m)^-- (?:name|part):", text)]
    ctes = frozenset(_CTE.findall(code))
    if code[: starts[0] if starts else None].strip():
        yield Problem(
            path, 1, "sql-header", "SQL before the first '-- name: verb_noun :one|:many|:exec'"
        )
    for start, end in pairwise([*starts, len(text)]):
        line = line_of(text, start)
        header, *comments = _leading_comments(text[start:end])
        if not _HEADER.fullmatch(header):
            yield Problem(
                path, line, "sql-header", f"not '-- name: verb_noun :one|:many|:exec': {header}"
            )
        if not [comment for comment in comments if not _ANNOTATION.match(comment)]:
            yield Problem(
                path, line, "sql-description", "no line that says what the statement is for"
            )
        body = code[start:end]
        # A part selects from what the statement around it has named.
        known = ctes if header.startswith("-- part:") else frozenset(_CTE.findall(body))
        yield from _check_tables(path, body, line - 1, known)


def _leading_comments(block: str) -> Iterator[str]:
    for line in block.splitlines():
        if not line.startswith("--"):
            return
        yield line.rstrip()


def _check_tables(
    path: str, code: str, line_before: int, ctes: frozenset[str]
) -> Iterator[Problem]:
    """Yield tables without their schema; names made by WITH, functions and system views are no tables of ours."""
    for found in _TABLE.finditer(code):
        name = found["name"]
        is_function = found["call"] and found["verb"] in {"FROM", "JOIN"}
        is_known = name in ctes or name.startswith(("aureus.", *_FOREIGN))
        if found["before"] or is_function or is_known or name in {"LATERAL", "ROWS", "SET"}:
            continue
        line = line_before + line_of(code, found.start("name"))
        yield Problem(path, line, "sql-schema", f"write aureus.{name}")
