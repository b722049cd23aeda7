"""The rules for Python files that ruff has no rule for: sizes, names, suppressions, SQL in strings, imports.

Each check takes a path and a file and yields what it finds; none reads the disk. What ruff can refuse (print, the
clock, randomness, missing docstrings and so on) is configured in ``pyproject.toml`` and not repeated here.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Collection, Iterator
from functools import cache, lru_cache
from pathlib import PurePosixPath
from typing import Final

from tools.problem import Problem

FILE_LINES_SOFT: Final = 400
FILE_LINES_MAX: Final = 600
FUNCTION_LINES_MAX: Final = 70

VAGUE_WORDS: Final = frozenset({
    "common", "core", "handler", "handlers", "helper", "helpers", "manager", "managers", "misc", "util", "utils",
})  # fmt: skip
"""Words that say nothing about what a thing does, as part of a name."""

VAGUE_NAMES: Final = frozenset({"data", "handle", "info", "process"})
"""Words that need a second word before they are a name."""

_SUPPRESSION = re.compile(
    r"#\s*(?P<kind>noqa|type:\s*ignore|pyright:\s*ignore|pragma:\s*no\s*cover)"
    r"(?P<codes>\s*\[[\w\s,-]+\]|:\s*[A-Z]+[0-9]+(?:[\s,]+[A-Z]+[0-9]+)*)?"
)
_WHOLE_FILE = re.compile(
    r"#\s*(ruff:\s*noqa|flake8:\s*noqa|mypy:|pyright:\s*(?!ignore)\w|type:\s*ignore\s*$)"
)
_REASON_WORDS_MIN: Final = 2

_SQL = re.compile(
    r"""
      \bSELECT\b.*\bFROM\b
    | \bINSERT\s+(OR\s+\w+\s+)?INTO\b
    | \bUPDATE\s+[\w."]+\s+(AS\s+\w+\s+)?SET\b
    | \bDELETE\s+FROM\b
    | \b(CREATE|ALTER|DROP|TRUNCATE)\s+(OR\s+REPLACE\s+|UNIQUE\s+|TEMP\s+)?
      (DATABASE|EXTENSION|FUNCTION|INDEX|POLICY|ROLE|SCHEMA|SEQUENCE|TABLE|TRIGGER|TYPE|VIEW)\b
    | \bWITH\s+\w+\s+AS\s*\(
    | \bPRAGMA\s+\w
    | \bBEGIN\s+(IMMEDIATE|EXCLUSIVE)\b
    | \b(ROLLBACK\s+TO|RELEASE)\s+(SAVEPOINT\s+)?\w
    | ^\s*(SAVEPOINT|VACUUM|LISTEN|NOTIFY|GRANT|REVOKE|SET\s+(LOCAL|SESSION|ROLE))\b
    | (?i:^\s*(insert\s+into|delete\s+from|update\s+[\w.]+\s+set|create\s+table|alter\s+table|drop\s+table)\s)
    | (?i:^\s*select\s[\w\s,.*()]+\sfrom\s+[\w.]+\s*(;|$|\b(where|order|group|limit|join)\b))
    """,
    re.VERBOSE | re.DOTALL,
)

_MODEL_MAY_IMPORT: Final = ("aureus.errors", "aureus.model")


def check_sizes(path: str, text: str) -> Iterator[Problem]:
    """Yield files and functions that are too long to be read at once."""
    length = len(text.splitlines())
    if length > FILE_LINES_MAX:
        yield Problem(path, 1, "file-length", f"{length} lines; split it, at most {FILE_LINES_MAX}")
    elif length > FILE_LINES_SOFT:
        yield Problem(path, 1, "file-length", f"{length} lines; think of a split", is_note=True)
    for node in _nodes(text):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES_MAX:
                message = f"{node.name} has {lines} lines; at most {FUNCTION_LINES_MAX}"
                yield Problem(path, node.lineno, "function-length", message)


def check_names(path: str, text: str) -> Iterator[Problem]:
    """Yield modules, classes and functions with a name that says nothing."""
    for part in PurePosixPath(path).with_suffix("").parts:
        if is_vague(part):
            yield Problem(path, 1, "vague-name", f"{part!r} says nothing; name what it does")
    if path.startswith("tests/"):
        return  # the names of tests are sentences, which may speak of helpers
    for node in _nodes(text):
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        bases = node.bases if isinstance(node, ast.ClassDef) else []
        inherited = {word for base in bases for word in words(ast.unparse(base))}
        if is_vague(node.name, allowed=inherited):
            message = f"{node.name!r} says nothing; name what it does"
            yield Problem(path, node.lineno, "vague-name", message)


def is_vague(name: str, *, allowed: Collection[str] = ()) -> bool:
    """Return whether a name is, or is made with, a word that says nothing; a foreign base class allows its own."""
    parts = words(name)
    is_alone = len(parts) == 1 and parts[0] in VAGUE_NAMES
    return is_alone or not VAGUE_WORDS.isdisjoint(set(parts) - set(allowed))


def words(name: str) -> list[str]:
    """Return the words of a name in lower case, however they are joined."""
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+", name)]


def check_suppressions(path: str, text: str) -> Iterator[Problem]:
    """Yield switched-off checks that do not say which check and why."""
    if not (_SUPPRESSION.search(text) or _WHOLE_FILE.search(text)):
        return  # finding the comments of a file takes longer than everything else that is looked for
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type != tokenize.COMMENT:
            continue
        if _WHOLE_FILE.search(token.string):
            message = (
                "switches a check off without a limit; name the code, on the line that needs it"
            )
            yield Problem(path, token.start[0], "suppression", message)
            continue
        found = list(_SUPPRESSION.finditer(token.string))
        if not found:
            continue
        for item in found:
            if not item["codes"] and not item["kind"].startswith("pragma"):
                yield Problem(path, token.start[0], "suppression", f"{item['kind']} names no code")
        reason = re.findall(r"[^\W\d_]{2,}", _SUPPRESSION.sub(" ", token.string))
        if len(reason) < _REASON_WORDS_MIN:
            yield Problem(
                path, token.start[0], "suppression", "says no reason; add it on the same line"
            )


def check_sql_strings(path: str, text: str) -> Iterator[Problem]:
    """Yield SQL in the strings of the product: it belongs into the catalogue, outside the database layer."""
    if not path.startswith("src/aureus/") or path.startswith("src/aureus/_database/"):
        return
    nodes = _nodes(text)
    prose = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    inner = {id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in nodes:
        if isinstance(node, ast.JoinedStr):
            value = "".join(_literal(part) for part in node.values)
        elif (
            isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inner
        ):
            value = node.value
        else:
            continue
        if id(node) not in prose and _SQL.search(value):
            message = "SQL in Python; give it a name in src/aureus/_sql"
            yield Problem(path, node.lineno, "sql-string", message)


@lru_cache(maxsize=8)
def _nodes(text: str) -> tuple[ast.AST, ...]:
    """Return all that a file says, a node each; every check of a file looks at the same."""
    return tuple(ast.walk(ast.parse(text)))


def _literal(part: ast.expr) -> str:
    return str(part.value) if isinstance(part, ast.Constant) else "x"


def check_stubs(path: str, text: str) -> Iterator[Problem]:
    """Yield what pretends to be there: the product holds no stub."""
    if not path.startswith("src/"):
        return
    for node in _nodes(text):
        if isinstance(node, ast.Name) and node.id == "NotImplementedError":
            yield Problem(path, node.lineno, "stub", "a stub; build it or leave it out")


def check_imports(path: str, text: str, declared: Collection[str]) -> Iterator[Problem]:
    """Yield imports of packages that ``pyproject.toml`` does not declare, and impure ones of the model."""
    if not path.startswith("src/"):
        return
    for name, line in imported(text):
        root = name.partition(".")[0]
        if (
            root not in sys.stdlib_module_names
            and root != "aureus"
            and not is_declared(root, declared)
        ):
            yield Problem(path, line, "undeclared", f"{root} is no dependency in pyproject.toml")
        if path.startswith("src/aureus/model/") and not (
            root in sys.stdlib_module_names or name.startswith(_MODEL_MAY_IMPORT)
        ):
            message = f"{name}: the model imports the standard library, aureus.errors and itself"
            yield Problem(path, line, "pure-model", message)


@cache
def imported(text: str) -> tuple[tuple[str, int], ...]:
    """Return the modules that a file imports, each with its line."""
    found: list[tuple[str, int]] = []
    for node in _nodes(text):
        if isinstance(node, ast.Import):
            found += ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "aureus":
            found += ((f"aureus.{alias.name}", node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append((node.module, node.lineno))
    return tuple(found)


def is_declared(root: str, declared: Collection[str]) -> bool:
    """Return whether a top-level module comes from a declared distribution; ``psycopg_pool`` comes with psycopg."""
    return root in declared or root.partition("_")[0] in declared
