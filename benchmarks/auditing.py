"""Counts what the audit trail costs: a write in each mode, and entries of callers beside plain events."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from typing import Final

from aureus.client import Aureus
from aureus.config import Settings
from aureus.config.settings import AuditSettings
from aureus.model.audit_modes import AuditMode
from aureus.model.memories import Provenance
from benchmarks.measuring import Effort, Sample, in_threads, middle, take_turns
from benchmarks.place import ENGINES, Engine, Place
from benchmarks.tables import Table, count, fine

MODES: Final = (AuditMode.OFF, AuditMode.DECISIONS, AuditMode.ALL)

_BEFORE: Final = {"step": 1, "plan": ["read", "write"], "text": "x" * 80}
_AFTER: Final = {"step": 2, "plan": ["read"], "text": "x" * 80}
_PAYLOAD: Final = {"data": {"before": _BEFORE, "after": _AFTER}}
_PROVENANCE: Final = Provenance("r1", "t1")

_numbers = itertools.count(1)

Call = Callable[[], object]


def measure(place: Place, effort: Effort) -> Iterator[Table]:
    """Measure both engines, from threads."""
    for engine in ENGINES:
        with ExitStack() as stack:
            clients = {
                mode: stack.enter_context(closing(_open(place.new_settings(engine), mode)))
                for mode in MODES
            }
            cells = {
                (name, mode, callers): partial(
                    _sample, place, calls(clients[mode]), callers, effort.seconds
                )
                for mode in MODES
                for name, calls in WRITES.items()
                for callers in effort.callers
            } | {
                (name, AuditMode.DECISIONS, callers): partial(
                    _sample, place, calls(clients[AuditMode.DECISIONS]), callers, effort.seconds
                )
                for name, calls in ENTRIES.items()
                for callers in effort.callers
            }
            samples = take_turns(cells, effort.rounds)
            yield _modes(engine, effort, samples)
            yield _entries(engine, effort, samples)


def _open(settings: Settings, mode: AuditMode) -> Aureus:
    return Aureus(settings=replace(settings, audit=AuditSettings(mode.value)))


def _set_key(client: Aureus) -> Callable[[int], Call]:
    def calling(caller: int) -> Call:
        return lambda: client.world_state.set(f"k{caller}", next(_numbers))

    return calling


def _delete_key(client: Aureus) -> Callable[[int], Call]:
    """Return two writes, of which one is a decision: deleting what is not there leaves nothing."""

    def calling(caller: int) -> Call:
        def work() -> None:
            client.world_state.set(f"d{caller}", 1)
            client.world_state.delete(f"d{caller}")

        return work

    return calling


def _event(client: Aureus) -> Callable[[int], Call]:
    def calling(caller: int) -> Call:
        return lambda: client.events.append(f"s/{caller}", "audit_entry", _PAYLOAD)

    return calling


def _entry(client: Aureus) -> Callable[[int], Call]:
    def calling(caller: int) -> Call:
        return lambda: client.audit.append(f"actor-{caller}", "x", before=_BEFORE, after=_AFTER)

    return calling


def _entry_of_one(client: Aureus) -> Callable[[int], Call]:
    def calling(_: int) -> Call:
        return lambda: client.audit.append("one", "x", before=_BEFORE, after=_AFTER)

    return calling


def _referring_entry(client: Aureus) -> Callable[[int], Call]:
    def calling(caller: int) -> Call:
        return lambda: client.audit.append(
            f"actor-{caller}", "x", before=_BEFORE, after=_AFTER, provenance=_PROVENANCE
        )

    return calling


WRITES: Final[dict[str, Callable[[Aureus], Callable[[int], Call]]]] = {
    "set a key": _set_key,
    "set and delete a key": _delete_key,
}
"""Writes of which the first is no decision, and the second contains one."""

ENTRIES: Final[dict[str, Callable[[Aureus], Callable[[int], Call]]]] = {
    "an event": _event,
    "an entry": _entry,
    "an entry of one actor": _entry_of_one,
    "an entry with a run and a task": _referring_entry,
}

_Samples = dict[tuple[str, AuditMode, int], list[Sample]]


def _sample(place: Place, calls: Callable[[int], Call], callers: int, seconds: float) -> Sample:
    before = place.server_cpu_seconds()
    sample = in_threads([calls(caller) for caller in range(callers)], seconds)
    return replace(sample, server_cpu_seconds=place.server_cpu_seconds() - before)


def _rate(samples: Sequence[Sample]) -> float:
    return middle(samples, lambda sample: sample.per_second)


def _modes(engine: Engine, effort: Effort, samples: _Samples) -> Table:
    rows: list[Sequence[str]] = []
    for name in WRITES:
        for callers in effort.callers:
            cells = [samples[name, mode, callers] for mode in MODES]
            rates = [_rate(cell) for cell in cells]
            work = [_work_us(cell) for cell in cells]
            rows.append(
                [name, str(callers), *map(count, rates), fine(rates[2] / rates[0]),
                 *map(count, work), fine(work[2] / work[0])]
            )  # fmt: skip
    columns = (
        "write", "threads", "off /s", "decisions /s", "all /s", "all ÷ off", "off µs", "decisions µs", "all µs",
        "all ÷ off",
    )  # fmt: skip
    note = (
        "One call is what the first column says; it leaves an event in each mode, which `all` makes an entry. µs is "
        "the processor time of a call in the calling process and in PostgreSQL together."
    )
    return Table(f"Audit modes on {engine}", columns, rows, note)


def _work_us(samples: Sequence[Sample]) -> float:
    return middle(samples, lambda sample: sample.cpu_us + sample.server_cpu_us)


def _entries(engine: Engine, effort: Effort, samples: _Samples) -> Table:
    rows: list[Sequence[str]] = []
    for name in ENTRIES:
        for callers in effort.callers:
            own = samples[name, AuditMode.DECISIONS, callers]
            event = _rate(samples["an event", AuditMode.DECISIONS, callers])
            rows.append(
                [name, str(callers), count(_rate(own)), fine(_rate(own) / event),
                 fine(middle(own, lambda sample: sample.percentile_ms(0.5))),
                 count(middle(own, lambda sample: sample.cpu_us)),
                 count(middle(own, lambda sample: sample.server_cpu_us))]
            )  # fmt: skip
    columns = ("append", "threads", "/s", "÷ events", "p50 ms", "client µs", "server µs")
    note = (
        "Entries have two states of 120 bytes, of which two places differ; events say the same. Each caller is an "
        "actor and a stream of its own, except in the third."
    )
    return Table(f"Audit entries on {engine}", columns, rows, note)
