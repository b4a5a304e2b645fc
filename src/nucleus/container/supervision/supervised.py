"""Starts the supervisor of a detached container as a process of its own, and hears from it.  ✗ supervises: `supervisor.py`.

The spec goes in by a sealed memory file, so that no value of it stands in an argument; the answer comes by a socket.
"""

from __future__ import annotations

import os
import socket
import sys
import time

from ...base.errors import Conflict, LaunchError, SpecError
from ...base.jsontext import dumps
from ...launch import launcher
from ...spec import rules
from ...state.store import is_locked
from ..running import stored
from ..running.processes import is_alive
from . import record as supervision
from .restart import NO

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from ...spec.container import ContainerSpec
    from ..running.handle import Handle

_MOST = 1 << 20
_LAST_WORD_S = 30.0
_ENVIRONMENT = (
    "NUCLEUS_STATE_DIR",
    "XDG_RUNTIME_DIR",
    "HOME",
    "PATH",
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "CREDENTIALS_DIRECTORY",
)


def refuse() -> NoReturn:
    """Of a call that waits for the end itself: nothing would supervise.  Raises SpecError."""
    raise SpecError(
        "health checks, readiness, restarts, --pid-file and --cidfile are for containers that outlive the call",
        where="run", remedy="use nucleus.Container.run(...), or leave them away",
    )  # fmt: skip


def create(spec: ContainerSpec, handle: Handle | None = None) -> str:
    """Start a supervisor; it makes the container, or with `handle` starts that one once more, up to the gate.

    Returns the container's id.  Raises LaunchError with the supervisor's own words.
    """
    return _order(spec, handle, adopt=False)


def adopt(spec: ContainerSpec, handle: Handle) -> None:
    """Start a supervisor for a container that runs.  Raises LaunchError with the supervisor's own words."""
    _order(spec, handle, adopt=True)


def require_supervisor(handle: Handle, policy: str) -> None:
    """See to it that somebody starts the container again as the policy says.  Raises SpecError, Conflict, LaunchError.

    A supervisor that is there reads the policy when a life has ended; else one comes for what runs detached.
    """
    record = handle.record
    assert record is not None
    if _has_one(handle) or policy == NO:
        return
    if record.remove:
        raise SpecError(
            "cannot restart what --rm removes", where="--restart", remedy="create it without --rm"
        )
    if record.detached != "none":
        raise Conflict(
            f"container {handle.name} belongs to "
            + (f"the unit {record.detached}" if record.detached else "whoever runs it in the foreground"),
            where="--restart",
            remedy="start it with --restart, or with -d --detach-with none",
        )
    adopt(_restarting(handle, policy), handle)


def _restarting(handle: Handle, policy: str) -> ContainerSpec:
    assert handle.record is not None
    spec = stored.load(handle.fd, handle.name)
    return rules.require(
        spec.replace(
            name=handle.record.name, state_root=handle.store.path, detach=True, restart=policy,
            explicit=(*spec.explicit, "restart"),
        )
    )  # fmt: skip


def _has_one(handle: Handle) -> bool:
    known = supervision.read(handle.fd)
    return known is not None and known.phase != supervision.ENDED and is_alive(known.pid, known.ticks)


def _order(spec: ContainerSpec, handle: Handle | None, *, adopt: bool) -> str:
    kept: list[int] = []
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        try:
            wanted = _with_environment(spec, kept)
            order: dict[str, Any] = {
                "adopt": adopt, "spec": stored.fields(wanted), "id": handle.id if handle is not None else "",
                "created_ns": handle.record.created_ns if handle is not None and handle.record else 0,
            }  # fmt: skip
            kept.append(launcher.sealed("nucleus-order", dumps(order).encode()))
            words = [
                sys.executable,
                "-I",
                "-S",
                launcher.MAIN,
                "supervise",
                str(theirs.fileno()),
                str(kept[-1]),
            ]
            _spawn(
                words,
                [theirs.fileno(), *kept, *[fd for fd in (spec.events_fd, spec.secrets_fd) if fd is not None]],
            )
        finally:
            for fd in kept:
                os.close(fd)
        theirs.close()
        return _answer(ours)


def _with_environment(spec: ContainerSpec, kept: list[int]) -> ContainerSpec:
    """Values that came by a descriptor are read once, and kept where they can be read for each life."""
    if spec.env_fd is None:
        return spec
    with os.fdopen(spec.env_fd, "rb", closefd=False) as file:
        kept.append(launcher.sealed("nucleus-values", file.read()))
    os.lseek(kept[-1], 0, os.SEEK_SET)
    return spec.replace(env_fd=kept[-1])


def _spawn(words: list[str], inherited: list[int]) -> None:
    actions: list[Any] = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in range(3)]
    actions += [(os.POSIX_SPAWN_DUP2, fd, fd) for fd in inherited]  # onto itself: that clears close-on-exec
    environment = {k: v for k, v in os.environ.items() if k in _ENVIRONMENT}
    pid = os.posix_spawn(words[0], words, environment, file_actions=actions, setsid=True)
    # It leaves a child of its own behind, so that nobody here has to see its end.
    os.waitpid(pid, 0)


def _answer(ours: socket.socket) -> str:
    data = ours.recv(_MOST)
    if not data:
        raise LaunchError(
            "the supervisor ended without a word",
            where="supervisor",
            remedy="it was killed from outside; try again",
        )
    import json

    said = json.loads(data)
    if "error" in said:
        raise LaunchError(
            said["error"], where=said["where"], remedy=said["remedy"], exit_code=said["exit_code"]
        )
    return str(said["id"])


def await_last_word(handle: Handle, finished_ns: int) -> str:
    """Until the supervisor of a container that could not be started has said that no other start follows; its sentence."""
    deadline = time.monotonic() + _LAST_WORD_S
    while is_locked(handle.fd) and time.monotonic() < deadline:
        known = supervision.read(handle.fd)
        if known is not None and known.phase == supervision.ENDED:
            return known.error(finished_ns)
        time.sleep(0.002)
    return ""


def await_ready(handle: Handle) -> None:
    """Until a container that has been let go is ready.  Raises LaunchError where it will not be."""
    while True:
        alive = is_locked(handle.fd)
        known = supervision.read(handle.fd)
        if known is not None and known.phase == supervision.ENDED:
            alive = False  # no other life follows, whatever the supervisor still has to do
        if known is not None and known.ready_error:
            raise supervision.not_ready(known.ready_error)
        if known is not None and known.ready:
            return
        if not alive:
            raise Conflict(
                f"container {handle.name} ended before it was ready",
                where="nucleus start", remedy="nucleus ps -a and nucleus logs show how it ended",
            )  # fmt: skip
        time.sleep(0.01)
