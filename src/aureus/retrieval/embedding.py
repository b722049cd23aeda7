"""Vectors for texts, made by a model that the caller chooses; Aureus calls none by itself and downloads nothing.

An ``Embedder`` names its model and turns texts into vectors. They are stored as little-endian 32-bit floats of length
one, so that the inner product of two is their cosine, with the model's name beside them: vectors of different models
are never compared. A hash of the text tells later whether a vector still belongs to what the memory says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from aureus.codec import check_text
from aureus.errors import AureusError, ConfigInvalid, EmbedderFailed, Invalid

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

DIMENSIONS_MAX = 4096
"""Dimensions of a vector: the largest models in use have as many."""

MODEL_CHARACTERS_MAX = 200
"""Characters of a model's name; it stands in every row."""

TEXTS_PER_CALL = 64
"""Texts that are handed to a model at once: enough to keep it busy, few enough to lose little when it fails."""

TEXT_HASH_BYTES = 16
"""Bytes kept of the SHA-256 of a text; two texts of one memory never share them by chance."""


@runtime_checkable
class Embedder(Protocol):
    """What turns texts into vectors. It may be called by several threads at once."""

    @property
    def name(self) -> str:
        """The model, and whatever else changes its vectors, such as a version; stored with each of them."""
        ...

    @property
    def dimensions(self) -> int:
        """How many numbers each vector has."""
        ...

    def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """Return one vector for each text, in their order; also rows of an array."""
        ...


class FunctionEmbedder:
    """An embedder made of a function of the caller, such as a call of a model server."""

    def __init__(
        self,
        function: Callable[[Sequence[str]], Sequence[Sequence[float]]],
        *,
        name: str,
        dimensions: int,
    ) -> None:
        """Take a function that returns one vector for each text. Raises ``Invalid`` for a bad name or size."""
        check_text(name, "the embedder's name", characters_max=MODEL_CHARACTERS_MAX)
        if not name:
            raise Invalid("an embedder has a name: it is stored with every vector")
        if not 1 <= dimensions <= DIMENSIONS_MAX:
            raise Invalid(
                f"an embedder has between 1 and {DIMENSIONS_MAX:,} dimensions, not {dimensions}",
                dimensions=dimensions,
            )
        self.name = name
        self.dimensions = dimensions
        self._function = function

    def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """Return one vector for each text, in their order."""
        return self._function(texts)


@dataclass(frozen=True, slots=True)
class Vector:
    """A text as a model sees it."""

    model: str
    dimensions: int
    content: bytes
    """The numbers as little-endian 32-bit floats; their length is one, or zero for a text without meaning."""

    def numbers(self) -> NDArray[float32]:
        """Return the numbers."""
        import numpy as np

        return np.frombuffer(self.content, dtype="<f4")

    @property
    def signs(self) -> bytes:
        """One bit for each number, set where it is above zero."""
        import numpy as np

        return np.packbits(self.numbers() > 0).tobytes()


def embed(embedder: Embedder, texts: Sequence[str]) -> list[Vector]:
    """Return a vector for each text. Raises ``EmbedderFailed`` for whatever the embedder does wrong."""
    found: list[Vector] = []
    for start in range(0, len(texts), TEXTS_PER_CALL):
        found += _embed_some(embedder, texts[start : start + TEXTS_PER_CALL])
    return found


def text_hash(text: str) -> bytes:
    """Return what tells whether a stored vector belongs to this text."""
    return sha256(text.encode()).digest()[:TEXT_HASH_BYTES]


def _embed_some(embedder: Embedder, texts: Sequence[str]) -> list[Vector]:
    try:
        given: Any = embedder.embed(texts)
        return _vectors(embedder, given, len(texts))
    except (EmbedderFailed, ConfigInvalid):
        raise
    except AureusError as error:
        raise _failed(embedder, error.message) from error
    except Exception as error:
        raise _failed(embedder, f"{type(error).__name__}: {error}") from error


def _vectors(embedder: Embedder, given: Any, count: int) -> list[Vector]:
    import numpy as np

    array = np.asarray(given, dtype=np.float64)
    wanted = (count, embedder.dimensions)
    if array.shape != wanted:
        raise _failed(
            embedder, f"it returned numbers of the shape {array.shape} where {wanted} was due"
        )
    if not np.isfinite(array).all():
        raise _failed(embedder, "it returned numbers that are not finite")
    lengths = np.linalg.norm(array, axis=1, keepdims=True)
    scaled = array / np.where(lengths > 0, lengths, 1.0)
    rows = np.ascontiguousarray(scaled, dtype="<f4")
    return [Vector(embedder.name, embedder.dimensions, row.tobytes()) for row in rows]


def _failed(embedder: Embedder, why: str) -> EmbedderFailed:
    return EmbedderFailed(
        f"the embedder {embedder.name!r} failed: {why}",
        embedder=embedder.name,
    )
