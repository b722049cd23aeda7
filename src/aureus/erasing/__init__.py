"""``db.erasure``: removes what the database holds about a person, batch by batch, each on record.

A search and a batch take turns. The search is a read and locks nobody out; a batch is one transaction: it removes rows
of every kind, deletes the payloads of entries, and appends the entry that says so. Lines of run logs go before the
batch that erases their entries, so that an erasure that was killed is simply repeated: what it had not done is found
again, and what it had done is found no more. At the end the postings of the text index are written anew, and the
places on the disk where rows had been are overwritten where that can be done.

Where entries are encrypted the person's key goes first. The key store retires it: whoever asks gets a new one. Then its
destruction is recorded, in a transaction of its own: from that commit on the database refuses what is encrypted under
it, so that no writer with the key in memory stores what nobody will read. Then the key store destroys it, and then the
search begins, which finds what was written under it. Killed anywhere, a repetition finds the retired key, and no second
record is written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aureus._database.database import AsyncRunner, Runner
from aureus._database.drive import Call
from aureus._database.operation import AsyncStore, Store
from aureus.erasing.batches import DEFAULT_ACTOR, ErasureOperations
from aureus.erasing.requests import NamedKey, NamedSession, checked_id, checked_request
from aureus.model.erasures import Erasure, Scrub, Tally
from aureus.stores.memories import AsyncMemoryStore, MemoryStore
from aureus.subject_keys.keyring import Keyring

__all__ = [
    "AsyncErasureStore",
    "Beyond",
    "ErasureOperations",
    "ErasureStore",
    "NamedKey",
    "NamedSession",
]


@dataclass(frozen=True, slots=True)
class Beyond:
    """What an erasure does outside the database's transactions; wired in by the client."""

    redact: Callable[[str, str, Sequence[int]], int]
    """Takes the data of lines of a run's log away, by tenant, run and version; returns how many had any."""
    scrub: Callable[[bool | None], Scrub]
    """Overwrites the places on the disk where deleted rows had been; None leaves it to the engine whether."""
    keyring: Keyring | None = None
    """The keys of people, where what entries say is encrypted."""

    def find_keys(self, tenant_id: str, subject: str) -> list[str]:
        """Return the keys of a person that are to be destroyed."""
        return [] if self.keyring is None else self.keyring.find(tenant_id, subject)

    def retire_key(self, tenant_id: str, subject: str, key_id: str) -> None:
        """Let nobody be given a key any more."""
        if self.keyring is not None:
            self.keyring.retire(tenant_id, subject, key_id)

    def destroy_key(self, tenant_id: str, subject: str, key_id: str) -> None:
        """Destroy a key whose destruction is on record."""
        if self.keyring is not None:
            self.keyring.destroy(tenant_id, subject, key_id)


_DRY = Scrub(is_done=False)

_INSIDE = Scrub(
    is_done=False,
    to_do=(
        "erase again outside a transaction: run logs, the places of deleted rows and the person's key are left",
    ),
)


class ErasureStore(Store, ErasureOperations):
    """Erasing people of one tenant."""

    def __init__(self, runner: Runner, call: Call, beyond: Beyond | None = None) -> None:
        """Carry calls out on a runner; without ``beyond`` nothing outside the transaction is touched."""
        super().__init__(runner, call)
        self._beyond = beyond
        self._memories = MemoryStore(runner, call)

    def erase(
        self,
        subject: str,
        *,
        reason: str,
        actor: str = DEFAULT_ACTOR,
        sessions: Sequence[NamedSession] = (),
        streams: Sequence[str] = (),
        runs: Sequence[str] = (),
        world_state: Sequence[NamedKey] = (),
        erasure_id: str | None = None,
        dry_run: bool = False,
        scrub: bool | None = None,
    ) -> Erasure:
        """Remove what the database holds about a person, and return what was removed where.

        The person is whoever was named so as the user or the subject of memories, profiles, hypotheses and events.
        ``sessions``, ``streams``, ``runs`` that have ended and keys of the ``world_state`` are erased with them as a
        whole. Entries keep their place and their hash and lose salt, payload and metadata. Batch by batch, each atomic
        and each recorded by an event of ``erasures/<erasure_id>`` that names the person by a keyed hash only; so
        neither ``reason`` nor ``actor`` may hold the name. Repeating it is harmless and goes on where a killed one
        broke off.

        ``scrub`` says whether the file is compacted afterwards; by default on SQLite and not on PostgreSQL, where it
        locks tables and the report says what to run instead. With ``dry_run`` nothing is changed. Raises ``Invalid``,
        and ``IllegalTransition`` when a run has not ended.
        """
        request = checked_request(subject, reason, actor, sessions, streams, runs, world_state)
        tally = Tally(request, checked_id(erasure_id) or self._new_erasure_id(), dry_run)
        key_ids = self._found_keys(tally)
        while not tally.place.is_end:
            targets = self.find(request, tally.place)
            if key_ids and not dry_run:
                for key_id in key_ids:
                    self._destroy_key(tally, key_id, reason, actor)
                key_ids = []
                continue  # what was written under the key in the meantime is found by a search that begins now
            tally.found(targets)
            if dry_run or targets.is_empty:
                continue
            for run_id, versions in targets.run_versions().items():
                tally.run_log_lines[run_id] += self._redact(run_id, versions)
            tally.erased(
                self.erase_batch(
                    request, targets, erasure_id=tally.erasure_id, reason=reason, actor=actor
                )
            )
        if dry_run:
            return tally.report(_DRY)
        self._memories.index(drops_dead=True)
        return tally.report(_INSIDE if self._beyond is None else self._beyond.scrub(scrub))

    def _found_keys(self, tally: Tally) -> list[str]:
        if self._beyond is None:
            return []
        key_ids = self._beyond.find_keys(self._call.tenant_id, tally.request.subject)
        tally.found_keys(key_ids)
        return key_ids

    def _destroy_key(self, tally: Tally, key_id: str, reason: str, actor: str) -> None:
        if self._beyond is None:
            return
        request = tally.request
        self._beyond.retire_key(self._call.tenant_id, request.subject, key_id)
        tally.erased(
            self.record_key(
                request, key_id, erasure_id=tally.erasure_id, reason=reason, actor=actor
            )
        )
        self._beyond.destroy_key(self._call.tenant_id, request.subject, key_id)
        tally.destroyed(key_id)

    def _redact(self, run_id: str, versions: Sequence[int]) -> int:
        if self._beyond is None:
            return 0
        return self._beyond.redact(self._call.tenant_id, run_id, versions)


