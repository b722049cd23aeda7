"""Which process this is, and whether another one is dead for certain.

"Dead" is said only of a process on the same host, in the same boot and the same space of process ids, because the
answer lets a successor take its run over at once. Where that cannot be known (no /proc), nobody is ever dead and the
end of the lease is awaited.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import NamedTuple

from aureus.model.leases import ProcessIdentity

_PROC = Path("/proc")
_DEAD_STATES = frozenset("ZXx")
"""A zombie has ended; only its parent has not noticed."""


def read_identity() -> ProcessIdentity:
    """Return the identity of this process."""
    pid = os.getpid()
    life = _read_life(pid)
    return ProcessIdentity(
        host=socket.gethostname(),
        boot_id=_boot_id(),
        pid=pid,
        process_start="" if life is None else life.start,
    )


def is_dead(holder: ProcessIdentity, me: ProcessIdentity) -> bool:
    """Return whether a process has ended for certain; False when it lives or nobody can tell."""
    if not me.boot_id or (holder.host, holder.boot_id) != (me.host, me.boot_id):
        return False
    try:
        os.kill(holder.pid, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    life = _read_life(holder.pid)
    if life is None or not holder.process_start:
        return False
    return life.start != holder.process_start or life.has_ended


class _Life(NamedTuple):
    start: str
    has_ended: bool


def _read_life(pid: int) -> _Life | None:
    """Return the start of a process (in clock ticks since the boot) and whether only its row is left."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    if len(fields) < 20:
        return None
    state, thread_count, start = fields[0], fields[17], fields[19]
    return _Life(start, state in _DEAD_STATES and thread_count in {"0", "1"})


def _boot_id() -> str:
    """Return the boot and the space of process ids, or nothing where they cannot be known.

    Two containers on one machine share the boot and may share the host's name, but not their process ids.
    """
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        space = (_PROC / "self/ns/pid").stat().st_ino
    except OSError:
        return ""
    return f"{boot}/{space}" if boot else ""
