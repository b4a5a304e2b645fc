"""Small trees that tests copy, change on both sides and merge; a tree as plain data.  ✗ asserts nothing."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nucleus.container.workspace import copy as workspace_copy
from nucleus.container.workspace.apply import Apply, Outcome
from nucleus.plan.request import Source

Tree = dict[str, tuple[object, ...]]
ID = "0123456789abcdef" * 2


def read(top: Path, *, leave: tuple[str, ...] = ()) -> Tree:
    """Path → kind, mode, content; by names, as simple as can be."""
    found: Tree = {}
    for path in sorted(top.rglob("*")):
        name = str(path.relative_to(top))
        if name.split("/")[0] in leave:
            continue
        status = path.lstat()
        mode = status.st_mode & 0o1777
        if stat.S_ISLNK(status.st_mode):
            found[name] = ("link", os.readlink(path))
        elif stat.S_ISDIR(status.st_mode):
            found[name] = ("directory", mode)
        elif stat.S_ISREG(status.st_mode):
            found[name] = ("file", mode, path.read_bytes())
        else:
            found[name] = ("other",)
    return found


class Pair:
    """A workspace, and a container's directory with the copy of it."""

    def __init__(self, folder: Path) -> None:
        self.work, self.state = folder / "work", folder / "state"
        for path in (self.work, self.state):
            for below in path.rglob("*") if path.exists() else ():
                if below.is_dir() and not below.is_symlink():
                    below.chmod(0o700)
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir(parents=True)
        self.stage = self.state / "workspace" / "stage"

    def copy_in(self) -> None:
        status = self.work.stat()
        source = Source(path=str(self.work), inode=status.st_ino, uid=status.st_uid, gid=status.st_gid)
        fd = os.open(self.state, os.O_RDONLY | os.O_DIRECTORY)
        try:
            workspace_copy.copy_in(fd, source)
        finally:
            os.close(fd)

    @contextmanager
    def applying(self) -> Iterator[Apply]:
        data = (self.state / "workspace" / "base.json").read_bytes()
        host = os.open(self.work, os.O_RDONLY | os.O_DIRECTORY)
        stage = os.open(self.stage, os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield Apply(host, stage, workspace_copy.from_json(data), ID)
        finally:
            os.close(host)
            os.close(stage)

    def apply(self) -> Outcome:
        with self.applying() as work:
            return work.run()

    def final(self) -> Tree:
        return read(self.work, leave=(ASIDE,))


ASIDE = f"nucleus-conflicts-{ID[:12]}"


def change(top: Path, operation: tuple[str, ...]) -> None:
    """One operation of a hurried user; what cannot be done is not done."""
    what, first, second = operation
    path, other = top / first, top / second
    try:
        if what == "write" and not path.is_fifo():  # which would wait for a reader
            path.write_bytes(second.encode() + b"!")
        elif what == "append" and path.is_file():
            path.write_bytes(path.read_bytes() + b"+")
        elif what == "mkdir":
            path.mkdir()
        elif what == "remove":
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        elif what == "rename":
            path.rename(other)
        elif what == "link":
            os.link(path, other, follow_symlinks=False)
        elif what == "symlink":
            path.symlink_to(second)
        elif what == "chmod" and not path.is_symlink():
            path.chmod(0o700 if path.is_dir() else 0o640)
        elif what == "fifo":
            os.mkfifo(path)
    except OSError:
        pass
