"""Values of many keys at once, written as they are given.

For whoever brings earlier values back (`aureus.snapshots`) and has seen the keys in the same moment; callers use the
operations, which hold the rules.
"""

from __future__ import annotations

from collections.abc import Sequence

from aureus._database.statement import Op, Queries, current_time, fetch_all, record_all
from aureus.codec import encode_made
from aureus.errors import AlreadyExists
from aureus.model.events import EventType
from aureus.stores.world_state.rows import fact_of, setting_of

sql = Queries("world_state")

BATCH_MAX = 1000
"""Keys of one statement that writes them."""


def rewrite(
    scope: str, values: Sequence[tuple[str, str | None]], *, actor: str, operation_id: str
) -> Op[None]:
    """Give keys values as canonical JSON, None for none, each as its next version and with its event.

    Only inside a whole operation: what each key has now is what that operation has seen. Raises ``AlreadyExists``
    when one of the keys was written by an operation of this id before.
    """
    if not values:
        return
    now = yield from current_time()
    ordered = sorted(values)
    yield from record_all(
        fact_of(scope, EventType.WORLD_STATE_DELETED, key, actor, operation_id)
        if value is None
        else setting_of(scope, key, value.encode(), actor, operation_id)
        for key, value in ordered
    )
    written = yield from fetch_all(
        sql.rewrite_keys,
        lambda row: str(row[0]),
        scope=scope,
        values=encode_made([{"key": key, "value": value} for key, value in ordered]),
        operation_id=operation_id,
        now=now,
    )
    missing = {key for key, _ in ordered} - set(written)
    if missing:
        raise AlreadyExists(
            f"{operation_id!r} is the operation_id of an earlier write of key {min(missing)!r} of the scope {scope}; "
            "choose another identifier",
            operation_id=operation_id,
            key=min(missing),
            scope=scope,
        )
