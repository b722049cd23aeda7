"""Of many vectors those are read whose signs speak for them, and those that have none yet."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aureus._database.statement import Op, Statement
from aureus.codec import encode_made
from aureus.retrieval import nearest
from aureus.retrieval.embedding import FunctionEmbedder, Vector, embed
from aureus.retrieval.nearest import Ranking, by_signs


def vectors(rows: Any) -> list[Vector]:
    """Return rows of numbers as vectors."""
    listed: list[list[float]] = np.asarray(rows).tolist()
    embedder = FunctionEmbedder(lambda _: listed, name="made", dimensions=len(listed[0]))
    return embed(embedder, [""] * len(listed))


def asked(op: Op[Ranking | None], *answers: list[tuple[Any, ...]]) -> tuple[list[Statement], Any]:
    """Answer the statements of an operation; return them and what it returns."""
    statements: list[Statement] = []
    answer: Any = None
    try:
        for number in range(len(answers) + 1):
            effect = op.send(answer)
            assert isinstance(effect, Statement)
            statements.append(effect)
            answer = answers[number]
    except StopIteration as end:
        return statements, end.value
    raise AssertionError("it asked for more")


@given(st.integers(1, 40), st.integers(1, 30), st.integers(0, 1000))
def test_a_vector_is_compared_with_one_or_minus_one_for_each_bit(
    dimensions: int, count: int, seed: int
) -> None:
    one, *others = vectors(np.random.default_rng(seed).normal(size=(count + 1, dimensions)))
    signs = b"".join(vector.signs for vector in others)
    wanted = [float(one.numbers() @ np.where(other.numbers() > 0, 1, -1)) for other in others]
    assert nearest._compared(one, signs).tolist() == pytest.approx(wanted, abs=1e-5)


def test_few_vectors_are_left_to_be_read_all() -> None:
    (one,) = vectors([[1.0, 0.0]])
    answer = [(b"a\x00b", one.signs * 2, None)]
    assert asked(by_signs(one, limit=1), answer)[1] is None
    assert asked(by_signs(one, limit=1), [(None, None, None)])[1] is None
    assert asked(by_signs(one, limit=1), [])[1] is None


def test_a_vector_without_signs_is_always_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest, "READ_MAX", 3)
    one, near, far = vectors([[1.0, 1.0], [1.0, 0.9], [-1.0, -1.0]])
    names = [f"m{number}" for number in range(9)]
    signs = far.signs * 4 + near.signs + far.signs * 4
    stored = [(name, b"", far.content) for name in names[:-1]] + [(names[-1], b"", one.content)]
    statements, found = asked(
        by_signs(one, limit=1), [("\x00".join(names).encode(), signs, encode_made(["m8"]))], stored
    )
    assert statements[1].parameters["memory_ids"] == encode_made(["m4", "m8"])
    assert found.part(0, 1)[0].memory_id == "m8"
    joined = "\x00".join(names).encode()
    assert asked(by_signs(one, limit=1), [(joined, signs, encode_made(names))])[1] is None
