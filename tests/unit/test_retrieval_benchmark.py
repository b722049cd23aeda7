"""What the benchmark of retrieval stands on: corpora, their conversion, and its figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.corpus import (
    FORMATS,
    Corpus,
    Document,
    Question,
    lines_of,
    one_world,
    read_corpus,
)
from benchmarks.manual import read_manual
from benchmarks.retrieval import Answers, Fts5, ask

MEETING = {
    "meeting_transcripts": [
        {"speaker": "Chair", "content": "Welcome."},
        {"speaker": "Ada", "content": " "},
        {"speaker": "Ada", "content": "The tides come twice a day."},
        {"speaker": "Bob", "content": "Noted."},
    ],
    "specific_query_list": [
        {"query": "What of the tides?", "answer": "", "relevant_text_span": [["1", "2"]]},
        {"query": "What was silent?", "answer": "", "relevant_text_span": [["1", "1"]]},
    ],
}

ARTICLES = {
    "data": [
        {
            "title": "Tides",
            "paragraphs": [
                {"context": "Nothing here.", "qas": []},
                {
                    "context": "The moon pulls the water.",
                    "qas": [
                        {"id": "q1", "question": "What pulls it?"},
                        {"id": "q2", "question": "Who pushes?", "is_impossible": True},
                    ],
                },
            ],
        }
    ]
}

CHAT = {
    "question_id": "c1",
    "question": "Where did I sail?",
    "haystack_session_ids": ["s1", "s2"],
    "haystack_sessions": [
        [{"role": "user", "content": "Good morning."}],
        [
            {"role": "user", "content": "I sailed to Brest.", "has_answer": True},
            {"role": "assistant", "content": "How was it?"},
        ],
    ],
}

ABSTRACTS = {"17": {"QUESTION": "Do tides turn?", "CONTEXTS": ["They do.", "Twice a day."]}}

SAMPLES: dict[str, tuple[str, list[tuple[str, str]], set[str | None]]] = {
    "qmsum": (
        json.dumps(MEETING) + "\n",
        [("What of the tides?", "Ada: The tides come twice a day.")],
        {"meeting 0"},
    ),
    "squad": (
        json.dumps(ARTICLES),
        [("What pulls it?", "The moon pulls the water.")],
        {"0 Tides"},
    ),
    "longmemeval": (
        json.dumps([CHAT, {**CHAT, "question_id": "c2_abs"}]),
        [("Where did I sail?", "user: I sailed to Brest.")],
        {"0 s1", "1 s2"},
    ),
    "pubmedqa": (json.dumps(ABSTRACTS), [("Do tides turn?", "They do. Twice a day.")], {None}),
}


@pytest.mark.parametrize("name", FORMATS)
def test_published_data_becomes_documents_questions_and_what_answers_them(
    name: str, tmp_path: Path
) -> None:
    text, asked, sessions = SAMPLES[name]
    corpus = FORMATS[name]([text])
    texts = {(one.scope, one.document_id): one.text for one in corpus.documents}
    assert [
        (question.text, texts[question.scope, question.gold[0]]) for question in corpus.questions
    ] == asked
    assert {document.session_id for document in corpus.documents} == sessions
    path = tmp_path / f"{corpus.name}.jsonl"
    path.write_text("\n".join(lines_of(corpus)), encoding="utf-8")
    assert read_corpus(path) == corpus
    world = one_world(corpus)
    assert world.scopes == ("",)
    assert len(world.documents) == len(corpus.documents)


@pytest.mark.parametrize(
    ("documents", "question"),
    [
        ([Document("a", "x"), Document("a", "y")], Question("q", "?", ("a",))),
        ([Document("a", "x")], Question("q", "?", ("b",))),
        ([Document("a", "x")], Question("q", "?", ("a",), "elsewhere")),
        ([Document("a", "x")], Question("q", "?", ())),
    ],
)
def test_a_corpus_that_contradicts_itself_is_refused(
    documents: list[Document], question: Question
) -> None:
    with pytest.raises(ValueError, match="broken"):
        Corpus("broken", tuple(documents), (question,))


def test_the_manual_answers_every_question_that_comes_with_it() -> None:
    manual = read_manual()
    assert len(manual.questions) >= 100
    assert len({question.question_id for question in manual.questions}) == len(manual.questions)
    assert manual.has_sessions


def test_the_figures_of_an_arm() -> None:
    answers = Answers([1, 2, 0, 7, 0], empty_count=1, seconds=[0.001, 0.002, 0.003, 0.004, 0.1])
    assert (answers.recall(1), answers.recall(5), answers.recall(10)) == (0.2, 0.4, 0.6)
    assert answers.mean_reciprocal_rank == pytest.approx((1 + 1 / 2 + 1 / 7) / 5)
    assert (answers.empty, answers.milliseconds(0.5), answers.milliseconds(0.99)) == (0.2, 3, 100)


def test_places_are_counted_from_one_and_only_among_the_first_ten() -> None:
    documents = [Document(f"d{number}", "tide", "s") for number in range(20)]
    corpus = Corpus(
        "tides",
        (*documents, Document("other", "moon", "t")),
        (Question("q1", "tide", ("d0",)), Question("q2", "moon", ("other",))),
    )
    fts5 = Fts5(corpus, joined_by="AND")
    fixed: Any = type("Fixed", (), {"of": "documents"})()
    fixed.find = lambda question: [f"d{number}" for number in range(19, -1, -1)]
    assert ask(fts5, corpus).places == [1, 1]
    assert ask(fixed, corpus).places == [0, 0]
    fixed.of, fixed.find = "sessions", lambda question: ["t", "s"]
    assert ask(fixed, corpus).places == [2, 1]
    fts5.close()
