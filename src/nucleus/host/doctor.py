"""Facts → findings: what a sandbox has on this machine, what it lacks, the one command that mends it.  Pure.

✗ reads nothing, prints nothing (`cli/doctor.py`).
"""

from __future__ import annotations

from ..base.value import Value
from .facts import CAP_SYS_ADMIN, HostFacts, IdRange, Tool

OK, DEGRADED, MISSING = "ok", "degraded", "missing"
OLDEST_KERNEL = (5, 13)  # Landlock; mount_setattr and ID-mapped mounts are of 5.12
_EPERM, _EACCES, _ENOSPC = 1, 13, 28
_FIRST_SUBID, _SUBIDS = 100_000, 65_536
_NEEDED_ACTIONS = ("errno", "kill_process")


class Finding(Value):
    """One line of the report.

    status    "ok", "degraded" (works with less), "missing"
    required  no hardened sandbox runs while it is missing
    remedy    one command, or one act where there is no command
    """

    name: str
    status: str
    detail: str
    remedy: str = ""
    required: bool = False


class CgroupOutlook(Value):
    """What `cgroup.parent.choose_parent` says for this caller, as words."""

    kind: str
    controllers: tuple[str, ...] = ()
    reason: str = ""
    remedy: str = ""


def _as_root(facts: HostFacts, command: str) -> str:
    return command if facts.identity.uid == 0 else f"sudo {command}"


def _need(name: str, trouble: str, remedy: str, detail: str) -> Finding:
    """A required finding: missing with its trouble, or ok with its detail."""
    if trouble:
        return Finding(name=name, status=MISSING, detail=trouble, remedy=remedy, required=True)
    return Finding(name=name, status=OK, detail=detail, required=True)


def _kernel(facts: HostFacts) -> Finding:
    kernel = facts.kernel
    trouble = ""
    if kernel.version < OLDEST_KERNEL:
        trouble = f"Linux {kernel.release}; the oldest that works is %d.%d" % OLDEST_KERNEL
    elif kernel.missing_calls:
        trouble = f"Linux {kernel.release} refuses {', '.join(kernel.missing_calls)}"
    remedy = _as_root(facts, "apt install linux-image-amd64")
    if kernel.missing_calls and kernel.version >= OLDEST_KERNEL:
        remedy = "start the outer container with --security-opt seccomp=unconfined"
    return _need("kernel", trouble, remedy, f"Linux {kernel.release} on {kernel.arch}")


def _kernel_lockdown(facts: HostFacts) -> list[Finding]:
    """For people who see a tool fail where it is on; a sandbox needs nothing that it forbids."""
    mode = facts.kernel.lockdown
    if mode in ("", "none"):
        return []
    forbidden = "nobody, root included, changes the running kernel"
    if mode == "confidentiality":
        forbidden += " or reads its memory"
    return [Finding(name="kernel lockdown", status=OK, detail=f"{mode}: {forbidden}")]


def _launcher(facts: HostFacts) -> Finding:
    trouble = "the launcher could not be run" if facts.kernel.landlock_abi < 0 else ""
    return _need("launcher", trouble, "make build, or reinstall nucleus-container", "answers")


def _user_namespaces(facts: HostFacts) -> Finding:
    name, found, identity = "user namespaces", facts.user_namespaces, facts.identity
    privileged = identity.has(CAP_SYS_ADMIN) and not identity.in_user_namespace
    if found.limit == 0:
        remedy = _as_root(facts, "sysctl -w user.max_user_namespaces=15000")
        return _need(name, "user.max_user_namespaces is 0", remedy, "")
    if found.unprivileged_clone == 0 and not privileged:
        remedy = _as_root(facts, "sysctl -w kernel.unprivileged_userns_clone=1")
        return _need(name, "kernel.unprivileged_userns_clone is 0: only root may make them", remedy, "")
    if found.apparmor_restricted == 1 and not privileged and found.attempt_capable != 0:
        trouble = "AppArmor takes the capabilities inside from programs without a profile"
        load = "tee /etc/apparmor.d/nucleus-launch | sudo apparmor_parser --replace"
        return _need(name, trouble, f"nucleus doctor --apparmor-profile | sudo {load}", "")
    if found.attempt > 0:
        return _need(name, *_refused_namespace(found.attempt), "")
    inside = " (inside one already)" if identity.in_user_namespace else ""
    return _need(name, "", "", f"can be made{inside}")


