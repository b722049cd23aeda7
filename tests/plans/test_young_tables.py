"""A table that was empty when its statements were planned is read by its keys once it has grown, without statistics.

As the kept connections of a young database meet it before the first ANALYZE: with the plans that they made at first,
and with those they make when they let these go. Nearly all rows are one tenant's, one agent's, one key's: see
``grown.sql``.
"""

from __future__ import annotations

from typing import Any

import psycopg

from aureus._database.catalog import Catalog
from aureus._database.postgres.plans import LET_GO
from aureus._database.statement import Query
from tests.plans.grown import grow
from tests.plans.test_changes_of_one import memory
from tests.plans.test_plans import NOW, PAGE, execute, indexes, touched
from tests.support.postgres import PostgresDatabase

BUFFERS_MAX = 40
"""Pages of 8 KB that one of these may touch: a row or two by their keys, and what is written about them."""

MORE = {"revise_memory": 60, "replace_memory": 70}
"""What writes a version of a memory, and goes into all its indexes, may touch."""

SESSION = {
    "collection": "c",
    "agent_id": "busy",
    "session_id": "s17",
    "operation_id": "new",
    "now": NOW,
    "mark": "m",
}

KEY = {"scope": "w", "key": "k17", "operation_id": "new", "now": NOW, "mark": "m"}

TASK = (
    '[{"is_new": false, "scope": "", "name": "a2", "occurrence": 0, "status": "completed", "attempt": 1,'
    ' "interruptions": 0, "replayed": false, "is_large": false}]'
)

