"""Pin what is installed, with the hashes of every file that the package index lists.

The sources are ``pyproject.toml`` (what the product and its build need), ``requirements/dev.in`` and
``requirements/lock.in``; the results are ``requirements/*.txt``, which pip installs with ``--require-hashes``. The
results name no index: whoever installs brings their own, and the hashes say whether it served the same files. Extra
indexes and local wheels of this machine are left out, so that nothing is pinned that others cannot get.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements"

LOWEST_PYTHON = (3, 11)
"""Pins are made on the oldest Python we support: it needs what newer ones need, and the back-ports besides."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the four pinned files; return the exit code."""
    parser = argparse.ArgumentParser(description="pin requirements with hashes")
    parser.add_argument(
        "--upgrade", action="store_true", help="take the newest versions instead of keeping pins"
    )
    upgrade: bool = parser.parse_args(arguments).upgrade
    if sys.version_info[:2] != LOWEST_PYTHON:
        print(
            "make lock runs on Python 3.11, the oldest one supported: make lock PYTHON=python3.11",
            file=sys.stderr,
        )
        return 2
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    runtime: list[str] = project["project"]["dependencies"]
    build: list[str] = project["build-system"]["requires"]
    dev = _lines(REQUIREMENTS / "dev.in")
    _pin("runtime.txt", runtime, [], upgrade=upgrade)
    _pin("build.txt", build, ["runtime.txt"], upgrade=upgrade)
    _pin("dev.txt", [*runtime, *build, *dev], ["runtime.txt", "build.txt"], upgrade=upgrade)
    _pin("lock.txt", _lines(REQUIREMENTS / "lock.in"), [], upgrade=upgrade)
    return 0


def _lines(source: Path) -> list[str]:
    stripped = (
        line.partition("#")[0].strip() for line in source.read_text(encoding="utf-8").splitlines()
    )
    return [line for line in stripped if line]


def _pin(name: str, wanted: Iterable[str], constraints: Sequence[str], *, upgrade: bool) -> None:
    """Resolve the wanted requirements into one pinned file, within the pins made before it."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "wanted.in"
        lines = [*wanted, *(f"-c {REQUIREMENTS / constraint}" for constraint in constraints)]
        source.write_text("\n".join(lines) + "\n", encoding="utf-8")
        command = [
            *(sys.executable, "-m", "piptools", "compile", "--quiet"),
            *("--generate-hashes", "--allow-unsafe", "--strip-extras", "--no-annotate"),
            *(
                "--no-emit-index-url",
                "--no-emit-trusted-host",
                "--no-emit-find-links",
                "--no-emit-options",
            ),
            *("--upgrade",) * upgrade,
            *("--output-file", str(REQUIREMENTS / name), str(source)),
        ]
        subprocess.run(command, check=True, env=_environment(), cwd=ROOT)
    print(f"requirements/{name}")


def _environment() -> dict[str, str]:
    """Return the environment without what adds packages of this machine; a mirror set as the index itself stays."""
    machine = {"PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_CONSTRAINT", "PIP_NO_INDEX"}
    kept = {name: value for name, value in os.environ.items() if name not in machine}
    return kept | {"PIP_CONFIG_FILE": os.devnull, "CUSTOM_COMPILE_COMMAND": "make lock"}


if __name__ == "__main__":
    sys.exit(main())
