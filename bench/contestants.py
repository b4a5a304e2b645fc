"""What a contestant of the benchmark is, and how one run of it is measured.  ✗ knows no sandbox by name.

To add one, put a Contestant into the table of compare.py. `prepare` is called once, in a process of its own
that measures nothing else: it may import, enter namespaces, write files below its scratch folder. The
callable it returns is what is timed: one whole sandbox from start to the end of its payload.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

# Of the smallest C library there is: what a program does before its main is nobody's share of the time.  glibc alone asks
# the processor dozens of questions then, each of which leaves a virtual machine: half a millisecond that is not a sandbox's.
PAYLOAD = ("/usr/lib/klibc/bin/true",)
TOOLS = "/bin/busybox"  # for payloads that do something, and are not timed
ENVIRONMENT: Mapping[str, str] = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}

Run = Callable[[], None]
# What a contestant has begun in its process beside its runs, and has to end there before its files are removed.
ENDINGS: list[Callable[[], object]] = []


def end_all() -> None:
    """End what contestants have begun in this process."""
    while ENDINGS:
        ENDINGS.pop()()


class CannotStart(Exception):
    """This contestant does not run on this machine; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestant:
    """name: its row in the table. isolation: what the row's sandbox consists of, in a few words."""

    name: str
    isolation: str
    prepare: Callable[[Path], Run]


def run_program(argv: list[str], environment: Mapping[str, str] = ENVIRONMENT) -> None:
    """Starts a program the cheapest way Python has and waits for it; anything but status 0 is an error."""
    null = (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0)
    pid = os.posix_spawn(argv[0], argv, environment, file_actions=[null])
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status:
        raise CannotStart(f"{argv[0]} ended with {status}")


def program(argv: list[str]) -> Run:
    """The Run that is one start of this program."""
    return lambda: run_program(argv)


def measure(run: Run) -> int:
    """Nanoseconds of one run."""
    started = time.perf_counter_ns()
    run()
    return time.perf_counter_ns() - started
