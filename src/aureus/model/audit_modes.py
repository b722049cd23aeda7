"""What a trail records: apart from its entries, since whoever writes needs the mode and none of the rest."""

from __future__ import annotations

from enum import StrEnum


class AuditMode(StrEnum):
    """Which events are audit entries too."""

    DECISIONS = "decisions"
    """Those that somebody may have to answer for: approvals, high risk, deletes, policy and the like."""
    ALL = "all"
    """Every one that a store writes."""
    OFF = "off"
    """None, except explicit entries and changes of the mode."""
