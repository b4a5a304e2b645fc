"""Seals a plan in a memfd and starts `nucleus-launch`: by replacing this process, or beside it.  ✗ builds no steps."""

from __future__ import annotations

import fcntl
import os

from ..base.errors import HostUnsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROGRAM = os.path.join(_PACKAGE, "libexec", "nucleus-launch")
MAIN = os.path.join(_PACKAGE, "__main__.py")  # what the command starts with
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


def sealed_origins(log: tuple[str, str], origins: list[str]) -> int:
    """For the reporter, which has no environment: form and file of the message, where the caller's shell looks for
    commands, and the option behind each step.  The caller closes it.
    """
    lines = [*log, os.environ.get("PATH", "").replace("\n", ""), *origins]
    return sealed("nucleus-origins", "\n".join(lines).encode("utf-8", "surrogateescape"))


def sealed_environment(variables: dict[str, str]) -> int:
    """A sealed memory file with what the exec step reads from its slot.  The caller closes it."""
    words = [f"{k}={v}".encode("utf-8", "surrogateescape") + b"\0" for k, v in variables.items()]
    return sealed("nucleus-environment", b"".join(words))


def arguments(
    plan_fd: int, container_id: str, kept: list[int], control_fd: int = -1, *, detached: bool = False
) -> list[str]:
    """argv of the launcher: nothing in it but numbers and the id.  It closes every descriptor that is not among them."""
    control = str(control_fd) if control_fd >= 0 else "-"
    words = ["nucleus-launch", "detach"] if detached else ["nucleus-launch"]
    return [*words, str(plan_fd), control, container_id, *map(str, kept)]


def replace(plan: bytes, container_id: str, slots: list[int], held: list[int]) -> NoReturn:
    """Become the launcher: no interpreter stays in memory while the container runs.

    `held` are descriptors that must stay open for its life (locks).  Raises HostUnsupported if it cannot be executed.
    """
    plan_fd = sealed("nucleus-plan", plan)
    for fd in [plan_fd, *slots, *held]:
        os.set_inheritable(fd, True)
    try:
        os.execve(PROGRAM, arguments(plan_fd, container_id, [*slots, *held]), {})
    except OSError as error:
        raise _cannot_execute(error) from None


class Process:
    """A launcher that runs beside this process.  `wait` must be called once."""

    __slots__ = ("pid",)

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def wait(self) -> None:
        """Reap it.  Its exit code says nothing that its exit record does not say better."""
        try:
            os.waitpid(self.pid, 0)
        except ChildProcessError:
            pass  # the host program ignores SIGCHLD, or reaps whatever it finds


def spawn(
    plan: bytes,
    container_id: str,
    slots: list[int],
    held: list[int],
    control_fd: int,
    streams: tuple[int, int, int],
    *,
    detached: bool = False,
) -> Process:
    """Start the launcher as a child, with `control_fd` as its end of the control socket and these streams.

    detached: the child ends at once; the launcher goes on as nobody's child, in a session of its own.
    By posix_spawn(3), which copies no memory and runs no Python between fork and exec: safe in a program with threads.
    """
    moved: list[int] = []

    def above_streams(fd: int) -> int:
        """The same file at a number that no stream has: a host without streams gets them for its own files."""
        if fd > 2:
            return fd
        moved.append(fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3))
        return moved[-1]

    plan_fd = sealed("nucleus-plan", plan)
    moved.append(plan_fd)
    try:
        kept = [above_streams(fd) for fd in (plan_fd, control_fd, *slots, *held)]
        # Onto itself: that clears close-on-exec (POSIX.1-2024), in the child alone.
        actions = [(os.POSIX_SPAWN_DUP2, fd, fd) for fd in kept]
        actions += [(os.POSIX_SPAWN_DUP2, above_streams(fd), number) for number, fd in enumerate(streams)]
        words = arguments(kept[0], container_id, kept[2:], kept[1], detached=detached)
        return Process(os.posix_spawn(PROGRAM, words, {}, file_actions=actions))
    except OSError as error:
        raise _cannot_execute(error) from None
    finally:
        for fd in moved:
            os.close(fd)


def _cannot_execute(error: OSError) -> HostUnsupported:
    return HostUnsupported(
        f"the launcher cannot be executed: {error.strerror}",
        where=PROGRAM,
        remedy="reinstall nucleus, or in a checkout run `make build`",
    )
