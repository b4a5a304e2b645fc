"""What a dead owner left behind is found and removed: processes, cgroups, names, directories.

A container whose directory can be locked has no owner any more.  With an exit record it ended in order and stays until
`rm`; without one its owner was killed: what is left of it goes, and an exit record that says so takes its place.
✗ ends nothing that has an owner.
"""

from __future__ import annotations

import os
import time
from errno import EBUSY, ENOENT

from ...base.errors import Conflict, NucleusError
from ...launch.report import DIRTY, EXIT, INIT_KILLED, read_exit, read_init
from ...state import store as files
from ...state.record import ContainerRecord, from_json
from . import procfile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...state.store import Store

AT_MOST = 32
_SIGKILL = 9


def sweep(store: Store, *, at_most: int = AT_MOST) -> int:
    """Clean up behind dead owners, the oldest first, at most `at_most` of them (0: all); returns how many.

    Never raises for a single container: what cannot be removed now is left for the next sweep.
    """
    cleaned = failed = 0
    for container_id in store.ids():
        try:
            # Records that were kept do not count: behind any number of them a dead owner must still be found.
            if store.is_settled(container_id):
                continue
            if at_most and cleaned + failed >= at_most:
                break
            cleaned += sweep_one(store, container_id)
        except (OSError, NucleusError):
            failed += 1  # another sweep was faster, or the cgroup is still busy
    for name in store.names():
        if store.resolve_name(name) is None:
            store.release_dead_name(name)
    return cleaned


def sweep_in_passing(store: Store) -> None:
    """The same behind other work: disorder there ends no healthy container, and the next command says what it is."""
    try:
        sweep(store)
    except (OSError, NucleusError):
        return


def sweep_holder(store: Store, name: str) -> None:
    """Clean up behind the container that has a name, if its owner is dead: with --rm the name is free then."""
    holder = store.resolve_name(name)
    if holder is None:
        return
    try:
        sweep_one(store, holder)
    except (OSError, NucleusError):
        return  # it is still there: taking the name says so


def sweep_one(store: Store, container_id: str) -> int:
    """Clean up behind one container, if it has no owner and nobody waits to read how it ended."""
    fd = store.open(container_id)
    try:
        if not files.owner_is_gone(fd):
            return 0
        record = from_json(files.read_file(fd, "state.json") or b"")
        stays = record is not None and not record.remove
        if (stays and settled(files.read_file(fd, "exit") or b"")) or _is_awaited(fd):
            return 0  # it ended between the two looks, or somebody is about to do this
        bury(store, container_id, fd, record)
        return 1
    finally:
        os.close(fd)


def _is_awaited(fd: int) -> bool:
    """Somebody still has to read there how it ended; he removes it then."""
    from ...state import gate

    return gate.is_watched(fd)


def settled(exit_record: bytes) -> bool:
    """Whether the container ended, and whoever ended it could remove all that had to go."""
    ended = read_exit(exit_record)
    return ended is not None and not ended.flags & DIRTY


def bury(store: Store, container_id: str, fd: int, record: ContainerRecord | None) -> None:
    """Clean up behind an owner that was killed, or could not do it; the caller holds the container's lock."""
    clear(container_id, fd, record)
    if not os.fstat(fd).st_nlink:
        return  # its monitor has ended it in order, noted that, and removed it (--rm)
    written = files.read_file(fd, "exit") or b""
    final = _final_exit_record(written, record.created_ns if record else 0)
    if record is None or record.remove:
        remove_directory(store, container_id, record)
    else:
        remove_tree(fd, "context")
        files.write_file(fd, "exit", final, mode=files.SETTLED)
    ended = read_exit(final)
    if record is not None and ended is not None and read_exit(written) is None:
        from .events import note_end

        note_end(store, record, ended)  # its monitor was killed before it could


def bury_in_time(
    store: Store, container_id: str, fd: int, record: ContainerRecord | None, deadline: float
) -> None:
    """The same for a verb that waits: what was killed may take a while to die.  Raises Conflict at the deadline."""
    while True:
        try:
            return bury(store, container_id, fd, record)
        except OSError as error:
            if error.errno != EBUSY:
                raise
        if time.monotonic() > deadline:
            raise Conflict(
                f"processes of container {container_id[:12]} were killed, and have not ended",
                where="cgroup", remedy="try again",
            )  # fmt: skip


def clear(container_id: str, fd: int, record: ContainerRecord | None) -> None:
    """End what is left of a life whose monitor was killed.  Raises OSError where a cgroup stays busy."""
    kill_left_over(fd, record)
    for directory in record.cgroups if record is not None else ():
        # Only what the launcher names so: a damaged record must not lead to another directory.
        if directory.endswith(f"/nucleus-{container_id}"):
            remove_cgroup(directory)


