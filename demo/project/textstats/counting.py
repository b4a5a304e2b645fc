"""Counting: characters, words, lines, sentences, and the words that occur most."""

import re
from collections import Counter
from dataclasses import dataclass

WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
SENTENCE_END = re.compile(r"[.!?…]+(?=\s|$)")


@dataclass(frozen=True)
class Counts:
    """What `count` found."""

    characters: int
    words: int
    lines: int
    sentences: int


def words(text):
    """The words of a text, in order; digits alone are no words."""
    return WORD.findall(text)


def count(text):
    """Counts of a whole text; text without a full stop is one sentence if it has a word."""
    found = words(text)
    sentences = len(SENTENCE_END.findall(text))
    return Counts(
        characters=len(text),
        words=len(found),
        lines=len(text.splitlines()),
        sentences=max(sentences, 1) if found else 0,
    )


def most_common(text, n):
    """The n words that occur most, with their counts, case ignored; ties in alphabetical order."""
    tally = Counter(word.lower() for word in words(text))
    return sorted(tally.items(), key=lambda item: (-item[1], item[0]))[:n]
