"""The manifest of a root file system: what lies at each path, by content; held against the tree before a start.

Every directory is opened from its parent's descriptor and no link is followed, so that nothing but the tree itself is read.
✗ decides when: `prepare.py`.
"""

from __future__ import annotations

import json
import os
from stat import S_IMODE, S_ISBLK, S_ISCHR, S_ISDIR, S_ISFIFO, S_ISLNK, S_ISREG

from ...base.errors import Conflict, SpecError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ...plan.request import RootEntry
    from ...spec.container import ContainerSpec

    Manifest = dict[str, dict[str, Any]]

FILE = ".nucleus-rootfs-sha256"  # at the top of the root itself, and no part of it
_HEADER = {"nucleus-rootfs": 1}
_MOST_BYTES = 1 << 30
_DEPTH = 256
_CHUNK = 1 << 20
_SHOWN = 10
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_REGULAR = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def scan(root: int) -> Manifest:
    """Path → what is there, of all below the directory.  Several files are read at once.

    Raises SpecError where something cannot be read.
    """
    from concurrent.futures import ThreadPoolExecutor

    workers = os.cpu_count() or 1
    top = os.fstat(root)
    found: Manifest = {
        ".": {
            "type": "directory",
            "mode": f"{S_IMODE(top.st_mode):04o}",
            "uid": top.st_uid,
            "gid": top.st_gid,
        }
    }
    waiting: list[tuple[str, Any]] = []
    with ThreadPoolExecutor(workers) as pool:
        for path, item, fd in _walk(root, "", 0):
            found[path] = item
            if fd < 0:
                continue
            waiting.append((path, pool.submit(_hash, fd)))
            if len(waiting) >= 16 * workers:  # a bound on open files
                _take(found, waiting)
                waiting = []
        _take(found, waiting)
    return found


def _take(found: Manifest, waiting: list[tuple[str, Any]]) -> None:
    for path, digest in waiting:
        found[path]["sha256"] = digest.result()


def _hash(fd: int) -> str:
    from hashlib import sha256

    try:
        digest = sha256()
        while part := os.read(fd, _CHUNK):
            digest.update(part)
        return digest.hexdigest()
    finally:
        os.close(fd)


def _walk(directory: int, above: str, depth: int) -> Iterator[tuple[str, dict[str, Any], int]]:
    """(path, what is there, a descriptor of a regular file or -1), in the order of names."""
    if depth > _DEPTH:
        raise _unreadable(above, f"more than {_DEPTH} directories deep")
    for name in sorted(os.listdir(directory)):
        path = f"{above}{name}"
        if path == FILE:
            continue
        try:
            status = os.stat(name, dir_fd=directory, follow_symlinks=False)
            item: dict[str, Any] = {
                "mode": f"{S_IMODE(status.st_mode):04o}", "uid": status.st_uid, "gid": status.st_gid,
            }  # fmt: skip
            if S_ISDIR(status.st_mode):
                below = os.open(name, _DIRECTORY, dir_fd=directory)
                try:
                    yield path, {"type": "directory", **item}, -1
                    yield from _walk(below, f"{path}/", depth + 1)
                finally:
                    os.close(below)
            elif S_ISLNK(status.st_mode):
                item.pop("mode")  # which says nothing
                yield path, {"type": "link", **item, "target": os.readlink(name, dir_fd=directory)}, -1
            elif S_ISREG(status.st_mode):
                fd = os.open(name, _REGULAR, dir_fd=directory)
                yield path, {"type": "file", **item, "size": os.fstat(fd).st_size}, fd
            else:
                yield path, {"type": _kind(status.st_mode), **item, "device": status.st_rdev}, -1
        except OSError as error:
            raise _unreadable(path, (error.strerror or str(error)).lower()) from None


def _kind(mode: int) -> str:
    kinds = ((S_ISCHR, "character-device"), (S_ISBLK, "block-device"), (S_ISFIFO, "pipe"))
    return next((name for test, name in kinds if test(mode)), "socket")


def _unreadable(path: str, reason: str) -> SpecError:
    return SpecError(
        f"{ascii(path)} in the root file system cannot be read: {reason}", where="--rootfs",
        remedy="act as its owner or as root, and let nobody change it meanwhile",
    )  # fmt: skip


def text(manifest: Manifest) -> bytes:
    """One JSON object a line, the first of which says what it is."""
    lines = [_HEADER, *[{"path": path, **item} for path, item in sorted(manifest.items())]]
    return b"".join([json.dumps(line).encode("ascii") + b"\n" for line in lines])


