"""The state root and its directories.

    ROOT/containers/ID/   state.json (Python)   init, exit (launcher)   context/ (copy)
    ROOT/names/NAME       symbolic link to the id: taken atomically, by whoever makes it first

A container's owner holds a lock (flock(2)) on its directory for as long as it lives: the descriptor is handed from Python to
the launcher, and the kernel lets go of it whichever way that process ends.  So "is the owner alive" has no race and no
pid in it.  ✗ launch, cgroups: the sweep in container/ knows those.
"""

from __future__ import annotations

import fcntl
import os
from errno import EDQUOT, ELOOP, ENOENT, ENOSPC, ENXIO
from stat import S_ISREG, S_ISVTX

from ..base.errors import Conflict, HostUnsupported, NotFound, PermissionRefused
from ..base.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_PRIVATE = 0o700
SETTLED = 0o400  # the mode of an exit record that leaves nothing to do
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


_TRIES = 100
# Nucleus' own files are a few kilobytes; what is larger is none of them.
MAX_FILE = 16 << 20


class StateDirectory(Value):
    """A container's directory, held open and locked by its owner."""

    id: str
    fd: int


def default_root(uid: int, environment: Mapping[str, str]) -> str:
    """Where state lives when --root does not say: NUCLEUS_STATE_DIR, /run/nucleus, or the user's runtime directory."""
    if chosen := environment.get("NUCLEUS_STATE_DIR"):
        return chosen
    # Root of a user namespace may own nothing in /run.
    if uid == 0 and os.access("/run", os.W_OK | os.X_OK):
        return "/run/nucleus"
    runtime = environment.get("XDG_RUNTIME_DIR", "")
    if runtime and os.access(runtime, os.W_OK | os.X_OK):
        return f"{runtime}/nucleus"
    home = environment.get("HOME", "")
    if home and os.access(home, os.W_OK | os.X_OK):
        return f"{environment.get('XDG_STATE_HOME') or home + '/.local/state'}/nucleus"
    return f"/tmp/nucleus-{uid}"


