"""The embedder that a setting names is there, or what is wrong with the name is said."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import ModuleType

import pytest

from aureus.errors import AureusError, ConfigInvalid, Invalid
from aureus.retrieval.chosen_embedder import chosen_embedder
from aureus.retrieval.embedding import FunctionEmbedder, embed


def _ones(texts: Sequence[str]) -> list[list[float]]:
    return [[1.0, 0.0] for _ in texts]


ONES = FunctionEmbedder(_ones, name="ones", dimensions=2)


def _broken() -> FunctionEmbedder:
    raise RuntimeError("no model today")


def _refusing() -> FunctionEmbedder:
    raise Invalid("there is no such folder")


class _Made(FunctionEmbedder):
    def __init__(self) -> None:
        super().__init__(_ones, name="made", dimensions=2)


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> str:
    """Give the name of a module that holds embedders and what is none."""
    name = "aureus_embedders_of_a_test"
    made = ModuleType(name)
    made.__spec__ = sys.modules[__name__].__spec__
    made.__dict__.update(
        ready=ONES, make=lambda: ONES, Made=_Made, broken=_broken, refusing=_refusing, number=7
    )
    made.__dict__["nothing"] = lambda: None
    monkeypatch.setitem(sys.modules, name, made)
    return name


def test_none_is_no_embedder() -> None:
    assert chosen_embedder("none") is None


def test_the_packaged_model_embeds() -> None:
    found = chosen_embedder("packaged")
    assert found is not None
    (vector,) = embed(found, ["the ferry leaves at nine"])
    assert vector.model == found.name
    assert vector.dimensions == found.dimensions


@pytest.mark.parametrize(("name", "model"), [("ready", "ones"), ("make", "ones"), ("Made", "made")])
def test_a_module_holds_an_embedder_or_makes_one(module: str, name: str, model: str) -> None:
    found = chosen_embedder(f"{module}:{name}")
    assert found is not None
    assert (found.name, found.dimensions) == (model, 2)
    assert [vector.dimensions for vector in embed(found, ["a", "b"])] == [2, 2]


@pytest.mark.parametrize(
    "text", ["", "no such", "a.b", "a:b:c", "a:", ":b", "no_such_module_here:x", "Packaged"]
)
def test_a_name_that_stands_for_nothing_is_refused_at_once(text: str) -> None:
    with pytest.raises(ConfigInvalid, match=r"memory\.embedder") as raised:
        chosen_embedder(text)
    assert raised.value.fields["setting"] == "memory.embedder"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("broken", "no model today"),
        ("refusing", "no such folder"),
        ("number", "not callable"),
        ("nothing", "NoneType"),
        ("absent", "absent"),
    ],
)
def test_what_cannot_be_loaded_is_said_by_the_first_use(module: str, name: str, why: str) -> None:
    found = chosen_embedder(f"{module}:{name}")
    assert found is not None
    with pytest.raises(ConfigInvalid, match=why):
        embed(found, ["text"])
    with pytest.raises(AureusError):
        _ = found.name
