"""``db.erasure``: removes what the database holds about a person, batch by batch, each on record.

A search and a batch take turns. The search is a read and locks nobody out; a batch is one transaction: it removes rows
of every kind, deletes the payloads of entries, and appends the entry that says so. Lines of run logs go before the
batch that erases their entries, so that an erasure that was killed is simply repeated: what it had not done is found
again, and what it had done is found no more. At the end the postings of the text index are written anew, and the
places on the disk where rows had been are overwritten where that can be done.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from aureus._database.database import AsyncRunner, Runner
from aureus._database.drive import Call
from aureus._database.operation import AsyncStore, Operations, Store, read, write
from aureus._database.statement import Op, new_id
from aureus.codec import check_name, check_text
from aureus.errors import Invalid, LimitExceeded
from aureus.model.erasures import (
    NAMED_MAX,
    REASON_CHARACTERS_MAX,
    Erasure,
    ErasureRecord,
    ErasureRequest,
    Place,
    Scrub,
    Tally,
    Targets,
    record_fact,
)
from aureus.model.events import STREAM_CHARACTERS_MAX, SUBJECT_BYTES_MAX
from aureus.model.hypotheses import stream_of as hypothesis_stream_of
from aureus.model.sessions import ID_BYTES_MAX, SessionName
from aureus.stores import erasures as entries
from aureus.stores.hypotheses import erase_hypotheses, list_subject_hypotheses
from aureus.stores.memories import AsyncMemoryStore, MemoryStore
from aureus.stores.memories import erasing as memories
from aureus.stores.profiles import erase_profile, has_profile
from aureus.stores.sessions.erasing import erase_session, is_session_known
from aureus.stores.snapshots.rows import erase_captured_session, is_session_captured

BATCH_MAX = 250
"""Memories, versions and hypotheses of one batch; each is several rows, and SQLite's other writers wait for all."""

SESSIONS_BATCH = 5
"""Sessions of one batch: each takes four statements, and may have a long history."""

STREAMS_BATCH = 30
"""Streams that one search looks into."""

DEFAULT_ACTOR: Final = "aureus"

NamedSession = tuple[str, str] | tuple[str, str, str]
"""An agent, a session, and the collection where it is not ``sessions``."""


class ErasureOperations(Operations):
    """The search for what is to be erased, and the batches that erase it."""

    @read
    def find(self, request: ErasureRequest, place: Place) -> Op[Targets]:
        """Return what is to be erased next, some of each kind, and where the search goes on.

        Reads every memory of the tenant once in all, because no index holds those that are not live.
        """
        targets, place = yield from _found_memories(request, Targets(place))
        hypothesis_ids: Sequence[str] = ()
        if place.hypothesis_id is not None:
            hypothesis_ids = yield from list_subject_hypotheses(
                request.subject, after_id=place.hypothesis_id, limit=BATCH_MAX
            )
            ended = len(hypothesis_ids) < BATCH_MAX
            place = replace(place, hypothesis_id=None if ended else hypothesis_ids[-1])
        sessions: list[SessionName] = []
        if place.session is not None:
            end = place.session + SESSIONS_BATCH
            for name in request.sessions[place.session : end]:
                if (yield from is_session_known(name)) or (yield from is_session_captured(name)):
                    sessions.append(name)  # noqa: PERF401 - a comprehension cannot yield
            place = replace(place, session=end if end < len(request.sessions) else None)
        if place.has_profile is None:
            there = yield from has_profile(request.subject)
            streams = yield from entries.list_streams(
                request.own_streams()[:STREAMS_BATCH], "memories", request.memory_stream_ending()
            )
            rest = request.own_streams()[STREAMS_BATCH:]
            place = replace(place, has_profile=there, streams=(*streams, *rest))
            targets = replace(targets, has_profile=there)
        streams = [hypothesis_stream_of(one) for one in hypothesis_ids]
        place = replace(place, streams=(*place.streams, *streams))
        targets = replace(
            targets, hypothesis_ids=tuple(hypothesis_ids), sessions=tuple(sessions), place=place
        )
        return (yield from _found_entries(request, targets))

    @write
    def erase_batch(
        self,
        request: ErasureRequest,
        targets: Targets,
        *,
        erasure_id: str,
        reason: str,
        actor: str = DEFAULT_ACTOR,
        record_id: str | None = None,
    ) -> Op[ErasureRecord | None]:
        """Remove what a search has found and what still is so, and record it; return the record.

        Atomic. None, and no record, when nothing was left. Repeating it with the same ``record_id`` returns the record
        and removes nothing. Raises ``Conflict``.
        """
        chosen = record_id or (yield from new_id())
        yield from entries.lock_erasures()
        earlier = yield from entries.find_record(chosen)
        if earlier is not None:
            return earlier
        removed = yield from _removed_rows(request, targets, chosen)
        entry_nos = [entry.entry_no for entry in targets.entries]
        payloads = yield from entries.list_payloads(entry_nos)
        removed["event_payloads"] = len(payloads)
        removed["event_subjects"] = yield from entries.forget_subject(request.subject, entry_nos)
        removed = Counter({table: count for table, count in removed.items() if count})
        if not removed:
            return None
        fact = record_fact(
            request,
            erasure_id=erasure_id,
            record_id=chosen,
            reason=reason,
            actor=actor,
            removed=removed,
            entries=payloads,
        )
        yield from entries.erase_payloads(
            payloads, erasure_id=erasure_id, record_id=chosen, fact=fact
        )
        return ErasureRecord(chosen, dict(removed), tuple(entry_no for entry_no, _ in payloads))

    @write
    def _new_erasure_id(self) -> Op[str]:
        """Return an identifier for an erasure; nothing is written."""
        return (yield from new_id())


