"""Every error a caller can meet, one class per reaction.  ✗ no logging, no exit.

NucleusError                 code, message, where, remedy
├── SpecError                fix what you asked for        (exit 125)
│     └── .problems          all of them at once
├── HostUnsupported          fix the machine: `nucleus doctor` says how (125)
├── LaunchError              a launcher step failed: step, opcode, errno (125, 126, 127)
├── LimitReached             time or memory ran out; only the command line says it so, a Result has `reason`
├── NotFound                 no such container             (125)
├── Conflict                 the name is taken, the container is running … (125)
└── PermissionRefused        not yours                     (125)
"""

from __future__ import annotations

from .value import Value


class Problem(Value):
    """One thing wrong with a request, in the user's words: lower case, no full stop."""

    message: str
    where: str = ""
    remedy: str = ""

    def sentence(self) -> str:
        """`where: message` and the remedy on its own line."""
        text = f"{self.where}: {self.message}" if self.where else self.message
        return f"{text}\n  remedy: {self.remedy}" if self.remedy else text


class NucleusError(Exception):
    """Base class.  `code` is the stable machine-readable word; `exit_code` what the command line returns."""

    code = "error"
    exit_code = 125

    def __init__(self, message: str, *, where: str = "", remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.remedy = remedy

    def problems_list(self) -> tuple[Problem, ...]:
        """The single problem, or all of a SpecError."""
        return (Problem(message=self.message, where=self.where, remedy=self.remedy),)

    def __str__(self) -> str:
        return "\n".join(p.sentence() for p in self.problems_list())


class SpecError(NucleusError):
    """What was asked for cannot be done as written; carries every problem found."""

    code = "spec"

    def __init__(
        self, message: str = "", *, where: str = "", remedy: str = "", problems: tuple[Problem, ...] = ()
    ) -> None:
        self.problems = problems or (Problem(message=message, where=where, remedy=remedy),)
        first = self.problems[0]
        super().__init__(first.message, where=first.where, remedy=first.remedy)

    def problems_list(self) -> tuple[Problem, ...]:
        return self.problems


class HostUnsupported(NucleusError):
    """This machine does not offer what the request needs."""

    code = "host"


class LaunchError(NucleusError):
    """A step of the launch plan failed.  `step` is its index, `opcode` its name, `errno` the kernel's answer."""

    code = "launch"

    def __init__(
        self,
        message: str,
        *,
        where: str = "",
        remedy: str = "",
        step: int = -1,
        opcode: str = "",
        errno: int = 0,
        exit_code: int = 125,
    ) -> None:
        super().__init__(message, where=where, remedy=remedy)
        self.step = step
        self.opcode = opcode
        self.errno = errno
        self.exit_code = exit_code


class LimitReached(NucleusError):
    """The workload ran into a limit that ended it.  `exit_code` is the container's."""

    code = "limit"

    def __init__(self, message: str, *, where: str = "", remedy: str = "", exit_code: int = 125) -> None:
        super().__init__(message, where=where, remedy=remedy)
        self.exit_code = exit_code


class NotFound(NucleusError):
    """No container answers to that id, name or prefix."""

    code = "not-found"


class Conflict(NucleusError):
    """The thing exists already, or is in a state that does not allow this."""

    code = "conflict"


class PermissionRefused(NucleusError):
    """The caller is neither root nor the creator."""

    code = "permission"
