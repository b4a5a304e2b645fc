"""A filter whose calls are asked about: nucleus-trace gets the answer with each.

A program keeps its decisions; only what it returns is replaced, with the old answer in the low 16 bits (launcher/trace.h):
by SECCOMP_RET_TRACE where everything is recorded, by SECCOMP_RET_USER_NOTIF where refusals are.
✗ starts nothing, ✗ reads no trace (`seccomp_record.py`).
"""

from __future__ import annotations

from errno import EBUSY, ENOSYS, EPERM
from struct import iter_unpack, pack

from .seccomp_bpf import AUDIT_ARCH
from .seccomp_rules import ALLOW, KILL_PROCESS, LOG, TRACE, USER_NOTIF
from .syscall_tables import TABLES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_RET, _LD, _JEQ, _JSET = 0x06, 0x20, 0x15, 0x45
_ARGUMENT = 16  # the low half of a call's first, in struct seccomp_data
_SET_MODE_FILTER, _NEW_LISTENER = 1, 8
_ACTION, _DATA, _ERRNO = 0xFFFF0000, 0xFFFF, 0x00050000
_KILL, _ALLOWED = 0x8000, 0xFFFF
_MASKS = 1024

_ADDRESS = 0x8000

# A process can end even where nobody answers any more.
ENDINGS = ("exit", "exit_group")

# Arguments that choose between things that a program does, where few values are usual: no pointers, no sizes, no
# descriptors, no ids.  A profile may allow a call for some of their values alone.
ARGUMENTS: dict[str, tuple[int, ...]] = {
    "access": (1,), "arch_prctl": (0,), "bpf": (0,), "chmod": (1,), "clock_getres": (0,), "clock_gettime": (0,),
    "clock_nanosleep": (0, 1), "clone": (0,), "creat": (1,), "dup3": (2,), "epoll_create1": (0,), "epoll_ctl": (1,),
    "eventfd2": (1,), "faccessat": (2,), "faccessat2": (2, 3), "fadvise64": (3,), "fallocate": (1,), "fchmod": (1,),
    "fchmodat": (2,), "fchownat": (4,), "fcntl": (1,), "flock": (1,), "futex": (1,), "getitimer": (0,),
    "getpriority": (0,), "getrandom": (2,), "getrlimit": (0,), "getrusage": (0,), "inotify_init1": (0,), "ioctl": (1,),
    "ioprio_get": (0,), "ioprio_set": (0,), "keyctl": (0,), "kill": (1,), "lseek": (2,), "madvise": (2,), "mbind": (2,),
    "membarrier": (0, 1), "memfd_create": (1,), "mknod": (1,), "mknodat": (2,), "mlock2": (2,), "mlockall": (0,),
    "mmap": (2, 3), "mprotect": (2,), "mremap": (3,), "msync": (2,), "newfstatat": (3,), "open": (1,), "openat": (2,),
    "personality": (0,), "pidfd_open": (1,), "pipe2": (1,), "pkey_mprotect": (2,), "prctl": (0,), "prlimit64": (0, 1),
    "ptrace": (0,), "recvfrom": (3,), "recvmsg": (2,), "renameat2": (4,), "rseq": (2,), "rt_sigprocmask": (0,),
    "seccomp": (0, 1), "sendmsg": (2,), "sendto": (3,), "setitimer": (0,), "setpriority": (0,), "setrlimit": (0,),
    "setsockopt": (1, 2), "getsockopt": (1, 2), "shutdown": (1,), "signalfd4": (3,), "socket": (0, 1, 2),
    "socketpair": (0, 1, 2), "accept4": (3,), "splice": (5,), "statx": (2,), "sync_file_range": (3,), "tgkill": (2,),
    "timer_create": (0,), "timerfd_create": (0, 1), "timerfd_settime": (1,), "tkill": (1,), "umount2": (1,),
    "unlinkat": (2,), "unshare": (0,), "utimensat": (3,), "vmsplice": (3,), "wait4": (2,), "waitid": (0, 3),
}  # fmt: skip

