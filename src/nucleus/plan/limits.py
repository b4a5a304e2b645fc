"""What bounds the process itself: rlimits and umask; host name and loopback.  ✗ cgroups: namespaces."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .draft import Draft

RLIMITS = {
    "cpu": 0, "fsize": 1, "data": 2, "stack": 3, "core": 4, "rss": 5, "nproc": 6, "nofile": 7, "memlock": 8, "as": 9,
    "locks": 10, "sigpending": 11, "msgqueue": 12, "nice": 13, "rtprio": 14, "rttime": 15,
}  # fmt: skip
INFINITY = (1 << 64) - 1
_NOFILE = 65536


def namespace_steps(draft: Draft) -> None:
    """What the child can do before its ids are mapped, while the monitor writes the maps."""
    draft.add("no-new-privileges", "always")
    draft.add("set-hostname", "hostname", name=draft.request.hostname)


def network_steps(draft: Draft) -> None:
    """The workload's process detaches the host's root and makes the network namespace, beside the child's mounts."""
    draft.add("detach-host", "rootfs")
    if draft.request.spec.network == "none":
        if not draft.request.host_hooks:
            draft.add("unshare-network", "network")
        draft.add("loopback-up", "network")


def pids_by_rlimit(draft: Draft) -> bool:
    """No cgroup holds the pids limit: RLIMIT_NPROC does, which counts per user namespace and uid."""
    return not any("pids" in c.controllers for c in draft.request.cgroups)


def limit_steps(draft: Draft) -> None:
    """The user's own limits win; core dumps are off, and no hard limit is ever raised (that needs CAP_SYS_RESOURCE)."""
    spec, hard = draft.request.spec, draft.request.facts.rlimits
    files = _at_most(_NOFILE, hard.nofile.hard)
    wanted: dict[str, tuple[int, int, str]] = {"core": (0, 0, "always"), "nofile": (files, files, "always")}
    if spec.memlock_bytes is not None:
        wanted["memlock"] = (spec.memlock_bytes, spec.memlock_bytes, "memlock")
    if pids_by_rlimit(draft) and spec.pids:
        limit = _at_most(spec.pids, hard.nproc.hard)
        wanted["nproc"] = (limit, limit, "pids")
    for rlimit in spec.ulimits:
        wanted[rlimit.name] = (rlimit.soft, rlimit.hard, "ulimit")
    for name, (soft, top, origin) in sorted(wanted.items()):
        draft.add("set-rlimit", origin, resource=RLIMITS[name], soft=soft, hard=top)
    draft.add("set-umask", "always", mask=0o022)


def _at_most(value: int, hard: int) -> int:
    return value if hard < 0 else min(value, hard)
