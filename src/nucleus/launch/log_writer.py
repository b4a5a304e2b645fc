"""Starts `nucleus-log`, which keeps what a detached container prints, and gives the ends to print into.

✗ reads what it wrote: `observe/frames.py`.
"""

from __future__ import annotations

import fcntl
import os
import time

from ..base.errors import Conflict, HostUnsupported

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROGRAM = os.path.join(_PACKAGE, "libexec", "nucleus-log")
# Held by the writer for as long as it lives: while it is, more may come.
LOCK = "log.lock"
_TRIES = 3000


def start(directory: int, *, max_bytes: int, files: int) -> tuple[int, int]:
    """The writing ends for stdout and stderr, which the caller closes; the writer ends when nobody holds them.

    directory   a container's, by descriptor; its lock is not handed on
    max_bytes, files   of one file, and how many there are: the state root may lie in memory (/run), so that a container
                which prints without end must stay small
    The writer is nobody's child afterwards.
    Raises Conflict where one writes already, HostUnsupported where it cannot be started.
    """
    kept: list[int] = []
    try:
        # A description of its own: the owner's lock belongs to the one that was given.
        own = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)
        kept.append(own)
        lock = _lock(own)
        kept.append(lock)
        out, err = os.pipe2(os.O_CLOEXEC), os.pipe2(os.O_CLOEXEC)
        kept += (out[0], err[0])
        try:
            _spawn((own, lock, out[0], err[0]), max_bytes, files)
        except BaseException:
            kept += (out[1], err[1])
            raise
        return out[1], err[1]
    finally:
        for fd in kept:
            os.close(fd)


def _lock(directory: int) -> int:
    flags = os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        fd = os.open(LOCK, flags, 0o600, dir_fd=directory)
    except OSError as error:
        raise HostUnsupported(
            f"cannot write the container's log: {(error.strerror or '').lower()}", where=LOCK,
            remedy="free some space there, or choose another place with --root DIR",
        ) from None  # fmt: skip
    for _ in range(_TRIES):
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return fd
        except BlockingIOError:
            # A reader who looks holds it, or the writer of an earlier life has more to write.
            time.sleep(0.01)
    os.close(fd)
    raise Conflict(
        "another process keeps the log of this container", where=LOCK, remedy="wait until it has ended"
    )


def _spawn(fds: tuple[int, ...], max_bytes: int, files: int) -> None:
    import subprocess

    arguments = ["nucleus-log", *map(str, fds), str(max_bytes), str(files)]
    try:
        done = subprocess.run(
            arguments, executable=PROGRAM, env={}, cwd="/", pass_fds=fds, check=False,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    except OSError as error:
        raise HostUnsupported(
            f"the log writer cannot be executed: {(error.strerror or '').lower()}", where=PROGRAM,
            remedy="reinstall nucleus, or in a checkout run `make build`",
        ) from None  # fmt: skip
    if done.returncode:
        raise HostUnsupported(
            "the container's log cannot be opened", where="log",
            remedy="free some space there, or choose another place with --root DIR",
        )  # fmt: skip
