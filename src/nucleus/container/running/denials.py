"""What was refused to a container: what its tracer wrote, what its counters say, and what nobody can tell.

✗ judges (`policy/refusals.py`), ✗ prints (`cli/why.py`).
"""

from __future__ import annotations

import os

from ...base.errors import SpecError
from ...base.value import Value
from ...policy.refusals import CGROUP, SECCOMP, Denial, of_calls, of_files, of_landlock
from ...policy.seccomp_record import Record, merged, read
from ...state.store import read_file
from ..inputs.policies import read_policy
from . import processes
from .stored import spec_of
from .traced import DENIED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...launch.report import ExitRecord
    from ...spec.container import ContainerSpec
    from .handle import Handle

_SIGSYS = 31
_MOST = 64 << 20
_AUDIT_LOG = "/var/log/audit/audit.log"


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
            "files and addresses: mounts and the network keep no record of what they refuse; a run with "
            "--seccomp-mode trace tells what the program asked for"
        )
    elif trace is None:
        unknown.append(f"{spec.seccomp_log} cannot be read: it was moved, or belongs to somebody else")
    files = of_files(record, spec)
    if spec.landlock_policy and record.uses:
        files += _of_policy(record, spec, unknown)
    files += _of_audit(handle, spec, unknown)
    calls = of_calls(trace if trace is not None else record, spec)
    return Report(
        denials=(*calls, *files, *_of_end(handle.ended, told=bool(calls)), *_of_living(handle)),
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
    return (*found, *_of_counters(ended.pids_denied, ended.oom_kills))


def _of_counters(processes_denied: int, killed: int) -> tuple[Denial, ...]:
    found = []
    if processes_denied:
        found.append(Denial(
            layer=CGROUP, what="a new process or thread", rule="the limit of processes was reached", remedy="--pids N",
            count=processes_denied,
        ))  # fmt: skip
    if killed:
        found.append(Denial(
            layer=CGROUP, what="memory", rule="the limit of memory was reached, and a process was killed",
            remedy="--memory SIZE", count=killed,
        ))  # fmt: skip
    return tuple(found)


def _of_policy(record: Record, spec: ContainerSpec, unknown: list[str]) -> tuple[Denial, ...]:
    """The policy is read anew: with its hash it is the one that held, without it may be another by now."""
    from ...policy.landlock_policy import parse

    file = spec.landlock_policy
    try:
        return of_landlock(
            record, parse(read_policy(file, "--landlock-policy", spec.landlock_policy_sha256), file), file
        )
    except SpecError as error:
        unknown.append(f"what Landlock refused: {error.message}")
        return ()


def _of_audit(handle: Handle, spec: ContainerSpec, unknown: list[str]) -> tuple[Denial, ...]:
    """What Landlock refused, where a kernel of ABI 7 has written it to the machine's audit log, and that can be read."""
    from ...host.probe import probe
    from ...policy import landlock
    from ...policy.landlock_audit import of_audit

    record, abi = handle.record, probe().kernel.landlock_abi
    if record is None or "landlock" in record.degraded:
        return ()
    if abi < landlock.LOG_ABI:
        unknown.append(
            f"what Landlock refused: this kernel's ABI {abi} logs nothing, ABI {landlock.LOG_ABI} does"
        )
        return ()
    if not spec.asks_about_calls:
        unknown.append("what Landlock refused: nobody asked the kernel to log it; add --seccomp-log-denied")
        return ()
    try:
        with open(_AUDIT_LOG, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _MOST))
            text = file.read(_MOST).decode("utf-8", "replace")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        unknown.append(
            f"what Landlock refused: a machine that audits has it in {_AUDIT_LOG}, which cannot be read: {reason}"
        )
        return ()
    until_s = handle.ended.finished_ns / 1e9 + 1 if handle.ended is not None else float("inf")
    ranges = [range(outside, outside + count) for _, outside, count in record.uid_map]
    return of_audit(text, lambda uid: any(uid in one for one in ranges), record.created_ns / 1e9 - 1, until_s)


def _of_living(handle: Handle) -> tuple[Denial, ...]:
    """What the counters of a container say that has not ended: its exit record will have them."""
    if handle.ended is not None or handle.record is None or not processes.is_here(handle.record):
        return ()
    counted = {"max": 0, "oom_kill": 0}
    for cgroup in handle.record.cgroups:
        for file, key in (
            ("pids.events", "max"),
            ("memory.events", "oom_kill"),
            ("memory.oom_control", "oom_kill"),
        ):
            counted[key] += _counter(f"{cgroup}/{file}", key)
    return _of_counters(counted["max"], counted["oom_kill"])


def _counter(path: str, key: str) -> int:
    try:
        with open(path, encoding="ascii") as file:
            words = [line.split() for line in file]
    except OSError:
        return 0  # another hierarchy, or a limit that nobody asked for
    return next((int(row[1]) for row in words if row[:1] == [key]), 0)


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
