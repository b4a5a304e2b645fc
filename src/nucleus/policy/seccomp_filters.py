"""Conditions on arguments that both built-in profiles share, each with the reason for it.

✗ no call lists that belong to one profile only.
"""

from __future__ import annotations

from .seccomp_rules import (
    ALLOW,
    EAFNOSUPPORT,
    ENOSYS,
    EPERM,
    EPROTONOSUPPORT,
    EQ,
    MASKED_EQ,
    Condition,
    Rule,
    errno_answer,
)

REFUSED = errno_answer(EPERM)
UNKNOWN = errno_answer(ENOSYS)

# The launcher uses these after the filter is in place: it reads the lockdown back, and executes.
LAUNCHER_CALLS = (
    *("read", "write", "pread64", "close", "close_range", "chdir", "execve", "exit", "exit_group"),
    *("capget", "recvfrom", "recvmsg", "sendmsg"),
)
PR_GET_SECCOMP, PR_CAPBSET_READ, PR_GET_NO_NEW_PRIVS = 21, 23, 39

# CLONE_NEW*: time, mount, cgroup, uts, ipc, user, pid, net.
NEW_NAMESPACES = 0x7E020080
SET_ID_BITS = 0o6000  # S_ISUID | S_ISGID
MAKES_A_FILE = 0o100 | 0o20000000  # O_CREAT, and the bit of O_TMPFILE that is its own
AF_UNIX, AF_INET, AF_INET6, AF_NETLINK = 1, 2, 10, 16
SOCK_TYPE, SOCK_PACKET = 0xF, 10
TIOCSTI, TIOCLINUX, TIOCSETD = 0x5412, 0x541C, 0x5423


def is_int(index: int, value: int) -> Condition:
    """An int parameter has this value."""
    return Condition(index=index, op=EQ, value=value, bits=32)


def clear(index: int, mask: int) -> Condition:
    """None of these bits is set."""
    return Condition(index=index, op=MASKED_EQ, mask=mask, value=0)


def one_of(calls: tuple[str, ...], index: int, values: tuple[int, ...], why: str) -> tuple[Rule, ...]:
    """Allowed where an int parameter has one of these values."""
    return tuple([Rule(calls=calls, action=ALLOW, when=(is_int(index, v),), why=why) for v in values])


CLONE = (
    Rule(
        calls=("clone",), action=ALLOW, when=(clear(0, NEW_NAMESPACES),),
        why="threads and processes, but no new namespace: in one of its own a process holds every capability",
    ),
    Rule(
        calls=("clone3",), action=UNKNOWN,
        why="its flags lie behind a pointer that no filter follows; the C libraries then use clone",
    ),
)  # fmt: skip

# The workspace may be ID-mapped to its owner on the host: a set-user-id file made inside is real there.
# mkdir is not among the calls: the kernel drops both bits.
_SET_ID = "a set-user-id or set-group-id file made here would be one on the host"
_MODE_SECOND, _MODE_THIRD = ("chmod", "fchmod", "creat", "mknod"), ("fchmodat", "fchmodat2", "mknodat")
SET_ID_MODES = (
    Rule(calls=_MODE_SECOND, action=ALLOW, when=(clear(1, SET_ID_BITS),), why=_SET_ID),
    Rule(calls=_MODE_THIRD, action=ALLOW, when=(clear(2, SET_ID_BITS),), why=_SET_ID),
    # The mode of an open that makes no file is whatever lay in the register.
    Rule(calls=("open",), action=ALLOW, when=(clear(1, MAKES_A_FILE),), why=_SET_ID),
    Rule(calls=("open",), action=ALLOW, when=(clear(2, SET_ID_BITS),), why=_SET_ID),
    Rule(calls=("openat",), action=ALLOW, when=(clear(2, MAKES_A_FILE),), why=_SET_ID),
    Rule(calls=("openat",), action=ALLOW, when=(clear(3, SET_ID_BITS),), why=_SET_ID),
    Rule(calls=(*_MODE_SECOND, *_MODE_THIRD, "open", "openat"), action=REFUSED, why=_SET_ID),
    Rule(calls=("openat2",), action=UNKNOWN, why="its mode lies behind a pointer; programs then use openat"),
)  # fmt: skip

