"""Identities that are computed: the same work always gets the same key. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from aureus.codec import canonical
from aureus.model.tasks import TaskKey


def resume_key(workflow_id: str, inputs: Mapping[str, Any]) -> str:
    """Return what two runs of the same workflow with the same inputs share.

    At most one unfinished run of a tenant has it, so that starting again means going on.
    """
    return _digest("resume", workflow_id, dict(inputs))


def input_hash(tool: str | None, inputs: Mapping[str, Any]) -> str:
    """Return the hash of what a task was told to do."""
    return _digest("input", tool, dict(inputs))


def idempotency_key(run_id: str, key: TaskKey, tool: str | None, inputs: Mapping[str, Any]) -> str:
    """Return the key of a task whose author gave none: the same for every attempt within one run.

    The run id is part of it on purpose. Two runs with the same inputs were both wanted (a daily report is sent
    every day), so nothing is replayed from one run to another unless an author says so by giving a key.
    """
    return _digest("task", run_id, key.scope, key.name, key.occurrence, tool, dict(inputs))


def _digest(*parts: Any) -> str:
    return hashlib.sha256(canonical(list(parts), what="inputs")).hexdigest()