# Arguments that name files: (path, its directory's descriptor, a second path, its directory's, flags), -1 for none.
FILES: dict[str, tuple[int, int, int, int, int]] = {
    "open": (0, -1, -1, -1, 1), "openat": (1, 0, -1, -1, 2), "creat": (0, -1, -1, -1, -1), "execve": (0, -1, -1, -1, -1),
    "execveat": (1, 0, -1, -1, -1), "stat": (0, -1, -1, -1, -1), "lstat": (0, -1, -1, -1, -1),
    "newfstatat": (1, 0, -1, -1, -1), "statx": (1, 0, -1, -1, -1), "access": (0, -1, -1, -1, 1),
    "faccessat": (1, 0, -1, -1, 2), "faccessat2": (1, 0, -1, -1, 2), "readlink": (0, -1, -1, -1, -1),
    "readlinkat": (1, 0, -1, -1, -1), "chdir": (0, -1, -1, -1, -1), "mkdir": (0, -1, -1, -1, -1),
    "mkdirat": (1, 0, -1, -1, -1), "rmdir": (0, -1, -1, -1, -1), "unlink": (0, -1, -1, -1, -1),
    "unlinkat": (1, 0, -1, -1, -1), "rename": (0, -1, 1, -1, -1), "renameat": (1, 0, 3, 2, -1),
    "renameat2": (1, 0, 3, 2, -1), "link": (0, -1, 1, -1, -1), "linkat": (1, 0, 3, 2, -1), "symlink": (1, -1, -1, -1, -1),
    "symlinkat": (2, 1, -1, -1, -1), "mknod": (0, -1, -1, -1, -1), "mknodat": (1, 0, -1, -1, -1),
    "chmod": (0, -1, -1, -1, -1), "fchmodat": (1, 0, -1, -1, -1), "chown": (0, -1, -1, -1, -1),
    "lchown": (0, -1, -1, -1, -1), "fchownat": (1, 0, -1, -1, -1), "truncate": (0, -1, -1, -1, -1),
    "utimensat": (1, 0, -1, -1, -1), "fchmodat2": (1, 0, -1, -1, -1), "utime": (0, -1, -1, -1, -1),
    "utimes": (0, -1, -1, -1, -1), "futimesat": (1, 0, -1, -1, -1),
}  # fmt: skip
ADDRESSES = {"connect": 1, "bind": 1}
# From then on files are named where nobody looks, or mean others.
LOST = ("chroot", "io_uring_setup", "open_by_handle_at", "openat2")


def tables(arch: str) -> bytes:
    """What nucleus-trace is given (launcher/trace.h)."""
    return masks(arch) + looks(arch)


def looks(arch: str) -> bytes:
    """Which arguments of each call name files or an address."""
    found = [0] * _MASKS
    table = TABLES[arch]
    for name, indices in FILES.items():
        if name in table:
            found[table[name]] = sum([index + 1 << 3 * place for place, index in enumerate(indices)])
    for name, index in ADDRESSES.items():
        found[table[name]] = _ADDRESS | index + 1
    for name in LOST:
        found[table[name]] = _ADDRESS
    return pack(f"<{_MASKS}H", *found)


def masks(arch: str) -> bytes:
    """For nucleus-trace: which arguments of each call are told apart."""
    found = bytearray(_MASKS)
    table = TABLES[arch]
    for name, indices in ARGUMENTS.items():
        if name in table:
            found[table[name]] = sum([1 << index for index in indices])
    return bytes(found)


def refusals_asked(program: bytes) -> bytes:
    """The program whose refusals a listener hears of."""
    return _mapped(program, _heard)


def everything_asked(program: bytes, arch: str) -> bytes:
    """The program whose every answer a tracer gives, but to calls that end a process.

    Two calls are refused whatever the program says: ptrace, since whoever has another tracer has not this one, and a filter
    with a listener, since the kernel asks that instead.
    """
    table = TABLES[arch]
    allow, no_tracer, no_listener, rest = 11, 12, 13, 14
    prefix = (  # opcode, constant, where to go on if so, and if not: the next one or a place above
        (_LD, 4, 1, 1), (_JEQ, AUDIT_ARCH[arch], 2, rest),
        (_LD, 0, 3, 3), (_JEQ, table[ENDINGS[0]], allow, 4), (_JEQ, table[ENDINGS[1]], allow, 5),
        (_JEQ, table["ptrace"], no_tracer, 6), (_JEQ, table["seccomp"], 7, rest),
        (_LD, _ARGUMENT, 8, 8), (_JEQ, _SET_MODE_FILTER, 9, rest),
        (_LD, _ARGUMENT + 8, 10, 10), (_JSET, _NEW_LISTENER, no_listener, rest),
        (_RET, ALLOW, 12, 12), (_RET, TRACE | EPERM, 13, 13), (_RET, TRACE | EBUSY, 14, 14),
    )  # fmt: skip
    jumps = [
        pack("<HBBI", opcode, true - at - 1, false - at - 1, constant)
        for at, (opcode, constant, true, false) in enumerate(prefix)
    ]
    return b"".join(jumps) + _mapped(program, _traced)


def plain(program: bytes) -> bytes:
    """The program that `refusals_asked` was made from: what nobody listens to is refused by the kernel."""
    return _mapped(program, _answer)


def _mapped(program: bytes, returned: Callable[[int], int]) -> bytes:
    return b"".join([
        pack("<HBBI", opcode, true, false, returned(constant) if opcode == _RET else constant)
        for opcode, true, false, constant in iter_unpack("<HBBI", program)
    ])  # fmt: skip


def _heard(answer: int) -> int:
    """What asks about a call that would be answered so; all but refusals stay the kernel's."""
    if answer & _ACTION == _ERRNO:
        return USER_NOTIF | answer & _DATA
    return USER_NOTIF | _KILL if answer == KILL_PROCESS else answer


def _traced(answer: int) -> int:
    """The same, of what is allowed too.  What asks for a tracer of its own is answered as where there is none."""
    if answer & _ACTION == TRACE:
        return TRACE | ENOSYS
    if answer & _ACTION == _ERRNO:
        return TRACE | answer & _DATA
    return TRACE | _KILL if answer == KILL_PROCESS else TRACE | _ALLOWED if answer in (ALLOW, LOG) else answer


def _answer(question: int) -> int:
    if question & _ACTION != USER_NOTIF:
        return question
    data = question & _DATA
    return KILL_PROCESS if data == _KILL else _ERRNO | data
