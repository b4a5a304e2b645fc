"""`--seccomp-allow NAME`: which calls may be added to a built-in profile, and under which conditions.

✗ no profiles, no BPF.
"""

from __future__ import annotations

from ..base.errors import Problem, SpecError
from .seccomp_default import PERSONALITIES
from .seccomp_filters import PRIORITIES, one_of
from .seccomp_rules import ALLOW, Filter, Rule
from .seccomp_strict import not_writable_and_executable
from .syscall_tables import TABLES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

# What for: calls.
OPT_IN: dict[str, str] = {
    "io_uring; its requests pass by this filter": "io_uring_setup io_uring_enter io_uring_register",
    "System V messages": "msgget msgsnd msgrcv msgctl",
    "POSIX messages": "mq_open mq_unlink mq_timedsend mq_timedreceive mq_notify mq_getsetattr",
    "timers": "timer_create timer_settime timer_gettime timer_getoverrun timer_delete",
    "watching files":
        "inotify_init inotify_init1 inotify_add_watch inotify_rm_watch fanotify_init fanotify_mark",
    "memory":
        "mincore mlockall munlockall membarrier process_madvise mbind set_mempolicy get_mempolicy "
        "set_mempolicy_home_node pkey_mprotect pkey_alloc pkey_free cachestat remap_file_pages",
    "files; the mode of openat2 cannot be looked at":
        "sync syncfs readahead vmsplice openat2 name_to_handle_at open_by_handle_at io_pgetevents creat "
        "fchmodat2 statmount listmount utimensat utimes utime futimesat",
    "extended attributes":
        "setxattr lsetxattr fsetxattr removexattr lremovexattr fremovexattr setxattrat getxattrat "
        "listxattrat removexattrat",
    "several messages at once": "recvmmsg sendmmsg",
    "scheduling":
        "sched_setparam sched_setscheduler sched_get_priority_max sched_get_priority_min "
        "sched_rr_get_interval sched_setattr sched_getattr",
    "limits and priorities": "setrlimit getpriority setpriority ioprio_set ioprio_get",
    "processes":
        "vfork pause alarm tkill sysinfo personality vhangup time pidfd_open pidfd_send_signal pidfd_getfd",
    "identity":
        "setuid setgid setreuid setregid setresuid setresgid setfsuid setfsgid setgroups getsid capget",
    "the rest":
        "rt_tgsigqueueinfo mknod mknodat syslog clock_settime clock_adjtime adjtimex kcmp epoll_pwait2 "
        "futex_waitv futex_wake futex_wait futex_requeue seccomp io_cancel",
}  # fmt: skip

# Each of them is a way out of the sandbox, or to what no namespace bounds.
NEVER = ("clone3", "unshare", "setns", "add_key", "request_key", "keyctl")

# Allowed under a condition, also when added.
_CONDITIONAL: dict[str, tuple[Rule, ...]] = {
    **{name: tuple([rule.replace(calls=(name,)) for rule in PRIORITIES if name in rule.calls])
       for name in ("setpriority", "ioprio_set")},
    "pkey_mprotect": not_writable_and_executable("pkey_mprotect"),
    "personality": one_of(("personality",), 0, PERSONALITIES, "harmless execution domains"),
}  # fmt: skip


def extend(profile: Filter, names: Iterable[str], *, where: str = "--seccomp-allow") -> Filter:
    """The profile with these calls allowed as well; SpecError names every one that cannot be.

    A call that the profile allows already keeps the conditions that it has there.
    """
    wanted = tuple(dict.fromkeys(names))
    problems = [p for name in wanted if (p := _problem(profile, name, where)) is not None]
    if problems:
        raise SpecError(problems=tuple(problems))
    added = [rule for name in wanted if not _allows(profile, name) for rule in _rules_for(name)]
    if not added:
        return profile
    # Before the profile's own, because the first rule that holds decides.
    return profile.replace(name=f"{profile.name}+{'+'.join(wanted)}", rules=(*added, *profile.rules))


def opt_in_names() -> tuple[str, ...]:
    """Every call that the option takes, in the order of its groups."""
    return tuple([name for calls in OPT_IN.values() for name in calls.split()])


def _allows(profile: Filter, name: str) -> bool:
    return any(name in rule.calls and rule.action == ALLOW for rule in profile.rules)


def _rules_for(name: str) -> tuple[Rule, ...]:
    return _CONDITIONAL.get(name) or (Rule(calls=(name,), action=ALLOW, why="asked for"),)


def _problem(profile: Filter, name: str, where: str) -> Problem | None:
    if name in NEVER:
        message = f"{name} is never allowed: with it a process leaves the sandbox"
        return Problem(message=message, where=where, remedy="remove it; programs go on without")
    if _allows(profile, name) or name in opt_in_names():
        return None
    if any(name in table for table in TABLES.values()):
        message = f"{name} cannot be added to the profile {profile.name!r}"
        return Problem(message=message, where=where, remedy="docs/explain/seccomp.md lists those that can")
    from ..spec.suggest import hint

    every = sorted({name for table in TABLES.values() for name in table})
    remedy = f"syscalls(2) lists them{hint(name, every, '')}"
    return Problem(message=f"{name!r} is not a system call", where=where, remedy=remedy)