def _refused_namespace(errno: int) -> tuple[str, str]:
    """(trouble, remedy) of a real attempt that failed though no sysctl forbids it."""
    if errno == _ENOSPC:
        return "the limit on nested or living user namespaces is reached", (
            "raise user.max_user_namespaces, or run in a sandbox that is less deeply nested"
        )
    remedy = "start the outer container with --security-opt seccomp=unconfined"
    why = {_EPERM: "a seccomp filter or a root directory of its own (chroot)", _EACCES: "a security module"}
    return f"making one is refused (errno {errno}): {why.get(errno, 'the kernel')} forbids it", remedy


def _proc(facts: HostFacts) -> Finding:
    trouble = (
        "" if facts.files.proc_visible else "mounts hide parts of /proc, so a new one may not be mounted"
    )
    remedy = "start the outer container with --security-opt systempaths=unconfined (podman: unmask=ALL)"
    return _need("proc", trouble, remedy, "wholly visible")


def _landlock(facts: HostFacts) -> Finding:
    abi = facts.kernel.landlock_abi
    if abi == 0:
        remedy = "boot with lsm=landlock,lockdown,yama,integrity,apparmor on the kernel command line"
        return _need("Landlock", "not offered by this kernel", remedy, "")
    if abi < 0:
        return _need("Landlock", "unknown: the launcher could not be run", "make build", "")
    detail = f"ABI {abi}"
    if abi < 4:
        return Finding(
            name="Landlock",
            status=DEGRADED,
            detail=f"{detail}: no rules for TCP ports (Linux 6.7)",
            remedy=_as_root(facts, "apt install -t bookworm-backports linux-image-amd64"),
            required=True,
        )
    return _need("Landlock", "", "", detail)


def _seccomp(facts: HostFacts) -> Finding:
    lacking = [a for a in _NEEDED_ACTIONS if a not in facts.kernel.seccomp_actions]
    trouble = f"the kernel offers no action {', '.join(lacking)}" if lacking else ""
    return _need("seccomp", trouble, "boot a kernel built with CONFIG_SECCOMP_FILTER", "all actions needed")


def _sealed_init(facts: HostFacts) -> Finding:
    trouble = (
        "vm.memfd_noexec is 2: init cannot run from sealed memory" if facts.kernel.memfd_noexec == 2 else ""
    )
    return _need(
        "sealed init", trouble, _as_root(facts, "sysctl -w vm.memfd_noexec=1"), "memory can be executed"
    )


def _devices(facts: HostFacts) -> Finding:
    nodes = {"null": 3, "zero": 5, "full": 7, "random": 8, "urandom": 9}
    there = {d.path for d in facts.files.devices if d.kind == "device"}
    lacking = [n for n in nodes if f"/dev/{n}" not in there]
    trouble = f"no {', '.join('/dev/' + n for n in lacking)}" if lacking else ""
    remedy = _as_root(facts, f"mknod -m 666 /dev/{lacking[0]} c 1 {nodes[lacking[0]]}") if lacking else ""
    return _need("devices", trouble, remedy, "null zero full random urandom")


def _host_root(facts: HostFacts) -> Finding:
    if facts.files.usr is None or facts.files.usr.kind != "directory":
        remedy = "give --rootfs DIR"
        return Finding(
            name="host root", status=DEGRADED, detail="no /usr to run programs from", remedy=remedy
        )
    return Finding(name="host root", status=OK, detail="/usr")


def _cgroups(facts: HostFacts, outlook: CgroupOutlook) -> Finding:
    layout = {"none": "none mounted", "v1": "v1", "v2": "v2", "hybrid": "v1 beside v2"}[facts.cgroup.layout]
    if outlook.kind == "none":
        detail = f"{layout}: {outlook.reason}; memory and cpu cannot be limited, pids by RLIMIT_NPROC"
        return Finding(name="cgroups", status=DEGRADED, detail=detail, remedy=outlook.remedy)
    if outlook.kind == "scope":
        return Finding(name="cgroups", status=OK, detail=f"{layout}: {outlook.reason}")
    lacking = [c for c in ("memory", "cpu", "pids") if c not in outlook.controllers]
    if lacking:
        detail = f"{layout}: no {', '.join(lacking)} here"
        return Finding(name="cgroups", status=DEGRADED, detail=detail, remedy=outlook.remedy)
    return Finding(name="cgroups", status=OK, detail=f"{layout}: {outlook.reason}")


