"""From a spec to everything a launch needs: found files, taken ids and names, the plan, its descriptors.

What is taken here is given back by `Prepared.discard`, or belongs to the launcher once it runs.
✗ starts nothing: `run.py`, `attached.py`.
"""

from __future__ import annotations

import os
import time

from ..base.errors import HostUnsupported, SpecError
from ..base.jsontext import digest, dumps
from ..cgroup import limits as cgroup_limits
from ..cgroup import tree
from ..cgroup.parent import CONTROLLERS
from ..host import probe
from ..plan.compile import compile_plan
from ..plan.encode import encode
from ..plan.request import CgroupParent, Identity, Request, VolumeSource
from ..plan.workload import PATH, candidates
from ..policy import environment as policy_environment
from ..state.record import ContainerRecord
from ..state.store import write_file
from . import ranges
from .inputs import identity, sources
from .inputs.sources import SourceFinder, root_entries
from .prepared import Prepared, open_store
from .slots import look_at_files, open_slots

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..cgroup.limits import LimitPlan
    from ..cgroup.parent import CgroupDirectory, Placement
    from ..host.facts import HostFacts
    from ..plan.request import Policies
    from ..spec.container import ContainerSpec
    from ..state.store import StateDirectory
    from .prepared import Gate
    from .reuse.warm import Warm

HOME = "/home/agent"
_FILES_OF_OTHERS = ("events_jsonl", "audit_log", "seccomp_log")


def facts_for(spec: ContainerSpec) -> HostFacts:
    """The facts of this machine, with subordinate ids."""
    facts = probe.probe()
    return facts if facts.subordinate is not None else probe.with_subordinate_ids(facts)


def prepare(
    spec: ContainerSpec,
    *,
    owner: int = 0,
    reporter: tuple[str, ...] = (),
    warm: Warm | None = None,
    gate: Gate | None = None,
    console: tuple[int, tuple[int, int]] = (-1, (0, 0)),
) -> Prepared:
    """Look everything up, take ids and name, compile.  Raises NucleusError; nothing is left behind then.

    warm: what a process that starts many sandboxes keeps from one to the next.
    console: for --tty, the socket that the terminal's master goes out by, and the terminal's size.
    """
    prepared = Prepared(open_store(spec), gate)
    prepared.console, size = console
    try:
        _fill(prepared, spec, owner, reporter, warm, size)
        if spec.cidfile and gate is None and (owner or reporter):  # `explain` starts nothing
            from .running.idfiles import write_id

            write_id(spec.cidfile, prepared.id)
    except BaseException:
        prepared.discard()
        raise
    return prepared


def rehearse(spec: ContainerSpec) -> None:
    """Look whether the files are there that a start would take, and may be taken; nothing is.  Raises NucleusError."""
    prepared = Prepared(open_store(spec))
    try:
        facts, finder = facts_for(spec), SourceFinder()
        spec = _held(spec, facts)
        _policies(spec, facts)
        sources.workspace_and_volumes(prepared, spec, finder)
        root_entries(spec, facts, finder)
        if spec.context:
            sources.judge(finder.find(spec.context, "--context", directory=True).path, "--context")
        look_at_files(spec)
        if spec.hooks:
            from .inputs.hooks import load

            load(spec.hooks)
    finally:
        prepared.close()


