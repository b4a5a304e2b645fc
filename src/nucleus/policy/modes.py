"""THE table of invariants by service mode: what each mode refuses, what ends its launch, what it changes.

The checks (`problems`, `settled`), the texts of the errors and docs/reference/modes.md come from it.  Pure: what has to
be looked up on the machine comes as an argument.  ✗ never imported by a launch of mode agent, which has nothing to add.
"""

from __future__ import annotations

from ..base.errors import HostUnsupported, Problem, SpecError
from ..base.value import Value
from ..spec.options import BY_KEY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ..spec.container import ContainerSpec

MODES = ("agent", "strict-agent", "production")
REFUSED, FATAL, WARNED, ALLOWED, CHANGED = "refused", "fatal", "warned", "allowed", "default-changed"
# All rights and scopes that the built-in policy asks for: Linux 6.12.
LANDLOCK_ABI = 6


class Invariant(Value):
    """One row.

    cells    one word for each mode: refused before anything is made; fatal to the launch; warned: goes on with less;
             allowed; default-changed
    option   the key of the option that the row is about: where its errors point to
    says     goes on after "mode NAME"; none where all modes refuse the same: that is said by spec/rules.py
    waits    "KEY" or "KEY=VALUE" of an option that a release may not have: the row binds as soon as it is there
    values   what holds by default in each mode, where a cell says default-changed
    step     the step of the launcher whose failure the row is about
    degrade  the layer of --allow-degraded-security that turns fatal into a warning in mode agent
    """

    key: str
    title: str
    cells: tuple[str, str, str]
    option: str = ""
    says: str = ""
    remedy: str = ""
    waits: str = ""
    values: tuple[str, ...] = ()
    step: str = ""
    degrade: str = ""

    def cell(self, mode: str) -> str:
        """The word of that mode."""
        return self.cells[MODES.index(mode)]

    @property
    def is_there(self) -> bool:
        """Whether this release has the option, and the value, that the row waits for."""
        key, _, value = self.waits.partition("=")
        option = BY_KEY.get(key)
        return not key or (option is not None and (not value or value in option.choices))

    def problem(self, mode: str) -> Problem:
        """The refusal."""
        where = "--" + (self.option or self.key).replace("_", "-")
        return Problem(message=f"mode {mode} {self.says}", where=where, remedy=self.remedy)


_ALL_REFUSED = (REFUSED, REFUSED, REFUSED)
_STRICT_REFUSED = (ALLOWED, REFUSED, REFUSED)
_PRODUCTION_REFUSED = (ALLOWED, ALLOWED, REFUSED)
_ALL_FATAL = (FATAL, FATAL, FATAL)
_AWAY = "leave it away, or use --service-mode agent"
_AWAY_IN_PRODUCTION = "leave it away, or use --service-mode strict-agent"