def free_range(taken: tuple[IdRange, ...]) -> IdRange:
    """The first block of 65,536 ids, counted as useradd does, that overlaps nothing."""
    start = _FIRST_SUBID
    while any(IdRange(start=start, count=_SUBIDS).overlaps(other) for other in taken):
        start += _SUBIDS
    return IdRange(start=start, count=_SUBIDS)


def subordinate_command(facts: HostFacts) -> str:
    """By which root gives the caller ids that nobody else has."""
    found, caller = facts.subordinate, facts.identity
    block = free_range(found.taken_uids + found.taken_gids if found else ())
    span = f"{block.start}-{block.start + block.count - 1}"
    return f"usermod --add-subuids {span} --add-subgids {span} {caller.name or caller.uid}"


def _subordinate_ids(facts: HostFacts) -> list[Finding]:
    """Nothing for those who map ids without help."""
    found = facts.subordinate
    if found is None or facts.identity.may_write_maps:
        return []
    findings = []
    detail = f"{sum(r.count for r in found.uids)} uids, {sum(r.count for r in found.gids)} gids"
    if found.uids and found.gids:
        findings.append(Finding(name="subordinate ids", status=OK, detail=detail))
    else:
        remedy = f"sudo {subordinate_command(facts)}"
        detail = "none: a single id is mapped, supplementary groups stay"
        findings.append(Finding(name="subordinate ids", status=DEGRADED, detail=detail, remedy=remedy))
    helpers = ("newuidmap", found.newuidmap), ("newgidmap", found.newgidmap)
    lacking = [n for n, helper in helpers if helper is None]
    powerless = [helper.path for _n, helper in helpers if helper is not None and not helper.privileged]
    if lacking:
        detail, remedy = f"no {' and '.join(lacking)}", "sudo apt install uidmap"
        findings.append(Finding(name="id-map helpers", status=DEGRADED, detail=detail, remedy=remedy))
    elif powerless:
        detail, remedy = "not setuid and without capabilities", f"sudo chmod u+s {' '.join(powerless)}"
        findings.append(Finding(name="id-map helpers", status=DEGRADED, detail=detail, remedy=remedy))
    else:
        findings.append(Finding(name="id-map helpers", status=OK, detail="newuidmap, newgidmap"))
    return findings


def _tool(facts: HostFacts, tool: Tool) -> Finding:
    if tool.path:
        return Finding(name=tool.name, status=OK, detail=tool.path)
    remedy = _as_root(facts, f"apt install {tool.package}")
    return Finding(name=tool.name, status=MISSING, detail=f"for {tool.purpose}", remedy=remedy)


def findings(facts: HostFacts, tools: tuple[Tool, ...], cgroups: CgroupOutlook) -> tuple[Finding, ...]:
    """The whole report, what is required first."""
    return (
        _kernel(facts),
        *_kernel_lockdown(facts),
        _launcher(facts),
        _user_namespaces(facts),
        _proc(facts),
        _landlock(facts),
        _seccomp(facts),
        _sealed_init(facts),
        _devices(facts),
        _host_root(facts),
        _cgroups(facts, cgroups),
        *_subordinate_ids(facts),
        *[_tool(facts, tool) for tool in tools],
    )


def ready(report: tuple[Finding, ...]) -> bool:
    """Whether a hardened sandbox can run for this caller."""
    return not any(f.required and f.status == MISSING for f in report)


def apparmor_profile(launcher: str) -> str:
    """A profile that lets the launcher, and nothing else, have capabilities in its user namespaces."""
    return (
        "abi <abi/4.0>,\ninclude <tunables/global>\n\n"
        f'profile nucleus-launch "{launcher}" flags=(unconfined) {{\n  userns,\n}}\n'
    )