def _fill(
    prepared: Prepared,
    spec: ContainerSpec,
    owner: int,
    reporter: tuple[str, ...],
    warm: Warm | None,
    console: tuple[int, int],
) -> None:
    facts = warm.facts.get() if warm else facts_for(spec)
    spec = _held(spec, facts)
    policies = _policies(spec, facts)
    finder = SourceFinder()
    volumes = sources.workspace_and_volumes(prepared, spec, finder)
    entries = warm.root_entries(spec, facts, finder) if warm else root_entries(spec, facts, finder)
    if spec.verify_attestation:
        from .inputs import attestation

        attestation.require(spec, entries)
    identity.refuse_overlay(spec, facts, entries)
    who = _identity(prepared, spec, facts, volumes)
    in_unit = prepared.gate is not None and prepared.gate.detached not in ("", "none")
    limit_plan, parents = _limits(spec, facts, in_unit=in_unit)
    prepared.held += [fd for _, fd in parents]
    prepared.parents = tuple([d for d, _ in parents])
    state = _take_place(prepared, spec)
    # From here on `discard` gives the name back.
    prepared.record = _record(prepared, spec, facts, who, limit_plan, parents).replace(
        capabilities=policies.kept_names if policies else ()
    )
    volumes = sources.staged(volumes, prepared, spec, finder) + sources.context(prepared, spec, finder)
    variables = environment(spec)
    if spec.notifies:
        volumes += sources.notify_socket(prepared, finder)
        variables |= _notified(spec, volumes[-1])
    workdir = spec.workdir if spec.wrote("workdir") or spec.workspace else HOME
    prepared.request = Request(
        spec=spec.replace(workdir=workdir),
        facts=facts,
        identity=who,
        root_entries=entries,
        volumes=volumes,
        **sources.protected_paths(spec, volumes),
        secrets=_secrets(prepared, spec),
        cgroups=_cgroup_parents(limit_plan, prepared.parents, devices=_restricts_devices(spec, facts)),
        hostname=spec.hostname or spec.name or prepared.id[:12],
        resolv_conf=sources.resolv_conf(spec, finder),
        candidates=candidates(spec.command[0], variables.get("PATH", PATH), workdir),
        reporter=reporter,
        owner=owner,
        console=console if spec.tty else None,
        keep_record=not spec.rm or spec.copies_workspace,
        gated=prepared.gate is not None,
        degraded=spec.degraded,
        policies=policies,
        **sources.hook_calls(spec),
    )  # fmt: skip
    _compile(prepared, prepared.request, warm)
    write_file(state.fd, "state.json", prepared.record.to_json())
    open_slots(prepared, spec, facts, variables, [fd for _, fd in parents])


def _compile(prepared: Prepared, request: Request, warm: Warm | None) -> None:
    if warm:
        done = warm.compiled(request)
        prepared.plan, prepared.encoded = done.plan, done.encoded()
    else:
        prepared.plan = compile_plan(request)
        prepared.encoded = encode(prepared.plan)


def _secrets(prepared: Prepared, spec: ContainerSpec) -> tuple[str, ...]:
    """Where secrets appear: files, credentials, values from a descriptor."""
    targets = [s.target for s in (*spec.secrets, *spec.credentials)]
    if spec.secrets_fd is not None:
        from .inputs.handed_secrets import values

        for target, fd in values(spec):
            targets.append(target)
            prepared.values.append(fd)
            prepared.held.append(fd)
    return tuple(targets)


def _policies(spec: ContainerSpec, facts: HostFacts) -> Policies | None:
    if not spec.names_policies:
        return None
    from .inputs.policies import load

    return load(spec, facts)


def _notified(spec: ContainerSpec, at: VolumeSource) -> dict[str, str]:
    """Where the workload tells its state, and how often its manager wants to hear of it."""
    interval = os.environ.get("WATCHDOG_USEC") if spec.sd_notify else ""
    return {"NOTIFY_SOCKET": at.target, **({"WATCHDOG_USEC": interval} if interval else {})}


def _take_place(prepared: Prepared, spec: ContainerSpec) -> StateDirectory:
    """A directory and the name; what is started once more has both."""
    if prepared.state is not None:
        return prepared.state
    prepared.state = prepared.store.create(prepared.id)
    if spec.name:
        from .running.sweep import sweep_holder

        sweep_holder(prepared.store, spec.name)
        prepared.store.take_name(spec.name, prepared.id)
    return prepared.state


