"""OCI hooks: the file that lists them, whom it is trusted for, one run on the host.
✗ when: `supervisor.py`.  ✗ those inside the container, which the launcher runs: `hooks_inside.py`.

The file and each program are opened once, by descriptors, and what was judged is what runs.  A hook runs with the rights of
whoever runs nucleus, in the host's namespaces, with the state of the container on its standard input.
"""

from __future__ import annotations

import os
import select
import signal
from stat import S_ISDIR, S_ISREG, S_ISVTX

from ...base.errors import LaunchError, SpecError
from ...base.jsontext import dumps
from ...base.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# In the order in which they come.
POINTS = ("createRuntime", "createContainer", "startContainer", "poststart", "poststop")
_IN_CONTAINER = "startContainer"  # its path is the container's: nobody here can judge it
_ALIASES = {"prestart": "createRuntime"}
_OCI_VERSION = "1.0.2"
_DEFAULT_TIMEOUT_S = 30
_MOST_FILE, MOST_TEXT = 1 << 20, 400
_MOST_WORDS = 500  # the launcher's own bound
_FIELDS = {"path", "args", "env", "timeout"}


class Hook(Value):
    """One program.  `args` has its name first; `env` is all of its environment."""

    point: str
    path: str
    args: tuple[str, ...]
    env: tuple[tuple[str, str], ...] = ()
    timeout_s: int = _DEFAULT_TIMEOUT_S


def load(path: str) -> tuple[Hook, ...]:
    """The hooks of a file, all judged.  Raises SpecError."""
    import json

    fd = open_trusted(path, program=False)
    with os.fdopen(fd, "rb") as file:
        data = file.read(_MOST_FILE + 1)
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        raise _wrong(path, "is not JSON") from None
    if not isinstance(document, dict) or len(data) > _MOST_FILE:
        raise _wrong(path, "is not an object of hooks")
    found: list[Hook] = []
    for point, entries in document.items():
        name = _ALIASES.get(point) or str(point)
        if name not in POINTS or not isinstance(entries, list):
            raise _wrong(path, f"has an unknown point {point!r}")
        found += [_hook(path, name, entry) for entry in entries]
    for hook in [hook for hook in found if hook.point != _IN_CONTAINER]:
        os.close(open_trusted(hook.path, program=True))
    return tuple(found)


def _hook(path: str, point: str, entry: Any) -> Hook:
    if not isinstance(entry, dict) or set(entry) - _FIELDS or not isinstance(entry.get("path"), str):
        raise _wrong(path, f"has a {point} hook that is not path, args, env, timeout")
    args, env, timeout = (
        entry.get("args") or [entry["path"]],
        entry.get("env") or [],
        entry.get("timeout", _DEFAULT_TIMEOUT_S),
    )
    texts = isinstance(args, list) and isinstance(env, list) and all(
        isinstance(t, str) and "\0" not in t for t in [*args, *env, entry["path"]]
    )  # fmt: skip
    if not texts or not args or len(args) > _MOST_WORDS or len(env) > _MOST_WORDS:
        raise _wrong(path, f"has a {point} hook with a wrong value")
    if not isinstance(timeout, int) or isinstance(timeout, bool) or not 1 <= timeout <= 3600:
        raise _wrong(path, f"has a {point} hook with a wrong value")
    parts = entry["path"].split("/")
    if parts[0] or not all(part not in ("", ".", "..") for part in parts[1:]):
        raise _wrong(path, f"has a {point} hook whose path is not absolute, or not plain")
    pairs = [variable.partition("=") for variable in env]
    if not all(key and equals for key, equals, _ in pairs):
        raise _wrong(path, f"has a {point} hook whose env is not KEY=VALUE")
    return Hook(
        point=point, path=entry["path"], args=tuple(args), env=tuple([(k, v) for k, _, v in pairs]), timeout_s=timeout
    )  # fmt: skip


