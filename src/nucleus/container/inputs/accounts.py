"""--user, --group and --additional-group → numbers, by the passwd of the root file system that will be in force.

✗ the caller's own names.
"""

from __future__ import annotations

import os
from stat import S_ISREG

from ...base.errors import SpecError
from .identity import AGENT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...spec.container import ContainerSpec

_MOST = 4 << 20  # characters; a sparse file of a terabyte is one line
_GENERATED = {"root": (0, 0), "agent": (AGENT, AGENT), "nobody": (65534, 65534)}


def _lines(rootfs: str, file: str) -> list[list[str]]:
    """The fields of each line of an account file of --rootfs; a link out of the tree is not followed."""
    path = os.path.join(os.path.realpath(rootfs), "etc", file)
    if not rootfs or os.path.realpath(path) != path:
        return []
    try:
        # A pipe there would be waited for without end.
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(fd, encoding="utf-8", errors="replace") as lines:
            if not S_ISREG(os.fstat(fd).st_mode):
                return []
            return [line.split(":") for line in lines.read(_MOST).split("\n")]
    except OSError:
        return []


def _unknown(kind: str, name: str, where: str) -> SpecError:
    return SpecError(
        f"no {kind} {name!r} in the container", where=where, remedy="give the number, or another name"
    )


def _gid(name: str, rootfs: str, where: str) -> int:
    if name.isdecimal():
        return int(name)
    for fields in _lines(rootfs, "group"):
        if len(fields) > 2 and fields[0] == name and fields[2].isdecimal():
            return int(fields[2])
    if not rootfs and name in _GENERATED:
        return _GENERATED[name][1]
    raise _unknown("group", name, where)


def resolve_accounts(spec: ContainerSpec) -> tuple[int, int, tuple[int, ...]]:
    """(uid, gid, supplementary gids).  Raises SpecError for a name that the container does not know."""
    uid, gid = AGENT, AGENT
    if spec.user:
        known = {f[0]: f for f in _lines(spec.rootfs, "passwd") if len(f) > 3 and (f[2] + f[3]).isdecimal()}
        by_number = {f[2]: f for f in known.values()}
        if spec.user.isdecimal():
            uid = int(spec.user)
            gid = int(by_number[spec.user][3]) if spec.user in by_number else uid
        elif spec.user in known:
            uid, gid = int(known[spec.user][2]), int(known[spec.user][3])
        elif not spec.rootfs and spec.user in _GENERATED:
            uid, gid = _GENERATED[spec.user]
        else:
            raise _unknown("user", spec.user, "--user")
    if spec.group:
        gid = _gid(spec.group, spec.rootfs, "--group")
    extra = {_gid(g, spec.rootfs, "--additional-group") for g in spec.additional_groups}
    return uid, gid, tuple(sorted(extra - {gid}))
