"""The bell wakes everybody who listens, and its watcher works only while somebody does."""

from __future__ import annotations

import threading

import pytest

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
    bell.listen(two.set)
    assert said == ["start", "stop", "start"]
    bell.close()
    bell.close()
    assert said == ["start", "stop", "start", "stop"]


def test_a_child_has_a_bell_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    bell = Bell(lambda ring: Watching(ring, said))
    bell.listen(lambda: said.append("parent"))
    monkeypatch.setattr("aureus._database.bell.os.getpid", lambda: -1)
    bell.listen(lambda: said.append("child"))
    bell.ring()
    assert said == ["start", "start", "child"]