INVARIANTS: tuple[Invariant, ...] = (
    # Refused: judged on the options, before anything is looked up.
    Invariant(
        key="degraded-security", title="a layer that may be missing", cells=_STRICT_REFUSED,
        option="allow_degraded_security", says="has every layer or does not start", remedy=_AWAY,
    ),
    Invariant(
        key="chroot-fallback", title="a root that is changed by chroot", cells=_ALL_REFUSED,
        option="allow_chroot_fallback",
    ),
    Invariant(
        key="unagreed-host-network", title="the host's network without `--allow-host-network`",
        cells=_ALL_REFUSED, option="network",
    ),
    Invariant(
        key="host-network", title="the host's network", cells=_STRICT_REFUSED, option="network",
        says="never shares the host's network", remedy="use --network none, or --service-mode agent",
    ),
    Invariant(
        key="allow-host-network", title="`--allow-host-network` with another network", cells=_ALL_REFUSED,
        option="allow_host_network",
    ),
    Invariant(
        key="gvisor-host-egress", title="gVisor's host network with an egress list", cells=_ALL_REFUSED,
        option="network", waits="network=gvisor-host",
    ),
    Invariant(
        key="bridge-dns", title="a bridge without name servers of its own", cells=_STRICT_REFUSED, option="network",
        says="asks no name server that nobody chose", remedy="add --dns ADDRESS", waits="network=bridge",
    ),
    Invariant(
        key="untrusted-native", title="`--trust-level untrusted` on the host's kernel", cells=_ALL_REFUSED,
        option="trust_level",
    ),
    Invariant(
        key="untrusted-host-network", title="`--trust-level untrusted` on the host's network", cells=_ALL_REFUSED,
        option="network",
    ),
    Invariant(
        key="seccomp-trace", title="a profile that only records", cells=_STRICT_REFUSED, option="seccomp_mode",
        says="enforces its profile", remedy=_AWAY, waits="seccomp_mode",
    ),
    Invariant(
        key="seccomp-allow", title="`--seccomp-allow` of a call that is unknown, or never to be had",
        cells=_ALL_REFUSED, option="seccomp_allow",
    ),
    Invariant(
        key="proc-rw", title="a writable /proc", cells=_STRICT_REFUSED, option="proc_rw",
        says="does not allow a writable /proc", remedy=_AWAY,
    ),
    Invariant(
        key="cgroup-path", title="the host's cgroup path", cells=_STRICT_REFUSED, option="disable_cgroup_namespace",
        says="does not show the host's cgroup path", remedy=_AWAY,
    ),
    Invariant(
        key="workspace-config", title="changes to files that configure the host's tools", cells=_STRICT_REFUSED,
        option="allow_workspace_config",
        says="does not allow changes to files that configure the host's tools", remedy=_AWAY,
    ),
    Invariant(
        key="some-limit", title="no limit on anything", cells=_STRICT_REFUSED, option="pids",
        says="needs at least one limit", remedy="leave --pids 0 away, or add --memory SIZE",
    ),
    Invariant(
        key="memory", title="no limit on memory", cells=_PRODUCTION_REFUSED, option="memory",
        says="needs a limit on memory", remedy="add --memory SIZE, such as --memory 512M",
    ),
    Invariant(
        key="cpus", title="no limit on processor time", cells=_PRODUCTION_REFUSED, option="cpus",
        says="needs a limit on processor time", remedy="add --cpus N, such as --cpus 1.5",
    ),
    Invariant(
        key="rootfs", title="the host's own /usr as root", cells=_PRODUCTION_REFUSED, option="rootfs",
        says="runs nothing of the host's own /usr", remedy="add --rootfs DIR",
    ),
    Invariant(
        key="agent-toolchain", title="`--agent-toolchain-rootfs`", cells=_PRODUCTION_REFUSED,
        option="agent_toolchain_rootfs", says="takes no toolchain for a root", remedy="use --rootfs DIR",
    ),
    Invariant(
        key="toolchain", title="`--toolchain`: programs beside the root", cells=_PRODUCTION_REFUSED,
        option="toolchain", says="runs nothing that lies beside its root", remedy="put it into --rootfs DIR",
    ),
    Invariant(
        key="overlay", title="a writable root", cells=_PRODUCTION_REFUSED, option="rootfs_mode",
        says="does not allow a writable root file system", remedy=_AWAY_IN_PRODUCTION,
    ),
    Invariant(
        key="attestation", title="a root that nobody verifies", cells=_PRODUCTION_REFUSED,
        option="verify_rootfs_attestation", says="runs only a verified root",
        remedy="make a manifest with `nucleus rootfs attest DIR` and add --verify-rootfs-attestation",
        waits="verify_rootfs_attestation",
    ),
    Invariant(
        key="seccomp-sha256", title="a seccomp profile from a file without its hash", cells=_PRODUCTION_REFUSED,
        option="seccomp_profile", says="takes a policy file only with its hash",
        remedy="add --seccomp-profile-sha256 HEX", waits="seccomp_profile_sha256",
    ),
    Invariant(
        key="caps-sha256", title="a capability policy without its hash", cells=_PRODUCTION_REFUSED,
        option="caps_policy", says="takes a policy file only with its hash",
        remedy="add --caps-policy-sha256 HEX", waits="caps_policy",
    ),
    Invariant(
        key="landlock-sha256", title="a Landlock policy without its hash", cells=_PRODUCTION_REFUSED,
        option="landlock_policy", says="takes a policy file only with its hash",
        remedy="add --landlock-policy-sha256 HEX", waits="landlock_policy",
    ),
    Invariant(
        key="writable-programs", title="a workspace that is writable and executable", cells=_PRODUCTION_REFUSED,
        option="workspace_exec", says="executes nothing that can be written",
        remedy="leave it away, or use --workspace-mode bind-ro",
    ),
    Invariant(
        key="gpu", title="a GPU", cells=_PRODUCTION_REFUSED, option="gpu", says="gives no GPU away",
        remedy=_AWAY_IN_PRODUCTION, waits="gpu",
    ),
    # Fatal: judged once the machine and the files are known, before anything of the container exists.
    Invariant(
        key="rootfs-owner", title="a root that others than root can write to", cells=(ALLOWED, ALLOWED, FATAL),
        option="rootfs", says="trusts a root file system only where nobody but root can change it",
        remedy="put it below /nix/store, or into directories that belong to root and that nobody else can write",
    ),
    Invariant(
        key="limits-written", title="a limit that was asked for and cannot be enforced", cells=_ALL_FATAL,
        option="memory", degrade="cgroup",
        says="cannot enforce a limit", remedy="ask for a delegated cgroup: `nucleus doctor` says how",
    ),
    Invariant(
        key="limits-default", title="the default limit of processes without a pids controller",
        cells=(WARNED, FATAL, FATAL), option="pids",
        says="cannot enforce a limit", remedy="ask for a delegated cgroup: `nucleus doctor` says how",
    ),
    Invariant(
        key="landlock-missing", title="a kernel without Landlock", cells=_ALL_FATAL, degrade="landlock",
        says="needs Landlock", remedy="boot with lsm=landlock,…",
    ),
    Invariant(
        key="landlock-partial", title=f"a Landlock older than ABI {LANDLOCK_ABI}, which holds less than the policy asks",
        cells=(WARNED, FATAL, FATAL), option="service_mode",
        says=f"needs Landlock ABI {LANDLOCK_ABI}, so that the whole policy holds",
        remedy="boot Linux 6.12 or newer, or use --service-mode agent",
    ),
    Invariant(
        key="dangerous-capabilities", title="a capability policy that keeps what undoes the sandbox",
        cells=(ALLOWED, ALLOWED, FATAL), option="caps_policy", says="keeps no capability that undoes the sandbox",
        remedy="remove it from the policy", waits="caps_policy",
    ),
    Invariant(
        key="landlock-write-execute", title="a Landlock rule that lets write and execute",
        cells=(ALLOWED, ALLOWED, FATAL), option="landlock_policy", says="executes nothing that can be written",
        remedy="split the rule", waits="landlock_policy",
    ),
    # Fatal: a step of the launcher fails, before the workload's program is executed.
    Invariant(
        key="seccomp-step", title="the seccomp filter is not installed", cells=_ALL_FATAL, step="set-seccomp",
        degrade="seccomp",
    ),
    Invariant(
        key="landlock-step", title="the Landlock policy is not applied", cells=_ALL_FATAL, step="landlock-restrict",
        degrade="landlock",
    ),
    Invariant(
        key="residual-capabilities", title="a capability, or a missing filter, is found before the program is executed",
        cells=_ALL_FATAL, step="assert-locked",
    ),
    Invariant(
        key="devices-step", title="the cgroup of a container of root takes no list of devices", cells=_ALL_FATAL,
        step="restrict-devices", degrade="devices",
    ),
    Invariant(key="rlimit-step", title="a resource limit is not set", cells=_ALL_FATAL, step="set-rlimit"),
    Invariant(key="proc-step", title="/proc is not mounted", cells=_ALL_FATAL, step="mount-proc"),
    Invariant(key="mask-step", title="a file of /proc is not hidden", cells=_ALL_FATAL, step="mask-file"),
    Invariant(
        key="mount-flags", title="a mount does not take its flags (ro, nosuid, nodev, noexec)", cells=_ALL_FATAL,
        step="mount-filesystem",
    ),
    Invariant(key="root-sealed", title="the root is not sealed", cells=_ALL_FATAL, step="seal-root"),
    # Defaults that a mode changes.
    Invariant(
        key="default-profile", title="the seccomp profile", cells=(ALLOWED, CHANGED, CHANGED),
        option="seccomp_profile", values=("builtin:default", "builtin:strict", "builtin:strict"),
    ),
    Invariant(
        key="default-workspace-exec", title="programs in the workspace", cells=(ALLOWED, CHANGED, CHANGED),
        option="workspace_exec", values=("exec", "noexec", "noexec"),
    ),
    Invariant(
        key="default-writable-exec", title="programs in /tmp, home, writable volumes and tmpfs",
        cells=(ALLOWED, CHANGED, CHANGED),
        values=("exec", "noexec, unless `--workspace-exec`", "noexec"),
    ),
    Invariant(
        key="default-hidepid", title="processes of others in /proc", cells=(ALLOWED, ALLOWED, CHANGED),
        values=("listed", "listed", "hidden (`hidepid=2`)"),
    ),
)  # fmt: skip

