"""`python -I -S tcp_probe.py INIT-PIDFD PORT TIMEOUT-MS`: does a port of a container's own 127.0.0.1 take connections?

Exit code 0: it does; 1: it does not, and stderr says why; 2: the container's network could not be entered.
It joins the user and network namespaces alone: the files that it sees are the host's.
✗ imports nothing of the package: it is a program of its own.
"""

import ctypes
import os
import socket
import sys

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000


def main(argv: list[str]) -> int:
    """Join, connect once."""
    pidfd, port, timeout_ms = [int(word) for word in argv[1:4]]
    own = os.stat("/proc/self/ns/net")
    with open(f"/proc/self/fdinfo/{pidfd}", encoding="ascii") as file:
        pid = next(line.split()[1] for line in file if line.startswith("Pid:"))
    try:
        theirs = os.stat(f"/proc/{pid}/ns/net")
        if (own.st_dev, own.st_ino) != (theirs.st_dev, theirs.st_ino):  # else it shares the host's
            _join(pidfd)
    except OSError as error:
        sys.stderr.write(f"cannot enter the container's network: {(error.strerror or '').lower()}\n")
        return 2
    try:
        socket.create_connection(("127.0.0.1", port), timeout_ms / 1000).close()
    except OSError as error:
        sys.stderr.write(f"port {port}: {(error.strerror or 'timed out').lower()}\n")
        return 1
    return 0


def _join(pidfd: int) -> None:
    # Both at once: the user namespace grants what the other takes.
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(pidfd, _CLONE_NEWUSER | _CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


if __name__ == "__main__":
    sys.exit(main(sys.argv))
