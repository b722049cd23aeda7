"""The looks that the workflow beside this file takes at a folder of documents.

Every function is one task. It reads the folder itself and returns plain JSON values, so that it can be repeated after
a crash without harm. Names that are not UTF-8 are shown with replacement characters. What is too much for one page is
left out, and the counts still tell of it.
"""

from __future__ import annotations

import difflib
import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

SUFFIXES = frozenset({".md", ".markdown", ".rst", ".txt"})
"""Files that are read."""

DOCUMENTS_MAX = 500
"""Documents of one digest; the report says when there were more."""

BYTES_MAX = 1024 * 1024
"""Bytes of a document that are read."""

LISTED_MAX = 200
"""Entries of a list in a result: more is for a search, not for a page."""

WORDS_PER_MINUTE = 220
"""Words that an adult reads in a minute, when they are new."""

MARKER = "<!-- a digest, written by examples/digest of Aureus -->"
"""The first line of our own reports, so that a report inside the folder is not read as a document."""

_HEADING = re.compile(r"(#{1,6})\s+(.+?)\s*#*")
_FENCE = re.compile(r"\s*(```|~~~)")
_CODE = re.compile(r"`[^`]*`")
_LINK = re.compile(r"\[(?P<text>[^\]]*)\]\(\s*<?(?P<target>[^)>\s]+)>?(?:\s+[\"'][^)]*)?\)")
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_OPEN_END = re.compile(
    r"\b(T[O]DO|F[I]XME|TBD|TBC)\b|\?\?\?"
)  # the brackets keep this line from being one

_COMMON = """
a about after all also an and another any are as at be because been before begin but by can cannot come comes did do
does done each else even every few first for from get give gives go goes had has have he her here his how if in into is
it its itself just know last let like made make makes many may more most must my never no not nothing now of off on once
one only or other our out over own same say says see she should since so some such take takes than that the their them
then there these they this those through to too two under until up us use used uses very was way we well were what when
where whether which while who whoever whole whose why will with without would you your
"""
"""Words that tell nothing about a text."""


@dataclass(frozen=True, slots=True)
class Document:
    """One document: its path, how it is called inside the folder, and its lines."""

    path: Path
    name: str
    lines: list[str]

    def prose(self) -> Iterator[tuple[int, str]]:
        """Yield the lines outside code blocks with their numbers, without code inside them."""
        in_code = False
        for number, line in enumerate(self.lines, 1):
            if _FENCE.match(line):
                in_code = not in_code
            elif not in_code:
                yield number, _CODE.sub("", line)

    def words(self) -> Iterator[str]:
        """Yield the words of the prose; of links, those that a reader sees."""
        for _, line in self.prose():
            yield from _WORD.findall(_LINK.sub(r"\g<text>", line))

    def headings(self) -> Iterator[tuple[int, int, str]]:
        """Yield number, level and text of every heading."""
        in_code = False
        for number, line in enumerate(self.lines, 1):
            if _FENCE.match(line):
                in_code = not in_code
            elif not in_code and (found := _HEADING.fullmatch(line)):
                yield number, len(found[1]), found[2]

    @property
    def title(self) -> str:
        """Return the first heading, or the name where there is none."""
        return next((text for _, _, text in self.headings()), self.name)[:120]


def find(folder: str) -> dict[str, Any]:
    """Return which documents there are; raises when there is no such folder."""
    root = _root(folder)
    paths = _paths(root)
    return {
        "folder": str(root),
        "count": min(len(paths), DOCUMENTS_MAX),
        "left_out_count": max(0, len(paths) - DOCUMENTS_MAX),
        "bytes": sum(path.stat().st_size for path in paths[:DOCUMENTS_MAX]),
    }


def outline(folder: str) -> list[dict[str, Any]]:
    """Return title and headings of every document."""
    return [
        {
            "name": document.name,
            "title": document.title,
            "headings": [
                {"level": level, "text": text[:120]}
                for _, level, text in document.headings()
                if level <= 3
            ][1:40],
        }
        for document in _documents(folder)
    ]


def words(folder: str) -> dict[str, Any]:
    """Return how many words there are, and which come most often and in how many documents."""
    total: Counter[str] = Counter()
    spread: Counter[str] = Counter()
    for document in _documents(folder):
        found = [word.lower() for word in document.words()]
        total.update(found)
        spread.update(set(found))
    common = frozenset(_COMMON.split())
    telling = [(word, n) for word, n in total.most_common() if word not in common and len(word) > 2]
    return {
        "count": total.total(),
        "frequent": [
            {"word": word, "count": n, "documents": spread[word]} for word, n in telling[:15]
        ],
    }


