"""Bounded capture of what a child writes.

The pipe is always drained, so that a child never blocks on a full one; only the first bytes are kept as the output, and
the last few beside them, because that is where programs say why they failed.
"""

from __future__ import annotations

import asyncio
import codecs
import os
from dataclasses import dataclass

TAIL_BYTES = 4096
"""How much of the end of an output goes into an error."""

_READ_BYTES = 65536
_PIPE_BYTES_MAX = 1024 * 1024
"""The largest pipe that an ordinary user of Linux can ask for."""


@dataclass(frozen=True, slots=True)
class Output:
    """What a child wrote to one descriptor; ``size_bytes`` counts what was not kept, too."""

    head: bytes
    tail: bytes
    size_bytes: int

    @property
    def truncated(self) -> bool:
        """Say whether more was written than is kept."""
        return self.size_bytes > len(self.head)

    def text(self) -> str:
        """Return what was kept as text that every store can hold."""
        return storable_text(self.head, cut=self.truncated)

    def tail_text(self) -> str:
        """Return the end of what was written as text that every store can hold."""
        return storable_text(self.tail)


def storable_text(raw: bytes, *, cut: bool = False) -> str:
    """Decode UTF-8, with U+FFFD for what is not UTF-8 and for NUL; drop a character that the cut went through."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    return decoder.decode(raw, final=not cut).replace("\x00", "\ufffd")


class Capture:
    """The reading end of a pipe, read by the running event loop."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._head = bytearray()
        self._tail = b""
        self._size = 0
        self._loop = asyncio.get_running_loop()
        self._reader, self.writer = os.pipe()
        os.set_blocking(self._reader, False)
        self._loop.add_reader(self._reader, self._read)

    def close_writer(self) -> None:
        """Give up this side's copy of the writing end. Safe to repeat."""
        if self.writer >= 0:
            os.close(self.writer)
            self.writer = -1

    def finish(self) -> Output:
        """Take what still lies in the pipe, close it, and return everything.

        Does not wait for the end of the file: a daemon that outlives its task may hold the other end for ever.
        """
        for _ in range(_PIPE_BYTES_MAX // _READ_BYTES):
            if self._reader < 0 or not self._read():
                break
        self.close()
        return Output(bytes(self._head), self._tail, self._size)

    def close(self) -> None:
        """Stop reading and give up both ends. Safe to repeat."""
        self.close_writer()
        if self._reader >= 0:
            self._loop.remove_reader(self._reader)
            os.close(self._reader)
            self._reader = -1

    def _read(self) -> bool:
        """Read once without waiting; say whether there may be more."""
        try:
            chunk = os.read(self._reader, _READ_BYTES)
        except BlockingIOError:
            return False
        if not chunk:
            self.close()
            return False
        self._head += chunk[: max(0, self._limit - len(self._head))]
        self._tail = (self._tail + chunk)[-TAIL_BYTES:]
        self._size += len(chunk)
        return True
