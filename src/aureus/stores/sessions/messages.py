"""The history of a session: rows that are appended and never rewritten, in a dense order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from aureus._database.operation import read, write
from aureus._database.statement import (
    Op,
    Queries,
    Refused,
    Row,
    current_time,
    fetch_all,
    last,
    record,
)
from aureus.codec import as_object, check_text, decode, encode_text
from aureus.errors import Invalid, LimitExceeded
from aureus.model.events import EventType
from aureus.model.sessions import (
    MESSAGES_MAX,
    ROLE_CHARACTERS_MAX,
    Appended,
    Message,
    MessageDraft,
)
from aureus.stores.sessions.rows import SessionScope, operation_id_of, page_of

sql = Queries("sessions")

_LAST_POSITION = 2**62
"""Behind every position."""

_KEYS = {"role", "content", "metadata"}


class MessageOperations(SessionScope):
    """Operations on the histories of sessions."""

    @write
    def append(
        self,
        agent_id: str,
        session_id: str,
        role: str,
        content: Any,
        *,
        metadata: Mapping[str, Any] | None = None,
        expected_version: int | None = None,
        operation_id: str | None = None,
    ) -> Op[Appended]:
        """Append one message to the history of a session; as ``append_many``."""
        drafts = [MessageDraft(role, content, metadata)]
        return (
            yield from self._append(agent_id, session_id, drafts, expected_version, operation_id)
        )

    @write
    def append_many(
        self,
        agent_id: str,
        session_id: str,
        messages: Sequence[MessageDraft | Mapping[str, Any]],
        *,
        expected_version: int | None = None,
        operation_id: str | None = None,
    ) -> Op[Appended]:
        """Append messages to the history of a session, in their order; return where they are. Atomic.

        A message is a ``MessageDraft`` or a map with ``role``, ``content`` (any JSON) and perhaps ``metadata``; 1 to
        1,000 of them. What is there is not rewritten: the cost does not depend on the length of the history. Positions
        have no gaps, also under concurrent appends. The session's version rises by one, whatever the number of
        messages. A session that never was begins with an empty state.

        A repeated call with the same ``operation_id`` finds its messages, unless the history was reset meanwhile.
        Raises ``NotFound`` for a session that was deleted or has expired, ``VersionConflict``, ``Invalid`` and
        ``LimitExceeded``.
        """
        drafts = [_draft(message) for message in messages]
        return (
            yield from self._append(agent_id, session_id, drafts, expected_version, operation_id)
        )

    def _append(
        self,
        agent_id: str,
        session_id: str,
        drafts: Sequence[MessageDraft],
        expected_version: int | None,
        operation_id: str | None,
    ) -> Op[Appended]:
        named = self._named(agent_id, session_id)
        if not 1 <= len(drafts) <= MESSAGES_MAX:
            raise LimitExceeded(
                f"an append takes 1 to {MESSAGES_MAX:,} messages, not {len(drafts):,}",
                limit=MESSAGES_MAX,
            )
        for draft in drafts:
            check_text(draft.role, "role", characters_max=ROLE_CHARACTERS_MAX)
        contents = [encode_text(draft.content, what="content") for draft in drafts]
        metadatas = [
            None
            if draft.metadata is None
            else encode_text(as_object(draft.metadata, "metadata"), what="metadata")
            for draft in drafts
        ]
        operation = yield from operation_id_of(operation_id)
        now = yield from current_time()
        digest = sha256()
        for content in contents:
            digest.update(content.encode() + b"\n")
        yield from record(
            self._fact(
                EventType.SESSION_APPENDED,
                agent_id,
                session_id,
                operationId=operation,
                messageCount=len(drafts),
                sha256=digest.hexdigest(),
            )
        )
        appended = yield from last(
            sql.append_messages,
            lambda row: Appended(row[0], row[1], row[1] + len(drafts) - 1),
            **named,
            count=len(drafts),
            roles=[draft.role for draft in drafts],
            contents=contents,
            metadatas=metadatas,
            expected_version=expected_version,
            operation_id=operation,
            now=now,
        )
        if appended is None:
            raise Refused(self._why_refused(agent_id, session_id, expected_version))
        return appended

    @read
    def history(
        self,
        agent_id: str,
        session_id: str,
        *,
        after_position: int = 0,
        before_position: int | None = None,
        from_end: bool = False,
        limit: int = 100,
    ) -> Op[list[Message]]:
        """Return messages of a session, oldest first; at most 1,000 at once, none when there is no session.

        From the beginning, or ``from_end`` the newest ones. ``after_position`` and ``before_position`` are the edges of
        the page before: its last position going forward, its first going backward.
        """
        named = self._named(agent_id, session_id)
        now = yield from current_time()
        found = yield from fetch_all(
            sql.read_last_messages if from_end else sql.read_messages,
            _message,
            **named,
            after_position=after_position,
            before_position=_LAST_POSITION if before_position is None else before_position,
            limit=page_of(limit),
            now=now,
        )
        return found[::-1] if from_end else found


def _draft(message: MessageDraft | Mapping[str, Any]) -> MessageDraft:
    if isinstance(message, MessageDraft):
        return message
    if not {"role", "content"} <= message.keys() <= _KEYS:
        raise Invalid(
            f"a message has role, content and perhaps metadata, not {', '.join(map(str, message))}; "
            "what else belongs to it goes into content or metadata"
        )
    return MessageDraft(**message)


def _message(row: Row) -> Message:
    position, role, content, metadata, version, created_at = row
    return Message(
        position=position,
        role=role,
        content=decode(content),
        metadata={} if metadata is None else decode(metadata),
        version=version,
        created_at=created_at,
    )
