"""Where the command's modules come from: its own from one file, which is found and opened once instead of sixty times;
those of others from the interpreter's folders alone.

The file lies in the package's `__pycache__` and is what Python's own files there are: believed by size and time of each
source, passed over where anything is wrong, written by the folder's owner when it is absent or older (`precompile.py`).

    format | Python's byte code | place, size and hash of the index | code of each module | index

The index is {module: (is a package, size and time of its source, place, length and hash of its code)}, marshalled.
✗ the SDK, which imports as everything does.
"""

from __future__ import annotations

import gc
import marshal
import os
import sys
from _frozen_importlib import ModuleSpec
from _frozen_importlib_external import MAGIC_NUMBER, SourceFileLoader
from _imp import _fix_co_filename, source_hash  # type: ignore[attr-defined]
from fcntl import F_DUPFD_CLOEXEC, fcntl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import CodeType, ModuleType

    Entry = tuple[bool, int, int, int, int, bytes]  # in the order of the sentence above; times in nanoseconds
    Index = dict[str, Entry]

PACKAGE = "nucleus"
FOLDER = __file__.rpartition("/")[0]
SUFFIX = f"{sys.implementation.cache_tag}{f'.opt-{sys.flags.optimize}' if sys.flags.optimize else ''}"
FILE = f"{PACKAGE}.{SUFFIX}.modules"
MAGIC = b"NUCMODS1" + MAGIC_NUMBER
HEADER = len(MAGIC) + 16
_MOST = 1 << 20  # bytes of an index
_KEY = int.from_bytes(MAGIC_NUMBER, "little")
# The descriptor stays open, out of the way of numbers that callers hand on, and of streams that they closed.
_FIRST_FD = 100


def prepare(*, isolated: bool) -> None:
    """Before the first import of the package.  `isolated`: under `-I -S` nobody else says where to look."""
    if sys.version_info < (3, 11):  # noqa: UP036 - a checkout may meet an older interpreter
        sys.stderr.write("nucleus: Python 3.11 or newer is needed\n  remedy: run 'make build'\n")
        sys.exit(125)
    gc.disable()  # a command is over, or the launcher, before anything is worth collecting
    if isolated:
        sys.path += folders()
    if sys.pycache_prefix is None:  # else somebody keeps byte code in another place
        sys.meta_path.insert(0, Finder(FOLDER))


def folders() -> list[str]:
    """Behind the standard library: the folder of this package, and the interpreter's own site-packages.

    Nothing that the caller can write to is on the path.
    """
    prefix = sys.executable.rpartition("/")[0].rpartition("/")[0]
    version = "python%d.%d" % sys.version_info[:2]
    found = [FOLDER.rpartition("/")[0], f"{prefix}/lib/{version}/site-packages"]
    if prefix == "/usr":  # Debian keeps what pip and apt install elsewhere
        found += [f"/usr/local/lib/{version}/dist-packages", "/usr/lib/python3/dist-packages"]
    return found


class Loader(SourceFileLoader):
    """The loader of a source file whose code is at hand; asked again it looks for itself."""

    def __init__(self, name: str, path: str, code: CodeType) -> None:
        super().__init__(name, path)
        self._code: CodeType | None = code

    def get_code(self, fullname: str) -> CodeType | None:
        """The code that was found, once."""
        code, self._code = self._code, None
        return super().get_code(fullname) if code is None else code


class Finder:
    """An entry of sys.meta_path.  Only what is imported is read: memory is what an interpreter's start pays for."""

    __slots__ = ("_behind", "_fd", "_folder", "_index", "_renewed")

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._behind = self._renewed = False
        self._fd, self._index = open_file(f"{folder}/__pycache__/{FILE}")

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module's spec; None where the ordinary finder has to look."""
        if name != PACKAGE and not name.startswith("nucleus."):
            return None
        found = self._spec(name)
        self._behind |= found is None
        # Whoever writes the file is a module of the package, which has to be there first.
        if self._behind and not self._renewed and name != PACKAGE:
            self._renewed = True
            if self._renew():
                found = self._spec(name)
        return found

    def _spec(self, name: str) -> ModuleSpec | None:
        """What the ordinary finder would say of that module; None when the file has no code of its present source."""
        inside = name[len(PACKAGE) :].replace(".", "/")
        try:
            is_package, size, time, at, length, digest = self._index[name]
            path = f"{self._folder}{inside}/__init__.py" if is_package else f"{self._folder}{inside}.py"
            status = os.stat(path)
            if status.st_size != size or status.st_mtime_ns != time:
                return None
            marshalled = os.pread(self._fd, length, at)
            if digest_of(marshalled) != digest:
                return None
            code = marshal.loads(marshalled)
            _fix_co_filename(code, path)
        except Exception:  # noqa: BLE001 - whatever is wrong with the file: the sources are right
            return None
        spec = ModuleSpec(name, Loader(name, path, code), origin=path, is_package=is_package)
        spec.has_location = True
        above, _, file = path.rpartition("/")
        spec.cached = f"{above}/__pycache__/{file[:-3]}.{SUFFIX}.pyc"
        if is_package:
            spec.submodule_search_locations = [above]
        return spec

    def _renew(self) -> bool:
        """Writes the file anew where that may be done; says whether there is another one now."""
        if sys.dont_write_bytecode or not os.access(f"{self._folder}/__pycache__", os.W_OK):
            return False
        from .precompile import renew

        if not renew(self._folder):
            return False
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._index = open_file(f"{self._folder}/__pycache__/{FILE}")
        return True


def digest_of(data: bytes) -> bytes:
    """64 bits against a disk that lies; who may write here may write Python's own byte code as well."""
    return source_hash(_KEY, data)


def open_file(path: str) -> tuple[int, Index]:
    """A descriptor and the index; -1 and nothing where the file is absent, cut short or of another version."""
    try:
        low = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            fd = fcntl(low, F_DUPFD_CLOEXEC, _FIRST_FD)
        finally:
            os.close(low)
    except OSError:
        return -1, {}
    index = _index(fd)
    if index is None:
        os.close(fd)
        return -1, {}
    return fd, index


def _index(fd: int) -> Index | None:
    try:
        head = os.pread(fd, HEADER, 0)
        at, size = int.from_bytes(head[-16:-12], "little"), int.from_bytes(head[-12:-8], "little")
        marshalled = os.pread(fd, min(size, _MOST), at)
        right = head.startswith(MAGIC) and head[-8:] == digest_of(marshalled)
        index = marshal.loads(marshalled) if right else None
    except Exception:  # noqa: BLE001 - whatever is wrong with the file: the sources are right
        return None
    return index if type(index) is dict else None
