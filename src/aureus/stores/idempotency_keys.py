"""Idempotency keys: one effect for a key, whichever run asks for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aureus._database.operation import AsyncStore, Operations, Store, write
from aureus._database.statement import Op, Queries, Row, current_time, fetch_one
from aureus.codec import decode
from aureus.errors import AlreadyExists, Conflict
from aureus.model.states import TaskStatus
from aureus.model.tasks import TaskKey

sql = Queries("idempotency_keys")


@dataclass(frozen=True, slots=True)
class Replay:
    """The result that another task got under the same key."""

    run_id: str
    key: TaskKey
    result: Any


class IdempotencyKeyOperations(Operations):
    """Operations on idempotency keys."""

    @write
    def reserve(
        self, idempotency_key: str, *, run_id: str, key: TaskKey, input_hash: str
    ) -> Op[Replay | None]:
        """Reserve a key for a task before its work begins. Atomic; repeating it for the same task is harmless.

        Returns None when the task may work, or the result of the task that did the work under this key. Raises
        ``AlreadyExists`` when that work had other inputs or its result was erased, and ``Conflict`` (retryable) while
        it is under way.
        """
        now = yield from current_time()
        mine = yield from fetch_one(
            sql.reserve_idempotency_key,
            bool,
            idempotency_key=idempotency_key,
            run_id=run_id,
            scope=key.scope,
            name=key.name,
            occurrence=key.occurrence,
            input_hash=input_hash,
            now=now,
        )
        if mine:
            return None
        holder = yield from fetch_one(
            sql.get_idempotency_key, _holder, idempotency_key=idempotency_key
        )
        if holder is None or holder.status != TaskStatus.COMPLETED:
            raise Conflict(
                f"the work with idempotency key {idempotency_key!r} is under way elsewhere",
                idempotency_key=idempotency_key,
                run_id=None if holder is None else holder.replay.run_id,
            )
        if holder.was_erased:
            raise AlreadyExists(
                f"the work with idempotency key {idempotency_key!r} was done by task {holder.replay.key} of run "
                f"{holder.replay.run_id}, and its result was erased; use another key to do it again",
                idempotency_key=idempotency_key,
                run_id=holder.replay.run_id,
            )
        if holder.input_hash != input_hash:
            raise AlreadyExists(
                f"idempotency key {idempotency_key!r} was used with other inputs by task "
                f"{holder.replay.key} of run {holder.replay.run_id}; use another key for other work",
                idempotency_key=idempotency_key,
                run_id=holder.replay.run_id,
            )
        return holder.replay


class IdempotencyKeyStore(IdempotencyKeyOperations, Store):
    """Idempotency keys of one tenant."""


class AsyncIdempotencyKeyStore(IdempotencyKeyOperations, AsyncStore):
    """Idempotency keys of one tenant, awaited."""


@dataclass(frozen=True, slots=True)
class _Holder:
    replay: Replay
    input_hash: str
    status: str | None
    was_erased: bool
    """Whether its run was erased: a result that is nothing is stored as the JSON null."""


def _holder(row: Row) -> _Holder:
    result = None if row[6] is None else decode(row[6])
    replay = Replay(row[0], TaskKey(row[1], row[2], row[3]), result)
    return _Holder(replay, row[4], row[5], was_erased=row[6] is None and not row[4])
