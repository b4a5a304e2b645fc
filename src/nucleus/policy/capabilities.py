"""Capability names and numbers, and sets of them as masks.  A workload keeps none.  ✗ no order of steps."""

from __future__ import annotations

from ..base.errors import SpecError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

# capabilities(7), in the order of their numbers.
NAMES = (
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
    "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
    "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
    "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
    "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
    "CHECKPOINT_RESTORE",
)  # fmt: skip
NUMBERS = {name: number for number, name in enumerate(NAMES)}

NONE = 0
EVERY = (1 << len(NAMES)) - 1
# What a workload holds, in each of its five sets.
DEFAULT = NONE

# With one of these a process leaves a sandbox, or rules over others in it.
DANGEROUS = (
    "SYS_ADMIN", "SYS_MODULE", "SYS_RAWIO", "SYS_PTRACE", "DAC_OVERRIDE", "DAC_READ_SEARCH",
    "SYS_BOOT", "MAC_ADMIN", "MAC_OVERRIDE", "SYS_PACCT", "LINUX_IMMUTABLE", "BPF", "PERFMON", "NET_RAW",
    "SETUID", "SETGID", "FOWNER",
)  # fmt: skip


def number_of(name: str, *, where: str = "capabilities") -> int:
    """The number of a capability, named with or without CAP_, in either case."""
    bare = name.upper().removeprefix("CAP_")
    if bare in NUMBERS:
        return NUMBERS[bare]
    from ..spec.suggest import closest

    near = closest(bare, [n.lower() for n in NAMES])
    remedy = f"did you mean CAP_{near.upper()}?" if near else "capabilities(7) lists them"
    raise SpecError(f"{name!r} is not a capability", where=where, remedy=remedy)


def mask_of(names: Iterable[str], *, where: str = "capabilities") -> int:
    """The set of capabilities as a mask."""
    mask = NONE
    for name in names:
        mask |= 1 << number_of(name, where=where)
    return mask


def names_in(mask: int) -> tuple[str, ...]:
    """CAP_… names of a mask, by number; bits without a name as CAP_41 and so on."""
    bits = [bit for bit in range(mask.bit_length()) if mask >> bit & 1]
    return tuple([f"CAP_{NAMES[bit] if bit < len(NAMES) else bit}" for bit in bits])
