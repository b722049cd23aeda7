"""Documents and questions with the documents that answer them, in one small format of JSON lines.

A corpus is a file with one JSON object a line: documents first, then questions. Documents have ``document`` (an id),
``text``, and may have ``session`` (what belongs together: a conversation, an article) and ``scope`` (a world of its
own, in which a question is asked). Questions have ``question`` (an id), ``text``, ``gold`` (the ids of the documents
that answer it) and ``scope``. Order counts: the documents of a session follow one another as they were said.

``python -m benchmarks.corpus FORMAT FILE… > corpus.jsonl`` converts published data that you have fetched yourself:

=========== =================================================== ============= ==================================
FORMAT      data                                                licence       documents; sessions; gold
=========== =================================================== ============= ==================================
qmsum       QMSum (Zhong et al. 2021), jsonl                    MIT           turns; meetings; marked spans
squad       SQuAD and XQuAD (Rajpurkar et al. 2016, Artetxe     CC BY-SA 4.0  paragraphs; articles; the paragraph
            et al. 2020), json
longmemeval LongMemEval (Wu et al. 2025), json                  MIT           turns; sessions; marked turns
pubmedqa    PubMedQA, ori_pqal.json (Jin et al. 2019)           MIT           abstracts; none; the abstract
=========== =================================================== ============= ==================================

Nothing of them is part of this repository. With ``--one-world`` in front of the files all scopes become one: a question
of QMSum is then asked of all meetings. LoCoMo is not among them: the copy of it that we could read names no licence.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Document:
    """A text that may be found."""

    document_id: str
    text: str
    session_id: str | None = None
    scope: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and which documents answer it, each for itself or together."""

    question_id: str
    text: str
    gold: tuple[str, ...]
    scope: str = ""


@dataclass(frozen=True, slots=True)
class Corpus:
    """Documents and questions."""

    name: str
    documents: tuple[Document, ...]
    questions: tuple[Question, ...]

    def __post_init__(self) -> None:
        known = {(document.scope, document.document_id) for document in self.documents}
        if len(known) != len(self.documents):
            raise ValueError(f"{self.name}: two documents of a scope share an id")
        for question in self.questions:
            if not question.gold:
                raise ValueError(f"{self.name}: nothing answers question {question.question_id}")
            for gold in question.gold:
                if (question.scope, gold) not in known:
                    raise ValueError(f"{self.name}: {question.question_id} names {gold!r}: no such")

    @property
    def scopes(self) -> tuple[str, ...]:
        """Return the scopes in the order of their documents."""
        return tuple(dict.fromkeys(document.scope for document in self.documents))

    @property
    def has_sessions(self) -> bool:
        """Return whether it makes sense to ask for sessions: there are several in a scope."""
        found = {(document.scope, document.session_id) for document in self.documents}
        return len(found) > 2 * len(self.scopes) and None not in {session for _, session in found}


def read_corpus(path: Path) -> Corpus:
    """Read a corpus; raises ``ValueError`` where it contradicts itself."""
    documents: list[Document] = []
    questions: list[Question] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        entry: dict[str, Any] = json.loads(line)
        scope = entry.get("scope", "")
        if "document" in entry:
            session = entry.get("session")
            documents.append(Document(entry["document"], entry["text"], session, scope))
        else:
            gold = tuple(entry["gold"])
            questions.append(Question(entry["question"], entry["text"], gold, scope))
    return Corpus(path.stem, tuple(documents), tuple(questions))


def lines_of(corpus: Corpus) -> Iterator[str]:
    """Yield the lines of a corpus's file."""
    for document in corpus.documents:
        entry: dict[str, Any] = {"document": document.document_id, "text": document.text}
        if document.session_id is not None:
            entry["session"] = document.session_id
        yield _line(entry, document.scope)
    for question in corpus.questions:
        entry = {"question": question.question_id, "text": question.text}
        yield _line({**entry, "gold": list(question.gold)}, question.scope)


def _line(entry: dict[str, Any], scope: str) -> str:
    return json.dumps(entry | ({"scope": scope} if scope else {}), ensure_ascii=False)


