"""The page of limits says what the code holds, row by row."""

from __future__ import annotations

from aureus import codec
from aureus.client import opening
from aureus.engine import attempts
from aureus.engine.definition import reader, tasks
from aureus.model import events, profiles, runs, sessions, snapshots, subscriptions, world_state
from aureus.model import hypotheses as hypotheses_model
from aureus.retrieval import embedding
from aureus.stores.audit import finding
from aureus.stores.events import listing, streams
from aureus.stores.events import stating as stating_events
from aureus.stores.memories import reading, recalling, stating, writing
from aureus.stores.sessions import searches
from tests.docs.pages import REFERENCE, Page

PAGE = Page(REFERENCE / "limits.md")

MIB = 1024 * 1024

HELD: dict[str, tuple[int, str]] = {
    "a value, as JSON": (codec.JSON_BYTES_MAX, "MiB"),
    "its levels of nesting": (codec.JSON_DEPTH_MAX, ""),
    "payload, and metadata, of one event": (events.PAYLOAD_BYTES_MAX, "MiB"),
    "the events of one append together": (events.APPEND_BYTES_MAX, "MiB"),
    "events of one append": (events.APPEND_EVENTS_MAX, ""),
    "the name of a stream": (events.STREAM_CHARACTERS_MAX, "characters"),
    "a type, an event id, an actor, a correlation id": (events.NAME_CHARACTERS_MAX, "characters"),
    "subjects of an event": (events.SUBJECTS_MAX, ""),
    "words of the filter `text`": (stating_events.WORDS_MAX, ""),
    "types of a subscription": (subscriptions.TYPES_MAX, ""),
    "buckets of a consumer group": (subscriptions.BUCKETS_MAX, ""),
    "a text": (stating.TEXT_CHARACTERS_MAX, "characters"),
    "a question, to `recall` and `search`": (recalling.QUESTION_CHARACTERS_MAX, "characters"),
    "tags of a memory": (stating.TAGS_MAX, ""),
    "sources of a memory": (stating.SOURCES_MAX, ""),
    "an id or a name": (stating.NAME_BYTES_MAX, "bytes"),
    "a key": (stating.KEY_BYTES_MAX, "bytes"),
    "memories of one `add_chunk`": (writing.CHUNK_MAX, ""),
    "hits of a search": (recalling.HITS_MAX, ""),
    "neighbours on either side of a hit": (recalling.NEIGHBOURS_MAX, ""),
    "dimensions of a vector": (embedding.DIMENSIONS_MAX, ""),
    "a profile, as JSON": (profiles.PROFILE_BYTES_MAX, "KiB"),
    "the statement of a hypothesis": (hypotheses_model.STATEMENT_CHARACTERS_MAX, "characters"),
    "an agent's or a session's id": (sessions.ID_BYTES_MAX, "bytes"),
    "messages of one `append_many`": (sessions.MESSAGES_MAX, ""),
    "the role of a message": (sessions.ROLE_CHARACTERS_MAX, "characters"),
    "sessions looked through without an index": (searches.UNINDEXED_MAX, ""),
    "a value of the world state, as JSON": (world_state.VALUE_BYTES_MAX, "MiB"),
    "a key of the world state": (world_state.KEY_BYTES_MAX, "bytes"),
    "keys of one `world_state.snapshot()`": (world_state.SNAPSHOT_KEYS_MAX, ""),
    "a workflow file": (reader.TEXT_BYTES_MAX, "MiB"),
    "tasks of a workflow": (tasks.TASKS_MAX, ""),
    "attempts of a task": (tasks.ATTEMPTS_MAX, ""),
    "the result of a task": (attempts.RESULT_BYTES_MAX, "MiB"),
    "the name of a run": (runs.RUN_ID_CHARACTERS_MAX, "characters"),
    "the name of a tenant": (opening.TENANT_BYTES_MAX, "bytes"),
    "an `operation_id` of sessions and world state": (sessions.OPERATION_ID_BYTES_MAX, "bytes"),
    "rows of a page": (reading.PAGE_MAX, ""),
    "memories that a [snapshot](snapshots.md) points to": (snapshots.MEMORIES_MAX, ""),
    "sessions of a snapshot": (snapshots.SESSIONS_MAX, ""),
}
"""Each row of the page by its first cell: what the code holds, and the unit that the page says it in."""

NOT_COUNTED = {"whole numbers", "the name of a collection", "What", "---"}


def said(held: int, unit: str) -> str:
    """Return a limit as the page writes it."""
    number = held // {"MiB": MIB, "KiB": 1024}.get(unit, 1)
    return f"{number:,} {unit}".strip()


def test_the_page_of_limits_says_what_the_code_holds() -> None:
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in PAGE.text.splitlines()
        if line.startswith("|")
    ]
    told = {what: limit for what, limit in rows if what not in NOT_COUNTED}
    assert told == {what: said(*held) for what, held in HELD.items()}
    assert listing.SCAN_MAX == finding.SCAN_MAX
    assert f"`events.list` and `audit.list` have up to {listing.SCAN_MAX:,}." in PAGE.text
    assert f"Pages of events of one stream have up to {streams.PAGE_MAX:,}." in PAGE.text
