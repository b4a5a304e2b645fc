"""Requests as data: options as a user writes them × machines that never change → what plans are made from.

It does what `container/` does on a real machine, with files, ids and cgroups that are made up.
✗ asserts nothing.
"""

from __future__ import annotations

from typing import Any

from nucleus.base.value import Value
from nucleus.cgroup import limits
from nucleus.cgroup.parent import choose_parent
from nucleus.container.inputs.identity import privileged, root_identity, rootless_identity
from nucleus.host.facts import (
    Cgroups,
    HostFacts,
    HostFiles,
    HostPath,
    Identity,
    IdMapLine,
    IdRange,
    Kernel,
    MapHelper,
    Rlimit,
    Rlimits,
    SubordinateIds,
    V1Controller,
    V2Hierarchy,
)
from nucleus.plan.request import CgroupParent, Request, RootEntry, Source, VolumeSource
from nucleus.plan.workload import PATH, candidates
from nucleus.spec.container import ContainerSpec
from nucleus.spec.parse import from_mapping

BASE = 524288
ALL_CAPABILITIES = (1 << 41) - 1
_CONTROLLERS = ("cpu", "io", "memory", "pids")


class Machine(Value):
    """A host, and where its file system takes no ID-mapped mounts."""

    facts: HostFacts
    idmap: bool = True


def _files() -> HostFiles:
    links = [HostPath(path=f"/{n}", kind="link", target=f"usr/{n}") for n in ("bin", "sbin", "lib", "lib64")]
    etc = [
        HostPath(path="/etc/alternatives", kind="directory", device=0xFE00000001, inode=11),
        HostPath(path="/etc/ld.so.cache", kind="file", device=0xFE00000001, inode=12),
        HostPath(path="/etc/localtime", kind="link", target="/usr/share/zoneinfo/Etc/UTC"),
        HostPath(path="/etc/ssl", kind="directory", device=0xFE00000001, inode=13),
    ]
    usr = HostPath(path="/usr", kind="directory", device=0xFE00000001, inode=10)
    return HostFiles(usr=usr, top=tuple(links), etc=tuple(etc))


def kernel(abi: int = 6, arch: str = "x86_64") -> Kernel:
    """A kernel of that Landlock ABI."""
    return Kernel(release="6.12.0", version=(6, 12), arch=arch, landlock_abi=abi)


def cgroup_v2(*, delegated: bool, root: bool) -> Cgroups:
    """The v2 hierarchy alone: the machine's root, or a session's scope."""
    path = "/" if root else "/user.slice/session.scope"
    v2 = V2Hierarchy(
        mount="/sys/fs/cgroup", path=path, directory="/sys/fs/cgroup" + path.rstrip("/"), device=26,
        controllers=_CONTROLLERS, enabled=_CONTROLLERS, writable=delegated, delegated=delegated, is_root=root,
        has_kill=True,
    )  # fmt: skip
    return Cgroups(layout="v2", v2=v2)


def cgroup_v1() -> Cgroups:
    """v1 controllers, each in a hierarchy of its own, and an empty v2 beside them."""
    v1 = [
        V1Controller(
            name=n, mount=f"/sys/fs/cgroup/{n}", path="/", directory=f"/sys/fs/cgroup/{n}", device=30 + i,
            writable=True, swap_limit=n == "memory",
        )
        for i, n in enumerate(("memory", "cpu", "pids", "blkio"))
    ]  # fmt: skip
    beside = V2Hierarchy(
        mount="/sys/fs/cgroup/unified", path="/", directory="/sys/fs/cgroup/unified", device=40,
        writable=True, delegated=True, is_root=True, has_kill=True,
    )  # fmt: skip
    return Cgroups(layout="hybrid", v1=tuple(v1), v2=beside)


def root_machine(cgroup: Cgroups | None = None, *, abi: int = 6, idmap: bool = True) -> Machine:
    """Host root."""
    facts = HostFacts(
        kernel=kernel(abi),
        identity=Identity(uid=0, gid=0, name="root", capabilities=ALL_CAPABILITIES),
        cgroup=cgroup if cgroup is not None else cgroup_v2(delegated=True, root=True),
        files=_files(),
        rlimits=Rlimits(nofile=Rlimit(soft=1024, hard=1048576)),
    )
    return Machine(facts=facts, idmap=idmap)


def user_machine(
    cgroup: Cgroups | None = None, *, subordinate: bool, abi: int = 6, hard_files: int = 20000
) -> Machine:
    """An ordinary user, with subordinate ids and the helpers that map them, or without."""
    helper = MapHelper(path="/usr/bin/newuidmap", privileged=True)
    ranges = (IdRange(start=100000, count=65536),)
    ids = SubordinateIds(uids=ranges, gids=ranges, newuidmap=helper, newgidmap=helper)
    facts = HostFacts(
        kernel=kernel(abi),
        identity=Identity(uid=1001, gid=1001, groups=(1001, 27), name="ann", home="/home/ann"),
        subordinate=ids if subordinate else SubordinateIds(),
        cgroup=cgroup if cgroup is not None else cgroup_v2(delegated=False, root=False),
        files=_files(),
        rlimits=Rlimits(nofile=Rlimit(soft=1024, hard=hard_files), nproc=Rlimit(soft=400, hard=4000)),
    )
    return Machine(facts=facts)


def nested_machine() -> Machine:
    """Root of a user namespace of somebody else's."""
    lines = (IdMapLine(inside=0, outside=100000, count=65536),)
    plain = user_machine(subordinate=False)
    identity = Identity(
        uid=0, gid=0, name="root", capabilities=ALL_CAPABILITIES, uid_map=lines, gid_map=lines
    )
    return plain.replace(facts=plain.facts.replace(identity=identity))


