"""Workflows: definitions kept by the hash of their meaning."""

from __future__ import annotations

from typing import Any

from aureus._database.operation import AsyncStore, Operations, Store, read, write
from aureus._database.statement import Op, Queries, current_time, fetch_all, fetch_one, last
from aureus.codec import decode, encode_text
from aureus.errors import NotFound
from aureus.model.plain import plain

sql = Queries("workflows")


class WorkflowOperations(Operations):
    """Operations on workflow definitions."""

    @write
    def save_version(
        self, workflow_id: str, workflow_hash: str, *, name: str, definition: dict[str, Any]
    ) -> Op[None]:
        """Keep one version of a workflow and make it the current one. Atomic. Repeating it changes nothing."""
        now = yield from current_time()
        yield from last(
            sql.save_workflow_version,
            bool,
            workflow_id=workflow_id,
            hash=workflow_hash,
            name=name,
            definition=encode_text(definition, what="workflow definition"),
            now=now,
        )

    @read
    def get_version(self, workflow_id: str, workflow_hash: str) -> Op[dict[str, Any]]:
        """Return the stored definition of one version. Raises ``NotFound``."""
        found: dict[str, Any] | None = yield from fetch_one(
            sql.get_workflow_version,
            lambda row: decode(row[0]),
            workflow_id=workflow_id,
            hash=workflow_hash,
        )
        if found is None:
            raise NotFound(
                f"workflow {workflow_id!r} has no version {workflow_hash[:12]}",
                workflow_id=workflow_id,
                workflow_hash=workflow_hash,
            )
        return found

    @read
    def list_versions(self, workflow_id: str) -> Op[list[dict[str, Any]]]:
        """Return hash and time of every version of a workflow, newest first; empty when there is none."""
        return (
            yield from fetch_all(
                sql.list_workflow_versions,
                lambda row: {"hash": row[0], "created_at": plain(row[1])},
                workflow_id=workflow_id,
            )
        )


class WorkflowStore(WorkflowOperations, Store):
    """Workflow definitions of one tenant."""


class AsyncWorkflowStore(WorkflowOperations, AsyncStore):
    """Workflow definitions of one tenant, awaited."""
