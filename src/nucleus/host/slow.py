"""What only a system call tells (Landlock's ABI …): asked from the launcher once per boot, kept in a file.

✗ trusts no file that another user could have written.  Python has no system call for this without `ctypes`
(6 ms at start), and a process per launch would cost as much as the launch.
"""

from __future__ import annotations

import os

from .machine import output_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .machine import Machine

FILE = "nucleus-facts"
_FORMAT = "1"
_MAX_BYTES = 4096
# A sysctl may change them while the machine runs, so they are of one moment only.
_NEVER_KEPT = ("userns", "userns_capable")


class SlowFacts:
    """key=value pairs with numbers."""

    __slots__ = ("_values",)

    def __init__(self, values: dict[str, int]) -> None:
        self._values = values

    def value(self, name: str) -> int:
        """The number, -1 if the launcher did not say."""
        return self._values.get(name, -1)

    def __bool__(self) -> bool:
        return bool(self._values)

    def kept(self) -> str:
        """The pairs that hold until the next boot."""
        return " ".join([f"{k}={v}" for k, v in self._values.items() if k not in _NEVER_KEPT])


def parse(text: str) -> SlowFacts:
    """Of "landlock_abi=7 clone3=1": words of another form are passed over."""
    values: dict[str, int] = {}
    for word in text.split():
        name, sep, number = word.partition("=")
        if sep and number.removeprefix("-").isdecimal() and number.isascii():
            values[name] = int(number)
    return SlowFacts(values)


def launcher_path() -> str:
    """Where the package keeps its launcher."""
    return __file__.rpartition("/host/")[0] + "/libexec/nucleus-launch"


def ask_launcher(path: str) -> SlowFacts:
    """Runs `nucleus-launch probe`; empty if it cannot be run."""
    return parse(output_of([path, "probe"], {}))


def _folder(machine: Machine, runtime_directory: str) -> str:
    """/run for root, else the user's runtime directory; "" if others may write there."""
    folder = "/run" if machine.euid == 0 else runtime_directory
    status = machine.status(folder) if folder else None
    if status is None or status.st_uid != machine.euid or status.st_mode & 0o022:
        return ""
    return machine.root + folder


def _load(path: str, key: str, uid: int) -> SlowFacts:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return SlowFacts({})
    try:
        status = os.fstat(fd)
        # S_IFREG, one name, ours, and written by nobody else
        if status.st_mode & 0o170022 != 0o100000 or status.st_uid != uid or status.st_nlink != 1:
            return SlowFacts({})
        text = os.read(fd, _MAX_BYTES).decode("ascii", "replace")
    finally:
        os.close(fd)
    first, _, rest = text.partition("\n")
    return parse(rest) if first == key else SlowFacts({})


def _keep(folder: str, text: str) -> None:
    """Nameless until it is whole, so that no moment of death leaves a half or a stray file.

    A launch does not fail because nothing can be kept (read-only /run, no O_TMPFILE).
    """
    try:
        fd = os.open(folder, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    except OSError:
        return
    try:
        os.write(fd, text.encode("ascii"))
        _give_name(fd, f"{folder}/{FILE}")
    except OSError:
        return
    finally:
        os.close(fd)


def _give_name(fd: int, path: str) -> None:
    """linkat(2) through /proc, in the place of an older file."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass  # the first one of this boot
    descriptors = os.open("/proc/self/fd", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.link(str(fd), path, src_dir_fd=descriptors, follow_symlinks=True)
    finally:
        os.close(descriptors)


def slow_facts(
    machine: Machine, *, key: str, runtime_directory: str, fresh: bool = False, launcher: str = ""
) -> SlowFacts:
    """The facts kept under `key` since boot, else (or if `fresh`) the launcher's answer, which is kept then.

    The key names everything that an answer depends on: boot, pid namespace, kernel, seccomp mode, launcher.
    """
    program = launcher or (launcher_path() if machine.is_this_one else "")
    try:
        built = os.stat(program) if program else None
    except OSError:
        built = None
    if built is None:
        return SlowFacts({})
    key = f"{_FORMAT} {key} {built.st_ino} {built.st_mtime_ns} {built.st_size}"
    folder = _folder(machine, runtime_directory)
    if folder and not fresh and (known := _load(f"{folder}/{FILE}", key, machine.euid)):
        return known
    answer = ask_launcher(program)
    if answer and folder:
        _keep(folder, f"{key}\n{answer.kept()}\n")
    return answer
