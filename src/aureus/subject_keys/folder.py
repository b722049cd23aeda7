"""The built-in key store: a folder with a small file for each person.

    naming                                 the key that names are made with, wrapped
    <aa>/<place>                           a person's key, wrapped; aa are digits of the place
    <aa>/<place>.<mark>.retired            one that is about to be destroyed, which nobody is given any more

A place is made of an HMAC of the tenant and one of the person, under a key of its own that outlasts the master key: so
the folder does not tell whom it knows, and a key's identifier, ``<place>.<mark>``, stays when the master key is
replaced. The mark is random: a person who comes back after an erasure has another key. Files are written beside and
renamed, folders are synced, and whoever makes, destroys or wraps anew holds the lock of the sub-folder; readers need
none. The folder has to be on a file system that all processes see with locks that hold between them, as local ones do.

To destroy a key its file is renamed (it is retired: nobody is given it any more), overwritten and unlinked. What a
solid disk keeps in cells that are out of use, or a file system that copies on write, is beyond that; there the master
key protects it.
"""

from __future__ import annotations

import fcntl
import hmac
import os
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from aureus import key_files
from aureus.errors import ConfigInvalid, IntegrityFailure, Invalid, NotFound
from aureus.ids import RandomIds
from aureus.model.subject_keys import SubjectKey
from aureus.subject_keys.master import COMMAND, MasterFile

_TAG = "aureus-subject-key-1"
_NAMING = "naming"
_RETIRED = ".retired"
_TENANT_DIGITS = 8
_PERSON_DIGITS = 24
_MARK_BYTES = 8


class _Wrapped(NamedTuple):
    """What a file of the folder says."""

    master: str
    mark: str
    text: str


