"""What a run changed in a copy of a directory, merged into the directory itself: three trees → what to do.  Pure.

A path that the run did not change stays as it is on the host.  One that it alone changed becomes what the run made of it.
One that both changed, to different things, is a conflict: the host keeps its own.
✗ reads no tree (`tree_scan.py`), ✗ touches no file (`workspace_apply.py`).
"""

from __future__ import annotations

from ...base.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

FILE, DIRECTORY, LINK, OTHER = "file", "directory", "link", "other"
# What an Action does; CONFLICT keeps the run's version aside, LEFT_OUT is a pipe, a socket or a device.
REMOVE, MAKE, CHANGE, CONFLICT, LEFT_OUT = "remove", "make", "change", "conflict", "left out"


class Entry(Value):
    """What a path holds.  `digest`: of a file's content, or a link's target; owners and times are not compared."""

    kind: str
    mode: int = 0
    digest: str = ""
    attributes: str = ""

    def same(self, other: Entry | None) -> bool:
        """Are the two alike for whoever reads them?  Attributes may be lost between two file systems."""
        if other is None or self.kind != other.kind:
            return False
        return self.digest == other.digest and (self.mode == other.mode or self.kind == LINK)


class Base(Value):
    """A path as it was when the copy was made: the original, and the copy as it came out."""

    host: Entry
    stage: Entry


class Action(Value):
    """One thing to do at a path; `why` says what stands against it, for a conflict."""

    what: str
    path: str
    why: str = ""


class _Merge:
    """The host's tree as it becomes, while the actions are found."""

    __slots__ = ("actions", "base", "below", "host", "stage")

    def __init__(
        self, base: Mapping[str, Base], host: Mapping[str, Entry], stage: Mapping[str, Entry]
    ) -> None:
        self.base, self.stage = base, stage
        self.host = dict(host)
        self.below: dict[str, int] = {}  # directory → how many entries it has on the host
        for path in host:
            self._count(path, 1)
        self.actions: list[Action] = []

    def _count(self, path: str, by: int) -> None:
        above = parent(path)
        self.below[above] = self.below.get(above, 0) + by

    def act(self, what: str, path: str, why: str = "") -> None:
        self.actions.append(Action(what=what, path=path, why=why))

    def host_changed(self, path: str, now: Entry | None) -> bool:
        known = self.base.get(path)
        return now != (known.host if known else None)

    def remove(self, path: str) -> None:
        """The run removed it: what stood there goes, if nobody changed it here."""
        now = self.host.get(path)
        if now is None:
            return
        if self.host_changed(path, now):
            self.act(CONFLICT, path, "the run removed it, and it changed here")
        elif self.below.get(path):
            self.act(CONFLICT, path, "the run removed it, and it holds what is new or changed here")
        else:
            self.act(REMOVE, path)
            del self.host[path]
            self._count(path, -1)

    def put(self, path: str) -> None:
        """The run made or changed it."""
        wanted, now = self.stage[path], self.host.get(path)
        if wanted.kind == OTHER:
            self.act(LEFT_OUT, path)
        elif not wanted.same(now):
            why = self._against(path, now, wanted)
            if why:
                self.act(CONFLICT, path, why)
                return
            self.act(MAKE if now is None else CHANGE, path)
            if now is None:
                self._count(path, 1)
            self.host[path] = wanted

    def _against(self, path: str, now: Entry | None, wanted: Entry) -> str:
        """Why that path is not ours to write; "" when it is."""
        known, above = self.base.get(path), parent(path)
        if above and (above not in self.host or self.host[above].kind != DIRECTORY):
            return "its directory is gone here"
        if now is None:
            return "the run changed it, and it was removed here" if known else ""
        if now.kind == wanted.kind == DIRECTORY:
            # Made by us and left half-way: writable until everything lies in it.
            left = known is None and now.mode == wanted.mode | 0o700
            return "" if left or not self.host_changed(path, now) else "both changed the directory's mode"
        if self.host_changed(path, now):
            return "both changed it" if known else "the run made it, and it appeared here"
        if now.kind == DIRECTORY and self.below.get(path):
            return "it holds what is new or changed here"
        return ""


def parent(path: str) -> str:
    """The directory of a path; "" at the top."""
    return path.rpartition("/")[0]


def _depth(path: str) -> tuple[int, str]:
    return path.count("/"), path


def merge(
    base: Mapping[str, Base], host: Mapping[str, Entry], stage: Mapping[str, Entry]
) -> tuple[tuple[Action, ...], dict[str, Entry]]:
    """What to do, in order, and the host's tree afterwards.

    Doing it again, from whatever point it was left at, comes to the same tree.
    """
    work = _Merge(base, host, stage)
    changed = [
        path for path in {*base, *stage} if stage.get(path) != (base[path].stage if path in base else None)
    ]
    # What becomes of another kind is exchanged in one step: no moment in which nothing is there, or all is to be told anew.
    for path in sorted([p for p in changed if p not in stage], key=_depth, reverse=True):
        work.remove(path)
    for path in sorted([p for p in changed if p in stage], key=_depth):
        work.put(path)
    return tuple(work.actions), work.host
