"""The log of a container that systemd keeps: what journalctl is asked, its answer as lines.  ✗ starts units.

The journal does not tell standard output and standard error apart.
"""

from __future__ import annotations

import json
import os
import select
import subprocess

from ..base.errors import HostUnsupported, SpecError
from .logs import LogLine, Selection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

# A fixed place: root follows nobody's PATH.
PROGRAM = "/usr/bin/journalctl"
_POLL_S = 0.2
_CHUNK = 1 << 16


def command(unit: str, wish: Selection, *, follow: bool, uid: int) -> list[str]:
    """The words of journalctl for a unit of the system's manager, or of the manager of that user where it is not 0.

    `--until` beside following is kept by `read_journal`: journalctl would refuse the two together.
    """
    # Fields, and neither --user-unit nor --unit: root reads what a user's manager started, too; and what systemd itself
    # says of the unit must not count as lines of --tail.
    whose = [f"_SYSTEMD_USER_UNIT={unit}", f"_UID={uid}"] if uid else [f"_SYSTEMD_UNIT={unit}"]
    words = [
        PROGRAM,
        *whose,
        "_TRANSPORT=stdout",
        "--no-pager",
        "--quiet",
        "--output=json",
        "--all",
    ]
    if wish.since_ns is not None:
        words.append(f"--since=@{_seconds(wish.since_ns)}")
    if wish.until_ns is not None and not follow:
        words.append(f"--until=@{_seconds(wish.until_ns)}")
    if wish.tail is not None:
        words.append(f"--lines={wish.tail}")
    elif follow:
        words.append("--no-tail")
    return words + (["--follow"] if follow else [])


def _seconds(time_ns: int) -> str:
    return f"{time_ns // 1_000_000_000}.{time_ns // 1000 % 1_000_000:06}"


def line_of(entry: dict[str, Any]) -> LogLine | None:
    """One line of `--output=json`; None where it is not what the container wrote but what systemd says of it."""
    message = entry.get("MESSAGE")
    if entry.get("_TRANSPORT") != "stdout" or message is None:
        return None
    # What is no text comes as a list of bytes.
    data = bytes(message) if isinstance(message, list) else str(message).encode()
    return LogLine(time_ns=int(entry["__REALTIME_TIMESTAMP"]) * 1000, stream="stdout", data=data + b"\n")


def read_journal(
    unit: str, wish: Selection, *, follow: bool, uid: int, has_ended: Callable[[], bool]
) -> Iterator[LogLine]:
    """The lines of a unit; with `follow` also those to come, until the container has ended.

    Raises SpecError where one stream alone is wanted, HostUnsupported where there is no journalctl.
    """
    if len(wish.streams) < len(Selection().streams):
        raise SpecError(
            "systemd keeps this container's log, and does not tell its streams apart", where="nucleus logs",
            remedy="leave --stdout and --stderr away, or start the container with --detach-with none",
        )  # fmt: skip
    try:
        process = subprocess.Popen(
            command(unit, wish, follow=follow, uid=uid), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"} | _bus(),
        )  # fmt: skip
    except OSError as error:
        raise HostUnsupported(
            f"journalctl cannot be executed: {(error.strerror or '').lower()}", where=PROGRAM,
            remedy="install systemd's journalctl, or start the container with --detach-with none",
        ) from None  # fmt: skip
    try:
        yield from _answer(process, wish, follow=follow, has_ended=has_ended)
    finally:
        process.terminate()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def _bus() -> dict[str, str]:
    return {key: os.environ[key] for key in ("XDG_RUNTIME_DIR", "HOME") if key in os.environ}


def _answer(
    process: subprocess.Popen[bytes], wish: Selection, *, follow: bool, has_ended: Callable[[], bool]
) -> Iterator[LogLine]:
    assert process.stdout is not None
    fd, left, over = process.stdout.fileno(), b"", False
    while True:
        # What was written before the end is in the journal by the time that nothing comes for a while.
        if follow and not select.select([fd], [], [], _POLL_S)[0]:
            if over:
                return
            over = has_ended()
            continue
        data = os.read(fd, _CHUNK)
        if not data:
            return
        *whole, left = (left + data).split(b"\n")
        for text in whole:
            line = line_of(json.loads(text))
            if line is None:
                continue
            if wish.until_ns is not None and line.time_ns >= wish.until_ns:
                return
            yield line