def _found_memories(request: ErasureRequest, targets: Targets) -> Op[tuple[Targets, Place]]:
    place = targets.place
    if place.memory_id is not None:
        found = yield from memories.list_subject_memories(
            request.subject, after_id=place.memory_id, limit=BATCH_MAX
        )
        ended = len(found) < BATCH_MAX
        place = replace(place, memory_id=None if ended else found[-1].memory_id)
        targets = replace(
            targets,
            memory_ids=tuple(one.memory_id for one in found),
            named_sessions=tuple(
                dict.fromkeys(
                    SessionName(one.agent_id, one.session_id) for one in found if one.session_id
                )
            ),
        )
    if place.version is not None:
        versions = yield from memories.list_subject_versions(
            request.subject, after=place.version, limit=BATCH_MAX
        )
        place = replace(place, version=None if len(versions) < BATCH_MAX else versions[-1])
        targets = replace(targets, memory_versions=tuple(versions))
    return targets, place


def _found_entries(request: ErasureRequest, targets: Targets) -> Op[Targets]:
    """Find entries by the person first, and then by the streams that are theirs."""
    place = targets.place
    found = list(targets.entries)
    if place.entry_no is not None:
        found = yield from entries.list_subject_entries(
            request.subject, after_no=place.entry_no, limit=entries.ENTRIES_MAX
        )
        ended = len(found) < entries.ENTRIES_MAX
        place = replace(place, entry_no=None if ended else found[-1].entry_no)
    looked_at = 0
    while (
        place.entry_no is None
        and place.stream < len(place.streams)
        and looked_at < STREAMS_BATCH
        and (room := entries.ENTRIES_MAX - len(found)) > 0
    ):
        looked_at += 1
        more = yield from entries.list_stream_entries(
            place.streams[place.stream], after_version=place.stream_version, limit=room
        )
        found += more
        if len(more) < room:
            place = replace(place, stream=place.stream + 1, stream_version=0)
        else:
            place = replace(place, stream_version=more[-1].version)
    unique = {entry.entry_no: entry for entry in found}
    return replace(targets, entries=tuple(unique.values()), place=place)


def _removed_rows(request: ErasureRequest, targets: Targets, record_id: str) -> Op[Counter[str]]:
    """Remove rows of every kind, in the order of locks; return how many by table."""
    removed: Counter[str] = Counter()
    if targets.memory_ids or targets.memory_versions:
        yield from memories.lock_index()
        removed += yield from memories.erase_memories(
            request.subject, targets.memory_ids, targets.memory_versions
        )
    if targets.has_profile:
        removed += yield from erase_profile(request.subject)
    if targets.hypothesis_ids:
        removed += yield from erase_hypotheses(request.subject, targets.hypothesis_ids)
    for name in targets.sessions:
        removed += yield from erase_session(name)
        removed["snapshot_parts"] += yield from erase_captured_session(name, record_id)
    return removed


@dataclass(frozen=True, slots=True)
class Beyond:
    """What an erasure does outside the database's transactions; wired in by the client."""

    redact: Callable[[str, str, Sequence[int]], int]
    """Takes the data of lines of a run's log away, by tenant, run and version; returns how many had any."""
    scrub: Callable[[bool | None], Scrub]
    """Overwrites the places on the disk where deleted rows had been; None leaves it to the engine whether."""


