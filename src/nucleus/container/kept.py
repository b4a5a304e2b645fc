"""A descriptor that a process keeps from one launch to the next.

A program may close every descriptor it did not open itself, and open others under the same numbers: what is kept is
told by its file, and one that is lost is neither used nor closed.  ✗ what it is for: `roots.py`, `template.py`.
"""

from __future__ import annotations

import fcntl
import os

from ..host.current import identity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Kept:
    """It belongs to this object, which closes it at its end; -1 where there is none."""

    __slots__ = ("_fd", "_file")

    def __init__(self, fd: int) -> None:
        self._fd, self._file = fd, identity(fd)

    def lost(self) -> bool:
        """Has the program closed it, and perhaps opened another file there?"""
        return self._fd >= 0 and identity(self._fd) != self._file

    def again(self) -> int:
        """Another descriptor of the same file, which the caller closes; -1 where there is none."""
        if self._fd < 0 or self.lost():
            return -1
        return fcntl.fcntl(self._fd, fcntl.F_DUPFD_CLOEXEC, 3)

    def close(self) -> None:
        """Let go of it."""
        if self._fd >= 0 and not self.lost():
            os.close(self._fd)
        self._fd = -1

    def __del__(self) -> None:
        self.close()


class Remade:
    """One that is made when it is first asked for, and anew when the program has closed it."""

    __slots__ = ("_kept", "_make")

    def __init__(self, make: Callable[[], int]) -> None:
        self._kept, self._make = Kept(-1), make

    def again(self) -> int:
        """Another descriptor of the file, which the caller closes."""
        fd = self._kept.again()
        if fd < 0:
            self._kept = kept = Kept(self._make())  # by a name: another thread may make one, too
            fd = kept.again()
        return fd
