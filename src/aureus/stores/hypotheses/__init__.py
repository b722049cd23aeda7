"""Hypotheses: what agents believe, how the evidence moved it, and how well they learn."""

from __future__ import annotations

from aureus._database.operation import AsyncStore, Store
from aureus.stores.hypotheses.erasing import erase_hypotheses, list_subject_hypotheses
from aureus.stores.hypotheses.reading import HypothesisReads
from aureus.stores.hypotheses.writing import HypothesisWrites

__all__ = [
    "AsyncHypothesisStore",
    "HypothesisOperations",
    "HypothesisStore",
    "erase_hypotheses",
    "list_subject_hypotheses",
]


class HypothesisOperations(HypothesisWrites, HypothesisReads):
    """Operations on hypotheses."""


class HypothesisStore(HypothesisOperations, Store):
    """Hypotheses of one tenant."""


class AsyncHypothesisStore(HypothesisOperations, AsyncStore):
    """Hypotheses of one tenant, awaited."""
