"""Key folders for tests: settings that name one, and key stores that do what a test wants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock

from aureus.errors import AlreadyExists
from aureus.ids import RandomIds
from aureus.model.subject_keys import SubjectKey
from aureus.subject_keys.folder import KeyFolder
from aureus.subject_keys.master import MasterFile


def subject_keys_in(directory: Path) -> dict[str, object]:
    """Return the settings of a key folder in a directory, with a master key beside it."""
    master = directory / "master.key"
    with suppress(AlreadyExists):
        MasterFile(master).create()
    return {
        "subject_keys.folder": str(directory / "keys"),
        "subject_keys.key_file": str(master),
    }


def key_folder_in(directory: Path) -> KeyFolder:
    """Return the key folder that these settings name."""
    return KeyFolder(directory / "keys", MasterFile(directory / "master.key"))


class MemoryKeys:
    """A key store of a caller: it keeps keys in memory, and counts what it is asked."""

    def __init__(self) -> None:
        self.keys: dict[tuple[str, str], SubjectKey] = {}
        self.retired: dict[tuple[str, str], list[str]] = {}
        self.asked: list[str] = []
        self.lock = Lock()

    def get_or_create(self, tenant_id: str, subjects: Sequence[str]) -> Mapping[str, SubjectKey]:
        self.asked.append("get_or_create")
        with self.lock:
            for subject in subjects:
                if (tenant_id, subject) not in self.keys:
                    ids = RandomIds()
                    self.keys[tenant_id, subject] = SubjectKey(ids.new(), ids.salt())
            return {subject: self.keys[tenant_id, subject] for subject in subjects}

    def get(self, tenant_id: str, key_ids: Sequence[str]) -> Mapping[str, SubjectKey]:
        self.asked.append("get")
        with self.lock:
            keys = list(self.keys.items())
        return {
            key.key_id: key
            for (tenant, _), key in keys
            if tenant == tenant_id and key.key_id in key_ids
        }

    def find(self, tenant_id: str, subject: str) -> Sequence[str]:
        key = self.keys.get((tenant_id, subject))
        retired = self.retired.get((tenant_id, subject), [])
        return [*retired, *([] if key is None else [key.key_id])]

    def retire(self, tenant_id: str, subject: str, key_id: str) -> None:
        with self.lock:
            key = self.keys.get((tenant_id, subject))
            if key is not None and key.key_id == key_id:
                del self.keys[tenant_id, subject]
                self.retired.setdefault((tenant_id, subject), []).append(key_id)

    def destroy(self, tenant_id: str, subject: str, key_id: str) -> None:
        self.retire(tenant_id, subject, key_id)
        self.retired[tenant_id, subject].remove(key_id)
