"""Which audit entries each write of each noun leaves, in each mode: the table is complete, and so are the writes in it.

What the engine tells of runs and tasks is in tests/unit/engine/test_facts.py; here its facts are those of the stage.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aureus.model.audit_modes import AuditMode
from tests.contract.stage import Stage
from tests.faults.test_nth_statement import OPERATIONS
from tests.support.backends import Backend, settings_for
from tests.support.migrated import migrated_file
from tests.support.toy_embedder import ToyEmbedder

DECIDED: dict[str, list[str]] = {
    "delete_profile": ["profile.delete"],
    "delete_hypothesis": ["hypothesis.delete"],
    "forget_memory": ["memory.delete"],
    "restore_memory": ["memory.restore"],
    "purge_memory": ["memory.purge"],
    "clear_memories": ["memory.delete"] * 3,
    "sweep_memories": ["memory.delete"],
    "delete_session": ["session.delete"],
    "delete_agent": ["session.delete-all"],
    "reset_session": ["session.reset"],
    "sweep_sessions": ["session.expire"],
    "adopt_sessions": ["session.adopt"],
    "delete_world_state": ["world-state.delete"],
    "delete_subscription": ["subscription.delete"],
    "reset_subscription": ["subscription.reset"],
    "skip_parked": ["subscription.skip"],
    "accept_restore": ["ledger.accept-restore"],
    "accept_restore_of_anchors": ["ledger.accept-restore"],
    "fail_to_roll_back": ["rollback.fail"],
    "request_approval": ["rollback.request-approval"],
    "decide_approval": ["rollback.approve"],
    "delete_snapshot": ["snapshot.delete"],
}
"""Writes that are decisions: the same entries under ``decisions`` and ``all``."""

ROUTINE: dict[str, list[str]] = {
    "start": ["run.change"] * 3,
    "advance": ["run.change"] * 2,
    "finish": ["run.change"],
    "claim": ["run.change"],
    "request_cancel": ["run.change"],
    "decide": ["run.change"],
    "update_profile": ["profile.update"] * 3,
    "propose_hypothesis": ["hypothesis.form"],
    "add_evidence": ["hypothesis.validate"],
    "add_memory": ["memory.create"],
    "update_memory": ["memory.update"],
    "put_memory": ["memory.supersede", "memory.create"],
    "add_memories": ["memory.create"] * 5,
    "append_message": ["memory.create"],
    "add_embedded_memory": ["memory.create"],
    "add_embedded_memories": ["memory.create"] * 3,
    "put_embedded_memory": ["memory.supersede", "memory.create"],
    "update_embedded_memory": ["memory.update"],
    "save_session": ["session.save"],
    "revive_session": ["session.save"],
    "append_messages": ["session.append"],
    "set_session_expiry": ["session.set-expiry"],
    "set_world_state": ["world-state.set"],
    "increment_world_state": ["world-state.set"],
    "transform_world_state": ["world-state.set"],
    "create_snapshot": ["snapshot.create"],
    "replay_parked": ["subscription.replay"],
}
"""Writes that are entries under ``all`` alone."""

EXPLICIT: dict[str, list[str]] = {
    "append_audit_entry": ["x"],
    "set_audit_mode": ["audit.set-mode"],
    "prune_audit": ["audit.prune"],
    "erase_batch": ["subject.erase"],
    "record_key": ["subject.erase"],
    "prune_world_state": ["world-state.prune"],
}
"""Writes that are entries in every mode."""

MIXED: dict[str, tuple[list[str], list[str]]] = {
    "apply_retention": (
        ["memory.delete"],
        ["memory.move", "memory.move", "memory.move", "memory.update", "memory.delete"],
    ),
    "roll_back": (
        ["memory.delete", "rollback.allow", "rollback.complete"],
        [
            "snapshot.create",
            "world-state.set",
            "session.save",
            "memory.delete",
            "memory.update",
            "rollback.begin",
            "rollback.allow",
            "rollback.complete",
        ],
    ),
    "roll_back_many": (
        ["rollback.allow", "rollback.complete"],
        [
            "snapshot.create",
            *["world-state.set"] * 12,
            *["session.save"] * 12,
            "rollback.begin",
            "rollback.allow",
            "rollback.complete",
        ],
    ),
}
"""Writes of which some events are decisions and some are not: under ``decisions``, and under ``all``."""

SILENT = {
    "save_version", "append_about_two", "sign_head", "check_snapshot", "acquire", "release", "prune", "reserve",
    "append", "record_access", "embed_batch", "delete_embeddings", "prune_sessions", "begin_index", "index_states",
    "drop_index", "take_pending", "begin_merge", "end_merge", "prune_segment", "retire_segment", "seal",
    "create_subscription", "advance_subscription", "claim_bucket", "advance_buckets", "share_buckets", "leave_group",
    "release_buckets", "extend_member", "note_try", "append_anchors",
    "park_stream", "keep_parked", "move_parked", "unpark_stream",
}  # fmt: skip
"""Writes that leave no entry: leases, indexes and whatever is derived, events of callers, definitions by their hash."""


def expected(name: str, mode: AuditMode) -> list[str]:
    """Return the actions of the entries that a write leaves in a mode."""
    if name in EXPLICIT:
        return EXPLICIT[name]
    decided, routine = MIXED.get(
        name, (DECIDED.get(name, []), DECIDED.get(name) or ROUTINE.get(name, []))
    )
    return {AuditMode.OFF: [], AuditMode.DECISIONS: decided, AuditMode.ALL: routine}[mode]


def test_the_table_has_every_write_once() -> None:
    tables = [*DECIDED, *ROUTINE, *EXPLICIT, *MIXED, *SILENT]
    assert sorted(tables) == sorted(operation.__name__ for operation in OPERATIONS)


@pytest.fixture(params=["decisions", "all", "off", "all without routine events"])
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    """Give an empty database for each write."""
    mode, *without = str(request.param).split()
    more = {
        "audit.mode": mode,
        "events.routine": "off" if without else "on",
        "ledger.sealing": "off",
    }
    settings = settings_for(migrated_file(tmp_path), tmp_path, **more)
    backend = Backend(settings, is_async=False, embedder=ToyEmbedder())
    yield Stage(backend, "acme")
    backend.close()


@pytest.mark.parametrize("prepare", OPERATIONS, ids=lambda function: function.__name__)
def test_a_write_leaves_the_entries_of_its_mode(
    stage: Stage, prepare: Callable[[Stage], Callable[[], object]]
) -> None:
    """Also where routine events are left out: those that the trail records are none of them."""
    work = prepare(stage)
    audit = stage.stores.audit
    before = {entry.event_id for entry in audit.walk()}
    work()
    entries = [entry for entry in audit.walk() if entry.event_id not in before]
    mode = AuditMode(stage.backend.settings.audit.mode)
    assert [entry.action for entry in entries] == expected(getattr(prepare, "__name__", ""), mode)
    outcome = "failure" if prepare.__name__ == "fail_to_roll_back" else "success"
    assert {entry.outcome for entry in entries} <= {outcome}
    assert all(entry.resource or entry.type == "audit_entry" for entry in entries)
