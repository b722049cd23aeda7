"""A copy of the file that was made before an erasure says nothing about the person, and proves what it proved."""

from __future__ import annotations

from pathlib import Path

import apsw

from aureus import Aureus
from tests.support.backends import settings_for
from tests.support.older_copies import check_readable, check_unreadable, write_entries
from tests.support.person import NAME, bytes_with_the_word
from tests.support.subject_keys import subject_keys_in


def opened(file: Path, folder: Path, heads: str = "heads") -> Aureus:
    """Open a database with the keys of a folder."""
    more = {"ledger.heads": str(folder / heads), **subject_keys_in(folder)}
    return Aureus(settings=settings_for(f"sqlite:///{file}", folder, **more))


def copied(file: Path, name: str) -> Path:
    """Return a copy of a database, as docs/howto/backup.md makes one."""
    copy = file.with_name(name)
    source = apsw.Connection(str(file))
    source.execute(f"VACUUM INTO '{copy}'")
    source.close()
    return copy


def test_a_copy_from_before_an_erasure_says_nothing_about_the_person(tmp_path: Path) -> None:
    file = tmp_path / "aureus.db"
    with opened(file, tmp_path) as client:
        event_id = write_entries(client)
        head = client.ledger.head().text()
        early, late = copied(file, "early.db"), copied(file, "late.db")
        with opened(early, tmp_path) as copy:
            check_readable(copy)
        assert client.erasure.erase(NAME, reason="request 17").unreadable_count == 4
    with opened(late, tmp_path, "heads of the copy") as copy:
        check_unreadable(copy, event_id, head)
        again = copy.erasure.erase(NAME, reason="request 17, in the copy")
        assert again.removed["event_payloads"] == 4
        found = copy.ledger.verify()
        assert (found.is_intact, found.redaction_count, found.withheld_count) == (True, 4, 0)


def test_no_file_holds_what_was_said_while_the_person_is_known(tmp_path: Path) -> None:
    with opened(tmp_path / "aureus.db", tmp_path) as client:
        write_entries(client)
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert {"aureus.db", "aureus.db-wal"} <= {path.name for path in files}
        assert [path for path in files if bytes_with_the_word(path.read_bytes())] == []
