"""Where the text of a workflow comes from, and what its scalars are."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from aureus import codec
from aureus.engine.definition import load_file, load_text, to_dict
from aureus.engine.definition.scalars import ScalarRefused, resolve
from aureus.errors import DefinitionInvalid, Invalid, LimitExceeded, NotFound

GOOD = b"tasks:\n  - id: a\n"


def write(folder: Path, content: bytes) -> Path:
    """Write a workflow file."""
    path = folder / "workflow.yaml"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    "content",
    [GOOD, b"\xef\xbb\xbf" + GOOD, GOOD.replace(b"\n", b"\r\n"), b"---\n" + GOOD + b"...\n"],
    ids=["plain", "byte_order_mark", "crlf", "document_markers"],
)
def test_ordinary_files_are_read(tmp_path: Path, content: bytes) -> None:
    loaded = load_file(write(tmp_path, content))
    assert [task.id for task in loaded.workflow.tasks] == ["a"]


@pytest.mark.parametrize(
    ("content", "line", "column", "message"),
    [
        (GOOD + b"    name: caf\xe9\n", 3, 14, "byte 30 (0xe9)"),
        (b"\xef\xbb\xbf" + GOOD + b"\xc3\xa9\xff", 3, 2, "byte 22 (0xff)"),
        (b"\xff\xfet\x00", 1, 1, "UTF-16"),
        (b"tasks: \xed\xa0\x80", 1, 8, "byte 7 (0xed)"),
    ],
    ids=["latin_1", "behind_a_byte_order_mark", "utf_16", "encoded_surrogate"],
)
def test_bytes_that_are_not_utf_8_are_refused_with_their_position(
    tmp_path: Path, content: bytes, line: int, column: int, message: str
) -> None:
    with pytest.raises(DefinitionInvalid) as caught:
        load_file(write(tmp_path, content))
    (problem,) = caught.value.problems
    assert (problem.line, problem.column) == (line, column)
    assert message in problem.message
    assert "UTF-8" in problem.remedy


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"there is no file .*nothing\.yaml\. Check the path"):
        load_file(tmp_path / "nothing.yaml")


def test_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="is a directory"):
        load_file(tmp_path)


def test_a_fifo_is_refused_without_waiting_for_its_writer(tmp_path: Path) -> None:
    path = tmp_path / "pipe.yaml"
    os.mkfifo(path)
    with pytest.raises(Invalid, match="not a regular file"):
        load_file(path)


def test_a_device_is_refused() -> None:
    with pytest.raises(Invalid, match="not a regular file"):
        load_file(Path(os.devnull))


@pytest.mark.parametrize("name", ["a\0b", "x" * 300], ids=["nul", "long"])
def test_a_name_that_no_file_can_have_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(Invalid, match="cannot be opened"):
        load_file(tmp_path / name)


def test_a_file_below_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="cannot be opened"):
        load_file(write(tmp_path, GOOD) / "more.yaml")


def test_a_file_that_may_not_be_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The refusal is made here: root, who runs many test machines, may read everything."""

    def refuse(*_: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(Invalid, match=r"Permission denied.*who may read it"):
        load_file(tmp_path / "workflow.yaml")


def test_a_disk_that_fails_while_reading_is_an_error_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, GOOD)

    def refuse(*_: object) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "read", refuse)
    with pytest.raises(Invalid, match=r"cannot be read: Input/output error"):
        load_file(path)


def test_one_megabyte_is_read_and_one_byte_more_is_refused(tmp_path: Path) -> None:
    padding = b"#" * (1024 * 1024 - len(GOOD) - 1)
    path = write(tmp_path, GOOD + padding + b"\n")
    assert path.stat().st_size == 1024 * 1024
    load_file(path)
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(LimitExceeded, match="1,048,576 bytes"):
        load_file(path)
    with pytest.raises(LimitExceeded):
        load_text(path.read_text(encoding="utf-8"), source="text")


