"""Keeps what a `nucleus run` was compiled to, for the next one with the same options (`again.py`).

Only where these options, the caller and what a look at the machine tells have decided all of the plan: those that name a
descriptor, a file that is read or somebody who stays beside the container are not KEEPABLE.  A plan is kept when its options
come for the second time.  Neither the command nor a value of a variable is, nor anything else that the container's records
do not say as well.
✗ fails: a start is not worse off for a plan that is not kept.
"""

from __future__ import annotations

import marshal
import os
import sys
import time

from ...base.errors import NucleusError
from ...base.jsontext import Form, dumps
from ...cgroup.tree import SYSTEMD_RUN
from ...host.probe import probe, with_subordinate_ids
from ...host.slow import launcher_path
from ...host.witness import Witness
from ...plan import schema
from ...plan.encode import encode_step
from ...plan.workload import PATH
from ...policy import environment
from ...state.plans import Plans
from .. import ranges
from ..inputs.sources import RESOLV_CONF
from ..prepare import HOME

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ...plan.request import Request, Source
    from ...plan.steps import Step
    from ...spec.container import ContainerSpec
    from ..prepared import Prepared
    from .again import Asked

KEEPABLE = frozenset((
    "root", "log_format", "name", "label", "hostname", "rm", "timeout", "stop_signal", "stop_timeout", "workdir", "user",
    "group", "additional_group", "env", "ulimit", "interactive", "toolchain", "workspace", "workspace_mode",
    "workspace_exec", "allow_workspace_config", "context", "context_mode", "volume", "tmpfs", "shm_size", "memory",
    "memory_high", "memory_swap", "cpus", "cpu_weight", "pids", "memlock", "network", "allow_host_network",
    "time_namespace", "disable_cgroup_namespace", "proc_rw", "seccomp_profile", "seccomp_allow",
))  # fmt: skip
_SLOTS = (
    "environment",
    "cgroup",
    "origins",
    "events",
    "state",
    "state-root",
    "names",
    "newuidmap",
    "newgidmap",
)
_NAMED = ("set-hostname", "write-file")  # the steps that hold the host name
_OWN = ("id", "command", "created_ns", "uid_map", "gid_map", "cgroups", "spec_hash", "spec")
_SETTLED_NS = 2_000_000_000  # code that was changed just now may not be the code that ran


def remember(asked: Asked, prepared: Prepared, spec: ContainerSpec, stays: dict[str, Any] | None) -> None:
    """Keep the plan of `prepared`, where that may be done; the second time that its options come.

    stays  what its spec.json says, where it has one
    """
    try:
        options = _options(asked, prepared, spec)
        if options < 0:
            return
        key = asked.key(options)
        plans = Plans(asked.root, make=True)
        try:
            if not plans.is_new(key):
                made = _made(prepared, spec, stays)
                if made is not None:
                    plans.keep(key, marshal.dumps({"key": key, **made}, 2))
        finally:
            plans.close()
    except (NucleusError, OSError, ValueError):
        return  # a full disk, a root that is read-only: the next one goes the long way, too


def _options(asked: Asked, prepared: Prepared, spec: ContainerSpec) -> int:
    """How many words of the command line are options, where a plan of them may be kept; -1 where not."""
    options = len(asked.argv) - len(spec.command)
    if options > 0 and asked.argv[options - 1] == "--":
        options -= 1
    names, variables = [name for name, _ in spec.env], asked.variables(options)
    fits = (
        asked.keys <= KEEPABLE
        and not spec.names_policies
        and not spec.copies_workspace
        and not (spec.context and spec.context_mode == "copy")
        and prepared.store.path == asked.root
        and asked.command(options) == spec.command
        and variables is not None
        and list(dict(variables).items()) == list(spec.env)
        and "PATH" not in names
        and all([environment.may_enter(name) for name in names])
    )
    return options if fits else -1


def _made(prepared: Prepared, spec: ContainerSpec, stays: dict[str, Any] | None) -> dict[str, Any] | None:
    """All that `again` needs; None where something was decided that it could not check."""
    request, plan, record = prepared.request, prepared.plan, prepared.record
    assert request is not None and plan is not None and record is not None
    if not all([name.partition(":")[0] in _SLOTS for name in plan.slots]):
        return None
    base = 0
    if not record.rootless:
        (inside, base, count), *more = {*record.uid_map, *record.gid_map}
        if more or (inside, count) != (0, ranges.BLOCK):
            return None
    seen = _looked(prepared, request, spec)
    if seen is None:
        return None
    subordinate = request.facts.subordinate
    taken = (*subordinate.taken_uids, *subordinate.taken_gids) if subordinate else ()
    helpers = {k: h.path for k in ("newuidmap", "newgidmap") if (h := getattr(subordinate, k, None))}
    variables = environment.merge({}, home=HOME)
    name = "" if spec.hostname or spec.name else request.hostname
    return {
        "looks": seen.looks,
        "answers": seen.digest(),
        "protected": _protected(request, spec),
        "base": base,
        "moves": _moves(request),
        "taken": [(r.start, r.count) for r in taken if ranges.concerns(r)],
        "cgroups": [(d.path, d.device) for d in prepared.parents],
        "name": spec.name,
        "labels": spec.labels,
        "record": Form({**record.as_dict()}, _OWN).kept(),
        "spec": Form(record.spec, ("command",)).kept(),
        "stays": None if stays is None else Form(stays, ("command",)).kept(),
        "maps": (dumps(record.uid_map), dumps(record.gid_map)),
        "slots": plan.slots,
        "variables": variables,
        "log": (spec.log_format, spec.log_path),
        "origins": [step.origin for step in plan.steps],
        "helpers": helpers,
        "path": variables.get("PATH", PATH),
        "directory": request.spec.workdir,
        "plan": (schema.VERSION, plan.kind, schema.SCHEMA_HASH),
        "steps": [_kept_step(step, name, base, request) for step in plan.steps],
    }


