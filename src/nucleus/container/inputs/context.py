"""The context: a copy of a directory of input files, without what looks like credentials, in the state directory.

✗ mounts it: plan/.
"""

from __future__ import annotations

import os
from errno import ENOSPC
from stat import S_ISDIR, S_ISREG

from ...base.errors import Conflict, HostUnsupported, SpecError
from .file_copy import copy_content

MAX_DEPTH = 128
# What stays free where state lies: a sparse file costs its author nothing, its copy may fill the memory behind /run.
_SPARED_BYTES, _SPARED_FILES = 256 << 20, 10_000
_EXACT = frozenset((
    "target", "node_modules", ".DS_Store", "__pycache__", ".svn", ".env", ".ssh", ".gnupg", ".aws", ".azure",
    ".gcloud", ".docker", ".netrc", ".kube", ".helm", ".hg", ".npmrc", ".pypirc", ".pgpass",
    "id_rsa", "id_dsa", "id_ecdsa", "id_ed25519", "id_ecdsa_sk", "id_ed25519_sk",
))  # fmt: skip
_SUFFIXES = (".swp", ".swo", ".pem", ".key", ".p12", ".crt", ".pfx", ".jks")
_WORDS = ("credential", "secret", "private_key", "kubeconfig")


def excluded(name: str) -> bool:
    """Is a file or directory of this name left out of a context?"""
    lower = name.lower()
    return (
        lower == ".git"
        or name in _EXACT
        or name.startswith(".env.")
        or name.endswith(_SUFFIXES)
        or any(word in lower for word in _WORDS)
    )


def keep_copy(state: int, source: str, inode: int, *, verify: bool, wanted: str = "") -> None:
    """The copy in a container's state directory."""
    os.mkdir("context", 0o755, dir_fd=state)
    destination = os.open(
        "context", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=state
    )
    try:
        copy_context(source, destination, inode, verify=verify, wanted=wanted)
        os.fchmod(destination, 0o755)
    finally:
        os.close(destination)


def copy_context(
    source: str, destination: int, inode: int = 0, *, verify: bool = False, wanted: str = ""
) -> int:
    """Copy into the directory behind the descriptor; links and special files are left out.  Returns the bytes.

    inode     what was judged; another directory in its place is refused, since somebody may write above it
    verify    each file of the copy is read back and compared with what the source held before
    wanted    the digest that the copy must have; "" for any
    Raises SpecError where the tree is too deep or another one, HostUnsupported where the disk is full, Conflict where the
    copy is not what the source was.
    """
    fd = os.open(source, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if inode and os.fstat(fd).st_ino != inode:
            raise SpecError(
                f"{source} changes", where="--context", remedy="let nobody write above it, and try again"
            )
        before = snapshot(fd) if verify else {}
        copied = _copy(fd, destination, source, 0)
        if verify and (differing := differences(before, snapshot(destination))):
            raise Conflict(
                f"the copy of {source} is not what it was: {'; '.join(differing)}",
                where="--verify-context-integrity",
                remedy="let nobody write to it while the container starts, and try again",
            )
        if wanted and (found := digest_of(snapshot(destination))) != wanted:
            raise SpecError(
                f"{source} is not what was meant: its digest is {found}", where="--context-sha256",
                remedy="look at it, and if it is right, give this digest",
            )  # fmt: skip
        return copied
    finally:
        os.close(fd)


def digest_of(files: dict[str, str]) -> str:
    """One SHA-256 of paths and contents: what `sha256sum` makes of a sorted list that sha256sum(1) has printed."""
    from hashlib import sha256

    lines = [f"{files[path]}  {path}\n" for path in sorted(files)]
    return sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def snapshot(directory: int, above: str = "", depth: int = 0) -> dict[str, str]:
    """Path below the directory → SHA-256, for every regular file that a context takes."""
    from hashlib import sha256

    found: dict[str, str] = {}
    if depth > MAX_DEPTH:
        return found  # copying it tells
    with os.scandir(directory) as entries:
        names = sorted(e.name for e in entries if not excluded(e.name))
    for name in names:
        try:
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
        except OSError:
            continue  # a link, or what nobody can read: copying it tells
        try:
            mode = os.fstat(fd).st_mode
            if S_ISDIR(mode):
                found |= snapshot(fd, f"{above}{name}/", depth + 1)
            elif S_ISREG(mode):
                digest = sha256()
                while part := os.read(fd, 1 << 20):
                    digest.update(part)
                found[above + name] = digest.hexdigest()
        finally:
            os.close(fd)
    return found


_SHOWN = 5


def differences(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """What is missing, other and too much, each with the first five names."""
    told = (
        ("missing", sorted(before.keys() - after.keys())),
        ("different", sorted(n for n in before.keys() & after.keys() if before[n] != after[n])),
        ("new", sorted(after.keys() - before.keys())),
    )
    return [
        f"{what} {', '.join(map(ascii, names[:_SHOWN]))}"
        + (f" … ({len(names)} in all)" if len(names) > _SHOWN else "")
        for what, names in told
        if names
    ]


def _copy(source: int, destination: int, path: str, depth: int) -> int:
    if depth > MAX_DEPTH:
        raise SpecError(
            f"{path} is more than {MAX_DEPTH} directories deep",
            where="--context",
            remedy="choose a smaller context",
        )
    copied = 0
    with os.scandir(source) as entries:
        names = sorted(e.name for e in entries if not excluded(e.name))
    for name in names:
        mode = os.stat(name, dir_fd=source, follow_symlinks=False).st_mode
        if S_ISDIR(mode):
            copied += _copy_directory(source, destination, name, f"{path}/{name}", depth)
        elif S_ISREG(mode):
            copied += _copy_file(source, destination, name, mode, f"{path}/{name}")
    return copied


def require_room(destination: int, size: int) -> None:
    """Raises OSError(ENOSPC) where the copy would take what others need."""
    disk = os.fstatvfs(destination)
    spared = min(disk.f_blocks // 10 * disk.f_frsize, _SPARED_BYTES)
    if disk.f_bavail * disk.f_frsize - size < spared:
        raise OSError(ENOSPC, os.strerror(ENOSPC))
    if disk.f_files and disk.f_favail < min(disk.f_files // 10, _SPARED_FILES):
        raise OSError(ENOSPC, os.strerror(ENOSPC))


def _copy_directory(source: int, destination: int, name: str, path: str, depth: int) -> int:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    os.mkdir(name, 0o755, dir_fd=destination)
    below, into = os.open(name, flags, dir_fd=source), -1
    try:
        into = os.open(name, flags, dir_fd=destination)
        return _copy(below, into, path, depth + 1)
    finally:
        os.close(below)
        if into >= 0:
            os.close(into)


def _copy_file(source: int, destination: int, name: str, mode: int, path: str) -> int:
    try:
        reader = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=source)
        with os.fdopen(reader, "rb"):
            require_room(destination, os.fstat(reader).st_size)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            # Readable for the workload, whose id is another one; never setuid.
            with os.fdopen(os.open(name, flags, 0o644 | mode & 0o111, dir_fd=destination), "wb") as new:
                os.fchmod(new.fileno(), 0o644 | (0o111 if mode & 0o100 else 0))
                copy_content(reader, new.fileno())
                return os.fstat(new.fileno()).st_size
    except OSError as error:
        raise HostUnsupported(
            f"cannot copy the context: {(error.strerror or '').lower()}",
            where=path,
            remedy="make it readable, free some space in the state directory, or use --context-mode bind",
        ) from None
