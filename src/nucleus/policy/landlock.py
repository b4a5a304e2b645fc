"""Landlock's rights by name, what each ABI version handles, and what a file or a directory may be given.

landlock(7).  A plan masks its rights with what the running kernel handles.  ✗ which paths: plan/.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# File system (LANDLOCK_ACCESS_FS_*).
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, REMOVE_DIR, REMOVE_FILE = (1 << bit for bit in range(6))
MAKE_CHAR, MAKE_DIR, MAKE_REG, MAKE_SOCK, MAKE_FIFO, MAKE_BLOCK, MAKE_SYM = (1 << bit for bit in range(6, 13))
REFER, TRUNCATE, IOCTL_DEV = (1 << bit for bit in range(13, 16))

# Network (LANDLOCK_ACCESS_NET_*), scopes (LANDLOCK_SCOPE_*), flags of landlock_restrict_self.
NET_BIND_TCP, NET_CONNECT_TCP = 1, 2
SCOPE_ABSTRACT_UNIX_SOCKET, SCOPE_SIGNAL = 1, 2
LOG_NEW_EXEC_ON = 2
LOG_ABI = 7  # the first whose refusals are in the audit log

NEWEST_ABI = 7

# Groups.  Reading does not carry execution: a readable /etc is not a place to run programs from.
READ = READ_FILE | READ_DIR
REMOVE = REMOVE_DIR | REMOVE_FILE
CREATE = MAKE_DIR | MAKE_REG | MAKE_SOCK | MAKE_FIFO | MAKE_SYM
# With REFER, because without it every rename or link into another directory fails with EXDEV.  Nobody makes
# device nodes: the mounts are nodev, and the workload holds no capability.
WRITE = WRITE_FILE | TRUNCATE | CREATE | REMOVE | REFER
DEVICE = READ_FILE | WRITE_FILE | TRUNCATE | IOCTL_DEV
# What a rule on something that is not a directory may carry; the kernel answers EINVAL to the others.
FILE_RIGHTS = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV

RIGHT_NAMES = {
    "execute": EXECUTE, "write_file": WRITE_FILE, "read_file": READ_FILE, "read_dir": READ_DIR,
    "remove_dir": REMOVE_DIR, "remove_file": REMOVE_FILE, "make_char": MAKE_CHAR, "make_dir": MAKE_DIR,
    "make_reg": MAKE_REG, "make_sock": MAKE_SOCK, "make_fifo": MAKE_FIFO, "make_block": MAKE_BLOCK,
    "make_sym": MAKE_SYM, "refer": REFER, "truncate": TRUNCATE, "ioctl_dev": IOCTL_DEV,
}  # fmt: skip


def handled_fs(abi: int) -> int:
    """Every file system right that a kernel of that ABI knows; 0 without Landlock.

    Handling all of them means that what no rule gives is refused.  ABI 1 cannot handle REFER, and therefore
    refuses every move between directories.
    """
    if abi < 1:
        return 0
    handled = (MAKE_SYM << 1) - 1
    if abi >= 2:
        handled |= REFER
    if abi >= 3:
        handled |= TRUNCATE
    if abi >= 5:
        handled |= IOCTL_DEV
    return handled


def handled_net(abi: int) -> int:
    """Every TCP right of that ABI.  Handled without a rule, even loopback is refused."""
    return NET_BIND_TCP | NET_CONNECT_TCP if abi >= 4 else 0


def handled_scopes(abi: int) -> int:
    """Every scope of that ABI."""
    return SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL if abi >= 6 else 0


def restrict_flags(abi: int, *, log: bool) -> int:
    """For landlock_restrict_self.  Of the program that is executed next the kernel logs nothing unless it is asked to; and
    only where it is wanted, since a program can fill the machine's log with it."""
    return LOG_NEW_EXEC_ON if log and abi >= LOG_ABI else 0


def for_kind(access: int, *, is_file: bool) -> int:
    """The part of the rights that a rule on a file, or on a directory, may carry."""
    return access & FILE_RIGHTS if is_file else access


def path_rules(wanted: Iterable[tuple[str, int, bool]], *, abi: int) -> Iterator[tuple[str, int]]:
    """(path, rights, is a file) → (path, rights) as the kernel of that ABI takes them, in order.

    Rules that come to nothing are left out (the kernel answers ENOMSG); rights of one path are united, as the
    kernel would.
    """
    united: dict[str, int] = {}
    for path, access, is_file in wanted:
        access = for_kind(access, is_file=is_file) & handled_fs(abi)
        if access:
            united[path] = united.get(path, 0) | access
    yield from united.items()


def names_of(access: int) -> tuple[str, ...]:
    """The rights of a mask by name, lowest bit first."""
    return tuple([name for name, bit in RIGHT_NAMES.items() if access & bit])
