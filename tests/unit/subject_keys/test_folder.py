"""The key folder: one key for each person, whoever asks first; destroyed for good; no name in any file."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from aureus.errors import (
    AlreadyExists,
    ConfigInvalid,
    Forbidden,
    IntegrityFailure,
    Invalid,
    NotFound,
)
from aureus.subject_keys.folder import KeyFolder
from aureus.subject_keys.master import MasterFile, MasterKey
from tests.support.killed_keys import is_killed
from tests.support.subject_keys import key_folder_in, subject_keys_in


@pytest.fixture
def folder(tmp_path: Path) -> KeyFolder:
    subject_keys_in(tmp_path)
    return key_folder_in(tmp_path)


def files_in(directory: Path) -> dict[str, bytes]:
    """Return what the key folder holds, by name."""
    keys = directory / "keys"
    return {
        str(path.relative_to(keys)): path.read_bytes() for path in keys.rglob("*") if path.is_file()
    }


def test_a_person_has_one_key_in_each_tenant(folder: KeyFolder, tmp_path: Path) -> None:
    found = folder.get_or_create("acme", ["ada", "bob"])
    other = folder.get_or_create("zeta", ["ada"])
    assert len({key.key for key in (*found.values(), *other.values())}) == 3
    assert key_folder_in(tmp_path).get_or_create("acme", ["ada"])["ada"] == found["ada"]
    key_ids = [key.key_id for key in found.values()]
    assert folder.get("acme", key_ids) == {key.key_id: key for key in found.values()}
    assert folder.get("zeta", key_ids) == {}
    assert folder.find("acme", "ada") == [found["ada"].key_id]
    assert folder.find("acme", "cleo") == []
    assert folder.count() == 3


def test_the_folder_does_not_tell_whom_it_knows_and_only_its_owner_may_read_it(
    folder: KeyFolder, tmp_path: Path
) -> None:
    key = folder.get_or_create("acme", ["ada"])["ada"]
    for name, content in files_in(tmp_path).items():
        assert "ada" not in name
        assert key.key not in content
        assert (tmp_path / "keys" / name).stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700


def first_key(directory: str) -> bytes:
    """Return the key of a person, in a process of its own."""
    return key_folder_in(Path(directory)).get_or_create("acme", ["ada"])["ada"].key


def test_threads_and_processes_that_race_for_the_first_key_get_one(tmp_path: Path) -> None:
    subject_keys_in(tmp_path)
    with ThreadPoolExecutor(4) as threads, get_context("spawn").Pool(3) as processes:
        others = processes.map_async(first_key, [str(tmp_path)] * 6)
        keys = set(threads.map(first_key, [str(tmp_path)] * 20))
        keys |= set(others.get(60))
    assert len(keys) == 1


def test_a_destroyed_key_is_gone_and_its_person_gets_another_one(
    folder: KeyFolder, tmp_path: Path
) -> None:
    key = folder.get_or_create("acme", ["ada"])["ada"]
    folder.destroy("acme", "ada", key.key_id)
    assert folder.get("acme", [key.key_id]) == {}
    assert folder.find("acme", "ada") == []
    assert set(files_in(tmp_path)) == {"naming"}
    other = folder.get_or_create("acme", ["ada"])["ada"]
    assert other.key_id != key.key_id
    folder.destroy("acme", "ada", key.key_id)
    assert folder.get_or_create("acme", ["ada"])["ada"] == other
    with pytest.raises(Invalid):
        folder.destroy("acme", "bob", other.key_id)


def test_a_retired_key_is_given_to_nobody_and_found_until_it_is_destroyed(
    folder: KeyFolder,
) -> None:
    old = folder.get_or_create("acme", ["ada"])["ada"]
    for _ in range(2):
        folder.retire("acme", "ada", old.key_id)
        assert folder.get("acme", [old.key_id]) == {}
    new = folder.get_or_create("acme", ["ada"])["ada"]
    assert folder.find("acme", "ada") == [old.key_id, new.key_id]
    folder.retire("acme", "ada", old.key_id)
    folder.destroy("acme", "ada", old.key_id)
    assert folder.find("acme", "ada") == [new.key_id]


@pytest.mark.parametrize("key_id", ["", ".", "../../naming", "x" * 32 + ".1", "naming.0"])
def test_what_is_no_identifier_of_ours_names_no_file(folder: KeyFolder, key_id: str) -> None:
    folder.get_or_create("acme", ["ada"])
    assert folder.get("acme", [key_id]) == {}
    tenant = folder._tenant("acme")
    assert folder.get("acme", [tenant + key_id]) == {}


def test_killed_anywhere_while_it_is_made_a_key_is_there_or_not(tmp_path: Path) -> None:
    step = 1
    while is_killed(prepared(tmp_path / str(step)), "create", step):
        folder = key_folder_in(tmp_path / str(step))
        key = folder.get_or_create("acme", ["ada"])["ada"]
        assert folder.get("acme", [key.key_id]) == {key.key_id: key}
        step += 1
    assert step > 4


def test_killed_anywhere_while_it_is_destroyed_a_key_is_whole_or_gone_and_repeating_ends_it(
    tmp_path: Path,
) -> None:
    step, states = 1, set()
    while True:
        directory = prepared(tmp_path / str(step))
        key = key_folder_in(directory).get_or_create("acme", ["ada"])["ada"]
        if not is_killed(directory, "destroy", step):
            break
        folder = key_folder_in(directory)
        there = folder.get("acme", [key.key_id])
        assert there in ({}, {key.key_id: key})
        states.add(bool(there))
        for key_id in folder.find("acme", "ada"):
            assert key_id == key.key_id
            folder.destroy("acme", "ada", key_id)
        assert folder.find("acme", "ada") == []
        assert set(files_in(directory)) == {"naming"}
        step += 1
    assert states == {True, False}


def test_killed_anywhere_while_the_master_key_is_replaced_every_key_is_read_and_repeating_ends_it(
    tmp_path: Path,
) -> None:
    step = 1
    while True:
        directory = prepared(tmp_path / str(step))
        keys = key_folder_in(directory).get_or_create("acme", ["ada", "bob"])
        old = (directory / "master.key").read_text()
        if not is_killed(directory, "rotate", step):
            break
        folder = key_folder_in(directory)
        assert folder.get_or_create("acme", ["ada", "bob"]) == keys
        folder.replace_master()
        check_replaced(directory, old)
        assert key_folder_in(directory).get_or_create("acme", ["ada", "bob"]) == keys
        step += 1
    assert step > 8
    check_replaced(directory, old)


def check_replaced(directory: Path, old: str) -> None:
    """See that the old master key is gone from its file, and wraps nothing any more."""
    new = (directory / "master.key").read_text()
    assert len(new.splitlines()) == 1
    name = MasterKey.from_line(new).name
    assert old not in new
    for content in files_in(directory).values():
        assert name in content.decode()


def prepared(directory: Path) -> Path:
    """Return a directory with a master key."""
    directory.mkdir()
    subject_keys_in(directory)
    return directory


def test_others_go_on_while_the_master_key_is_replaced(folder: KeyFolder, tmp_path: Path) -> None:
    key = folder.get_or_create("acme", ["ada"])["ada"]
    assert key_folder_in(tmp_path).replace_master() == 2
    assert folder.get("acme", [key.key_id]) == {key.key_id: key}
    made = folder.get_or_create("acme", ["bob"])["bob"]
    assert key_folder_in(tmp_path).get("acme", [made.key_id]) == {made.key_id: made}


def test_a_folder_and_a_master_key_that_do_not_belong_together_are_told(
    folder: KeyFolder, tmp_path: Path
) -> None:
    folder.get_or_create("acme", ["ada"])
    other = MasterFile(tmp_path / "other.key")
    other.create()
    with pytest.raises(ConfigInvalid, match="another key folder"):
        KeyFolder(tmp_path / "keys", other).get_or_create("acme", ["ada"])


def test_a_key_file_that_was_changed_or_swapped_is_told(folder: KeyFolder, tmp_path: Path) -> None:
    folder.get_or_create("acme", ["ada", "bob"])
    one, two = (tmp_path / "keys" / name for name in sorted(files_in(tmp_path)) if name != "naming")
    tag, master, mark, _ = one.read_text().split()
    stolen = two.read_text().split()[3]
    for text in (f"{tag} {master} {mark} {stolen}", f"{tag} {master} {mark} AAAA", "nothing"):
        one.write_text(text + "\n")
        with pytest.raises(IntegrityFailure):
            folder.get_or_create("acme", ["ada", "bob"])


def test_a_master_key_that_others_may_read_is_refused(folder: KeyFolder, tmp_path: Path) -> None:
    (tmp_path / "master.key").chmod(0o640)
    with pytest.raises(Forbidden, match="chmod 600"):
        folder.get_or_create("acme", ["ada"])


def test_a_missing_and_a_damaged_master_key_are_told_without_their_text(tmp_path: Path) -> None:
    master = MasterFile(tmp_path / "master.key")
    with pytest.raises(NotFound, match="subject-keys keygen"):
        master.keys()
    line = master.create().line()
    with pytest.raises(AlreadyExists):
        master.create()
    secret = line.split()[2]
    for text in (line[:-4], "x" * 50, "", line.replace("aureus", "other")):
        (tmp_path / "master.key").write_text(text)
        with pytest.raises(Invalid) as caught:
            master.keys(anew=True)
        assert secret[:10] not in str(caught.value)
    assert secret not in repr(MasterKey.from_line(line))


def test_a_folder_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    subject_keys_in(tmp_path)
    (tmp_path / "keys").write_text("a file")
    with pytest.raises(ConfigInvalid):
        key_folder_in(tmp_path).get_or_create("acme", ["ada"])


def test_a_copy_of_the_folder_without_the_master_key_opens_nothing(
    folder: KeyFolder, tmp_path: Path
) -> None:
    folder.get_or_create("acme", ["ada"])
    shutil.copytree(tmp_path / "keys", tmp_path / "stolen" / "keys")
    with pytest.raises(NotFound):
        key_folder_in(tmp_path / "stolen").get_or_create("acme", ["ada"])
