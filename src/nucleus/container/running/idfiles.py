"""--pid-file and --cidfile: numbers for other programs.  ✗ reads them."""

from __future__ import annotations

import os

from ...base.errors import Conflict, HostUnsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...spec.container import ContainerSpec


def refuse_taken(path: str) -> None:
    """Before anything is made: --cidfile names a new file.  Raises Conflict."""
    if path and os.path.lexists(path):
        raise _taken(path)


def tell(spec: ContainerSpec, container_id: str) -> None:
    """Both, of a container that waits at its gate; it is removed where they cannot be written."""
    from ..prepared import open_store
    from .ending import remove
    from .handle import Handle

    store = open_store(spec)
    try:
        with Handle(store, container_id) as handle:
            try:
                if spec.cidfile:
                    write_id(spec.cidfile, container_id)
                if spec.pid_file and handle.init is not None:
                    write_pid(spec.pid_file, handle.init.init_pid)
            except BaseException:
                remove(handle, force=True)
                raise
    finally:
        store.close()


def write_id(path: str, container_id: str) -> None:
    """--cidfile: a new file.  Raises Conflict where it exists, HostUnsupported where it cannot be made."""
    try:
        _write(path, container_id, os.O_EXCL)
    except FileExistsError:
        raise _taken(path) from None
    except OSError as error:
        raise _unwritable(path, "--cidfile", error) from None


def write_pid(path: str, pid: int) -> None:
    """--pid-file: whole or not at all, in place of one of an earlier start.  Raises HostUnsupported."""
    new = f"{path}.{os.urandom(6).hex()}.new"
    try:
        _write(new, str(pid), os.O_EXCL)
        os.rename(new, path)
    except OSError as error:
        raise _unwritable(path, "--pid-file", error) from None


def _write(path: str, text: str, flags: int) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | flags, 0o644)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def _taken(path: str) -> Conflict:
    return Conflict(f"{path} exists", where="--cidfile", remedy="remove it, or name another file")


def _unwritable(path: str, where: str, error: OSError) -> HostUnsupported:
    reason = (error.strerror or str(error)).lower()
    return HostUnsupported(
        f"{path} cannot be written: {reason}", where=where, remedy="name a file that you may write"
    )
