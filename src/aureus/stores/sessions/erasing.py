"""What erasing a person removes of sessions that were named: everything, the tombstone too.

Used by `aureus.erasing` inside its batches, which record what was done.
"""

from __future__ import annotations

from collections import Counter

from aureus._database.statement import Op, Queries, fetch_all, fetch_one
from aureus.model.sessions import SessionName

sql = Queries("sessions")


def is_session_known(name: SessionName) -> Op[bool]:
    """Return whether there is anything of a session, a tombstone included."""
    found = yield from fetch_one(sql.is_session_known, bool, **name._asdict())
    return found is not None


def erase_session(name: SessionName) -> Op[Counter[str]]:
    """Remove a session with its state, its history and what it is found by; return rows by table.

    A late append begins it anew: no tombstone is left that could refuse it.
    """
    named = name._asdict()
    session = yield from fetch_one(sql.erase_session, bool, **named)
    if session is None:
        return Counter()
    states = yield from fetch_all(sql.erase_session_state, bool, **named)
    messages = yield from fetch_all(sql.erase_session_messages, bool, **named)
    facets = yield from fetch_all(sql.erase_session_facets, bool, **named)
    return Counter(
        sessions=1,
        session_states=len(states),
        session_messages=len(messages),
        session_facets=len(facets),
    )
