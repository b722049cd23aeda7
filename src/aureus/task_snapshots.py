"""What the tool ``snapshot`` does: a task takes a snapshot of an agent, by default of one named like its workflow."""

from __future__ import annotations

from aureus._database.database import AsyncRunner
from aureus._database.drive import Call
from aureus.codec import Json
from aureus.tools import ToolCall


class TaskSnapshots:
    """Snapshots for the tasks of one tenant."""

    def __init__(self, runner: AsyncRunner, call: Call) -> None:
        self._runner = runner
        self._call = call

    async def take(self, call: ToolCall, snapshot_id: str) -> Json:
        """Take the snapshot that the inputs of a call ask for under this id, or find that it is there."""
        from aureus.snapshots import AsyncSnapshotStore  # most runs take none

        inputs = call.inputs
        scope = inputs.get("scope")
        snapshot = await AsyncSnapshotStore(self._runner, self._call).create(
            inputs.get("agent", None if scope is not None else call.workflow_id),
            user_id=inputs.get("user"),
            namespace=inputs.get("namespace"),
            world_scope=scope,
            session_ids=inputs.get("sessions"),
            run_id=call.run_id,
            task_id=call.task_id,
            risk_tier=inputs.get("riskTier"),
            tags=inputs.get("tags", ()),
            metadata=inputs.get("metadata"),
            snapshot_id=snapshot_id,
            actor=call.workflow_id,
        )
        return {
            "snapshotId": snapshot.snapshot_id,
            "root": snapshot.root.hex(),
            "ledgerSize": snapshot.ledger_size,
            "stateCount": snapshot.state_count,
            "memoryCount": snapshot.memory_count,
        }
