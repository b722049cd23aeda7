"""With routine events off, what happens all the time leaves none, and what is a decision still does."""

from __future__ import annotations

from pathlib import Path

import pytest

from aureus.client import Aureus
from tests.support.backends import settings_for


@pytest.mark.parametrize(
    ("routine", "kept"),
    [
        ("off", ["session_reset", "session_deleted", "world_state_deleted"]),
        (
            "on",
            [
                "session_saved", "session_appended", "session_expiry_set", "session_reset",
                "session_deleted", "world_state_set", "world_state_set", "world_state_deleted",
            ],
        ),
    ],
)  # fmt: skip
def test_routine_writes_are_events_only_where_that_is_wanted(
    tmp_path: Path, routine: str, kept: list[str]
) -> None:
    settings = settings_for("sqlite://", tmp_path, **{"events.routine": routine})
    with Aureus(settings=settings) as db:
        saved = db.sessions.save("planner", "s1", {})
        db.sessions.append("planner", "s1", "user", "hi")
        db.sessions.set_expiry("planner", "s1", ttl_seconds=9)
        db.sessions.reset("planner", "s1")
        db.sessions.delete("planner", "s1")
        db.world_state.set("k", 1)
        db.world_state.increment("k")
        db.world_state.delete("k")
        streams = ("sessions/planner/s1", "world_state/default/k")
        found = [event.type for name in streams for event in db.events.read_stream(name)]
        assert db.world_state.history("k")[-1].value == 1
    assert found == kept
    assert saved.version == 1
