"""What does group commit bring? Transitions per second, gathered and each in a transaction of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial

from benchmarks.measuring import Effort, Sample, middle, ratio, take_turns
from benchmarks.place import ENGINES, Engine, Place
from benchmarks.tables import Table, count, fine, times
from benchmarks.writers import STYLES, Style, Writer, open_writer

Cell = tuple[Style, int, bool]

_COLUMNS = (
    *("callers", "gathered /s", "p50 ms", "p99 ms", "client µs", "server µs"),
    *("alone /s", "p50 ms", "p99 ms", "client µs", "server µs", "ratio"),
)
_NOTE = (
    "One call is `runs.advance` with one task and one fact; client and server µs are the processor time that it costs "
    "in the calling process and in PostgreSQL. The ratio compares rates."
)


def measure(place: Place, effort: Effort) -> Iterator[Table]:
    """Compare both ways for threads and asyncio, with few callers and many."""
    for engine in ENGINES:
        with ExitStack() as stack:
            writers: dict[Style, Writer] = {
                style: stack.enter_context(closing(open_writer(place.new_settings(engine), style)))
                for style in STYLES
            }
            cells: dict[Cell, partial[Sample]] = {
                (style, callers, is_gathered): partial(
                    advance, place, writer, callers, effort.seconds, is_gathered=is_gathered
                )
                for style, writer in writers.items()
                for callers in effort.callers
                for is_gathered in (True, False)
            }
            yield _table(engine, effort, take_turns(cells, effort.rounds))


def advance(
    place: Place, writer: Writer, callers: int, seconds: float, *, is_gathered: bool
) -> Sample:
    """Let callers advance new runs for some time, and count the server's processor time with theirs."""
    runs = writer.new_runs(callers)
    before = place.server_cpu_seconds()
    sample = writer.measure(runs, seconds, is_gathered=is_gathered)
    return replace(sample, server_cpu_seconds=place.server_cpu_seconds() - before)


def _table(engine: Engine, effort: Effort, samples: dict[Cell, list[Sample]]) -> Table:
    rows: list[Sequence[str]] = []
    for style in STYLES:
        for callers in effort.callers:
            gathered, alone = samples[style, callers, True], samples[style, callers, False]
            caller = f"{callers} {'task' if style == 'asyncio' else 'thread'}{'s' * (callers > 1)}"
            rows.append(
                [caller, *_figures(gathered), *_figures(alone), times(ratio(gathered, alone))]
            )
    return Table(f"Transitions on {engine}", _COLUMNS, rows, _NOTE)


def _figures(samples: Sequence[Sample]) -> Iterator[str]:
    yield count(middle(samples, lambda sample: sample.per_second))
    yield fine(middle(samples, lambda sample: sample.percentile_ms(0.5)))
    yield fine(middle(samples, lambda sample: sample.percentile_ms(0.99)))
    yield count(middle(samples, lambda sample: sample.cpu_us))
    yield count(middle(samples, lambda sample: sample.server_cpu_us))
