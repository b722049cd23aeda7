"""What a client is made with is looked at when it is opened, not when it is first used."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from aureus.client import AsyncAureus, Aureus
from aureus.config import Settings, load
from aureus.errors import Invalid
from aureus.telemetry import MemoryTelemetry


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Give the settings of a database in memory."""
    return load(arguments={"database.url": "sqlite://"}, environ={}, directory=tmp_path)


def embed(texts: Sequence[str]) -> list[list[float]]:
    """Return a vector for each text."""
    return [[1.0] for _ in texts]


BAD: list[tuple[dict[str, Any], str]] = [
    ({"embedder": embed}, "FunctionEmbedder makes one of a function"),
    ({"embedder": "all-minilm"}, "lacks name, dimensions, embed"),
    ({"telemetry": print}, "lacks count, measure"),
    ({"telemetry": 5}, "telemetry is 5"),
    ({"subject_keys": {}}, "lacks get_or_create"),
]


@pytest.mark.parametrize(("parts", "said"), BAD, ids=lambda value: str(value)[:20])
def test_a_part_that_cannot_be_one_is_refused_when_the_client_is_opened(
    settings: Settings, parts: dict[str, Any], said: str
) -> None:
    with pytest.raises(Invalid, match=said):
        Aureus(settings=settings, **parts)

    async def main() -> None:
        with pytest.raises(Invalid, match=said):
            AsyncAureus(settings=settings, **parts)

    asyncio.run(main())


def test_any_object_with_the_names_will_do(settings: Settings) -> None:
    class Model:
        name = "mine"
        dimensions = 1

        def embed(self, texts: Sequence[str]) -> list[list[float]]:
            return embed(texts)

    with Aureus(settings=settings, embedder=Model(), telemetry=MemoryTelemetry()) as db:
        db.memories.add("tea", agent_id="a")
        assert len(db.memories.nearest("tea")) == 1


def test_a_view_of_no_agent_is_refused_when_it_is_asked_for(settings: Settings) -> None:
    nobody: Any = None
    with Aureus(settings=settings) as db, pytest.raises(Invalid, match="agent_id is None"):
        db.agent(nobody)


def test_a_risk_tier_may_be_named_as_on_the_command_line(
    settings: Settings, tmp_path: Path
) -> None:
    file = tmp_path / "w.yaml"
    file.write_text("id: w\ntasks:\n  - {id: a, riskTier: HIGH, inputs: {x: 1}}\n")
    with Aureus(settings=settings) as db:
        assert db.run(file, approve_from="high").run.status == "paused"
        for nonsense in ("huge", 5):
            with pytest.raises(Invalid, match="LOW, MEDIUM, HIGH, CRITICAL"):
                db.run(file, new=True, approve_from=nonsense)
        with pytest.raises(Invalid, match="inputs is"):
            db.run(file, [1])  # type: ignore[arg-type]  # what a caller may get wrong
        with pytest.raises(Invalid, match="run id is 5"):
            db.run(file, run_id=5)
