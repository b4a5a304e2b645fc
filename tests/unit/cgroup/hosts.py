"""Facts of made-up hosts, as values."""

from __future__ import annotations

from nucleus.host.facts import Cgroups, HostFacts, Identity, Kernel, Systemd, V1Controller, V2Hierarchy

ALL = ("memory", "cpu", "pids", "io")
SCOPE = "/sys/fs/cgroup/user.slice/run-7.scope"


def v1(name: str, directory: str, *, writable: bool = True) -> V1Controller:
    """A v1 controller whose own cgroup is seen at `directory`."""
    return V1Controller(
        name=name, mount=f"/sys/fs/cgroup/{name}", path="/", directory=directory, device=30,
        writable=writable, swap_limit=name == "memory",
    )  # fmt: skip


def v2(**changes: object) -> V2Hierarchy:
    """A v2 cgroup of a session, delegated to nobody."""
    base = V2Hierarchy(
        mount="/sys/fs/cgroup", path="/user.slice/run-7.scope", directory=SCOPE, device=26, controllers=ALL
    )
    return base.replace(**changes)


def host(cgroup: Cgroups, *, uid: int = 0, system: bool = False, user: bool = False) -> HostFacts:
    """A host with these cgroups and managers."""
    return HostFacts(
        kernel=Kernel(release="6.1.0", version=(6, 1), arch="x86_64"),
        identity=Identity(uid=uid, gid=uid, name="root" if uid == 0 else "ann"),
        cgroup=cgroup,
        systemd=Systemd(system=system, user=user),
    )


def on_v2(*, uid: int = 1000, system: bool = True, user: bool = False, **changes: object) -> HostFacts:
    """A host with cgroup v2 alone."""
    return host(Cgroups(layout="v2", v2=v2(**changes)), uid=uid, system=system, user=user)
