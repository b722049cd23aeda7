"""The last heads that were seen, kept outside the database: what a database cannot take back by being restored.

One small file for each ledger, in a folder that belongs to the user or the host; it is named by the tenant's key, so
that a new database begins with nothing. A file never goes back to a smaller head, except by `accept`. Writing is a
rename behind a sync, one writer at a time; a torn write leaves the file before.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aureus.codec import encode_made
from aureus.errors import AureusError, ConfigInvalid, IntegrityFailure
from aureus.ledger.lines import json_object
from aureus.model.heads import Head
from aureus.model.merkle import Tree

_KEY = re.compile(r"[0-9a-f]{8,64}")


@dataclass(frozen=True, slots=True)
class SeenHead:
    """A head as it was last seen, and how far the ledger was verified then."""

    head: Head
    note: str | None = None
    """The head with its signatures, when it was signed."""
    verified: Tree | None = None
    """The tree up to which everything was verified."""

    def to_dict(self) -> dict[str, Any]:
        """Return what the file holds."""
        tree = self.verified
        return {
            "head": self.head.text(),
            "note": self.note,
            "verified": None
            if tree is None
            else {"size": tree.size, "peaks": tree.to_bytes().hex()},
        }


def default_folder(environ: Mapping[str, str]) -> Path:
    """Return where heads are kept when nothing says otherwise: the user's folder for state.

    Raises ``ConfigInvalid`` where there is no home.
    """
    state = environ.get("XDG_STATE_HOME") or ""
    if Path(state).is_absolute():
        return Path(state) / "aureus" / "heads"
    try:
        return Path.home() / ".local" / "state" / "aureus" / "heads"
    except RuntimeError as error:
        raise ConfigInvalid(
            "there is no home directory to keep the last heads in; name a folder with the setting ledger.heads"
        ) from error


class SeenHeads:
    """The files of a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, tenant_key: str) -> SeenHead | None:
        """Return what was last seen of a ledger; None for one never seen. Raises ``IntegrityFailure``."""
        path = self._path(tenant_key)
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise _unusable(path, error) from error
        value = json_object(text, str(path))
        try:
            tree = value["verified"]
            return SeenHead(
                Head.from_text(value["head"]),
                value["note"],
                None
                if tree is None
                else Tree.from_bytes(tree["size"], bytes.fromhex(tree["peaks"])),
            )
        except (KeyError, TypeError, ValueError, AttributeError, AureusError) as error:
            raise IntegrityFailure(
                f"{path} is damaged, and what was seen last is not known"
            ) from error

    def keep(self, tenant_key: str, seen: SeenHead, proved: SeenHead | None) -> bool:
        """Keep a head that was proved to go on from ``proved``, the one that was kept when the caller looked.

        False, and nothing is kept, when there is another one by now: from that one nothing was proved. A smaller head
        than the one kept changes nothing. What the new one does not know, a note for the same head and how far it was
        verified, stays.
        """
        with self._locked(tenant_key):
            before = self.get(tenant_key)
            if before is None:
                self._write(tenant_key, seen)
                return True
            same = before.head == seen.head
            if not same and (proved is None or proved.head != before.head):
                return False
            if before.head.size > seen.head.size:
                return True
            note = seen.note or (before.note if same else None)
            verified = _larger(seen.verified, before.verified)
            self._write(tenant_key, SeenHead(seen.head, note, verified))
            return True

    def accept(self, tenant_key: str, seen: SeenHead) -> None:
        """Keep a head whatever was kept before: somebody has decided that history goes on from here."""
        with self._locked(tenant_key):
            self._write(tenant_key, seen)

    def _path(self, tenant_key: str) -> Path:
        if _KEY.fullmatch(tenant_key) is None:
            raise IntegrityFailure(
                "the key of this ledger is none that Aureus made; it was changed"
            )
        return self._folder / f"{tenant_key}.json"

    @contextmanager
    def _locked(self, tenant_key: str) -> Generator[None]:
        path = self._path(tenant_key).with_suffix(".lock")
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise _unusable(path, error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _write(self, tenant_key: str, seen: SeenHead) -> None:
        path = self._path(tenant_key)
        new = path.with_suffix(".new")
        try:
            with new.open("w", encoding="utf-8") as file:
                file.write(encode_made(seen.to_dict()) + "\n")
                file.flush()
                os.fsync(file.fileno())
            new.replace(path)
            folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise _unusable(path, error) from error


def _larger(one: Tree | None, two: Tree | None) -> Tree | None:
    if one is None or two is None:
        return one or two
    return one if one.size >= two.size else two


def _unusable(path: Path, error: Exception) -> ConfigInvalid:
    reason = error.strerror if isinstance(error, OSError) else "it is no text"
    return ConfigInvalid(
        f"the last head seen cannot be kept in {path}: {reason}. Name another folder with the setting ledger.heads.",
        path=str(path),
    )
