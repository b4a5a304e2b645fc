"""What is done to a living container's cgroup: freeze, thaw, kill.  ✗ limits, ✗ makes or removes directories."""

from __future__ import annotations

import os
import time

from ..base.errors import Conflict, HostUnsupported

_WAIT_S = 30.0
_SMALL = 4096  # cgroup.events and the freezer say less


def _freezer(directories: tuple[str, ...]) -> tuple[str, str, str]:
    """(file, value that freezes, value that thaws) of the hierarchy that can freeze; raises HostUnsupported."""
    for directory in reversed(directories):  # that of v2 is the last one
        for file, on, off in (("cgroup.freeze", "1", "0"), ("freezer.state", "FROZEN", "THAWED")):
            if os.path.exists(f"{directory}/{file}"):
                return f"{directory}/{file}", on, off
    raise HostUnsupported(
        "the container has no cgroup that can be frozen",
        where="cgroup",
        remedy="run `nucleus doctor`: it says how to get a cgroup delegated",
    )


def is_frozen(directories: tuple[str, ...]) -> bool:
    """Is it to be frozen?  A signal lets a frozen process run a few steps, and for so long it does not count as frozen."""
    for directory in reversed(directories):
        text = _read(f"{directory}/cgroup.freeze") or _read(f"{directory}/freezer.state")
        if text:  # it is the one that `_freezer` takes
            return text.strip() in ("1", "FREEZING", "FROZEN")
    return False


def _stands_still(directories: tuple[str, ...]) -> bool:
    """Are all its processes stopped by now?"""
    texts = [_read(f"{d}/{file}") for d in directories for file in ("cgroup.events", "freezer.state")]
    return any("frozen 1" in text or text.strip() == "FROZEN" for text in texts)


def set_frozen(directories: tuple[str, ...], *, frozen: bool) -> None:
    """Freeze or thaw, and wait until it is so.  Raises HostUnsupported, or Conflict when it does not come about."""
    file, on, off = _freezer(directories)
    _write(file, on if frozen else off)
    deadline = time.monotonic() + _WAIT_S
    while _stands_still(directories) != frozen:
        if not os.path.exists(file):
            return  # the container ended meanwhile: nothing is left to freeze
        if time.monotonic() > deadline:
            _write(file, off)
            raise Conflict("its processes did not stop in time", where="cgroup freezer", remedy="try again")
        time.sleep(0.002)


def kill_all(directories: tuple[str, ...]) -> bool:
    """Kill every process of the cgroup at once (cgroup.kill, Linux 5.14); False where that is not to be had."""
    for directory in directories:
        try:
            _write(f"{directory}/cgroup.kill", "1")
        except OSError:
            continue  # cgroup v1, an older kernel, or gone: another way, or nothing left to kill
        return True
    return False


def _write(path: str, value: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.write(fd, value.encode("ascii"))
    finally:
        os.close(fd)


def _read(path: str) -> str:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(fd, _SMALL).decode("ascii", "replace")
        finally:
            os.close(fd)
    except OSError:
        return ""  # not of this hierarchy, or gone