def _held(spec: ContainerSpec, facts: HostFacts) -> ContainerSpec:
    """The spec as its mode has it.

    No layer is left out in silence: a kernel without Landlock runs nothing unless the user gave it up by name.
    """
    if facts.kernel.landlock_abi < 0:  # nobody could ask: that is the launcher's work
        from ..launch.launcher import PROGRAM

        raise HostUnsupported(
            "the launcher cannot be executed, or does not answer",
            where=PROGRAM,
            remedy="reinstall nucleus, or in a checkout run `make build`",
        )
    if facts.kernel.landlock_abi < 1 and "landlock" not in spec.degraded:
        raise HostUnsupported(
            "this kernel offers no Landlock",
            where="landlock",
            remedy="boot with lsm=landlock,… (Linux 5.13 or newer), or give the layer up: "
            "--allow-degraded-security=landlock",
        )
    if spec.toolchain_rootfs:
        spec = spec.replace(rootfs=spec.toolchain_rootfs)
    if spec.mode == "agent" and not spec.require_lockdown:
        return spec
    from .inputs.mode import held

    return held(spec, facts)


def _identity(
    prepared: Prepared, spec: ContainerSpec, facts: HostFacts, volumes: tuple[VolumeSource, ...]
) -> Identity:
    uid, gid = identity.AGENT, identity.AGENT
    groups: tuple[int, ...] = ()
    if spec.user or spec.group or spec.additional_groups:
        from .inputs.accounts import resolve_accounts

        uid, gid, groups = resolve_accounts(spec)
    if not identity.privileged(facts):
        return identity.rootless_identity(spec, facts, uid, gid, groups)
    if spec.userns or spec.uidmap:
        raise SpecError(
            "root's ids are always mapped to a disjoint block of their own",
            where="--userns" if spec.userns else "--uidmap",
            remedy="leave the option out, or run as an ordinary user",
        )
    taken = facts.subordinate
    base, lock = ranges.take(taken.taken_uids + taken.taken_gids if taken else ())
    prepared.held.append(lock)
    # Where a file system takes no ID-mapped mounts the owner himself is mapped, unless he is root.
    direct = {(v.source.uid, v.source.gid) for v in volumes if not v.source.idmap and not v.read_only}
    if not direct:
        return identity.root_identity(uid, gid, groups, base)
    if len(direct) > 1 or 0 in (pair := next(iter(direct))):
        first = next(v for v in volumes if not v.source.idmap and not v.read_only)
        raise HostUnsupported(
            f"{first.source.path} lies on a file system without ID-mapped mounts, and its owner cannot be mapped",
            where=f"--{first.origin}",
            remedy="put it on ext4, xfs, btrfs or tmpfs, mount it read-only, or give it to one ordinary user",
        )
    return identity.root_identity(uid, gid, groups, base, pair)


def _limits(
    spec: ContainerSpec, facts: HostFacts, *, in_unit: bool
) -> tuple[LimitPlan, list[tuple[CgroupDirectory, int]]]:
    wanted = cgroup_limits.Limits(
        memory_bytes=spec.memory_bytes,
        memory_high_bytes=spec.memory_high_bytes,
        swap_bytes=spec.swap_bytes,
        cpu_quota_us=spec.cpu_quota_us,
        cpu_weight=spec.cpu_weight,
        pids=spec.pids or None,
        io=spec.io_limits,
        # A mode other than agent has no limit that may give way.
        defaulted=() if spec.wrote("pids") or spec.mode != "agent" else ("pids",),
    )
    degraded = "cgroup" in spec.degraded
    controllers = cgroup_limits.controllers_of(wanted)
    if in_unit and not facts.cgroup.v1 and not spec.cgroup_parent:
        # The unit's whole tree is the container's: nobody is in the way now, and `update` and `stats` may want them later.
        controllers = CONTROLLERS
    placement = tree.settle(
        facts, wanted=controllers, option=spec.cgroup_parent, devices=_restricts_devices(spec, facts)
    )
    if placement.kind == "scope":
        if cgroup_limits.demands_cgroup(wanted):
            _run_in_scope(placement)
        placement = placement.replace(directories=())
    plan = cgroup_limits.plan_limits(
        wanted,
        placement.versions,
        remedy=placement.remedy,
        degraded=degraded,
        swap_limit=placement.swap_limit,
    )
    if plan.problems:
        raise SpecError(problems=plan.problems)
    return plan, tree.open_parents(placement)


def _restricts_devices(spec: ContainerSpec, facts: HostFacts) -> bool:
    return facts.identity.may_restrict_devices and "devices" not in spec.degraded