BY_NAME: dict[str, Invariant] = {row.key: row for row in INVARIANTS}


def _value(spec: ContainerSpec, key: str) -> object:
    """What that option was set to; None where this release does not have it."""
    option = BY_KEY.get(key)
    return getattr(spec, option.field, None) if option is not None else None


def _unhashed(key: str) -> Callable[[ContainerSpec], bool]:
    return lambda spec: bool(_value(spec, key)) and not _value(spec, f"{key}_sha256")


def _foreign_profile(spec: ContainerSpec) -> bool:
    """A profile that is no built-in one: it was read from a file."""
    built_in = ("default", "strict", "builtin:default", "builtin:strict")
    return spec.seccomp_profile not in built_in and not _value(spec, "seccomp_profile_sha256")


# Row → does the spec break it?  A row that is refused in all modes is judged by spec/rules.py, which mode agent has too.
_BREAKS: dict[str, Callable[[ContainerSpec], bool]] = {
    "degraded-security": lambda spec: bool(spec.degraded),
    "host-network": lambda spec: spec.network == "host",
    "bridge-dns": lambda spec: spec.network == "bridge" and not (
        _value(spec, "dns") or _value(spec, "credential_broker")
    ),
    "seccomp-trace": lambda spec: _value(spec, "seccomp_mode") == "trace",
    "proc-rw": lambda spec: spec.proc_rw,
    "cgroup-path": lambda spec: spec.disable_cgroup_namespace,
    "workspace-config": lambda spec: spec.allow_workspace_config,
    "some-limit": lambda spec: not (spec.pids or spec.memory_bytes or spec.cpu_quota_us or spec.cpu_weight),
    "memory": lambda spec: spec.memory_bytes is None,
    "cpus": lambda spec: spec.cpu_quota_us is None,
    "rootfs": lambda spec: not (spec.rootfs or spec.toolchain_rootfs),
    "agent-toolchain": lambda spec: bool(spec.toolchain_rootfs),
    "toolchain": lambda spec: bool(spec.toolchains),
    "overlay": lambda spec: spec.rootfs_mode == "overlay",
    "attestation": lambda spec: bool(spec.rootfs) and not _value(spec, "verify_rootfs_attestation"),
    "seccomp-sha256": _foreign_profile,
    "caps-sha256": _unhashed("caps_policy"),
    "landlock-sha256": _unhashed("landlock_policy"),
    "writable-programs": lambda spec: bool(
        spec.workspace and spec.workspace_exec and spec.workspace_mode != "bind-ro"
    ),
    "gpu": lambda spec: bool(_value(spec, "gpu") or _value(spec, "gpu_device")),
}  # fmt: skip


