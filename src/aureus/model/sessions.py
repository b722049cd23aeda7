"""A session: what one agent keeps of one conversation or task, as a document, a context and a history.

Rules that need no database: what names may look like, when a state contains another value, and the stream that the
events of a session are in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, cast

from aureus.errors import Invalid
from aureus.model.events import EventType
from aureus.model.plain import plain_record

DEFAULT_COLLECTION = "sessions"
"""The collection that ``db.sessions`` is."""

ID_BYTES_MAX = 512
"""Bytes of an agent id or a session id: both and the tenant must fit into one entry of an index."""

OPERATION_ID_BYTES_MAX = 128
"""Bytes of an identifier by which a repeated call is known."""

ROLE_CHARACTERS_MAX = 64
"""Characters of a message's role."""

MESSAGES_MAX = 1000
"""Messages of one append."""

TTL_SECONDS_MAX = 100 * 366 * 86_400.0
"""A time to live that is longer than this never ends."""

ACTIONS = {
    EventType.SESSION_SAVED: "session.save",
    EventType.SESSION_APPENDED: "session.append",
    EventType.SESSION_EXPIRY_SET: "session.set-expiry",
    EventType.SESSION_RESET: "session.reset",
    EventType.SESSION_DELETED: "session.delete",
    EventType.SESSIONS_DELETED: "session.delete-all",
    EventType.SESSIONS_EXPIRED: "session.expire",
    EventType.SESSIONS_ADOPTED: "session.adopt",
}
"""What an audit entry calls each thing that can happen to sessions."""

DECISIONS = frozenset(
    {
        EventType.SESSION_RESET,
        EventType.SESSION_DELETED,
        EventType.SESSIONS_DELETED,
        EventType.SESSIONS_EXPIRED,
        EventType.SESSIONS_ADOPTED,
    }
)
"""What is an audit entry also where only decisions are."""

ROUTINE = frozenset(
    {EventType.SESSION_SAVED, EventType.SESSION_APPENDED, EventType.SESSION_EXPIRY_SET}
)
"""What is no event where routine writes are not kept."""

_COLLECTION = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,62}")


class SessionName(NamedTuple):
    """What names a session among all of a tenant."""

    agent_id: str
    session_id: str
    collection: str = DEFAULT_COLLECTION


@dataclass(frozen=True, slots=True)
class SessionSummary:
    """A session without its document.

    ``version`` rises with every write, also of messages, and goes on counting over deletion. ``ttl_seconds`` is the
    time that it lives after its last write, ``expires_at`` when it ends; None is never.
    """

    collection: str
    agent_id: str
    session_id: str
    version: int
    message_count: int
    ttl_seconds: float | None
    expires_at: datetime | None
    created_at: datetime
    updated_at: datetime

    def to_dict(self) -> dict[str, Any]:
        """Return the session as plain JSON values."""
        return plain_record(self)


@dataclass(frozen=True, slots=True)
class Session(SessionSummary):
    """A session with its document: ``state`` is any JSON, ``context`` a map that saves leave alone unless told."""

    state: Any
    context: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Message:
    """One row of a session's history; ``position`` counts from 1 without gaps, ``version`` is that of its append."""

    position: int
    role: str
    content: Any
    metadata: dict[str, Any]
    version: int
    created_at: datetime

    def to_dict(self) -> dict[str, Any]:
        """Return the message as plain JSON values."""
        return plain_record(self)


@dataclass(frozen=True, slots=True)
class MessageDraft:
    """A message that is to be appended; ``content`` is any JSON."""

    role: str
    content: Any
    metadata: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Appended:
    """Where an append has put its messages, and the version that the session has through it."""

    version: int
    first_position: int
    last_position: int


@dataclass(frozen=True, slots=True)
class AgentSummary:
    """An agent with the number of its sessions and the time of their last update."""

    agent_id: str
    session_count: int
    updated_at: datetime

    def to_dict(self) -> dict[str, Any]:
        """Return the agent as plain JSON values."""
        return plain_record(self)


@dataclass(frozen=True, slots=True)
class IndexProgress:
    """How far the index of a collection has come; ``session_count`` is what the call itself has indexed."""

    is_ready: bool
    session_count: int


@dataclass(frozen=True, slots=True)
class AdoptedSession:
    """A session as another program kept it, with its own times."""

    agent_id: str
    session_id: str
    version: int
    state: Any
    context: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    messages: Sequence[AdoptedMessage] = field(default_factory=tuple["AdoptedMessage", ...])


@dataclass(frozen=True, slots=True)
class AdoptedMessage:
    """A message as another program kept it."""

    role: str
    content: Any
    metadata: dict[str, Any]
    created_at: datetime


def check_collection(name: str) -> str:
    """Return a collection's name; raises ``Invalid`` unless it is an identifier of at most 63 characters."""
    if not _COLLECTION.fullmatch(name):
        raise Invalid(
            f"{name[:80]!r} is no name for a collection: a letter or an underscore, then letters, digits, "
            "underscores and hyphens, 63 characters at most",
            collection=name[:80],
        )
    return name


def stream_of(collection: str, agent_id: str, session_id: str | None = None) -> str:
    """Return the stream of a session's events, or of an agent's; slashes inside names are written ``%2F``."""
    category = DEFAULT_COLLECTION
    if collection != DEFAULT_COLLECTION:
        category = f"{DEFAULT_COLLECTION}:{collection}"
    parts = [agent_id] if session_id is None else [agent_id, session_id]
    return "/".join([category, *(part.replace("%", "%25").replace("/", "%2F") for part in parts)])


def contains(value: Any, wanted: Any) -> bool:
    """Return whether a JSON value contains another, as PostgreSQL's ``@>`` on jsonb has it.

    An object contains one with some of its keys whose values contain the wanted ones; a list contains one of whose
    items each is contained in some item of it, whatever their order and number. Numbers are equal by value, and never
    to a boolean.
    """
    if isinstance(wanted, dict):
        held = cast(dict[str, Any], value) if isinstance(value, dict) else None
        return held is not None and all(
            key in held and contains(held[key], item)
            for key, item in cast(dict[str, Any], wanted).items()
        )
    if isinstance(wanted, list | tuple):
        items = cast(Sequence[Any], value) if isinstance(value, list | tuple) else None
        return items is not None and all(
            any(contains(held, item) for held in items) for item in cast(Sequence[Any], wanted)
        )
    return (type(value) is type(wanted) and value == wanted) or _are_equal_numbers(value, wanted)


def _are_equal_numbers(one: Any, other: Any) -> bool:
    return (
        isinstance(one, int | float)
        and isinstance(other, int | float)
        and not isinstance(one, bool)
        and not isinstance(other, bool)
        and one == other
    )


def has_facet(value: Any) -> bool:
    """Return whether a JSON value holds anything but empty objects and lists, so that an index can find it."""
    if isinstance(value, dict):
        return any(has_facet(item) for item in cast(dict[str, Any], value).values())
    if isinstance(value, list | tuple):
        return any(has_facet(item) for item in cast(Sequence[Any], value))
    return True
