"""Retention: how long memories stay how close, and what becomes of those that have aged unused. Pure.

The tiers and their figures are those of Aureus' memory policy: hot for a day, warm for a week, cold for a month, each
longer when the memory was used often enough, then archived. Ages are counted from when the memory was created.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from aureus.model.memories import Memory, MemoryTier


class RetentionAction(StrEnum):
    """What becomes of a memory."""

    KEEP = "keep"
    TRANSITION = "transition"
    """Move outwards as it is."""
    SUMMARIZE = "summarize"
    """Move outwards, shortened to a share of its length."""
    ARCHIVE = "archive"
    """Move to the outermost tier."""
    DELETE = "delete"
    """Forget it."""


@dataclass(frozen=True, slots=True)
class TierRule:
    """When memories leave a tier."""

    leaves_after: timedelta | None
    """Age from which a memory leaves; None for never."""
    kept_from_accesses: int = 0
    """Uses from which it stays nevertheless; 0 for none that are enough."""
    summary_ratio: float | None = None
    """To which share of its length a memory is shortened that leaves this tier; None leaves it whole."""


def _rules() -> dict[MemoryTier, TierRule]:
    return {
        MemoryTier.HOT: TierRule(timedelta(hours=24), 10, None),
        MemoryTier.WARM: TierRule(timedelta(days=7), 5, 0.5),
        MemoryTier.COLD: TierRule(timedelta(days=30), 2, 0.2),
        MemoryTier.ARCHIVED: TierRule(None, 0, 0.1),
    }


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """A rule for each tier."""

    rules: Mapping[MemoryTier, TierRule] = field(default_factory=_rules)

    def rule_of(self, tier: MemoryTier) -> TierRule:
        """Return the rule of a tier; one that was left out keeps its memories."""
        return self.rules.get(tier, TierRule(None))


@dataclass(frozen=True, slots=True)
class RetentionDecision:
    """What is to become of one memory, and why it may."""

    memory: Memory
    access_count: int
    action: RetentionAction
    tier: MemoryTier
    """Where it goes; where it is, unless it moves."""
    summary_ratio: float | None = None
    summary: str | None = None
    """The shorter text of a memory that is summarized; without one it moves as it is."""


OUTWARDS = (MemoryTier.HOT, MemoryTier.WARM, MemoryTier.COLD, MemoryTier.ARCHIVED)


def decide_retention(
    memory: Memory, access_count: int, now: datetime, policy: RetentionPolicy
) -> RetentionDecision:
    """Return what becomes of a memory at a moment under a policy."""
    rule = policy.rule_of(memory.tier)
    is_young = rule.leaves_after is None or now - memory.created_at < rule.leaves_after
    is_used = rule.kept_from_accesses > 0 and access_count >= rule.kept_from_accesses
    if is_young or is_used:
        return RetentionDecision(memory, access_count, RetentionAction.KEEP, memory.tier)
    if memory.tier is MemoryTier.ARCHIVED:
        return RetentionDecision(memory, access_count, RetentionAction.DELETE, memory.tier)
    target = OUTWARDS[OUTWARDS.index(memory.tier) + 1]
    ratio = rule.summary_ratio
    if target is MemoryTier.ARCHIVED:
        return RetentionDecision(memory, access_count, RetentionAction.ARCHIVE, target, ratio)
    action = RetentionAction.TRANSITION if ratio is None else RetentionAction.SUMMARIZE
    return RetentionDecision(memory, access_count, action, target, ratio)
