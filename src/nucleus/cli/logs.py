"""`nucleus logs [-f] [--since T] [--until T] [-n N] [-t] CONTAINER`: what a detached container printed.

✗ where it is kept (`container/running/logs.py`).
"""

from __future__ import annotations

import sys

from ..base.errors import SpecError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import BinaryIO

    from ..observe.logs import LogLine

HELP = """usage: nucleus logs [OPTION...] CONTAINER

Print what a detached container wrote to its standard output and its standard
error, to the same of this command.

  -f, --follow      go on until the container has ended
  --since TIME      only what was written since then
  --until TIME      only what was written before then
  -n, --tail N      only the last N lines, or all (default)
  -t, --timestamps  begin each line with the time of its first byte
  --stdout          only the standard output
  --stderr          only the standard error
  --root DIR        the state root

TIME is a time ago (90s, 1h30m), seconds since 1970, or a date such as
2026-01-31T12:00:00Z.
"""
_FLAGS = {
    "-f": "follow", "--follow": "follow", "-t": "timestamps", "--timestamps": "timestamps", "--stdout": "stdout",
    "--stderr": "stderr",
}  # fmt: skip
_VALUES = ("--since", "--until", "--tail", "-n", "--root")


def main(argv: list[str]) -> int:
    """Prints; 0."""
    from ..container.running.handle import resolve
    from ..container.running.inventory import open_store
    from ..container.running.logs import container_logs, selection
    from .arguments import Arguments

    given = Arguments(argv, flags=_FLAGS, values=_VALUES, help_text=HELP)
    if given.done:
        return 0
    if len(given.words) != 1:
        what = "one container, please" if given.words else "which container?"
        raise SpecError(what, where="nucleus logs", remedy="nucleus ps -a lists them")
    chosen = tuple([name for name in ("stdout", "stderr") if given.has(name)])
    wish = selection(
        since=given.values.get("--since", ""),
        until=given.values.get("--until", ""),
        tail=given.values.get("--tail", given.values.get("-n")),
        streams=chosen or ("stdout", "stderr"),
    )
    store = open_store(given.values.get("--root", ""))
    try:
        with resolve(store, given.words[0]) as handle:
            lines = container_logs(handle, wish, follow=given.has("follow"))
            print_lines(lines, timestamps=given.has("timestamps"), at_once=given.has("follow"))
    finally:
        store.close()
    return 0


def print_lines(lines: Iterable[LogLine], *, timestamps: bool, at_once: bool) -> None:
    """To the stream that each came from."""
    from ..observe.times import format_time

    last: BinaryIO | None = None
    for line in lines:
        target = sys.stdout.buffer if line.stream == "stdout" else sys.stderr.buffer
        if last is not None and (target is not last or at_once):
            last.flush()  # both may be one terminal: what was said first comes first
        last = target
        if line.begins and timestamps:
            target.write(f"{format_time(line.time_ns)} ".encode())
        if line.stream == "dropped":
            target.write(b"nucleus: ")
        target.write(line.data)
        if at_once:
            target.flush()
    if last is not None:
        last.flush()