class Store:
    """The state root of one user.  Making one creates the directories; they must be the caller's own and private."""

    __slots__ = ("containers_fd", "names_fd", "path")

    def __init__(self, path: str) -> None:
        self.path = path
        fd = _private_directory(path)
        try:
            self.containers_fd = _private_child(fd, "containers", path)
            try:
                self.names_fd = _private_child(fd, "names", path)
            except BaseException:
                os.close(self.containers_fd)
                raise
        finally:
            os.close(fd)

    def close(self) -> None:
        """Let go of both directories."""
        os.close(self.containers_fd)
        os.close(self.names_fd)

    def create(self, container_id: str) -> StateDirectory:
        """A new directory, locked.  Raises Conflict when the id exists."""
        for _ in range(_TRIES):
            try:
                os.mkdir(container_id, _PRIVATE, dir_fd=self.containers_fd)
            except FileExistsError:
                raise Conflict(
                    f"a container with the id {container_id} exists",
                    where=self.path,
                    remedy="choose another id",
                ) from None
            except OSError as error:
                raise _full(error, self.path) from None
            fd = self._lock_new(container_id)
            if fd >= 0:
                return StateDirectory(id=container_id, fd=fd)
        raise Conflict("the state directory is swept without end", where=self.path, remedy="try again")

    def _lock_new(self, container_id: str) -> int:
        """The lock of a directory just made; -1 where a sweep took it for one without an owner and removed it."""
        try:
            fd = os.open(container_id, _DIRECTORY, dir_fd=self.containers_fd)
        except FileNotFoundError:
            return -1
        fcntl.flock(fd, fcntl.LOCK_EX)
        if os.fstat(fd).st_nlink:
            return fd
        os.close(fd)
        return -1

    def take_name(self, name: str, container_id: str) -> None:
        """Bind the name to the id, atomically.  Raises Conflict while another container has it."""
        with _Locked(self.names_fd):
            holder = self.resolve_name(name)
            if holder is not None:
                raise Conflict(
                    f"the name {name!r} is taken by container {holder[:12]}",
                    where="--name",
                    remedy=f"choose another name, or remove it: nucleus rm {name}",
                )
            try:
                self._unlink_name(name)
                os.symlink(container_id, name, dir_fd=self.names_fd)
            except OSError as error:
                raise _full(error, self.path) from None

    def resolve_name(self, name: str) -> str | None:
        """The id that has the name; None when nobody has, or its container is gone."""
        try:
            container_id = os.readlink(name, dir_fd=self.names_fd)
            os.stat(container_id, dir_fd=self.containers_fd, follow_symlinks=False)
        except OSError:
            return None
        return container_id

    def release_name(self, name: str, container_id: str) -> None:
        """Unlink the name if it is that container's; it is no error when it is gone, or another's by now."""
        with _Locked(self.names_fd):
            try:
                if os.readlink(name, dir_fd=self.names_fd) == container_id:
                    self._unlink_name(name)
            except FileNotFoundError:
                return

    def release_dead_name(self, name: str) -> None:
        """Unlink the name if its container is gone.

        A creator makes the directory before it takes the name, so a name without one has no owner.
        """
        with _Locked(self.names_fd):
            if self.resolve_name(name) is None:
                self._unlink_name(name)

    def _unlink_name(self, name: str) -> None:
        try:
            os.unlink(name, dir_fd=self.names_fd)
        except FileNotFoundError:
            return

    def ids(self) -> list[str]:
        """All containers, oldest first."""
        found = []
        with os.scandir(self.containers_fd) as entries:
            for entry in entries:
                try:
                    found.append((entry.stat(follow_symlinks=False).st_ctime_ns, entry.name))
                except FileNotFoundError:
                    continue  # removed between the two calls
        return [name for _, name in sorted(found)]

    def holds_only(self, container_id: str) -> bool:
        """Is there nothing else that a sweep could find?"""
        return os.listdir(self.containers_fd) == [container_id] and not os.listdir(self.names_fd)

    def names(self) -> list[str]:
        """All names, whether their container exists or not."""
        return sorted(os.listdir(self.names_fd))

    def resolve(self, reference: str) -> str:
        """An id by id, name, or unique prefix.  Raises NotFound, or Conflict when several match."""
        from ..base.identifiers import is_id, is_name

        if is_id(reference) and os.access(reference, os.F_OK, dir_fd=self.containers_fd):
            return reference  # nobody has to look through all others
        ids = self.ids()
        if reference in ids:
            return reference
        named = self.resolve_name(reference) if is_name(reference) else None
        if named:
            return named
        matches = [i for i in ids if reference and i.startswith(reference)]
        if not matches:
            raise NotFound(f"no container {reference!r}", where=self.path, remedy="see `nucleus ps -a`")
        if len(matches) > 1:
            some = ", ".join(i[:12] for i in matches[:5])
            raise Conflict(
                f"{reference!r} stands for {len(matches)} containers: {some}",
                where=self.path,
                remedy="give more of the id",
            )
        return matches[0]

    def is_settled(self, container_id: str) -> bool:
        """Whether an exit record says, by its mode, that nothing of the container is left but its records."""
        try:
            status = os.stat(f"{container_id}/exit", dir_fd=self.containers_fd, follow_symlinks=False)
        except OSError:
            return False
        return status.st_mode & 0o777 == SETTLED

    def open(self, container_id: str) -> int:
        """A descriptor of the container's directory.  Raises NotFound."""
        try:
            return os.open(container_id, _DIRECTORY, dir_fd=self.containers_fd)
        except OSError:
            raise NotFound(
                f"no container {container_id!r}", where=self.path, remedy="see `nucleus ps -a`"
            ) from None


