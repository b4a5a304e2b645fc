"""The files that `nucleus-log` writes → frames, across rotation, while it writes and after it was killed.

✗ lines, times as text: `logs.py`.  ✗ writes.
"""

from __future__ import annotations

import fcntl
import os
from struct import Struct

from ..base.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

# launcher/log.h: magic, kind, reserved, length, check, time
HEADER = Struct("<IHHIIQ")
MAGIC = 0x474F4C4E
STDOUT, STDERR, DROPPED = 1, 2, 3
_MARK = MAGIC.to_bytes(4, "little")
_COUNTS = Struct("<QQ")
_CHUNK = 1 << 20
_MAX_LENGTH = 1 << 16
_WORD = 0xFFFFFFFF
_NAME = "log"
_LOCK = "log.lock"
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Frame(Value):
    """What one stream said at one time.  kind: STDOUT or STDERR; DROPPED holds no data but what was lost."""

    time_ns: int
    kind: int
    data: bytes
    dropped: tuple[int, int] = (0, 0)


def header_check(kind: int, length: int, time_ns: int) -> int:
    """The number by which a header is told from what only looks like one."""
    return ~(MAGIC ^ kind ^ length ^ time_ns ^ (time_ns >> 32)) & _WORD


class Parser:
    """Bytes, as they come, → frames.  What is no frame is passed over; what is not whole waits for the rest."""

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = b""

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that are whole by now."""
        buffer, at, found = self._left + data, 0, []
        while len(buffer) - at >= HEADER.size:
            magic, kind, _, length, check, time_ns = HEADER.unpack_from(buffer, at)
            if magic != MAGIC or length > _MAX_LENGTH or check != header_check(kind, length, time_ns):
                at = _next_mark(buffer, at + 1)
                continue
            end = at + HEADER.size + length
            if end > len(buffer):
                break
            frame = _frame(time_ns, kind, buffer[at + HEADER.size : end])
            if frame is not None:
                found.append(frame)
            at = end
        self._left = buffer[at:]
        return found


def _next_mark(buffer: bytes, at: int) -> int:
    found = buffer.find(_MARK, at)
    # The last bytes may be the beginning of a mark.
    return found if found >= 0 else max(at, len(buffer) - len(_MARK) + 1)


def _frame(time_ns: int, kind: int, data: bytes) -> Frame | None:
    if kind == DROPPED:
        if len(data) != _COUNTS.size:
            return None
        return Frame(time_ns=time_ns, kind=kind, data=b"", dropped=_COUNTS.unpack(data))
    return Frame(time_ns=time_ns, kind=kind, data=data) if kind in (STDOUT, STDERR) else None


class LogReader:
    """The frames of one container's log.  `directory` stays the caller's."""

    __slots__ = ("_directory", "_file", "_parser")

    def __init__(self, directory: int) -> None:
        self._directory = directory
        self._file = -1
        self._parser = Parser()

    def close(self) -> None:
        """Let go of the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def frames(self) -> Iterator[Frame]:
        """What was written since the last call, the oldest first; the first time everything that is kept."""
        while True:
            if self._file >= 0:
                yield from self._rest()
            newer = self._newer()
            if not newer:
                return
            if self._file >= 0:
                # It was full by the time the next one was there: nothing comes to it any more but what came meanwhile.
                yield from self._rest()
            try:
                while newer:
                    self.close()
                    self._file, self._parser = newer.pop(0), Parser()
                    yield from self._rest()
            finally:
                for fd in newer:
                    os.close(fd)

    def _rest(self) -> Iterator[Frame]:
        while data := os.read(self._file, _CHUNK):
            yield from self._parser.feed(data)

    def _newer(self) -> list[int]:
        """Files behind the one being read, the oldest first.

        They are opened from the newest on: a rotation meanwhile shows a file again, and never hides one.
        """
        current = os.fstat(self._file).st_ino if self._file >= 0 else 0
        found: list[int] = []
        seen: set[int] = set()
        for name in [_NAME, *_rotated(self._directory)]:
            try:
                fd = os.open(name, _FLAGS, dir_fd=self._directory)
            except FileNotFoundError:
                continue
            inode = os.fstat(fd).st_ino
            if inode == current:
                os.close(fd)
                break
            if inode in seen:
                os.close(fd)
                continue
            seen.add(inode)
            found.append(fd)
        return found[::-1]


def _rotated(directory: int) -> list[str]:
    """log.1, log.2 and so on, as far as they are there; one more, which may just be on its way."""
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return []
    numbers = [int(n[4:]) for n in names if n.startswith("log.") and n[4:].isascii() and n[4:].isdigit()]
    return [f"log.{n}" for n in range(1, max(numbers, default=0) + 2)]


def writer_is_gone(directory: int) -> bool:
    """Whether nothing can come any more: nobody holds the writer's lock."""
    try:
        fd = os.open(_LOCK, _FLAGS, dir_fd=directory)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(fd)
    return True


def has_log(directory: int) -> bool:
    """Whether a writer ever was at work here."""
    try:
        os.stat(_LOCK, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True