def reading_time(folder: str) -> list[dict[str, Any]]:
    """Return words and minutes of every document; code is skimmed at twice the speed."""
    times: list[dict[str, Any]] = []
    for document in _documents(folder):
        prose = sum(1 for _ in document.words())
        everything = sum(len(_WORD.findall(line)) for line in document.lines)
        minutes = (prose + (everything - prose) / 2) / WORDS_PER_MINUTE
        times.append({"name": document.name, "words": prose, "minutes": round(minutes, 1)})
    return times


def links(folder: str, *, stumble: bool) -> dict[str, Any]:
    """Return where links lead: to files that are there, to files that are not, or elsewhere (those are not visited).

    With ``stumble`` the first attempt fails. It is no bug but a demonstration: networks and disks do this now and then,
    and the workflow tries again.
    """
    if stumble and os.environ.get("AUREUS_ATTEMPT") == "1":
        raise ConnectionError(
            "failed on purpose, to show a retry; -i stumble=false leaves this out"
        )
    documents = list(_documents(folder))
    by_path = {document.path.resolve(): document.name for document in documents}
    broken: list[dict[str, Any]] = []
    cited: Counter[str] = Counter()
    external_count = internal_count = 0
    for document in documents:
        for number, target in _targets(document):
            address = urlsplit(target)
            if address.scheme or address.netloc:
                external_count += 1
                continue
            internal_count += 1
            meant = document.path.parent / unquote(address.path)
            if not _exists(meant):
                broken.append({"name": document.name, "line": number, "target": target})
            elif (name := by_path.get(meant.resolve())) and name != document.name:
                cited[name] += 1
    uncited = [document.name for document in documents if not cited[document.name]]
    return {
        "internal_count": internal_count,
        "external_count": external_count,
        "broken_count": len(broken),
        "broken": broken[:LISTED_MAX],
        "most_cited": [{"name": name, "count": n} for name, n in cited.most_common(5)],
        "uncited": uncited[:LISTED_MAX],
    }


def repairs(folder: str, broken: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return, for every broken link, the file that its author probably meant."""
    root = _root(folder)
    names = {path.name: path for path in _paths(root)}
    guesses: list[dict[str, Any]] = []
    for link in broken:
        wanted = Path(unquote(urlsplit(str(link["target"])).path)).name
        near = difflib.get_close_matches(wanted, names, n=1, cutoff=0.7)
        meant = shown(names[near[0]].relative_to(root)) if near else None
        guesses.append({**link, "perhaps": meant})
    return guesses


def open_ends(folder: str) -> dict[str, Any]:
    """Return notes that somebody meant to come back to, and headings with nothing below them."""
    notes: list[dict[str, Any]] = []
    empty: list[dict[str, Any]] = []
    for document in _documents(folder):
        notes += [
            {"name": document.name, "line": number, "text": line.strip()[:160]}
            for number, line in document.prose()
            if _OPEN_END.search(line)
        ]
        empty += [
            {"name": document.name, "line": number, "text": text[:120]}
            for number, text in _empty_headings(document)
        ]
    return {
        "count": len(notes) + len(empty),
        "notes": notes[:LISTED_MAX],
        "empty": empty[:LISTED_MAX],
    }


def shown(path: Path | str) -> str:
    """Return a path as text that JSON can hold and that keeps to one line."""
    text = os.fsencode(path).decode("utf-8", errors="replace")
    return "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text
    )


def _root(folder: str) -> Path:
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise NotADirectoryError(f"there is no folder {shown(Path.cwd() / root)}")
    return root.resolve()


def _paths(root: Path) -> list[Path]:
    """Return the files to read, sorted; hidden folders and links to folders are not followed."""
    found: list[Path] = []
    for parent, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        paths = (Path(parent, name) for name in names if Path(name).suffix.lower() in SUFFIXES)
        found += [path for path in paths if path.is_file() and not _is_report(path)]
    return sorted(found, key=os.fsencode)


def _is_report(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(MARKER)) == MARKER.encode()


def _documents(folder: str) -> Iterator[Document]:
    root = _root(folder)
    for path in _paths(root)[:DOCUMENTS_MAX]:
        with path.open("rb") as file:
            text = file.read(BYTES_MAX).decode("utf-8", errors="replace").replace("\x00", "")
        yield Document(path, shown(path.relative_to(root)), text.splitlines())


def _targets(document: Document) -> Iterator[tuple[int, str]]:
    for number, line in document.prose():
        for found in _LINK.finditer(line):
            if not found["target"].startswith("#"):
                yield number, found["target"][:300]


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that no file can have
        return False


def _empty_headings(document: Document) -> Iterator[tuple[int, str]]:
    """Yield headings that are followed by nothing, or at once by a heading of the same or a higher level."""
    headings = [*document.headings(), (len(document.lines) + 1, 1, "")]
    for (number, level, text), (end, next_level, _) in pairwise(headings):
        below = document.lines[number : end - 1]
        if next_level <= level and not any(line.strip() for line in below):
            yield number, text