class KeyFolder:
    """Keys of people in a folder, under a master key elsewhere; for any number of threads and processes.

    Nothing is read or made before it is used. Every method may raise ``ConfigInvalid``, ``NotFound`` and ``Forbidden``
    for a folder or a master key that cannot be used, and ``IntegrityFailure`` for a key file that was changed.
    """

    def __init__(self, folder: Path, master: MasterFile) -> None:
        self._folder = folder
        self._master = master
        self._naming: bytes | None = None

    def get_or_create(self, tenant_id: str, subjects: Sequence[str]) -> Mapping[str, SubjectKey]:
        """Return the keys of these people, making those that are not there; see `SubjectKeys`."""
        return {
            subject: self._get_or_create(self._place(tenant_id, subject)) for subject in subjects
        }

    def get(self, tenant_id: str, key_ids: Sequence[str]) -> Mapping[str, SubjectKey]:
        """Return keys by their identifiers; those of other tenants are not there. See `SubjectKeys`."""
        tenant = self._tenant(tenant_id)
        found = (self._found(key_id) for key_id in key_ids if key_id.startswith(tenant))
        return {key.key_id: key for key in found if key is not None}

    def find(self, tenant_id: str, subject: str) -> Sequence[str]:
        """Return the identifiers of the keys of a person that are not destroyed; see `SubjectKeys`."""
        place = self._place(tenant_id, subject)
        with self._locked(place):
            found = [one.name.removesuffix(_RETIRED) for one in self._retired(place)]
            wrapped = self._read(place)
            return found if wrapped is None else [*found, f"{place}.{wrapped.mark}"]

    def retire(self, tenant_id: str, subject: str, key_id: str) -> None:
        """Hand a key out no more; see `SubjectKeys`."""
        place = self._place_of(tenant_id, subject, key_id)
        with self._locked(place):
            self._retire(place, key_id)

    def destroy(self, tenant_id: str, subject: str, key_id: str) -> None:
        """Destroy a key for good; see `SubjectKeys`."""
        place = self._place_of(tenant_id, subject, key_id)
        with self._locked(place):
            self._retire(place, key_id)
            retired = self._path(place).with_name(f"{key_id}{_RETIRED}")
            if retired.exists():
                _overwrite(retired)
                retired.unlink()
                key_files.sync_folder(retired.parent)

    def replace_master(self) -> int:
        """Wrap all keys under a new master key; return how many were wrapped anew.

        Others go on meanwhile, also with the old file in memory. Killed anywhere, it is simply repeated.
        """
        self._naming_key()  # also makes sure that the old master key is the one of this folder
        new = self._master.begin_replacing()
        count = 0
        for path in [self._folder / _NAMING, *self._files()]:
            with self._locked_folder(path.parent):
                wrapped = _parsed(path)
                if wrapped is None or wrapped.master == new.name:
                    continue
                what = _NAMING if path.name == _NAMING else f"{path.name}.{wrapped.mark}"
                key = self._master.key_named(wrapped.master).unwrapped(wrapped.text, what)
                key_files.replace(
                    path, f"{_TAG} {new.name} {wrapped.mark} {new.wrapped(key, what)}"
                )
                count += 1
        self._master.end_replacing()
        return count

    def count(self) -> int:
        """Return how many people have a key."""
        return sum(1 for _ in self._files())

    def check(self) -> None:
        """Raise what is wrong with the folder or its master key; make the folder where there is none."""
        self._naming_key()

    def _get_or_create(self, place: str) -> SubjectKey:
        wrapped = self._read(place)
        if wrapped is None:
            with self._locked(place):
                wrapped = self._read(place) or self._create(place)
        return self._key(place, wrapped)

    def _create(self, place: str) -> _Wrapped:
        ids = RandomIds()
        master = self._master.keys(anew=True)[0]  # under the lock: one that is being replaced waits
        mark = ids.salt()[:_MARK_BYTES].hex()
        wrapped = _Wrapped(master.name, mark, master.wrapped(ids.salt(), f"{place}.{mark}"))
        key_files.replace(self._path(place), " ".join((_TAG, *wrapped)))
        return wrapped

    def _found(self, key_id: str) -> SubjectKey | None:
        place, _, mark = key_id.partition(".")
        if len(place) != _TENANT_DIGITS + _PERSON_DIGITS or not place.isalnum():
            return None
        wrapped = self._read(place)
        return self._key(place, wrapped) if wrapped is not None and wrapped.mark == mark else None

    def _key(self, place: str, wrapped: _Wrapped) -> SubjectKey:
        key_id = f"{place}.{wrapped.mark}"
        master = self._master.key_named(wrapped.master)
        return SubjectKey(key_id, master.unwrapped(wrapped.text, key_id))

    def _tenant(self, tenant_id: str) -> str:
        return self._named("tenant", tenant_id)[:_TENANT_DIGITS]

    def _place(self, tenant_id: str, subject: str) -> str:
        person = self._named("person", f"{len(tenant_id)}:{tenant_id}{subject}")[:_PERSON_DIGITS]
        return self._tenant(tenant_id) + person

    def _named(self, kind: str, name: str) -> str:
        return hmac.new(self._naming_key(), f"{kind}\x00{name}".encode(), sha256).hexdigest()

    def _naming_key(self) -> bytes:
        if self._naming is None:
            path = self._folder / _NAMING
            wrapped = _parsed(path)
            if wrapped is None:
                with self._locked_folder(self._folder):
                    wrapped = _parsed(path)
                    if wrapped is None:
                        master = self._master.keys(anew=True)[0]
                        text = master.wrapped(RandomIds().salt(), _NAMING)
                        wrapped = _Wrapped(master.name, "0", text)
                        key_files.replace(path, " ".join((_TAG, *wrapped)))
            master = self._master.key_named(wrapped.master)
            self._naming = master.unwrapped(wrapped.text, _NAMING)
        return self._naming

    def _path(self, place: str) -> Path:
        return self._folder / place[-2:] / place

    def _read(self, place: str) -> _Wrapped | None:
        return _parsed(self._path(place))

    def _retired(self, place: str) -> list[Path]:
        return sorted(self._path(place).parent.glob(f"{place}.*{_RETIRED}"))

    def _place_of(self, tenant_id: str, subject: str, key_id: str) -> str:
        place = key_id.partition(".")[0]
        if place != self._place(tenant_id, subject):
            raise Invalid(f"{key_id!r} is no key of this person", what="key_id")
        return place

    def _retire(self, place: str, key_id: str) -> None:
        wrapped, path = self._read(place), self._path(place)
        if wrapped is not None and f"{place}.{wrapped.mark}" == key_id:
            path.rename(path.with_name(f"{key_id}{_RETIRED}"))
            key_files.sync_folder(path.parent)

    def _files(self) -> Iterator[Path]:
        for folder in sorted(self._folder.iterdir() if self._folder.exists() else ()):
            if folder.is_dir():
                names: Iterable[Path] = sorted(folder.iterdir())
                yield from (one for one in names if "." not in one.name)

    def _locked(self, place: str) -> AbstractContextManager[None]:
        return self._locked_folder(self._path(place).parent)

    @contextmanager
    def _locked_folder(self, folder: Path) -> Generator[None]:
        """Hold the lock of a sub-folder, which is made where it is missing."""
        try:
            for one in (self._folder, folder):
                if not one.exists():
                    one.mkdir(mode=0o700, parents=True, exist_ok=True)
                    key_files.sync_folder(one.parent)
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise _unusable(folder, error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _parsed(path: Path) -> _Wrapped | None:
    """Return what a file of the folder says; None when there is none."""
    try:
        text = key_files.read(path, made_by=COMMAND)
    except NotFound:
        return None
    match text.split():
        case [tag, master, mark, wrapped] if tag == _TAG:
            return _Wrapped(master, mark, wrapped)
        case _:
            raise IntegrityFailure(
                f"the key file {path.name} is damaged; restore it", path=str(path)
            )


def _overwrite(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(bytes(os.fstat(file.fileno()).st_size))
        file.flush()
        os.fsync(file.fileno())


def _unusable(path: Path, error: OSError) -> ConfigInvalid:
    return ConfigInvalid(
        f"the key folder {path} cannot be used: {error.strerror}. Name a folder that this user may use.",
        path=str(path),
    )
