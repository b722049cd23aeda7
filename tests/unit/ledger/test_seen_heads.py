"""The last heads seen lie outside the database, never go back by themselves, and survive what happens to files."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from aureus.errors import ConfigInvalid, IntegrityFailure
from aureus.ledger.seen_heads import SeenHead, SeenHeads, default_folder
from aureus.model.heads import Head, is_same_ledger, origin_of
from aureus.model.merkle import Tree

KEY = "0123456789abcdef0123456789abcdef"


def head(size: int, root: bytes = bytes(32)) -> Head:
    return Head(f"aureus/{KEY}", size, root)


def tree(size: int) -> Tree:
    made = Tree()
    made.extend([bytes(32)] * size)
    return made


def test_a_head_comes_back(tmp_path: Path) -> None:
    seen = SeenHeads(tmp_path / "new" / "folder")
    assert seen.get(KEY) is None
    assert seen.keep(KEY, SeenHead(head(5), "note", tree(3)), None)
    found = SeenHeads(tmp_path / "new" / "folder").get(KEY)
    assert found is not None
    assert (found.head, found.note) == (head(5), "note")
    assert found.verified is not None
    assert (found.verified.size, found.verified.root()) == (3, tree(3).root())


def test_it_never_goes_back_by_itself(tmp_path: Path) -> None:
    seen = SeenHeads(tmp_path)
    seen.keep(KEY, SeenHead(head(5)), None)
    assert seen.keep(KEY, SeenHead(head(4)), SeenHead(head(5)))
    assert seen.get(KEY) == SeenHead(head(5))
    seen.accept(KEY, SeenHead(head(4)))
    assert seen.get(KEY) == SeenHead(head(4))


def test_what_the_new_head_does_not_know_stays(tmp_path: Path) -> None:
    seen = SeenHeads(tmp_path)
    assert seen.keep(KEY, SeenHead(head(5), "note", tree(3)), None)
    seen.keep(KEY, SeenHead(head(5)), None)
    found = seen.get(KEY)
    assert found is not None
    assert found.note == "note"
    assert seen.keep(KEY, SeenHead(head(6), None, tree(2)), found)
    found = seen.get(KEY)
    assert found is not None
    assert found.note is None, "the note was about another head"
    assert found.verified is not None
    assert found.verified.size == 3


def test_a_head_that_somebody_else_kept_meanwhile_is_not_written_over(tmp_path: Path) -> None:
    seen = SeenHeads(tmp_path)
    proved = SeenHead(head(5))
    assert seen.keep(KEY, proved, None)
    other = SeenHead(head(6, bytes([1]) * 32))
    assert seen.keep(KEY, other, proved)
    for late in (SeenHead(head(6)), SeenHead(head(7)), SeenHead(head(4))):
        assert not seen.keep(KEY, late, proved)
        assert not seen.keep(KEY, late, None)
    assert seen.get(KEY) == other
    assert seen.keep(KEY, replace(other, note="note"), None), "the same head needs no proof"
    assert seen.get(KEY) == replace(other, note="note")


def test_ledgers_are_kept_apart(tmp_path: Path) -> None:
    seen = SeenHeads(tmp_path)
    seen.keep(KEY, SeenHead(head(5)), None)
    assert seen.get("f" * 32) is None


def test_of_many_writers_the_largest_head_stays(tmp_path: Path) -> None:
    def keep(size: int) -> None:
        seen = SeenHeads(tmp_path)
        while not seen.keep(KEY, SeenHead(head(size)), seen.get(KEY)):
            pass

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(keep, [size * 7 % 40 + 1 for size in range(40)]))
    found = SeenHeads(tmp_path).get(KEY)
    assert found is not None
    assert found.head.size == 40
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".lock"}


@pytest.mark.parametrize("key", ["", "../etc", "a/b", "G" * 32, "f" * 65])
def test_a_key_that_a_database_made_up_names_no_file(tmp_path: Path, key: str) -> None:
    with pytest.raises(IntegrityFailure):
        SeenHeads(tmp_path).keep(key, SeenHead(head(1)), None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"head": 1, "note": null, "verified": null}']
)
def test_a_damaged_file_is_not_taken_for_nothing(tmp_path: Path, content: str) -> None:
    (tmp_path / f"{KEY}.json").write_text(content)
    with pytest.raises(IntegrityFailure):
        SeenHeads(tmp_path).get(KEY)


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigInvalid, match=r"ledger\.heads"):
        SeenHeads(tmp_path / "file").keep(KEY, SeenHead(head(1)), None)
    (tmp_path / f"{KEY}.json").write_bytes(b"\xff")
    with pytest.raises(ConfigInvalid, match="no text"):
        SeenHeads(tmp_path).get(KEY)


def test_the_folder_is_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert default_folder({"XDG_STATE_HOME": str(tmp_path)}) == tmp_path / "aureus" / "heads"
    monkeypatch.setenv("HOME", str(tmp_path))
    expected = tmp_path / ".local" / "state" / "aureus" / "heads"
    assert default_folder({}) == default_folder({"XDG_STATE_HOME": "relative"}) == expected


def test_an_accepted_restore_is_the_same_ledger_and_another_origin() -> None:
    first, second = origin_of("a.b", KEY, 1), origin_of("a.b", KEY, 2)
    assert (first, second) == (f"a.b/{KEY}", f"a.b/{KEY}.2")
    assert is_same_ledger(first, second)
    assert is_same_ledger(first, origin_of("renamed/ledger", KEY, 1))
    assert not is_same_ledger(first, origin_of("a.b", "f" * 32, 1))
    assert not is_same_ledger("a.2", "a.3")
    assert is_same_ledger("a.2", "a.2")