def open_trusted(path: str, *, program: bool) -> int:
    """A descriptor of a file that nobody but root and the caller could have put there or changed.  Raises SpecError."""
    canonical = os.path.realpath(path)
    flags = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
    at = os.open("/", flags | os.O_DIRECTORY)
    try:
        names = canonical.strip("/").split("/")
        for number, name in enumerate(names):
            last = number == len(names) - 1
            fd = os.open(name, flags if not last or program else os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC,
                         dir_fd=at)  # fmt: skip
            os.close(at)
            at = fd
            _judge(canonical, os.fstat(at), last=last, program=program)
    except OSError as error:
        os.close(at)
        raise _wrong(path, (error.strerror or str(error)).lower()) from None
    except BaseException:
        os.close(at)
        raise
    return at


def _judge(path: str, status: os.stat_result, *, last: bool, program: bool) -> None:
    mode = status.st_mode
    if status.st_uid not in (0, os.geteuid()):
        raise _wrong(path, "belongs to another user, or lies below a directory that does")
    if mode & 0o022 and not (S_ISDIR(mode) and mode & S_ISVTX):
        raise _wrong(path, "can be changed by others, or lies below a directory that can")
    if not last:
        return
    if not S_ISREG(mode):
        raise _wrong(path, "is not a regular file")
    if program and (mode & 0o6000 or not mode & 0o111):
        raise _wrong(path, "is not executable, or has a set-id bit")


def _wrong(path: str, message: str) -> SpecError:
    return SpecError(
        f"{path}: {message}", where="--hooks",
        remedy="see the runtime specification; files belong to root or to you, and only the owner may write",
    )  # fmt: skip


def state_of(container_id: str, status: str, pid: int, bundle: str) -> bytes:
    """The state as the runtime specification has it."""
    state: dict[str, Any] = {
        "ociVersion": _OCI_VERSION,
        "id": container_id,
        "status": status,
        "bundle": bundle,
    }
    if pid:
        state["pid"] = pid
    return dumps(state).encode()


def run(hook: Hook, state: bytes) -> None:
    """Run it to its end.  Raises LaunchError where it fails or takes too long, SpecError where it is trusted no more."""
    from ...launch import launcher

    program = open_trusted(hook.path, program=True)
    source = launcher.sealed("nucleus-state", state)
    os.lseek(source, 0, os.SEEK_SET)
    said = os.memfd_create("nucleus-hook", os.MFD_CLOEXEC)
    try:
        actions = [(os.POSIX_SPAWN_DUP2, source, 0), (os.POSIX_SPAWN_DUP2, said, 1), (os.POSIX_SPAWN_DUP2, said, 2),
                   (os.POSIX_SPAWN_DUP2, program, program)]  # fmt: skip
        pid = os.posix_spawn(
            f"/proc/self/fd/{program}",
            list(hook.args),
            dict(hook.env),
            file_actions=actions,
            setpgroup=0,
            setsigmask=(),
        )
        code = _wait(pid, hook.timeout_s)
        text = " ".join(
            os.pread(said, MOST_TEXT, max(os.fstat(said).st_size - MOST_TEXT, 0))
            .decode("utf-8", "replace")
            .split()
        )
    except OSError as error:
        raise _failed(hook, (error.strerror or str(error)).lower()) from None
    finally:
        for fd in (program, source, said):
            os.close(fd)
    if code != 0:
        why = f"took longer than {hook.timeout_s} s" if code is None else f"exit code {code}"
        raise _failed(hook, ": ".join([t for t in (why, text) if t]))


def _failed(hook: Hook, why: str) -> LaunchError:
    return LaunchError(
        f"the {hook.point} hook {hook.path} failed: {why}", where="--hooks", remedy="mend the hook"
    )


def _wait(pid: int, timeout_s: int) -> int | None:
    """The exit code; None where it had to be killed, with all of its process group."""
    pidfd = os.pidfd_open(pid)
    try:
        poller = select.poll()
        poller.register(pidfd, select.POLLIN)
        late = not poller.poll(timeout_s * 1000)
        if late:
            os.killpg(pid, signal.SIGKILL)  # not reaped yet: the number is nobody else's
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    finally:
        os.close(pidfd)
    return None if late else status
