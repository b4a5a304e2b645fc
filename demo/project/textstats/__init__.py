"""Counts of words, lines and sentences in a text, and how hard it is to read."""

from textstats.counting import Counts, count, most_common
from textstats.reading import reading_ease, syllables

__all__ = ["Counts", "count", "most_common", "reading_ease", "syllables"]
