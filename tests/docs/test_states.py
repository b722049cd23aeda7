"""One table of states: the model's, the databases' and the documents' are the same."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from enum import StrEnum
from typing import Any

import pytest

from aureus.model.states import (
    APPROVAL_INITIAL,
    APPROVAL_TRANSITIONS,
    RUN_INITIAL,
    RUN_TRANSITIONS,
    TASK_INITIAL,
    TASK_TRANSITIONS,
    ApprovalStatus,
    RunPhase,
    RunStatus,
    TaskKind,
    TaskStatus,
)
from tests.docs.pages import Page
from tests.docs.schema_rules import ENGINES, listed, migrations, rules
from tests.docs.state_diagrams import PAGE, rewritten

_LISTS: tuple[tuple[str, str, type[StrEnum]], ...] = (
    ("runs", "status", RunStatus),
    ("runs", "phase", RunPhase),
    ("tasks", "status", TaskStatus),
    ("tasks", "kind", TaskKind),
    ("approvals", "status", ApprovalStatus),
)

_MOVES: dict[str, tuple[AbstractSet[Any], Mapping[Any, AbstractSet[Any]]]] = {
    "runs": (RUN_INITIAL, RUN_TRANSITIONS),
    "tasks": (TASK_INITIAL, TASK_TRANSITIONS),
    "approvals": (APPROVAL_INITIAL, APPROVAL_TRANSITIONS),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("table", "column", "states"), _LISTS, ids=str)
def test_a_check_lists_the_states_of_the_model(
    engine: str, table: str, column: str, states: type[StrEnum]
) -> None:
    assert listed(migrations(engine), table, column) == {state.value for state in states}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("table", _MOVES)
def test_a_trigger_allows_the_moves_of_the_model(engine: str, table: str) -> None:
    initial, transitions = _MOVES[table]
    found = rules(migrations(engine), engine, table)
    assert found.initial == {state.value for state in initial}
    assert found.moves == {
        (state.value, follower.value)
        for state, followers in transitions.items()
        for follower in followers
    }


@pytest.mark.parametrize("engine", ENGINES)
def test_a_move_that_is_missing_in_the_sql_is_found(engine: str) -> None:
    """The comparison reads every pair: taking one out, or one state out of a list, changes what is read."""
    sql = migrations(engine)
    moved = sql.replace("('paused', 'failed'), ", "", 1)
    assert rules(sql, engine, "runs").moves - rules(moved, engine, "runs").moves == {
        ("paused", "failed")
    }
    shorter = sql.replace("'approved', 'denied', 'expired', 'cancelled'", "'approved', 'denied'")
    lost = listed(sql, "approvals", "status") - listed(shorter, "approvals", "status")
    assert lost == {"expired", "cancelled"}


def test_the_diagrams_of_the_page_are_those_of_the_model() -> None:
    """When this fails: ``python -m tests.docs.state_diagrams``."""
    text = PAGE.read_text(encoding="utf-8")
    assert text == rewritten(text)
    assert text.count("```mermaid") == len(_MOVES)
    assert rewritten(text.replace("    pending --> running\n", "")) == text


@pytest.mark.parametrize(
    ("title", "states"),
    [("Runs", RunStatus), ("Phases of a run", RunPhase), ("Tasks", TaskStatus), ("Kinds of entries", TaskKind),
     ("Approvals", ApprovalStatus)],
    ids=str,
)  # fmt: skip
def test_every_state_is_explained(title: str, states: type[StrEnum]) -> None:
    assert Page(PAGE).section(title).first_words() == [state.value for state in states]
