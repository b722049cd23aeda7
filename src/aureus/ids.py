"""The only module that makes identifiers and reads randomness.

Identifiers are UUID version 7 (RFC 9562): they sort by the time they were made, so that new rows land at the end of
their index. Run ids carry the prefix ``r_``, because people type them.
"""

from __future__ import annotations

import os
import threading
import time
from typing import Protocol


class Ids(Protocol):
    """A source of identifiers and randomness."""

    def new(self) -> str:
        """Return a fresh UUID version 7 as 32 lower-case hexadecimal digits."""
        ...

    def salt(self) -> bytes:
        """Return 32 random bytes."""
        ...

    def jitter(self) -> float:
        """Return a random number in [0, 1)."""
        ...


class RandomIds:
    """Identifiers from the operating system's random source."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    def new(self) -> str:
        """Return a fresh UUID version 7 as 32 hex digits; rising within this object, also inside a millisecond."""
        random = int.from_bytes(os.urandom(10), "big")
        with self._lock:
            stamp = time.time_ns() // 1_000_000
            value = (stamp << 80) | (0x7 << 76) | ((random >> 64 & 0xFFF) << 64)
            value |= (0b10 << 62) | (random & ((1 << 62) - 1))
            if value <= self._last:
                value = _successor(self._last)
            self._last = value
        return f"{value:032x}"

    def salt(self) -> bytes:
        """Return 32 random bytes."""
        return os.urandom(32)

    def jitter(self) -> float:
        """Return a random number in [0, 1)."""
        return int.from_bytes(os.urandom(7), "big") / (1 << 56)


def _successor(value: int) -> int:
    """Return the next larger UUID version 7 after this one."""
    low = value & ((1 << 62) - 1)
    if low < (1 << 62) - 1:
        return value + 1
    middle = value >> 64 & 0xFFF
    head = value >> 80
    head, middle = (head, middle + 1) if middle < 0xFFF else (head + 1, 0)
    return (head << 80) | (0x7 << 76) | (middle << 64) | (0b10 << 62)


class CountingIds:
    """Predictable identifiers for tests: 1, 2, 3 … with neither salt nor jitter random."""

    def __init__(self) -> None:
        self._count = 0

    def new(self) -> str:
        """Return the next number as a UUID version 7 shaped text."""
        self._count += 1
        return f"{(0x7 << 76) | (0b10 << 62) | self._count:032x}"

    def salt(self) -> bytes:
        """Return 32 bytes made of the next number."""
        self._count += 1
        return self._count.to_bytes(32, "big")

    def jitter(self) -> float:
        """Return one half."""
        return 0.5
