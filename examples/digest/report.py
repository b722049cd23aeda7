"""The page that the workflow writes at its end: results of its tasks, put into words.

The file appears whole or not at all, and writing it a second time gives the same bytes, so that a crash at any moment
does no harm.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from digest import MARKER, shown

SHOWN_MAX = 25
"""Lines of a list on the page."""

HEADINGS_MAX = 12
"""Headings of a document that the contents name; where there are more, only those of the second level."""

BAR = 24
"""Characters of the longest bar."""

_MARKUP = re.compile(r"[\\*\[\]<|]|^[#>+-]|(?<!\w)_|_(?!\w)")

Rows = list[dict[str, Any]]


def write(
    path: str,
    *,
    found: dict[str, Any],
    outline: Rows,
    words: dict[str, Any],
    reading_time: Rows,
    links: dict[str, Any],
    open_ends: dict[str, Any],
    disk: str,
    repairs: Rows | None,
) -> dict[str, Any]:
    """Write the report and return where it is, with the figures of its first lines."""
    target = Path(path).expanduser().absolute()
    minutes = sum(time["minutes"] for time in reading_time)
    figures = {
        "documents": found["count"],
        "words": words["count"],
        "minutes": round(minutes),
        "broken_links": links["broken_count"],
        "open_ends": open_ends["count"],
    }
    parts = (
        _summary(found, figures, links, disk),
        _documents(outline, reading_time),
        _subjects(words),
        _beginnings(links, found["count"]),
        _broken(links, repairs or links["broken"]),
        _open_ends(open_ends),
        _contents(outline),
    )
    _replace(target, "\n".join(line for part in parts for line in part) + "\n")
    return {"report": shown(target), **figures}


def _summary(
    found: dict[str, Any], figures: dict[str, Any], links: dict[str, Any], disk: str
) -> Iterator[str]:
    yield MARKER
    yield f"# Digest of {_plain(shown(Path(found['folder']).resolve().name))}"
    yield ""
    if not found["count"]:
        yield "There are no documents in this folder (.md, .rst or .txt)."
        return
    kilobytes = disk.split(maxsplit=1)[0] if disk else "?"
    yield (
        f"{_counted(found['count'], 'document')}, {figures['words']:,} words: about {_spoken(figures['minutes'])} to "
        f"read. The folder takes {kilobytes} KB on the disk."
    )
    yield (
        f"{_counted(links['broken_count'], 'link')} of {links['internal_count']} inside the folder "
        f"{'leads' if links['broken_count'] == 1 else 'lead'} nowhere; {links['external_count']} lead elsewhere and "
        f"were not visited. {_counted(figures['open_ends'], 'open end')}."
    )
    if found["left_out_count"]:
        yield f"{found['left_out_count']} more documents were left out: there are too many for one page."


def _documents(outline: Rows, reading_time: Rows) -> Iterator[str]:
    if not outline:
        return
    minutes = {time["name"]: time for time in reading_time}
    yield from (
        "",
        "## The documents",
        "",
        "| Document | Title | Words | Minutes |",
        "|---|---|--:|--:|",
    )
    for document in outline:
        time = minutes.get(document["name"], {"words": 0, "minutes": 0})
        yield (
            f"| {_plain(document['name'])} | {_plain(document['title'])} "
            f"| {time['words']:,} | {max(1, round(time['minutes']))} |"
        )


def _subjects(words: dict[str, Any]) -> Iterator[str]:
    frequent = words["frequent"]
    if not frequent:
        return
    most = frequent[0]["count"]
    width = max(len(word["word"]) for word in frequent)
    yield from ("", "## What they are about", "", "```text")
    for word in frequent:
        bar = "█" * max(1, round(BAR * word["count"] / most))
        yield f"{word['word']:<{width}}  {bar} {word['count']} in {_counted(word['documents'], 'document')}"
    yield "```"


def _beginnings(links: dict[str, Any], document_count: int) -> Iterator[str]:
    if links["most_cited"]:
        yield from ("", "## Where to begin", "", "Other documents refer most often to:", "")
        for cited in links["most_cited"]:
            yield f"- {_plain(cited['name'])} ({_counted(cited['count'], 'time')})"
    lonely = links["uncited"]
    if lonely and len(lonely) < document_count:
        yield from (
            "",
            "No document refers to: " + ", ".join(map(_plain, lonely[:SHOWN_MAX])) + ".",
        )


def _broken(links: dict[str, Any], broken: Rows) -> Iterator[str]:
    if not broken:
        return
    yield from ("", "## Links that lead nowhere", "")
    for link in broken[:SHOWN_MAX]:
        guess = f": perhaps {_plain(link['perhaps'])}" if link.get("perhaps") else ""
        yield f"- {_plain(link['name'])}, line {link['line']}: {_plain(link['target'])}{guess}"
    if links["broken_count"] > SHOWN_MAX:
        yield f"- and {links['broken_count'] - SHOWN_MAX} more"


def _open_ends(open_ends: dict[str, Any]) -> Iterator[str]:
    if not open_ends["count"]:
        return
    yield from ("", "## Open ends", "")
    for note in open_ends["notes"][:SHOWN_MAX]:
        yield f"- {_plain(note['name'])}, line {note['line']}: {_plain(note['text'])}"
    for heading in open_ends["empty"][:SHOWN_MAX]:
        yield f"- {_plain(heading['name'])}, line {heading['line']}: nothing below “{_plain(heading['text'])}”"


def _contents(outline: Rows) -> Iterator[str]:
    if not outline:
        return
    yield from ("", "## Contents", "")
    for document in outline:
        yield f"- **{_plain(document['title'])}** ({_plain(document['name'])})"
        headings = document["headings"]
        if len(headings) > HEADINGS_MAX:
            headings = [heading for heading in headings if heading["level"] <= 2]
        for heading in headings:
            yield f"{'  ' * max(1, heading['level'] - 1)}- {_plain(heading['text'])}"


def _replace(target: Path, text: str) -> None:
    """Put a file in its place in one step; a half-written one is never seen."""
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=".digest-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _spoken(minutes: int) -> str:
    if minutes < 90:
        return _counted(max(1, minutes), "minute")
    return f"{minutes / 60:.1f} hours"


def _plain(text: str) -> str:
    """Return somebody's text so that Markdown takes nothing in it for a mark-up of the page."""
    return _MARKUP.sub(r"\\\g<0>", text.replace("`", ""))
