"""Frames → lines of the two streams; which of them are wanted; waiting for more.  ✗ files: `frames.py`.  ✗ prints."""

from __future__ import annotations

import time

from ..base.value import Value
from .frames import DROPPED, STDERR, STDOUT, LogReader, writer_is_gone

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

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
    """Cuts frames into lines; remembers which streams are amid one."""

    __slots__ = ("_amid",)

    def __init__(self) -> None:
        self._amid: set[int] = set()

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


def _wanted(frames: Iterable[Frame], wish: Selection, cutter: _Cutter) -> Iterator[LogLine]:
    for frame in frames:
        for line in cutter.cut(frame):
            if wish.since_ns is not None and line.time_ns < wish.since_ns:
                continue
            if wish.until_ns is not None and line.time_ns >= wish.until_ns:
                continue
            if line.stream in wish.streams or line.stream == "dropped":
                yield line


def _last(lines: Iterable[LogLine], count: int) -> Iterator[LogLine]:
    """The last `count` lines, each with all its parts."""
    from collections import deque

    kept: deque[list[LogLine]] = deque(maxlen=count)
    current: dict[str, list[LogLine]] = {}
    for line in lines:
        group = current.get(line.stream)
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
        lines = _wanted(reader.frames(), wish, cutter)
        yield from lines if wish.tail is None else _last(lines, wish.tail)
        while follow and not gone:
            if wish.until_ns is not None and time.time_ns() >= wish.until_ns:
                return
            time.sleep(_POLL_S)
            gone = writer_is_gone(directory)  # looked at before reading: what it wrote last is read below
            yield from _wanted(reader.frames(), wish, cutter)
    finally:
        reader.close()
