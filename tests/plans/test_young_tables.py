"""A table that was empty when its statements were planned is read by its keys once it has grown, without statistics."""

from __future__ import annotations

import re
from typing import Any

import psycopg

from aureus._database.catalog import Catalog
from aureus._database.postgres.plans import LET_GO
from aureus._database.statement import Query
from tests.plans.test_plans import BUFFERS_MAX, NOW, PAGE, SEED, SESSION, execute, indexes, touched
from tests.support.postgres import PostgresDatabase

TABLES_SEEDED = sorted(set(re.findall(r"INSERT INTO aureus\.(\w+)", SEED)))


YOUNG: dict[Query, dict[str, Any]] = {
    Query("runs", "get_run"): {"run_id": "r17"},
    Query("runs", "request_cancel"): {"run_id": "r17", "now": NOW},
    Query("runs", "claim_run"): {
        "run_id": "r17", "lease_id": "l2", "transition_id": "t8", "now": NOW, "mark": "m",
    },
    Query("runs", "advance_run"): {
        "run_id": "r17", "epoch": 1, "lease_id": "l1", "status": "running", "phase": "forward", "transition_id": "t9",
        "keeps_lease": True, "now": NOW, "tasks": "[]", "approvals": "[]", "mark": "m",
    },
    Query("tasks", "get_task"): {"run_id": "r17", "scope": "", "name": "a", "occurrence": 0},
    Query("tasks", "list_tasks"): {"run_id": "r17"},
    Query("events", "get_event"): {"event_id": "e17"},
    Query("memories", "get_memory"): {"memory_id": "m17"},
    Query("memories", "lock_memory"): {"memory_id": "m17"},
    Query("memories", "get_state"): {"memory_id": "m17", "recorded_at": NOW},
    Query("memories", "list_versions"): {"memory_id": "m17", "before_version": 9, "limit": 20},
    Query("memories", "get_written_version"): {"memory_id": "m17", "operation_id": "o"},
    Query("memories", "look_under_key"): {
        "memory_id": "new", "agent_id": "a4", "user_id": "u60", "namespace": "", "key": "k60",
    },
    Query("memories", "purge_memories"): {"memory_ids": ["m17"], "mark": "m"},
    Query("memories", "list_newest_chosen_memories"): {
        **PAGE, "memory_ids": ["m17", "m18"],
    },
    Query("memories", "list_found_memories"): {**PAGE, "memory_ids": ["m17", "m18"]},
    Query("text_index", "list_pending"): {"space": "memories", "limit": 20},
    Query("text_index", "take_pending"): {"space": "memories", "limit": 20, "words_max": 1000},
    Query("text_index", "find_postings"): {
        "space": "memories", "terms": ["w17", "w18"], "inline_max": 10,
    },
    Query("hypotheses", "get_hypothesis"): {"hypothesis_id": "h17"},
    Query("profiles", "get_profile"): {"user_id": "u17"},
    Query("erasures", "list_subject_entries"): {"subject": "u17", "after_no": 0, "limit": 500},
    Query("sessions", "load_session"): {**SESSION, "session_id": "s17", "now": NOW},
    Query("sessions", "save_session"): {
        **SESSION, "session_id": "s17", "now": NOW, "state": '{"n":17}', "context": None, "mark": "m",
        "sets_expiry": False, "ttl_ms": None, "expires_at": None, "expected_version": 1, "operation_id": "new",
    },
    Query("sessions", "delete_session"): {
        **SESSION, "session_id": "s17", "now": NOW, "gone_at": NOW, "operation_id": "n", "expected_version": None,
        "mark": "m",
    },
    Query("world_state", "get_world_state"): {"scope": "w", "key": "k17"},
}  # fmt: skip
"""What is asked for one thing by its name, again and again."""


def test_plans_of_an_empty_table_are_let_go_and_made_anew_without_statistics(
    postgres_database: PostgresDatabase,
) -> None:
    """As the kept connections of a young database meet them, before the first ANALYZE."""
    with psycopg.connect(postgres_database.url(), autocommit=True) as owner:
        owner.execute("SET ROLE aureus_app")
        owner.execute("SELECT set_config('aureus.tenant', 'big', false)")
        owner.execute("SET plan_cache_mode = force_generic_plan")
        for query, parameters in YOUNG.items():
            text = Catalog("postgres").compiled(query).texts[0]
            owner.execute(f"PREPARE {query.name} AS {text}".encode())
            with owner.transaction(force_rollback=True):
                execute(owner, query.name, parameters, query.noun)
        with psycopg.connect(postgres_database.url(), autocommit=True) as writer:
            for table in TABLES_SEEDED:
                writer.execute(
                    f"ALTER TABLE aureus.{table} SET (autovacuum_enabled = off)".encode()
                )
            for statement in SEED.split(";"):
                writer.execute(statement.encode())
        owner.execute(LET_GO)
        for query, parameters in YOUNG.items():
            with owner.transaction(force_rollback=True):
                plan = execute(owner, query.name, parameters, query.noun)
            assert touched(plan) <= BUFFERS_MAX, (query, touched(plan), indexes(plan))
