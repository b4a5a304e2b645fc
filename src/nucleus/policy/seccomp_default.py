"""The profile `default`: real toolchains run.  What is not listed answers EPERM, what is unknown ENOSYS.

Each group carries the reason why it is allowed, and REFUSED_GROUPS why the rest is not: the two together name
every call of the tables.  ✗ no conditions of its own (seccomp_filters), no BPF.
"""

from __future__ import annotations

from .seccomp_filters import (
    CLONE,
    OTHER_SOCKETS,
    OWN_LIMITS,
    PRIORITIES,
    REFUSED,
    ROUTE_SOCKET,
    SET_ID_MODES,
    SOCKET_PAIRS,
    SOCKETS,
    TERMINAL_INPUT,
    UNKNOWN,
    one_of,
)
from .seccomp_rules import ALLOW, Filter, Rule

# name: (reason, calls)
GROUPS: dict[str, tuple[str, str]] = {
    "descriptors": (
        "reading and writing what is already open",
        "read write readv writev preadv pwritev preadv2 pwritev2 pread64 pwrite64 lseek close close_range "
        "fcntl dup dup2 dup3 pipe pipe2 splice tee vmsplice sendfile copy_file_range readahead fadvise64 "
        "flock",
    ),
    "files": (
        "paths are bounded by the mounts and by Landlock, not here",
        "access faccessat faccessat2 stat lstat fstat newfstatat statx statfs fstatfs readlink readlinkat "
        "getdents getdents64 getcwd chdir fchdir rename renameat renameat2 link linkat symlink symlinkat "
        "unlink unlinkat mkdir mkdirat rmdir chown fchown lchown fchownat umask utime utimes futimesat "
        "utimensat truncate ftruncate fallocate fsync fdatasync sync_file_range sync syncfs "
        "name_to_handle_at file_getattr file_setattr",
    ),
    "extended attributes": (
        "tar, rsync and git read and write user.*; security.* and trusted.* need capabilities",
        "setxattr lsetxattr fsetxattr setxattrat getxattr lgetxattr fgetxattr getxattrat listxattr "
        "llistxattr flistxattr listxattrat removexattr lremovexattr fremovexattr removexattrat",
    ),
    "memory": (
        "own memory; writable and executable too, because the compilers inside node and Java need it",
        "mmap munmap mremap mprotect madvise brk msync mincore mlock mlock2 munlock mlockall munlockall "
        "remap_file_pages pkey_mprotect pkey_alloc pkey_free mseal map_shadow_stack process_madvise "
        "membarrier get_mempolicy cachestat",
    ),
    "memory files": (
        "shared memory without a name; executing one is no more than executing a file of one's own in /tmp",
        "memfd_create",
    ),
    "processes": (
        "own processes; fork and vfork take no flags, so no namespace comes with them",
        "execve execveat fork vfork wait4 waitid exit exit_group getpid getppid gettid setsid getsid "
        "setpgid getpgid getpgrp pidfd_open pidfd_send_signal set_tid_address arch_prctl prctl",
    ),
    "identity": (
        "without a capability only among the ids that the process has already; real tools call them to be "
        "sure",
        "getuid geteuid getgid getegid getresuid getresgid getgroups setuid setgid setreuid setregid "
        "setresuid setresgid setfsuid setfsgid setgroups capget capset",
    ),
    "signals": (
        "within the process namespace",
        "rt_sigaction rt_sigprocmask rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigpending "
        "rt_sigqueueinfo rt_tgsigqueueinfo sigaltstack restart_syscall kill tkill tgkill pause alarm "
        "signalfd signalfd4",
    ),
    "threads": (
        "locks, and scheduling of own threads; raising priorities needs a capability",
        "futex futex_waitv futex_wake futex_wait futex_requeue set_robust_list get_robust_list rseq "
        "rseq_slice_yield sched_yield sched_getaffinity sched_setaffinity sched_getparam sched_setparam "
        "sched_getscheduler sched_setscheduler sched_getattr sched_setattr sched_get_priority_max "
        "sched_get_priority_min sched_rr_get_interval getcpu getpriority ioprio_get",
    ),
    "time": (
        "reading clocks and waiting; setting them is refused",
        "clock_gettime clock_getres clock_nanosleep gettimeofday time times nanosleep setitimer getitimer "
        "timer_create timer_settime timer_gettime timer_getoverrun timer_delete timerfd_create "
        "timerfd_settime timerfd_gettime",
    ),
    "facts": (
        "what every program asks at its start; limits can be lowered, raising hard ones needs a capability",
        "uname getrandom getrusage sysinfo getrlimit setrlimit",
    ),
    "waiting": (
        "event loops; inotify is bounded by the limits of its user namespace",
        "poll ppoll select pselect6 epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait "
        "epoll_pwait2 eventfd eventfd2 inotify_init inotify_init1 inotify_add_watch inotify_rm_watch",
    ),
    "sockets": (
        "traffic is bounded by the network namespace; which sockets can be made at all is filtered at "
        "socket()",
        "bind connect listen accept accept4 getsockname getpeername sendto recvfrom sendmsg recvmsg "
        "sendmmsg recvmmsg shutdown setsockopt getsockopt",
    ),
    "System V and POSIX IPC": (
        "ends at the IPC namespace; PostgreSQL keeps its interlock there",
        "shmget shmat shmdt shmctl semget semop semctl semtimedop msgget msgsnd msgrcv msgctl mq_open "
        "mq_unlink mq_timedsend mq_timedreceive mq_notify mq_getsetattr",
    ),
    "asynchronous I/O": (
        "the old interface, which databases use; io_uring is refused",
        "io_setup io_destroy io_submit io_getevents io_pgetevents io_cancel",
    ),
    "self-confinement": (
        "filters and rulesets can only take more away",
        "seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self",
    ),
    "probes": (
        "made by the kernel's own trampoline when an administrator probes the program; refusing kills it",
        "uretprobe uprobe",
    ),
}  # fmt: skip

