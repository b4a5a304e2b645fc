"""Containers whose calls are recorded: the tracer beside a launch, and the files it writes.

✗ reads them: `denials.py`, `policy/seccomp_record.py`.
"""

from __future__ import annotations

import os

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
            _refuse_in_reach(spec)
            opened.append(log := _open_log(spec.seccomp_log))
        if spec.seccomp_log_denied:
            opened.append(denied := os.open(DENIED, _APPENDED, 0o600, dir_fd=state.fd))
        how = "attach" if plan.steps_of("attach-tracer") else "listen"
        return tracer.start(how, tables(arch), program, log=log, denied=denied)
    finally:
        for fd in opened:
            os.close(fd)


def _refuse_in_reach(spec: ContainerSpec) -> None:
    """A record that the command can write to is none."""
    path = os.path.realpath(spec.seccomp_log)
    written = [volume.source for volume in (*spec.volumes, *spec.provider_config_rw) if not volume.read_only]
    if spec.workspace and spec.workspace_mode != "bind-ro":
        written.append(spec.workspace)
    for source in written:
        real = os.path.realpath(source)
        if path == real or path.startswith(real.rstrip("/") + "/"):
            raise SpecError(
                f"the command itself could write to {spec.seccomp_log}: it lies in {source}", where="--seccomp-log",
                remedy="name a file outside of what the container may write to",
            )  # fmt: skip


def _open_log(path: str) -> int:
    try:
        return os.open(path, _APPENDED, 0o600)
    except OSError as error:
        raise SpecError(
            f"{path} cannot be written: {(error.strerror or '').lower()}", where="--seccomp-log",
            remedy="name a file that you may write",
        ) from None  # fmt: skip


def open_denied(prepared: Prepared) -> int:
    """What the tracer of that launch writes about refusals, for reading; it outlives the container's directory."""
    assert prepared.state is not None
    return os.open(DENIED, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=prepared.state.fd)
