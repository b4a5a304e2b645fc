"""A Landlock policy (TOML): which paths, TCP ports and scopes, in place of the rules that follow from the mounts.

Reading does not carry execution.  What no rule gives is refused, by every right that the kernel handles.  ✗ opens no file.
"""

from __future__ import annotations

from ..base.errors import SpecError
from ..base.value import Value
from ..spec.decode import Kind, decode
from ..spec.kinds import inside_path
from . import landlock
from .reading import Reader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

KIND = Kind(
    what="a Landlock policy", size="a policy has a few hundred lines; name another file",
    depth="a policy has a list of tables, nothing below", begin='begin with [[rules]], path = "/usr", access = ["read"]',
)  # fmt: skip

_EVERY = (1 << 16) - 1
GROUPS = {
    "read": landlock.READ, "write": landlock.WRITE_FILE | landlock.TRUNCATE, "create": landlock.CREATE,
    "remove": landlock.REMOVE, "all": _EVERY, "all_except_execute": _EVERY & ~landlock.EXECUTE,
}  # fmt: skip
ACCESS = {**GROUPS, **landlock.RIGHT_NAMES}
SCOPES = {"signal": landlock.SCOPE_SIGNAL, "abstract-unix-socket": landlock.SCOPE_ABSTRACT_UNIX_SOCKET}
_PORTS = {"bind_tcp": landlock.NET_BIND_TCP, "connect_tcp": landlock.NET_CONNECT_TCP}
# The first ABI that knows what a policy asks for: file truncation, TCP, scopes.
_FILES_ABI, _NET_ABI, _SCOPES_ABI = 3, 4, 6


class PathRule(Value):
    """What may be done with a path and all below it.  `optional`: it need not exist."""

    path: str
    access: int
    optional: bool = False


class LandlockPolicy(Value):
    """A policy as read.

    min_abi   the oldest Landlock on which it may be enforced
    ports     (port, rights of landlock.NET_*); with `net` every TCP right that no port has is refused
    scopes    landlock.SCOPE_*, beside those that always hold
    """

    min_abi: int
    rules: tuple[PathRule, ...]
    net: bool = False
    ports: tuple[tuple[int, int], ...] = ()
    scopes: int = 0

    @property
    def writes_and_executes(self) -> str:
        """The first path on which files can be both written and executed; ""."""
        written = landlock.WRITE_FILE | landlock.MAKE_REG
        for rule in self.rules:
            if rule.access & landlock.EXECUTE and rule.access & written:
                return rule.path
        return ""


def parse(data: bytes, name: str) -> LandlockPolicy:
    """Raises SpecError with every problem, each with file, line and `$.path`."""
    reader = Reader(decode(data, name, KIND, is_json=False))
    top = reader.top(("min_abi", "scopes", "net", "rules"))
    rules = [rule for at, row in reader.rows(top.get("rules"), "rules") if (rule := _rule(reader, row, at))]
    scopes = 0
    for at, word in reader.texts(top.get("scopes"), "scopes"):
        scopes |= reader.one_of(word, at, SCOPES, "a scope") or 0
    ports = _ports(reader, top)
    if "rules" not in top:
        reader.refuse(
            "rules", "is missing: nothing could be read or executed", "add [[rules]] with path and access"
        )
    net = "net" in top
    least = _SCOPES_ABI if scopes else _NET_ABI if net else _FILES_ABI
    asked = reader.number(top.get("min_abi"), "min_abi", least=1, most=landlock.NEWEST_ABI, default=least)
    reader.finish()
    return LandlockPolicy(min_abi=asked, rules=tuple(rules), net=net, ports=ports, scopes=scopes)


def _rule(reader: Reader, row: object, at: str) -> PathRule | None:
    table = reader.table(row, at, ("path", "access", "optional"))
    access = 0
    for place, word in reader.texts(table.get("access"), f"{at}.access"):
        access |= reader.one_of(word, place, ACCESS, "a right") or 0
    path = reader.text(table.get("path"), f"{at}.path")
    if not path or not table.get("access"):
        reader.refuse(at, "needs a path and access", 'such as path = "/usr", access = ["read", "execute"]')
        return None
    try:
        path = "/" if path == "/" else inside_path(path)
    except SpecError as error:
        reader.refuse(f"{at}.path", error.message, error.remedy)
        return None
    optional = table.get("optional", False)
    if not isinstance(optional, bool):
        reader.refuse(f"{at}.optional", "must be true or false", "optional = true")
        return None
    return PathRule(path=path, access=access, optional=optional)


def _ports(reader: Reader, top: dict[str, Any]) -> tuple[tuple[int, int], ...]:
    found: dict[int, int] = {}
    table = reader.table(top.get("net"), "net", _PORTS)
    for key, right in _PORTS.items():
        for at, value in reader.rows(table.get(key), f"net.{key}"):
            port = reader.number(value, at, least=0, most=65535)
            found[port] = found.get(port, 0) | right
    return tuple(sorted(found.items()))
