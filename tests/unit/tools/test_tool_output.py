"""Bytes of a child become text that every store can hold."""

from __future__ import annotations

import asyncio
import os

from hypothesis import given
from hypothesis import strategies as st

from aureus import codec
from aureus.tools.output import TAIL_BYTES, Capture, Output, storable_text


@given(st.binary(), st.booleans())
def test_any_bytes_become_storable_text(raw: bytes, cut: bool) -> None:
    codec.check_text(storable_text(raw, cut=cut), "output")


@given(st.text().filter(lambda text: "\x00" not in text))
def test_text_comes_back_unchanged(text: str) -> None:
    assert storable_text(text.encode()) == text


@given(st.text().filter(lambda text: "\x00" not in text), st.integers(min_value=0))
def test_cut_text_is_a_prefix(text: str, limit: int) -> None:
    raw = text.encode()
    output = Output(raw[:limit], b"", len(raw))
    assert text.startswith(output.text())
    assert output.truncated == (limit < len(raw))
    assert len(raw[:limit]) - len(output.text().encode()) < 4


def test_what_still_lies_in_the_pipe_is_taken_at_the_end() -> None:
    """The news of the end may be read before the last of the output."""

    async def scenario() -> Output:
        capture = Capture(limit_bytes=3)
        os.write(capture.writer, b"0123" + b"x" * TAIL_BYTES)
        return capture.finish()

    assert asyncio.run(scenario()) == Output(b"012", b"x" * TAIL_BYTES, 4 + TAIL_BYTES)
