"""Which namespaces, id maps and cgroups, who makes the network, and what the monitor does at the end.  ✗ mounts."""

from __future__ import annotations

from . import schema
from .limits import device_program, device_writes
from .notes import EVENTS_FILE, created_members

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .draft import Draft
    from .request import MapLine

# clone(2)
CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC = 0x20000, 0x2000000, 0x4000000, 0x8000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
CLONE_NEWTIME = 0x80  # clone3 and unshare alone: for clone it is a part of the signal's number

# enum counter of launcher/report.h
OOM_KILLS, MEMORY_PEAK, CPU_USEC, PIDS_DENIED = 0, 1, 2, 3
_COUNTERS = {
    2: {
        "memory": (("memory.events", "oom_kill", OOM_KILLS), ("memory.peak", "", MEMORY_PEAK)),
        "cpu": (("cpu.stat", "usage_usec", CPU_USEC),),
        "pids": (("pids.events", "max", PIDS_DENIED),),
    },
    1: {
        "memory": (
            ("memory.oom_control", "oom_kill", OOM_KILLS),
            ("memory.max_usage_in_bytes", "", MEMORY_PEAK),
        ),
        "pids": (("pids.events", "max", PIDS_DENIED),),
    },
}


def map_text(lines: tuple[MapLine, ...]) -> str:
    """What /proc/PID/uid_map takes."""
    return "".join([f"{m.inside} {m.outside} {m.count}\n" for m in lines])


def helper_arguments(program: str, lines: tuple[MapLine, ...]) -> bytes:
    """newuidmap(1)'s argv without the pid, which the launcher puts second."""
    words = [program] + [str(n) for m in lines for n in (m.inside, m.outside, m.count)]
    return b"".join([w.encode() + b"\0" for w in words])


def cgroup_steps(draft: Draft) -> None:
    """Make the cgroups and write their limits before anybody is inside."""
    for number, parent in enumerate(draft.request.cgroups):
        draft.add(
            "create-cgroup", "cgroup", cgroup=number, parent=draft.slot(parent.slot), version=parent.version
        )
        for file, value, origin in parent.writes:
            draft.add("set-cgroup", origin, cgroup=number, file=file, value=value)
        if parent.devices and parent.version == 1:
            for file, value in device_writes():
                draft.add("set-cgroup", "devices", cgroup=number, file=file, value=value)


def device_steps(draft: Draft) -> None:
    """On v2 by a program, which the kernel checks and compiles while the child builds: nothing of others runs inside yet.

    Before hooks do.
    """
    for number, parent in enumerate(draft.request.cgroups):
        if parent.devices and parent.version == 2:
            draft.add("restrict-devices", "devices", cgroup=number, program=device_program())


def chosen(draft: Draft) -> int:
    """The namespaces that every container of this spec has, but for those of network and cgroup."""
    flags = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC
    return flags | CLONE_NEWTIME if draft.request.spec.time_namespace else flags


def spawn_steps(draft: Draft) -> None:
    """One clone3 with every namespace but the network's, placed into the v2 cgroup; then the id maps.

    A network namespace takes as long as all the others together: a process of its own makes it (`network_steps`).
    """
    versions = [c.version for c in draft.request.cgroups]
    flags = chosen(draft)
    if (
        1 not in versions and not draft.request.spec.disable_cgroup_namespace
    ):  # on v1 the child enters its cgroups first and unshares then
        flags |= CLONE_NEWCGROUP
    if draft.request.host_hooks and draft.request.spec.network == "none":
        flags |= CLONE_NEWNET  # the hooks may want to set it up
    into = versions.index(2) if 2 in versions else schema.NO_CGROUP
    draft.add("spawn", "namespaces", namespaces=flags, cgroup=into)
    id_map_steps(draft)


def id_map_steps(draft: Draft) -> None:
    """Who writes the id maps: the helpers, or the monitor itself."""
    identity = draft.request.identity
    maps = {"newuidmap": identity.uid_map, "newgidmap": identity.gid_map}
    for helper in identity.helpers:
        arguments = helper_arguments(helper, maps[helper])
        draft.add("run-helper", "userns", program=draft.slot(helper), arguments=arguments)
    if not identity.helpers:
        draft.add(
            "write-id-map", "userns",
            uid_map=map_text(identity.uid_map), gid_map=map_text(identity.gid_map),
            deny_setgroups=int(identity.deny_setgroups),
        )  # fmt: skip


