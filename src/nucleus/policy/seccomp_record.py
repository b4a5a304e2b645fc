"""What nucleus-trace has written: lines → a record of which calls were made, with which arguments, and how answered.

Records add up: those of several runs are one.  ✗ opens no file, ✗ makes no profile (`seccomp_generate.py`).
"""

from __future__ import annotations

from ..base.errors import SpecError
from ..base.value import Value
from .seccomp_bpf import AUDIT_ARCH
from .syscall_tables import TABLES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ALLOWED, ERRNO, KILLED = "allow", "errno", "kill"
_ARCHITECTURES = {number: name for name, number in AUDIT_ARCH.items()}


class Call(Value):
    """One call as it was made.

    name      "" where the table of the architecture has none for that number
    args      (index, value) of the arguments that were looked at
    answer    allow, errno or kill; `errno` goes with the second
    """

    arch: str
    name: str
    number: int
    args: tuple[tuple[int, int], ...] = ()
    answer: str = ALLOWED
    errno: int = 0

    @property
    def shown(self) -> str:
        """The call for a message."""
        return self.name or f"call {self.number}"


class Use(Value):
    """A file or a port that a call named: `path` as the program wrote it, from the root of the sandbox on.

    second   where the call has two, such as rename
    flags    of open and access; 0 for other calls
    port     of connect and bind, with `local` for an address of the loopback interface
    """

    name: str
    path: str = ""
    second: str = ""
    flags: int = 0
    family: int = 0
    port: int = 0
    local: bool = False


class Record(Value):
    """`calls` with how often each was made; `programs` of those that were refused; `runs` that ended as they should.

    named   no file and no port is missing: there is a limit to how many are kept
    """

    calls: tuple[tuple[Call, int], ...]
    programs: tuple[tuple[Call, str], ...] = ()
    uses: tuple[Use, ...] = ()
    runs: int = 0
    complete: bool = True
    named: bool = True

    @property
    def architectures(self) -> tuple[str, ...]:
        """Those of its calls."""
        return tuple(sorted({call.arch for call, _ in self.calls}))


def read(text: str, where: str) -> Record:
    """The record in the lines of a file.  Raises SpecError for a line that is none."""
    import json

    counts: dict[Call, int] = {}
    programs: dict[Call, str] = {}
    uses: dict[Use, None] = {}
    runs = told = 0
    whole = named = True
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
            if "end" in fields:
                runs += 1
                told += int(fields["calls"])
                named = named and fields.get("names", "complete") == "complete"
                whole = whole and fields["end"] == "complete"
                continue
            if "named" in fields:
                uses[_use(fields)] = None
                continue
            call, count = _call(fields), int(fields["count"])
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise SpecError(
                f"is no record of a call: {line[:60]!r}", where=f"{where}:{number}",
                remedy="name a file that --seccomp-log has written",
            ) from None  # fmt: skip
        counts[call] = counts.get(call, 0) + count
        if fields.get("program"):
            programs.setdefault(call, str(fields["program"]))
    return Record(
        calls=tuple(counts.items()), programs=tuple(programs.items()), uses=tuple(uses), runs=runs,
        named=named, complete=whole and runs > 0 and told == sum(counts.values()),
    )  # fmt: skip


def merged(records: tuple[Record, ...]) -> Record:
    """All of them as one."""
    counts: dict[Call, int] = {}
    for record in records:
        for call, count in record.calls:
            counts[call] = counts.get(call, 0) + count
    return Record(
        calls=tuple(counts.items()),
        programs=tuple({call: name for r in records for call, name in r.programs}.items()),
        uses=tuple({use: None for r in records for use in r.uses}),
        runs=sum([r.runs for r in records]),
        named=all([r.named for r in records]),
        complete=all([r.complete for r in records]),
    )


def _call(fields: dict[str, Any]) -> Call:
    arch = _ARCHITECTURES[fields["arch"]] if fields["answer"] != KILLED else _known(fields["arch"])
    number = int(fields["syscall"])
    answer = fields["answer"]
    if answer not in (ALLOWED, ERRNO, KILLED):
        raise ValueError(answer)
    return Call(
        arch=arch, name=_names(arch).get(number, ""), number=number,
        args=tuple(sorted([(int(index), int(value)) for index, value in fields["args"].items()])),
        answer=answer, errno=int(fields["errno"]) if answer == ERRNO else 0,
    )  # fmt: skip


def _use(fields: dict[str, Any]) -> Use:
    name = _names(_ARCHITECTURES[fields["arch"]])[int(fields["named"])]
    if "port" in fields:
        return Use(
            name=name, family=int(fields["family"]), port=int(fields["port"]), local=bool(fields["local"])
        )
    return Use(
        name=name,
        path=_path(fields["path"]),
        second=_path(fields.get("second", "")),
        flags=int(fields["flags"]),
    )


def _path(text: str) -> str:
    """A name is bytes, which the tracer wrote as characters of Latin-1; "." and ".." as the program meant them."""
    parts: list[str] = []
    for part in text.encode("latin-1").decode("utf-8", "surrogateescape").split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts) if text else ""


def _known(number: int) -> str:
    return _ARCHITECTURES.get(number, f"architecture {number:#x}")


_by_number: dict[str, dict[int, str]] = {}


def _names(arch: str) -> dict[int, str]:
    if arch not in _by_number:
        _by_number[arch] = {number: name for name, number in TABLES.get(arch, {}).items()}
    return _by_number[arch]
