"""Keys of people in memory, for a moment: so that a busy writer does not ask the key store with every entry.

Bounded in number and in time. What another process has destroyed is forgotten within ``KEPT_SECONDS``; a write under it
is refused by the database before that, which then has the key asked for anew (`aureus._database.drive`).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from aureus.clock import Clock
from aureus.errors import AureusError, SubjectKeysFailed
from aureus.model.subject_keys import SubjectKey
from aureus.subject_keys import SubjectKeys

KEPT_SECONDS = 30.0
"""How long a key stays in memory after it was asked for."""

KEPT_MAX = 4096
"""Keys that one client keeps, by name and by identifier together: half a megabyte."""

T = TypeVar("T")


class Keyring:
    """What an open database knows of a key store."""

    def __init__(self, keys: SubjectKeys, clock: Clock) -> None:
        self.keys = keys
        self._clock = clock
        self._kept: OrderedDict[tuple[str, str, str], tuple[SubjectKey, float]] = OrderedDict()
        self._lock = threading.Lock()

    def kept_of(self, tenant_id: str, subjects: Iterable[str]) -> dict[str, SubjectKey]:
        """Return those keys of people that are at hand, by name; it never waits."""
        return self._find("subject", tenant_id, subjects)

    def made_for(self, tenant_id: str, subjects: Iterable[str]) -> dict[str, SubjectKey]:
        """Return the keys of people from the key store, made where there are none. Raises ``SubjectKeysFailed``."""
        wanted = list(subjects)
        found = self._asked(lambda: self.keys.get_or_create(tenant_id, wanted))
        if any(not isinstance(found.get(subject), SubjectKey) for subject in wanted):
            raise SubjectKeysFailed("the key store did not give a key for each of the people")
        answer = {subject: found[subject] for subject in wanted}
        self._keep("subject", tenant_id, answer)
        self._keep("id", tenant_id, {key.key_id: key for key in answer.values()})
        return answer

    def kept(self, tenant_id: str, key_ids: Iterable[str]) -> dict[str, SubjectKey]:
        """Return those keys that are at hand, by identifier; it never waits."""
        return self._find("id", tenant_id, key_ids)

    def fetched(self, tenant_id: str, key_ids: Iterable[str]) -> dict[str, SubjectKey]:
        """Return keys from the key store, without those that are not there. Raises ``SubjectKeysFailed``."""
        wanted = list(key_ids)
        found = self._asked(lambda: self.keys.get(tenant_id, wanted))
        answer = {
            key_id: key
            for key_id in wanted
            if (key := found.get(key_id)) is not None and key.key_id == key_id
        }
        self._keep("id", tenant_id, answer)
        return answer

    def find(self, tenant_id: str, subject: str) -> list[str]:
        """Return the identifiers of a person's keys that are not destroyed. Raises ``SubjectKeysFailed``."""
        return list(self._asked(lambda: self.keys.find(tenant_id, subject)))

    def retire(self, tenant_id: str, subject: str, key_id: str) -> None:
        """Have a key handed out no more, and forget it. Raises ``SubjectKeysFailed``; repeat it then."""
        self._asked(lambda: self.keys.retire(tenant_id, subject, key_id))
        with self._lock:
            self._kept.clear()

    def destroy(self, tenant_id: str, subject: str, key_id: str) -> None:
        """Destroy a key, and forget it. Raises ``SubjectKeysFailed``; repeat it then."""
        try:
            self._asked(lambda: self.keys.destroy(tenant_id, subject, key_id))
        finally:
            with self._lock:
                self._kept.clear()

    def _find(self, kind: str, tenant_id: str, names: Iterable[str]) -> dict[str, SubjectKey]:
        now = self._clock.monotonic()
        found: dict[str, SubjectKey] = {}
        with self._lock:
            for name in names:
                key, until = self._kept.get((kind, tenant_id, name), (None, 0.0))
                if key is not None and now < until:
                    found[name] = key
        return found

    def _keep(self, kind: str, tenant_id: str, keys: Mapping[str, SubjectKey]) -> None:
        until = self._clock.monotonic() + KEPT_SECONDS
        with self._lock:
            for name, key in keys.items():
                self._kept.pop((kind, tenant_id, name), None)
                self._kept[kind, tenant_id, name] = (key, until)
            while len(self._kept) > KEPT_MAX:
                self._kept.popitem(last=False)

    def _asked(self, ask: Callable[[], T]) -> T:
        try:
            return ask()
        except AureusError:
            raise
        except Exception as error:
            raise SubjectKeysFailed(
                f"the key store failed: {type(error).__name__}: {error}; nothing was stored, repeat the call"
            ) from error
