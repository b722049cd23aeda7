"""Subject keys: what entries say about a person is encrypted under that person's key, so that destroying it is enough.

A database is copied: into backups, dumps, replicas and archived logs that no erasure reaches. Its keys are not in it.
They lie in a key store of their own, which is backed up apart and for less long, or not at all; with the key of a
person gone, what any copy holds of them under it cannot be read by anybody. Off by default: see the settings
``subject_keys``.

``envelopes`` says how a payload is encrypted, ``opening`` how rows are read again, ``folder`` is the built-in store
with its master key in ``master``, and ``keyring`` keeps keys in memory for a moment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from aureus.model.subject_keys import SubjectKey

__all__ = ["SubjectKey", "SubjectKeys"]


class SubjectKeys(Protocol):
    """A key store. Hand one in with ``Aureus(…, subject_keys=…)`` to keep keys in a service instead of a folder.

    It is called from any thread, often from several at once, and outside of transactions wherever that can be; whoever
    serves an event loop calls it in a thread. What it raises reaches the caller as ``SubjectKeysFailed``, and nothing
    is stored then. Keys must not lie where the database or its backups are.
    """

    def get_or_create(self, tenant_id: str, subjects: Sequence[str]) -> Mapping[str, SubjectKey]:
        """Return the keys of these people, by name, making those that are not there.

        All that ask for the same person get the same key, also when they ask for the first one in the same moment. A
        key that is returned has been stored durably before.
        """
        ...

    def get(self, tenant_id: str, key_ids: Sequence[str]) -> Mapping[str, SubjectKey]:
        """Return keys by their identifiers; those that are not there, or not any more, are left out."""
        ...

    def find(self, tenant_id: str, subject: str) -> Sequence[str]:
        """Return the identifiers of the keys of a person that are not destroyed: retired ones, and the one in use."""
        ...

    def retire(self, tenant_id: str, subject: str, key_id: str) -> None:
        """Hand a key out no more: whoever asks for the person gets another one. Repeating it is harmless.

        The erasure records the destruction then, and only when that is committed calls ``destroy``.
        """
        ...

    def destroy(self, tenant_id: str, subject: str, key_id: str) -> None:
        """Destroy a key for good, everywhere; return when that will outlast a crash. Repeating it is harmless.

        Another key that the person has got meanwhile stays.
        """
        ...
