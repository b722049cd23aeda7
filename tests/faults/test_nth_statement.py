"""Every operation that writes, with its n-th statement failing, for every n: all or nothing, and a retry converges."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from aureus import NewEvent, Provenance
from aureus.errors import AureusError
from aureus.ledger.keys import SigningKey
from aureus.ledger.seen_heads import SeenHead, SeenHeads
from aureus.model.approvals import ApprovalRequest
from aureus.model.heads import Head
from aureus.model.sessions import AdoptedMessage, AdoptedSession
from aureus.model.states import ApprovalStatus, RunStatus, TaskStatus
from aureus.model.tasks import TaskChange, TaskKey
from tests.contract.stage import HOLDER, Stage, begun, fact, finished
from tests.faults.contents import looking
from tests.faults.embedding_writes import EMBEDDING_WRITES
from tests.faults.erasing import ERASING
from tests.faults.index_steps import INDEX_STEPS
from tests.faults.memory_writes import MEMORY_WRITES
from tests.faults.nth_statement import failing
from tests.faults.snapshot_writes import SNAPSHOT_WRITES
from tests.faults.subscription_writes import SUBSCRIPTION_WRITES

TABLES = [
    "workflows", "workflow_versions", "runs", "run_inputs", "tasks", "task_results", "idempotency_keys",
    "approvals", "leases", "streams", "events", "event_payloads", "memories", "memory_versions", "memory_tags",
    "memory_accesses", "memory_embeddings", "text_indexes", "text_index_pending", "text_index_documents",
    "text_index_segments", "text_index_postings",
    "profiles", "profile_versions", "hypotheses", "hypothesis_evidence",
    "sessions", "session_states", "session_messages", "session_collections", "session_facets",
    "world_state", "world_state_versions", "audit_references", "audit_modes", "audit_retention",
    "ledger_heads", "ledger_batches", "ledger_nodes", "signed_heads",
    "anchor_heads", "anchors", "anchor_nodes",
    "event_subjects", "erasures", "erased_entries", "destroyed_keys",
    "snapshots", "snapshot_parts", "rollbacks", "rollback_approvals",
    "subscriptions", "subscription_members", "subscription_buckets", "subscription_parked",
]  # fmt: skip

STATEMENTS_MAX = 120
"""No operation sends more; one that is never through by then hangs."""

ASK = TaskKey("", "ask")

Prepared = Callable[[], Any]


def save_version(stage: Stage) -> Prepared:
    """Return the saving of a new version."""
    return lambda: stage.stores.workflows.save_version("w", "h", name="W", definition={"n": 1})


def start(stage: Stage) -> Prepared:
    """Return the start of a run with tasks, a question and facts in two streams."""
    waiting = TaskChange(ASK, is_new=True, status=TaskStatus.WAITING, attempt=1)
    run = stage.a_start(
        "r1",
        changes=[begun("read"), waiting],
        approvals=[ApprovalRequest(ASK, "go on?", "HIGH", "engine")],
        facts=[fact("r1", "one"), fact("r1", "two"), fact("other", "three")],
    )
    return lambda: stage.stores.runs.start(run)


def advance(stage: Stage) -> Prepared:
    """Return a transition that touches every table it can."""
    waiting = TaskChange(ASK, is_new=True, status=TaskStatus.WAITING, attempt=1)
    transition = stage.a_transition(
        stage.start("r1").run,
        changes=[finished("read", f'"{"x" * 5000}"'), begun("count"), waiting],
        approvals=[ApprovalRequest(ASK, "go on?", None, "engine")],
        facts=[fact("r1", "one"), fact("r1", "two")],
    )
    return lambda: stage.stores.runs.advance(transition)


def finish(stage: Stage) -> Prepared:
    """Return the end of a run, which closes its questions."""
    advance(stage)()
    run = stage.stores.runs.get("r1")
    changes = [TaskChange(ASK, is_new=False, status=TaskStatus.CANCELLED, attempt=1)]
    transition = stage.a_transition(
        run,
        status=RunStatus.CANCELLED,
        keeps_lease=False,
        changes=changes,
        facts=[fact("r1", "end")],
    )
    return lambda: stage.stores.runs.advance(transition)


def claim(stage: Stage) -> Prepared:
    """Return the takeover of a run."""
    stage.start("r1")
    stage.stores.leases.release(stage.lease_id)
    transition_id = stage.new_id()
    return lambda: stage.stores.runs.claim(
        "r1", lease_id="other", transition_id=transition_id, facts=[fact("r1", "claimed")]
    )


def request_cancel(stage: Stage) -> Prepared:
    """Return the wish to cancel a run."""
    stage.start("r1")
    return lambda: stage.stores.runs.request_cancel("r1", facts=[fact("r1", "wish")])


def decide(stage: Stage) -> Prepared:
    """Return the answer to a question."""
    start(stage)()
    return lambda: stage.stores.approvals.decide(
        "r1",
        ASK,
        status=ApprovalStatus.APPROVED,
        decision_id="d",
        decided_by="ada",
        facts=[fact("r1", "granted")],
    )


def acquire(stage: Stage) -> Prepared:
    """Return the making of a lease."""
    return lambda: stage.stores.leases.acquire("mine", HOLDER, lease_seconds=30)


def release(stage: Stage) -> Prepared:
    """Return the end of a lease."""
    return lambda: stage.stores.leases.release(stage.lease_id)


def prune(stage: Stage) -> Prepared:
    """Return the forgetting of old leases."""
    stage.stores.leases.acquire("old", HOLDER, lease_seconds=-1e9)
    return stage.stores.leases.prune  # type: ignore[no-any-return]  # any backend


def reserve(stage: Stage) -> Prepared:
    """Return the reservation of an idempotency key."""
    stage.start("r1")
    return lambda: stage.stores.idempotency_keys.reserve(
        "k", run_id="r1", key=TaskKey("", "read"), input_hash="h"
    )


def update_profile(stage: Stage) -> Prepared:
    """Return a merge into a profile, which is told in three events."""
    stage.stores.profiles.update("ada", goals={"run": 1})
    return lambda: stage.stores.profiles.update(
        "ada", goals={"run": None}, preferences={"tone": "short"}, demographics={"age": 36}
    )


def delete_profile(stage: Stage) -> Prepared:
    """Return the end of a profile with two versions."""
    update_profile(stage)()
    return lambda: stage.stores.profiles.delete("ada")


def propose_hypothesis(stage: Stage) -> Prepared:
    """Return the forming of a hypothesis."""
    return lambda: stage.stores.hypotheses.propose("it rains", agent_id="a", hypothesis_id="h")


def add_evidence(stage: Stage) -> Prepared:
    """Return a test of a hypothesis."""
    propose_hypothesis(stage)()
    return lambda: stage.stores.hypotheses.add_evidence("h", "wet", side="for", confidence=0.9)


def delete_hypothesis(stage: Stage) -> Prepared:
    """Return the end of a hypothesis with evidence."""
    add_evidence(stage)()
    return lambda: stage.stores.hypotheses.delete("h")


def append(stage: Stage) -> Prepared:
    """Return the appending of two events behind one that is there."""
    stage.stores.events.append("s", "first", {})
    batch = [NewEvent("a", {"n": 1}, {"m": 1}, "id-1"), NewEvent("b", {}, event_id="id-2")]
    return lambda: stage.stores.events.append_all("s", batch, expected_version=1)


def a_session(stage: Stage) -> Any:
    """Return the sessions of a tenant, of which s1 has a state, a history and an indexed collection."""
    sessions = stage.stores.sessions
    while not sessions.index_states().is_ready:
        pass
    sessions.save("planner", "s1", {"a": 1}, ttl_seconds=60)
    sessions.append("planner", "s1", "user", "hi")
    return sessions


def save_session(stage: Stage) -> Prepared:
    """Return the saving of another state."""
    sessions = a_session(stage)
    return lambda: sessions.save("planner", "s1", {"a": 2, "b": [1, 2]}, expected_version=2)


def revive_session(stage: Stage) -> Prepared:
    """Return the saving of a session that has expired, which removes what belonged to it."""
    sessions = a_session(stage)
    stage.backend.clock.advance(61)
    return lambda: sessions.save("planner", "s1", {"b": 1})


def append_messages(stage: Stage) -> Prepared:
    """Return an append of two messages."""
    sessions, messages = a_session(stage), [{"role": "user", "content": n} for n in range(2)]
    return lambda: sessions.append_many("planner", "s1", messages)


def delete_session(stage: Stage) -> Prepared:
    """Return the deletion of a session."""
    sessions = a_session(stage)
    return lambda: sessions.delete("planner", "s1")


def delete_agent(stage: Stage) -> Prepared:
    """Return the deletion of an agent's sessions."""
    sessions = a_session(stage)
    sessions.save("planner", "s2", 1)
    return lambda: sessions.delete_agent("planner")