class _Locked:
    """The lock of a directory, for as long as the `with` lasts: between looking at a name and changing it."""

    __slots__ = ("_fd",)

    def __init__(self, fd: int) -> None:
        # A description of its own: a lock is the description's, and threads may share `fd`.
        self._fd = os.open(".", _DIRECTORY, dir_fd=fd)

    def __enter__(self) -> None:
        fcntl.flock(self._fd, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


def owner_is_gone(fd: int) -> bool:
    """Take the lock of a container's directory if nobody holds it; then it is the caller's until `fd` is closed."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def let_go(fd: int) -> None:
    """Give back the lock that `owner_is_gone` took."""
    fcntl.flock(fd, fcntl.LOCK_UN)


def is_locked(fd: int) -> bool:
    """Does a container's directory have a living owner?  Looks by a description of its own and keeps no lock."""
    own = os.open(".", _DIRECTORY, dir_fd=fd)
    try:
        # Shared: two that look at the same time must not take each other for the owner.
        fcntl.flock(own, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(own)
    return False


def read_file(directory: int, name: str) -> bytes | None:
    """The bytes of a file of a state directory, at most MAX_FILE; None when it is not there, or no file at all."""
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
    except OSError as error:
        if error.errno in (ENOENT, ELOOP, ENXIO):
            return None
        raise
    try:
        if not S_ISREG(os.fstat(fd).st_mode):
            return None
        parts, left = [], MAX_FILE
        while left and (part := os.read(fd, left)):
            parts.append(part)
            left -= len(part)
        return b"".join(parts)
    finally:
        os.close(fd)


def write_file(directory: int, name: str, data: bytes, *, mode: int = 0o600) -> None:
    """Whole or not at all: a new file, renamed over the old one.  Raises HostUnsupported when the disk is full."""
    # A name of its own: another writer may be at it, or have been killed at it.
    new = f"{name}.{os.urandom(6).hex()}.new"
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(new, flags, mode, dir_fd=directory)
        try:
            try:
                left = memoryview(data)
                while left:
                    left = left[os.write(fd, left) :]
            finally:
                os.close(fd)
            os.rename(new, name, src_dir_fd=directory, dst_dir_fd=directory)
        except BaseException:
            os.unlink(new, dir_fd=directory)
            raise
    except OSError as error:
        raise _full(error, f"{_path_of(directory)}/{name}") from None


def _full(error: OSError, where: str) -> HostUnsupported:
    freeing = "free some space there, or " if error.errno in (ENOSPC, EDQUOT) else ""
    return HostUnsupported(
        f"cannot write state: {(error.strerror or str(error)).lower()}",
        where=where,
        remedy=f"{freeing}choose another place with --root DIR",
    )


def _path_of(fd: int) -> str:
    """Where an open directory lies, for a message."""
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        return "the state root"


def _private_directory(path: str) -> int:
    """Open the state root, making it; it must be a directory of the caller that nobody else can enter."""
    try:
        try:
            fd = os.open(path, _DIRECTORY)
        except FileNotFoundError:
            os.makedirs(path, _PRIVATE, exist_ok=True)
            fd = os.open(path, _DIRECTORY)
    except OSError as error:
        raise HostUnsupported(
            f"the state directory cannot be made or opened: {(error.strerror or '').lower()}",
            where=path,
            remedy="choose another one with --root DIR, or set NUCLEUS_STATE_DIR",
        ) from None
    return _check_private(fd, path)


def open_private(name: str, above: int | None = None) -> int:
    """Open a directory that is there, and nobody else's to write to.  Raises OSError, PermissionRefused."""
    return _check_private(os.open(name, _DIRECTORY, dir_fd=above), name)


def _private_child(parent: int, name: str, path: str) -> int:
    try:
        try:
            fd = os.open(name, _DIRECTORY, dir_fd=parent)
        except FileNotFoundError:
            try:
                os.mkdir(name, _PRIVATE, dir_fd=parent)
            except FileExistsError:
                pass  # another command was faster
            fd = os.open(name, _DIRECTORY, dir_fd=parent)
    except OSError as error:
        raise _full(error, f"{path}/{name}") from None
    return _check_private(fd, f"{path}/{name}")


def _check_private(fd: int, path: str) -> int:
    status = os.fstat(fd)
    if status.st_uid != os.geteuid() or status.st_mode & 0o022:
        os.close(fd)
        # One that is shared on purpose, as /tmp is, stays as it is.
        own = status.st_uid == os.geteuid() and not status.st_mode & S_ISVTX
        raise PermissionRefused(
            "the state directory is not this user's own, or others may write to it",
            where=path,
            remedy=f"{f'chmod go-w {path}, or ' if own else ''}choose another one with --root DIR",
        )
    return fd