YOUNG: dict[Query, dict[str, Any]] = {
    Query("runs", "get_run"): {"run_id": "r17"},
    Query("runs", "request_cancel"): {"run_id": "r17", "now": NOW},
    Query("runs", "claim_run"): {
        "run_id": "r17", "lease_id": "l2", "transition_id": "t8", "now": NOW, "mark": "m", "dead_lease_id": "l",
    },
    Query("runs", "advance_run"): {
        "run_id": "r17", "epoch": 1, "lease_id": "l", "status": "completed", "phase": "forward", "transition_id": "t9",
        "keeps_lease": True, "now": NOW, "tasks": TASK, "approvals": "[]", "mark": "m",
    },
    Query("runs", "get_run_remains"): {"run_id": "r17"},
    Query("runs", "empty_run"): {"run_id": "r10"},
    Query("runs", "list_runs"): {"before_at": NOW, "before_id": "", "limit": 20},
    Query("tasks", "get_task"): {"run_id": "r17", "scope": "", "name": "a1", "occurrence": 0},
    Query("tasks", "list_tasks"): {"run_id": "r17"},
    Query("idempotency_keys", "get_idempotency_key"): {"idempotency_key": "i17"},
    Query("approvals", "decide_approval"): {
        "run_id": "r17", "scope": "", "name": "a", "occurrence": 0, "status": "approved", "decision_id": "d",
        "decided_by": "me", "now": NOW, "mark": "m",
    },
    Query("events", "get_event"): {"event_id": "e17"},
    Query("events", "get_entry"): {"stream": "runs/r0", "version": 18},
    Query("events", "find_taken_id"): {"event_ids": ["e17", "new"]},
    Query("proofs", "get_entry_no"): {"event_id": "e17"},
    Query("erasures", "find_record"): {"record_id": "e17"},
    Query("erasures", "list_subject_entries"): {"subject": "often", "after_no": 17, "limit": 5},
    Query("audit", "list_audit_references"): {"entry_nos": [17, 18]},
    Query("memories", "get_memory"): {"memory_id": "m17"},
    Query("memories", "lock_memory"): {"memory_id": "m1"},
    Query("memories", "revise_memory"): memory(20_001, "m1"),
    Query("memories", "replace_memory"): memory(20_001, "m1"),
    Query("memories", "move_memories"): memory(20_000, "m1"),
    Query("memories", "get_state"): {"memory_id": "m17", "recorded_at": NOW},
    Query("memories", "list_versions"): {"memory_id": "m1", "before_version": 9000, "limit": 5},
    Query("memories", "get_written_version"): {"memory_id": "m1", "operation_id": "new"},
    Query("memories", "get_exact_versions"): {"wanted": '[{"memory_id": "m17", "version": 1}]'},
    Query("memories", "get_keyed_memory"): {"agent_id": "busy", "user_id": "often", "namespace": "", "key": "k20"},
    Query("memories", "look_under_key"): {
        "memory_id": "new", "agent_id": "busy", "user_id": "often", "namespace": "", "key": "k20",
    },
    Query("memories", "purge_memories"): {"memory_ids": ["m17"], "mark": "m"},
    Query("memories", "list_newest_chosen_memories"): {**PAGE, "memory_ids": ["m17", "m18"]},
    Query("memories", "list_found_memories"): {**PAGE, "memory_ids": ["m17", "m18"]},
    Query("memory_embeddings", "confirm_embeddings"): {"model": "model", "memory_ids": ["m17"], "versions": [1]},
    Query("text_index", "take_pending"): {"space": "memories", "limit": 5, "words_max": 1000},
    Query("text_index", "list_pending"): {"space": "memories", "limit": 5},
    Query("text_index", "find_postings"): {"space": "memories", "terms": ["w17"], "inline_max": 10},
    Query("text_index", "drop_documents"): {"space": "memories", "target_ids": ["m17", "m18"]},
    Query("hypotheses", "get_hypothesis"): {"hypothesis_id": "h17"},
    Query("hypotheses", "find_evidence"): {"hypothesis_id": "h1", "evidence_id": "new"},
    Query("hypotheses", "add_hypothesis_evidence"): {
        "hypothesis_id": "h17", "evidence_id": "new", "side": "for", "agent_id": "busy", "text": "t", "confidence": 0.6,
        "version": 1, "now": NOW, "mark": "m",
    },
    Query("profiles", "get_profile"): {"user_id": "u17"},
    Query("profiles", "get_profile_version"): {"user_id": "u1", "version": 17},
    Query("profiles", "merge_profile"): {
        "user_id": "u1", "sections": "{}", "changes": "{}", "updated_by": "me", "operation_id": "new", "now": NOW,
        "added_bytes": 0, "bytes_max": 1000, "mark": "m",
    },
    Query("sessions", "load_session"): SESSION,
    Query("sessions", "save_session"): {
        **SESSION, "state": '{"n":17}', "sets_expiry": False, "expected_version": 1,
    },
    Query("sessions", "append_messages"): {
        **SESSION, "session_id": "s1", "count": 1, "roles": ["user"], "contents": ['"hi"'], "metadatas": [None],
    },
    Query("sessions", "delete_session"): {**SESSION, "gone_at": NOW},
    Query("snapshots", "get_snapshot"): {"snapshot_id": "s17"},
    Query("snapshots", "get_rollback"): {"rollback_id": "b17"},
    Query("snapshots", "get_rollback_approval"): {"approval_id": "a17"},
    Query("world_state", "get_world_state"): KEY,
    Query("world_state", "get_world_state_version"): {**KEY, "key": "k1", "version": 17},
    Query("world_state", "get_world_state_of_operation"): {**KEY, "key": "k1"},
    Query("world_state", "set_world_state"): {**KEY, "key": "k1", "value": "2"},
    Query("world_state", "increment_world_state"): {**KEY, "key": "k1", "amount": 1},
    Query("world_state", "delete_world_state"): {**KEY, "key": "k1"},
    Query("world_state", "rewrite_keys"): {**KEY, "values": '[{"key": "k1", "value": "2"}]'},
    Query("world_state", "list_written_values"): {**KEY, "wanted": '[{"key": "k1", "operation_id": "o17"}]'},
    Query("leases", "list_notices"): {"lease_id": "mine"},
    Query("subscriptions", "get_parked"): {"name": "s1", "stream": "runs/r17"},
}  # fmt: skip
"""What is asked for one thing by its name, again and again."""


def test_plans_of_empty_tables_read_grown_ones_by_their_keys(
    postgres_database: PostgresDatabase,
) -> None:
    with (
        psycopg.connect(postgres_database.url(), autocommit=True) as owner,
        psycopg.connect(postgres_database.url(), autocommit=True) as session,
    ):
        session.execute("SET ROLE aureus_app")
        session.execute("SELECT set_config('aureus.tenant', 'big', false)")
        session.execute("SET plan_cache_mode = force_generic_plan")
        for query, parameters in YOUNG.items():
            text = Catalog("postgres").compiled(query).texts[0]
            session.execute(f"PREPARE {query.name} AS {text}".encode())
            with session.transaction(force_rollback=True):
                execute(session, query.name, parameters, query.noun)
        grow(owner)
        read_too_much = [("kept", *found) for found in beyond_limits(session)]
        session.execute(LET_GO)
        read_too_much += [("made anew", *found) for found in beyond_limits(session)]
    assert read_too_much == []


def beyond_limits(session: psycopg.Connection[Any]) -> list[tuple[Query, int, list[str]]]:
    """Carry every statement out, undo it, and return those that touched too many pages."""
    found = []
    for query, parameters in YOUNG.items():
        with session.transaction(force_rollback=True):
            plan = execute(session, query.name, parameters, query.noun)
        if touched(plan) > MORE.get(query.name, BUFFERS_MAX):
            found.append((query, touched(plan), indexes(plan)))
    return found
