"""Every error that Aureus raises, in one tree.

Each class carries a stable ``code`` (for JSON, logs and other languages), says whether the same call may succeed
when it is simply repeated (``retryable``), and keeps what it knows as typed fields. Messages say what happened,
to which thing, and what to do. Errors of drivers and libraries never leave the package: they are the ``__cause__``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, cast


class AureusError(Exception):
    """Something Aureus refused or could not do."""

    code: ClassVar[str] = "error"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, **fields: Any) -> None:
        super().__init__(message)
        self.message = message
        self.fields = fields

    def __getattr__(self, name: str) -> Any:
        """Give a typed field by its name, as it was handed to the constructor."""
        fields: dict[str, Any] = self.__dict__.get("fields", {})
        if name in fields:
            return fields[name]
        raise AttributeError(name)

    def to_dict(self) -> dict[str, Any]:
        """Return the error as plain values: code, message, retryable and its fields."""
        return {
            "code": self.code,
            "message": self.message,
            "retryable": self.retryable,
            **{name: _plain(value) for name, value in self.fields.items()},
        }


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, list | tuple):
        return [_plain(item) for item in cast(Iterable[Any], value)]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in cast(Mapping[Any, Any], value).items()}
    return value.to_dict() if hasattr(value, "to_dict") else str(value)


class NotFound(AureusError):
    """There is no such thing for this tenant."""

    code = "not_found"


class Conflict(AureusError):
    """The caller's view of the world was stale, or somebody else was faster."""

    code = "conflict"
    retryable = True


class VersionConflict(Conflict):
    """The expected version is not the current one."""

    code = "version_conflict"
    retryable = False


class AlreadyExists(Conflict):
    """A thing with this key is there already, and differs or may not be made twice."""

    code = "already_exists"
    retryable = False


class SubjectKeyDestroyed(Conflict):
    """Somebody whom the entry concerns was erased in the same moment; the same call again uses a new key."""

    code = "subject_key_destroyed"


class IllegalTransition(Conflict):
    """The thing is in a state that does not lead to the one asked for."""

    code = "illegal_transition"
    retryable = False


class LeaseLost(Conflict):
    """Another process holds the right to work on this run or this bucket; this one must stop."""

    code = "lease_lost"
    retryable = False


class Invalid(AureusError):
    """A value is outside what the interface accepts; nothing was stored."""

    code = "invalid"


class DefinitionInvalid(Invalid):
    """A workflow file has problems; ``problems`` lists all of them with line and column."""

    code = "definition_invalid"


class ConfigInvalid(Invalid):
    """A setting is missing, unknown or unusable; the message names it and where it came from."""

    code = "config_invalid"


class LimitExceeded(Invalid):
    """A value is larger than a named limit."""

    code = "limit_exceeded"


class Forbidden(AureusError):
    """The tenant, role or policy does not allow this."""

    code = "forbidden"


class TenantUnbound(Forbidden):
    """A statement reached tenant data without a tenant."""

    code = "tenant_unbound"


class ApprovalDenied(Forbidden):
    """A person refused the approval that the work asked for."""

    code = "approval_denied"


class ApprovalRequired(Forbidden):
    """What was asked for is a high risk, and nobody has approved it; ask a person, then call again."""

    code = "approval_required"


class EmbedderFailed(AureusError):
    """A model that turns text into vectors raised an error, or returned what are no vectors of its size."""

    code = "embedder_failed"
    retryable = True


class SubjectKeysFailed(AureusError):
    """A key store raised an error, or returned what are no keys; nothing was stored."""

    code = "subject_keys_failed"
    retryable = True


class PayloadWithheld(AureusError):
    """A payload that is needed is encrypted, and the key of the person it concerns is not here."""

    code = "payload_withheld"


class IntegrityFailure(AureusError):
    """Stored bytes contradict each other, or immutable rows were about to change."""

    code = "integrity_failure"


class HistoryRewound(IntegrityFailure):
    """The database is behind a head that was seen before, or a position lies beyond what is sealed."""

    code = "history_rewound"


class DatabaseError(AureusError):
    """The database refused a statement."""

    code = "database_error"


class DatabaseMissing(DatabaseError):
    """There is no such database file, and the call makes none; ``similar`` lists what may have been meant."""

    code = "database_missing"


class DatabaseUnavailable(DatabaseError):
    """The database cannot be reached, or did not answer before the deadline."""

    code = "database_unavailable"
    retryable = True


class DatabaseBusy(DatabaseError):
    """A lock, a deadlock or a serialization failure outlasted the retries."""

    code = "database_busy"
    retryable = True


class StorageFull(DatabaseError):
    """The disk, or a resource limit of the server, is exhausted; free room and repeat the call."""

    code = "storage_full"


class DeadlineExceeded(DatabaseError):
    """The call did not finish before its deadline; a write in flight may have happened."""

    code = "deadline_exceeded"


class OutcomeUnknown(DatabaseError):
    """The connection broke during COMMIT and the database stayed away: the write happened or did not."""

    code = "outcome_unknown"


class MigrationError(DatabaseError):
    """The schema is missing, newer than this program, or was changed by somebody else."""

    code = "migration_error"


class WorkflowError(AureusError):
    """A run could not go on."""

    code = "workflow_error"


class DefinitionChanged(WorkflowError):
    """The workflow file differs from the one that the unfinished run was started with."""

    code = "definition_changed"


class TaskFailed(WorkflowError):
    """A task failed for the last time."""

    code = "task_failed"


class TaskTimedOut(TaskFailed):
    """A task took longer than its ``timeoutMs``; its work was stopped."""

    code = "task_timed_out"


class ToolFailed(TaskFailed):
    """A tool reported a failure: an exit code, an exception, output over its limit."""

    code = "tool_failed"


class RunCancelled(WorkflowError):
    """The run was cancelled."""

    code = "run_cancelled"


class LogDamaged(IntegrityFailure):
    """A run log holds lines that Aureus did not write or that are out of order."""

    code = "log_damaged"


def every_error() -> Sequence[type[AureusError]]:
    """List the error classes, root first, for the reference page and its test."""
    found: list[type[AureusError]] = [AureusError]
    for cls in found:
        found.extend(sub for sub in cls.__subclasses__() if sub not in found)
    return found
