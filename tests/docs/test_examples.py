"""The examples run, on what people have on their disks too."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aureus import AsyncAureus, Aureus
from aureus.config import Settings, load
from aureus.engine.definition import load_file
from aureus.engine.parts import RunOutcome
from aureus.model.states import RunStatus, TaskStatus
from aureus.tools import Tools
from tests.docs.pages import ROOT

DIGEST = ROOT / "examples" / "digest" / "digest.yaml"
APPROVAL = ROOT / "examples" / "approval" / "approval.yaml"

FIGURES = ("documents", "words", "minutes", "broken_links", "open_ends")


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Aureus]:
    with Aureus(settings=_settings(tmp_path)) as client:
        yield client


def test_every_example_is_valid_without_a_warning() -> None:
    files = [*(ROOT / "examples").rglob("*.yaml")]
    assert {DIGEST, APPROVAL} <= set(files)
    for file in files:
        load_file(file, strict=True, known_tools=Tools().names)


def test_the_digest_of_our_own_documents_is_a_page_worth_reading(
    client: Aureus, tmp_path: Path
) -> None:
    outcome = _digest(client, tmp_path / "digest.md")
    assert outcome.run.status is RunStatus.COMPLETED
    page = (tmp_path / "digest.md").read_text(encoding="utf-8")
    assert "# Digest of docs" in page
    for file in (ROOT / "docs").rglob("*.md"):
        assert file.relative_to(ROOT / "docs").as_posix() in page.replace("\\", "")
    figures = _result(outcome, "report")
    assert figures["report"] == str(tmp_path / "digest.md")
    assert figures["broken_links"] == 0
    assert figures["words"] > 5000
    assert f"{figures['words']:,} words" in page


def test_the_digest_retries_and_skips_as_it_says(client: Aureus, tmp_path: Path) -> None:
    tasks = {task.name: task for task in _digest(client, tmp_path / "digest.md").tasks}
    assert tasks["links"].attempt == 2
    assert tasks["repairs"].status is TaskStatus.SKIPPED
    assert tasks["report"].status is TaskStatus.COMPLETED


def test_a_digest_finds_what_is_broken_and_unfinished(client: Aureus, tmp_path: Path) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "plan.md").write_text(
        "# Plan\n\nSee [the budget](buget.md), [the map](map.md) and [us](https://example.org).\n\n"
        "## Later\n\n## Now\nTBD: who pays?\n\n```sh\n[not](a-link.md)\n```\n",
        encoding="utf-8",
    )
    (folder / "budget.md").write_text("# Budget\n\nAll of it, see [plan](plan.md).\n", "utf-8")
    outcome = _digest(client, tmp_path / "page.md", folder=str(folder), stumble=False)
    page = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert [_result(outcome, "report")[name] for name in FIGURES] == [2, 19, 0, 2, 2]
    assert "- plan.md, line 3: buget.md: perhaps budget.md\n" in page
    assert "- plan.md, line 3: map.md\n" in page
    assert "- plan.md, line 8: TBD: who pays?\n" in page
    assert "- plan.md, line 5: nothing below “Later”\n" in page
    assert "- plan.md (1 time)\n" in page


def test_a_folder_with_odd_names_is_digested(client: Aureus, tmp_path: Path) -> None:
    folder = tmp_path / "my 'notes' $(x) — ü"
    folder.mkdir()
    for name in (b"-rf.md", b"two\nlines.txt", b"not\xffutf8.md", b"a b|c.md", "ünï.md".encode()):
        with Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).open("wb") as file:
            file.write(b"# \xff\xfe *Title* <b>\n\x00\nwords\n")
    (folder / "loop").symlink_to(folder)
    (folder / "gone.md").symlink_to(folder / "nowhere")
    outcome = _digest(client, folder / "digest.md", folder=str(folder), stumble=False)
    assert outcome.run.error_message is None
    assert _result(outcome, "report")["documents"] == 5
    page = (folder / "digest.md").read_text(encoding="utf-8")
    assert "two\N{REPLACEMENT CHARACTER}lines.txt" in page

    again = _digest(client, folder / "digest.md", folder=str(folder), stumble=False)
    assert _result(again, "report")["documents"] == 5, "our own report is no document"


def test_an_empty_folder_is_digested(client: Aureus, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    outcome = _digest(client, tmp_path / "page.md", folder=str(tmp_path / "empty"))
    assert [_result(outcome, "report")[name] for name in FIGURES] == [0] * 5
    assert "There are no documents in this folder" in (tmp_path / "page.md").read_text("utf-8")


def test_a_folder_that_is_not_there_is_named(client: Aureus, tmp_path: Path) -> None:
    outcome = _digest(client, tmp_path / "page.md", folder=str(tmp_path / "no-such"))
    assert outcome.run.status is RunStatus.FAILED
    assert f"there is no folder {tmp_path / 'no-such'}" in (outcome.run.error_message or "")
    assert not (tmp_path / "page.md").exists()


@pytest.mark.parametrize("is_approved", [True, False], ids=["approved", "denied"])
def test_an_announcement_is_published_or_taken_back(tmp_path: Path, is_approved: bool) -> None:
    """Through asyncio, because answers are the engine's."""
    target = tmp_path / "news" / "today.txt"
    asyncio.run(_announce(_settings(tmp_path), target, is_approved=is_approved))
    assert target.exists() is is_approved
    assert [path.name for path in target.parent.iterdir()] == ["today.txt"] * is_approved


async def _announce(settings: Settings, target: Path, *, is_approved: bool) -> None:
    inputs = {"file": str(target), "text": "$(date) 'quoted'"}
    workflow = load_file(APPROVAL)
    async with AsyncAureus(settings=settings) as client, client.engine() as engine:
        outcome = await engine.run(workflow, inputs, directory=APPROVAL.parent)
        assert outcome.run.status is RunStatus.PAUSED
        assert target.with_name("today.txt.draft").read_text("utf-8") == "$(date) 'quoted'\n"
        await engine.decide(outcome.run.run_id, approve=is_approved, actor="ada")
        outcome = await engine.run(workflow, inputs, directory=APPROVAL.parent)
        expected = RunStatus.COMPLETED if is_approved else RunStatus.FAILED
        assert outcome.run.status is expected


def _digest(client: Aureus, report: Path, **inputs: Any) -> RunOutcome:
    return client.run(DIGEST, {"report": str(report), **inputs})


def _result(outcome: RunOutcome, name: str) -> dict[str, Any]:
    (task,) = [task for task in outcome.tasks if task.name == name]
    value: dict[str, Any] = task.result["value"]
    return value


def _settings(directory: Path) -> Settings:
    return load(
        arguments={"database.url": f"sqlite:///{directory}/aureus.db", "run_log.type": "none"},
        environ={},
        directory=directory,
    )