def reset_session(stage: Stage) -> Prepared:
    """Return the emptying of a session."""
    sessions = a_session(stage)
    return lambda: sessions.reset("planner", "s1")


def set_session_expiry(stage: Stage) -> Prepared:
    """Return the setting of an end."""
    sessions = a_session(stage)
    return lambda: sessions.set_expiry("planner", "s1", ttl_seconds=5)


def sweep_sessions(stage: Stage) -> Prepared:
    """Return the sweeping of an expired session."""
    sessions = a_session(stage)
    stage.backend.clock.advance(61)
    return sessions.sweep_expired  # type: ignore[no-any-return]  # any backend


def prune_sessions(stage: Stage) -> Prepared:
    """Return the forgetting of a tombstone."""
    delete_session(stage)()
    before = stage.backend.clock.now() + timedelta(seconds=1)
    return lambda: stage.stores.sessions.prune_deleted(before=before)


def adopt_sessions(stage: Stage) -> Prepared:
    """Return the adoption of a session with messages into an indexed collection."""
    sessions, now = a_session(stage), stage.backend.clock.now()
    messages = [AdoptedMessage("user", n, {}, now) for n in range(2)]
    given = AdoptedSession("writer", "s1", 3, {"n": 1}, {}, now, now, messages)
    return lambda: sessions.adopt([given])