def settled(spec: ContainerSpec) -> ContainerSpec:
    """The spec with the mode's defaults where nobody wrote something else."""
    if spec.mode not in MODES:
        raise SpecError(
            f"'{spec.mode}' is not a mode", where="--service-mode", remedy=f"use one of {', '.join(MODES)}"
        )
    changes: dict[str, object] = {}
    if BY_NAME["default-profile"].cell(spec.mode) == CHANGED and not spec.wrote("seccomp_profile"):
        changes["seccomp_profile"] = (
            BY_NAME["default-profile"].values[MODES.index(spec.mode)].partition(":")[2]
        )
    if BY_NAME["default-workspace-exec"].cell(spec.mode) == CHANGED and not spec.wrote("workspace_exec"):
        changes["workspace_exec"] = False
    return spec.replace(**changes) if changes else spec


def problems(spec: ContainerSpec) -> tuple[Problem, ...]:
    """Every refusal of the spec's mode, in the order of the table.  `spec` has the mode's defaults already."""
    broken = [
        row
        for row in INVARIANTS
        if row.cell(spec.mode) == REFUSED and row.is_there and row.key in _BREAKS and _BREAKS[row.key](spec)
    ]
    return tuple([row.problem(spec.mode) for row in broken])


def fatal(key: str, mode: str, detail: str = "") -> HostUnsupported | None:
    """The error where that row is fatal in that mode; None where it is not."""
    row = BY_NAME[key]
    if row.cell(mode) != FATAL:
        return None
    problem = row.problem(mode)
    message = f"{problem.message}: {detail}" if detail else problem.message
    return HostUnsupported(message, where=problem.where, remedy=problem.remedy)
