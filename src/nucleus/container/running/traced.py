"""Containers whose calls are recorded: the tracer beside a launch, and the files it writes.

✗ reads them: `denials.py`, `policy/seccomp_record.py`.
"""

from __future__ import annotations

import os
from stat import S_ISREG

from ...base.errors import SpecError
from ...launch import tracer
from ...policy.seccomp_trace import tables

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...spec.container import ContainerSpec
    from ..prepared import Prepared

# In a container's directory: what was refused.
DENIED = "denied.jsonl"
_APPENDED = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def start(prepared: Prepared, spec: ContainerSpec, arch: str) -> int:
    """The channel of a tracer for that launch; a launch that is only explained has none.  Raises NucleusError."""
    request, plan, state = prepared.request, prepared.plan, prepared.state
    assert plan is not None and state is not None
    # What is made of a template, as the SDK does, has no request: it is started always.
    if request is not None and not request.owner and not request.reporter:
        return os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    (step,) = plan.steps_of("trace-seccomp") or plan.steps_of("set-seccomp")
    program = step["program"]
    assert isinstance(program, bytes)
    opened: list[int] = []
    try:
        log = denied = -1
        if spec.seccomp_mode == "trace":
            opened.append(log := _open_log(spec))
        if spec.seccomp_log_denied:
            opened.append(denied := os.open(DENIED, _APPENDED, 0o600, dir_fd=state.fd))
        how = "attach" if plan.steps_of("attach-tracer") else "listen"
        return tracer.start(how, tables(arch), program, log=log, denied=denied)
    finally:
        for fd in opened:
            os.close(fd)


def _open_log(spec: ContainerSpec) -> int:
    """For appending.  A record that the command can write to is none: Raises SpecError for one in its reach."""
    given = os.path.abspath(spec.seccomp_log)
    sources = _written(spec)
    folder = -1
    try:
        folder = os.open(os.path.dirname(given), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        _refuse_in_reach(spec, sources, os.path.dirname(given), folder)
        log = os.open(os.path.basename(given), _APPENDED, 0o600, dir_fd=folder)
    except OSError as error:
        raise SpecError(
            f"{spec.seccomp_log} cannot be written: {(error.strerror or '').lower()}", where="--seccomp-log",
            remedy="name a file that you may write",
        ) from None  # fmt: skip
    finally:
        if folder >= 0:
            os.close(folder)
    known = os.fstat(log)
    why = ""
    if (known.st_dev, known.st_ino) in sources:
        why = "is one of its volumes"
    elif S_ISREG(known.st_mode) and known.st_nlink > 1:
        why = "has other names, of which one may lie in its reach"
    if why:
        os.close(log)
        raise _in_reach(spec, why)
    return log


def _written(spec: ContainerSpec) -> dict[tuple[int, int], str]:
    """Device and inode of what the command may write to → its path."""
    paths = [volume.source for volume in (*spec.volumes, *spec.provider_config_rw) if not volume.read_only]
    if spec.workspace and spec.workspace_mode != "bind-ro":
        paths.append(spec.workspace)
    return {(known.st_dev, known.st_ino): path for path in paths if (known := _look(path))}


def _refuse_in_reach(
    spec: ContainerSpec, sources: dict[tuple[int, int], str], path: str, folder: int
) -> None:
    """Neither the directory itself nor one that leads to it may be what the command writes to, by whatever name."""
    for way in (path, os.readlink(f"/proc/self/fd/{folder}")):
        while True:
            known = _look(way)
            source = sources.get((known.st_dev, known.st_ino)) if known else None
            if source is not None:
                raise _in_reach(spec, f"lies in {source}")
            if way in ("/", ""):
                break
            way = os.path.dirname(way)


def _look(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:
        return None


def _in_reach(spec: ContainerSpec, why: str) -> SpecError:
    return SpecError(
        f"the command itself could write to {spec.seccomp_log}: it {why}", where="--seccomp-log",
        remedy="name a file outside of what the container may write to",
    )  # fmt: skip


def open_denied(prepared: Prepared) -> int:
    """What the tracer of that launch writes about refusals, for reading; it outlives the container's directory."""
    assert prepared.state is not None
    return os.open(DENIED, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=prepared.state.fd)
