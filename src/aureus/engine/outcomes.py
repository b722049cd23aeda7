"""How an attempt at a task ended, as the executor tells the planner. Plain values, no decisions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aureus.errors import AureusError, Forbidden, Invalid, NotFound
from aureus.model.tasks import TaskKey

ERROR_CHARACTERS_MAX = 2_000
"""Characters of an error that journal and events keep: whoever wants all of it prints it to a file."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why something ended badly: a stable code, and a sentence for people that every engine can store."""

    code: str
    message: str

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """Return the failure that an exception stands for; what is not ours counts as a failed tool."""
        if isinstance(error, AureusError):
            return cls.worded(error.code, error.message)
        text = str(error)
        name = type(error).__name__
        return cls.worded("tool_failed", f"{name}: {text}" if text else name)

    @classmethod
    def worded(cls, code: str, message: str) -> Failure:
        """Return a failure whose message is cut to size and free of what cannot be stored."""
        text = message.replace("\x00", "\N{REPLACEMENT CHARACTER}")
        text = text.encode(errors="replace").decode()
        if len(text) > ERROR_CHARACTERS_MAX:
            text = text[: ERROR_CHARACTERS_MAX - 1] + "…"
        return cls(code, text)


@dataclass(frozen=True, slots=True)
class Completed:
    """The work was done. ``result`` is what ``result_json`` decodes to."""

    result_json: str
    result: Any
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Failed:
    """The work failed; a repetition may help or not."""

    failure: Failure
    is_retryable: bool = True


@dataclass(frozen=True, slots=True)
class TimedOut:
    """The work took too long and was stopped."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The process died or was asked to stop; that is not the task's fault."""


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The run was cancelled and the work stopped."""


Outcome = Completed | Failed | TimedOut | Interrupted | Cancelled


@dataclass(frozen=True, slots=True)
class Ended:
    """An attempt that has ended. ``duration_ms`` is None when nobody saw it begin or end."""

    key: TaskKey
    outcome: Outcome
    duration_ms: int | None = None


def failed_by(error: BaseException) -> Failed:
    """Return the outcome of an attempt that raised.

    What was refused (bad inputs, a missing tool, a missing right) is refused again next time and is not retried.
    """
    is_refused = isinstance(error, Invalid | Forbidden | NotFound)
    return Failed(Failure.of(error), is_retryable=not is_refused)
