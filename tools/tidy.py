"""Hold the house style that ruff, mypy and the import contracts have no rule for.

``python -m tools.tidy`` looks at every file that git knows or would add, prints what breaks a rule as
``path:line: message [rule]`` and ends with 1 when there is any. ``STYLE.md`` says what the rules are for. Each check is
a plain function over paths and texts, and ``tests/tidy`` proves of each that it can fail.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Final

from tools import tidy_python, tidy_sql
from tools.problem import Files, Problem, line_of

ROOT: Final = Path(__file__).resolve().parent.parent

GLOSSARY: Final = "docs/glossary.md"

_PYTHON: Final[tuple[Callable[[str, str], Iterator[Problem]], ...]] = (
    tidy_python.check_sizes,
    tidy_python.check_names,
    tidy_python.check_suppressions,
    tidy_python.check_sql_strings,
    tidy_python.check_stubs,
)

_LOCK_FILES: Final = re.compile(
    r"(uv|poetry|pdm|Pipfile|yarn|Cargo)\.lock|pylock(\..+)?\.toml|package-lock\.json|pnpm-lock\.yaml|npm-shrinkwrap\.json"
)

_PLACES: Final = re.compile(
    r"(?P<index>\bpypi\.org|\bpython[h]osted\b|\bregistry\.npmjs|\bdeb\.debian\.org|--(?:extra-)?index-url[ =]h|file://[/])"
    r"|(?<![\w.:/-])(?P<path>/(?:home|Users|root|work|farm)/[\w.]|[A-Z]:\\Users)"
)
"""Addresses of package indexes and paths of somebody's machine. Written so that this line is none itself."""

_MODULES: Final = {"pystemmer": "Stemmer"}
"""Packages whose module has a name of its own."""

_LEFTOVER: Final = re.compile(r"\b(T[O]DO|F[I]XME|X[X]X)\b")

_PIN: Final = re.compile(
    r"[a-z0-9][a-z0-9._-]*==[^\s;]+( ; [^\\]+)? \\(\n    --hash=sha256:[0-9a-f]{64}( \\)?)+"
)

_TERM: Final = re.compile(r"(?m)^[|\s*-]*\*\*(?P<term>[^*\n]+)\*\*")


def main() -> int:
    """Print every problem; return the exit code."""
    problems = sorted(check_all(read_files(ROOT)))
    for problem in problems:
        print(problem)
    return int(any(not problem.is_note for problem in problems))


def read_files(root: Path) -> dict[str, str]:
    """Return the text files that git has or would add; where git does not answer, all that is not hidden."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=root, check=False, capture_output=True, text=True)
    if listed.returncode == 0:
        paths = [root / name for name in listed.stdout.split("\0") if name]
    else:
        found = (path.relative_to(root) for path in root.rglob("*"))
        paths = [root / path for path in found if not any(part[0] == "." for part in path.parts)]
    files: dict[str, str] = {}
    for path in paths:
        content = path.read_bytes() if path.is_file() else b"\0"
        if b"\0" not in content:
            files[path.relative_to(root).as_posix()] = content.decode("utf-8", errors="replace")
    return files


def check_all(files: Files) -> Iterator[Problem]:
    """Yield the problems of all files."""
    declared = declared_packages(files["pyproject.toml"])
    for path, text in files.items():
        yield from check_lock_file(path)
        yield from check_places(path, text)
        yield from check_leftovers(path, text)
        yield from tidy_sql.check_sql(path, text) if path.endswith(".sql") else ()
        yield from check_pins(path, text) if is_pinned(path) else ()
        if path.endswith(".py"):
            for check in _PYTHON:
                yield from check(path, text)
            yield from tidy_python.check_imports(path, text, declared)
    yield from check_dependencies_used(files)
    yield from check_glossary(files)


def check_lock_file(path: str) -> Iterator[Problem]:
    """Yield files that carry the addresses of an index by their nature."""
    if _LOCK_FILES.fullmatch(PurePosixPath(path).name):
        yield Problem(
            path, 1, "lock-file", "a lock file; pins live in requirements/, made by `make lock`"
        )


def check_places(path: str, text: str) -> Iterator[Problem]:
    """Yield addresses of package indexes and paths of somebody's machine."""
    for found in _PLACES.finditer(text):
        what = "the address of a package index" if found["index"] else "a path of one machine"
        yield Problem(path, line_of(text, found.start()), "place", f"{what}: {found[0]}")


def check_leftovers(path: str, text: str) -> Iterator[Problem]:
    """Yield notes to oneself: what is worth doing is done or is an issue."""
    for found in _LEFTOVER.finditer(text):
        yield Problem(
            path, line_of(text, found.start()), "leftover", f"{found[0]}: do it, or open an issue"
        )


def is_pinned(path: str) -> bool:
    """Return whether the file is one that pip installs from."""
    return path.startswith("requirements/") and path.endswith(".txt")


def check_pins(path: str, text: str) -> Iterator[Problem]:
    """Yield requirements without an exact version or without hashes, and options of any kind."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    for block in re.split(r"\n(?! )", "\n".join(lines)):
        if block.strip() and not _PIN.fullmatch(block.rstrip()):
            first = block.splitlines()[0]
            number = text.splitlines().index(first) + 1
            yield Problem(path, number, "pin", f"not 'name==version' with hashes: {first}")


_FOUND = re.compile(r'find_spec\("(\w+)"\)')
"""A package whose files are used without importing its code."""


def declared_packages(pyproject: str) -> set[str]:
    """Return the top-level modules of the dependencies that the product declares."""
    project = tomllib.loads(pyproject)["project"]
    extras = project.get("optional-dependencies", {}).values()
    wanted = [*project["dependencies"], *(item for extra in extras for item in extra)]
    names = (
        re.split(r"[^\w.-]", item)[0].replace("-", "_").partition(".")[0].lower() for item in wanted
    )
    return {_MODULES.get(name, name) for name in names}


def check_dependencies_used(files: Files) -> Iterator[Problem]:
    """Yield dependencies that the product declares and neither imports nor looks for by ``find_spec``."""
    sources = [
        text for path, text in files.items() if path.startswith("src/") and path.endswith(".py")
    ]
    used = {name.partition(".")[0] for text in sources for name, _ in tidy_python.imported(text)}
    used |= {name for text in sources for name in _FOUND.findall(text)}
    for package in sorted(declared_packages(files["pyproject.toml"]) - used):
        yield Problem("pyproject.toml", 1, "unused", f"nothing imports the dependency {package}")


def check_glossary(files: Files) -> Iterator[Problem]:
    """Yield terms of the glossary that no name in the product uses: then it is another word, or none."""
    text = files.get(GLOSSARY, "")
    if not _TERM.search(text):
        yield Problem(
            GLOSSARY, 1, "glossary", "missing, or without a term: one line each, **term** first"
        )
    named = "\n".join(
        f"{path}/{content}".lower().replace("_", "")
        for path, content in files.items()
        if path.startswith("src/") and path.endswith((".py", ".sql"))
    )
    for found in _TERM.finditer(text):
        if re.sub(r"[\W_]", "", found["term"].lower()) not in named:
            message = f"no name in src/ uses the term {found['term']!r}"
            yield Problem(GLOSSARY, line_of(text, found.start("term")), "glossary", message)


if __name__ == "__main__":
    sys.exit(main())
