"""Every link between our documents leads somewhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.docs.pages import ROOT, Page, every_page

_PAGES = {page.name: page for page in every_page()}


@pytest.mark.parametrize("name", _PAGES)
def test_links_lead_somewhere(name: str) -> None:
    assert [*_broken(_PAGES[name])] == []


def test_a_link_that_leads_nowhere_is_found() -> None:
    text = "[a](no-such.md) [b](README.md#no-such) [c](#no-such) [d](README.md) [e](https://example.org)\n"
    page = Page(ROOT / "written-by-a-test.md", text)
    assert [*_broken(page)] == ["1: no-such.md", "1: README.md#no-such", "1: #no-such"]


def test_every_page_of_docs_can_be_reached_from_the_index() -> None:
    reached = {"docs/index.md"}
    waiting = ["docs/index.md"]
    while waiting:
        page = _PAGES[waiting.pop()]
        for _, target in page.links():
            path = _path(page, target)
            name = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else ""
            if name in _PAGES and name not in reached:
                reached.add(name)
                waiting.append(name)
    assert {name for name in _PAGES if name.startswith("docs/")} - reached == set()


def _broken(page: Page) -> Iterator[str]:
    for line, target in page.links():
        if "://" in target or target.startswith("mailto:"):
            continue
        path, fragment = _path(page, target), target.partition("#")[2]
        is_page = path.suffix == ".md" and path.is_file()
        anchors = (
            page.anchors() if path == page.path else Page(path).anchors() if is_page else set()
        )
        exists = path == page.path or path.exists()
        if not exists or (fragment and fragment not in anchors):
            yield f"{line}: {target}"


def _path(page: Page, target: str) -> Path:
    name = unquote(target.partition("#")[0])
    return (page.path.parent / name).resolve() if name else page.path
