"""Did you mean: the nearest known word.  Imported only when something is wrong.  ✗ decides what is known."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_LONGEST = 64  # the comparison is quadratic, and a longer word is no misspelling


def closest(word: str, known: Iterable[str]) -> str:
    """The known word that is most like it, or ''."""
    if not word or len(word) > _LONGEST:
        return ""
    import difflib

    found = difflib.get_close_matches(word.lower(), list(known), n=1, cutoff=0.6)
    return found[0] if found else ""


def hint(word: str, known: Iterable[str], prefix: str = "") -> str:
    """'; did you mean X?' for the end of a remedy, or ''."""
    near = closest(word, known)
    return f"; did you mean {prefix}{near}?" if near else ""
