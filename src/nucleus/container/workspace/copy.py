"""--workspace-mode copy-in-out, the way in: a copy of the workspace in the container's directory, and what it was made of.

    workspace/stage/         the copy, which the container sees at /workspace
    workspace/base.json      both trees as they were at the start; written when the copy is whole
    workspace/outcome.json   what became of the changes: until it is there they are pending
✗ the way out (`workspace_apply.py`), ✗ mounts.
"""

from __future__ import annotations

import os
import time
from stat import S_ISDIR, S_ISLNK, S_ISREG

from ...base.errors import HostUnsupported, SpecError
from ...base.value import Value
from ...state.store import write_file
from ..inputs.context import require_room
from ..inputs.file_copy import attributes, attributes_digest, copy_content, digest, set_attributes
from .merge import DIRECTORY, FILE, LINK, Entry
from .tree_scan import MAX_DEPTH, OPEN_DIRECTORY, OPEN_FILE, Scan, Seen, Stamp, open_below, stamp_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from concurrent.futures import Executor, Future
    from typing import Any

    from ...plan.request import Source

FOLDER, STAGE, BASE, OUTCOME = "workspace", "stage", "base.json", "outcome.json"
_VERSION, _TRIES = 1, 3
_WORKERS = 4
_SMALL = 1 << 18  # a file that is copied sooner than another thread is told of it


class Snapshot(Value):
    """Both trees at the start, and the directory that the original is."""

    path: str
    device: int
    inode: int
    uid: int
    gid: int
    at_ns: int  # the times in it are older
    host: dict[str, Seen]
    stage: dict[str, Seen]

    def to_json(self) -> bytes:
        """One line; a path has its two entries and their stamps."""
        entries = [[path, _row(self.host[path]), _row(self.stage[path])] for path in self.stage]
        known = {k: v for k, v in self.as_dict().items() if k not in ("host", "stage")}
        from json import dumps

        return dumps({"version": _VERSION, **known, "entries": entries}).encode()


def _row(seen: Seen) -> list[object]:
    return [*seen.entry.as_dict().values(), *seen.stamp.as_dict().values()]


def _seen(row: list[Any]) -> Seen:
    kind, mode, content, extended, inode, size, mtime, ctime, links = row
    return Seen(
        entry=Entry(kind=kind, mode=mode, digest=content, attributes=extended),
        stamp=Stamp(inode=inode, size=size, mtime_ns=mtime, ctime_ns=ctime, links=links),
    )


def from_json(data: bytes) -> Snapshot:
    """Raises ValueError for what `to_json` did not write."""
    import json

    try:
        fields = json.loads(data)
        entries = fields.pop("entries")
        if fields.pop("version") != _VERSION:
            raise ValueError("another version")
        host = {path: _seen(row) for path, row, _ in entries}
        return Snapshot(**fields, host=host, stage={path: _seen(row) for path, _, row in entries})
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(str(error)) from None


def copy_in(state: int, source: Source) -> None:
    """Copy the workspace into the container's directory.  Nothing is pending before it is whole.

    Raises SpecError where it cannot be read, is too deep or changes all the time, HostUnsupported where the disk is full.
    """
    os.mkdir(FOLDER, 0o700, dir_fd=state)
    folder = os.open(FOLDER, OPEN_DIRECTORY, dir_fd=state)
    try:
        os.mkdir(STAGE, 0o700, dir_fd=folder)
        stage = os.open(STAGE, OPEN_DIRECTORY, dir_fd=folder)
        try:
            root = _open_source(source)
            try:
                snapshot = _copied(root, stage, source)
            finally:
                os.close(root)
        finally:
            os.close(stage)
        write_file(folder, BASE, snapshot.to_json())
    finally:
        os.close(folder)


def _open_source(source: Source) -> int:
    root = os.open(source.path, OPEN_DIRECTORY)
    if os.fstat(root).st_ino != source.inode:
        os.close(root)
        raise SpecError(
            f"{source.path} was replaced while the container was being prepared",
            where="--workspace", remedy="run it again",
        )  # fmt: skip
    return root


def _copied(root: int, stage: int, source: Source) -> Snapshot:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(_WORKERS) as pool:
        work = _CopyIn(pool, source.path)
        work.tree(root, stage, "", 0)
    work.link_again(stage)
    status = os.fstat(root)
    _take_over(stage, status)
    found = Scan(given=work.stage).run(stage)
    return Snapshot(
        path=source.path, device=status.st_dev, inode=status.st_ino, uid=status.st_uid, gid=status.st_gid,
        at_ns=time.time_ns(), host={path: work.host[path] for path in found}, stage=found,
    )  # fmt: skip


def _take_over(fd: int, status: os.stat_result) -> None:
    """Owner, mode and times of what was copied; never setuid.  Who is not root owns whatever he copies."""
    if os.geteuid() == 0:
        try:
            os.fchown(fd, status.st_uid, status.st_gid)
        except OSError:
            pass  # root of a user namespace in which that id does not exist
    os.fchmod(fd, status.st_mode & (0o3777 if S_ISDIR(status.st_mode) else 0o1777))
    os.utime(fd, ns=(status.st_atime_ns, status.st_mtime_ns))


