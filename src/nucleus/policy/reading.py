"""Takes a decoded policy file apart, part by part, and keeps every problem.  ✗ what a part means."""

from __future__ import annotations

from ..base.errors import Problem, SpecError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from ..spec.decode import Document


class Reader:
    """Of one document.  What is wrong reads as if it were not there, so that all the rest is judged, too."""

    __slots__ = ("_document", "problems")

    def __init__(self, document: Document) -> None:
        self._document = document
        self.problems = document.doubled()

    def refuse(self, path: str, message: str, remedy: str) -> None:
        """One more problem, at `$.path`."""
        self.problems.append(Problem(message=message, where=self._document.place(path), remedy=remedy))

    def finish(self) -> None:
        """Raises SpecError with all of them."""
        if self.problems:
            raise SpecError(problems=tuple(self.problems))

    def top(self, keys: Iterable[str]) -> dict[str, Any]:
        """The document itself; keys that are none of `keys` are refused."""
        return self._known(self._document.table, "", tuple(keys))

    def table(self, value: object, path: str, keys: Iterable[str]) -> dict[str, Any]:
        """A table with no other keys than these."""
        if value is None:
            return {}
        if not isinstance(value, dict):
            self.refuse(path, f"is {_kind(value)}, but must be a table", "see the policy's reference")
            return {}
        return self._known(value, path, tuple(keys))

    def _known(self, table: Mapping[str, Any], path: str, keys: tuple[str, ...]) -> dict[str, Any]:
        from ..spec.suggest import hint, shown_key

        for key in table:
            if key not in keys:
                at = f"{path}.{shown_key(key)}" if path else shown_key(key)
                self.refuse(at, f"unknown key '{key[:60]}'", f"there are {', '.join(keys)}{hint(key, keys)}")
        return {key: value for key, value in table.items() if key in keys}

    def rows(self, value: object, path: str) -> list[tuple[str, Any]]:
        """The elements of a list, each with its path."""
        if value is None:
            return []
        if not isinstance(value, list):
            self.refuse(path, f"is {_kind(value)}, but must be a list", "write it in [ ]")
            return []
        return [(f"{path}[{number}]", item) for number, item in enumerate(value)]

    def text(self, value: object, path: str, default: str = "") -> str:
        """A string."""
        if value is None:
            return default
        if not isinstance(value, str):
            self.refuse(path, f"is {_kind(value)}, but must be a string", 'write it in " "')
            return default
        return value

    def texts(self, value: object, path: str) -> list[tuple[str, str]]:
        """A list of strings, each with its path; those that are none are left out."""
        return [(at, item) for at, item in self.rows(value, path) if self._is_text(item, at)]

    def _is_text(self, value: object, path: str) -> bool:
        before = len(self.problems)
        self.text(value, path)
        return value is not None and len(self.problems) == before

    def number(self, value: object, path: str, *, least: int, most: int, default: int = 0) -> int:
        """A whole number in these bounds."""
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int):
            self.refuse(path, f"is {_kind(value)}, but must be a whole number", "write digits alone")
            return default
        if not least <= value <= most:
            self.refuse(path, "is out of range", f"from {least} to {most}")
            return default
        return value

    def one_of(self, word: str, path: str, known: Mapping[str, int], what: str) -> int | None:
        """What the word stands for; None, and a problem, where it is not known."""
        from ..spec.suggest import hint

        if word in known:
            return known[word]
        shown = ", ".join(known) if len(known) < 24 else f"{', '.join(list(known)[:8])}, …"
        self.refuse(path, f"'{word[:60]}' is not {what}", f"there are {shown}{hint(word, known)}")
        return None


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "true or false"
    names: dict[type, str] = {
        str: "a string",
        int: "a number",
        float: "a number",
        list: "a list",
        dict: "a table",
    }
    return names.get(type(value), "null" if value is None else "something else")