def _kept_step(step: Step, host_name: str, base: int, request: Request) -> tuple[Any, ...]:
    """A step as `again` makes it: its bytes, or what it is made of."""
    opcode, name = step.spec.opcode, step.spec.name
    if name == "exec":
        fields = {"candidates", "arguments"}
    elif name == "note-created":
        fields = {"members"}
    elif base and name in ("write-id-map", "make-userns"):
        return "mapped", opcode, step.values
    else:
        whole, wanted = encode_step(step), host_name.encode()
        if wanted and name in _NAMED and wanted in whole:
            return "named", whole.split(wanted)
        return "same", whole
    values = [None if f in fields else v for f, v in zip(step.spec.names, step.values, strict=True)]
    return name, opcode, step.spec.names, values


def _moves(request: Request) -> bool:
    """May the block of host ids be another?  Not where a source belongs to one of them: its number stands in maps, too."""
    owners = [n for v in request.volumes for n in (v.source.uid, v.source.gid)]
    return all([n < ranges.FIRST for n in owners])


def _looked(prepared: Prepared, request: Request, spec: ContainerSpec) -> Witness | None:
    """Every look that decided the plan, taken once more; None where one has another answer by now."""
    seen = Witness()
    facts = probe(machine=seen)
    if facts.subordinate is None:
        facts = with_subordinate_ids(facts, seen)
    # Whether a namespace could be made is known only to who has asked the launcher, and decides nothing here.
    facts = facts.replace(user_namespaces=request.facts.user_namespaces)
    if facts != request.facts or not seen.repeatable:
        return None
    if not _code(seen) or not _sources(seen, request, spec):
        return None
    seen.look("real", prepared.store.path)  # what no source may be, or hold
    if spec.volumes:
        if not os.environ.get("HOME"):
            return None
        seen.look("real", os.path.expanduser("~"))  # the only home that a volume may come from
    for path in SYSTEMD_RUN:
        seen.look("status", path)
    for parent in prepared.parents:
        if parent.version == 2:  # its children have the controllers that were handed on
            seen.look("read", f"{parent.path}/cgroup.subtree_control")
    return seen


def _sources(seen: Witness, request: Request, spec: ContainerSpec) -> bool:
    """Look at what the options name; says whether it is what the plan mounts."""
    written = [spec.workspace, *[v.source for v in spec.volumes], spec.context]
    named = list(zip([w for w in written if w], [v.source for v in request.volumes], strict=True))
    toolchains = [e.source for e in request.root_entries if e.origin == "toolchain"]
    named += [(w, s) for w, s in zip(spec.toolchains, toolchains, strict=True) if s is not None]
    if spec.network == "host":
        if request.resolv_conf is not None:
            named.append((RESOLV_CONF, request.resolv_conf))
        elif seen.look("real", RESOLV_CONF):
            return False
    return all([_is(seen, path, source) for path, source in named])


def _protected(request: Request, spec: ContainerSpec) -> tuple[str, tuple[object, object]] | None:
    """The workspace of which files were protected, and what was found there; None where nothing was looked for."""
    if not spec.workspace or spec.workspace_mode == "bind-ro" or spec.allow_workspace_config:
        return None
    return request.volumes[0].source.path, (request.protected, request.protected_links)


def _is(seen: Witness, path: str, source: Source) -> bool:
    if seen.look("real", path) != source.path:
        return False
    mode_and_file = seen.look("status", source.path)
    if mode_and_file is None:
        return False
    _, device, inode, uid, gid, _ = mode_and_file
    found = (os.major(device) << 32 | os.minor(device), inode, uid, gid)
    return found == (source.device, source.inode, source.uid, source.gid)


def _code(seen: Witness) -> bool:
    """Look at each module that had a part in the plan, and at the launcher; says whether they are what ran."""
    loaded = [m for n, m in sys.modules.items() if n == "nucleus" or n.startswith("nucleus.")]
    files = [path for m in loaded if (path := getattr(m, "__file__", None))]
    since = time.time_ns() - _SETTLED_NS
    found = [seen.look("built", path) for path in [*files, launcher_path()]]
    return all([len(times) > 1 and times[-1] < since for times in found])