_SOCKET = (
    "socket families, types and protocols that a sandbox uses; the others load kernel modules or leave it"
)
_NO_FAMILY, _NO_PROTOCOL = errno_answer(EAFNOSUPPORT), errno_answer(EPROTONOSUPPORT)
_PACKET_TYPE = Condition(index=1, op=MASKED_EQ, mask=SOCK_TYPE, value=SOCK_PACKET, bits=32)


def _internet(family: int) -> tuple[Rule, ...]:
    """TCP, UDP and ping of one family; never SOCK_PACKET, which the kernel turns into AF_PACKET."""
    has = is_int(0, family)
    protocols = (0, 6, 17, 1 if family == AF_INET else 58)
    return (
        Rule(calls=("socket",), action=_NO_FAMILY, when=(has, _PACKET_TYPE), why=_SOCKET),
        *(Rule(calls=("socket",), action=ALLOW, when=(has, is_int(2, p)), why=_SOCKET) for p in protocols),
        Rule(
            calls=("socket",), action=_NO_PROTOCOL, when=(has,),
            why="MPTCP is under no Landlock TCP rule; SCTP, DCCP and the like are attack surface",
        ),
    )  # fmt: skip


SOCKETS = (
    Rule(calls=("socket",), action=ALLOW, when=(is_int(0, AF_UNIX),), why=_SOCKET),
    *_internet(AF_INET),
    *_internet(AF_INET6),
)
ROUTE_SOCKET = Rule(
    calls=("socket",), action=ALLOW, when=(is_int(0, AF_NETLINK), is_int(2, 0)),
    why="NETLINK_ROUTE: name resolution lists addresses with it; without capabilities it changes nothing",
)  # fmt: skip
OTHER_SOCKETS = Rule(calls=("socket",), action=_NO_FAMILY, why=_SOCKET)
SOCKET_PAIRS = (
    Rule(calls=("socketpair",), action=ALLOW, when=(is_int(0, AF_UNIX),), why="only AF_UNIX has pairs"),
    Rule(calls=("socketpair",), action=_NO_FAMILY, why="only AF_UNIX has pairs"),
)

# The kernel finds "my process group" without a look at pid namespaces, and below a terminal the group is the
# caller's.  What an unprivileged process lowers there it cannot raise again.
_PRIORITY = "of processes named one by one: a whole group may hold processes of the host"
PRIO_PROCESS, IOPRIO_WHO_PROCESS = 0, 1
PRIORITIES = (
    Rule(calls=("setpriority",), action=ALLOW, when=(is_int(0, PRIO_PROCESS),), why=_PRIORITY),
    Rule(calls=("ioprio_set",), action=ALLOW, when=(is_int(0, IOPRIO_WHO_PROCESS),), why=_PRIORITY),
    Rule(calls=("setpriority", "ioprio_set"), action=REFUSED, why=_PRIORITY),
)

# The new limits are a pointer: all of its 64 bits count.
_LIMITS = "limits of the process itself; those of others can only be asked"
OWN_LIMITS = (
    Rule(calls=("prlimit64",), action=ALLOW, when=(is_int(0, 0),), why=_LIMITS),
    Rule(calls=("prlimit64",), action=ALLOW, when=(Condition(index=2, op=EQ, value=0),), why=_LIMITS),
    Rule(calls=("prlimit64",), action=REFUSED, why=_LIMITS),
)

# The kernel takes the command as an unsigned int: what stands above its 32 bits is not looked at.
TERMINAL_INPUT = tuple(
    Rule(calls=("ioctl",), action=REFUSED, when=(is_int(1, command),), why=why)
    for command, why in (
        (TIOCSTI, "types into the terminal, so that the caller's shell runs it"),
        (TIOCLINUX, "pastes into a console"),
        (TIOCSETD, "loads line disciplines, which are attack surface and need a serial line to be of use"),
    )
)