class AsyncErasureStore(AsyncStore, ErasureOperations):
    """Erasing people of one tenant, awaited."""

    def __init__(self, runner: AsyncRunner, call: Call, beyond: Beyond | None = None) -> None:
        """Carry calls out on a runner; without ``beyond`` nothing outside the transaction is touched."""
        super().__init__(runner, call)
        self._beyond = beyond
        self._memories = AsyncMemoryStore(runner, call)

    async def erase(
        self,
        subject: str,
        *,
        reason: str,
        actor: str = DEFAULT_ACTOR,
        sessions: Sequence[NamedSession] = (),
        streams: Sequence[str] = (),
        runs: Sequence[str] = (),
        world_state: Sequence[NamedKey] = (),
        erasure_id: str | None = None,
        dry_run: bool = False,
        scrub: bool | None = None,
    ) -> Erasure:
        """Remove what the database holds about a person; as ``ErasureStore.erase``."""
        request = checked_request(subject, reason, actor, sessions, streams, runs, world_state)
        chosen = checked_id(erasure_id) or await self._new_erasure_id()
        tally = Tally(request, chosen, dry_run)
        key_ids = await self._found_keys(tally)
        while not tally.place.is_end:
            targets = await self.find(request, tally.place)
            if key_ids and not dry_run:
                for key_id in key_ids:
                    await self._destroy_key(tally, key_id, reason, actor)
                key_ids = []
                continue  # what was written under the key in the meantime is found by a search that begins now
            tally.found(targets)
            if dry_run or targets.is_empty:
                continue
            for run_id, versions in targets.run_versions().items():
                tally.run_log_lines[run_id] += await self._redact(run_id, versions)
            tally.erased(
                await self.erase_batch(
                    request, targets, erasure_id=chosen, reason=reason, actor=actor
                )
            )
        if dry_run:
            return tally.report(_DRY)
        await self._memories.index(drops_dead=True)
        if self._beyond is None:
            return tally.report(_INSIDE)
        return tally.report(await asyncio.to_thread(self._beyond.scrub, scrub))

    async def _found_keys(self, tally: Tally) -> list[str]:
        if self._beyond is None:
            return []
        tenant_id, subject = self._call.tenant_id, tally.request.subject
        key_ids = await asyncio.to_thread(self._beyond.find_keys, tenant_id, subject)
        tally.found_keys(key_ids)
        return key_ids

    async def _destroy_key(self, tally: Tally, key_id: str, reason: str, actor: str) -> None:
        if self._beyond is None:
            return
        request, tenant_id = tally.request, self._call.tenant_id
        await asyncio.to_thread(self._beyond.retire_key, tenant_id, request.subject, key_id)
        tally.erased(
            await self.record_key(
                request, key_id, erasure_id=tally.erasure_id, reason=reason, actor=actor
            )
        )
        await asyncio.to_thread(self._beyond.destroy_key, tenant_id, request.subject, key_id)
        tally.destroyed(key_id)

    async def _redact(self, run_id: str, versions: Sequence[int]) -> int:
        if self._beyond is None:
            return 0
        tenant_id = self._call.tenant_id
        return await asyncio.to_thread(self._beyond.redact, tenant_id, run_id, versions)
