"""Notes about runs whose log may lag behind."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from aureus.runlog import Unsettled


def test_a_noted_run_is_found_until_it_is_settled(tmp_path: Path) -> None:
    notes = Unsettled(tmp_path / "run", "default")
    assert notes.run_ids() == []
    for run_id in ("r_1", "../x", "A" * 400, "tides-1"):
        notes.note(run_id)
        notes.note(run_id)
    assert sorted(notes.run_ids()) == sorted(["r_1", "../x", "A" * 400, "tides-1"])
    notes.settle("../x")
    notes.settle("../x")
    assert "../x" not in notes.run_ids()
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_tenants_do_not_see_each_others_notes(tmp_path: Path) -> None:
    Unsettled(tmp_path, "acme").note("r_1")
    assert Unsettled(tmp_path, "default").run_ids() == []
    assert Unsettled(tmp_path, "acme").run_ids() == ["r_1"]


def test_what_is_no_note_is_left_alone(tmp_path: Path) -> None:
    notes = Unsettled(tmp_path, "default")
    notes.note("r_1")
    (tmp_path / ".unsettled" / "else").write_bytes(b"\xff")
    (tmp_path / ".unsettled" / "folder").mkdir()
    assert notes.run_ids() == ["r_1"]


@given(
    run_id=st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=60)
)
def test_every_run_id_comes_back(run_id: str, tmp_path_factory: object) -> None:
    folder: Path = tmp_path_factory.mktemp("notes")  # type: ignore[attr-defined]  # pytest's factory
    notes = Unsettled(folder, "default")
    notes.note(run_id)
    assert notes.run_ids() == [run_id]
