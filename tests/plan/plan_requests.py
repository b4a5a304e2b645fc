"""Requests as `nucleus run` makes them, and the plans that come of them.  ✗ asserts nothing."""

from __future__ import annotations

import functools

from nucleus.host.facts import HostFacts, Kernel, Rlimit, Rlimits
from nucleus.host.facts import Identity as HostIdentity
from nucleus.plan import spares
from nucleus.plan.compile import compile_plan
from nucleus.plan.join import JoinRequest, compile_join
from nucleus.plan.prepared import split
from nucleus.plan.request import (
    CgroupParent,
    HookCall,
    Identity,
    MapLine,
    Request,
    RootEntry,
    Source,
    VolumeSource,
)
from nucleus.plan.steps import LaunchPlan
from nucleus.spec.container import ContainerSpec
from nucleus.spec.filesystem import Tmpfs

FACTS = HostFacts(
    kernel=Kernel(release="6.18.0", version=(6, 18), arch="x86_64", landlock_abi=7),
    identity=HostIdentity(uid=0, gid=0, name="root", home="/root"),
    rlimits=Rlimits(nofile=Rlimit(soft=1024, hard=524288), nproc=Rlimit(soft=-1, hard=-1)),
)
ROOT = Identity(
    uid=1000,
    gid=1000,
    uid_map=(MapLine(inside=0, outside=524288, count=65536),),
    gid_map=(MapLine(inside=0, outside=524288, count=65536),),
    privileged=True,
)
KEEP_ID = tuple(
    [
        MapLine(inside=i, outside=o, count=c)
        for i, o, c in ((0, 100000, 1000), (1000, 1000, 1), (1001, 101000, 64535))
    ]
)
USER = Identity(
    uid=1000, gid=1000, uid_map=KEEP_ID, gid_map=KEEP_ID, privileged=False, helpers=("newuidmap", "newgidmap")
)
ALONE = (MapLine(inside=1000, outside=1000, count=1),)
NO_SUBORDINATE = Identity(
    uid=1000, gid=1000, uid_map=ALONE, gid_map=ALONE, privileged=False, deny_setgroups=True
)
V2 = CgroupParent(
    version=2,
    controllers=("memory", "cpu", "pids"),
    slot="cgroup-parent:v2",
    writes=(("memory.max", "536870912", "memory"), ("pids.max", "512", "pids")),
    devices=True,
)
V1 = tuple(
    [
        CgroupParent(
            version=1,
            controllers=("memory",),
            slot="cgroup-parent:memory",
            writes=(("memory.limit_in_bytes", "1", "memory"),),
        ),
        CgroupParent(
            version=1, controllers=("pids",), slot="cgroup-parent:pids", writes=(("pids.max", "512", "pids"),)
        ),
        CgroupParent(version=2, controllers=(), slot="cgroup-parent:v2"),
    ]
)

JOIN = JoinRequest(command=("id", "-u"), candidates=("/usr/bin/id",), rlimits=((3, 1 << 23, 1 << 23),))

HOOKS = (
    HookCall(
        slot="hook:0", path="/opt/setup", arguments=("setup", "net"), environment=(("A", "b"),), timeout_s=5
    ),
    HookCall(path="/usr/bin/warm", arguments=("warm",), timeout_s=30),
)


def request(identity: Identity, cgroups: tuple[CgroupParent, ...], **changes: object) -> Request:
    """A run of `python3 -c pass` with a workspace, a volume, a tmpfs and a secret."""
    spec = ContainerSpec(
        command=("python3", "-c", "pass"), workspace="/srv/work", tmpfs=(Tmpfs(target="/scratch"),)
    )
    return Request(
        spec=spec,
        facts=FACTS,
        identity=identity,
        root_entries=(
            RootEntry(target="/usr", source=Source(path="/usr", device=1, inode=2)),
            RootEntry(target="/bin", link="usr/bin"),
            RootEntry(target="/etc/ssl", source=Source(path="/etc/ssl", device=1, inode=3)),
        ),
        volumes=(
            VolumeSource(
                source=Source(path="/srv/work", device=1, inode=4, uid=1000, gid=1000), target="/workspace",
                read_only=False, origin="workspace",
            ),
            VolumeSource(
                source=Source(path="/srv/data.csv", device=1, inode=5, is_file=True), target="/data.csv",
                read_only=True, executable=False, origin="volume",
            ),
        ),
        protected=("/workspace/.git/hooks",),
        protected_links=("/workspace/.envrc",),
        secrets=("/run/secrets/api/token",),
        cgroups=cgroups,
        hostname="sandbox",
        candidates=("/usr/bin/python3", "/bin/python3"),
        reporter=("/usr/bin/python3", "-I", "reporter.py"),
        **changes,  # type: ignore[arg-type]
    )  # fmt: skip


@functools.cache
def realistic_plans() -> dict[str, LaunchPlan]:
    """Runs as root, as a user with and without subordinate ids, a join, and a run in two parts."""
    parts = split(compile_plan(request(ROOT, V1)), ("/etc/hosts", "/etc/hostname"))
    assert parts is not None
    return {
        "root-v2": compile_plan(request(ROOT, (V2,))),
        "root-v1": compile_plan(request(ROOT, V1)),
        "user": compile_plan(request(USER, ())),
        "user-alone": compile_plan(request(NO_SUBORDINATE, (), keep_record=False)),
        "gated": compile_plan(request(ROOT, (V2,), gated=True, keep_record=False)),
        "hooks": compile_plan(request(ROOT, (V2,), gated=True, host_hooks=True, hooks=HOOKS)),
        "console": compile_plan(request(ROOT, (V2,), console=(24, 80))),
        "traced": compile_plan(_traced()),
        "join": compile_join(compile_plan(request(ROOT, (V2,))), JOIN),
        "join-v1": compile_join(
            compile_plan(request(ROOT, V1)), JOIN.replace(console=(24, 80), own_group=False)
        ),
        "prepare": parts[0],
        "start": parts[1],
        "start-taking": spares.taking(parts[1]),
        "start-giving": spares.giving(parts[1]),
    }


def _traced() -> Request:
    known = request(ROOT, (V2,))
    return known.replace(spec=known.spec.replace(seccomp_mode="trace", seccomp_log="/srv/calls"))
