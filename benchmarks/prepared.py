"""What do prepared statements bring on PostgreSQL? Transitions per second with and without them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from functools import partial

from benchmarks.gathering import advance
from benchmarks.measuring import Effort, Sample, middle, ratio, take_turns
from benchmarks.place import Place
from benchmarks.tables import Table, count, times
from benchmarks.writers import open_writer

_COLUMNS = (
    *("asyncio", "prepared /s", "client µs", "server µs"),
    *("unprepared /s", "client µs", "server µs", "ratio"),
)
_NOTE = "`database.prepared_statements` on and off; off is what a transaction pooler may demand."


def measure(place: Place, effort: Effort) -> Iterator[Table]:
    """Compare both settings, gathered and alone, with few callers and many."""
    with ExitStack() as stack:
        writers = {
            setting: stack.enter_context(
                closing(
                    open_writer(
                        place.new_settings(
                            "PostgreSQL", **{"database.prepared_statements": setting}
                        ),
                        "asyncio",
                    )
                )
            )
            for setting in ("on", "off")
        }
        cells = {
            (is_gathered, callers, setting): partial(
                advance, place, writer, callers, effort.seconds, is_gathered=is_gathered
            )
            for is_gathered in (True, False)
            for callers in effort.callers
            for setting, writer in writers.items()
        }
        samples = take_turns(cells, effort.rounds)
    rows: list[Sequence[str]] = []
    for is_gathered in (True, False):
        for callers in effort.callers:
            on, off = (samples[is_gathered, callers, setting] for setting in ("on", "off"))
            way = f"{'gathered' if is_gathered else 'alone'}, {callers} task{'s' * (callers > 1)}"
            rows.append([way, *_figures(on), *_figures(off), times(ratio(on, off))])
    yield Table("Prepared statements on PostgreSQL", _COLUMNS, rows, _NOTE)


def _figures(samples: Sequence[Sample]) -> Iterator[str]:
    yield count(middle(samples, lambda sample: sample.per_second))
    yield count(middle(samples, lambda sample: sample.cpu_us))
    yield count(middle(samples, lambda sample: sample.server_cpu_us))
