"""A late change of one thing costs what the first one did: no list of earlier changes is gone through.

Without VACUUM: what earlier changes left behind is in the way of the later ones.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from aureus._database.catalog import Catalog
from aureus._database.statement import Query
from tests.plans.test_plans import NOW, execute, touched
from tests.support.postgres import PostgresDatabase

CHANGES = 1500
"""How many there are; what is gone through would be pages by then, a hundred versions of a memory eighty."""

COUNTED = (10, CHANGES - 1)
"""The changes whose pages are compared."""

GROWTH_MAX = 8
"""Pages by which a change may touch more than an early one: each index that it goes into is a level higher by then."""

SESSION = {"collection": "c", "agent_id": "a", "session_id": "s", "now": NOW, "mark": "m"}

KEY = {"scope": "w", "key": "k", "now": NOW, "mark": "m"}


def memory(number: int, memory_id: str = "m") -> dict[str, Any]:
    """Return what the version of a memory is written with."""
    given = {
        "memory_id": memory_id, "version": number, "namespace": "", "memory_key": "", "agent_id": "a", "user_id": "u",
        "session_id": "s", "type": "fact", "confidence": 0.5, "subject": "b", "text_language": "english", "run_id": "r",
        "task_id": "t", "step_id": "", "source_event_id": "", "is_shared": False, "tier": "hot", "occurred_at": 1,
        "superseded_by": "", "operation_id": f"o{number}", "created_at": 1, "updated_at": number, "tags": '["x"]',
        "metadata": "{}", "sources": "[]", "text": f"{number} " + "x" * 1500,
    }  # fmt: skip
    return {"memories": json.dumps([given]), "now": NOW, "mark": "m"}


CHANGING: dict[Query, Callable[[int], dict[str, Any]]] = {
    Query("memories", "revise_memory"): memory,
    Query("memories", "replace_memory"): memory,
    Query("text_index", "put_documents"): lambda n: {
        "space": "memories", "documents": json.dumps([["m", n, "{}"]]),
    },
    Query("world_state", "set_world_state"): lambda n: {**KEY, "value": str(n), "operation_id": f"o{n}"},
    Query("world_state", "increment_world_state"): lambda n: {**KEY, "amount": 1, "operation_id": f"o{n}"},
    Query("profiles", "merge_profile"): lambda n: {
        "user_id": "u", "sections": "{}", "changes": json.dumps({"s": {"n": n}}), "updated_by": "me",
        "operation_id": f"o{n}", "now": NOW, "added_bytes": 10, "bytes_max": 1000, "mark": "m",
    },
    Query("sessions", "save_session"): lambda n: {
        **SESSION, "state": json.dumps({"n": n}), "sets_expiry": False, "operation_id": f"o{n}",
    },
    Query("sessions", "append_messages"): lambda n: {
        **SESSION, "count": 1, "roles": ["user"], "contents": [str(n)], "metadatas": [None], "operation_id": f"o{n}",
    },
    Query("memories", "get_written_version"): lambda n: {"memory_id": "m", "operation_id": f"new{n}"},
}  # fmt: skip
"""Changes of one thing, by their number; a memory is there before its first change."""


@pytest.mark.parametrize("query", CHANGING)
def test_a_change_touches_as_many_pages_as_the_first_ones(
    query: Query, postgres_database: PostgresDatabase
) -> None:
    changed = Query("memories", "revise_memory") if query.name == "get_written_version" else query
    with psycopg.connect(postgres_database.url(), autocommit=True) as session:
        session.execute("SET ROLE aureus_app")
        session.execute("SELECT set_config('aureus.tenant', 'big', false)")
        session.execute("SET plan_cache_mode = force_generic_plan")
        for one in {query, changed, Query("memories", "put_memory")}:
            text = Catalog("postgres").compiled(one).texts[0]
            session.execute(f"PREPARE {one.name} AS {text}".encode())
        execute(session, "put_memory", memory(1), "memories")
        pages = []
        for number in range(2, CHANGES):
            plan = execute(session, changed.name, CHANGING[changed](number), changed.noun)
            if query != changed and number in COUNTED:
                plan = execute(session, query.name, CHANGING[query](number), query.noun)
            if number in COUNTED:
                pages.append(touched(plan))
    early, late = pages
    assert late <= early + GROWTH_MAX, (early, late)