MACHINES: dict[str, Machine] = {
    "root, cgroup v2": root_machine(),
    "root, cgroup v1": root_machine(cgroup_v1()),
    "root, no cgroup": root_machine(Cgroups()),
    "user with ranges": user_machine(subordinate=True),
    "user with a delegated cgroup": user_machine(cgroup_v2(delegated=True, root=False), subordinate=True),
    "user without ranges": user_machine(subordinate=False),
    "root of a user namespace": nested_machine(),
}


def _source(path: str, machine: Machine, *, is_file: bool = False) -> Source:
    """Everything on this host belongs to uid 1001; its inode is a number that depends on its name alone."""
    inode = 1000 + sum(path.encode("utf-8", "surrogateescape"))
    return Source(
        path=path, device=0xFE00000001, inode=inode, uid=1001, gid=1001, is_file=is_file, idmap=machine.idmap
    )


def _root_entries(spec: ContainerSpec, machine: Machine) -> tuple[RootEntry, ...]:
    if spec.rootfs:
        names = ("bin", "etc", "lib", "opt", "usr", "var")
        found = [RootEntry(target=f"/{n}", source=_source(f"{spec.rootfs}/{n}", machine)) for n in names]
        found[0] = RootEntry(target="/bin", link="usr/bin")
    else:
        files = machine.facts.files
        assert files.usr is not None
        found = [RootEntry(target="/usr", source=Source(path="/usr"))]
        for path in (*files.top, *files.etc):
            source = None if path.kind == "link" else Source(path=path.path, is_file=path.kind == "file")
            found.append(RootEntry(target=path.path, link=path.target, source=source))
    for toolchain in spec.toolchains:
        found.append(RootEntry(target=toolchain, source=_source(toolchain, machine), origin="toolchain"))
    return tuple(found)


def _volumes(spec: ContainerSpec, machine: Machine) -> tuple[VolumeSource, ...]:
    found = []
    if spec.workspace:
        found.append(
            VolumeSource(
                source=_source(spec.workspace, machine), target="/workspace", origin="workspace",
                read_only=spec.workspace_mode == "bind-ro", executable=spec.workspace_exec,
            )
        )  # fmt: skip
    for volume in spec.volumes:
        source = _source(volume.source, machine, is_file=volume.source.endswith(".txt"))
        found.append(
            VolumeSource(source=source, target=volume.target, read_only=volume.read_only, origin="volume")
        )
    if spec.context:
        found.append(
            VolumeSource(
                source=_source(spec.context, machine), target="/context", read_only=True, executable=False,
                origin="context",
            )
        )  # fmt: skip
    return tuple(found)


def _cgroups(spec: ContainerSpec, facts: HostFacts) -> tuple[CgroupParent, ...]:
    wanted = limits.Limits(
        memory_bytes=spec.memory_bytes, memory_high_bytes=spec.memory_high_bytes, swap_bytes=spec.swap_bytes,
        cpu_quota_us=spec.cpu_quota_us, cpu_weight=spec.cpu_weight, pids=spec.pids or None, io=spec.io_limits,
        defaulted=() if spec.wrote("pids") else ("pids",),
    )  # fmt: skip
    devices = facts.identity.may_restrict_devices and "devices" not in spec.degraded
    placement = choose_parent(
        facts, wanted=limits.controllers_of(wanted), excluded=("scope",), devices=devices
    )
    plan = limits.plan_limits(
        wanted, placement.versions, degraded="cgroup" in spec.degraded, swap_limit=placement.swap_limit
    )
    return tuple([
        CgroupParent(
            version=d.version, controllers=d.controllers, slot=f"cgroup:{n}",
            writes=plan.writes_for(d.controllers), devices=devices and d.restricts_devices,
        )
        for n, d in enumerate(placement.directories)
    ])  # fmt: skip


def request_of(options: dict[str, Any], machine: Machine) -> Request:
    """The request that such options come to there.  Raises SpecError for what that machine cannot give."""
    spec = from_mapping({"command": ["make", "test"], **options})
    facts = machine.facts
    volumes = _volumes(spec, machine)
    uid = int(spec.user or 1000)
    gid = int(spec.group or uid)
    groups = tuple(sorted({int(g) for g in spec.additional_groups} - {gid}))
    if privileged(facts):
        direct = (1001, 1001) if not machine.idmap and any(not v.read_only for v in volumes) else None
        who = root_identity(uid, gid, groups, BASE, direct)
    else:
        who = rootless_identity(spec, facts, uid, gid, groups)
    workdir = spec.workdir if spec.wrote("workdir") or spec.workspace else "/home/agent"
    writable = spec.workspace and spec.workspace_mode == "bind-rw" and not spec.allow_workspace_config
    host = spec.network == "host" and not spec.rootfs
    return Request(
        spec=spec.replace(workdir=workdir), facts=facts, identity=who,
        root_entries=_root_entries(spec, machine), volumes=volumes,
        protected=("/workspace/.git/hooks", "/workspace/.git/config") if writable else (),
        secrets=tuple([s.target for s in spec.secrets]), cgroups=_cgroups(spec, facts),
        hostname=spec.hostname or spec.name or "0123456789ab",
        resolv_conf=Source(path="/etc/resolv.conf", is_file=True) if host else None,
        candidates=candidates(spec.command[0], PATH, workdir),
        reporter=("/usr/bin/python3", "-I", "-S", "reporter.py"), keep_record=not spec.rm,
        degraded=spec.degraded,
    )  # fmt: skip
