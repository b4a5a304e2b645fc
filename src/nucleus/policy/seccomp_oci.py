"""A seccomp profile in the JSON form of the OCI runtime specification → our rules.

All of the form is honoured or refused by name.  Rules of a call hold in the order of the file, the first whose conditions
all hold decides.  What a profile may never loosen is put over it by `seccomp_floor.py`.  ✗ opens no file, ✗ no BPF.
"""

from __future__ import annotations

from ..base.value import Value
from ..spec.decode import Kind, decode
from .capabilities import NUMBERS
from .reading import Reader
from .seccomp_rules import (
    ALL_BITS,
    ALLOW,
    ENOSYS,
    EPERM,
    EQ,
    GE,
    GT,
    KILL_PROCESS,
    KILL_THREAD,
    LE,
    LOG,
    LT,
    MASKED_EQ,
    MAX_ERRNO,
    NE,
    TRAP,
    Condition,
    Filter,
    Rule,
    errno_answer,
    trace_answer,
)
from .syscall_tables import TABLES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

KIND = Kind(
    what="a seccomp profile", size="a profile has a few hundred lines; name another file",
    depth="a profile has lists of rules with lists of arguments, nothing below",
    begin='begin with {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": […]}',
)  # fmt: skip

_ERRNO, _TRACE = -1, -2  # with a number of their own
ACTIONS = {
    "SCMP_ACT_ALLOW": ALLOW, "SCMP_ACT_ERRNO": _ERRNO, "SCMP_ACT_KILL": KILL_THREAD,
    "SCMP_ACT_KILL_THREAD": KILL_THREAD, "SCMP_ACT_KILL_PROCESS": KILL_PROCESS, "SCMP_ACT_LOG": LOG,
    "SCMP_ACT_TRACE": _TRACE, "SCMP_ACT_TRAP": TRAP,
}  # fmt: skip
OPERATORS = {
    "SCMP_CMP_NE": NE, "SCMP_CMP_LT": LT, "SCMP_CMP_LE": LE, "SCMP_CMP_EQ": EQ, "SCMP_CMP_GE": GE,
    "SCMP_CMP_GT": GT, "SCMP_CMP_MASKED_EQ": MASKED_EQ,
}  # fmt: skip
FLAGS = {"SECCOMP_FILTER_FLAG_TSYNC": 0, "SECCOMP_FILTER_FLAG_LOG": 2, "SECCOMP_FILTER_FLAG_SPEC_ALLOW": 4}
NATIVE = {"x86_64": "SCMP_ARCH_X86_64", "aarch64": "SCMP_ARCH_AARCH64"}
# As the profiles of container engines name them in `includes` and `excludes`.
_ENGINE_NAMES = {"x86_64": "amd64", "aarch64": "arm64"}

_TOP = (
    "defaultAction", "defaultErrnoRet", "architectures", "archMap", "flags", "listenerPath", "listenerMetadata", "syscalls",
)  # fmt: skip
_RULE = ("names", "name", "action", "errnoRet", "args", "comment", "includes", "excludes")
_ARGUMENT = ("index", "value", "valueTwo", "op")
_CONDITION = ("caps", "arches", "minKernel")
_PERMISSIVE = (ALLOW, LOG)
_NO_LISTENER = "asks for a program that answers calls, which nucleus does not have"


class Machine(Value):
    """What rules may depend on: the architecture, the kernel's version, the workload's capabilities as a mask."""

    arch: str
    kernel: tuple[int, int] = (0, 0)
    capabilities: int = 0


class Profile(Value):
    """A profile as read.  `flags` are those of seccomp(2)."""

    filter: Filter
    flags: int = 0


def parse(data: bytes, name: str, machine: Machine) -> Profile:
    """Raises SpecError with every problem, each with file, line and `$.path`."""
    document = decode(data, name, KIND, is_json=True)
    return _Parser(Reader(document), machine).profile(name)


