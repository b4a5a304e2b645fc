"""Starts `nucleus-trace`, which answers and records the calls that a container's filter asks about.

✗ which filter: `policy/seccomp_trace.py`.  ✗ reads what it wrote.
"""

from __future__ import annotations

import os
from socket import AF_UNIX, SOCK_CLOEXEC, SOCK_SEQPACKET, socketpair

from ..base.errors import HostUnsupported
from . import launcher

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROGRAM = os.path.join(_PACKAGE, "libexec", "nucleus-trace")


def start(how: str, tables: bytes, program: bytes, *, log: int, denied: int) -> int:
    """The launcher's end of the channel by which the tracer learns whom to hear.  Raises HostUnsupported.

    how           attach: to the workload; listen: to what the filter refuses
    program       the filter
    log, denied   descriptors that are appended to, which stay the caller's; -1 for none
    The tracer is nobody's child afterwards; it ends with the last process that it hears, or with the channel.
    """
    ours, theirs = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC)
    given = launcher.sealed("nucleus-filter", tables + program)
    try:
        _spawn(how, theirs.fileno(), given, log, denied)
        return ours.detach()
    finally:
        os.close(given)
        theirs.close()
        ours.close()


def _spawn(how: str, channel: int, given: int, log: int, denied: int) -> None:
    import subprocess

    arguments = ["nucleus-trace", how, *[str(max(fd, 0)) for fd in (channel, given, log, denied)]]
    try:
        done = subprocess.run(
            arguments, executable=PROGRAM, env={}, cwd="/", check=False,
            pass_fds=[fd for fd in (channel, given, log, denied) if fd > 0],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    except OSError as error:
        raise HostUnsupported(
            f"the tracer cannot be executed: {(error.strerror or '').lower()}", where=PROGRAM,
            remedy="reinstall nucleus, or in a checkout run `make build`",
        ) from None  # fmt: skip
    if done.returncode:
        raise HostUnsupported(
            "the tracer does not take the filter", where=PROGRAM, remedy="run `nucleus doctor`"
        )
