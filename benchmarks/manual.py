"""The corpus that comes with the project: its own documents, and questions that people ask of them.

A document is a section: its headings and its prose, without what is shown as code. A session is a page. Questions are
in ``questions.jsonl``, in words of their own and each with the sections that answer it; a test holds their names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from benchmarks.corpus import Corpus, Document, Question
from tests.docs.pages import Page, every_page

QUESTIONS: Final = Path(__file__).with_name("questions.jsonl")

CHARACTERS_MIN: Final = 40
"""A shorter section only introduces those below it."""

_HEADING = re.compile(r"^#{1,6} +(.+?) *#*$")


def read_manual() -> Corpus:
    """Return the sections of every page, and the questions."""
    documents = tuple(document for page in every_page() for document in sections(page))
    lines = QUESTIONS.read_text(encoding="utf-8").splitlines()
    entries = [json.loads(line) for line in lines]
    questions = (Question(one["question"], one["text"], tuple(one["gold"])) for one in entries)
    return Corpus("manual", documents, tuple(questions))


def sections(page: Page) -> Iterator[Document]:
    """Yield the sections of a page, named as links name them; of two with one name the first."""
    seen: set[str] = set()
    title = ""
    for heading, prose in _parts(page):
        title = title or heading
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        if len(prose) >= CHARACTERS_MIN and slug not in seen:
            seen.add(slug)
            named = heading if heading == title else f"{title}: {heading}"
            yield Document(f"{page.name}#{slug}", f"{named}\n{prose}", page.name)


def _parts(page: Page) -> Iterator[tuple[str, str]]:
    heading = ""
    lines: list[str] = []
    for line in [*page.prose.splitlines(), "# end"]:
        found = _HEADING.match(line)
        if found is None:
            lines.append(line)
            continue
        if heading:
            yield heading, " ".join(" ".join(lines).split())
        heading, lines = found[1].replace("`", ""), []
