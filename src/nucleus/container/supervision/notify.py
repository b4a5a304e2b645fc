"""sd_notify(3), both ways: what a container says to its supervisor, and what the supervisor says to its own manager.

The container's socket is a file of its state directory that is mounted inside, so it works from any network namespace.
✗ what follows from a word: `supervisor.py`.
"""

from __future__ import annotations

import os
import socket
from struct import Struct

from ...base.errors import SpecError
from ..running import procfile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...state.record import ContainerRecord

FILE = "notify"
TARGET = "/run/nucleus/notify"
_CREDENTIALS = Struct("iII")  # struct ucred: pid, uid, gid
_MOST = 4096  # NOTIFY_BUFFER_MAX of systemd
_DEPTH = 64
# What is handed on to the manager; MAINPID, descriptors and the like are the supervisor's own.
_RELAYED = frozenset((
    "READY", "RELOADING", "STOPPING", "STATUS", "ERRNO", "WATCHDOG", "EXTEND_TIMEOUT_USEC", "MONOTONIC_USEC",
))  # fmt: skip


def listen(directory: int) -> socket.socket:
    """The socket of a container, in its directory, in place of one of an earlier life."""
    try:
        os.unlink(FILE, dir_fd=directory)
    except FileNotFoundError:
        pass  # it is the first
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        made.bind(
            f"/proc/self/fd/{directory}/{FILE}"
        )  # the state root's own path may be too long for an address
        # Nobody else gets here: the directory is private.  Inside, every user may speak.
        os.chmod(f"/proc/self/fd/{directory}/{FILE}", 0o666)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    except BaseException:
        made.close()
        raise
    return made


def receive(channel: socket.socket, record: ContainerRecord, init_pid: int) -> dict[str, str]:
    """The next message of the container: its assignments; {} when it is nobody's of this container."""
    space = socket.CMSG_SPACE(_CREDENTIALS.size) + socket.CMSG_SPACE(253 * 4)
    try:
        data, ancillary, _, _ = channel.recvmsg(_MOST, space)
    except BlockingIOError:
        return {}
    sender = None
    for level, kind, body in ancillary:
        if level != socket.SOL_SOCKET:
            continue
        if kind == socket.SCM_RIGHTS:
            for at in range(0, len(body) - len(body) % 4, 4):
                os.close(int.from_bytes(body[at : at + 4], "little"))  # descriptors are not taken
        elif kind == socket.SCM_CREDENTIALS:
            sender = _CREDENTIALS.unpack(body[: _CREDENTIALS.size])
    if sender is None or not is_inside(sender[0], sender[1], record, init_pid):
        return {}
    return parse(data)


def parse(data: bytes) -> dict[str, str]:
    """KEY=VALUE lines; what is none is left out."""
    lines = [line.partition("=") for line in data.decode("utf-8", "replace").split("\n")]
    return {key: value for key, equals, value in lines if equals and key.replace("_", "").isalnum()}


def relayed(said: dict[str, str]) -> dict[str, str]:
    """The part that is handed on."""
    return {key: value for key, value in said.items() if key in _RELAYED}


def is_inside(pid: int, uid: int, record: ContainerRecord, init_pid: int) -> bool:
    """Whether a sender belongs to the container: its user is mapped there, and it descends from init if it still lives."""
    if not any([outside <= uid < outside + count for _, outside, count in record.uid_map]):
        return False
    for _ in range(_DEPTH):
        if pid == init_pid:
            return True
        parent = _parent(pid)
        if parent is None:
            return True  # it has said its word and gone, as systemd-notify does
        if parent <= 1:
            return False
        pid = parent
    return False


def _parent(pid: int) -> int | None:
    try:
        return int(procfile.text(f"/proc/{pid}/stat").rpartition(")")[2].split()[1])
    except OSError:
        return None


class Manager:
    """Whoever started this process and wants to be told (Type=notify)."""

    __slots__ = ("_address", "_ready", "watchdog_us")

    def __init__(self, environment: dict[str, str]) -> None:
        """Raises SpecError where nobody wants to."""
        path = environment.get("NOTIFY_SOCKET", "")
        if not path.startswith(("/", "@")) or "/../" in path or path.endswith("/.."):
            raise SpecError(
                "no manager listens: NOTIFY_SOCKET is not set to an absolute path or an abstract name",
                where="--sd-notify", remedy="run it in a unit of Type=notify, or leave the option away",
            )  # fmt: skip
        self._address = "\0" + path[1:] if path.startswith("@") else path
        self._ready = False
        usec = environment.get("WATCHDOG_USEC", "")
        self.watchdog_us = int(usec) if usec.isascii() and usec.isdigit() else 0

    def tell(self, said: dict[str, str]) -> None:
        """Send it; a manager that is gone is told nothing."""
        if "READY" in said and not self._ready:
            self._ready = True
            said = {**said, "MAINPID": str(os.getpid())}
        if not said:
            return
        text = "\n".join([f"{key}={value}" for key, value in said.items()])
        with socket.socket(
            socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        ) as channel:
            try:
                channel.sendto(text.encode("utf-8", "replace"), self._address)
            except OSError:
                return  # it does not listen any more, or has more to read than it can hold
