"""The diagrams of docs/reference/states.md, made from the transition tables of the model.

``python -m tests.docs.state_diagrams`` writes them into the page; a test holds the page to them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from enum import StrEnum
from typing import TypeVar

from aureus.model.states import (
    APPROVAL_INITIAL,
    APPROVAL_TRANSITIONS,
    RUN_INITIAL,
    RUN_TRANSITIONS,
    TASK_INITIAL,
    TASK_TRANSITIONS,
)
from tests.docs.pages import REFERENCE

State = TypeVar("State", bound=StrEnum)

PAGE = REFERENCE / "states.md"


def diagrams() -> dict[str, str]:
    """Return the diagram of each noun by its heading in the page."""
    return {
        "Runs": _diagram(RUN_INITIAL, RUN_TRANSITIONS),
        "Tasks": _diagram(TASK_INITIAL, TASK_TRANSITIONS),
        "Approvals": _diagram(APPROVAL_INITIAL, APPROVAL_TRANSITIONS),
    }


def rewritten(text: str) -> str:
    """Return the page with the diagrams that belong into it."""
    for title, diagram in diagrams().items():
        pattern = rf"(?s)(\n## {title}\n.*?```mermaid\n).*?(\n```)"
        text = re.sub(pattern, _putting(diagram), text, count=1)
    return text


def _putting(diagram: str) -> Callable[[re.Match[str]], str]:
    return lambda found: f"{found[1]}{diagram}{found[2]}"


def _diagram(initial: AbstractSet[State], transitions: Mapping[State, AbstractSet[State]]) -> str:
    lines = ["stateDiagram-v2"]
    lines += [f"    [*] --> {state.value}" for state in transitions if state in initial]
    for state, followers in transitions.items():
        lines += [
            f"    {state.value} --> {follower.value}"
            for follower in transitions
            if follower in followers
        ]
        if not followers:
            lines.append(f"    {state.value} --> [*]")
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(rewritten(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
