"""Frames → lines of the two streams; which of them are wanted; waiting for more.  ✗ files: `frames.py`.  ✗ prints."""

from __future__ import annotations

import time

from ..base.value import Value
from .frames import DROPPED, STDERR, STDOUT, LogReader, writer_is_gone

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from collections.abc import Set as AbstractSet

    from .frames import Frame

STREAMS = {"stdout": STDOUT, "stderr": STDERR}
_NAMES = {number: name for name, number in STREAMS.items()} | {DROPPED: "dropped"}
_POLL_S = 0.1


class LogLine(Value):
    """A line of one stream, or a part of one where it was not written at once.

    time_ns  when its first byte was read
    stream   stdout, stderr; dropped: `data` says how much was lost because there was no room
    begins   whether it is the beginning of a line
    """

    time_ns: int
    stream: str
    data: bytes
    begins: bool = True


class Selection(Value):
    """Which lines: from `since_ns` on, before `until_ns`, the last `tail` of those, of these streams."""

    since_ns: int | None = None
    until_ns: int | None = None
    tail: int | None = None
    streams: tuple[str, ...] = ("stdout", "stderr")


class _Cutter:
    """Cuts frames into lines; remembers which streams are amid one, and which of those amid an older one."""

    __slots__ = ("_amid", "older")

    def __init__(self) -> None:
        self._amid: set[int] = set()
        self.older: set[str] = set()

    def skip(self, frame: Frame, *, older: bool) -> None:
        """What `cut` does, for a frame that is not wanted, or holds older lines than are."""
        if not frame.data:
            return
        name = _NAMES[frame.kind]
        if b"\n" in frame.data:
            self.older.discard(name)
        if frame.data.endswith(b"\n"):
            self._amid.discard(frame.kind)
            return
        self._amid.add(frame.kind)
        if older:
            self.older.add(name)

    def cut(self, frame: Frame) -> Iterator[LogLine]:
        """The lines that the frame begins, goes on with or ends."""
        name = _NAMES[frame.kind]
        if frame.kind == DROPPED:
            yield LogLine(time_ns=frame.time_ns, stream=name, data=_loss(frame.dropped))
            return
        for data in _split(frame.data):
            yield LogLine(time_ns=frame.time_ns, stream=name, data=data, begins=frame.kind not in self._amid)
            (self._amid.discard if data.endswith(b"\n") else self._amid.add)(frame.kind)


def _split(data: bytes) -> list[bytes]:
    """At new lines only: a carriage return is a part of its line."""
    *whole, last = data.split(b"\n")
    return [line + b"\n" for line in whole] + ([last] if last else [])


def _loss(dropped: tuple[int, int]) -> bytes:
    parts = [f"{n} bytes of {name}" for n, name in zip(dropped, STREAMS, strict=True) if n]
    return f"{' and '.join(parts)} were lost: there was no room for them\n".encode()


def _is_wanted(frame: Frame, wish: Selection) -> bool:
    early = wish.since_ns is not None and frame.time_ns < wish.since_ns
    late = wish.until_ns is not None and frame.time_ns >= wish.until_ns
    return not early and not late and (frame.kind == DROPPED or _NAMES[frame.kind] in wish.streams)


def _wanted(frames: Iterable[Frame], wish: Selection, cutter: _Cutter) -> Iterator[LogLine]:
    for frame in frames:
        if _is_wanted(frame, wish):
            yield from cutter.cut(frame)
        else:
            cutter.skip(frame, older=False)


def _newest(frames: Iterable[Frame], wish: Selection, cutter: _Cutter, count: int) -> Iterator[Frame]:
    """The wanted frames that the last `count` lines are in: of millions of lines only few are looked at one by one."""
    from collections import deque

    kept: deque[tuple[Frame, int]] = deque()
    lines = 0
    for frame in frames:
        if not _is_wanted(frame, wish):
            cutter.skip(frame, older=False)
            continue
        kept.append((frame, frame.data.count(b"\n")))
        lines += kept[-1][1]
        # The first new line of either stream may end a line that began before.
        while lines - kept[0][1] >= count + len(STREAMS):
            oldest, its = kept.popleft()
            lines -= its
            cutter.skip(oldest, older=True)
    for frame, _ in kept:
        yield frame


def _last(lines: Iterable[LogLine], count: int, older: AbstractSet[str] = frozenset()) -> Iterator[LogLine]:
    """The last `count` lines, each with all its parts; the first parts of the streams `older` are of lines before."""
    from collections import deque

    kept: deque[list[LogLine]] = deque(maxlen=count)
    current: dict[str, list[LogLine]] = {}
    for line in lines:
        group = current.get(line.stream)
        if group is None and not line.begins and line.stream in older:
            continue
        if line.begins or group is None:
            group = current[line.stream] = []
            kept.append(group)
        group.append(line)
    for group in kept:
        yield from group


def read_lines(directory: int, wish: Selection, *, follow: bool = False) -> Iterator[LogLine]:
    """The lines that a container's directory holds; with `follow` also those to come, until its writer ends."""
    reader, cutter = LogReader(directory), _Cutter()
    try:
        gone = writer_is_gone(directory)
        frames = reader.frames()
        if wish.tail is None:
            yield from _wanted(frames, wish, cutter)
        else:
            yield from _last(
                _wanted(_newest(frames, wish, cutter, wish.tail), wish, cutter), wish.tail, cutter.older
            )
        while follow and not gone:
            if wish.until_ns is not None and time.time_ns() >= wish.until_ns:
                return
            time.sleep(_POLL_S)
            gone = writer_is_gone(directory)  # looked at before reading: what it wrote last is read below
            yield from _wanted(reader.frames(), wish, cutter)
    finally:
        reader.close()
