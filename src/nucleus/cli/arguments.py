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
            elif name in values:
                self._take(name, value if equals else None, left)
            elif not word.startswith("-") or word == "-":
                self.words.append(word)
            elif not self._joined(word, flags, values, left):
                verb = " ".join(help_text.split()[1:3])
                raise SpecError(f"unknown option {ascii(name)}", where=verb, remedy=f"see {verb} --help")

    def _take(self, name: str, value: str | None, left: list[str]) -> None:
        """The value of an option: what stands beside it, or the next word."""
        if value is None and not left:
            raise SpecError("a value is missing", where=name, remedy=f"write {name} VALUE")
        self.values[name] = left.pop(0) if value is None else value
        self.lists.setdefault(name, []).append(self.values[name])

    def _joined(self, word: str, flags: dict[str, str], values: tuple[str, ...], left: list[str]) -> bool:
        """Short options in one word, such as -aq, -t5 or -fn20; False where one of them is unknown."""
        letters = word[1:]
        found = []
        for at, letter in enumerate(letters, 1):
            name = f"-{letter}"
            if name in values:
                self._take(name, letters[at:] or None, left)
                break
            if name not in flags:
                return False
            found.append(flags[name])
        self._flags.update(found)
        return True

    def has(self, name: str) -> bool:
        """Was the flag given?"""
        return name in self._flags
