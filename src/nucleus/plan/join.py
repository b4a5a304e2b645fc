"""Entering a running container: its namespaces and cgroups by descriptor, then the lockdown of the run, verbatim.

✗ a lockdown of its own.
"""

from __future__ import annotations

from . import limits, lockdown, namespaces, schema, workload
from .draft import Draft
from .steps import LaunchPlan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .request import Request


def compile_join(request: Request) -> LaunchPlan:
    """The plan of a process that joins.  Slots: "init" (its pidfd), one directory per cgroup, "environment".

    A namespace that cannot be joined fails the plan: none is ever skipped.
    """
    draft = Draft(request)
    flags = namespaces.chosen(draft)
    if not request.spec.disable_cgroup_namespace:
        flags |= namespaces.CLONE_NEWCGROUP
    if request.spec.network == "none":
        flags |= namespaces.CLONE_NEWNET
    for number, parent in enumerate(request.cgroups):
        draft.add("join-cgroup", "cgroup", directory=draft.slot(f"cgroup:{number}"), version=parent.version)
    draft.add("join-namespaces", "namespaces", target=draft.slot("init"), namespaces=flags)
    draft.add("spawn", "namespaces", namespaces=0, cgroup=schema.NO_CGROUP)
    draft.add(
        "supervise", "timeout", timeout_ms=request.spec.timeout_ms or 0, stop_signal=request.spec.stop_signal,
        grace_ms=request.spec.stop_timeout_ms, owner=request.owner,
    )  # fmt: skip
    draft.add("no-new-privileges", "always")
    limits.limit_steps(draft)
    workload.identity_steps(draft)
    lockdown.lockdown_steps(draft)
    workload.exec_step(draft, request.spec.workdir)
    return LaunchPlan(kind=schema.KIND_JOIN, steps=tuple(draft.steps), slots=tuple(draft.slots))
