"""The embedder that a setting names: none, the packaged model, or what a module of the caller's holds.

Opening a database only looks whether it can be there: a model takes a third of a second to load, and most commands
embed nothing. It is loaded by the first text, and what is wrong with it is said then.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Sequence
from functools import cached_property
from importlib.util import find_spec
from typing import Any, cast

from aureus.errors import AureusError, ConfigInvalid
from aureus.retrieval.embedding import Embedder
from aureus.retrieval.static_model import StaticEmbedder

NONE = "none"
PACKAGED = "packaged"

SETTING = "memory.embedder"

_PLACE = re.compile(r"(?P<module>\w+(\.\w+)*):(?P<name>\w+)")


def chosen_embedder(text: str) -> Embedder | None:
    """Return the embedder that a setting names; None for ``none``.

    ``packaged`` is the model of the extra ``embed``. ``module:name`` is an ``Embedder``, or a function without
    parameters that returns one; the module is found as Python's own imports are. Raises ``ConfigInvalid`` when that is
    no such name, or nothing is installed under it; what else can be wrong is raised by the first use.
    """
    if text == NONE:
        return None
    if text == PACKAGED:
        if find_spec("wordllama") is None:
            raise _refused(text, "is not installed: the extra `embed` of Aureus brings the model")
        return _Chosen(text)
    found = _PLACE.fullmatch(text)
    if found is None:
        raise _refused(text, "is neither none nor packaged nor module:name")
    package = found["module"].split(".")[0]
    if find_spec(package) is None:
        raise _refused(text, f"names a module that is not there: Python finds no {package!r}")
    return _Chosen(text)


class _Chosen:
    """An embedder that is loaded when it is first needed."""

    def __init__(self, text: str) -> None:
        self._text = text

    @property
    def name(self) -> str:
        """The model's name."""
        return self._loaded.name

    @property
    def dimensions(self) -> int:
        """How many numbers each vector has."""
        return self._loaded.dimensions

    def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """Return one vector for each text, in their order."""
        return self._loaded.embed(texts)

    @cached_property
    def _loaded(self) -> Embedder:
        try:
            found = _load(self._text)
        except AureusError as error:
            raise _refused(self._text, f"cannot be used: {error.message}") from error
        except Exception as error:
            why = f"cannot be loaded: {type(error).__name__}: {error}"
            raise _refused(self._text, why) from error
        if not isinstance(found, Embedder):
            kind = type(cast(object, found)).__name__
            raise _refused(
                self._text,
                f"gives a {kind}, which is no embedder: it takes name, dimensions and embed(texts)",
            )
        return found


def _load(text: str) -> Any:
    if text == PACKAGED:
        return StaticEmbedder.packaged()
    module, name = text.split(":")
    found: Any = getattr(importlib.import_module(module), name)
    # A class has the attributes of its instances: it is called as any function is.
    is_made = hasattr(found, "embed") and not isinstance(found, type)
    return found if is_made else found()


def _refused(text: str, problem: str) -> ConfigInvalid:
    return ConfigInvalid(f"{SETTING} is {text!r}, which {problem}", setting=SETTING)
