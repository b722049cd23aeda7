"""What a text asks for: a question that any of its words answers, or a strict search in the form of web searches.

In the strict form all words are wanted; ``"in quotes"`` a phrase, ``-word`` and ``-"a phrase"`` what must not be there,
and ``OR`` between two parts that one of them is enough. Any other text is words: no text is wrong, and none is ever
part of a statement.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from aureus.retrieval.analysis import question_terms, terms_in

_PART = re.compile(r'(?P<minus>-)?"(?P<phrase>[^"]*)"?|(?P<word>\S+)')

Phrase = tuple[str, ...]
"""Terms that follow each other; a single word is a phrase of one."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked for, in terms."""

    terms: tuple[str, ...]
    """What documents are ranked by."""
    wanted: tuple[tuple[Phrase, ...], ...] = ()
    """Of each group at least one phrase."""
    unwanted: tuple[Phrase, ...] = ()

    @property
    def needs_text(self) -> bool:
        """Return whether terms alone cannot decide, because the order of words matters."""
        return any(
            len(phrase) > 1 for phrase in (*chain.from_iterable(self.wanted), *self.unwanted)
        )

    def groups(self) -> tuple[tuple[str, ...], ...]:
        """Return what every answer contains: of each group at least one term."""
        needed: list[tuple[str, ...]] = []
        for group in self.wanted:
            if len(group) == 1:
                needed += [(term,) for term in dict.fromkeys(group[0])]
            else:
                # Of each phrase its longest term, which is likely to be the rarest.
                needed.append(tuple(dict.fromkeys(max(phrase, key=len) for phrase in group)))
        return tuple(dict.fromkeys(needed))

    def excluded(self) -> tuple[str, ...]:
        """Return terms that no answer contains."""
        return tuple(dict.fromkeys(phrase[0] for phrase in self.unwanted if len(phrase) == 1))

    def is_answered_by(self, text: str, language: str) -> bool:
        """Return whether a text contains every phrase that is wanted and none that is not."""
        terms = terms_in(text, language)
        return all(
            any(_contains(terms, phrase) for phrase in group) for group in self.wanted
        ) and not any(_contains(terms, phrase) for phrase in self.unwanted)


def any_word(text: str, language: str) -> Question:
    """Return the question of a text in natural language."""
    return Question(tuple(question_terms(text, language)))


def all_words(text: str, language: str) -> Question:
    """Return the search for texts that contain all words of a text, stop words only if it has no others."""
    terms = tuple(question_terms(text, language))
    return Question(terms, tuple(((term,),) for term in terms))


def web(text: str, language: str) -> Question:
    """Return the search that a text in the form of web searches means."""
    wanted: list[list[Phrase]] = []
    unwanted: list[Phrase] = []
    words: list[str] = []
    joins = False
    for found in _PART.finditer(text):
        if found["word"] == "OR":
            joins = bool(wanted)
            continue
        content, is_unwanted = _content(found)
        phrase = tuple(terms_in(content, language))
        if not phrase:
            continue
        if is_unwanted:
            unwanted.append(phrase)
        else:
            words.append(content)
            if joins:
                wanted[-1].append(phrase)
            else:
                wanted.append([phrase])
        joins = False
    telling = tuple(question_terms(" ".join(words), language))
    return Question(
        telling,
        tuple(tuple(group) for group in wanted if _tells(group, telling)),
        tuple(unwanted),
    )


def _content(found: re.Match[str]) -> tuple[str, bool]:
    if found["phrase"] is not None:
        return found["phrase"], found["minus"] is not None
    word: str = found["word"]
    if word.startswith("-") and len(word) > 1:
        return word[1:], True
    return word, False


def _tells(group: Sequence[Phrase], telling: Sequence[str]) -> bool:
    """Return whether a group is more than one stop word among words that tell something."""
    return len(group) > 1 or len(group[0]) > 1 or any(term in telling for term in group[0])


def _contains(terms: Sequence[str], phrase: Phrase) -> bool:
    width = len(phrase)
    return any(
        tuple(terms[start : start + width]) == phrase for start in range(len(terms) - width + 1)
    )
