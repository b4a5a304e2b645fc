"""`nucleus run` without supervision: prepare, then become the launcher.  ✗ what is prepared: `prepare.py`."""

from __future__ import annotations

import os
import sys
from stat import S_ISDIR

from ..base.errors import SpecError
from ..base.jsontext import dumps
from ..launch import launcher
from ..state.store import write_file
from .prepare import prepare

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from ..spec.container import ContainerSpec
    from .prepared import Prepared
    from .reuse.again import Asked


def run_in_place(spec: ContainerSpec, asked: Asked | None = None) -> NoReturn:
    """Replace this process by the container's monitor; its exit code is the container's.  Raises NucleusError.

    asked: the command line, where its plan may be kept for the next like it.
    """
    refuse_directory_streams()
    refuse_unusable_channels(spec)
    reporter = (sys.executable, "-I", "-S", launcher.REPORTER)
    channel = _console(spec)
    prepared = prepare(spec, reporter=reporter, console=(channel, (0, 0)))
    if not prepared.store.holds_only(prepared.id):
        from .running.sweep import sweep

        sweep(prepared.store)
    try:
        if spec.audit_log:
            from .running.audited import note_start

            note_start(prepared)
        if not spec.rm:
            _keep(prepared, spec)
        if asked is not None:
            from .reuse.remember import remember

            remember(asked, prepared, spec, None if spec.rm else kept(spec))
        launcher.replace(prepared.encoded, prepared.id, prepared.slots, prepared.held)
    except BaseException:
        prepared.discard()
        raise


def _keep(prepared: Prepared, spec: ContainerSpec) -> None:
    """What `start` and `restart` read."""
    assert prepared.state is not None
    write_file(prepared.state.fd, "spec.json", dumps(kept(spec)).encode() + b"\n")


def kept(spec: ContainerSpec) -> dict[str, Any]:
    """What spec.json says; paths are resolved by who reads it, so that no run pays for it (`stored.py`)."""
    try:
        here = os.getcwd()
    except FileNotFoundError:
        here = "/"  # it was removed: no relative path led anywhere from it
    return {**spec.as_dict(), "cwd": here, "env": [(name, None) for name, _ in spec.env]}


def _console(spec: ContainerSpec) -> int:
    """A connection to the program that wants the terminal; -1 where none does."""
    if not spec.console_socket:
        return -1
    from socket import AF_UNIX, SOCK_CLOEXEC, SOCK_STREAM, socket

    channel = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC)
    try:
        channel.connect(spec.console_socket)
    except OSError as error:
        raise SpecError(
            f"{spec.console_socket} takes no connection: {(error.strerror or str(error)).lower()}",
            where="--console-socket",
            remedy="start the program that receives the terminal first",
        ) from None
    return channel.detach()


def refuse_directory_streams() -> None:
    """A directory on 0, 1 or 2 would be a way to the host's tree that no option shows.  Raises SpecError."""
    for fd in range(3):
        try:
            mode = os.fstat(fd).st_mode
        except OSError:
            continue  # closed: the launcher puts /dev/null there
        if S_ISDIR(mode):
            raise SpecError(
                f"descriptor {fd} is a directory",
                where=f"stream {fd}",
                remedy="redirect it from a file or /dev/null",
            )


def refuse_unusable_channels(spec: ContainerSpec) -> None:
    """--log and --env-fd are tried before anything is made for the launch.  Raises SpecError."""
    if spec.log_path:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            os.close(os.open(spec.log_path, flags, 0o600))
        except OSError as error:
            reason = (error.strerror or "").lower()
            raise SpecError(
                f"{spec.log_path} cannot be written: {reason}",
                where="--log",
                remedy="name a file that you may write",
            ) from None
    if spec.env_fd is not None:
        try:
            os.fstat(spec.env_fd)
        except OSError:
            raise SpecError(
                f"descriptor {spec.env_fd} is not open",
                where="--env-fd",
                remedy=f"open it for the command, such as {spec.env_fd}<variables.env",
            ) from None
