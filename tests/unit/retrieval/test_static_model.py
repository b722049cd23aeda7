"""A model on this machine is read from its files, and only from them."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from aureus.errors import Invalid
from aureus.retrieval.embedding import Embedder, embed
from aureus.retrieval.static_model import StaticEmbedder

TOKENS = {"version": "1.0", "added_tokens": [], "normalizer": {"type": "Lowercase"},
          "pre_tokenizer": {"type": "Whitespace"},
          "model": {"type": "WordLevel", "unk_token": "?", "vocab": {"?": 0, "tide": 1, "high": 2}}}  # fmt: skip


def folder(path: Path, table: Any, name: str = "embeddings") -> Path:
    """Write a model of three tokens and return its folder."""
    path.mkdir()
    save_file({name: np.asarray(table, dtype=np.float16)}, path / "model.safetensors")
    (path / "tokenizer.json").write_text(json.dumps(TOKENS), encoding="utf-8")
    return path


def test_a_text_is_the_mean_of_its_tokens(tmp_path: Path) -> None:
    model = StaticEmbedder.in_folder(folder(tmp_path / "tiny", [[0, 0], [1, 0], [0, 3]]))
    assert (model.name, model.dimensions) == ("tiny", 2)
    assert isinstance(model, Embedder)
    rows = [list(row) for row in model.embed(["High TIDE", "tide", "nothing", ""])]
    assert rows == [[0.5, 1.5], [1.0, 0.0], [0.0, 0.0], [0.0, 0.0]]
    empty = embed(model, [""])[0]
    assert list(empty.numbers()) == [0.0, 0.0]
    assert StaticEmbedder.in_folder(tmp_path / "tiny", name="mine").name == "mine"


def test_files_that_are_no_model_are_named(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"model\.safetensors is no table of vectors"):
        StaticEmbedder.in_folder(tmp_path)
    with pytest.raises(Invalid, match="it holds other"):
        StaticEmbedder.in_folder(folder(tmp_path / "a", [[0, 0]], "other"))
    with pytest.raises(Invalid, match="it holds embeddings"):
        StaticEmbedder.in_folder(folder(tmp_path / "b", [0, 0]))
    broken = folder(tmp_path / "c", [[0, 0]])
    (broken / "tokenizer.json").write_text("{}", encoding="utf-8")
    with pytest.raises(Invalid, match=r"tokenizer\.json does not say how to cut text"):
        StaticEmbedder.in_folder(broken)


def test_the_packaged_model_finds_the_nearer_meaning_without_a_network(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_network(*_: object, **__: object) -> None:
        raise AssertionError("the packaged model asked for the network")

    monkeypatch.setattr(socket.socket, "connect", no_network)
    model = StaticEmbedder.packaged()
    assert (model.name, model.dimensions) == ("wordllama/l2_supercat_256", 256)
    dog, puppy, ledger = (one.numbers() for one in embed(model, ["dog", "puppy", "ledger"]))
    assert dog @ puppy > 0.4 > dog @ ledger


def test_a_missing_package_is_said_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aureus.retrieval.static_model.find_spec", lambda _: None)
    with pytest.raises(Invalid, match=r"extra `embed`"):
        StaticEmbedder.packaged()