class _Parser:
    def __init__(self, reader: Reader, machine: Machine) -> None:
        self._reader, self._machine = reader, machine
        self._decided: dict[str, tuple[int, str]] = {}  # call → its unconditional answer, and where

    def profile(self, name: str) -> Profile:
        reader = self._reader
        top = reader.top(_TOP)
        if "defaultAction" not in top:
            reader.refuse("defaultAction", "is missing", 'write "defaultAction": "SCMP_ACT_ERRNO"')
        number = self._errno(top.get("defaultErrnoRet"), "defaultErrnoRet")
        default = self._action(top.get("defaultAction"), "defaultAction", number)
        for key in ("listenerPath", "listenerMetadata"):
            if key in top:
                reader.refuse(
                    key, "asks for a program that answers calls, which nucleus does not have", "remove it"
                )
        self._architectures(top)
        flags = [
            reader.one_of(word, at, FLAGS, "a flag that nucleus takes")
            for at, word in reader.texts(top.get("flags"), "flags")
        ]
        rules: list[Rule] = []
        for at, row in reader.rows(top.get("syscalls"), "syscalls"):
            rules += self._rule(row, at, default)
        reader.finish()
        rest = default if default not in _PERMISSIVE else errno_answer(ENOSYS)
        short = name.rpartition("/")[2]
        return Profile(
            filter=Filter(name=short, rules=tuple(rules), default=default, unknown=rest),
            flags=sum({f for f in flags if f}),
        )

    def _action(self, value: object, path: str, number: int | None) -> int:
        """The answer of the kernel; an errno where it says none."""
        word = self._reader.text(value, path)
        if not word:
            return errno_answer(EPERM)
        if word == "SCMP_ACT_NOTIFY":
            self._reader.refuse(
                path,
                "asks for a program that answers calls, which nucleus does not have",
                "use another action",
            )
            return errno_answer(EPERM)
        action = self._reader.one_of(word, path, ACTIONS, "an action")
        if number is not None and action not in (_ERRNO, _TRACE, None):
            self._reader.refuse(path, f"{word} has no errno", "remove the number beside it")
        if action == _TRACE:
            return trace_answer(number or 0)
        return errno_answer(EPERM if number is None else number) if action in (_ERRNO, None) else action

    def _errno(self, value: object, path: str) -> int | None:
        if value is None:
            return None
        return self._reader.number(value, path, least=0, most=MAX_ERRNO)

    def _architectures(self, top: dict[str, Any]) -> None:
        """Calls of other architectures are killed whatever a profile says, so that only ours has to be among them."""
        reader = self._reader
        named = [word for _, word in reader.texts(top.get("architectures"), "architectures")]
        for at, row in reader.rows(top.get("archMap"), "archMap"):
            table = reader.table(row, at, ("architecture", "subArchitectures"))
            named.append(reader.text(table.get("architecture"), f"{at}.architecture"))
            named += [
                word for _, word in reader.texts(table.get("subArchitectures"), f"{at}.subArchitectures")
            ]
        native = NATIVE.get(self._machine.arch, "")
        if named and native not in named:
            key = "architectures" if "architectures" in top else "archMap"
            reader.refuse(key, f"does not name {native}, which this machine is", f"add {native}")

    def _rule(self, row: object, path: str, default: int) -> list[Rule]:
        reader = self._reader
        table = reader.table(row, path, _RULE)
        before = len(reader.problems)
        reader.text(table.get("comment"), f"{path}.comment")
        names = reader.texts(table.get("names"), f"{path}.names")
        if table.get("name") is not None:
            names.append((f"{path}.name", reader.text(table["name"], f"{path}.name")))
        if not names:
            reader.refuse(path, "names no system call", 'add "names": [...]')
        if "action" not in table:
            reader.refuse(path, "has no action", 'add "action": "SCMP_ACT_ALLOW"')
        number = self._errno(table.get("errnoRet"), f"{path}.errnoRet")
        action = self._action(table.get("action"), f"{path}.action", number)
        when = self._conditions(table.get("args"), f"{path}.args")
        applies = self._applies(table, path)
        if not applies or len(reader.problems) > before:
            return []
        calls = [name for at, name in names if self._is_call(name, at, action)]
        for name in calls:
            self._order(name, path, action, bool(when), default)
        return [Rule(calls=tuple(calls), action=action, when=when, why=path)] if calls else []

    def _is_call(self, name: str, path: str, action: int) -> bool:
        """Other architectures have calls of their own, so a name that nobody knows here is no mistake of itself.

        But a call that a profile means to refuse, and misspells, would be allowed.
        """
        if name in TABLES[self._machine.arch]:
            return True
        if action in _PERMISSIVE or any(name in table for table in TABLES.values()) or _of_others(name):
            return False
        from ..spec.suggest import hint

        every = sorted({call for table in TABLES.values() for call in table})
        self._reader.refuse(
            path, f"'{name[:60]}' is not a system call", f"syscalls(2) lists them{hint(name, every)}"
        )
        return False

    def _order(self, name: str, path: str, action: int, conditional: bool, default: int) -> None:
        """A rule that never holds is a mistake, unless it says the same as the one that is in its way."""
        known = self._decided.get(name)
        if known is None:
            if not conditional:
                self._decided[name] = action, path
        elif known[0] != action:
            self._reader.refuse(
                path,
                f"never holds for {name}: $.{known[1]} decides that call already",
                "put it before that rule",
            )

    def _conditions(self, value: object, path: str) -> tuple[Condition, ...]:
        reader = self._reader
        found: list[Condition] = []
        for at, row in reader.rows(value, path):
            table = reader.table(row, at, _ARGUMENT)
            index = reader.number(table.get("index"), f"{at}.index", least=0, most=5)
            first = reader.number(table.get("value"), f"{at}.value", least=0, most=ALL_BITS)
            second = reader.number(table.get("valueTwo"), f"{at}.valueTwo", least=0, most=ALL_BITS)
            word = reader.text(table.get("op"), f"{at}.op")
            if "index" not in table or not word:
                reader.refuse(
                    at, "needs an index and an op", 'such as {"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}'
                )
                continue
            if reader.one_of(word, f"{at}.op", dict.fromkeys(OPERATORS, 0), "an operator") is None:
                continue
            if index in [c.index for c in found]:
                reader.refuse(
                    at, f"argument {index} is compared twice in one rule: runtimes do not agree on what that means",
                    "write two rules",
                )  # fmt: skip
            op = OPERATORS[word]
            if op == MASKED_EQ:
                found.append(Condition(index=index, op=op, mask=first, value=second))
            else:
                found.append(Condition(index=index, op=op, value=first))
        return tuple(found)

    def _applies(self, table: dict[str, Any], path: str) -> bool:
        """`includes` all hold and `excludes` none: the form in which engines keep one profile for many machines."""
        wanted = self._facts(table.get("includes"), f"{path}.includes")
        unwanted = self._facts(table.get("excludes"), f"{path}.excludes")
        return all(wanted) and not any(unwanted)

    def _facts(self, value: object, path: str) -> list[bool]:
        reader, machine = self._reader, self._machine
        table = reader.table(value, path, _CONDITION)
        facts = []
        for at, word in reader.texts(table.get("caps"), f"{path}.caps"):
            bare = word.upper().removeprefix("CAP_")
            if reader.one_of(bare, at, NUMBERS, "a capability") is not None:
                facts.append(bool(machine.capabilities >> NUMBERS[bare] & 1))
        arches = [word for _, word in reader.texts(table.get("arches"), f"{path}.arches")]
        if arches:
            facts.append(_ENGINE_NAMES.get(machine.arch, machine.arch) in arches)
        kernel = reader.text(table.get("minKernel"), f"{path}.minKernel")
        if kernel:
            major, _, minor = kernel.partition(".")
            if not (major.isdecimal() and minor.isdecimal()):
                reader.refuse(
                    f"{path}.minKernel", f"'{kernel[:60]}' is not a kernel version", 'such as "4.8"'
                )
            else:
                facts.append(machine.kernel >= (int(major), int(minor)))
        return facts


# Calls of architectures that this release has no table of.
_FOREIGN = frozenset(
    (
        "_llseek _newselect arm_fadvise64_64 arm_sync_file_range bdflush breakpoint cacheflush cachectl "
        "fadvise64_64 futex_time64 ipc mmap2 multiplexer nice oldfstat oldlstat oldolduname oldstat olduname "
        "osf_utimes pciconfig_iobase pciconfig_read pciconfig_write readdir recv riscv_flush_icache riscv_hwprobe "
        "rtas send set_thread_area get_thread_area sigaction signal sigpending sigprocmask sigreturn sigsuspend "
        "socketcall spu_create spu_run ssetmask sgetmask stime subpage_prot swapcontext switch_endian "
        "sync_file_range2 sysmips ugetrlimit usr26 usr32 set_tls get_tls vm86 vm86old waitpid umount "
        "pselect6_time64 ppoll_time64 gtty idle stty break ftime lock mpx prof profil ulimit "
    ).split()
)


def _of_others(name: str) -> bool:
    """A call of some other architecture: those have variants with sizes in their names."""
    return (
        name in _FOREIGN
        or name.endswith(("32", "64", "_time64"))
        or name.startswith(("s390_", "arm_", "riscv_", "mips_"))
    )