def test_the_size_of_text_is_counted_in_bytes() -> None:
    with pytest.raises(LimitExceeded):
        load_text("# " + "é" * 600_000, source="text")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None), ("~", None), ("null", None), ("NULL", None),
        ("true", True), ("False", False), ("TRUE", True),
        ("NO", "NO"), ("yes", "yes"), ("on", "on"), ("Off", "Off"), ("y", "y"), ("nULL", "nULL"),
        ("0", 0), ("-0", 0), ("007", 7), ("+12", 12), ("0o17", 15), ("0x1F", 31), ("0b1", "0b1"),
        ("1_000", "1_000"), ("12:30:45", "12:30:45"), ("2024-01-01", "2024-01-01"),
        ("1.10", 1.1), ("1.", 1.0), (".5", 0.5), ("-1e3", -1000.0), ("1e", "1e"), (".", "."),
        ("+", "+"), ("1.2.3", "1.2.3"), ("٣", "٣"), ("a", "a"), ("=", "="), ("<<", "<<"),
        ("9223372036854775807", 2**63 - 1), ("-9223372036854775808", -(2**63)),
    ],
)  # fmt: skip
def test_plain_scalars_follow_the_core_schema(text: str, value: Any) -> None:
    resolved = resolve(text)
    assert (type(resolved), resolved) == (type(value), value)


@pytest.mark.parametrize(
    "text",
    [
        ".nan", ".NaN", ".inf", "-.INF", "1e400", "-1e999", "9223372036854775808", "0x" + "f" * 17,
        "1" * 5_000, "0o" + "7" * 9_000, "0." + "1" * 5_000,
    ],
)  # fmt: skip
def test_numbers_that_nothing_can_hold_are_refused(text: str) -> None:
    with pytest.raises(ScalarRefused):
        resolve(text)


def test_what_looks_like_a_number_stays_text_in_a_text_field() -> None:
    loaded = load_text("id: 007\nname: 1.10\ntasks: [{id: 12:30:45, name: NO}]\n", source="text")
    (task,) = loaded.workflow.tasks
    assert (loaded.workflow.id, loaded.workflow.name) == ("007", "1.10")
    assert (task.id, task.name) == ("12:30:45", "NO")


def test_unusual_ids_are_allowed_as_long_as_they_can_be_printed() -> None:
    ids = ["é", "a b", "日本", "../x", "a/b", "-", "x" * 128, "$", "😀"]
    text = "tasks:\n" + "".join(f'- id: "{task_id}"\n' for task_id in ids)
    assert [task.id for task in load_text(text, source="text").workflow.tasks] == ids


def test_a_key_may_have_256_characters() -> None:
    text = f"tasks: [{{id: a, inputs: {{{'k' * 256}: 1}}}}]"
    assert load_text(text, source="text").workflow.tasks[0].inputs == {"k" * 256: 1}


def test_sixty_levels_of_nesting_are_read() -> None:
    """The map of the file, the tasks, the task and its inputs are the first four of them."""
    value = load_text(f"tasks: [{{id: a, inputs: {{x: {'[' * 56}{']' * 56}}}}}]", source="text")
    codec.check(to_dict(value.workflow))


@pytest.mark.parametrize(("lists", "is_refused"), [(45, False), (46, True)])
def test_nesting_is_counted_through_aliases(lists: int, *, is_refused: bool) -> None:
    """Four levels down to the inputs, eleven of the alias, and the lists around it."""
    shared = "a: &a " + "[" * 10 + "{}" + "]" * 10
    text = f"tasks: [{{id: a, inputs: {{{shared}, b: {'[' * lists}*a{']' * lists}}}}}]"
    try:
        load_text(text, source="text")
    except DefinitionInvalid as error:
        refusal = str(error)
    else:
        refusal = ""
    assert ("60 levels" in refusal) is is_refused