def _final_exit_record(written: bytes, created_ns: int) -> bytes:
    """The owner's own record, now that all is clean; where it left none, one that says that it was killed."""
    ended = read_exit(written)
    if ended is not None:
        magic, version, flags, *rest = EXIT.unpack(written)
        return EXIT.pack(magic, version, flags & ~DIRTY, *rest)
    killed = (INIT_KILLED, 128 + _SIGKILL, _SIGKILL, created_ns, time.time_ns())
    return EXIT.pack(b"NUCEXIT\0", 1, *killed, *[0] * 7, bytes(32))


def kill_left_over(fd: int, record: ContainerRecord | None) -> None:
    """Init dies with its owner (PDEATHSIG); this is for the moment before that is set."""
    from . import processes

    init = read_init(files.read_file(fd, "init") or b"")
    if init is None or record is None or not processes.is_here(record):
        return
    pidfd = processes.open_process(init.init_pid, init.init_ticks)
    if pidfd < 0:
        return
    try:
        import signal

        signal.pidfd_send_signal(pidfd, _SIGKILL)
    except ProcessLookupError:
        pass  # it has ended meanwhile
    finally:
        os.close(pidfd)


def remove_cgroup(directory: str) -> None:
    """Kill what is left in a cgroup, and remove it, children first.  Raises OSError when it stays busy for a second."""
    if not os.path.isdir(directory):
        return
    for child in [e.path for e in os.scandir(directory) if e.is_dir(follow_symlinks=False)]:
        remove_cgroup(child)
    for attempt in range(100):
        try:
            os.rmdir(directory)
            return
        except OSError as error:
            if error.errno == ENOENT:
                return
            if error.errno != EBUSY or attempt == 99:
                raise
        _kill_members(directory)
        time.sleep(0.01)


def _kill_members(directory: str) -> None:
    try:
        with open(f"{directory}/cgroup.kill", "w", encoding="ascii") as file:
            file.write("1")
        return
    except OSError:
        pass  # cgroup v1, or Linux before 5.14: one by one
    members = [int(line) for line in procfile.text(f"{directory}/cgroup.procs").split()]
    for pid in members:
        if pid <= 0 or pid == os.getpid():  # 0: a member that this pid namespace does not see
            continue
        try:
            os.kill(pid, _SIGKILL)  # it is in the container's own cgroup, where nothing else ever is
        except ProcessLookupError:
            continue


def remove_directory(store: Store, container_id: str, record: ContainerRecord | None) -> None:
    """The container's directory and its name.  The directory is what makes it exist, so it goes last but one."""
    remove_tree(store.containers_fd, container_id)
    if record is not None and record.name:
        store.release_dead_name(record.name)


def remove_tree(parent: int, name: str) -> None:
    """Remove a tree by descriptors, never following a link; it is no error when it is gone.

    A workload may have left any number of directories in one another, and none of them readable.
    """
    import shutil

    try:
        os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return
    try:
        shutil.rmtree(name, dir_fd=parent)
    except (RecursionError, OSError):
        _remove_flattened(parent, name)


_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def _remove_flattened(parent: int, name: str) -> None:
    """Directories are moved to the top before they are emptied: two descriptors are enough for any depth."""
    top = _open_to_empty(parent, name)
    moved = 0
    try:
        while names := os.listdir(top):
            for entry in names:
                try:
                    os.unlink(entry, dir_fd=top)
                    continue
                except (IsADirectoryError, PermissionError):
                    pass  # a directory: EISDIR on Linux, EPERM by POSIX
                below = _open_to_empty(top, entry)
                try:
                    for child in os.listdir(below):
                        try:
                            os.unlink(child, dir_fd=below)
                        except (IsADirectoryError, PermissionError):
                            os.close(_open_to_empty(below, child))  # moving it rewrites its ".."
                            os.rename(child, f".{moved}", src_dir_fd=below, dst_dir_fd=top)
                            moved += 1
                finally:
                    os.close(below)
                os.rmdir(entry, dir_fd=top)
    finally:
        os.close(top)
    os.rmdir(name, dir_fd=parent)


def _open_to_empty(parent: int, name: str) -> int:
    """A directory, with the right to read, search and write for its owner."""
    try:
        fd = os.open(name, _OPEN_DIRECTORY, dir_fd=parent)
    except PermissionError:
        # It is one (unlink said so), and whoever could exchange it for a link is dead.
        os.chmod(name, 0o700, dir_fd=parent)
        fd = os.open(name, _OPEN_DIRECTORY, dir_fd=parent)
    try:
        if os.fstat(fd).st_mode & 0o700 != 0o700:
            os.fchmod(fd, 0o700)
    except BaseException:
        os.close(fd)
        raise
    return fd
