"""How a name is shown to whoever wrote it, and the known word that is nearest to it.  ✗ decides what is known."""

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


def shown_key(key: str) -> str:
    """The key as a path shows it: quoted when it is no plain word, cut when it is absurd."""
    cut = key if len(key) <= 60 else key[:57] + "..."
    return cut if cut.replace("-", "a").isidentifier() and cut.isascii() else ascii(cut)
