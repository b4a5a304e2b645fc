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
_PLACES = ("/var/log/journal", "/run/log/journal")
_MACHINE = "/etc/machine-id"
_POLL_S = 0.2
_CHUNK = 1 << 16


def identifier(unit: str) -> str:
    """What lines of this unit carry as their SYSLOG_IDENTIFIER: no other container has it."""
    return unit.removesuffix(".service")


def is_readable(uid: int) -> bool:
    """Whether this user can read what his own units print: journald splits by user only what it keeps on disk."""
    try:
        with open(_MACHINE, encoding="ascii") as file:
            machine = file.read().strip()
    except OSError:
        return False
    names = (f"user-{uid}.journal", "system.journal")
    return any(os.access(f"{place}/{machine}/{name}", os.R_OK) for place in _PLACES for name in names)


def command(unit: str, wish: Selection, *, follow: bool, uid: int, after: str = "") -> list[str]:
    """The words of journalctl for a unit of the system's manager, or of the manager of that user where it is not 0.

    after: the cursor of an entry; then only later ones are wanted.

    `--until` beside following is kept by `read_journal`: journalctl would refuse the two together.
    """
    # Fields, and neither --user-unit nor --unit: root reads what a user's manager started, too; and what systemd itself
    # says of the unit must not count as lines of --tail.  A process that ends right after it wrote has no user unit in the
    # journal, which learns that from the process; the identifier is of the stream.
    whose = [f"SYSLOG_IDENTIFIER={identifier(unit)}", f"_UID={uid}"] if uid else [f"_SYSTEMD_UNIT={unit}"]
    words = [
        PROGRAM,
        *whose,
        "_TRANSPORT=stdout",
        "--no-pager",
        "--quiet",
        "--output=json",
        "--all",
    ]
    if after:
        words.append(f"--after-cursor={after}")
    elif wish.since_ns is not None:
        words.append(f"--since=@{_seconds(wish.since_ns)}")
    if wish.until_ns is not None and not follow:
        words.append(f"--until=@{_seconds(wish.until_ns)}")
    if wish.tail is not None and not after:
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
    cursor = [""]
    yield from _run(command(unit, wish, follow=follow, uid=uid), wish, cursor, has_ended if follow else None)
    if follow:
        # What a busy machine had not yet handed on when the container ended.
        yield from _run(command(unit, wish, follow=False, uid=uid, after=cursor[0]), wish, cursor, None)


def _run(
    words: list[str], wish: Selection, cursor: list[str], has_ended: Callable[[], bool] | None
) -> Iterator[LogLine]:
    """The lines of one journalctl, which with `has_ended` follows; `cursor` is where it came to."""
    try:
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"} | _bus(),
        )  # fmt: skip
    except OSError as error:
        raise HostUnsupported(
            f"journalctl cannot be executed: {(error.strerror or '').lower()}", where=PROGRAM,
            remedy="install systemd's journalctl, or start the container with --detach-with none",
        ) from None  # fmt: skip
    assert process.stdout is not None and process.stderr is not None
    try:
        yield from _answer(process, wish, cursor, has_ended)
        if process.stdout.closed:
            _require_success(process)
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()
        process.stderr.close()


def _require_success(process: subprocess.Popen[bytes]) -> None:
    """It ended by itself.  Raises HostUnsupported with its own words: an empty answer is not an empty log."""
    assert process.stderr is not None
    words = process.stderr.read().decode(errors="replace").strip()
    if process.wait() and words:
        raise HostUnsupported(
            f"the journal cannot be read: {words}", where="nucleus logs",
            remedy="sudo usermod -aG systemd-journal USER, or start the container with --detach-with none",
        )  # fmt: skip


def _bus() -> dict[str, str]:
    return {key: os.environ[key] for key in ("XDG_RUNTIME_DIR", "HOME") if key in os.environ}


def _answer(
    process: subprocess.Popen[bytes],
    wish: Selection,
    cursor: list[str],
    has_ended: Callable[[], bool] | None,
) -> Iterator[LogLine]:
    assert process.stdout is not None
    fd, left, over = process.stdout.fileno(), b"", False
    while True:
        # What was written before the end is in the journal by the time that nothing comes for a while.
        if has_ended is not None and not select.select([fd], [], [], _POLL_S)[0]:
            if over:
                return
            over = has_ended()
            continue
        data = os.read(fd, _CHUNK)
        if not data:
            process.stdout.close()
            return
        *whole, left = (left + data).split(b"\n")
        for text in whole:
            entry = json.loads(text)
            line = line_of(entry)
            if line is None:
                continue
            cursor[0] = entry.get("__CURSOR", "")
            if wish.until_ns is not None and line.time_ns >= wish.until_ns:
                return
            yield line
