"""A Machine that notes what it is asked and what it answers: another process can look whether it would hear the same.

The facts are computed from nothing but the answers, the caller's ids, his environment and the kernel's name: where those
are equal, so are the facts, and nobody has to compute them again.  ✗ what the answers mean.
"""

from __future__ import annotations

import marshal
import os
from errno import ENOENT

from ..base.jsontext import digest
from .machine import Machine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    Look = tuple[Any, ...]  # what is done, and to what


class Witness(Machine):
    """`repeatable`: nothing changed meanwhile, and no other program was asked, whose answer is of one moment."""

    __slots__ = ("_known", "repeatable")

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[Look, Any] = {}
        self.repeatable = True

    def look(self, *look: Any) -> Any:
        """One more look, beside those of the probe."""
        return self._noted(look, _answer(Machine(), look))

    def digest(self) -> str:
        """Of all answers."""
        return _digest(list(self._known.values()))

    def _noted(self, look: Look, said: Any) -> Any:
        if look not in self._known:
            self._known[look] = said
        elif self._known[look] != said:
            self.repeatable = False  # it changes while somebody looks
        return said

    @property
    def looks(self) -> list[Look]:
        """What was looked at, in order."""
        return list(self._known)

    def read(self, path: str) -> str:
        return str(self._noted(("read", path), super().read(path)))

    def values(self, path: str, names: tuple[str, ...]) -> dict[str, str]:
        # The rest of the file is another one for each process.
        found: dict[str, str] = self._noted(("values", path, names), Machine().values(path, names))
        return found

    def status(self, path: str) -> os.stat_result | None:
        found = super().status(path)
        self._noted(("status", path), _plain(found))
        return found

    def target(self, path: str) -> str:
        return str(self._noted(("target", path), super().target(path)))

    def names(self, path: str) -> list[str]:
        return list(self._noted(("names", path), super().names(path)))

    def writable(self, path: str) -> bool:
        return bool(self._noted(("writable", path), super().writable(path)))

    def executable(self, path: str) -> bool:
        return bool(self._noted(("executable", path), super().executable(path)))

    def attribute(self, path: str, name: str) -> bytes:
        return bytes(self._noted(("attribute", path, name), super().attribute(path, name)))

    def account(self, uid: int) -> tuple[str, str]:
        name, home = self._noted(("account", uid), super().account(uid))
        return name, home

    def output(self, argv: list[str]) -> str:
        self.repeatable = False
        return super().output(argv)


def answers_now(looks: Iterable[Look]) -> str:
    """What `Witness.digest` would be, were all that looked at again."""
    machine = Machine()
    return _digest([_answer(machine, look) for look in looks])


def _answer(machine: Machine, look: Look) -> Any:
    """The answer to one look, in a form that is the same in every process."""
    how, *what = look
    if how == "status":
        return _plain(machine.status(*what))
    own = _OWN.get(how)
    return own(*what) if own else getattr(machine, how)(*what)


def _digest(answers: list[Any]) -> str:
    return digest(marshal.dumps(answers, 2))  # a later form depends on who else holds a value


def _plain(status: os.stat_result | None) -> tuple[int, ...] | None:
    """Which file it is, of which kind, whose, and who may do what with it.  ✗ when it was used."""
    if status is None:
        return None
    return (
        status.st_mode, status.st_dev, status.st_ino, status.st_uid, status.st_gid, status.st_rdev,
    )  # fmt: skip


def _real(path: str) -> str:
    """Where a path leads once no link is left in it; "" where it leads nowhere."""
    try:
        return os.path.realpath(path, strict=True)
    except OSError:
        return ""


def _built(path: str) -> tuple[int, ...]:
    """What changes when a program or a module becomes another."""
    try:
        status = os.stat(path)
    except OSError as error:
        return (-(error.errno or ENOENT),)
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


_OWN = {"real": _real, "built": _built}
