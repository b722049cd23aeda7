"""A profile: what agents know about one user, in sections of keys and values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aureus.model.plain import plain_record

USER_ID_CHARACTERS_MAX = 255
"""Characters of a user id."""

SECTION_CHARACTERS_MAX = 100
"""Characters of a section's name."""

KEY_CHARACTERS_MAX = 255
"""Characters of a key within a section."""

PROFILE_BYTES_MAX = 256 * 1024
"""Bytes of a whole profile as stored: more than a prompt carries, little enough to read in one row."""

GOALS = "goals"
PREFERENCES = "preferences"
DEMOGRAPHICS = "demographics"

Sections = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Profile:
    """What is known about one user, or was at one version.

    ``sections`` has no empty section. ``version`` counts the writes, deletions among them, and never starts anew;
    ``updated_by`` is the agent that made this version, or the user.
    """

    user_id: str
    sections: dict[str, dict[str, Any]]
    version: int
    updated_by: str
    operation_id: str
    created_at: datetime
    updated_at: datetime

    @property
    def goals(self) -> dict[str, Any]:
        """Return what the user wants to reach."""
        return self.sections.get(GOALS, {})

    @property
    def preferences(self) -> dict[str, Any]:
        """Return how the user likes things."""
        return self.sections.get(PREFERENCES, {})

    @property
    def demographics(self) -> dict[str, Any]:
        """Return who the user is."""
        return self.sections.get(DEMOGRAPHICS, {})

    @property
    def stream(self) -> str:
        """Return the stream that this profile's events are in."""
        return stream_of(self.user_id)

    def to_dict(self) -> dict[str, Any]:
        """Return the profile as plain JSON values."""
        return plain_record(self)


def stream_of(user_id: str) -> str:
    """Return the stream of a profile's events."""
    return f"profiles/{user_id}"


def merged(sections: Sections, changes: Sections) -> dict[str, dict[str, Any]]:
    """Return sections after changes: a key's value replaces the one before it as a whole, None removes the key.

    Keys that are not named stay; a section without keys is gone; sections and keys are in the order of their
    characters. The statement ``merge_profile`` does the same inside the database, which a test compares.
    """
    result: dict[str, dict[str, Any]] = {}
    for name in sorted({*sections, *changes}):
        keys = {**sections.get(name, {}), **changes.get(name, {})}
        kept = {key: keys[key] for key in sorted(keys) if keys[key] is not None}
        if kept:
            result[name] = kept
    return result