def _run_in_scope(placement: Placement) -> None:
    """Ask the service manager for a delegated scope and start over inside it (only for the command line)."""
    import sys

    if not sys.orig_argv or not getattr(sys, "nucleus_command", False):
        raise HostUnsupported(
            "limits need a delegated cgroup",
            where="cgroup",
            remedy=placement.remedy or "run `nucleus doctor`",
        )
    command = tree.scope_command(placement, tuple(sys.orig_argv))
    os.execve(command[0], command, dict(os.environ))


def _record(
    prepared: Prepared,
    spec: ContainerSpec,
    facts: HostFacts,
    who: Identity,
    limit_plan: LimitPlan,
    parents: list[tuple[CgroupDirectory, int]],
) -> ContainerRecord:
    # Whoever acts on the container later may stand in another directory; descriptors are this process's own.
    changes = {key: os.path.abspath(path) for key in _FILES_OF_OTHERS if (path := getattr(spec, key))}
    names = tuple([(k, "") for k, _ in spec.env])
    written = spec.replace(env=names, env_fd=None, events_fd=None, secrets_fd=None, **changes).as_dict()
    return ContainerRecord(
        id=prepared.id,
        name=spec.name,
        labels=dict(spec.labels),
        command=spec.command,
        created_ns=(prepared.gate.created_ns if prepared.gate else 0) or time.time_ns(),
        creator_uid=os.geteuid(),
        boot_id=facts.boot_id,
        pid_namespace=facts.pid_namespace,
        remove=spec.rm and not spec.copies_workspace,  # whoever settles the copy removes it
        mode=spec.mode,
        network=spec.network,
        rootless=not who.privileged,
        uid=who.uid,
        gid=who.gid,
        uid_map=tuple([(m.inside, m.outside, m.count) for m in who.uid_map]),
        gid_map=tuple([(m.inside, m.outside, m.count) for m in who.gid_map]),
        capabilities=(),
        limits={
            "memory_bytes": spec.memory_bytes,
            "cpu_quota_us": spec.cpu_quota_us,
            "pids": spec.pids or None,
        },
        pids_by="none" if not spec.pids else "rlimit" if limit_plan.nproc else "cgroup",
        degraded=spec.degraded,
        devices_by=_devices_by(spec, facts, parents),
        cgroups=tuple([f"{d.path}/nucleus-{prepared.id}" for d, _ in parents]),
        spec_hash=digest(dumps(written).encode()),
        config_hash="",
        spec=written,
        gated=prepared.gate is not None,
        detached=prepared.gate.detached if prepared.gate else "",
    )


def _devices_by(spec: ContainerSpec, facts: HostFacts, parents: list[tuple[CgroupDirectory, int]]) -> str:
    """What refuses devices beside the mounts, which let nobody open one."""
    able = [d.version for d, _ in parents if d.restricts_devices and _restricts_devices(spec, facts)]
    return {1: "controller", 2: "bpf"}[able[0]] if able else "none"


def _cgroup_parents(
    limit_plan: LimitPlan, parents: tuple[CgroupDirectory, ...], *, devices: bool
) -> tuple[CgroupParent, ...]:
    return tuple([
        CgroupParent(
            version=d.version, controllers=d.controllers, slot=f"cgroup:{n}",
            writes=limit_plan.writes_for(d.controllers), devices=devices and d.restricts_devices,
        )
        for n, d in enumerate(parents)
    ])  # fmt: skip


def environment(spec: ContainerSpec) -> dict[str, str]:
    """The base, then the user's own; what came by descriptor is in no spec and no record."""
    given = dict(spec.env)
    if spec.env_fd is not None:
        from ..spec.environment import variables_of_descriptor

        try:
            with os.fdopen(spec.env_fd, "rb", closefd=False) as file:
                data = file.read()
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise SpecError(
                f"descriptor {spec.env_fd} cannot be read: {reason}",
                where="--env-fd",
                remedy="open it for reading before nucleus starts",
            ) from None
        given.update(variables_of_descriptor(data))
    return policy_environment.merge(given, home=HOME)
