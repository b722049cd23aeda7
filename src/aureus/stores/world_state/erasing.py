"""What erasing a person removes of the world state: the values of keys that were named; their versions stay.

Used by `aureus.erasing` inside its batches, which record what was done.
"""

from __future__ import annotations

from aureus._database.statement import Op, Queries, fetch_all, fetch_one

sql = Queries("world_state")


def has_values(scope: str, key: str) -> Op[bool]:
    """Return whether a key has, or ever had, a value that was not erased."""
    return bool(
        (yield from fetch_one(sql.get_key_remains, lambda row: row[0], scope=scope, key=key))
    )


def empty_key(scope: str, key: str) -> Op[int]:
    """Take the value of a key away and hold it; return how many values of it are left for ``empty_key_versions``."""
    held = yield from fetch_one(sql.empty_key, bool, scope=scope, key=key)
    if held is None:
        return 0
    counted = yield from fetch_one(
        sql.count_key_values, lambda row: int(row[0]), scope=scope, key=key
    )
    return counted or 0


def empty_key_versions(scope: str, key: str, record_id: str) -> Op[None]:
    """Take every value that a key had away, once the event of the record was appended; its versions stay."""
    yield from fetch_all(sql.empty_key_versions, bool, scope=scope, key=key, record_id=record_id)
