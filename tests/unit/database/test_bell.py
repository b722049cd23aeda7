"""The bell wakes everybody who listens, and its watcher works only while somebody does."""

from __future__ import annotations

import os
import threading

from aureus._database.bell import Bell, Wake


class Watching:
    """A watcher that says what is asked of it."""

    def __init__(self, ring: Wake, said: list[str]) -> None:
        self.ring = ring
        self._said = said

    def start(self) -> None:
        """Begin."""
        self._said.append("start")

    def stop(self) -> None:
        """End."""
        self._said.append("stop")


def test_everybody_who_listens_is_woken() -> None:
    bell = Bell(lambda _: None)
    one, two = threading.Event(), threading.Event()
    bell.ring()
    bell.listen(one.set)
    bell.listen(two.set)
    bell.leave(two.set)
    bell.ring()
    assert (one.is_set(), two.is_set()) == (True, False)


def test_the_watcher_works_while_somebody_listens() -> None:
    said: list[str] = []
    bell = Bell(lambda ring: Watching(ring, said))
    one, two = threading.Event(), threading.Event()
    bell.leave(one.set)
    assert said == []
    bell.listen(one.set)
    bell.listen(two.set)
    bell.leave(one.set)
    assert said == ["start"]
    bell.leave(two.set)
    bell.leave(two.set)
    assert said == ["start", "stop"]
    bell.listen(one.set)
    assert said == ["start", "stop", "start"]


def test_a_child_has_a_bell_of_its_own() -> None:
    said: list[str] = []
    bell = Bell(lambda ring: Watching(ring, said))
    bell.listen(lambda: said.append("woken"))
    heard, says = os.pipe()
    child = os.fork()
    if child == 0:
        bell.listen(lambda: said.append("child"))
        bell.ring()
        os.write(says, ",".join(said).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(heard, 100) == b"start,start,child"
    os.close(heard)
    os.close(says)
