"""Where a container's cgroup is made: facts and an option → Placement.  Pure; `tree.py` carries it out.

The first that works:
    option   --cgroup-parent
    own      the caller's own cgroup, delegated to him, whose children get the controllers already
    leaf     the same, after the caller stepped aside into a leaf: a v2 cgroup holds processes or controllers
    scope    a transient scope of the system or user manager, Delegate=yes
    root     /sys/fs/cgroup/nucleus, for root where no service manager owns the tree
On v1 it is below the caller's own cgroup of each controller.  ✗ never a subtree that nobody delegated.
"""

from __future__ import annotations

from ..base.errors import SpecError
from ..base.value import Value
from ..host.facts import SELF_LEAF

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..host.facts import Cgroups, HostFacts, V2Hierarchy

CONTROLLERS = ("memory", "cpu", "pids", "io")  # by their v2 names; v1 calls io "blkio"
ROOT_PARENT = "nucleus"
_V1_NAMES = {"io": "blkio"}


class CgroupDirectory(Value):
    """A directory below which the container's cgroup is made, and the controllers that act there.

    `device` is the minor number that a descriptor of that hierarchy shows.
    """

    version: int
    path: str
    device: int
    controllers: tuple[str, ...] = ()

    @property
    def restricts_devices(self) -> bool:
        """Whether a list of devices can be given to a cgroup below it: a program on v2, a controller on v1."""
        return self.version == 2 or "devices" in self.controllers


class Placement(Value):
    """The decision.  `kind` is one of the words above, "v1" or "none".

    enable     controllers that the v2 directory's children must get (cgroup.subtree_control)
    leaf       directory that the caller's processes move to first; "" for none
    manager    "system" or "user" where a scope has to be asked for
    reason     why this one; `remedy`: what would let a limit hold that cannot
    """

    kind: str
    directories: tuple[CgroupDirectory, ...] = ()
    enable: tuple[str, ...] = ()
    leaf: str = ""
    manager: str = ""
    reason: str = ""
    remedy: str = ""
    swap_limit: bool = True

    @property
    def versions(self) -> dict[str, int]:
        """Controller → cgroup version, what `limits.plan_limits` takes."""
        return {name: d.version for d in self.directories for name in d.controllers}


def _remedy(facts: HostFacts) -> str:
    """The one command after which limits can hold for this caller."""
    if facts.cgroup.layout == "none":
        return "mount -t cgroup2 none /sys/fs/cgroup"
    if facts.cgroup.v1:
        return "run as root, or boot with systemd.unified_cgroup_hierarchy=1: v1 cgroups cannot be delegated"
    if facts.systemd.system and facts.identity.uid == 0:
        return "systemd-run --scope -p Delegate=yes -- nucleus …"
    if facts.systemd.user and facts.identity.uid != 0:
        return "systemd-run --user --scope -p Delegate=yes -- nucleus …"
    if facts.systemd.system:
        name = facts.identity.name or str(facts.identity.uid)
        return f"loginctl enable-linger {name}"
    if facts.identity.uid == 0:
        return "mount -o remount,rw /sys/fs/cgroup"
    directory = facts.cgroup.v2.directory if facts.cgroup.v2 else "/sys/fs/cgroup"
    return f"sudo chown -R {facts.identity.uid} {directory}"


def _v1_directories(cgroup: Cgroups, wanted: tuple[str, ...]) -> list[CgroupDirectory]:
    """One per hierarchy: controllers that are mounted together share a directory."""
    found: list[CgroupDirectory] = []
    for name in [_V1_NAMES.get(n, n) for n in wanted]:
        controller = cgroup.v1_controller(name)
        if controller is None or not controller.writable:
            continue
        same = [i for i, d in enumerate(found) if d.path == controller.directory]
        if same:
            at = same[0]
            found[at] = found[at].replace(controllers=(*found[at].controllers, name))
        else:
            found.append(
                CgroupDirectory(
                    version=1, path=controller.directory, device=controller.device, controllers=(name,)
                )
            )
    return found


def _beside(cgroup: Cgroups, *, devices: bool) -> list[CgroupDirectory]:
    """On a hybrid host a v2 directory, for kill, freeze, events and the list of devices; else the v1 one of devices."""
    v2 = cgroup.v2
    if v2 is not None and v2.delegated:
        return [CgroupDirectory(version=2, path=v2.directory, device=v2.device)]
    return _v1_directories(cgroup, ("devices",)) if devices else []


def _v1(facts: HostFacts, wanted: tuple[str, ...], *, devices: bool) -> Placement | None:
    """v1 directories for the limits, and what stands beside them."""
    cgroup = facts.cgroup
    directories = _v1_directories(cgroup, wanted)
    if directories or not wanted:
        directories += _beside(cgroup, devices=devices)
    if not directories:
        return None
    memory = cgroup.v1_controller("memory")
    return Placement(
        kind="v1",
        directories=tuple(directories),
        reason="below the caller's own cgroup of each v1 controller",
        remedy=_remedy(facts),
        swap_limit=memory is not None and memory.swap_limit,
    )


