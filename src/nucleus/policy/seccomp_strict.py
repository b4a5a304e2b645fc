"""The profile `strict`: a short list for programs that are known.  What is not on it kills the process.

A few things are answered with an errno instead, because C libraries and archive programs ask for them and
go on without.  ✗ no BPF.
"""

from __future__ import annotations

from .seccomp_filters import (
    CLONE,
    LAUNCHER_CALLS,
    OTHER_SOCKETS,
    PR_CAPBSET_READ,
    PR_GET_NO_NEW_PRIVS,
    PR_GET_SECCOMP,
    REFUSED,
    SET_ID_MODES,
    SOCKETS,
    UNKNOWN,
    one_of,
)
from .seccomp_rules import ALLOW, EQ, KILL_PROCESS, MASKED_EQ, Condition, Filter, Rule

# name: (reason, calls)
GROUPS: dict[str, tuple[str, str]] = {
    "the launcher": ("reads the lockdown back through the filter, then executes", " ".join(LAUNCHER_CALLS)),
    "descriptors": (
        "reading and writing what is already open",
        "readv writev preadv pwritev pwrite64 lseek fcntl dup dup2 dup3 pipe pipe2 splice tee sendfile "
        "copy_file_range",
    ),
    "files": (
        "paths are bounded by the mounts and by Landlock, not here",
        "stat lstat fstat newfstatat statx access faccessat faccessat2 statfs fstatfs readlink readlinkat "
        "unlink unlinkat rename renameat renameat2 link linkat symlink symlinkat mkdir mkdirat rmdir "
        "getdents getdents64 getcwd fchdir chown lchown fchown fchownat umask truncate ftruncate "
        "fallocate fadvise64 fsync fdatasync sync_file_range flock getxattr lgetxattr fgetxattr listxattr "
        "llistxattr flistxattr",
    ),
    "memory": ("own memory", "munmap brk mremap madvise msync mlock mlock2 munlock"),
    "System V IPC": (
        "ends at the IPC namespace",
        "shmget shmat shmdt shmctl semget semop semctl semtimedop",
    ),
    "processes": (
        "own processes; fork and vfork take no flags, so no namespace comes with them, and musl and "
        "Python need them",
        "fork vfork wait4 waitid getpid gettid getppid setsid setpgid getpgid getpgrp rseq arch_prctl",
    ),
    "identity": ("reading one's own", "getuid geteuid getgid getegid getresuid getresgid getgroups"),
    "signals": (
        "within the process namespace",
        "rt_sigaction rt_sigprocmask rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigpending "
        "rt_sigqueueinfo sigaltstack restart_syscall kill tgkill",
    ),
    "time": (
        "reading clocks and waiting",
        "clock_gettime clock_getres clock_nanosleep gettimeofday nanosleep setitimer getitimer times "
        "timerfd_create timerfd_settime timerfd_gettime",
    ),
    "threads": (
        "locks and scheduling",
        "futex set_tid_address set_robust_list get_robust_list sched_yield sched_getaffinity "
        "sched_setaffinity sched_getparam sched_getscheduler getcpu",
    ),
    "facts": ("what every program asks at its start", "uname getrandom getrusage getrlimit"),
    "asynchronous I/O": ("the old interface", "io_setup io_destroy io_submit io_getevents"),
    "sockets": (
        "traffic is bounded by the network namespace; which sockets can be made at all is filtered at "
        "socket()",
        "getsockname getpeername getsockopt connect sendto shutdown bind listen accept accept4 setsockopt",
    ),
    "waiting": (
        "event loops",
        "poll ppoll select pselect6 epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait eventfd "
        "eventfd2 signalfd signalfd4",
    ),
    "probes": (
        "made by the kernel's own trampoline when an administrator probes the program",
        "uretprobe uprobe",
    ),
}  # fmt: skip

PROT_WRITE, PROT_EXEC, AT_EMPTY_PATH = 0x2, 0x4, 0x1000
PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET = 47, 1

# Terminal settings, window size, bytes waiting, close-on-exec; and clones of files, which cp asks for first.
# TIOCSTI and TIOCLINUX are not among them.
COMMANDS = (
    *(0x5401, 0x5402, 0x5403, 0x5404, 0x540B, 0x540E, 0x540F, 0x5410, 0x5413, 0x5429, 0x802C542A),
    *(0x541B, 0x5421, 0x5450, 0x5451, 0x40049409, 0x4020940D),
)
# Signal at the parent's death, thread names, child subreaper, tid address, and asking about the confinement.
# SET_MM (35) needs a capability: the C library's start-up may ask, and the kernel answers EPERM.
OPTIONS = (*(1, 2, 15, 16, PR_GET_SECCOMP, PR_CAPBSET_READ, 27, 35, 36, 37, 38, PR_GET_NO_NEW_PRIVS, 40),)


def not_writable_and_executable(*calls: str) -> tuple[Rule, ...]:
    """Pages are writable or executable, never both: written code does not run."""
    why = "memory is writable or executable, never both"
    return tuple(
        Rule(calls=calls, action=ALLOW, when=(Condition(index=2, op=MASKED_EQ, mask=bit, value=0),), why=why)
        for bit in (PROT_WRITE, PROT_EXEC)
    )


def _zero(index: int) -> Condition:
    return Condition(index=index, op=EQ, value=0)


SOCKET_PAIR = Rule(
    calls=("socketpair",), action=ALLOW, when=(Condition(index=0, op=EQ, value=1, bits=32),),
    why="only AF_UNIX has pairs",
)  # fmt: skip

CONDITIONAL = (
    *CLONE,
    *SET_ID_MODES,
    *SOCKETS,
    OTHER_SOCKETS,
    SOCKET_PAIR,
    *one_of(("ioctl",), 1, COMMANDS, "terminals and descriptors"),
    *one_of(("prctl",), 0, OPTIONS, "harmless, or a question"),
    Rule(
        calls=("prctl",), action=ALLOW,
        when=(Condition(index=0, op=EQ, value=PR_CAP_AMBIENT, bits=32),
              Condition(index=1, op=EQ, value=PR_CAP_AMBIENT_IS_SET)),
        why="asks; raising and lowering are refused",
    ),
    Rule(calls=("sysinfo",), action=REFUSED, why="sorting in the C library asks it for the host's memory"),
    Rule(calls=("prlimit64",), action=ALLOW, when=(_zero(2),), why="asks; no new limit is given"),
    *not_writable_and_executable("mmap", "mprotect"),
    Rule(calls=("preadv2", "pwritev2"), action=ALLOW, when=(_zero(5),), why="no flags"),
    Rule(
        calls=("execveat",), action=ALLOW,
        when=(Condition(index=4, op=MASKED_EQ, mask=AT_EMPTY_PATH, value=0),),
        why="programs have a path: none runs from memory alone",
    ),
)  # fmt: skip

STRICT = Filter(
    name="strict",
    rules=(
        *(Rule(calls=tuple(calls.split()), action=ALLOW, why=why) for why, calls in GROUPS.values()),
        *CONDITIONAL,
    ),
    default=KILL_PROCESS,
    unknown=UNKNOWN,
)
