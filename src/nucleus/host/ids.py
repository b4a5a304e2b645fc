"""Reads subordinate ids, the ids of accounts, and finds newuidmap and newgidmap.  ✗ allocates nothing."""

from __future__ import annotations

from .facts import HostFacts, IdRange, MapHelper, SubordinateIds
from .machine import Machine

# Never PATH: a helper that maps ids runs on behalf of whoever calls.
TRUSTED_FOLDERS = ("/usr/bin", "/bin", "/usr/local/bin", "/usr/sbin", "/run/wrappers/bin")
_SETUID = 0o4000
_OTHERS_WRITE = 0o022


def _ranges(text: str, owners: tuple[str, ...]) -> tuple[tuple[IdRange, ...], list[IdRange]]:
    """(the owners' ranges, everybody's) of a file like subuid(5); other lines are passed over."""
    own: list[IdRange] = []
    everybody: list[IdRange] = []
    for line in text.split("\n"):
        words = line.strip().split(":")
        if len(words) != 3 or not (words[1].isdecimal() and words[2].isdecimal()) or words[0].startswith("#"):
            continue
        found = IdRange(start=int(words[1]), count=int(words[2]))
        if found.count:
            everybody.append(found)
            if words[0] in owners:
                own.append(found)
    return tuple(own), everybody


def _account_ids(text: str) -> list[IdRange]:
    """The ids in the third column of passwd or group."""
    ids: list[IdRange] = []
    for line in text.split("\n"):
        words = line.split(":", 3)
        if len(words) == 4 and words[2].isdecimal():
            ids.append(IdRange(start=int(words[2]), count=1))
    return ids


def _helper(machine: Machine, name: str) -> MapHelper | None:
    """The first in the trusted folders that is root's alone to change."""
    for folder in TRUSTED_FOLDERS:
        path = f"{folder}/{name}"
        status = machine.status(path)
        if status is None or status.st_mode & _OTHERS_WRITE or not status.st_mode & 0o111:
            continue
        setuid = bool(status.st_mode & _SETUID) and status.st_uid == 0
        return MapHelper(path=path, privileged=setuid or bool(machine.attribute(path, "security.capability")))
    return None


def probe_subids(name: str, uid: int, *, machine: Machine | None = None) -> SubordinateIds:
    """The subordinate ids of a user, by name or number, and everything that is taken."""
    machine = machine or Machine()
    owners = tuple([o for o in (name, str(uid)) if o])
    uids, all_uids = _ranges(machine.read("/etc/subuid"), owners)
    gids, all_gids = _ranges(machine.read("/etc/subgid"), owners)
    return SubordinateIds(
        uids=uids,
        gids=gids,
        taken_uids=tuple(all_uids + _account_ids(machine.read("/etc/passwd"))),
        taken_gids=tuple(all_gids + _account_ids(machine.read("/etc/group"))),
        newuidmap=_helper(machine, "newuidmap"),
        newgidmap=_helper(machine, "newgidmap"),
    )


def with_subordinate_ids(facts: HostFacts, machine: Machine | None = None) -> HostFacts:
    """The same facts with `subordinate` filled."""
    found = probe_subids(facts.identity.name, facts.identity.uid, machine=machine)
    return facts.replace(subordinate=found)
