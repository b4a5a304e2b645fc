"""How hard an English text is to read (Flesch reading ease)."""

import re

from textstats.counting import count, words

VOWELS = re.compile(r"[aeiouy]+")


def syllables(word):
    """Syllables of an English word, estimated from its groups of vowels."""
    lowered = word.lower()
    groups = len(VOWELS.findall(lowered))
    if lowered.endswith("e") and not lowered.endswith(("le", "ee")) and groups > 1:
        groups -= 1
    return max(groups, 1)


def reading_ease(text):
    """Flesch reading ease: 90 is easy, 30 is hard; a text without words has none."""
    counts = count(text)
    if not counts.words:
        raise ValueError("the text has no words")
    per_word = sum(map(syllables, words(text))) / counts.words
    return 206.835 - 1.015 * counts.words / counts.sentences - 84.6 * per_word