def created_steps(draft: Draft) -> None:
    """The first event of a container says what the later ones, which have its id alone, belong to."""
    spec = draft.request.spec
    _note_steps(draft, "note-created", "created", created_members(spec.name, spec.labels, spec.command))


def _note_steps(draft: Draft, step_name: str, event: str, members: str = "") -> None:
    spec = draft.request.spec
    sinks = [("events", 0, "state")]
    sinks += [("events-file", 1, "events_jsonl")] if spec.events_jsonl else []
    sinks += [("events-fd", 1, "events_fd")] if spec.events_fd is not None else []
    for slot, direct, origin in sinks:
        draft.add(
            step_name,
            origin,
            log=draft.slot(slot),
            direct=direct,
            file=EVENTS_FILE,
            type=event,
            members=members,
        )
    if spec.audit_log and event == "stopped":
        draft.add(
            step_name, "audit_log", log=draft.slot("audit-file"), direct=1, file=EVENTS_FILE,
            type="container_stop", members=members,
        )  # fmt: skip


def watch_steps(draft: Draft) -> None:
    """Release, wait, and what is recorded and removed at the end."""
    request, spec = draft.request, draft.request.spec
    draft.add("write-init-record", "state", directory=draft.slot("state"))
    if request.gated:
        draft.add("await-proceed", "state", channel=draft.slot("start"))
    _note_steps(draft, "note-started", "started")
    draft.add(
        "supervise", "timeout",
        timeout_ms=spec.timeout_ms or 0, stop_signal=spec.stop_signal,
        grace_ms=spec.stop_timeout_ms, owner=request.owner,
    )  # fmt: skip
    if request.gated:
        draft.add("write-start-record", "state", directory=draft.slot("state"))
    for number, parent in enumerate(request.cgroups):
        for controller in parent.controllers:
            for file, key, counter in _COUNTERS[parent.version].get(controller, ()):
                draft.add("read-counter", "cgroup", cgroup=number, file=file, key=key, counter=counter)
    if spec.asks_about_calls:
        draft.add("await-trace", "seccomp_log", channel=draft.slot("trace"))
    for number in range(len(request.cgroups)):
        draft.add("remove-cgroup", "cgroup", cgroup=number)
    _note_steps(draft, "note-ended", "stopped")
    if request.keep_record:
        draft.add("remove-tree", "state", directory=draft.slot("state"), name="context")
        draft.add("write-exit-record", "state", directory=draft.slot("state"))
    else:
        if request.gated:  # for whoever waits for the end; then the directory stays until he has read it
            draft.add("write-exit-record", "state", directory=draft.slot("state"))
        # The name first: once the directory is gone another container may have taken it.
        if spec.name:
            draft.add("remove-tree", "rm", directory=draft.slot("names"), name=spec.name)
        draft.add("remove-tree", "rm", directory=draft.slot("state-root"), name="")
    if request.reporter:
        program = b"".join([w.encode() + b"\0" for w in request.reporter])
        draft.add("report-failure", "log", origins=draft.slot("origins"), program=program)


def unmapped_steps(draft: Draft) -> None:
    """What the child can do before its ids are mapped, while the monitor writes the maps."""
    draft.add("no-new-privileges", "always")
    if draft.request.spec.network == "none":
        draft.add("spawn-network", "network")
    draft.add("set-hostname", "hostname", name=draft.request.hostname)


def arrival_steps(draft: Draft) -> None:
    """The workload's process detaches the host's root, beside the child's mounts, and enters the network namespace."""
    draft.add("detach-host", "rootfs")
    if draft.request.spec.network == "none":
        draft.add("enter-network", "network")


def network_steps(draft: Draft) -> None:
    """A process that does nothing else makes the network namespace: the slowest of all, it begins as early as it can.

    Where hooks of the host have to find one, the child was born in it.
    """
    if draft.request.spec.network == "none":
        draft.add("await-id-map", "network")
        if not draft.request.host_hooks:
            draft.add("unshare-network", "network")
        draft.add("loopback-up", "network")
        draft.add("hand-over-network", "network")
