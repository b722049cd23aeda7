"""Texts become vectors of length one; whatever a model does wrong is one error that names it."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aureus.errors import EmbedderFailed, Invalid
from aureus.retrieval.embedding import (
    TEXTS_PER_CALL,
    Embedder,
    FunctionEmbedder,
    embed,
    text_hash,
)

NUMBERS = st.floats(-1e12, 1e12, allow_nan=False).filter(lambda x: x == 0 or abs(x) > 1e-12)


def returning(value: Any, *, dimensions: int = 2) -> FunctionEmbedder:
    """Return an embedder that answers with this, whatever it is asked."""
    return FunctionEmbedder(lambda _: value, name="m", dimensions=dimensions)


@given(st.lists(NUMBERS, min_size=1, max_size=40))
def test_a_vector_keeps_its_direction_and_gets_the_length_one(numbers: list[float]) -> None:
    (found,) = embed(returning([numbers], dimensions=len(numbers)), ["t"])
    assert (found.model, found.dimensions) == ("m", len(numbers))
    stored = struct.unpack(f"<{len(numbers)}f", found.content)
    assert list(found.numbers()) == list(stored)
    length = math.sqrt(sum(x * x for x in numbers))
    for before, after in zip(numbers, stored, strict=True):
        assert after == pytest.approx(before / length if length else 0.0, abs=1e-6)


def test_texts_are_handed_over_in_their_order_and_not_all_at_once() -> None:
    seen: list[int] = []

    def function(texts: Sequence[str]) -> list[list[float]]:
        seen.append(len(texts))
        return [[1.0, float(text)] for text in texts]

    texts = [str(number) for number in range(2 * TEXTS_PER_CALL + 3)]
    found = embed(FunctionEmbedder(function, name="m", dimensions=2), texts)
    assert seen == [TEXTS_PER_CALL, TEXTS_PER_CALL, 3]
    ratios = [one.numbers()[1] / one.numbers()[0] for one in found]
    assert ratios == pytest.approx([float(text) for text in texts], rel=1e-5)
    assert embed(returning([]), []) == []


@pytest.mark.parametrize(
    ("given_", "why"),
    [
        ([[1.0]], r"shape \(1, 1\) where \(1, 2\)"),
        ([[1.0, 2.0], [1.0, 2.0]], r"shape \(2, 2\)"),
        ([1.0, 2.0], r"shape \(2,\)"),
        ([[1.0, math.nan]], "not finite"),
        ([[1.0, math.inf]], "not finite"),
        ([["a", "b"]], "ValueError"),
        (None, "TypeError|shape"),
    ],
)
def test_what_is_no_vector_is_refused(given_: Any, why: str) -> None:
    with pytest.raises(EmbedderFailed, match=why) as caught:
        embed(returning(given_), ["t"])
    assert caught.value.embedder == "m"
    assert caught.value.retryable


def test_an_error_of_the_model_is_the_cause() -> None:
    def function(_: Sequence[str]) -> list[list[float]]:
        raise OSError("no route to the model")

    with pytest.raises(EmbedderFailed, match="OSError: no route to the model") as caught:
        embed(FunctionEmbedder(function, name="m", dimensions=2), ["t"])
    assert isinstance(caught.value.__cause__, OSError)


def test_rows_of_an_array_are_vectors() -> None:
    array = np.eye(2, dtype=np.float32)
    one, two = embed(returning(array), ["a", "b"])
    assert (list(one.numbers()), list(two.numbers())) == ([1.0, 0.0], [0.0, 1.0])


@pytest.mark.parametrize("name", ["", "a\x00", "n" * 201])
def test_an_embedder_needs_a_name_that_can_be_stored(name: str) -> None:
    with pytest.raises(Invalid):
        FunctionEmbedder(lambda _: [], name=name, dimensions=2)
    for dimensions in (0, 4097):
        with pytest.raises(Invalid, match="dimensions"):
            FunctionEmbedder(lambda _: [], name="m", dimensions=dimensions)
    assert isinstance(FunctionEmbedder(lambda _: [], name="m", dimensions=4096), Embedder)


def test_a_changed_text_has_another_hash() -> None:
    assert text_hash("a") == text_hash("a")
    assert text_hash("a") != text_hash("a ")
    assert len(text_hash("ü")) == 16