def _own(
    facts: HostFacts, v2: V2Hierarchy, wanted: tuple[str, ...], excluded: tuple[str, ...]
) -> Placement | None:
    """Below the caller's own cgroup, or below the one above when he is in his leaf already."""
    if v2.parent_delegated:
        base, enabled = v2.directory.rpartition("/")[0], v2.parent_enabled
    elif v2.delegated:
        base, enabled = v2.directory, v2.enabled
    else:
        return None
    usable = tuple([c for c in CONTROLLERS if c in enabled or (c in wanted and c in v2.controllers)])
    missing = tuple([c for c in usable if c not in enabled])
    kind = "leaf" if missing and not v2.parent_delegated else "own"
    if kind in excluded:
        return None
    return Placement(
        kind=kind,
        directories=(CgroupDirectory(version=2, path=base, device=v2.device, controllers=usable),),
        enable=missing,
        leaf=f"{base}/{SELF_LEAF}" if kind == "leaf" else "",
        reason="the caller's own delegated cgroup",
        remedy=_remedy(facts),
        swap_limit=v2.swap_limit,
    )


def _root(facts: HostFacts, v2: V2Hierarchy, wanted: tuple[str, ...]) -> Placement | None:
    """A parent of our own at the top; the top may hold processes beside controllers."""
    if not (facts.identity.uid == 0 and v2.is_root and v2.delegated):
        return None
    usable = tuple([c for c in CONTROLLERS if c in v2.enabled or (c in wanted and c in v2.controllers)])
    path = f"{v2.mount.rstrip('/')}/{ROOT_PARENT}"
    return Placement(
        kind="root",
        directories=(CgroupDirectory(version=2, path=path, device=v2.device, controllers=usable),),
        enable=usable,
        reason="root, and no service manager owns the cgroup tree",
        remedy=_remedy(facts),
        swap_limit=v2.swap_limit,
    )


def _option(facts: HostFacts, wanted: tuple[str, ...], option: str, *, devices: bool) -> Placement:
    """--cgroup-parent: a path in the cgroup tree, or the same with the mount point in front."""
    cgroup = facts.cgroup
    parts = option.split("/")
    if not option.startswith("/") or ".." in parts or "." in parts or "\0" in option:
        raise SpecError(
            f"'{option}' is not a path in the cgroup tree",
            where="--cgroup-parent",
            remedy="give an absolute path without . and .., e.g. /nucleus.slice",
        )
    path = "/".join(["", *[p for p in parts if p]])
    directories: list[CgroupDirectory] = []
    v2 = cgroup.v2
    beside = ("devices",) if devices and v2 is None else ()
    for name in [_V1_NAMES.get(n, n) for n in (*wanted, *beside)]:
        controller = cgroup.v1_controller(name)
        if controller is not None:
            at = f"{controller.mount}{path.removeprefix(controller.mount)}"
            one = CgroupDirectory(version=1, path=at, device=controller.device, controllers=(name,))
            directories.append(one)
    usable: tuple[str, ...] = ()
    if v2 is not None and (devices or not directories):
        usable = () if directories else tuple([c for c in CONTROLLERS if c in wanted])
        at = f"{v2.mount}{path.removeprefix(v2.mount)}"
        directories.append(CgroupDirectory(version=2, path=at, device=v2.device, controllers=usable))
    if not directories:
        remedy = "leave the option out"
        raise SpecError("no cgroup hierarchy is mounted here", where="--cgroup-parent", remedy=remedy)
    return Placement(
        kind="option",
        directories=tuple(directories),
        enable=usable,
        reason="--cgroup-parent",
        remedy="choose a parent to which the controllers are delegated",
    )


def choose_parent(
    facts: HostFacts,
    *,
    wanted: tuple[str, ...],
    option: str = "",
    excluded: tuple[str, ...] = (),
    devices: bool = False,
) -> Placement:
    """Where the container's cgroup goes.

    wanted     the controllers that limits need (`limits.controllers_of`); with () no scope is asked for
    excluded   kinds that were tried and did not work
    devices    one is wanted that can refuse devices
    """
    if option:
        return _option(facts, wanted, option, devices=devices)
    cgroup, v2 = facts.cgroup, facts.cgroup.v2
    found: Placement | None = None
    if cgroup.v1:
        found = _v1(facts, wanted, devices=devices) if "v1" not in excluded else None
    elif v2 is not None:
        found = (_root(facts, v2, wanted) if "root" not in excluded else None) or (
            _own(facts, v2, wanted, excluded) if not v2.is_root else None
        )
        manager = "system" if facts.systemd.system and facts.identity.uid == 0 else ""
        if facts.systemd.user and facts.identity.uid != 0:
            manager = "user"
        if found is None and manager and wanted and "scope" not in excluded:
            reason = f"a scope of the {manager} manager: the own cgroup is not delegated"
            found = Placement(kind="scope", manager=manager, reason=reason, remedy=_remedy(facts))
    return found or Placement(
        kind="none", reason="no cgroup is delegated to the caller", remedy=_remedy(facts)
    )
