"""Who the workload is, and which host ids stand behind: spec × facts → Identity.  ✗ steps, ✗ files."""

from __future__ import annotations

from ...base.errors import HostUnsupported, SpecError
from ...host.facts import CAP_SETGID
from ...plan.request import Identity, MapLine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...host.facts import HostFacts, IdRange
    from ...plan.request import RootEntry
    from ...spec.container import ContainerSpec

AGENT = 1000
BLOCK = 65536


def _lines(inside: int, own: int, ranges: tuple[IdRange, ...]) -> tuple[MapLine, ...]:
    """`inside` is the caller; the subordinate ids fill the numbers around it, up to 65,535."""
    lines = [MapLine(inside=inside, outside=own, count=1)]
    at = 0
    for r in ranges:
        start, left = r.start, r.count
        while left and at < BLOCK:
            if at == inside:
                at += 1
                continue
            count = min(left, (inside if at < inside else BLOCK) - at)
            if count <= 0:
                break
            lines.append(MapLine(inside=at, outside=start, count=count))
            at, start, left = at + count, start + count, left - count
    return tuple(sorted(lines, key=lambda line: line.inside))


def _explicit(spec: ContainerSpec) -> tuple[tuple[MapLine, ...], tuple[MapLine, ...]]:
    uids = tuple([MapLine(inside=m.container, outside=m.host, count=m.count) for m in spec.uidmap])
    gids = tuple([MapLine(inside=m.container, outside=m.host, count=m.count) for m in spec.gidmap])
    return uids, gids


def privileged(facts: HostFacts) -> bool:
    """Host root gets a disjoint block; everybody else maps what is his."""
    return facts.identity.is_host_root


def root_identity(
    uid: int, gid: int, groups: tuple[int, ...], base: int, owner: tuple[int, int] | None = None
) -> Identity:
    """Host root: ids from `base` on.  `owner`: the workload is that host user itself (no ID-mapped mounts there)."""
    if owner is None:
        uid_map: tuple[MapLine, ...] = (MapLine(inside=0, outside=base, count=BLOCK),)
        gid_map = uid_map
    else:
        uid_map, gid_map = _around(uid, owner[0], base), _around(gid, owner[1], base)
    _require_mapped(uid, gid, groups, uid_map, gid_map, f"root's containers have the ids 0 to {BLOCK - 1}")
    return Identity(uid=uid, gid=gid, groups=groups, uid_map=uid_map, gid_map=gid_map, privileged=True)


def _around(inside: int, host: int, base: int) -> tuple[MapLine, ...]:
    lines = [MapLine(inside=inside, outside=host, count=1)]
    if inside:
        lines.append(MapLine(inside=0, outside=base, count=inside))
    if inside < BLOCK - 1:
        lines.append(MapLine(inside=inside + 1, outside=base + inside + 1, count=BLOCK - 1 - inside))
    return tuple(sorted(lines, key=lambda line: line.inside))


def _given_by_root(facts: HostFacts) -> str:
    from ...host.doctor import subordinate_command

    known = facts.subordinate
    helpers = "" if known and known.newuidmap and known.newgidmap else ", and install uidmap"
    return f"as root: {subordinate_command(facts)}{helpers}"


def _require_mapped(
    uid: int,
    gid: int,
    groups: tuple[int, ...],
    uid_map: tuple[MapLine, ...],
    gid_map: tuple[MapLine, ...],
    remedy: str,
) -> None:
    wanted = [("--user", "uid", uid, uid_map), ("--group", "gid", gid, gid_map)]
    for where, what, number, lines in [*wanted, *[("--additional-group", "gid", g, gid_map) for g in groups]]:
        if not any(line.inside <= number < line.inside + line.count for line in lines):
            raise SpecError(f"{what} {number} is not mapped into the container", where=where, remedy=remedy)


def rootless_identity(
    spec: ContainerSpec, facts: HostFacts, uid: int, gid: int, groups: tuple[int, ...]
) -> Identity:
    """An ordinary user, or root inside a user namespace.

    `U → caller`, plus subordinate ids for the rest where there are any (keep-id, the default); `auto` asks for them;
    `nomap` uses the caller's own id alone.  Raises SpecError where what was asked for cannot be mapped.
    """
    caller, subordinate = facts.identity, facts.subordinate
    usable = subordinate is not None and subordinate.usable
    helpers = () if caller.may_write_maps else ("newuidmap", "newgidmap")
    if spec.uidmap or spec.gidmap:
        uid_map, gid_map = _explicit(spec)
        single = len(uid_map) == len(gid_map) == 1 and uid_map[0].count == gid_map[0].count == 1
        if single and uid_map[0].outside == caller.uid and gid_map[0].outside == caller.gid:
            helpers = ()
    elif spec.userns != "nomap" and usable and subordinate is not None:
        uid_map = _lines(uid, caller.uid, subordinate.uids)
        gid_map = _lines(gid, caller.gid, subordinate.gids)
    elif spec.userns == "auto":
        raise SpecError(
            f"this user has no subordinate ids: {caller.name or caller.uid}",
            where="--userns auto",
            remedy=_given_by_root(facts),
        )
    else:
        uid_map = (MapLine(inside=uid, outside=caller.uid, count=1),)
        gid_map = (MapLine(inside=gid, outside=caller.gid, count=1),)
        helpers = ()
    remedy = "give this user subordinate ids (`nucleus doctor` says how), or another --uidmap and --gidmap"
    _require_mapped(uid, gid, groups, uid_map, gid_map, remedy)
    # The kernel takes an unprivileged gid_map only after setgroups was denied, and that is inherited (user_namespaces(7)).
    deny = not helpers and not (caller.has(CAP_SETGID) and caller.setgroups_allowed)
    return Identity(
        uid=uid, gid=gid, groups=groups, uid_map=uid_map, gid_map=gid_map, privileged=False, helpers=helpers,
        deny_setgroups=deny,
    )  # fmt: skip


def refuse_overlay(spec: ContainerSpec, facts: HostFacts, entries: tuple[RootEntry, ...]) -> None:
    """Root's overlays rest on ID-mapped mounts: else nothing that is written would have an owner inside."""
    if spec.rootfs_mode != "overlay" or not privileged(facts):
        return
    for entry in entries:
        if entry.origin == "rootfs" and entry.source is not None and not entry.source.idmap:
            raise HostUnsupported(
                f"{entry.source.path} lies on a file system without ID-mapped mounts",
                where="--rootfs-mode overlay",
                remedy="put the root file system on ext4, xfs, btrfs or tmpfs, or use --rootfs-mode bind",
            )