def begin_index(stage: Stage) -> Prepared:
    """Return the beginning of an index."""
    return stage.stores.sessions.index_states  # type: ignore[no-any-return]  # any backend


def index_states(stage: Stage) -> Prepared:
    """Return the indexing of a session that was there before."""
    stage.stores.sessions.save("planner", "s1", {"a": 1})
    stage.stores.sessions.index_states()
    return begin_index(stage)


def drop_index(stage: Stage) -> Prepared:
    """Return the end of an index."""
    return a_session(stage).drop_index  # type: ignore[no-any-return]  # any backend


def set_world_state(stage: Stage) -> Prepared:
    """Return the setting of a key."""
    stage.stores.world_state.set("k", 1)
    return lambda: stage.stores.world_state.set("k", 2, expected_version=1)


def increment_world_state(stage: Stage) -> Prepared:
    """Return an addition."""
    return lambda: stage.stores.world_state.increment("k")


def transform_world_state(stage: Stage) -> Prepared:
    """Return the change of a key that is not there yet, by a function."""
    return lambda: stage.stores.world_state.transform("k", lambda value: [value])


def prune_world_state(stage: Stage) -> Prepared:
    """Return the pruning of what two keys had."""
    for key in ("k", "l", "k", "l", "k"):
        stage.stores.world_state.increment(key)
    return lambda: stage.stores.world_state.prune_batch(keep_newest=1, record_id="record")


def delete_world_state(stage: Stage) -> Prepared:
    """Return the deletion of a key."""
    stage.stores.world_state.set("k", 1)
    return lambda: stage.stores.world_state.delete("k")


def seal(stage: Stage) -> Prepared:
    """Return a round of sealing that completes a subtree."""
    for number in range(3):
        stage.stores.events.append_all(f"s/{number}", [NewEvent("t", {})] * 100)
    return stage.stores.ledger.seal  # type: ignore[no-any-return]  # any backend


def append_audit_entry(stage: Stage) -> Prepared:
    """Return the appending of an audit entry that refers to things."""
    stage.stores.audit.append("ada", "first")
    provenance = Provenance("r1", "t1")
    return lambda: stage.stores.audit.append(
        "ada", "x", before=1, after=2, provenance=provenance, operation_id="op"
    )


def set_audit_mode(stage: Stage) -> Prepared:
    """Return the second change of a tenant's mode."""
    stage.stores.audit.set_mode("all", actor="ada")
    return lambda: stage.stores.audit.set_mode("off", actor="ada", operation_id="op")


def sign_head(stage: Stage) -> Prepared:
    """Return the signing of a head."""
    seal(stage)()
    return lambda: stage.stores.ledger.sign(SigningKey("aureus", bytes(32)))


