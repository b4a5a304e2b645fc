"""What was refused to a container: what its tracer wrote, what its counters say, and what nobody can tell.

✗ judges (`policy/refusals.py`), ✗ prints (`cli/why.py`).
"""

from __future__ import annotations

import os

from ..base.errors import SpecError
from ..base.value import Value
from ..policy.refusals import CGROUP, SECCOMP, Denial, of_calls, of_files
from ..policy.seccomp_record import Record, merged, read
from ..state.store import read_file
from .stored import spec_of
from .traced import DENIED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..launch.report import ExitRecord
    from ..spec.container import ContainerSpec
    from .handle import Handle

_SIGSYS = 31
_MOST = 64 << 20


class Report(Value):
    """`denials`, and `unknown`: what could not be found out, each with what would tell."""

    denials: tuple[Denial, ...]
    unknown: tuple[str, ...] = ()


def report(handle: Handle) -> Report:
    """All that is known of one container.  Raises SpecError where its record was changed by somebody."""
    spec = _spec(handle)
    if spec is None:
        return Report(denials=_of_end(handle.ended), unknown=("the container's record is not complete",))
    records, unknown = [], []
    if spec.seccomp_log_denied:
        records.append(read((read_file(handle.fd, DENIED) or b"").decode(), DENIED))
    trace = _trace(spec)
    if trace is not None:
        records.append(trace)
    record = merged(tuple(records)) if records else Record(calls=())
    if not spec.asks_about_calls:
        unknown.append("system calls: nobody recorded those that were refused; add --seccomp-log-denied")
    if spec.seccomp_mode != "trace":
        unknown.append(
            "files and addresses: mounts, Landlock and the network keep no record of what they refuse; a run with "
            "--seccomp-mode trace tells what the program asked for"
        )
    elif trace is None:
        unknown.append(f"{spec.seccomp_log} cannot be read: it was moved, or belongs to somebody else")
    calls = of_calls(trace if trace is not None else record, spec)
    return Report(
        denials=(*calls, *of_files(record, spec), *_of_end(handle.ended, told=bool(calls))),
        unknown=tuple(unknown),
    )


def denials_of(text: str, spec: ContainerSpec, ended: ExitRecord) -> tuple[Denial, ...]:
    """For a `Result`: from what the tracer wrote, and from how it ended."""
    calls = of_calls(read(text, DENIED), spec) if text else ()
    return (*calls, *_of_end(ended, told=bool(calls)))


def read_all(fd: int) -> str:
    """The whole of a file that a tracer has written, from its beginning."""
    parts = []
    at = 0
    while at < _MOST and (part := os.pread(fd, 1 << 20, at)):
        parts.append(part)
        at += len(part)
    return b"".join(parts).decode()


def _of_end(ended: ExitRecord | None, *, told: bool = False) -> tuple[Denial, ...]:
    if ended is None:
        return ()
    found = []
    if ended.signal == _SIGSYS and not told:
        found.append(Denial(
            layer=SECCOMP, what="a system call that the profile kills for", rule="which one, nobody has recorded",
            remedy="run it with --seccomp-log-denied to learn which",
        ))  # fmt: skip
    if ended.pids_denied:
        found.append(Denial(
            layer=CGROUP, what="a new process or thread", rule="the limit of processes was reached", remedy="--pids N",
            count=ended.pids_denied,
        ))  # fmt: skip
    if ended.oom_kills:
        found.append(Denial(
            layer=CGROUP, what="memory", rule="the limit of memory was reached, and a process was killed",
            remedy="--memory SIZE", count=ended.oom_kills,
        ))  # fmt: skip
    return tuple(found)


def _spec(handle: Handle) -> ContainerSpec | None:
    if handle.record is None:
        return None
    try:
        return spec_of(handle.record.spec)
    except TypeError:
        return None


def _trace(spec: ContainerSpec) -> Record | None:
    if spec.seccomp_mode != "trace":
        return None
    try:
        fd = os.open(spec.seccomp_log, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return read(read_all(fd), spec.seccomp_log)
    except SpecError:
        return None
    finally:
        os.close(fd)
