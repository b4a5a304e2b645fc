"""Secrets that no file of the caller holds: values from a descriptor, and credentials that systemd passed.

A value goes from the descriptor into a pipe, which is empty once the launcher has read it; no string is made of it, and the
buffer is overwritten.  ✗ where they appear: `plan/mounts.py`.
"""

from __future__ import annotations

import fcntl
import os
from stat import S_ISREG

from ...base.errors import SpecError
from ...base.identifiers import is_name
from ...spec.filesystem import SECRETS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...spec.container import ContainerSpec

MAX_BYTES = 4 << 20  # of all values together
_MAX_PIPE = 1 << 20  # what an ordinary user may put into one pipe
_REMEDY = "write NAME=VALUE, each ended by a NUL byte, or a JSON object of strings"


def values(spec: ContainerSpec) -> list[tuple[str, int]]:
    """(target, a pipe that holds the value) for each secret of `--secrets-fd`; the caller closes the pipes.

    Raises SpecError, which repeats no value; no pipe is left open then.
    """
    assert spec.secrets_fd is not None
    data = bytearray(MAX_BYTES + 1)  # of one size: a buffer that grows leaves copies of itself
    found: list[tuple[str, int]] = []
    try:
        size = _fill(spec.secrets_fd, data)
        with memoryview(data) as view, view[:size] as given:
            entries = _json(given) if bytes(given[:1]) == b"{" else _entries(given)
            for name, value in entries:
                target = f"{SECRETS}/{name}"
                if target in [t for t, _ in found] or target in [s.target for s in spec.secrets]:
                    raise _wrong(f"the secret '{name}' stands twice")
                found.append((target, _pipe(name, value)))
        return found
    except BaseException:
        for _, fd in found:
            os.close(fd)
        raise
    finally:
        data[:] = bytes(len(data))


def _fill(fd: int, data: bytearray) -> int:
    size = 0
    try:
        with memoryview(data) as view:
            while size < len(data) and (got := os.readv(fd, [view[size:]])):
                size += got
    except OSError as error:
        raise _wrong(f"descriptor {fd} cannot be read: {(error.strerror or '').lower()}") from None
    if size > MAX_BYTES:
        raise _wrong("the values have more than 4 MiB")
    if not size:
        raise _wrong(f"descriptor {fd} holds no secret")
    return size


def _entries(given: memoryview) -> Iterator[tuple[str, memoryview]]:
    """NAME=VALUE, each ended by NUL; a value may hold anything else, new lines too."""
    raw = given.obj
    assert isinstance(raw, bytearray)
    at, end = 0, len(given)
    while at < end:
        stop = raw.find(0, at, end)
        if stop < 0:
            raise _wrong("the last value is not ended by a NUL byte")
        equals = raw.find(b"=", at, stop)
        name = bytes(given[at:equals]).decode("ascii", "replace") if equals > at else ""
        yield _checked(name), given[equals + 1 : stop]
        at = stop + 1


def _json(given: memoryview) -> Iterator[tuple[str, bytes]]:
    """An object of strings.  Its strings are Python's own and stay in memory until they are used for something else."""
    import json

    try:
        table = json.loads(bytes(given))
    except (ValueError, RecursionError):
        raise _wrong("it is not JSON") from None
    if not isinstance(table, dict) or not all(isinstance(value, str) for value in table.values()):
        raise _wrong("it is not an object of strings")
    for name, value in table.items():
        yield _checked(name), value.encode("utf-8", "surrogateescape")


def _checked(name: str) -> str:
    if not is_name(name):
        raise _wrong("a secret has no name of letters, digits, '.', '_' and '-'")
    return name


def _pipe(name: str, value: memoryview | bytes) -> int:
    reading, writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        if len(value) > _MAX_PIPE:
            raise _wrong(f"the secret '{name}' has more than 1 MiB")
        if len(value) > 1 << 16:
            fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, len(value))
        if value and os.write(writing, value) != len(value):
            raise OSError(0, "it takes no more")
    except OSError as error:
        os.close(reading)
        raise _wrong(
            f"the secret '{name}' finds no place in memory: {(error.strerror or '').lower()}"
        ) from None
    except BaseException:
        os.close(reading)
        raise
    finally:
        os.close(writing)
    return reading


def _wrong(message: str) -> SpecError:
    return SpecError(message, where="--secrets-fd", remedy=_REMEDY)


def open_credential(name: str) -> int:
    """A credential of this service: a regular file of $CREDENTIALS_DIRECTORY, past no link (systemd.exec(5))."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
    if not folder:
        raise SpecError(
            f"no credential '{name}': CREDENTIALS_DIRECTORY is not set", where="--systemd-credential",
            remedy="start nucleus from a unit with LoadCredential= or SetCredential=",
        )  # fmt: skip
    fd = directory = -1
    try:
        directory = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
        if not S_ISREG(os.fstat(fd).st_mode):
            raise OSError(0, "not a regular file")
        return fd
    except OSError as error:
        if fd >= 0:
            os.close(fd)
        raise SpecError(
            f"the credential '{name}' cannot be opened: {(error.strerror or '').lower()}",
            where="--systemd-credential", remedy="name one that the unit has: LoadCredential=NAME:FILE",
        ) from None  # fmt: skip
    finally:
        if directory >= 0:
            os.close(directory)
