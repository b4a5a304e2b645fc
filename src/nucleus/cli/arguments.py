"""Flags and words of the small verbs.  The options of `run` come from the table instead (`parser.py`).

✗ no verb's own flags, ✗ no meaning.
"""

from __future__ import annotations

import sys

from ..base.errors import SpecError


class Arguments:
    """Parsed: `has(name)` for flags, `values[flag]`, `words`.  `done` after --help was printed.

    Raises SpecError for an unknown flag or a missing value.
    """

    def __init__(
        self, argv: list[str], *, flags: dict[str, str], values: tuple[str, ...], help_text: str
    ) -> None:
        self._flags: set[str] = set()
        self.values: dict[str, str] = {}
        self.lists: dict[str, list[str]] = {}  # of options that may be repeated: every value
        self.words: list[str] = []
        self.done = False
        left = list(argv)
        while left:
            word = left.pop(0)
            name, equals, value = word.partition("=")
            if word in ("-h", "--help"):
                sys.stdout.write(help_text)
                self.done = True
                return
            if word == "--":
                self.words += left
                return
            if word in flags:
                self._flags.add(flags[word])
            elif _joined(word, flags):
                self._flags |= {flags[f"-{letter}"] for letter in word[1:]}
            elif name in values:
                if not equals and not left:
                    raise SpecError("a value is missing", where=name, remedy=f"write {name} VALUE")
                self.values[name] = value if equals else left.pop(0)
                self.lists.setdefault(name, []).append(self.values[name])
            elif word.startswith("-") and word != "-":
                verb = " ".join(help_text.split()[1:3])
                raise SpecError(f"unknown option {ascii(name)}", where=verb, remedy=f"see {verb} --help")
            else:
                self.words.append(word)

    def has(self, name: str) -> bool:
        """Was the flag given?"""
        return name in self._flags


def _joined(word: str, flags: dict[str, str]) -> bool:
    """Short flags in one word, such as -aq."""
    letters = word[1:]
    return word[:1] == "-" and len(letters) > 1 and all(f"-{letter}" in flags for letter in letters)
