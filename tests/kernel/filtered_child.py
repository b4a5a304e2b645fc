"""System calls made by a child under a filter, as the kernel answers them.  ✗ no tests, no expectations."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import signal
import struct

from nucleus.policy.syscall_tables import TABLES

NUMBERS = TABLES[platform.machine()]
_SECCOMP_SET_MODE_FILTER, _PR_SET_NO_NEW_PRIVS = 1, 38

Argument = int | bytes | None
Call = tuple[int | str, *tuple[Argument, ...]]


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(None, use_errno=True)
    library.syscall.restype = ctypes.c_long
    return library


def _arguments(call: Call) -> list[object]:
    number = NUMBERS[call[0]] if isinstance(call[0], str) else call[0]
    given = [ctypes.c_ulong(a) if isinstance(a, int) else a for a in call[1:]]
    return [ctypes.c_long(number), *given, *(ctypes.c_ulong(0) for _ in range(6 - len(given)))]


def _install(library: ctypes.CDLL, program: bytes) -> None:
    filter_ = _Program(len(program) // 8, program)
    if library.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        os._exit(101)
    number = ctypes.c_long(NUMBERS["seccomp"])
    if library.syscall(number, _SECCOMP_SET_MODE_FILTER, 0, ctypes.byref(filter_)):
        os._exit(102)


def _run(library: ctypes.CDLL, program: bytes, prepared: list[list[object]], out: int) -> None:
    _install(library, program)
    for arguments in prepared:
        result = library.syscall(*arguments)
        os.write(out, struct.pack("<i", ctypes.get_errno() if result == -1 else 0))
    os._exit(0)


def run_without(call: str, command: list[str], environment: dict[str, str]) -> tuple[int, str]:
    """A command whose kernel answers EPERM to one call; its exit code, and what it wrote to its standard error."""
    refuse = struct.pack(
        "<" + "HBBI" * 4,
        *(0x20, 0, 0, 0),  # load the number
        *(0x15, 0, 1, NUMBERS[call]),  # is it that one?
        *(0x06, 0, 0, 0x0005_0000 | errno.EPERM),  # SECCOMP_RET_ERRNO
        *(0x06, 0, 0, 0x7FFF_0000),  # SECCOMP_RET_ALLOW
    )
    library = _library()
    receive, send = os.pipe()
    child = os.fork()
    if not child:
        os.dup2(send, 2)
        _install(library, refuse)
        os.execve(command[0], command, environment)
    os.close(send)
    with os.fdopen(receive) as file:
        said = file.read()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), said


def answers(program: bytes, calls: list[Call]) -> list[str]:
    """For each call "ok" or the errno's name; the last word is the signal's that ended the child, if one did.

    Whatever a call makes (files, sockets) is made in the child, in its working directory.
    """
    library, prepared = _library(), [_arguments(call) for call in calls]
    receive, send = os.pipe()
    child = os.fork()
    if not child:
        os.close(receive)
        _run(library, program, prepared, send)
    os.close(send)
    with os.fdopen(receive, "rb") as file:
        data = file.read()
    _, status = os.waitpid(child, 0)
    words = [errno.errorcode[n] if n else "ok" for (n,) in struct.iter_unpack("<i", data)]
    if os.WIFSIGNALED(status):
        return [*words, signal.Signals(os.WTERMSIG(status)).name]
    assert os.WEXITSTATUS(status) == 0, f"the filter was not installed: {os.WEXITSTATUS(status)}"
    return words
