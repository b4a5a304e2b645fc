"""Which of the capabilities that a run was given it can have used, by the calls that it made; the rest is taken away.

The kernel does not tell when it asked for one: a call that may need it (capabilities(7)) keeps it.  What any use of a file
may need, or is asked for in too many places, cannot be told from calls, and is kept.  ✗ runs nothing, ✗ opens no file.
"""

from __future__ import annotations

from ..base.jsontext import dumps
from .capabilities import NAMES
from .seccomp_record import ALLOWED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .capability_policy import CapabilitySets
    from .seccomp_record import Record

_CALLS = {
    "CHOWN": "chown fchown lchown fchownat",
    "FSETID": "chmod fchmod fchmodat fchmodat2 write pwrite64 writev truncate ftruncate",
    "KILL": "kill tkill tgkill pidfd_send_signal rt_sigqueueinfo rt_tgsigqueueinfo",
    "SETGID": "setgid setregid setresgid setfsgid setgroups",
    "SETUID": "setuid setreuid setresuid setfsuid",
    "SETPCAP": "prctl capset",
    "LINUX_IMMUTABLE": "ioctl",
    "NET_BIND_SERVICE": "bind",
    "NET_RAW": "socket setsockopt",
    "IPC_LOCK": "mlock mlock2 mlockall mmap shmctl shmget memfd_create",
    "IPC_OWNER": "shmget shmat shmctl semget semop semtimedop semctl msgget msgsnd msgrcv msgctl",
    "SYS_MODULE": "init_module finit_module delete_module",
    "SYS_CHROOT": "chroot setns",
    "SYS_PTRACE": "ptrace process_vm_readv process_vm_writev kcmp process_madvise pidfd_getfd",
    "SYS_PACCT": "acct",
    "SYS_BOOT": "reboot kexec_load kexec_file_load",
    "SYS_NICE": "setpriority sched_setscheduler sched_setparam sched_setattr sched_setaffinity ioprio_set mbind "
    "migrate_pages move_pages",
    "SYS_TIME": "settimeofday clock_settime clock_adjtime adjtimex",
    "SYS_TTY_CONFIG": "vhangup ioctl",
    "MKNOD": "mknod mknodat",
    "LEASE": "fcntl",
    "SETFCAP": "setxattr lsetxattr fsetxattr setxattrat",
    "SYSLOG": "syslog",
    "WAKE_ALARM": "timer_create timerfd_create",
    "BPF": "bpf",
    "PERFMON": "perf_event_open bpf",
}
_FIRST_FREE_PORT = 1024  # net.ipv4.ip_unprivileged_port_start


def capability_text(sets: CapabilitySets, record: Record) -> tuple[str, tuple[str, ...]]:
    """(The policy as TOML, "" where none is left; notes for whoever reviews)."""
    made = {call.name for call, _ in record.calls if call.answer == ALLOWED}
    if record.named and not any(0 < use.port < _FIRST_FREE_PORT for use in record.uses if use.name == "bind"):
        made.discard("bind")
    named = _names(sets.bounding | sets.permitted)
    kept = {name for name in named if name not in _CALLS or made & set(_CALLS[name].split())}
    notes = []
    if away := [name for name in named if name not in kept]:
        notes.append(f"no call was made that needs {', '.join(away)}: taken away")
    if unknown := [name for name in named if name not in _CALLS]:
        notes.append(f"whether it needs {', '.join(unknown)} cannot be told from its calls: kept")
    if not kept:
        return "", tuple(notes)
    lines = ["# What was given, and can have been used."]
    for key in ("bounding", "ambient", "effective", "inheritable"):
        if left := [name for name in _names(getattr(sets, key)) if name in kept]:
            lines += ["", f"[{key}]", f"keep = {dumps(left)}"]
    return "\n".join(lines) + "\n", tuple(notes)


def _names(mask: int) -> list[str]:
    return [name for number, name in enumerate(NAMES) if mask >> number & 1]
