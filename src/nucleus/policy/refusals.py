"""Why something was refused, and what would allow it: a record of calls, and the files they named, held against a spec.

What a filter refused is certain: it was asked.  What a mount or Landlock refuses is foretold, from where the spec lets a
workload write: no listener sees how a call ended.  ✗ reads no container, ✗ prints.
"""

from __future__ import annotations

from ..base.value import Value
from . import landlock, seccomp
from .seccomp_allow import NEVER, opt_in_names
from .seccomp_record import KILLED
from .seccomp_rules import holds
from .seccomp_trace import FILES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..spec.container import ContainerSpec
    from .landlock_policy import LandlockPolicy
    from .seccomp_record import Call, Record, Use

SECCOMP, MOUNT, NETWORK, CGROUP, LANDLOCK = "seccomp", "read-only mount", "network", "cgroup", "landlock"
LOOPBACK_ALONE = "none"


class Denial(Value):
    """One thing that was refused.

    layer    who refused it
    what     what the program asked for
    rule     why it is refused
    remedy   the flag that would allow it, or what to do where none does
    count    how often; 0 where that is not known
    program  who asked; "" where that is not known
    certain  False: foretold from what the program named
    """

    layer: str
    what: str
    rule: str
    remedy: str
    count: int = 0
    program: str = ""
    certain: bool = True


def of_calls(record: Record, spec: ContainerSpec) -> tuple[Denial, ...]:
    """What the filter refused, most often first."""
    programs = dict(record.programs)
    found: dict[tuple[str, str, str], Denial] = {}
    for call, count in record.calls:
        if call.answer == "allow":
            continue
        what = f"{_shown(call)}: {'the process was killed' if call.answer == KILLED else _errno(call.errno)}"
        rule, remedy = _rule(call, spec), _remedy(call, spec)
        known = found.get((what, rule, remedy))
        found[what, rule, remedy] = Denial(
            layer=SECCOMP, what=what, rule=rule, remedy=remedy, count=count + (known.count if known else 0),
            program=programs.get(call) or (known.program if known else ""),
        )  # fmt: skip
    return tuple(sorted(found.values(), key=lambda d: (-d.count, d.what)))


def of_files(record: Record, spec: ContainerSpec) -> tuple[Denial, ...]:
    """What cannot be written or reached where the spec puts it, in the order in which it was named."""
    found: dict[str, Denial] = {}
    for use in record.uses:
        if use.family:
            denial = _of_address(use, spec)
        else:
            denial = next((d for path in written(use) if (d := _of_path(path, spec)) is not None), None)
        if denial is not None:
            found.setdefault(denial.what, denial)
    return tuple(found.values())


def of_landlock(record: Record, policy: LandlockPolicy, file: str) -> tuple[Denial, ...]:
    """What a Landlock policy of one's own gives no right to, in the order in which it was named."""
    found: dict[str, Denial] = {}
    for use in record.uses:
        for path, right, verb in _wanted(use):
            given = 0
            for rule in policy.rules:
                if rule.path == "/" or path == rule.path or path.startswith(f"{rule.path}/"):
                    given |= rule.access
            if given & right != right:
                name = " and ".join(landlock.names_of(right & ~given))
                denial = Denial(
                    layer=LANDLOCK, what=f"{verb} {path}", rule=f"no rule of {file} gives {name} there",
                    remedy=f"a [[rules]] entry of that file, with {name}", certain=False,
                )  # fmt: skip
                found.setdefault(denial.what, denial)
    return tuple(found.values())


def _wanted(use: Use) -> list[tuple[str, int, str]]:
    """(path, rights that Landlock asks for, what is done): of opening and executing, which need no look at the file."""
    if use.name in ("execve", "execveat"):
        return [(use.path, landlock.EXECUTE, "execute")]
    if use.name not in ("open", "openat") or use.flags & _PATH_ONLY:
        return []
    wanted = []
    if use.flags & _ACCESS_MODE in (0, 2):
        wanted.append((use.path, landlock.READ_DIR if use.flags & _DIRECTORY else landlock.READ_FILE, "read"))
    if use.flags & _ACCESS_MODE in (1, 2):
        wanted.append((use.path, landlock.WRITE_FILE, "write to"))
    return wanted


_ACCESS_MODE, _PATH_ONLY, _DIRECTORY = 0o3, 0o10000000, 0o200000


def written(use: Use) -> tuple[str, ...]:
    """The paths that a call makes, changes or removes."""
    if use.name in ("open", "openat"):
        return (use.path,) if use.flags & _WRITING else ()
    if use.name in _READING:
        return ()
    return (
        (use.second,) if use.name in ("link", "linkat") else tuple([p for p in (use.path, use.second) if p])
    )