def qmsum(texts: Iterable[str]) -> Corpus:
    """Convert meetings: a question is about one meeting, and what answers it are the turns of the marked spans."""
    documents: list[Document] = []
    questions: list[Question] = []
    meetings = [json.loads(line) for text in texts for line in text.splitlines() if line.strip()]
    for number, meeting in enumerate(meetings):
        scope = f"meeting {number}"
        turns = meeting["meeting_transcripts"]
        said = {
            index: f"{turn['speaker']}: {turn['content']}"
            for index, turn in enumerate(turns)
            if turn["content"].strip()
        }
        documents += [Document(f"{index}", text, scope, scope) for index, text in said.items()]
        for index, asked in enumerate(meeting["specific_query_list"]):
            marked = {
                turn
                for begin, end in asked["relevant_text_span"]
                for turn in range(int(begin), int(end) + 1)
            }
            if gold := tuple(f"{turn}" for turn in sorted(marked & said.keys())):
                questions.append(Question(f"{number}.{index}", asked["query"], gold, scope))
    return Corpus("qmsum", tuple(documents), tuple(questions))


def squad(texts: Iterable[str]) -> Corpus:
    """Convert articles: a question is asked of all of them, and the paragraph that it was written for answers it."""
    documents: list[Document] = []
    questions: list[Question] = []
    articles = [article for text in texts for article in json.loads(text)["data"]]
    for number, article in enumerate(articles):
        session = f"{number} {article.get('title', '')}".strip()
        for index, paragraph in enumerate(article["paragraphs"]):
            document_id = f"{number}.{index}"
            documents.append(Document(document_id, paragraph["context"], session))
            questions += [
                Question(asked["id"], asked["question"], (document_id,))
                for asked in paragraph["qas"]
                if not asked.get("is_impossible")
            ]
    return Corpus("squad", tuple(documents), tuple(questions))


def longmemeval(texts: Iterable[str]) -> Corpus:
    """Convert chats: each question has a history of its own, and the turns marked in it answer it.

    Questions that nothing answers (abstention) are left out.
    """
    documents: list[Document] = []
    questions: list[Question] = []
    for asked in (entry for text in texts for entry in json.loads(text)):
        scope = asked["question_id"]
        if scope.endswith("_abs"):
            continue
        gold: list[str] = []
        for number, (session, turns) in enumerate(
            zip(asked["haystack_session_ids"], asked["haystack_sessions"], strict=True)
        ):
            for index, turn in enumerate(turns):
                document_id = f"{number}.{index}"
                text = f"{turn['role']}: {turn['content']}"
                documents.append(Document(document_id, text, f"{number} {session}", scope))
                if turn.get("has_answer"):
                    gold.append(document_id)
        if gold:
            questions.append(Question(scope, asked["question"], tuple(gold), scope))
    return Corpus("longmemeval", tuple(documents), tuple(questions))


def pubmedqa(texts: Iterable[str]) -> Corpus:
    """Convert abstracts: a question is asked of all of them, and the abstract of the article it heads answers it."""
    documents: list[Document] = []
    questions: list[Question] = []
    for number, entry in [pair for text in texts for pair in json.loads(text).items()]:
        documents.append(Document(number, " ".join(entry["CONTEXTS"])))
        questions.append(Question(number, entry["QUESTION"], (number,)))
    return Corpus("pubmedqa", tuple(documents), tuple(questions))


def one_world(corpus: Corpus) -> Corpus:
    """Return a corpus in which every question is asked of all documents."""
    documents = (
        replace(one, document_id=f"{one.scope}/{one.document_id}", scope="")
        for one in corpus.documents
    )
    questions = (
        replace(one, gold=tuple(f"{one.scope}/{gold}" for gold in one.gold), scope="")
        for one in corpus.questions
    )
    return Corpus(corpus.name, tuple(documents), tuple(questions))


FORMATS: Final[Mapping[str, Callable[[Iterable[str]], Corpus]]] = {
    "qmsum": qmsum,
    "squad": squad,
    "longmemeval": longmemeval,
    "pubmedqa": pubmedqa,
}


def main() -> None:
    """Convert files to the one format, on standard output."""
    names = [argument for argument in sys.argv[2:] if argument != "--one-world"]
    if not names or sys.argv[1] not in FORMATS:
        sys.exit(f"usage: python -m benchmarks.corpus {'|'.join(FORMATS)} [--one-world] FILE…")
    corpus = FORMATS[sys.argv[1]](Path(name).read_text(encoding="utf-8") for name in names)
    for line in lines_of(one_world(corpus) if "--one-world" in sys.argv else corpus):
        print(line)


if __name__ == "__main__":
    main()
