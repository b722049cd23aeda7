"""Standard input and files that hold no text or no JSON are refused by the name of the argument; no file is made."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from aureus.cli.main import aureus
from aureus.errors import Invalid

URL = {"AUREUS_DATABASE_URL": "sqlite:///aureus.db"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with files of all sorts."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "latin").write_bytes('{"a": "é"}'.encode("latin-1"))
    (tmp_path / "list").write_text("[1]")
    (tmp_path / "object").write_text('{"a": "é"}', encoding="utf-8")
    (tmp_path / "w.yaml").write_text("id: w\ninputs: {a: {default: 1}}\ntasks: [{id: t}]\n")
    return tmp_path


def called(*words: str, given: bytes = b"") -> Result:
    return CliRunner().invoke(aureus, list(words), env=URL, input=given)


ADD = ("memory", "add", "x", "--agent", "a")
APPEND = ("events", "append", "s", "t")

REFUSED = [
    (("memory", "add", "-", "--agent", "a"), b"caf\xe9", "TEXT, on standard input, is not UTF-8 from byte 3"),
    ((*APPEND, "-"), b'{"a": "\xff"}', "PAYLOAD, on standard input, is not UTF-8"),
    ((*APPEND, "-"), b"[1]", "PAYLOAD is no JSON object"),
    ((*APPEND, '{"a": NaN}'), b"", "PAYLOAD is not JSON"),
    ((*APPEND, "{}", "--metadata", "-"), b"{}", "--metadata is not JSON"),
    ((*ADD, "--content", "@latin"), b"", "--content: latin is not UTF-8 from byte 7"),
    ((*ADD, "--content", "@."), b"", "--content: . cannot be read: Is a directory"),
    ((*ADD, "--metadata", "@list"), b"", "--metadata is no JSON object"),
    ((*ADD, "--metadata", "@a\x00b"), b"", "--metadata: a\x00b cannot be read"),
    (("run", "w.yaml", "-i", "@latin"), b"", "-i: latin is not UTF-8"),
    (("run", "w.yaml", "-i", "@list"), b"", "-i is no JSON object"),
    (("run", "w.yaml", "-i", "@nowhere"), b"", "-i: nowhere cannot be read: No such file"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "given", "said"), REFUSED, ids=[said for *_, said in REFUSED])
def test_what_is_no_text_or_no_json_is_refused_by_its_name(
    folder: Path, words: tuple[str, ...], given: bytes, said: str
) -> None:
    done = called(*words, given=given)
    assert isinstance(done.exception, Invalid), done.exception
    assert said in done.exception.message
    assert not (folder / "aureus.db").exists()


def test_text_and_json_are_read_as_utf_8_from_all_of_them(folder: Path) -> None:
    assert (
        called("memory", "add", "-", "--agent", "a", "--id", "m", given="café".encode()).exit_code
        == 0
    )
    assert json.loads(called("memory", "show", "m", "--json").stdout)["text"] == "café"
    assert called(*APPEND, "-", given='{"a": "é"}'.encode()).exit_code == 0
    assert called(*APPEND, "@object", "--metadata", "@object").exit_code == 0
    lines = called("events", "read", "s", "--json").stdout.splitlines()
    assert [json.loads(line)["payload"] for line in lines] == [{"a": "é"}] * 2
