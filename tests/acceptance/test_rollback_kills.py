"""A process that is killed while it goes back: all of a rollback is there, or nothing."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.acceptance.project import Project
from tests.support.programs import heard, killed, running

ROOT = Path(__file__).parents[2]


def change(project: Project, word: str) -> None:
    """Give the agent something else to know, in every noun, and take a snapshot of it."""
    with project.open() as db:
        for number in range(20):
            db.world_state.set(f"k{number}", f"{word} {number}")
            db.sessions.save("planner", f"s{number}", {"word": word})
        for number in range(40):
            db.memories.put(f"key{number}", f"{word} {number}", agent_id="planner")
            db.memories.add(f"only {word}", agent_id="planner")
        db.snapshots.create("planner", world_scope="default", snapshot_id=word, risk_tier="LOW")
        assert db.snapshots.verify(word).is_intact


def test_whenever_it_is_killed_a_rollback_happened_or_did_not(project: Project) -> None:
    change(project, "one")
    change(project, "two")
    said: list[str] = []
    for lines in (1, 2, 1, 3):
        with running(
            [sys.executable, "-m", "tests.acceptance.rollback_program"],
            environment={**project.environment, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
            directory=project.folder,
        ) as program:
            said += [heard(program) for _ in range(lines)]
            said += killed(program)
        with project.open() as db:
            states = [db.snapshots.diff(snapshot_id) for snapshot_id in ("one", "two")]
            assert [] in [list(changes) for changes in states], "it is at one or at the other"
            rollbacks = db.snapshots.list_rollbacks(limit=1000)
            done = {rollback.rollback_id for rollback in rollbacks}
            assert done >= set(said)
            for rollback in rollbacks:
                events = db.events.read_stream(f"rollbacks/{rollback.rollback_id}")
                assert len(events) == 3
                assert db.snapshots.get(rollback.before_id).created_at == rollback.created_at
            assert len(db.snapshots.list(tag="before-rollback", limit=1000)) == len(rollbacks)
    with project.open() as db:
        assert db.snapshots.verify("one").is_intact
        assert db.snapshots.verify("two").is_intact
        assert db.ledger.verify().is_intact
