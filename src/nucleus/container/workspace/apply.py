"""--workspace-mode copy-in-out, the way out: the changes of a run are carried into the workspace, one atomic step each.

Every step can be the last one before a kill: doing it all again comes to the same end, because what was applied already
is no difference any more.  All is opened from descriptors, past no link: the copy is what an untrusted program left.
✗ what is to be done (`merge.py`).
"""

from __future__ import annotations

import ctypes
import os
from errno import EEXIST, EINVAL, ENOSYS, ENOTEMPTY
from stat import S_ISDIR

from ...base.value import Value
from ..inputs.file_copy import attributes, copy_content, set_attributes
from ..running.sweep import remove_tree
from . import merge
from .tree_scan import OPEN_DIRECTORY, OPEN_FILE, Reached, Scan, open_below

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .copy import Snapshot
    from .merge import Action
    from .tree_scan import Seen

_NOREPLACE, _EXCHANGE = 1, 2  # renameat2(2)
_NEW = "new"


class Outcome(Value):
    """What came of it.  Paths are below the workspace; `conflicts` with why, and kept below `kept_in`."""

    applied: tuple[tuple[str, str], ...] = ()
    conflicts: tuple[tuple[str, str], ...] = ()
    left_out: tuple[str, ...] = ()
    kept_in: str = ""


