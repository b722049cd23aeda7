"""After an erasure nothing of the plaintext is in the file, in its log, or in the run logs beside it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import apsw
import pytest

from aureus import Aureus
from aureus.model.runs import stream_of
from aureus.retrieval import upkeep
from aureus.runlog import FsyncPolicy, RunLog, RunLogReader
from tests.support.backends import settings_for
from tests.support.killed_erasure import be_killed
from tests.support.person import ERASED_WITH, NAME, WORD, bytes_with_the_word, write_life
from tests.support.toy_embedder import ToyEmbedder


def opened(folder: Path, **more: object) -> Aureus:
    """Open the database in a folder."""
    url = f"sqlite:///{folder}/aureus.db"
    settings = settings_for(url, folder, **{"run_log.directory": str(folder / "logs"), **more})
    return Aureus(settings=settings, embedder=ToyEmbedder())


def found_in(folder: Path) -> dict[str, list[bytes]]:
    """Return every file below a folder that holds the word, with some of what surrounds it."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    found = {path.name: bytes_with_the_word(path.read_bytes()) for path in files}
    return {name: places for name, places in found.items() if places}


def test_nothing_of_the_plaintext_is_left_in_any_file(tmp_path: Path) -> None:
    with opened(tmp_path) as client:
        write_life(client)
        client.memories.index()
        assert "aureus.db-wal" in found_in(tmp_path)
        report = client.erasure.erase(NAME, reason="request 17", **ERASED_WITH)  # type: ignore[arg-type]  # both lists
        assert report.removed["memory_embeddings"] > 0
        assert report.scrub.is_done
        assert found_in(tmp_path) == {}
    assert found_in(tmp_path) == {}


def test_what_was_overwritten_long_ago_is_gone_too(tmp_path: Path) -> None:
    long = " ".join(f"{WORD}{number}" for number in range(2000))
    with opened(tmp_path) as client:
        client.memories.add(long, agent_id="a", user_id=NAME, memory_id="m1")
        client.memories.index()
        client.memories.purge("m1")
        client.memories.index()
    assert found_in(tmp_path) != {}
    with opened(tmp_path) as client:
        client.memories.add("x", agent_id="a", user_id=NAME)
        client.erasure.erase(NAME, reason="request 17")
        assert found_in(tmp_path) == {}


def test_a_word_that_died_while_a_merge_was_made_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aureus.retrieval.upkeep.LONG", replace(upkeep.LONG, rows=2))
    with opened(tmp_path, **{"memory.upkeep": "off"}) as client:
        for number in range(20):
            text = f"aaa{WORD} tea{number}" if number == 3 else f"tea{number} milk"
            client.memories.add(text, agent_id="a", user_id=NAME if number == 3 else "bob")
            client.memories.index_step()
        written = "SELECT 1 FROM text_index_segments WHERE status = 'building' AND built_to > 'aab'"
        while not _rows(client, written):
            assert not client.memories.index_step().is_done
        client.erasure.erase(NAME, reason="request 17")
        assert found_in(tmp_path) == {}


def _rows(client: Aureus, query: str) -> list[tuple[object, ...]]:
    with client.transaction() as transaction:
        return transaction.execute(query)


def test_a_reader_of_another_process_keeps_the_log_and_the_report_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aureus._database.sqlite.scrubbing.LOCK_SECONDS_MAX", 0.05)
    with opened(tmp_path) as client:
        write_life(client)
        reader = apsw.Connection(str(tmp_path / "aureus.db"))
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM memories").fetchall()
        report = client.erasure.erase(NAME, reason="request 17", **ERASED_WITH)  # type: ignore[arg-type]  # both lists
        assert not report.scrub.is_done
        assert "erase again" in report.scrub.to_do[0]
        reader.close()
        again = client.erasure.erase(NAME, reason="request 17")
        assert again.is_empty
        assert again.scrub.is_done
        assert found_in(tmp_path) == {}


def test_without_scrubbing_the_report_says_what_is_to_be_done(tmp_path: Path) -> None:
    with opened(tmp_path) as client:
        write_life(client)
        report = client.erasure.erase(NAME, reason="request 17", scrub=False)
        assert (report.scrub.is_done, len(report.scrub.to_do)) == (False, 1)


def test_lines_of_run_logs_lose_what_they_said_and_stay_in_order(tmp_path: Path) -> None:
    with opened(tmp_path) as client:
        stream = stream_of("r1")
        for number in range(4):
            subjects = [NAME] if number % 2 else []
            client.events.append(
                stream, "noted", {"text": f"{WORD if subjects else ''}{number}"}, subjects=subjects
            )
        log = RunLog(tmp_path / "logs", "default", fsync=FsyncPolicy.ALWAYS)
        log.append("r1", client.events.read_stream(stream))
        assert "events.log" in found_in(tmp_path)
        report = client.erasure.erase(NAME, reason="request 17")
        assert report.run_log_lines == {"r1": 2}
        assert found_in(tmp_path) == {}
        client.events.append(stream, "noted", {"text": "later"})
        log.append("r1", [], lambda after: client.events.read_stream(stream, after_version=after))
        log.close()
        lines = list(RunLogReader(tmp_path / "logs", "default").read("r1"))
        assert [line["version"] for line in lines] == [1, 2, 3, 4, 5]
        assert [line.get("redacted", False) for line in lines] == [False, True, False, True, False]
        (tmp_path / "logs" / "r1" / "events.log").unlink()
        log.append("r1", client.events.read_stream(stream))
        assert list(RunLogReader(tmp_path / "logs", "default").read("r1")) == lines


@pytest.mark.parametrize("batch", [1, 2, 4])
def test_an_erasure_that_is_killed_goes_on_when_it_is_repeated(tmp_path: Path, batch: int) -> None:
    with opened(tmp_path) as client:
        write_life(client)
    be_killed(f"sqlite:///{tmp_path}/aureus.db", tmp_path, batch)
    with opened(tmp_path) as client:
        done = sum(1 for _ in client.events.replay(category="erasures"))
        assert done == batch - 1
        assert not client.erasure.erase(NAME, reason="request 17", **ERASED_WITH).is_empty  # type: ignore[arg-type]  # both lists
        assert found_in(tmp_path) == {}
        assert client.memories.get("bobs").text == "bob likes tea"
