"""What a living cgroup says of itself: counters, and the limits that hold now.  v1 and v2 alike.

Files are read below open descriptors of the container's own directories; which of them exist decides the version.
✗ changes nothing (`change.py`), ✗ which directories (the record says).
"""

from __future__ import annotations

import os
from errno import ENODEV, ENOENT, EOPNOTSUPP

from ..base.errors import HostUnsupported
from ..base.value import Value
from ..spec.resources import IoLimit
from .limits import PERIOD_US

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

# What cgroup v1 shows where there is no limit: the largest multiple of a page.
_V1_UNLIMITED = 1 << 62
_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Held(Value):
    """The limits that hold now; None: none.  A checkpoint stores this.

    cpu_quota_us   per period of 100,000 µs, whatever period the kernel has it in
    swap_bytes     beside the memory
    """

    memory_bytes: int | None = None
    memory_high_bytes: int | None = None
    swap_bytes: int | None = None
    cpu_quota_us: int | None = None
    cpu_weight: int | None = None
    pids: int | None = None
    io: tuple[IoLimit, ...] = ()


class Usage(Value):
    """Counters; None: nobody counts it here (no such controller)."""

    cpu_us: int | None = None
    memory_bytes: int | None = None
    memory_peak_bytes: int | None = None
    swap_bytes: int | None = None
    pids: int | None = None
    io_read_bytes: int | None = None
    io_write_bytes: int | None = None
    oom_kills: int | None = None
    pids_denied: int | None = None


class Measured(Value):
    """One look at a container's cgroups."""

    held: Held
    usage: Usage


