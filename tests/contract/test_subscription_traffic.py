"""Readers and groups beside eight writers who commit late, roll back and gather: told is committed, once, in order."""

from __future__ import annotations

from aureus.model.events import Event
from tests.contract.stage import Stage
from tests.support.consuming import member, reader
from tests.support.traffic import Traffic, all_are_told, check, crowd


def test_readers_and_groups_are_told_what_is_committed(stage: Stage) -> None:
    traffic = Traffic(stage)
    of_readers: list[list[Event]] = [[], []]
    of_group: list[Event] = []
    filtered: list[Event] = []
    with crowd() as readers:
        readers.follow(reader(stage, "first", live=True), of_readers[0])
        readers.follow(reader(stage, "a", live=True, category="a"), filtered)
        for name in ("x", "y"):
            readers.follow(member(stage, "g", name, live=True, bucket_count=8), of_group)
        traffic.run()
        readers.follow(reader(stage, "second", live=True), of_readers[1])
        readers.follow(member(stage, "g", "z", live=True), of_group)
        for told in (*of_readers, of_group):
            all_are_told(told, lambda: len(traffic.committed))
        all_are_told(filtered, lambda: sum(e.category == "a" for e in traffic.committed))
    for told in of_readers:
        check(told, traffic)
    check(of_group, traffic, is_group=True)
    traffic.committed = [event for event in traffic.committed if event.category == "a"]
    check(filtered, traffic)
