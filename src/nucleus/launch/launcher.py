"""Seals a plan in a memfd and starts `nucleus-launch`: by replacing this process, or beside it.  ✗ builds no steps."""

from __future__ import annotations

import fcntl
import os

from ..base.errors import HostUnsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from subprocess import Popen
    from typing import NoReturn

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROGRAM = os.path.join(_PACKAGE, "libexec", "nucleus-launch")
REPORTER = os.path.join(_PACKAGE, "cli", "reporter.py")
_F_ADD_SEALS, _ALL_SEALS = 1033, 0xF  # SEAL, SHRINK, GROW, WRITE


def sealed(name: str, data: bytes) -> int:
    """A memfd with these bytes that nobody can change any more; the caller closes it."""
    fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        fcntl.fcntl(fd, _F_ADD_SEALS, _ALL_SEALS)
    except BaseException:
        os.close(fd)
        raise
    return fd


def environment_bytes(environment: dict[str, str]) -> bytes:
    """What the exec step reads from its slot."""
    return b"".join([f"{k}={v}".encode("utf-8", "surrogateescape") + b"\0" for k, v in environment.items()])


def arguments(plan_fd: int, container_id: str, slots: list[int], control_fd: int = -1) -> list[str]:
    """argv of the launcher: nothing in it but numbers and the id."""
    control = str(control_fd) if control_fd >= 0 else "-"
    return ["nucleus-launch", str(plan_fd), control, container_id, *[str(fd) for fd in slots]]


def replace(plan: bytes, container_id: str, slots: list[int], held: list[int]) -> NoReturn:
    """Become the launcher: no interpreter stays in memory while the container runs.

    `held` are descriptors that must stay open for its life (locks).  Raises HostUnsupported if it cannot be executed.
    """
    plan_fd = sealed("nucleus-plan", plan)
    for fd in [plan_fd, *slots, *held]:
        os.set_inheritable(fd, True)
    try:
        os.execve(PROGRAM, arguments(plan_fd, container_id, slots), {})
    except OSError as error:
        raise _cannot_execute(error) from None


def spawn(
    plan: bytes,
    container_id: str,
    slots: list[int],
    held: list[int],
    control_fd: int,
    streams: tuple[int, int, int],
) -> Popen[bytes]:
    """Start the launcher as a child, with `control_fd` as its end of the control socket and these streams."""
    import subprocess

    plan_fd = sealed("nucleus-plan", plan)
    try:
        return subprocess.Popen(
            arguments(plan_fd, container_id, slots, control_fd), executable=PROGRAM, env={},
            stdin=streams[0], stdout=streams[1], stderr=streams[2],
            pass_fds=(plan_fd, control_fd, *slots, *held),
        )  # fmt: skip
    except OSError as error:
        raise _cannot_execute(error) from None
    finally:
        os.close(plan_fd)


def _cannot_execute(error: OSError) -> HostUnsupported:
    return HostUnsupported(
        f"the launcher cannot be executed: {error.strerror}",
        where=PROGRAM,
        remedy="reinstall nucleus, or in a checkout run `make build`",
    )
