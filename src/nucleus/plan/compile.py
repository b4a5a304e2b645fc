"""(spec, policy, facts) → LaunchPlan: the parts below, in the order in which the launcher runs them.

✗ the steps of any part.
"""

from __future__ import annotations

from . import limits, lockdown, mounts, namespaces, rootfs, schema, workload
from .draft import Draft
from .steps import LaunchPlan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .request import Request


def compile_plan(request: Request) -> LaunchPlan:
    """The complete plan of a run: from making the cgroup to removing it."""
    draft = Draft(request)
    host = mounts.HostMounts(draft)
    privileged = request.identity.privileged

    namespaces.created_steps(draft)
    namespaces.cgroup_steps(draft)
    namespaces.spawn_steps(draft)
    namespaces.device_steps(draft)
    if request.host_hooks:
        from .hooks import monitor_step

        monitor_step(draft)
    if privileged:
        taken = mounts.take_all(host) + rootfs.take_nodes(host)
        host.map_steps()
        host.hand_over_step()
    namespaces.watch_steps(draft)

    namespaces.unmapped_steps(draft)
    workload.become_mapped_step(draft)
    _enter_cgroup_steps(draft)
    if not privileged:
        taken = mounts.take_all(host) + rootfs.take_nodes(host)
    rootfs.make_root_steps(draft)
    rootfs.fill_root_steps(draft)
    # The monitor has gone to sleep by now, so that a processor is free for it.
    draft.add("spawn-workload", "command")
    mounts.temporary_steps(draft, request.identity)
    mounts.secret_steps(draft)
    rootfs.device_steps(draft)
    host.await_step()
    layered = {e.target for e in request.root_entries if mounts.overlaid(request, e)}
    mounts.attach_steps(draft, [m for m in taken if _own_place(m) and m[1] not in layered])
    # What follows resolves names inside mounts that others may have filled: the host's root must be out of reach.
    draft.add("await-detached", "rootfs")
    mounts.overlay_steps(draft, [m for m in taken if m[1] in layered])
    mounts.attach_foreign_steps(draft, [m for m in taken if not _own_place(m) and m[1] not in layered])
    draft.add("announce-mounts", "rootfs")
    rootfs.proc_steps(draft)
    mounts.protect_steps(draft)
    rootfs.handover_steps(draft)

    namespaces.arrival_steps(draft)
    limits.limit_steps(draft)
    workload.identity_steps(draft)
    lockdown.lockdown_steps(draft)
    workload.exec_step(draft, request.spec.workdir)
    namespaces.network_steps(draft)
    return LaunchPlan(kind=schema.KIND_CREATE, steps=tuple(draft.steps), slots=tuple(draft.slots))


def _own_place(mount: tuple[int, str, bool, str]) -> bool:
    """Does the target lie in directories that the launcher itself makes: /NAME, /etc/NAME, /dev/NAME?"""
    _, target, _, origin = mount
    place = target.rpartition("/")[0]
    return origin in ("rootfs", "devices") and place in ("", "/etc", "/dev")


def _enter_cgroup_steps(draft: Draft) -> None:
    """v1: the child enters by itself; only then is the cgroup namespace made, so that its root is the container's."""
    versions = [c.version for c in draft.request.cgroups]
    for number, version in enumerate(versions):
        if version == 1:
            draft.add("enter-cgroup", "cgroup", cgroup=number)
    if 1 in versions and not draft.request.spec.disable_cgroup_namespace:
        draft.add("unshare-cgroup", "cgroup")
