"""Lets the n-th statement of a database fail, on either engine, where the product itself is none the wiser."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest

from aureus._database.postgres.io import Sent
from aureus._database.postgres.pipeline import Pipeline
from aureus._database.sqlite.connection import Connection
from aureus.errors import DatabaseError

BROKEN = Sent("SELECT 1 / 0")
"""A statement that PostgreSQL refuses, and with it the transaction."""


class Fault:
    """Counts statements from 1 and breaks one of them, or all from there on."""

    def __init__(self, number: int, *, is_lasting: bool) -> None:
        self.number = number
        self.is_lasting = is_lasting
        self.count = 0
        self.fired = 0

    def is_due(self) -> bool:
        """Count a statement; return whether it is the one to fail."""
        self.count += 1
        due = self.count == self.number or (self.is_lasting and self.count > self.number)
        self.fired += due
        return due


@contextmanager
def failing(number: int, *, is_lasting: bool) -> Generator[Fault]:
    """Let the n-th statement fail that is sent while the block lasts, and those behind it too when asked to."""
    fault = Fault(number, is_lasting=is_lasting)
    with pytest.MonkeyPatch.context() as patch:
        _patch_sqlite(patch, fault)
        _patch_postgres(patch, fault)
        yield fault


def _patch_sqlite(patch: pytest.MonkeyPatch, fault: Fault) -> None:
    original = Connection.fetch

    def fetch(self: Connection, *args: Any, **kwargs: Any) -> Any:
        if fault.is_due():
            raise DatabaseError("a made-up fault")
        return original(self, *args, **kwargs)

    patch.setattr(Connection, "fetch", fetch)


def _broken(statements: Any, fault: Fault) -> list[Sent]:
    return [BROKEN if fault.is_due() else sent for sent in statements]


def _patch_postgres(patch: pytest.MonkeyPatch, fault: Fault) -> None:
    original = Pipeline.exchanged

    def exchanged(self: Pipeline, statements: Any, is_late: Any) -> Any:
        return original(self, _broken(statements, fault), is_late)

    patch.setattr(Pipeline, "exchanged", exchanged)