# name: (reason, calls).  Refused with EPERM.
REFUSED_GROUPS: dict[str, tuple[str, str]] = {
    "namespaces and mounts": (
        "a namespace of its own gives every capability in it; mounts are the sandbox itself, and part of "
        "what changes them is outside Landlock's sight",
        "unshare setns chroot pivot_root mount umount2 mount_setattr move_mount open_tree open_tree_attr "
        "fsopen fsconfig fsmount fspick statmount listmount listns",
    ),
    "other processes": (
        "looking into or changing another process, also those of the same sandbox",
        "ptrace process_vm_readv process_vm_writev process_mrelease pidfd_getfd kcmp move_pages "
        "migrate_pages",
    ),
    "large attack surface": (
        "programs in the kernel, faults handled by the process, calls that pass by this filter",
        "bpf perf_event_open userfaultfd io_uring_setup io_uring_enter io_uring_register fanotify_init "
        "fanotify_mark memfd_secret modify_ldt mbind set_mempolicy set_mempolicy_home_node lookup_dcookie",
    ),
    "keys": ("keyrings are not bound to the sandbox", "add_key request_key keyctl"),
    "file handles": ("opens files past every path rule", "open_by_handle_at"),
    "the machine": (
        "modules, clocks, swap, accounting, names, ports: they belong to the host",
        "init_module finit_module delete_module kexec_load kexec_file_load reboot swapon swapoff acct "
        "quotactl quotactl_fd settimeofday clock_settime clock_adjtime adjtimex sethostname setdomainname "
        "syslog iopl ioperm vhangup lsm_get_self_attr lsm_set_self_attr lsm_list_modules",
    ),
    "long obsolete": (
        "no program of this century needs them, and most are not there any more",
        "uselib ustat sysfs _sysctl create_module get_kernel_syms query_module nfsservctl getpmsg putpmsg "
        "afs_syscall tuxcall security set_thread_area get_thread_area epoll_ctl_old epoll_wait_old "
        "vserver",
    ),
}  # fmt: skip

# PER_LINUX, PER_LINUX32, UNAME26, both, ADDR_NO_RANDOMIZE (thread sanitizers), and asking (0xffffffff).
# READ_IMPLIES_EXEC and MMAP_PAGE_ZERO are not among them.
PERSONALITIES = (0x0, 0x8, 0x20000, 0x20008, 0x40000, 0xFFFFFFFF)

RULES = (
    *(Rule(calls=tuple(calls.split()), action=ALLOW, why=why) for why, calls in GROUPS.values()),
    *CLONE,
    *SET_ID_MODES,
    *PRIORITIES,
    *OWN_LIMITS,
    *SOCKETS,
    ROUTE_SOCKET,
    OTHER_SOCKETS,
    *SOCKET_PAIRS,
    *TERMINAL_INPUT,
    Rule(calls=("ioctl",), action=ALLOW, why="devices are those of /dev inside"),
    *one_of(("personality",), 0, PERSONALITIES, "harmless execution domains"),
)

DEFAULT = Filter(name="default", rules=RULES, default=REFUSED, unknown=UNKNOWN, x32=UNKNOWN)
