"""One file's content and attributes from one tree into another, by descriptors: reflinks, holes, extended attributes.

✗ walks no tree, ✗ opens nothing by a path.
"""

from __future__ import annotations

import os
from errno import EINVAL, ENODATA, ENOSYS, ENOTSUP, ENXIO, EOPNOTSUPP, EPERM, EXDEV
from hashlib import sha256

_FICLONE = 0x40049409
_BLOCK = 1 << 20
_ZEROS = bytes(_BLOCK)
_NO_RANGE = (EXDEV, ENOSYS, EINVAL, EOPNOTSUPP, EPERM)
_ACLS = ("system.posix_acl_access", "system.posix_acl_default")


def copy_content(source: int, target: int) -> None:
    """All bytes of one regular file into another, which is empty; holes stay holes, blocks are shared where they can be."""
    import fcntl

    size = os.fstat(source).st_size
    try:
        fcntl.ioctl(target, _FICLONE, source)
        return
    except OSError:
        pass  # other file systems, or one without reflinks
    at = 0
    while at < size:
        start = _seek(source, at, os.SEEK_DATA, size)
        end = _seek(source, start, os.SEEK_HOLE, size)
        _copy_range(source, target, start, end)
        at = max(end, start + 1) if start < size else size
    os.ftruncate(target, size)


def _seek(fd: int, at: int, whence: int, size: int) -> int:
    try:
        return min(os.lseek(fd, at, whence), size)
    except OSError as error:
        if error.errno == ENXIO:
            return size
        if error.errno == EINVAL:  # a file system that knows no holes: all of it is data
            return at if whence == os.SEEK_DATA else size
        raise


def _copy_range(source: int, target: int, start: int, end: int) -> None:
    at, whole = start, True
    while at < end:
        count = min(end - at, 1 << 30)
        if whole:
            try:
                done = os.copy_file_range(source, target, count, at, at)
            except OSError as error:
                if error.errno not in _NO_RANGE:
                    raise
                whole = False
                continue
        else:
            data = os.pread(source, min(count, _BLOCK), at)
            done = _write_at(target, data, at)
        if not done:
            return  # it became shorter meanwhile; whoever asked compares times
        at += done


def _write_at(fd: int, data: bytes, at: int) -> int:
    left = memoryview(data)
    while left:
        done = os.pwrite(fd, left, at)
        at, left = at + done, left[done:]
    return len(data)


def digest(fd: int) -> str:
    """SHA-256 of a file's size and of its blocks that are not zero: a hole of any size costs nothing to read."""
    found, size = sha256(), os.fstat(fd).st_size
    at = 0
    while at < size:
        at = _seek(fd, at, os.SEEK_DATA, size) // _BLOCK * _BLOCK
        data = os.pread(fd, _BLOCK, at) if at < size else b""
        if data and data != _ZEROS[: len(data)]:
            found.update(at.to_bytes(8, "little"))
            found.update(data)
        if not data:
            break
        at += _BLOCK
    found.update(size.to_bytes(8, "big"))
    return found.hexdigest()


def attributes(fd: int) -> dict[str, bytes]:
    """The user's extended attributes and the ACLs; not those that give rights (security.*), nor the kernel's."""
    try:
        names = os.listxattr(fd)
    except OSError as error:
        if error.errno in (ENOTSUP, EOPNOTSUPP):
            return {}
        raise
    found = {}
    for name in names:
        if name.startswith("user.") or name in _ACLS:
            try:
                found[name] = os.getxattr(fd, name)
            except OSError as error:
                if error.errno not in (ENODATA, ENOTSUP, EPERM):
                    raise
    return found


def set_attributes(fd: int, wanted: dict[str, bytes]) -> None:
    """As many of them as the file system takes."""
    for name, value in wanted.items():
        try:
            os.setxattr(fd, name, value)
        except OSError as error:
            if error.errno not in (ENOTSUP, EOPNOTSUPP, EPERM, EINVAL):
                raise


def attributes_digest(found: dict[str, bytes]) -> str:
    """One word for all of them; "" for none."""
    if not found:
        return ""
    total = sha256()
    for name, value in sorted(found.items()):
        total.update(f"{name}\0{len(value)}\0".encode("utf-8", "surrogateescape") + value)
    return total.hexdigest()
