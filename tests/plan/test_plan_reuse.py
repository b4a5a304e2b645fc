"""A plan adapted from an earlier one is the plan that would have been compiled.  ✗ starts nothing."""

from __future__ import annotations

import functools
from itertools import permutations

from rows import every_row

from nucleus.host.facts import (
    Cgroups,
    HostFacts,
    HostFiles,
    Kernel,
    Rlimit,
    Rlimits,
    Systemd,
    UserNamespaces,
)  # fmt: skip
from nucleus.host.facts import Identity as Caller
from nucleus.plan.compile import compile_plan
from nucleus.plan.encode import encode
from nucleus.plan.request import CgroupParent, Identity, MapLine, Request, RootEntry, Source, VolumeSource
from nucleus.plan.reuse import Compiled, adapted, compiled
from nucleus.plan.steps import LaunchPlan
from nucleus.spec.container import ContainerSpec


def facts() -> HostFacts:
    limit = Rlimit(soft=1024, hard=4096)
    return HostFacts(
        kernel=Kernel(release="6.1.0", version=(6, 1), arch="x86_64", landlock_abi=4),
        identity=Caller(uid=0, gid=0),
        user_namespaces=UserNamespaces(),
        cgroup=Cgroups(layout="v2"),
        systemd=Systemd(),
        files=HostFiles(usr=None),
        rlimits=Rlimits(nofile=limit, memlock=limit, nproc=limit),
        boot_id="b",
        pid_namespace=1,
    )


def identity(base: int = 524288, uid: int = 1000, helpers: tuple[str, ...] = ()) -> Identity:
    lines = (MapLine(inside=0, outside=base, count=65536),)
    return Identity(uid=uid, gid=uid, uid_map=lines, gid_map=lines, privileged=True, helpers=helpers)


def request(spec: ContainerSpec | None = None, **changes: object) -> Request:
    spec = spec or ContainerSpec(command=("true",), workdir="/home/agent")
    plain: dict[str, object] = {
        "spec": spec,
        "facts": FACTS,
        "identity": identity(),
        "root_entries": (RootEntry(target="/usr", source=Source(path="/usr")),),
        "cgroups": (CgroupParent(version=2, controllers=("pids",), slot="cgroup:0"),),
        "hostname": "one",
        "candidates": tuple([f"/bin/{spec.command[0]}"]),
    }
    return Request(**{**plain, **changes})


FACTS = facts()
SPEC = ContainerSpec(
    command=("echo", "x" * 77), env=(("A", "b"),), labels=(("c", "d"),), workdir="/home/agent"
)  # fmt: skip
VOLUME = VolumeSource(
    source=Source(path="/srv", uid=7, gid=8), target="/workspace", read_only=False, origin="workspace"
)
SAME = (
    request(),
    request(SPEC),
    request(hostname="another-host-name"),
    request(identity=identity(1048576)),
    request(SPEC, identity=identity(1073741824), hostname="three"),
)
OTHER = (
    request(identity=identity(uid=1001)),
    request(ContainerSpec(command=("true",), workdir="/tmp")),
    request(ContainerSpec(command=("true",), workdir="/home/agent", timeout_ms=5)),
    request(ContainerSpec(command=("true",), workdir="/home/agent", name="named")),
    request(ContainerSpec(command=("true",), workdir="/home/agent", network="host")),
    request(ContainerSpec(command=("true",), workdir="/home/agent", seccomp_profile="strict")),
    request(volumes=(VOLUME,)),
    request(volumes=(VOLUME,), identity=identity(1048576)),
    request(keep_record=False),
    request(owner=1),
    request(degraded=("landlock",)),
    request(root_entries=()),
    request(cgroups=()),
    request(identity=identity(helpers=("newuidmap", "newgidmap"))),
    request(identity=identity(1048576, helpers=("newuidmap", "newgidmap"))),
)


ALL = (*SAME, *OTHER)


@functools.cache
def known_plan(of: int) -> Compiled:
    """What is kept of an earlier start; made once, adapted to many."""
    return compiled(ALL[of])


@functools.cache
def wanted_plan(of: int) -> tuple[LaunchPlan, bytes]:
    """What compiling comes to."""
    plan = compile_plan(ALL[of])
    return plan, encode(plan)


@every_row(("known", "wanted"), list(permutations(range(len(SAME)), 2)))
def test_requests_of_one_kind_share_all_but_a_few_steps(known: int, wanted: int) -> None:
    done = adapted(known_plan(known), ALL[wanted])
    assert done is not None
    assert (done.plan, done.encoded()) == wanted_plan(wanted)


@every_row(("known", "wanted"), list(permutations((1, *range(len(SAME), len(ALL))), 2)))
def test_an_adapted_plan_is_right_or_there_is_none(known: int, wanted: int) -> None:
    done = adapted(known_plan(known), ALL[wanted])
    assert done is None or done.encoded() == wanted_plan(wanted)[1]


def test_an_adapted_plan_can_be_adapted_again() -> None:
    second = adapted(compiled(SAME[0]), SAME[4])
    assert second is not None
    third = adapted(second, SAME[1])
    assert third is not None
    assert third.encoded() == encode(compile_plan(SAME[1]))


def test_the_known_plan_stays_as_it_was() -> None:
    known = compiled(SAME[0])
    adapted(known, SAME[4])
    assert known.encoded() == encode(compile_plan(SAME[0]))