# O_WRONLY | O_RDWR | O_CREAT | O_TRUNC | O_TMPFILE's own bit
_WRITING = 0o1 | 0o2 | 0o100 | 0o1000 | 0o20000000
_READING = frozenset({
    "execve", "execveat", "stat", "lstat", "newfstatat", "statx", "access", "faccessat", "faccessat2", "readlink",
    "readlinkat", "chdir",
})  # fmt: skip
assert _READING <= FILES.keys()


def writable(path: str, spec: ContainerSpec) -> tuple[bool, str]:
    """(May the workload write there?, what would let it)"""
    places: list[tuple[str, bool, str]] = [
        ("/tmp", True, ""), ("/home/agent", True, ""), ("/dev", True, ""),
        ("/run/secrets", False, "no secret is written to"),
        ("/proc", spec.proc_rw, "--proc-rw, for files that belong to the workload's user"),
        ("/context", False, "the context is an input: write elsewhere"),
        ("/workspace", bool(spec.workspace) and spec.workspace_mode != "bind-ro",
         "--workspace DIR" if not spec.workspace else "--workspace-mode bind-rw"),
        *[(v.target, not v.read_only, f"--volume {v.source}:{v.target}") for v in (*spec.volumes, *spec.provider_config_rw)],
        *[(v.target, False, f"--provider-config-rw {v.source}") for v in spec.provider_config_ro],
        *[(t.target, not t.read_only, f"--tmpfs {t.target}") for t in spec.tmpfs],
    ]  # fmt: skip
    within = [p for p in places if path == p[0] or path.startswith(p[0] + "/")]
    if not within:
        return spec.rootfs_mode == "overlay" and bool(spec.rootfs), f"--tmpfs {_directory(path)}"
    _, allowed, remedy = max(within, key=lambda p: len(p[0]))
    return allowed, remedy


def _of_path(path: str, spec: ContainerSpec) -> Denial | None:
    allowed, remedy = writable(path, spec)
    if allowed:
        return None
    return Denial(
        layer=MOUNT, what=f"write to {path}", rule="it lies where nothing is writable, for the mount and for Landlock",
        remedy=remedy, certain=False,
    )  # fmt: skip


def _of_address(use: Use, spec: ContainerSpec) -> Denial | None:
    if spec.network != LOOPBACK_ALONE or use.local or use.name != "connect" or not use.port:
        return None
    return Denial(
        layer=NETWORK, what=f"connect to port {use.port} of another machine", rule="the sandbox has no network but its own",
        remedy="--network host --allow-host-network, which shares the host's network", certain=False,
    )  # fmt: skip


def _directory(path: str) -> str:
    return path.rpartition("/")[0] or path


def _shown(call: Call) -> str:
    values = ", ".join([f"arg{index}={value:#x}" for index, value in call.args])
    return f"{call.shown}({values})"


def _errno(number: int) -> str:
    return {1: "EPERM", 38: "ENOSYS", 93: "EPROTONOSUPPORT", 97: "EAFNOSUPPORT"}.get(
        number, f"errno {number}"
    )


def _rule(call: Call, spec: ContainerSpec) -> str:
    if spec.seccomp_profile not in seccomp.PROFILES:
        return f"the profile {spec.seccomp_profile}"
    profile = seccomp.profile(spec.seccomp_profile)
    values = dict(call.args)
    arguments = tuple([values.get(i, 0) for i in range(6)])
    named = f"builtin:{spec.seccomp_profile}"
    for rule in profile.rules:
        known = all([c.index in values for c in rule.when])
        if call.name in rule.calls and known and all([holds(c, arguments) for c in rule.when]) and rule.why:
            return f"{named}: {rule.why}"
    for rule in profile.rules:  # allowed under a condition that was not met
        if call.name in rule.calls and rule.when and rule.why:
            return f"{named}: {rule.why}"
    return f"{named}: it is not in the list" if call.name else f"{named}: it is unknown to this release"


def _remedy(call: Call, spec: ContainerSpec) -> str:
    if call.name in NEVER:
        return "none: with it a process leaves the sandbox; programs go on without"
    if call.name in opt_in_names() and spec.seccomp_profile in seccomp.PROFILES:
        allowed = any(call.name in r.calls and r.when for r in seccomp.profile(spec.seccomp_profile).rules)
        if not allowed:
            return f"--seccomp-allow {call.name}"
    if spec.seccomp_profile == "strict":
        default = seccomp.profile("default")
        if any(call.name in r.calls and r.action == _ALLOW for r in default.rules):
            return "--seccomp-profile builtin:default"
    return "none: it reaches beyond the sandbox"


_ALLOW = 0x7FFF0000
