"""What a caller's own SQL is held to before it is sent, alike on both engines: text, parameters, and an open block.

A block commits when it is left. A COMMIT inside it would keep one half and lose the other, so it is refused; savepoints
of the caller are not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from aureus.codec import shown
from aureus.errors import Invalid

_ENDS = re.compile(
    r"(?:\s|;|--[^\n]*(?:\n|$)|/\*.*?\*/)*"
    r"(BEGIN|START\s+TRANSACTION|COMMIT|END|ABORT|ROLLBACK(?!\s+(?:WORK\s+|TRANSACTION\s+)?TO\b)|PREPARE\s+TRANSACTION)\b",
    re.IGNORECASE | re.DOTALL,
)
"""A first statement that begins or ends a transaction, behind blanks and comments."""


def check_own_sql(text: Any, parameters: Any) -> None:
    """Raise ``Invalid`` for SQL that is no text or ends the transaction, and for parameters of another kind."""
    if not isinstance(text, str):
        raise Invalid(
            f"the SQL is {shown(text)} ({type(text).__name__}); it must be text", what="text"
        )
    if isinstance(parameters, str | bytes) or not isinstance(parameters, Sequence | Mapping):
        raise Invalid(
            f"parameters is {shown(parameters)} ({type(parameters).__name__}); it must be a list or a dict",
            what="parameters",
        )
    found = _ENDS.match(text)
    if found:
        raise Invalid(
            f"{found[1].upper()} is no statement for inside a transaction: leaving the block commits, "
            "and an exception rolls it back",
            what="text",
        )
