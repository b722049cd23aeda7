"""The environment variables that a child process sees.

A child inherits the environment of Aureus without what opens the database: a workflow's commands print, log and send
their environment more often than anybody means to. This guards against accidents, not against a hostile program of
the same operating system user, who can read the memory of Aureus itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from aureus.errors import ToolFailed
from aureus.tools.contract import ToolCall
from aureus.tools.inputs import Path, Problem, is_map, kind, text

WITHHELD_PREFIXES = ("AUREUS_", "DATABASE_", "SUPABASE_", "ARAGORA_", "AUREN_")
"""Settings of Aureus and of the systems whose names it reads: some hold passwords, the rest point at the database."""

WITHHELD_ENDINGS = ("_DSN", "DATABASE_URL")

WITHHELD_PARTS = ("PASSWORD", "PASSWD")

WITHHELD_NAMES = ("DSN", "JWT_SECRET")

_LIBPQ = re.compile(r"PG[A-Z]+\Z")
_POSTGRES_URL = re.compile(r"postgres(ql)?(\+\w+)?://", re.IGNORECASE)

RUN_VARIABLE, TASK_VARIABLE, ATTEMPT_VARIABLE = "AUREUS_RUN_ID", "AUREUS_TASK_ID", "AUREUS_ATTEMPT"

TASK_VARIABLES = (
    RUN_VARIABLE,
    "AUREUS_WORKFLOW_ID",
    TASK_VARIABLE,
    ATTEMPT_VARIABLE,
    "AUREUS_IDEMPOTENCY_KEY",
    "AUREUS_TENANT",
    "AUREUS_CORRELATION_ID",
)
"""What every child is told about its task; a workflow cannot set these."""


def is_withheld(name: str, value: str) -> bool:
    """Say whether a variable is kept from children unless ``env`` asks for it."""
    upper = name.upper()
    return (
        upper.startswith(WITHHELD_PREFIXES)
        or upper.endswith(WITHHELD_ENDINGS)
        or any(part in upper for part in WITHHELD_PARTS)
        or upper in WITHHELD_NAMES
        or _LIBPQ.match(upper) is not None
        or _POSTGRES_URL.match(value) is not None
    )


def inherited_environment(parent: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of Aureus that children may see without asking."""
    return {name: value for name, value in parent.items() if not is_withheld(name, value)}


def child_environment(
    parent: Mapping[str, str], call: ToolCall, requested: Mapping[str, Any]
) -> dict[str, str]:
    """Return the environment of the work of one task.

    ``requested`` is the ``env`` input: a value is set, null hands on the variable of Aureus itself. Raises
    ``ToolFailed`` when a variable to hand on is not set.
    """
    environment = inherited_environment(parent)
    for name, value in requested.items():
        if value is None and name not in parent:
            raise ToolFailed(
                f"env asks to hand on {name}, but it is not set where Aureus runs. Set it there, or give a value.",
                reason="environment",
                variable=name,
            )
        environment[name] = parent[name] if value is None else as_text(value)
    environment.update(_task_variables(call))
    return environment


def _task_variables(call: ToolCall) -> dict[str, str]:
    told = {
        RUN_VARIABLE: call.run_id,
        "AUREUS_WORKFLOW_ID": call.workflow_id,
        TASK_VARIABLE: call.task_id,
        ATTEMPT_VARIABLE: str(call.attempt),
        "AUREUS_IDEMPOTENCY_KEY": call.idempotency_key,
        "AUREUS_TENANT": call.tenant_id,
        "AUREUS_CORRELATION_ID": call.correlation_id,
    }
    return {name: value for name, value in told.items() if value is not None}


def as_text(value: str | float) -> str:
    """Return a scalar the way YAML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value)


def environment_rule(value: Any, path: Path) -> Iterator[Problem]:
    """Accept a map of variable names to text, numbers, true, false or null."""
    if not is_map(value):
        yield Problem(path, f"'env' must be a map of names to values, not {kind(value)}")
        return
    for name, item in value.items():
        here = (*path, str(name))
        if not isinstance(name, str) or not name or "=" in name or "\x00" in name:
            yield Problem(here, f"env has the name {name!r}; a name is text without '='")
        elif name in TASK_VARIABLES:
            yield Problem(
                here, f"env sets {name}, which Aureus sets for every task; choose another name"
            )
        elif isinstance(item, dict | list):
            yield Problem(
                here, f"'env.{name}' must be text, a number, true or false, not {kind(item)}"
            )
        elif isinstance(item, str):
            yield from text(item, here)
