"""An embedder whose vectors can be worked out by hand: a text that begins with an angle points there."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

_ANGLE = re.compile(r"-?\d+")


class ToyEmbedder:
    """Gives a text like ``30 degrees`` the vector of that angle; a text without a number has none."""

    def __init__(self, name: str = "toy", dimensions: int = 2) -> None:
        self.name = name
        self.dimensions = dimensions
        self.seen: list[str] = []
        self.error: Exception | None = None

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Return one vector for each text; raises what the test has set."""
        if self.error is not None:
            raise self.error
        self.seen += texts
        return [self._vector(text) for text in texts]

    def _vector(self, text: str) -> list[float]:
        found = _ANGLE.match(text)
        angle = None if found is None else math.radians(int(found[0]))
        pair = [0.0, 0.0] if angle is None else [math.cos(angle), math.sin(angle)]
        return [*pair, *([0.0] * (self.dimensions - 2))]