def parse(data: bytes, name: str) -> Manifest:
    """Raises SpecError where it is none, or says two things about one path."""
    found: Manifest = {}
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line and number > 1:
            continue
        try:
            item = json.loads(line)
            if number == 1:
                if item != _HEADER:
                    raise ValueError("it does not begin as one")
                continue
            path = item.pop("path")
            if not isinstance(path, str) or path in found:
                raise ValueError("a path stands twice")
            found[path] = item
        except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as reason:
            raise SpecError(
                f"is not a manifest of a root file system: {reason}", where=f"{name}:{number}",
                remedy="make it with `nucleus rootfs attest DIR`",
            ) from None  # fmt: skip
    return found


def differences(meant: Manifest, found: Manifest) -> list[str]:
    """What is not as the manifest says, a sentence each, the first by path first."""
    said = []
    for path in sorted(meant.keys() | found.keys()):
        if path not in found:
            said.append(f"{ascii(path)} is missing")
        elif path not in meant:
            said.append(f"{ascii(path)} is not in the manifest")
        elif meant[path] != found[path]:
            keys = sorted(meant[path].keys() | found[path].keys())
            other = [key for key in keys if meant[path].get(key) != found[path].get(key)]
            said.append(f"{ascii(path)} has another {' and '.join(_word(key) for key in other)}")
    return said


def _word(key: str) -> str:
    return {"sha256": "content", "uid": "owner", "gid": "group"}.get(key, key)


def read_manifest(root: int, path: str, wanted: str) -> Manifest:
    """The manifest at `path`, or the one at the top of the root; with its SHA-256 `wanted` only that one.

    Raises SpecError where it cannot be had.
    """
    name, where = path or FILE, "--rootfs-attestation" if path else "--verify-rootfs-attestation"
    try:
        fd = os.open(name, _REGULAR if not path else _REGULAR & ~os.O_NOFOLLOW, dir_fd=None if path else root)
    except OSError as error:
        raise SpecError(
            f"{name} cannot be opened: {(error.strerror or '').lower()}", where=where,
            remedy="make it with `nucleus rootfs attest DIR`",
        ) from None  # fmt: skip
    with open(fd, "rb") as file:
        if not S_ISREG(os.fstat(fd).st_mode) or os.fstat(fd).st_size > _MOST_BYTES:
            raise SpecError(f"{name} is not a file of at most 1G", where=where, remedy="name a manifest")
        data = file.read()
    if wanted:
        from hashlib import sha256

        digest = sha256(data).hexdigest()
        if digest != wanted:
            raise SpecError(
                f"{name} is not what was meant: its SHA-256 is {digest}", where="--rootfs-attestation-sha256",
                remedy="find out who changed it; if it is right, give this hash",
            )  # fmt: skip
    return parse(data, name)


def refuse_other(root: int, manifest: Manifest, shown: str) -> None:
    """Raises Conflict with what is not as the manifest says."""
    said = differences(manifest, scan(root))
    if not said:
        return
    more = f", and {len(said) - _SHOWN} more" if len(said) > _SHOWN else ""
    raise Conflict(
        f"{shown} is not what was attested: {', '.join(said[:_SHOWN])}{more}",
        where="--verify-rootfs-attestation",
        remedy="find out who changed it; if that is right, make a new manifest with `nucleus rootfs attest`",
    )


def require(spec: ContainerSpec, entries: tuple[RootEntry, ...]) -> None:
    """The root of the spec is as its manifest says, and what will be mounted is of that root.

    Raises SpecError, or Conflict with every path that is not.
    """
    root = os.open(os.path.realpath(spec.rootfs), _DIRECTORY)
    try:
        manifest = read_manifest(root, spec.rootfs_attestation, spec.rootfs_attestation_sha256)
        refuse_other(root, manifest, spec.rootfs)
        for entry in entries:
            if entry.source is None or entry.origin != "rootfs":
                continue
            status = os.stat(entry.target.lstrip("/"), dir_fd=root, follow_symlinks=False)
            if status.st_ino != entry.source.inode:
                raise Conflict(
                    f"{spec.rootfs}{entry.target} was exchanged meanwhile", where="--verify-rootfs-attestation",
                    remedy="let nobody write to the directories above it",
                )  # fmt: skip
    finally:
        os.close(root)