class _CopyIn:
    """One copy while it is made.  `host`: what was copied, as it was; `stage`: the files as they came out."""

    __slots__ = ("_links", "_pool", "_places", "_top", "host", "stage")

    def __init__(self, pool: Executor, top: str) -> None:
        self._pool, self._top = pool, top
        self._places: dict[
            tuple[int, int], str
        ] = {}  # inode of a file with several names → the first of them
        self._links: list[tuple[str, str]] = []
        self.host: dict[str, Seen] = {}
        self.stage: dict[str, Entry] = {}

    def tree(self, source: int, target: int, above: str, depth: int) -> None:
        """Copy what is in a directory; sockets, pipes, devices and other file systems are left out."""
        if depth > MAX_DEPTH:
            raise SpecError(
                f"{self._top} is more than {MAX_DEPTH} directories deep",
                where="--workspace", remedy="name a directory below it, or use --workspace-mode bind-rw",
            )  # fmt: skip
        waiting: list[tuple[str, Future[tuple[Seen, Entry]]]] = []
        device = os.fstat(source).st_dev
        try:
            for name in sorted(os.listdir(source)):
                path = f"{above}{name}"
                try:
                    status = os.stat(name, dir_fd=source, follow_symlinks=False)
                    if S_ISLNK(status.st_mode):
                        self._link(source, target, name, path, status)
                    elif S_ISDIR(status.st_mode) and status.st_dev == device:
                        self._directory(source, target, name, path, depth)
                    elif S_ISREG(status.st_mode):
                        waiting += self._file(source, target, name, path, status)
                except FileNotFoundError:
                    continue  # removed meanwhile: it was never there
                except OSError as error:
                    raise self._refusal(path, error) from None
        finally:
            for path, done in waiting:
                self._note(path, done.exception() or done.result())

    def _directory(self, source: int, target: int, name: str, path: str, depth: int) -> None:
        old = os.open(name, OPEN_DIRECTORY, dir_fd=source)
        try:
            status = os.fstat(old)
            os.mkdir(name, 0o700, dir_fd=target)
            new = os.open(name, OPEN_DIRECTORY, dir_fd=target)
            try:
                self.tree(old, new, f"{path}/", depth + 1)
                set_attributes(new, attributes(old))
                _take_over(new, status)
            finally:
                os.close(new)
        finally:
            os.close(old)
        entry = Entry(kind=DIRECTORY, mode=status.st_mode & 0o1777)
        self.host[path] = Seen(entry=entry, stamp=stamp_of(status))

    def _link(self, source: int, target: int, name: str, path: str, status: os.stat_result) -> None:
        value = os.readlink(name, dir_fd=source)
        os.symlink(value, name, dir_fd=target)
        if os.geteuid() == 0:
            try:
                os.chown(name, status.st_uid, status.st_gid, dir_fd=target, follow_symlinks=False)
            except OSError:
                pass  # see _take_over
        self.host[path] = Seen(entry=Entry(kind=LINK, digest=value), stamp=stamp_of(status))

    def _file(
        self, source: int, target: int, name: str, path: str, status: os.stat_result
    ) -> list[tuple[str, Future[tuple[Seen, Entry]]]]:
        place = (status.st_dev, status.st_ino)
        if status.st_nlink > 1:
            first = self._places.setdefault(place, path)
            if first != path:
                self._links.append((first, path))
                return []
        if status.st_size > _SMALL:
            return [(path, self._pool.submit(_copy_file, source, target, name))]
        self._note(path, _copy_file(source, target, name))
        return []

    def _note(self, path: str, result: tuple[Seen, Entry] | BaseException) -> None:
        if isinstance(result, OSError):
            raise self._refusal(path, result)
        if isinstance(result, BaseException):
            raise result
        self.host[path], self.stage[path] = result

    def link_again(self, stage: int) -> None:
        """Names of one file are names of one file in the copy too."""
        for first, path in self._links:
            if first not in self.host:
                continue
            old, new = open_below(stage, first.rpartition("/")[0]), open_below(stage, path.rpartition("/")[0])
            try:
                os.link(
                    first.rpartition("/")[2], path.rpartition("/")[2], src_dir_fd=old, dst_dir_fd=new,
                    follow_symlinks=False,
                )  # fmt: skip
            finally:
                os.close(old)
                os.close(new)
            self.host[path], self.stage[path] = self.host[first], self.stage[first]

    def _refusal(self, path: str, error: OSError) -> SpecError | HostUnsupported:
        reason = (error.strerror or str(error)).lower()
        if isinstance(error, PermissionError):
            return SpecError(
                f"{path!r} cannot be copied: {reason}", where="--workspace",
                remedy="let the caller read it, or use --workspace-mode bind-rw",
            )  # fmt: skip
        return HostUnsupported(
            f"{path!r} cannot be copied: {reason}", where="--workspace",
            remedy="free some space, choose another state directory with --root DIR, or use --workspace-mode bind-rw",
        )  # fmt: skip


def _copy_file(source: int, target: int, name: str) -> tuple[Seen, Entry]:
    """Copy one file, again when it changed under the copying."""
    for _ in range(_TRIES):
        old = os.open(name, OPEN_FILE, dir_fd=source)
        try:
            before = os.fstat(old)
            require_room(target, before.st_blocks * 512)
            flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
            new = os.open(name, flags, 0o600, dir_fd=target)
            try:
                copy_content(old, new)
                content, extended = digest(new), attributes(old)
                set_attributes(new, extended)
                _take_over(new, before)
                entry = Entry(kind=FILE, mode=before.st_mode & 0o1777, digest=content)
                stage = entry.replace(attributes=attributes_digest(attributes(new)))
            finally:
                os.close(new)
            after = os.fstat(old)
        finally:
            os.close(old)
        if stamp_of(before) == stamp_of(after):
            host = entry.replace(attributes=attributes_digest(extended))
            return Seen(entry=host, stamp=stamp_of(before)), stage
    raise SpecError(
        f"{name!r} changes while it is copied", where="--workspace",
        remedy="let nobody write to it while the container starts",
    )  # fmt: skip
