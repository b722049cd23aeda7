"""What erasing a person removes of memories: rows, versions, tags, counts of uses, vectors, and what finds them.

Used by `aureus.erasing` inside its batches, which record what was done; nothing here records anything itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from aureus._database.statement import Op, Queries, Row, fetch_all
from aureus.codec import encode_made
from aureus.retrieval.upkeep import lock, remove
from aureus.stores.memories.indexing import SPACE

sql = Queries("memories")


@dataclass(frozen=True, slots=True)
class SubjectMemory:
    """A memory of a user or about a person; an empty text stands for none."""

    memory_id: str
    agent_id: str
    user_id: str
    session_id: str


def list_subject_memories(subject: str, *, after_id: str, limit: int) -> Op[list[SubjectMemory]]:
    """Return memories whose user or whose subject this is, whatever became of them, in the order of ids."""
    return (
        yield from fetch_all(
            sql.list_subject_memories,
            lambda row: SubjectMemory(*row),
            subject=subject,
            after_id=after_id,
            limit=limit,
        )
    )


def list_subject_versions(
    subject: str, *, after: tuple[str, int], limit: int
) -> Op[list[tuple[str, int]]]:
    """Return replaced versions that name the person where the memory itself does not, by id and version."""
    after_id, after_version = after
    return (
        yield from fetch_all(
            sql.list_subject_versions,
            lambda row: (str(row[0]), int(row[1])),
            subject=subject,
            after_id=after_id,
            after_version=after_version,
            limit=limit,
        )
    )


def lock_index() -> Op[None]:
    """Lock the index of memories; it comes before the memories themselves."""
    yield from lock(SPACE)


def erase_memories(
    subject: str, memory_ids: Sequence[str], versions: Sequence[tuple[str, int]]
) -> Op[Counter[str]]:
    """Remove these memories where they are still of or about the person, and these versions; return rows by table.

    The index must be locked.
    """
    removed: Counter[str] = Counter()
    locked: list[str] = []
    if memory_ids:
        locked = yield from fetch_all(
            sql.lock_subject_memories,
            lambda row: str(row[0]),
            subject=subject,
            memory_ids=list(memory_ids),
        )
    if locked:
        rows: list[Row] = yield from fetch_all(sql.erase_memories, tuple, memory_ids=locked)
        if rows:
            _, version_count, tag_count, access_count, vector_count = rows[0]
            removed["memories"] = len(rows)
            removed["memory_versions"] = version_count
            removed["memory_tags"] = tag_count
            removed["memory_accesses"] = access_count
            removed["memory_embeddings"] = vector_count
            removed["text_index_documents"] = yield from remove(SPACE, [row[0] for row in rows])
    if versions:
        gone = yield from fetch_all(
            sql.erase_memory_versions,
            bool,
            versions=encode_made([list(version) for version in versions]),
        )
        removed["memory_versions"] += len(gone)
    return removed