_DRY = Scrub(is_done=False)

_INSIDE = Scrub(
    is_done=False,
    to_do=("erase again outside a transaction: run logs and the places of deleted rows are left",),
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
        erasure_id: str | None = None,
        dry_run: bool = False,
        scrub: bool | None = None,
    ) -> Erasure:
        """Remove what the database holds about a person, and return what was removed where.

        The person is whoever was named so as the user or the subject of memories, profiles, hypotheses and events.
        ``sessions`` and ``streams`` are erased with them as a whole. Entries keep their place and their hash and lose
        salt, payload and metadata. Batch by batch, each atomic and each recorded by an event of
        ``erasures/<erasure_id>`` that names the person by a keyed hash only; so neither ``reason`` nor ``actor`` may
        hold the name. Repeating it is harmless and goes on where a killed one broke off.

        ``scrub`` says whether the file is compacted afterwards; by default on SQLite and not on PostgreSQL, where it
        locks tables and the report says what to run instead. With ``dry_run`` nothing is changed. Raises ``Invalid``.
        """
        request = checked_request(subject, reason, actor, sessions, streams)
        tally = Tally(request, checked_id(erasure_id) or self._new_erasure_id(), dry_run)
        while not tally.place.is_end:
            targets = self.find(request, tally.place)
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
        erasure_id: str | None = None,
        dry_run: bool = False,
        scrub: bool | None = None,
    ) -> Erasure:
        """Remove what the database holds about a person; as ``ErasureStore.erase``."""
        request = checked_request(subject, reason, actor, sessions, streams)
        chosen = checked_id(erasure_id) or await self._new_erasure_id()
        tally = Tally(request, chosen, dry_run)
        while not tally.place.is_end:
            targets = await self.find(request, tally.place)
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

    async def _redact(self, run_id: str, versions: Sequence[int]) -> int:
        if self._beyond is None:
            return 0
        tenant_id = self._call.tenant_id
        return await asyncio.to_thread(self._beyond.redact, tenant_id, run_id, versions)


def checked_id(erasure_id: str | None) -> str | None:
    """Return the identifier that a caller gives an erasure. Raises ``Invalid`` and ``LimitExceeded``."""
    return None if erasure_id is None else check_name(erasure_id, "erasure_id", bytes_max=128)


def checked_request(
    subject: str,
    reason: str,
    actor: str,
    sessions: Sequence[NamedSession],
    streams: Sequence[str],
) -> ErasureRequest:
    """Return whom to erase, checked. Raises ``Invalid`` and ``LimitExceeded``."""
    check_name(subject, "subject", bytes_max=SUBJECT_BYTES_MAX)
    check_name(actor, "actor", bytes_max=SUBJECT_BYTES_MAX)
    if not reason.strip():
        raise Invalid("an erasure has a reason, such as the request it answers", what="reason")
    check_text(reason, "reason", characters_max=REASON_CHARACTERS_MAX)
    for what, text in (("reason", reason), ("actor", actor)):
        if re.search(rf"(?<!\w){re.escape(subject)}(?!\w)", text, re.IGNORECASE):
            raise Invalid(
                f"the {what} names the one to be erased, and is kept for ever; say it without the name",
                what=what,
            )
    if isinstance(streams, str):
        raise Invalid("streams is text; it is a list of names", what="streams")
    for what, named in (("sessions", sessions), ("streams", streams)):
        if len(named) > NAMED_MAX:
            raise LimitExceeded(
                f"{len(named):,} {what} at once; the limit is {NAMED_MAX:,}", limit=NAMED_MAX
            )
    for stream in streams:
        check_name(stream, "stream", bytes_max=4 * STREAM_CHARACTERS_MAX)
    return ErasureRequest(
        subject,
        tuple(dict.fromkeys(_session_name(one) for one in sessions)),
        tuple(dict.fromkeys(streams)),
    )


def _session_name(given: Any) -> SessionName:
    if isinstance(given, str) or not 2 <= len(given) <= 3:
        raise Invalid(
            f"{given!r} names no session; it is (agent_id, session_id) or (agent_id, session_id, collection)",
            what="sessions",
        )
    name = SessionName(*given)
    for field, value in name._asdict().items():
        check_name(value, field, bytes_max=ID_BYTES_MAX)
    return name
