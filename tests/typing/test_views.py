"""mypy and pyright infer the three views of an operation, and object to a misspelt keyword."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
VIEWS = Path(__file__).with_name("views.py")

CHECKERS = {
    "mypy": ["mypy", "--config-file", "pyproject.toml", "--no-error-summary", "--cache-dir"],
    "pyright": ["basedpyright", "--pythonpath", sys.executable],
}
"""Modules with their arguments; mypy's last one is a folder of the test's own."""

_EXPECTED = re.compile(r"assert_type\((?P<what>.+?\)|\w+|await \w+), (?P<type>.+)\)$", re.MULTILINE)
_IGNORED = re.compile(r"  # type: ignore.*")
_ERROR = re.compile(r"(?P<file>[\w./-]+\.py):(?P<line>\d+)(?::\d+)?(?: -|:) error:")


@pytest.mark.parametrize("checker", CHECKERS)
def test_the_types_of_the_views_are_the_expected_ones_and_no_others(
    tmp_path: Path, checker: str
) -> None:
    wrong, lines = with_wrong_expectations(VIEWS.read_text(encoding="utf-8"))
    copy = tmp_path / "wrong_views.py"
    copy.write_text(wrong, encoding="utf-8")
    arguments = CHECKERS[checker] + [str(tmp_path / "cache")] * (checker == "mypy")
    done = subprocess.run(
        [sys.executable, "-m", *arguments, str(VIEWS), str(copy)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    found = {
        (Path(error["file"]).name, int(error["line"])) for error in _ERROR.finditer(done.stdout)
    }
    assert found == {(copy.name, line) for line in lines}, done.stdout + done.stderr


def with_wrong_expectations(text: str) -> tuple[str, set[int]]:
    """Return a text whose expected types and silenced mistakes are all errors, and the lines of them."""
    changed = _IGNORED.sub("", _EXPECTED.sub(r"assert_type(\g<what>, list[\g<type>])", text))
    pairs = zip(text.splitlines(), changed.splitlines(), strict=True)
    lines = {number for number, (before, after) in enumerate(pairs, 1) if before != after}
    assert len(lines) == 8
    return changed, lines