class Cgroups:
    """Open directories of one container, one per hierarchy; `close` lets go of them.

    Raises HostUnsupported when none of them exists: the container has no cgroup, or has ended.
    """

    __slots__ = ("fds", "paths")

    def __init__(self, paths: tuple[str, ...]) -> None:
        self.fds: list[int] = []
        self.paths: list[str] = []
        for path in paths:
            try:
                self.fds.append(os.open(path, _DIRECTORY))
            except OSError as error:
                if error.errno not in (ENOENT, ENODEV):
                    self.close()
                    raise
                continue
            self.paths.append(path)
        if not self.fds:
            raise HostUnsupported(
                "the container has no cgroup: nothing is counted and nothing can be limited",
                where="cgroup",
                remedy="run `nucleus doctor`: it says how to get a cgroup delegated",
            )

    def close(self) -> None:
        """Let go of the directories."""
        for fd in self.fds:
            os.close(fd)
        self.fds = []

    def find(self, file: str) -> int | None:
        """The directory that has this file."""
        for fd in self.fds:
            try:
                os.stat(file, dir_fd=fd, follow_symlinks=False)
            except OSError:
                continue
            return fd
        return None

    def read(self, file: str) -> str | None:
        """A file's text; None where no hierarchy has it, or the cgroup is gone."""
        for fd in self.fds:
            try:
                at = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
            except OSError as error:
                if error.errno in (ENOENT, ENODEV):
                    continue
                raise
            try:
                parts = []
                while part := os.read(at, 1 << 16):
                    parts.append(part)
                return b"".join(parts).decode("ascii")
            except OSError as error:
                if error.errno not in (ENODEV, EOPNOTSUPP):
                    raise
            finally:
                os.close(at)
        return None

    def write(self, directory: int, file: str, value: str) -> None:
        """Write a limit.  Raises OSError."""
        fd = os.open(file, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
        try:
            os.write(fd, value.encode("ascii"))
        finally:
            os.close(fd)

    def members(self) -> set[int]:
        """Host pids of all processes inside, those of cgroups below included."""
        found: set[int] = set()
        for path in self.paths:
            for top, _, files in os.walk(path):
                if "cgroup.procs" in files:
                    found |= _pids(f"{top}/cgroup.procs")
        return found - {0}


def _pids(path: str) -> set[int]:
    try:
        with open(path, encoding="ascii") as file:
            return {int(line) for line in file.read().split()}
    except OSError:
        return set()  # a threaded cgroup, or gone


def measure(paths: tuple[str, ...]) -> Measured:
    """Open, read, close.  Raises HostUnsupported where there is no cgroup (any more)."""
    groups = Cgroups(paths)
    try:
        return Measured(held=held(groups.read), usage=usage(groups.read))
    finally:
        groups.close()


def held(read: Callable[[str], str | None]) -> Held:
    """The limits.  `read`: file name → its text, or None.  Raises HostUnsupported for what no kernel writes."""
    v2 = _limit(read("memory.max"))
    maximum = v2 if v2 is not None else _v1_limit(read("memory.limit_in_bytes"))
    swap = _limit(read("memory.swap.max"))
    both = _v1_limit(read("memory.memsw.limit_in_bytes"))
    if both is not None:
        swap = max(0, both - (maximum or 0))
    return Held(
        memory_bytes=maximum,
        memory_high_bytes=_limit(read("memory.high")),
        swap_bytes=swap,
        cpu_quota_us=_quota(read),
        cpu_weight=_weight(read),
        pids=_limit(read("pids.max")),
        io=_io_limits(read),
    )


def usage(read: Callable[[str], str | None]) -> Usage:
    """The counters."""
    memory = _number(read("memory.current"))
    swap = _number(read("memory.swap.current"))
    if memory is None:
        memory = _number(read("memory.usage_in_bytes"))
        both = _number(read("memory.memsw.usage_in_bytes"))
        swap = max(0, both - memory) if both is not None and memory is not None else None
    peak = _number(read("memory.peak"))
    cpu = _keyed(read("cpu.stat"), "usage_usec")
    if cpu is None and (nanoseconds := _number(read("cpuacct.usage"))) is not None:
        cpu = nanoseconds // 1000
    reads, writes = _io_bytes(read)
    ooms = _keyed(read("memory.events"), "oom_kill")
    return Usage(
        cpu_us=cpu,
        memory_bytes=memory,
        memory_peak_bytes=peak if peak is not None else _number(read("memory.max_usage_in_bytes")),
        swap_bytes=swap,
        pids=_number(read("pids.current")),
        io_read_bytes=reads,
        io_write_bytes=writes,
        oom_kills=ooms if ooms is not None else _keyed(read("memory.oom_control"), "oom_kill"),
        pids_denied=_keyed(read("pids.events"), "max"),
    )


def _number(text: str | None) -> int | None:
    word = (text or "").strip()
    return int(word) if word.isdigit() else None


def _limit(text: str | None) -> int | None:
    """A number; None for "max" and for what is not there."""
    return _number(text)


def _v1_limit(text: str | None) -> int | None:
    number = _number(text)
    return None if number is None or number >= _V1_UNLIMITED else number


def _keyed(text: str | None, key: str) -> int | None:
    """A line of a flat-keyed file."""
    for line in (text or "").splitlines():
        words = line.split()
        if len(words) == 2 and words[0] == key:
            return int(words[1])
    return None


def _quota(read: Callable[[str], str | None]) -> int | None:
    """cpu.max is "QUOTA PERIOD", with "max" for none; v1 has two files, with -1 for none."""
    text = read("cpu.max")
    if text is not None:
        quota_word, _, period_word = text.strip().partition(" ")
    else:
        quota_word = (read("cpu.cfs_quota_us") or "max").strip()
        period_word = (read("cpu.cfs_period_us") or str(PERIOD_US)).strip()
    if quota_word in ("max", "-1"):
        return None
    quota, period = _number(quota_word), _number(period_word)
    if not quota or not period:
        raise HostUnsupported(
            f"the kernel tells a processor limit of {quota_word} in {period_word or 'no'} µs",
            where="cpu.max",
            remedy="this is a bug: please report it with `nucleus doctor --format json`",
        )
    return quota * PERIOD_US // period


def _weight(read: Callable[[str], str | None]) -> int | None:
    weight = _number(read("cpu.weight"))
    if weight is not None:
        return weight
    shares = _number(read("cpu.shares"))
    return None if shares is None else max(1, min(10_000, (shares * 100 + 512) // 1024))


_V1_IO = (
    ("rbps", "blkio.throttle.read_bps_device"), ("wbps", "blkio.throttle.write_bps_device"),
    ("riops", "blkio.throttle.read_iops_device"), ("wiops", "blkio.throttle.write_iops_device"),
)  # fmt: skip


def _io_limits(read: Callable[[str], str | None]) -> tuple[IoLimit, ...]:
    found: dict[tuple[int, int], dict[str, int]] = {}
    for line in (read("io.max") or "").splitlines():
        device, *pairs = line.split()
        values = dict(pair.split("=") for pair in pairs)
        found[_device(device)] = {k: int(v) for k, v in values.items() if v != "max"}
    for key, file in _V1_IO:
        for line in (read(file) or "").splitlines():
            device, value = line.split()
            found.setdefault(_device(device), {})[key] = int(value)
    return tuple([IoLimit(major=a, minor=b, **v) for (a, b), v in sorted(found.items()) if v])


def _device(text: str) -> tuple[int, int]:
    major, _, minor = text.partition(":")
    return int(major), int(minor)


def _io_bytes(read: Callable[[str], str | None]) -> tuple[int | None, int | None]:
    """Bytes read and written, of all devices."""
    text = read("io.stat")
    if text is not None:
        totals = {"rbytes": 0, "wbytes": 0}
        for line in text.splitlines():
            for word in line.split()[1:]:
                key, _, value = word.partition("=")
                if key in totals and value.isdigit():
                    totals[key] += int(value)
        return totals["rbytes"], totals["wbytes"]
    text = read("blkio.throttle.io_service_bytes_recursive") or read("blkio.throttle.io_service_bytes")
    if text is None:
        return None, None
    old = {"Read": 0, "Write": 0}
    for line in text.splitlines():
        words = line.split()
        if len(words) == 3 and words[1] in old:
            old[words[1]] += int(words[2])
    return old["Read"], old["Write"]
