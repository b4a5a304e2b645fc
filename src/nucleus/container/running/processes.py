"""Descriptors of a container's processes (pidfd_open(2)), which no recycled pid can fool.  ✗ signals nobody.

A number from a record says little: the process may have ended, and another may have its pid by now.  So the pidfd is
opened first and the start time read after it: if that is the record's, the pidfd is the process of the record.
"""

from __future__ import annotations

import os

from . import procfile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...state.record import ContainerRecord

_BOOT_ID: list[str] = []  # of this process, which lives through no boot


def is_here(record: ContainerRecord) -> bool:
    """Do the record's pids mean anything to this process: the same boot, the same pid namespace?"""
    return record.pid_namespace == os.stat("/proc/self/ns/pid").st_ino and record.boot_id == boot_id()


def boot_id() -> str:
    """Numbers and start times begin anew with each boot, and a record may lie on a disk."""
    if not _BOOT_ID:
        _BOOT_ID.append(procfile.text("/proc/sys/kernel/random/boot_id").strip())
    return _BOOT_ID[0]


def open_process(pid: int, ticks: int) -> int:
    """A pidfd of the process with that pid and start time; -1 when there is none any more."""
    if pid <= 0:
        return -1
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        return -1
    if start_ticks(pid) == ticks:
        return pidfd
    os.close(pidfd)
    return -1


def start_ticks(pid: int) -> int:
    """Field 22 of /proc/PID/stat; 0 when the process is gone."""
    fields = stat_fields(pid)
    return int(fields[19]) if len(fields) > 19 else 0


def is_alive(pid: int, ticks: int) -> bool:
    """Does the process with that start time run?  One that has ended and was not reaped does not."""
    fields = stat_fields(pid)
    return len(fields) > 19 and int(fields[19]) == ticks and fields[0] not in "ZX"


def open_first_child(init: int, init_ticks: int) -> int:
    """A pidfd of the process with number 2 in the pid namespace of that init: the workload; -1 when it has ended."""
    for pid in _children(init):
        ticks = start_ticks(pid)
        if _inner_pid(pid) != 2:
            continue
        pidfd = open_process(pid, ticks)
        if pidfd < 0:
            continue
        # The child was init's before its pidfd was opened; it still is, and init is still the same process.
        if pid in _children(init) and start_ticks(pid) == ticks and start_ticks(init) == init_ticks:
            return pidfd
        os.close(pidfd)
    return -1


def open_named(pid: int, ticks: int, name: str) -> int:
    """As `open_process`, of a process that runs the program of that name (comm of proc(5)) and has not ended; else -1."""
    try:
        pidfd = os.pidfd_open(pid)
    except (OSError, ValueError):
        return -1
    shown, fields = _stat(pid)
    if shown == name and len(fields) > 19 and int(fields[19]) == ticks and fields[0] not in "ZX":
        return pidfd
    os.close(pidfd)
    return -1


def stat_fields(pid: int) -> list[str]:
    """The words of /proc/PID/stat behind the name, so that field 3 is the first; none when the process is gone."""
    return _stat(pid)[1]


def _stat(pid: int) -> tuple[str, list[str]]:
    """The name, which may hold anything, and the words behind it."""
    try:
        before, _, behind = procfile.text(f"/proc/{pid}/stat").rpartition(")")
    except OSError:
        return "", []
    return before.partition("(")[2], behind.split()


def _children(pid: int) -> list[int]:
    try:
        return [int(word) for word in procfile.text(f"/proc/{pid}/task/{pid}/children").split()]
    except OSError:
        return []


def _inner_pid(pid: int) -> int:
    """Its number in the innermost pid namespace, which is the last of NSpid."""
    try:
        for line in procfile.text(f"/proc/{pid}/status").splitlines():
            if line.startswith("NSpid:"):
                return int(line.split()[-1])
    except OSError:
        pass  # it has ended meanwhile
    return 0
