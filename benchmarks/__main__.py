"""Runs benchmarks by name, all of them without one, and prints their tables: ``python -m benchmarks --help``."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks import (
    appends,
    auditing,
    gathering,
    locked_row,
    memories,
    prepared,
    retrieval,
    rollbacks,
    runs,
    sealing,
    sealing_ways,
    search,
    sessions,
    start_up,
    subject_keys,
    subscriptions,
    takeover,
    vectors,
    verifying,
)
from benchmarks.machine import busy, crowding, describe
from benchmarks.measuring import FULL, QUICK, Effort
from benchmarks.place import SERVER_SETTINGS, Place
from benchmarks.tables import Table
from tests.support.postgres import PostgresHome

PROGRAMS: Final[Mapping[str, Callable[[Place, Effort], Iterator[Table]]]] = {
    "gathering": gathering.measure,
    "appends": appends.measure,
    "auditing": auditing.measure,
    "sealing": sealing.measure,
    "sealing_ways": sealing_ways.measure,
    "memories": memories.measure,
    "prepared": prepared.measure,
    "rollbacks": rollbacks.measure,
    "runs": runs.measure,
    "sessions": sessions.measure,
    "locked_row": locked_row.measure,
    "subject_keys": subject_keys.measure,
    "subscriptions": subscriptions.measure,
    "takeover": takeover.measure,
    "start_up": start_up.measure,
    "retrieval": retrieval.measure,
    "search": search.measure,
    "vectors": vectors.measure,
    "verifying": verifying.measure,
}

RESULTS: Final = Path(__file__).with_name("RESULTS.md")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is asked for, print each table when it is there, and write them all where that is asked for."""
    wish = _parser().parse_args(arguments)
    names: list[str] = wish.names or list(PROGRAMS)
    if unknown := set(names) - set(PROGRAMS):
        sys.exit(f"there is no benchmark {unknown.pop()!r}; there are {', '.join(PROGRAMS)}")
    programs = dict(PROGRAMS)
    programs["retrieval"] = partial(retrieval.measure, files=wish.corpus)
    programs["search"] = partial(search.measure, urls=wish.database)
    effort = QUICK if wish.quick else FULL
    text = ["# How fast Aureus is", f"Measured by `python -m benchmarks`. {_how(effort)}"]
    with tempfile.TemporaryDirectory(prefix="aureus-bench-") as folder, PostgresHome() as home:
        place = Place(
            Path(folder), lambda: home.new_server(is_durable=True, settings=SERVER_SETTINGS)
        )
        text.append(describe(place, with_postgres=not {*names} <= {"start_up", "verifying"}))
        print("\n\n".join(text))
        before = busy()
        for name in names:
            for table in programs[name](place, effort):
                text.append(str(table))
                print(f"\n{table}", flush=True)
    text.append(crowding(before))
    print(f"\n{text[-1]}")
    if wish.write:
        RESULTS.write_text("\n\n".join(text) + "\n", encoding="utf-8")


def _how(effort: Effort) -> str:
    return (
        f"Medians of {effort.rounds} rounds of {effort.seconds:g} s in which everything takes turns, so that others on "
        "the same machine disturb all alike: trust ratios within a table more than rates, and neither across files. "
        "PostgreSQL and SQLite flush every commit to the disk; client and server share the machine."
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure how fast Aureus is."
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of {', '.join(PROGRAMS)}")
    parser.add_argument("--quick", action="store_true", help="measure less, for a first impression")
    parser.add_argument("--write", action="store_true", help=f"keep the tables in {RESULTS.name}")
    parser.add_argument(
        "--corpus", type=Path, action="append", default=[], help="a file for retrieval to ask"
    )
    parser.add_argument(
        "--database",
        action="append",
        default=[],
        metavar="URL",
        help="a database that search fills once and keeps",
    )
    return parser


if __name__ == "__main__":
    main()
