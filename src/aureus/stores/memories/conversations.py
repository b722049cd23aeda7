"""Conversations: the messages of one session, which are memories of the type ``conversation`` and found like others."""

from __future__ import annotations

from typing import Unpack

from aureus._database.operation import Operations, read, write
from aureus._database.statement import Op, Queries, current_time, fetch_all
from aureus.errors import Invalid
from aureus.model.memories import Memory, MemoryDetails, MemoryPolicy, MemoryType
from aureus.retrieval.embedding import Embedder
from aureus.stores.memories.reading import PAGE_MAX
from aureus.stores.memories.rows import memory_of
from aureus.stores.memories.stating import check_name
from aureus.stores.memories.writing import MemoryWrites

sql = Queries("memories")


class ConversationOperations(Operations):
    """Operations on the messages of one session of an agent, and of a user where there is one."""

    def __init__(
        self,
        session_id: str = "",
        agent_id: str = "",
        user_id: str | None = None,
        policy: MemoryPolicy | None = None,
        embedder: Embedder | None = None,
    ) -> None:
        """Speak of one session."""
        self.session_id = session_id
        self.agent_id = agent_id
        self.user_id = user_id
        self._memories = MemoryWrites(policy, embedder)

    @write
    def append(
        self,
        text: str,
        *,
        role: str,
        message_id: str | None = None,
        actor: str | None = None,
        **details: Unpack[MemoryDetails],
    ) -> Op[Memory]:
        """Add a message behind all others. Atomic; with the same ``message_id`` a repeated call adds nothing.

        ``role`` says who speaks, such as ``user`` or ``assistant``, and is kept in ``metadata``. The order is that of
        ``memory_no``: no two messages share one, however many are added at once.
        """
        check_name(role, "role")
        fixed = sorted({"session_id", "user_id", "type"} & details.keys())
        if fixed:
            raise Invalid(f"the conversation says {', '.join(fixed)} itself", what=fixed[0])
        metadata = {**(details.get("metadata") or {}), "role": role}
        filled: MemoryDetails = {
            **details,
            "metadata": metadata,
            "user_id": self.user_id,
            "session_id": self.session_id,
            "type": MemoryType.CONVERSATION.value,
        }
        return (
            yield from self._memories.add(
                text, agent_id=self.agent_id, memory_id=message_id, actor=actor, **filled
            )
        )

    @read
    def history(
        self, *, before: int | None = None, after: int | None = None, limit: int = 100
    ) -> Op[list[Memory]]:
        """Return messages in their order: the last ones, those in front of a ``memory_no``, or those behind one.

        At most 1,000. Page back with ``before`` the first message of a page, forward with ``after`` its last one.
        """
        if before is not None and after is not None:
            raise Invalid("before and after exclude each other", what="before")
        now = yield from current_time()
        place = {
            "agent_id": self.agent_id,
            "user_id": self.user_id or "",
            "session_id": self.session_id,
            "type": MemoryType.CONVERSATION.value,
            "limit": max(1, min(limit, PAGE_MAX)),
            "now": now,
        }
        if after is not None:
            return (
                yield from fetch_all(sql.list_session_after, memory_of, after_no=after, **place)
            )
        newest = yield from fetch_all(
            sql.list_session_before,
            memory_of,
            before_no=2**63 - 1 if before is None else before,
            **place,
        )
        return newest[::-1]
