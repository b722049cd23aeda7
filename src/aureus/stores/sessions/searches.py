"""Finding sessions: of an agent, all of them, and those whose state contains a value.

What a state contains is found by its facets, single values with the path that leads to them, where the collection keeps
them; the state itself is then compared, because facets are shortened and forget which list an item stood in. Without an
index the states are looked through, up to a limit.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from aureus._database.operation import read, write
from aureus._database.statement import (
    Op,
    Queries,
    Row,
    current_time,
    fetch_all,
    fetch_one,
    last,
)
from aureus.codec import check_name, encode_text
from aureus.errors import LimitExceeded
from aureus.model.sessions import (
    ID_BYTES_MAX,
    AgentSummary,
    IndexProgress,
    Session,
    SessionSummary,
    contains,
    has_facet,
)
from aureus.stores.sessions.rows import PAGE_MAX, SessionScope, page_of

sql = Queries("sessions")

UNINDEXED_MAX = 10_000
"""Sessions whose states are looked through without an index."""

_LAST_NAME = chr(0x10FFFF) * (ID_BYTES_MAX // 4)
"""What no name comes after."""

_LATEST = datetime(9999, 12, 31, tzinfo=UTC)

Place = tuple[str, str]
"""An agent and a session, in whose order states are found."""


class SearchOperations(SessionScope):
    """Operations that find sessions."""

    @read
    def list(
        self,
        agent_id: str,
        *,
        before: tuple[datetime, str] | None = None,
        limit: int = 50,
    ) -> Op[Sequence[SessionSummary]]:
        """Return a page of an agent's sessions without their documents, newest update first; at most 1,000.

        ``before`` is (updated_at, session_id) of the last one of the page before. A session that is written to while
        somebody pages moves to the front.
        """
        before_at, before_id = before or (_LATEST, "")
        now = yield from current_time()
        return (
            yield from fetch_all(
                sql.list_sessions,
                self._summary,
                collection=self._collection,
                agent_id=check_name(agent_id, "agent_id", bytes_max=ID_BYTES_MAX),
                before_at=before_at,
                before_id=before_id,
                limit=page_of(limit),
                now=now,
            )
        )

    @read
    def list_documents(
        self, agent_id: str, *, after_session_id: str = "", limit: int = 50
    ) -> Op[Sequence[Session]]:
        """Return a page of an agent's sessions with their documents, by name; at most 1,000.

        ``after_session_id`` is the last one of the page before.
        """
        now = yield from current_time()
        return (
            yield from fetch_all(
                sql.list_documents,
                self._session,
                collection=self._collection,
                agent_id=check_name(agent_id, "agent_id", bytes_max=ID_BYTES_MAX),
                after_session_id=after_session_id,
                limit=page_of(limit),
                now=now,
            )
        )

    @read
    def list_agents(
        self, *, after_agent_id: str = "", limit: int = 100
    ) -> Op[Sequence[AgentSummary]]:
        """Return a page of the agents that have sessions here, by name; at most 1,000.

        ``after_agent_id`` is the last one of the page before. The sessions of these agents are counted one by one: a
        page takes longer the more they have.
        """
        now = yield from current_time()
        return (
            yield from fetch_all(
                sql.list_agents,
                lambda row: AgentSummary(*row),
                collection=self._collection,
                after_agent_id=after_agent_id,
                limit=page_of(limit),
                now=now,
            )
        )

    @read
    def count(self, agent_id: str | None = None) -> Op[int]:
        """Return how many sessions there are, of one agent or of all; it takes longer the more there are."""
        now = yield from current_time()
        if agent_id is None:
            found = yield from fetch_one(
                sql.count_sessions, _number, collection=self._collection, now=now
            )
        else:
            found = yield from fetch_one(
                sql.count_sessions_of_agent,
                _number,
                collection=self._collection,
                agent_id=check_name(agent_id, "agent_id", bytes_max=ID_BYTES_MAX),
                now=now,
            )
        return found or 0

    @read
    def find_containing(
        self,
        wanted: Any,
        *,
        agent_id: str | None = None,
        after: Place = ("", ""),
        limit: int = 50,
    ) -> Op[Sequence[Session]]:
        """Return sessions whose state contains a value, by agent and session id; at most 1,000.

        ``{"a": {"b": 1}}`` finds every state that has at least this; a list is contained in one that has all of its
        items in any order. ``after`` is (agent_id, session_id) of the last one of the page before. Where
        ``index_states`` has been called, an index is used. Without one, states are looked through one by one, and
        ``LimitExceeded`` is raised when 10,000 of them did not fill the page.
        """
        encoded = encode_text(wanted, what="wanted")
        if agent_id is not None:
            after = max(after, (check_name(agent_id, "agent_id", bytes_max=ID_BYTES_MAX), ""))
        is_ready = yield from fetch_one(
            sql.get_collection, lambda row: bool(row[0]), collection=self._collection
        )
        uses_index = bool(is_ready) and has_facet(wanted)
        now = yield from current_time()
        wished, looked = page_of(limit), 0
        size = min(PAGE_MAX, wished + 10) if uses_index else PAGE_MAX
        found: Sequence[Session] = ()
        while True:
            page = {"after_agent_id": after[0], "after_session_id": after[1], "limit": size}
            if uses_index:
                page |= {"wanted": encoded, "through_agent_id": agent_id or _LAST_NAME}
            sessions = yield from fetch_all(
                sql.find_states if uses_index else sql.list_states,
                self._session,
                collection=self._collection,
                now=now,
                **page,
            )
            for session in sessions:
                if agent_id is not None and session.agent_id != agent_id:
                    return found
                if contains(session.state, wanted):
                    found = (*found, session)
                    if len(found) == wished:
                        return found
            if len(sessions) < size:
                return found
            after = (sessions[-1].agent_id, sessions[-1].session_id)
            looked += len(sessions)
            size = min(PAGE_MAX, 2 * size)
            if looked >= UNINDEXED_MAX:
                raise LimitExceeded(
                    f"{looked:,} states of the collection {self._collection} were looked through and the page is not "
                    f"full; {'ask for less at once' if uses_index else 'call index_states'}",
                    limit=UNINDEXED_MAX,
                )

    @write
    def index_states(self, *, limit: int = 500) -> Op[IndexProgress]:
        """Index the states of this collection for ``find_containing``, so many sessions at a call, until it is ready.

        The first call makes every save write the facets of its state from then on, in all processes; for a moment, 2 s
        at most, it keeps all writers of sessions waiting. Each further call indexes what was there before. ``while not
        db.sessions.index_states().is_ready: pass`` does it all; calls may be repeated and made by several processes.
        """
        known = yield from fetch_one(
            sql.get_collection, lambda row: row, collection=self._collection
        )
        now = yield from current_time()
        if known is None:
            yield from fetch_one(sql.lock_out_session_writers, lambda row: row)
            yield from last(
                sql.begin_collection, lambda row: row, collection=self._collection, now=now
            )
            return IndexProgress(is_ready=False, session_count=0)
        is_ready, after_agent_id, after_session_id = known
        if is_ready:
            return IndexProgress(is_ready=True, session_count=0)
        start = {"after_agent_id": after_agent_id, "after_session_id": after_session_id}
        size = page_of(limit)
        batch: Sequence[Row] = yield from fetch_all(
            sql.lock_session_batch,
            lambda row: row,
            collection=self._collection,
            limit=size,
            **start,
        )
        agent_id, session_id = batch[-1] if batch else (after_agent_id, after_session_id)
        through = {"through_agent_id": agent_id, "through_session_id": session_id}
        if batch:
            yield from fetch_all(
                sql.index_session_batch,
                lambda row: row,
                collection=self._collection,
                **start,
                **through,
            )
        ends = len(batch) < size
        yield from last(
            sql.move_collection,
            lambda row: row,
            collection=self._collection,
            is_ready=ends,
            **through,
        )
        return IndexProgress(is_ready=ends, session_count=len(batch))

    @write
    def drop_index(self) -> Op[None]:
        """Forget the index of this collection; saves then cost what they do without one. Atomic."""
        yield from fetch_one(sql.drop_collection, lambda row: row, collection=self._collection)
        yield from last(sql.drop_facets, lambda row: row, collection=self._collection)


def _number(row: Row) -> int:
    return int(row[0])
