"""Writes the file that `imports.py` reads: when a command meets none, or an older one.  ✗ imports what it compiles."""

from __future__ import annotations

import marshal
import os
import time

from .imports import FILE, FOLDER, HEADER, MAGIC, PACKAGE, digest_of, open_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from .imports import Entry

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CLOCK_NS = 50_000_000  # several of the kernel's ticks: two changes within one have the same time


def renew(folder: str = FOLDER) -> bool:
    """Bring the file up to date, where it is this user's to write; says whether that was done.

    Only sources that changed are compiled, and from their text, not from Python's own byte code: that knows the second
    of a change only.
    """
    cache = _own_cache(folder)
    if cache < 0:
        return False
    fd, known = open_file(f"{folder}/__pycache__/{FILE}")
    try:
        index: dict[str, Entry] = {}
        parts: list[bytes] = []
        at = HEADER
        for name, path in _sources(folder):
            found = _kept(known.get(name), fd, path) or _compiled(path)
            if found is None:
                continue
            size, changed_ns, part = found
            is_package = path.endswith("/__init__.py")
            index[name] = (is_package, size, changed_ns, at, len(part), digest_of(part))
            parts.append(part)
            at += len(part)
        if index != known:
            _write(cache, index, b"".join(parts), os.stat(f"{folder}/__init__.py").st_mode)
    except OSError:  # a full disk, a tree that is being replaced: the sources are still right
        return False
    finally:
        os.close(cache)
        if fd >= 0:
            os.close(fd)
    return True


def _own_cache(folder: str) -> int:
    """A descriptor of __pycache__; -1 unless it and the package are this user's.

    root writes nothing into a tree of somebody else, and nothing that somebody else could exchange.
    """
    user = os.geteuid()
    others = 0o022 if user == 0 else 0o002
    for path in (folder, f"{folder}/__pycache__"):
        try:
            fd = os.open(path, _DIRECTORY)
        except OSError:
            return -1
        status = os.fstat(fd)
        if status.st_uid != user or status.st_mode & others:
            os.close(fd)
            return -1
        if path == folder:
            os.close(fd)
    return fd


def _sources(folder: str) -> Iterator[tuple[str, str]]:
    """(module, path) of each source of the package."""
    for above, folders, files in os.walk(folder):
        folders[:] = sorted([f for f in folders if f.isidentifier() and f != "__pycache__"])
        inside = above[len(folder) :].replace("/", ".")
        if "__init__.py" not in files:
            folders.clear()
            continue
        yield f"{PACKAGE}{inside}", f"{above}/__init__.py"
        for file in sorted(files):
            if file.endswith(".py") and file != "__init__.py":
                yield f"{PACKAGE}{inside}.{file[:-3]}", f"{above}/{file}"


def _kept(entry: Entry | None, fd: int, path: str) -> tuple[int, int, bytes] | None:
    """Size, time and code of a source that did not change."""
    if entry is None:
        return None
    _, size, changed_ns, at, length, digest = entry
    status = os.stat(path)
    part = os.pread(fd, length, at)
    if (status.st_size, status.st_mtime_ns) != (size, changed_ns) or digest_of(part) != digest:
        return None
    return size, changed_ns, part


def _compiled(path: str) -> tuple[int, int, bytes] | None:
    """Size, time and code of a source; None for one that is being written or is no Python."""
    with open(path, "rb") as file:
        status = os.fstat(file.fileno())
        text = file.read()
    if len(text) != status.st_size or 0 <= time.time_ns() - status.st_mtime_ns < _CLOCK_NS:
        return None
    try:
        code = compile(text, path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError):  # whoever imports it is told
        return None
    return status.st_size, status.st_mtime_ns, marshal.dumps(code)


def _write(cache: int, index: dict[str, Entry], body: bytes, mode: int) -> None:
    """Whole or not at all, with the mode that the ordinary byte code gets.  Two writers: the last one's stays."""
    marshalled = marshal.dumps(index)
    place = (HEADER + len(body)).to_bytes(4, "little") + len(marshalled).to_bytes(4, "little")
    data = b"".join((MAGIC, place, digest_of(marshalled), body, marshalled))
    new = f"{FILE}.{os.urandom(6).hex()}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(new, flags, (mode | 0o200) & 0o666, dir_fd=cache)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
        os.rename(new, FILE, src_dir_fd=cache, dst_dir_fd=cache)
    except BaseException:
        os.unlink(new, dir_fd=cache)
        raise
