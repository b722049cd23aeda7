"""A small model on this machine: each token has a vector, a text is the mean of its tokens.

Such a model needs no framework and no processor to speak of: a text takes tens of microseconds. It is read from files
that are there already: from a folder that the caller names, or from the package ``wordllama`` (its 256 dimensions; the
extra ``embed`` installs it), whose own code is not imported. Nothing is ever downloaded.

Weak spots: word order and context are lost, and a negation looks like its opposite. A model of the caller's own,
through ``FunctionEmbedder``, finds more.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from aureus.errors import Invalid

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

TEXT_CHARACTERS_MAX = 32_768
"""Characters of a text that are looked at: the mean of more tells nothing further."""

_PACKAGED_WEIGHTS = "weights/l2_supercat_256.safetensors"
_PACKAGED_TOKENS = "tokenizers/l2_supercat_tokenizer_config.json"
_PACKAGED_NAME = "wordllama/l2_supercat_256"

_TABLES = ("embeddings", "embedding.weight", "embedding.word_embeddings.weight")
"""What the table of vectors is called in the files that are in use."""


class StaticEmbedder:
    """An ``Embedder`` over a table of vectors, one for each token."""

    def __init__(self, weights: Path, tokens: Path, *, name: str) -> None:
        """Read a table (safetensors) and the rules that cut text into its tokens (the JSON of ``tokenizers``).

        Raises ``Invalid`` when the extra ``embed`` is not installed, or the files hold something else.
        """
        self.name = name
        self._table = _read_table(weights)
        self._tokenizer: Any = _read_tokenizer(tokens)
        self.dimensions = int(self._table.shape[1])

    @classmethod
    def packaged(cls) -> StaticEmbedder:
        """Return the model that the extra ``embed`` installs. Raises ``Invalid`` when it is not there."""
        spec = find_spec("wordllama")
        if spec is None or not spec.submodule_search_locations:
            raise Invalid(
                "there is no packaged model: install Aureus with the extra `embed`, or name a folder"
            )
        folder = Path(next(iter(spec.submodule_search_locations)))
        return cls(folder / _PACKAGED_WEIGHTS, folder / _PACKAGED_TOKENS, name=_PACKAGED_NAME)

    @classmethod
    def in_folder(cls, folder: str | Path, *, name: str | None = None) -> StaticEmbedder:
        """Return the model of a folder that holds ``model.safetensors`` and ``tokenizer.json``, as Model2Vec saves it.

        The name stored with each vector is that of the folder, unless another is given. Raises ``Invalid``.
        """
        place = Path(folder)
        return cls(
            place / "model.safetensors",
            place / "tokenizer.json",
            name=place.resolve().name if name is None else name,
        )

    def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """Return the mean of each text's token vectors; zeros for a text without tokens."""
        import numpy as np

        cut = [text[:TEXT_CHARACTERS_MAX] for text in texts]
        encoded = self._tokenizer.encode_batch(cut, add_special_tokens=False)
        means = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        for row, found in enumerate(encoded):
            if found.ids:
                means[row] = self._table[found.ids].mean(axis=0, dtype=np.float32)
        return means  # type: ignore[return-value]  # pyright: ignore[reportReturnType] - rows of an array are sequences


def _read_table(path: Path) -> NDArray[float32]:
    import numpy as np

    try:
        from safetensors import numpy as safetensors
    except ImportError as error:
        raise _not_installed(error) from error
    try:
        tensors = cast(Any, safetensors).load_file(path)  # Its annotations are incomplete.
    except Exception as error:
        raise Invalid(f"{path} is no table of vectors: {error}", path=str(path)) from error
    found = next((tensors[name] for name in _TABLES if name in tensors), None)
    if found is None or found.ndim != 2:
        raise Invalid(
            f"{path} has no table of vectors; it holds {', '.join(sorted(tensors)) or 'nothing'}",
            path=str(path),
        )
    return np.ascontiguousarray(found, dtype=np.float32)


def _read_tokenizer(path: Path) -> Any:
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise _not_installed(error) from error
    try:
        tokenizer: Any = Tokenizer.from_file(str(path))
    except Exception as error:
        raise Invalid(f"{path} does not say how to cut text: {error}", path=str(path)) from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _not_installed(error: ImportError) -> Invalid:
    return Invalid(f"a local model needs Aureus installed with the extra `embed` ({error})")
