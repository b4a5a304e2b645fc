"""Runs in a mount namespace of its own: a log on a small file system that is full, and has room again.  ✗ no tests.

Prints one JSON object: what was written, what the log holds, and what it says was lost.
"""

import fcntl
import json
import os
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def main(folder: str) -> None:
    """Fill the disk, print into the log, make room, print on."""
    from nucleus.launch import log_writer
    from nucleus.observe.frames import LogReader, writer_is_gone

    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "small", folder], check=True)
    filler = Path(folder, "filler")
    filler.write_bytes(bytes(160 << 10))
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    out, err = log_writer.start(directory, max_bytes=8 << 20, files=3)
    written = 0
    # Ten times what disk and pipes hold: who waited for room would never come to the end.
    for number in range(2000):
        written += os.write(out if number % 4 else err, b"%0511d\n" % number)
    _until(lambda: _unread(out) + _unread(err) == 0)  # the writer has met the full disk
    filler.unlink()
    # The loss is told without the workload's saying more.
    _until(lambda: _is_told(directory, written))
    told = _read(LogReader(directory))["lost"]
    written += os.write(out, b"after\n")
    os.close(out)
    os.close(err)
    _until(lambda: writer_is_gone(directory))
    found = _read(LogReader(directory))
    print(json.dumps({**found, "written": written, "told_meanwhile": told}))


def _until(condition: Callable[[], bool]) -> None:
    """Whoever started this knows how long to wait."""
    while not condition():
        time.sleep(0.01)


def _unread(pipe: int) -> int:
    """How many bytes nobody has taken yet."""
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


def _is_told(directory: int, written: int) -> bool:
    """Whether each byte is either in the log or counted there."""
    from nucleus.observe.frames import LogReader

    found = _read(LogReader(directory))
    return found["kept"] + found["lost"] == written


def _read(reader: object) -> dict[str, Any]:
    frames = list(reader.frames())  # type: ignore[attr-defined]
    reader.close()  # type: ignore[attr-defined]
    return {
        "kept": sum(len(f.data) for f in frames),
        "lost": sum(sum(f.dropped) for f in frames),
        "last": frames[-1].data.decode(),
    }


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))
    main(sys.argv[1])
