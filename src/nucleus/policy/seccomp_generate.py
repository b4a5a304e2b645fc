"""A record of calls → a profile that allows those and no other, as the OCI runtime specification writes it.

✗ reads no profile, ✗ compiles none: what makes a filter of a document is another room's work.
"""

from __future__ import annotations

from itertools import product

from ..base.errors import SpecError
from .seccomp_default import DEFAULT
from .seccomp_filters import LAUNCHER_CALLS, PR_GET_NO_NEW_PRIVS, PR_GET_SECCOMP
from .seccomp_record import ALLOWED, ERRNO, KILLED
from .seccomp_rules import ALL_BITS, MASKED_EQ
from .seccomp_rules import ALLOW as ANSWER_ALLOW
from .seccomp_trace import ENDINGS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .seccomp_record import Record
    from .seccomp_rules import Condition

    # Values of the arguments that count, by index: what one entry of a profile allows.
    Values = tuple[tuple[int, int], ...]

ARCHITECTURES = {"x86_64": "SCMP_ARCH_X86_64", "aarch64": "SCMP_ARCH_AARCH64"}
ALLOW, REFUSE, KILL = "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL_PROCESS"

# What timing alone decides: whether threads meet at a lock, whether a signal interrupts a call.  A run that was recorded
# may lack them by luck.
BY_CHANCE = ("futex", "restart_syscall", "rt_sigreturn", "sched_yield")
# Arguments that say what a call does; for these each value that was seen is allowed, as long as they are few.
LISTED = {
    "arch_prctl": (0,), "clone": (0,), "fcntl": (1,), "ioctl": (1,), "keyctl": (0,), "memfd_create": (1,), "mmap": (2,),
    "mprotect": (2,), "personality": (0,), "pkey_mprotect": (2,), "prctl": (0,), "ptrace": (0,), "seccomp": (0,),
    "socket": (0, 1, 2), "socketpair": (0, 1, 2), "unshare": (0,),
}  # fmt: skip
MOST_VALUES = 48  # nucleus-trace tells no more apart
# Where all runs had the same value it is demanded as well.
SAME = {
    "bpf": (0,), "fallocate": (1,), "flock": (1,), "getrandom": (2,), "kill": (1,), "mremap": (3,),
    "pidfd_open": (1,), "setrlimit": (0,), "shutdown": (1,), "tgkill": (2,),
    "umount2": (1,),
}  # fmt: skip
# Parameters that are as wide as the register; of the others the kernel looks at the low half.
WIDE = {
    ("clone", 0),
    ("mmap", 2),
    ("mprotect", 2),
    ("mremap", 3),
    ("pkey_mprotect", 2),
    ("ptrace", 0),
    ("unshare", 0),
}
_LOW = 0xFFFFFFFF


def profile_of(record: Record) -> dict[str, Any]:
    """The profile: whatever else is called kills.

    A refusal that programs take for an answer (clone3, which a C library tries first) stays the refusal it was, and what
    the built-in profile demands of arguments is demanded here too: a run that set no set-user-id bit does not show that
    it may.
    Raises SpecError where the record is not whole, or of no run, or of several machines.
    """
    _require_usable(record)
    allowed, refused = _seen(record, ALLOWED), _seen(record, ERRNO)
    for name in (*LAUNCHER_CALLS, *ENDINGS, *BY_CHANCE):
        allowed[name] = {()}
    if () not in allowed.setdefault("prctl", set()):  # by which the launcher reads the lockdown back
        allowed["prctl"] |= {((0, PR_GET_SECCOMP),), ((0, PR_GET_NO_NEW_PRIVS),)}
    plain = {name for name, values in allowed.items() if () in values}
    guarded = {name: guard for name in sorted(plain) if (guard := _guard(name))}
    entries: list[dict[str, Any]] = [{"names": sorted(plain - guarded.keys()), "action": ALLOW}]
    for name, guard in guarded.items():
        entries += [{"names": [name], "action": ALLOW, "args": [_demand(c) for c in when]} for when in guard]
    for name in sorted(allowed.keys() - plain):
        entries += [_entry(name, values, ALLOW) for values in sorted(allowed[name])]
    entries += _refusals(record, refused, allowed, guarded)
    (arch,) = record.architectures
    return {"defaultAction": KILL, "architectures": [ARCHITECTURES[arch]], "syscalls": entries}


def _guard(name: str) -> list[tuple[Condition, ...]]:
    """Under which conditions the built-in profile allows that call; [] for none."""
    return [
        rule.when
        for rule in DEFAULT.rules
        if name in rule.calls and rule.when and rule.action == ANSWER_ALLOW
    ]


