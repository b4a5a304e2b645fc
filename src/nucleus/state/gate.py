"""The files by which commands meet at a container: the gate that `start` opens, the locks of verbs and of waiters, a mark.

    start        FIFO: the monitor reads one byte of it before the workload may run
    verb.lock    held, exclusively, by a verb that changes a living container
    watch.lock   held, shared, by whoever waits for the exit record: neither the monitor of a --rm container nor the
                 sweep removes the directory meanwhile
    stopping     somebody asked for the end, so no restart policy applies to it
✗ who is waited for.
"""

from __future__ import annotations

import fcntl
import os
from stat import S_ISFIFO

from ..base.errors import Conflict, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

FIFO, VERB_LOCK, WATCH_LOCK, STOPPING = "start", "verb.lock", "watch.lock", "stopping"
GO, KILL = b"g", b"k"


def make(directory: int, *, guarded: bool = False) -> int:
    """Make the gate; the descriptor reads what is written there, and never sees an end of file.

    The monitor closes it behind the word that lets the workload go: later ones are refused.

    guarded   it does see one, when whoever has `keep`ed the gate is gone
    """
    try:
        os.unlink(FIFO, dir_fd=directory)
    except FileNotFoundError:
        pass  # it is the container's first start
    os.mkfifo(FIFO, 0o600, dir_fd=directory)
    both = os.open(FIFO, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
    if not guarded:
        return both
    try:
        return os.open(FIFO, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
    finally:
        os.close(both)


def keep(directory: int) -> int:
    """While this descriptor is open, whoever waits at a guarded gate goes on waiting.

    It writes only, or a word to nobody would be taken: somebody must have the gate open already.
    """
    return os.open(FIFO, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)


def tell(directory: int, word: bytes) -> None:
    """Write to whoever waits at the gate.  Raises Conflict when nobody does."""
    try:
        fd = os.open(FIFO, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
    except OSError:
        raise Conflict(
            "nobody waits at the gate", where="nucleus start", remedy="nucleus ps -a shows its state"
        ) from None
    try:
        if S_ISFIFO(os.fstat(fd).st_mode):
            os.write(fd, word)
    except BrokenPipeError:
        raise Conflict(
            "who waited at the gate has just gone",
            where="nucleus start",
            remedy="nucleus ps -a shows its state",
        ) from None
    finally:
        os.close(fd)


class Lock:
    """A lock file of a container's directory, taken for as long as the `with` lasts."""

    __slots__ = ("_directory", "_fd", "_kind", "_name")

    def __init__(self, directory: int, name: str) -> None:
        self._directory, self._name, self._fd = directory, name, -1
        self._kind = fcntl.LOCK_SH if name == WATCH_LOCK else fcntl.LOCK_EX

    def __enter__(self) -> Self:
        flags = os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            self._fd = os.open(self._name, flags, 0o600, dir_fd=self._directory)
        except FileNotFoundError:  # its directory is still open here, and gone
            raise NotFound(
                "the container has just been removed", where=self._name, remedy="see `nucleus ps -a`"
            ) from None
        fcntl.flock(self._fd, self._kind)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


def is_watched(directory: int) -> bool:
    """Does anybody wait for the exit record in this directory?"""
    try:
        fd = os.open(WATCH_LOCK, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False