def accept_restore(stage: Stage) -> Prepared:
    """Return the decision to go on with a database that is behind what was seen."""
    seal(stage)()
    state = stage.stores.ledger.get_head()
    lost = Head(stage.stores.ledger.head().origin, state.size + 1, bytes(32))
    SeenHeads(Path(str(stage.backend.settings.ledger.heads))).accept(
        state.tenant_key, SeenHead(lost)
    )
    return stage.stores.ledger.accept_restore  # type: ignore[no-any-return]  # any backend


def append_anchors(stage: Stage) -> Prepared:
    """Return the anchoring of a head that has grown."""
    seal(stage)()
    return stage.stores.anchors.append  # type: ignore[no-any-return]  # any backend


def accept_restore_of_anchors(stage: Stage) -> Prepared:
    """Return the decision to go on with an anchor log that is behind what was seen."""
    seal(stage)()
    head = stage.stores.anchors.anchor().head
    lost = Head(head.origin, head.size + 1, bytes(32))
    SeenHeads(Path(str(stage.backend.settings.ledger.heads))).accept(
        head.origin.rpartition("/")[2], SeenHead(lost)
    )
    return stage.stores.anchors.accept_restore  # type: ignore[no-any-return]  # any backend


def prune_audit(stage: Stage) -> Prepared:
    """Return the removal of the oldest payloads of the trail, as one batch."""
    audit = stage.stores.audit
    for number in range(3):
        audit.append("ada", "x", after=number, provenance=Provenance("r1"))
    stage.backend.clock.advance(60)
    stage.stores.ledger.seal()
    before = stage.backend.clock.now()
    return lambda: audit.prune_batch(before, actor="root", record_id="record")


OPERATIONS = [
    save_version, start, advance, finish, claim, request_cancel, decide, acquire, release, prune, reserve,
    update_profile, delete_profile, propose_hypothesis, add_evidence, delete_hypothesis,
    append,
    *MEMORY_WRITES, *ERASING, *EMBEDDING_WRITES,
    save_session, revive_session, append_messages, delete_session, delete_agent, reset_session, set_session_expiry,
    sweep_sessions, prune_sessions, adopt_sessions, begin_index, index_states, drop_index,
    set_world_state, increment_world_state, transform_world_state, delete_world_state, prune_world_state,
    append_audit_entry, set_audit_mode, prune_audit,
    *INDEX_STEPS,
    seal, sign_head, accept_restore, append_anchors, accept_restore_of_anchors,
    *SNAPSHOT_WRITES,
    *SUBSCRIPTION_WRITES,
]  # fmt: skip


@pytest.mark.parametrize("prepare", OPERATIONS, ids=lambda function: function.__name__)
def test_nothing_is_left_behind_whichever_statement_fails_and_the_retry_converges(
    stage: Stage, prepare: Callable[[Stage], Prepared]
) -> None:
    operation = prepare(stage)
    number = 0
    error: AureusError | None = AureusError("not tried yet")
    with looking(stage, TABLES) as contents:
        before = contents()
        while error is not None:
            number += 1
            assert number < STATEMENTS_MAX, "the operation never came through"
            with failing(number, is_lasting=True) as fault:
                error = attempt(operation)
            if error is not None:
                assert fault.fired >= 1, error
                assert contents() == before, f"statement {number} left something behind"
        assert number > 1, "no statement was ever made to fail"
        assert contents() != before


def test_a_statement_that_fails_once_leaves_either_everything_or_nothing(stage: Stage) -> None:
    number = 0
    fired = 1
    while fired:
        number += 1
        run = stage.a_start(
            f"r{number}", facts=[fact(f"r{number}", "one"), fact(f"r{number}", "two")]
        )
        with failing(number, is_lasting=False) as fault:
            error = attempt(partial(stage.stores.runs.start, run))
        fired = fault.fired
        found = stage.stores.runs.find(run.run_id)
        assert (found is None) == (error is not None)
        assert stage.versions(run.run_id) == ([] if found is None else [1, 2])
        assert len(stage.stores.tasks.list(run.run_id)) == (0 if found is None else 1)
    assert number > 3


def attempt(operation: Prepared) -> AureusError | None:
    """Carry an operation out; return its error."""
    try:
        operation()
    except AureusError as error:
        return error
    return None
