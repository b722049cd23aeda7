"""What a caller asks of an erasure, checked before anything is looked for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from aureus.codec import check_name, check_names, check_text
from aureus.errors import Invalid, LimitExceeded
from aureus.model.erasures import NAMED_MAX, REASON_CHARACTERS_MAX, ErasureRequest
from aureus.model.events import STREAM_CHARACTERS_MAX, SUBJECT_BYTES_MAX
from aureus.model.sessions import ID_BYTES_MAX, SessionName
from aureus.model.world_state import KEY_BYTES_MAX, SCOPE_BYTES_MAX

NamedKey = tuple[str, str]
"""A scope and a key of the world state."""

NamedSession = tuple[str, str] | tuple[str, str, str]
"""An agent, a session, and the collection where it is not ``sessions``."""


def checked_id(erasure_id: str | None) -> str | None:
    """Return the identifier that a caller gives an erasure. Raises ``Invalid`` and ``LimitExceeded``."""
    return None if erasure_id is None else check_name(erasure_id, "erasure_id", bytes_max=128)


def checked_request(
    subject: str,
    reason: str,
    actor: str,
    sessions: Sequence[NamedSession],
    streams: Sequence[str],
    runs: Sequence[str] = (),
    world_state: Sequence[NamedKey] = (),
) -> ErasureRequest:
    """Return whom to erase, checked. Raises ``Invalid`` and ``LimitExceeded``."""
    check_name(subject, "subject", bytes_max=SUBJECT_BYTES_MAX)
    check_name(actor, "actor", bytes_max=SUBJECT_BYTES_MAX)
    if not reason.strip():
        raise Invalid("an erasure has a reason, such as the request it answers", what="reason")
    check_text(reason, "reason", characters_max=REASON_CHARACTERS_MAX)
    for what, text in (("reason", reason), ("actor", actor)):
        if re.search(rf"(?<!\w){re.escape(subject)}(?!\w)", text, re.IGNORECASE):
            raise Invalid(
                f"the {what} names the one to be erased, and is kept for ever; say it without the name",
                what=what,
            )
    for what, named in (("sessions", sessions), ("keys", world_state)):
        if len(named) > NAMED_MAX:
            raise LimitExceeded(
                f"{len(named):,} {what} at once; the limit is {NAMED_MAX:,}", limit=NAMED_MAX
            )
    return ErasureRequest(
        subject,
        tuple(dict.fromkeys(_session_name(one) for one in sessions)),
        check_names(streams, "streams", count_max=NAMED_MAX, bytes_max=4 * STREAM_CHARACTERS_MAX),
        check_names(runs, "runs", count_max=NAMED_MAX, bytes_max=4 * STREAM_CHARACTERS_MAX),
        tuple(dict.fromkeys(_named_key(one) for one in world_state)),
    )


def _named_key(given: Any) -> NamedKey:
    if isinstance(given, str) or len(given) != 2:
        raise Invalid(f"{given!r} names no key of the world state; it is (scope, key)", what="keys")
    scope, key = given
    check_name(scope, "scope", bytes_max=SCOPE_BYTES_MAX)
    return scope, check_name(key, "key", bytes_max=KEY_BYTES_MAX)


def _session_name(given: Any) -> SessionName:
    if isinstance(given, str) or not 2 <= len(given) <= 3:
        raise Invalid(
            f"{given!r} names no session; it is (agent_id, session_id) or (agent_id, session_id, collection)",
            what="sessions",
        )
    name = SessionName(*given)
    for field, value in name._asdict().items():
        check_name(value, field, bytes_max=ID_BYTES_MAX)
    return name