def _demand(c: Condition) -> dict[str, Any]:
    """A condition as a profile writes it: all of them are equalities, of some bits or of all."""
    mask = (c.mask if c.op == MASKED_EQ else ALL_BITS) & (ALL_BITS if c.bits == 64 else _LOW)
    if mask == ALL_BITS:
        return {"index": c.index, "value": c.value, "op": "SCMP_CMP_EQ"}
    return {"index": c.index, "value": mask, "valueTwo": c.value, "op": "SCMP_CMP_MASKED_EQ"}


def _otherwise(c: Condition) -> list[dict[str, Any]]:
    """The opposite of a condition, as alternatives of which at most one holds."""
    if c.op != MASKED_EQ:
        return [{"index": c.index, "value": c.value, "op": "SCMP_CMP_NE"}]
    bits = [1 << n for n in range(64) if c.mask & 1 << n]
    values = [sum([b for n, b in enumerate(bits) if chosen & 1 << n]) for chosen in range(1 << len(bits))]
    return [
        {"index": c.index, "value": c.mask, "valueTwo": value, "op": "SCMP_CMP_MASKED_EQ"}
        for value in values
        if value != c.value
    ]


def left_out(record: Record) -> tuple[str, ...]:
    """Calls that the profile will not allow although they were made: those that were killed for, those without a name."""
    return tuple(sorted({call.shown for call, _ in record.calls if call.answer == KILLED or not call.name}))


def _require_usable(record: Record) -> None:
    if not record.runs:
        raise SpecError(
            "no run has ended in this record", where="nucleus seccomp generate",
            remedy="wait until the container has ended; a record whose tracer was killed is of no use: trace again",
        )  # fmt: skip
    if not record.complete:
        raise SpecError(
            "the record is not whole: calls were made that are not in it", where="nucleus seccomp generate",
            remedy="trace again, with room for the file",
        )  # fmt: skip
    if len({call.arch for call, _ in record.calls if call.answer != KILLED}) != 1:
        raise SpecError(
            "the records are of several architectures", where="nucleus seccomp generate",
            remedy="make a profile for each",
        )  # fmt: skip


def _seen(record: Record, answer: str) -> dict[str, set[Values]]:
    """Call → the values of its arguments that an entry names; () alone where none is named."""
    found: dict[str, set[Values]] = {}
    for call, _ in record.calls:
        if call.answer == answer and call.name:
            found.setdefault(call.name, set()).add(_values(call.name, call.args))
    return {name: _few(name, values) for name, values in found.items()}


def _values(name: str, args: Values) -> Values:
    indices: tuple[int, ...] = LISTED.get(name) or SAME.get(name) or ()
    kept = tuple([(i, v if (name, i) in WIDE else v & _LOW) for i, v in args if i in indices])
    return kept if len(kept) == len(indices) else ()


def _few(name: str, values: set[Values]) -> set[Values]:
    most = MOST_VALUES if name in LISTED else 1
    return values if len(values) <= most and () not in values else {()}


def _entry(name: str, values: Values, action: str, **more: int) -> dict[str, Any]:
    return {"names": [name], "action": action, **more, "args": [_argument(name, i, v) for i, v in values]}


def _argument(name: str, index: int, value: int) -> dict[str, Any]:
    if (name, index) in WIDE:
        return {"index": index, "value": value, "op": "SCMP_CMP_EQ"}
    return {"index": index, "value": _LOW, "valueTwo": value, "op": "SCMP_CMP_MASKED_EQ"}


def _refusals(
    record: Record, refused: dict[str, set[Values]], allowed: dict[str, set[Values]],
    guarded: dict[str, list[tuple[Condition, ...]]],
) -> list[dict[str, Any]]:  # fmt: skip
    """What was refused, as it was: as a whole, for its values, or because it did not meet what is demanded of it."""
    errnos = {c.name: c.errno for c, _ in record.calls if c.answer == ERRNO}
    whole: dict[int, list[str]] = {}
    some: list[dict[str, Any]] = []
    for name in sorted(refused):
        errno = errnos[name]
        if name not in allowed:
            whole.setdefault(errno, []).append(name)
        elif () not in allowed[name]:
            values = [v for v in sorted(refused[name] - allowed[name]) if v]
            some += [_entry(name, v, REFUSE, errnoRet=errno) for v in values]
        elif name in guarded and all([len(when) == 1 for when in guarded[name]]):
            unmet = product(*[_otherwise(when[0]) for when in guarded[name]])
            some += [
                {"names": [name], "action": REFUSE, "errnoRet": errno, "args": list(args)} for args in unmet
            ]
    return [{"names": names, "action": REFUSE, "errnoRet": e} for e, names in sorted(whole.items())] + some
