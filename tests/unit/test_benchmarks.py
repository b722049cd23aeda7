"""Each benchmark runs: with the least that it can measure, so that none of them rots between two measurements."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from aureus import Aureus
from benchmarks import filling, made_texts, retrieval, search, subscriptions, vectors, verifying
from benchmarks.__main__ import PROGRAMS, main
from benchmarks.machine import describe
from benchmarks.manual import read_manual
from benchmarks.measuring import Effort, Sample, ratio
from benchmarks.place import Place
from benchmarks.tables import Table
from tests.support.postgres import PostgresServer

LEAST = Effort(rounds=1, seconds=0.0, callers=(1, 2), repeats=1, lock_seconds=0.05)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what loads many memories load few."""
    for module in (made_texts, filling, search):
        monkeypatch.setattr(module, "CHUNK", 300)
    monkeypatch.setattr(made_texts, "QUESTIONS", 5)
    for name, least in (("SIZES", (600,)), ("ADDED", 300)):
        monkeypatch.setattr(search, name, least)
    monkeypatch.setattr(verifying, "ENTRIES", 600)
    monkeypatch.setattr(vectors, "SIZES", (600,))
    monkeypatch.setattr(subscriptions, "BATCHES", 20)
    monkeypatch.setattr(subscriptions, "HANDLED", {1: 20, 100: 400})
    manual = read_manual()
    monkeypatch.setattr(
        retrieval, "read_manual", lambda: replace(manual, questions=manual.questions[:3])
    )


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_benchmark_fills_its_tables(
    name: str, tmp_path: Path, postgres_server: PostgresServer
) -> None:
    tables = list(PROGRAMS[name](Place(tmp_path, lambda: postgres_server), LEAST))
    assert tables
    for table in tables:
        assert table.rows
        assert {len(row) for row in table.rows} == {len(table.columns)}


@pytest.mark.usefixtures("small")
def test_a_database_that_is_named_is_filled_once_and_stays(
    tmp_path: Path, postgres_server: PostgresServer
) -> None:
    place = Place(tmp_path, lambda: postgres_server)
    url = place.new_url("SQLite")
    for _ in range(2):
        _, _, right = search.measure(place, LEAST, urls=[url])
        assert [row[1] for row in right.rows] == ["1.0000"] * 4
    with Aureus(url) as client:
        assert client.memories.count() == 600


def test_the_machine_is_described_in_one_line(
    tmp_path: Path, postgres_server: PostgresServer
) -> None:
    line = describe(Place(tmp_path, lambda: postgres_server), with_postgres=True)
    assert "\n" not in line
    assert all(name in line for name in ("commit", "Python", "SQLite", "PostgreSQL", "fdatasync"))


def test_a_name_that_there_is_not_is_refused() -> None:
    with pytest.raises(SystemExit, match="there is no benchmark 'speed'; there are gathering"):
        main(["speed"])


def test_figures_of_a_sample() -> None:
    sample = Sample(by_caller=[[0.001, 0.002], [0.010]], seconds=1.5, cpu_seconds=0.003)
    assert (sample.count, sample.per_second, round(sample.cpu_us)) == (3, 2.0, 1000)
    assert [sample.percentile_ms(share) for share in (0.0, 0.5, 1.0)] == [1.0, 2.0, 10.0]


def test_a_ratio_is_the_median_of_the_ratios_of_rounds() -> None:
    quick = [Sample([[0.1] * count], 1.0, 0.0) for count in (10, 30, 20)]
    slow = [Sample([[0.1] * count], 1.0, 0.0) for count in (10, 10, 10)]
    assert ratio(quick, slow) == 2.0


def test_a_table_lines_up_as_markdown() -> None:
    table = Table("Speed", ("what", "ms"), [("one", "1.5"), ("another", "10")], "Less is better.")
    assert str(table) == (
        "### Speed\n\n"
        "| what    |  ms |\n"
        "| ------- | --: |\n"
        "| one     | 1.5 |\n"
        "| another |  10 |\n"
        "\nLess is better."
    )
