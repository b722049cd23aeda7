"""Values that never change, kept in memory by who has read them: bounded in bytes, each tenant for itself.

Whoever keeps something must have a key under which nothing else can ever be stored, not even in a database that was put
back to an earlier state. What was not asked for longest is let go first.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterable, Mapping

KEPT_BYTES_MAX = 64 * 1024 * 1024
"""Bytes that one client keeps unless told otherwise: the postings of some hundred words among a million documents."""


class Kept:
    """What a client keeps; for any number of threads."""

    def __init__(self, bytes_max: int = KEPT_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._values: OrderedDict[tuple[str, Hashable], bytes] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, tenant_id: str, keys: Iterable[Hashable]) -> dict[Hashable, bytes]:
        """Return what is kept of some keys of a tenant."""
        found: dict[Hashable, bytes] = {}
        with self._lock:
            for key in keys:
                value = self._values.get((tenant_id, key))
                if value is not None:
                    self._values.move_to_end((tenant_id, key))
                    found[key] = value
        return found

    def keep(self, tenant_id: str, values: Mapping[Hashable, bytes]) -> None:
        """Keep values of a tenant, as long as there is room for them."""
        with self._lock:
            for key, value in values.items():
                if (tenant_id, key) not in self._values:
                    self._values[tenant_id, key] = value
                    self._bytes += len(value)
            while self._bytes > self._bytes_max:
                _, dropped = self._values.popitem(last=False)
                self._bytes -= len(dropped)
