"""The search for what is to be erased, and the batches that erase it: one transaction and one record each.

Nouns are combined here: each store removes its own rows, in the order of their locks, and the entry that tells of it
goes in with them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from aureus._database.operation import Operations, read, write
from aureus._database.statement import Op, new_id
from aureus.model.erasures import ErasureRecord, ErasureRequest, Place, Targets, record_fact
from aureus.model.hypotheses import stream_of as hypothesis_stream_of
from aureus.model.sessions import SessionName
from aureus.model.snapshots import stream_of as snapshot_stream_of
from aureus.stores import erasures as entries
from aureus.stores.hypotheses import erase_hypotheses, list_subject_hypotheses
from aureus.stores.ledger import pass_head
from aureus.stores.memories import erasing as memories
from aureus.stores.profiles import erase_profile, has_profile
from aureus.stores.runs import erase_run, has_remains
from aureus.stores.sessions.erasing import erase_session, is_session_known
from aureus.stores.snapshots.erasing import (
    erase_captured_key,
    erase_captured_session,
    erase_pointers,
    erase_snapshots,
    is_key_captured,
    is_session_captured,
    list_subject_snapshots,
)
from aureus.stores.world_state.erasing import empty_key, empty_key_versions, has_values

BATCH_MAX = 250
"""Memories, versions and hypotheses of one batch; each is several rows, and SQLite's other writers wait for all."""

SNAPSHOTS_BATCH = 20
"""Snapshots of one batch: each may have thousands of parts."""

SESSIONS_BATCH = 4
"""Sessions of one batch: each takes four statements, and may have a long history."""

KEYS_BATCH = 3
"""Keys of one batch: each takes three statements, and may have had thousands of values."""

RUNS_BATCH = 3
"""Runs of one batch: each takes five statements, and may have thousands of tasks."""

STREAMS_BATCH = 20
"""Streams that one search looks into."""

DEFAULT_ACTOR: Final = "aureus"
"""Who erases when nobody says so."""


class ErasureOperations(Operations):
    """The search for what is to be erased, and the batches that erase it."""

    @read
    def find(self, request: ErasureRequest, place: Place) -> Op[Targets]:
        """Return what is to be erased next, some of each kind, and where the search goes on.

        Raises ``IllegalTransition`` when a run that was named has not ended.
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
        snapshot_ids: Sequence[str] = ()
        if place.snapshot_id is not None:
            snapshot_ids = yield from list_subject_snapshots(
                request.subject, after_id=place.snapshot_id, limit=SNAPSHOTS_BATCH
            )
            ended = len(snapshot_ids) < SNAPSHOTS_BATCH
            place = replace(place, snapshot_id=None if ended else snapshot_ids[-1])
        sessions: list[SessionName] = []
        if place.session is not None:
            end = place.session + SESSIONS_BATCH
            for name in request.sessions[place.session : end]:
                if (yield from is_session_known(name)) or (yield from is_session_captured(name)):
                    sessions.append(name)  # noqa: PERF401 - a comprehension cannot yield
            place = replace(place, session=end if end < len(request.sessions) else None)
        run_ids: list[str] = []
        if place.run is not None:
            end = place.run + RUNS_BATCH
            for run_id in request.runs[place.run : end]:
                if (yield from has_remains(run_id)):
                    run_ids.append(run_id)  # noqa: PERF401 - a comprehension cannot yield
            place = replace(place, run=end if end < len(request.runs) else None)
        keys: list[tuple[str, str]] = []
        if place.key is not None:
            end = place.key + KEYS_BATCH
            for key in request.keys[place.key : end]:
                if (yield from has_values(*key)) or (yield from is_key_captured(*key)):
                    keys.append(key)  # noqa: PERF401 - a comprehension cannot yield
            place = replace(place, key=end if end < len(request.keys) else None)
        if place.has_profile is None:
            there = yield from has_profile(request.subject)
            streams = yield from entries.list_streams(
                request.own_streams()[:STREAMS_BATCH], "memories", request.memory_stream_ending()
            )
            rest = request.own_streams()[STREAMS_BATCH:]
            place = replace(place, has_profile=there, streams=(*streams, *rest))
            targets = replace(targets, has_profile=there)
        streams = [hypothesis_stream_of(one) for one in hypothesis_ids]
        streams += [snapshot_stream_of(one) for one in snapshot_ids]
        place = replace(place, streams=(*place.streams, *streams))
        targets = replace(
            targets,
            hypothesis_ids=tuple(hypothesis_ids),
            snapshot_ids=tuple(snapshot_ids),
            sessions=tuple(sessions),
            run_ids=tuple(run_ids),
            keys=tuple(keys),
            place=place,
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
        encrypted_count = yield from entries.count_encrypted(payloads)
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
            encrypted_count=encrypted_count,
        )
        yield from entries.erase_payloads(
            payloads, erasure_id=erasure_id, record_id=chosen, fact=fact
        )
        for key in targets.keys:
            yield from empty_key_versions(*key, chosen)
        entry_nos = [entry_no for entry_no, _ in payloads]
        return ErasureRecord(chosen, dict(removed), tuple(entry_nos), encrypted_count)

    @write
    def record_key(
        self,
        request: ErasureRequest,
        key_id: str,
        *,
        erasure_id: str,
        reason: str,
        actor: str = DEFAULT_ACTOR,
        record_id: str | None = None,
    ) -> Op[ErasureRecord | None]:
        """Record that a person's key is destroyed, before the key store is told to; return the record.

        Atomic. From its commit on nothing is stored under the key, whoever still has it in memory. None, and no record,
        when there is one already: repeating it is harmless.
        """
        chosen = record_id or (yield from new_id())
        yield from entries.lock_erasures()
        if (yield from entries.is_key_destroyed(key_id)):
            return None
        removed = {"subject_keys": 1}
        fact = record_fact(
            request,
            erasure_id=erasure_id,
            record_id=chosen,
            reason=reason,
            actor=actor,
            removed=removed,
            entries=(),
            key_ids=[key_id],
        )
        yield from entries.destroy_key(key_id, erasure_id=erasure_id, record_id=chosen, fact=fact)
        return ErasureRecord(chosen, removed, ())

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
    # What a snapshot has captured, and not kept yet, would otherwise outlive the erasure.
    yield from pass_head()
    if targets.memory_ids or targets.memory_versions:
        yield from memories.lock_index()
        removed += yield from memories.erase_memories(
            request.subject, targets.memory_ids, targets.memory_versions
        )
        removed["snapshot_parts"] += yield from erase_pointers(
            targets.memory_ids, targets.memory_versions, record_id
        )
    if targets.has_profile:
        removed += yield from erase_profile(request.subject)
    if targets.hypothesis_ids:
        removed += yield from erase_hypotheses(request.subject, targets.hypothesis_ids)
    for name in targets.sessions:
        removed += yield from erase_session(name)
        removed["snapshot_parts"] += yield from erase_captured_session(name, record_id)
    for run_id in targets.run_ids:
        removed += yield from erase_run(run_id)
    removed += yield from erase_snapshots(targets.snapshot_ids)
    for key in targets.keys:
        value_count = yield from empty_key(*key)
        removed += Counter(world_state=int(value_count > 0), world_state_versions=value_count)
        removed["snapshot_parts"] += yield from erase_captured_key(*key, record_id)
    return removed