class Apply:
    """One merge of a stage into its workspace.  `host` and `stage` are descriptors of both, and stay open."""

    def __init__(self, host: int, stage: int, snapshot: Snapshot, container_id: str) -> None:
        self.host, self.stage, self.snapshot = host, stage, snapshot
        self.temporary = f".nucleus-{container_id[:12]}.new"
        self.aside = f"nucleus-conflicts-{container_id[:12]}"
        self._linked: dict[
            int, str
        ] = {}  # inode in the stage → the path on the host that has its content now
        self._names: dict[int, list[str]] | None = (
            None  # inode on the host → its names, for those with several
        )
        self._modes: list[tuple[str, int]] = []
        self._applied: list[tuple[str, str]] = []
        self._conflicts: list[tuple[str, str]] = []
        self.seen_here: dict[str, Seen] = {}
        self.seen_there: dict[str, Seen] = {}

    def actions(self) -> tuple[Action, ...]:
        """Both trees are looked at; what would be done."""
        known = self.snapshot
        leave = (self.temporary, self.aside)
        self.seen_here = Scan(known=known.host, at_ns=known.at_ns, leave=leave, mend=True).run(self.host)
        self.seen_there = Scan(known=known.stage, at_ns=known.at_ns, mend=True).run(self.stage)
        base = {
            path: merge.Base(host=known.host[path].entry, stage=known.stage[path].entry)
            for path in known.stage
        }
        found, _ = merge.merge(
            base,
            {p: s.entry for p, s in self.seen_here.items()},
            {p: s.entry for p, s in self.seen_there.items()},
        )
        return found

    def run(self) -> Outcome:
        """Carry them out.  Raises OSError where the host refuses; what was applied stays, and can be gone on with."""
        self.clean()
        found = self.actions()
        left_out = [a.path for a in found if a.what == merge.LEFT_OUT]
        if any([a.what in (merge.MAKE, merge.CHANGE, merge.CONFLICT) for a in found]):
            os.mkdir(self.temporary, 0o700, dir_fd=self.host)
        for action in found:
            if action.what == merge.CONFLICT:
                self._conflict(action.path, action.why)
            elif action.what == merge.REMOVE:
                self._step(action, self._remove)
            elif action.what in (merge.MAKE, merge.CHANGE):
                self._step(action, self._put)
        for path, mode in reversed(self._modes):
            self._chmod_directory(path, mode)
        self.clean()
        return Outcome(
            applied=tuple(self._applied),
            conflicts=tuple(self._conflicts),
            left_out=tuple(left_out),
            kept_in=f"{self.snapshot.path}/{self.aside}" if self._exists_in(self.host, self.aside) else "",
        )

    def clean(self) -> None:
        """What an attempt that was killed left in the workspace."""
        remove_tree(self.host, self.temporary)

    # ---- steps ----

    def _step(self, action: Action, do: Callable[[int, str, str], str]) -> None:
        """`do(parent, name, path)` returns "" or what stands against it."""
        above, _, name = action.path.rpartition("/")
        try:
            with Reached(self.host, above) as parent:
                against = do(parent, name, action.path)
        except (NotADirectoryError, FileNotFoundError):  # changed since it was looked at
            against = "its directory changes at this moment"
        if against:
            self._conflict(action.path, against)
        else:
            self._applied.append((action.what, action.path))

    def _remove(self, parent: int, name: str, path: str) -> str:
        seen = self.seen_here[path]
        try:
            now = os.stat(name, dir_fd=parent, follow_symlinks=False)
            if S_ISDIR(now.st_mode):
                os.rmdir(name, dir_fd=parent)
            elif _like(seen, now):
                os.unlink(name, dir_fd=parent)
            else:
                return "it changes at this moment"
        except FileNotFoundError:
            return ""
        except OSError as error:
            if error.errno not in (ENOTEMPTY, EEXIST):
                raise
            return "it holds what appeared at this moment"
        return ""

    def _put(self, parent: int, name: str, path: str) -> str:
        wanted, there = self.seen_there[path].entry, self.seen_here.get(path)
        if wanted.kind == merge.DIRECTORY:
            return self._put_directory(parent, name, path, there)
        if there is not None and wanted.kind == merge.FILE and self._only_mode(path, there):
            return self._chmod_file(parent, name, path, there)
        self._build(path, there)
        folder = os.open(self.temporary, OPEN_DIRECTORY, dir_fd=self.host)
        try:
            against = self._swap_in(folder, parent, name, there)
        finally:
            os.close(folder)
        stamp = self.seen_there[path].stamp
        if not against and stamp.links > 1 and wanted.kind == merge.FILE:
            self._linked.setdefault(stamp.inode, path)
        return against

    def _put_directory(self, parent: int, name: str, path: str, there: Seen | None) -> str:
        mode = self.seen_there[path].entry.mode
        self._modes.append((path, mode))
        if there is not None and there.entry.kind == merge.DIRECTORY:
            return ""
        folder = os.open(self.temporary, OPEN_DIRECTORY, dir_fd=self.host)
        try:
            if self._exists_in(folder, _NEW):
                remove_tree(folder, _NEW)
            os.mkdir(_NEW, 0o700, dir_fd=folder)
            self._own(folder, _NEW, None, mode | 0o700)
            return self._swap_in(folder, parent, name, there)
        finally:
            os.close(folder)

    def _own(self, parent: int, name: str, old: os.stat_result | None, mode: int) -> None:
        """A new directory belongs to the workspace's owner, as all that a run makes."""
        fd = os.open(name, OPEN_DIRECTORY, dir_fd=parent)
        try:
            self._give(fd, old)
            os.fchmod(fd, mode | os.fstat(fd).st_mode & 0o2000)
        finally:
            os.close(fd)

    def _give(self, fd: int, old: os.stat_result | None) -> None:
        """Owner and group: those of what is replaced, else of the workspace."""
        if os.geteuid() == 0:
            uid, gid = (old.st_uid, old.st_gid) if old else (self.snapshot.uid, self.snapshot.gid)
            os.fchown(fd, uid, gid)

    def _only_mode(self, path: str, there: Seen) -> bool:
        wanted, base = self.seen_there[path].entry, self.snapshot.stage.get(path)
        same = there.entry.kind == merge.FILE and wanted.digest == there.entry.digest
        return (
            same
            and self._all_names_want(wanted.mode, there)
            and base is not None
            and wanted.attributes == base.entry.attributes
        )

    def _all_names_want(self, mode: int, there: Seen) -> bool:
        """Are all names of the host's file ones that get this mode?  Another's would change with it."""
        if there.stamp.links == 1:
            return True
        if self._names is None:
            self._names = {}
            for name, seen in self.seen_here.items():
                if seen.stamp.links > 1 and seen.entry.kind == merge.FILE:
                    self._names.setdefault(seen.stamp.inode, []).append(name)
        names = self._names.get(there.stamp.inode, [])
        wanted = [self.seen_there[name].entry.mode for name in names if name in self.seen_there]
        return len(names) == there.stamp.links and wanted == [mode] * len(names)

    def _chmod_file(self, parent: int, name: str, path: str, there: Seen) -> str:
        fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        try:
            now = os.fstat(fd)
            if now.st_ino != there.stamp.inode:
                return "it changes at this moment"
            mode = self.seen_there[path].entry.mode | now.st_mode & 0o6000
            os.chmod(f"/proc/self/fd/{fd}", mode)
        finally:
            os.close(fd)
        return ""

    def _chmod_directory(self, path: str, mode: int) -> None:
        above, _, name = path.rpartition("/")
        try:
            with Reached(self.host, above) as parent:
                fd = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
                try:
                    now = os.fstat(fd).st_mode & 0o7777
                    if now != (mode | now & 0o6000):
                        os.chmod(f"/proc/self/fd/{fd}", mode | now & 0o6000)
                finally:
                    os.close(fd)
        except (NotADirectoryError, FileNotFoundError):
            return  # it went meanwhile

    # ---- building beside, and one atomic exchange ----

    def _build(self, path: str, there: Seen | None) -> None:
        """The run's file or link, whole, as the temporary directory's only entry."""
        folder = os.open(self.temporary, OPEN_DIRECTORY, dir_fd=self.host)
        try:
            if self._exists_in(folder, _NEW):
                remove_tree(folder, _NEW)
            seen = self.seen_there[path]
            if seen.entry.kind == merge.LINK:
                os.symlink(seen.entry.digest, _NEW, dir_fd=folder)
                if os.geteuid() == 0:
                    owner = self.snapshot.uid, self.snapshot.gid
                    os.chown(_NEW, *owner, dir_fd=folder, follow_symlinks=False)
                return
            if self._link_again(folder, seen):
                return
            self._copy_out(folder, path, there)
        finally:
            os.close(folder)

    def _exists_in(self, folder: int, name: str) -> bool:
        try:
            os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def _link_again(self, folder: int, seen: Seen) -> bool:
        """Another name of a file that was applied already."""
        first = self._linked.get(seen.stamp.inode)
        if first is None:
            return False
        above, _, name = first.rpartition("/")
        try:
            parent = open_below(self.host, above)
        except OSError:
            return False
        try:
            os.link(name, _NEW, src_dir_fd=parent, dst_dir_fd=folder, follow_symlinks=False)
        except OSError:
            return False  # a file system without links: it becomes a file of its own
        finally:
            os.close(parent)
        return True

    def _copy_out(self, folder: int, path: str, there: Seen | None) -> None:
        above, _, name = path.rpartition("/")
        replaced = self._open_replaced(path, there)
        try:
            with Reached(self.stage, above) as parent:
                status = os.stat(name, dir_fd=parent, follow_symlinks=False)
                old = Scan(mend=True).open(parent, name, OPEN_FILE, status)
                try:
                    self._fill(folder, path, old, replaced)
                finally:
                    os.close(old)
        finally:
            if replaced >= 0:
                os.close(replaced)

    def _fill(self, folder: int, path: str, old: int, replaced: int) -> None:
        """The temporary file: the content of `old`; owner and unchanged attributes of what it will replace."""
        entry, base, status = self.seen_there[path].entry, self.snapshot.stage.get(path), os.fstat(old)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        new = os.open(_NEW, flags, 0o600, dir_fd=folder)
        try:
            copy_content(old, new)
            kept = replaced >= 0 and base is not None and base.entry.attributes == entry.attributes
            set_attributes(new, attributes(replaced if kept else old))
            self._give(new, os.fstat(replaced) if replaced >= 0 else None)
            os.fchmod(new, entry.mode)
            os.utime(new, ns=(status.st_atime_ns, status.st_mtime_ns))
        finally:
            os.close(new)

    def _open_replaced(self, path: str, there: Seen | None) -> int:
        """The host's file that will be replaced, for its owner and attributes; -1 without one."""
        if there is None or there.entry.kind != merge.FILE:
            return -1
        try:
            parent = open_below(self.host, path.rpartition("/")[0])
        except OSError:
            return -1
        try:
            return os.open(path.rpartition("/")[2], OPEN_FILE, dir_fd=parent)
        except OSError:
            return -1
        finally:
            os.close(parent)

    def _swap_in(self, folder: int, parent: int, name: str, there: Seen | None) -> str:
        """Put the temporary entry at its place; what stood there is looked at once more, when nobody can change it."""
        if there is None:
            try:
                _rename(folder, _NEW, parent, name, _NOREPLACE)
            except FileExistsError:
                return "it appeared at this moment"
            return ""
        try:
            _rename(folder, _NEW, parent, name, _EXCHANGE)
        except FileNotFoundError:
            return "it was removed at this moment"
        out = os.stat(_NEW, dir_fd=folder, follow_symlinks=False)
        try:
            if S_ISDIR(out.st_mode):
                os.rmdir(_NEW, dir_fd=folder)
            elif _like(there, out):
                os.unlink(_NEW, dir_fd=folder)
            else:
                _rename(folder, _NEW, parent, name, _EXCHANGE)
                return "it changes at this moment"
        except OSError as error:
            if error.errno not in (ENOTEMPTY, EEXIST):
                raise
            _rename(folder, _NEW, parent, name, _EXCHANGE)
            return "it holds what appeared at this moment"
        return ""

    # ---- conflicts ----

    def _conflict(self, path: str, why: str) -> None:
        """The run's version goes aside; the host keeps its own."""
        self._conflicts.append((path, why))
        seen = self.seen_there.get(path)
        if seen is None or seen.entry.kind == merge.OTHER:
            return
        *above, name = (self.aside, *path.split("/"))
        parent = self._make_below(above)
        try:
            if seen.entry.kind == merge.DIRECTORY:
                self._mkdir(parent, name)
                return
            self._build(path, None)
            folder = os.open(self.temporary, OPEN_DIRECTORY, dir_fd=self.host)
            try:
                os.rename(_NEW, name, src_dir_fd=folder, dst_dir_fd=parent)
            finally:
                os.close(folder)
        finally:
            os.close(parent)

    def _make_below(self, names: list[str]) -> int:
        at = os.dup(self.host)
        for name in names:
            self._mkdir(at, name)
            try:
                below = os.open(name, OPEN_DIRECTORY, dir_fd=at)
            finally:
                os.close(at)
            at = below
        return at

    def _mkdir(self, parent: int, name: str) -> None:
        try:
            os.mkdir(name, 0o700, dir_fd=parent)
        except FileExistsError:
            return
        self._own(parent, name, None, 0o700)


def _like(seen: Seen, now: os.stat_result) -> bool:
    """Is it what was seen?  Renaming and linking change the time of the inode, so that is not asked."""
    stamp = seen.stamp
    return (stamp.inode, stamp.size, stamp.mtime_ns) == (now.st_ino, now.st_size, now.st_mtime_ns)


def _rename(old_fd: int, old: str, new_fd: int, new: str, flags: int) -> None:
    """renameat2(2); where the file system knows no flags, what comes nearest."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not libc.renameat2(old_fd, os.fsencode(old), new_fd, os.fsencode(new), flags):
        return
    error = ctypes.get_errno()
    if error not in (EINVAL, ENOSYS):
        raise OSError(error, os.strerror(error), new)
    if flags == _NOREPLACE:
        os.link(old, new, src_dir_fd=old_fd, dst_dir_fd=new_fd, follow_symlinks=False)
        os.unlink(old, dir_fd=old_fd)
    else:
        raise OSError(error, "this file system cannot exchange two files in one step", new)
