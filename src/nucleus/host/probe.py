"""Reads the machine → HostFacts: with the modules beside it, the only reader of /proc and /sys for decisions.

✗ decides nothing about a sandbox.  On the path of every launch: about a millisecond, and it starts no process
once the slow facts of this boot are known (`slow.py`).
"""

from __future__ import annotations

import os
from stat import S_ISCHR, S_ISDIR, S_ISLNK, S_ISREG

from . import facts as f
from .machine import Machine
from .probe_cgroup import probe_cgroups
from .slow import SlowFacts, slow_facts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_SYSCTL = "/proc/sys/"
_CALLS = ("openat2", "mount_api", "close_range", "pidfd", "seccomp")  # the launcher says 0 or ENOSYS
# Never PATH: a helper that maps ids runs on behalf of whoever calls.
TRUSTED_FOLDERS = ("/usr/bin", "/bin", "/usr/local/bin", "/usr/sbin", "/run/wrappers/bin")
_SETUID = 0o4000
_OTHERS_WRITE = 0o022


def kernel_version(release: str) -> tuple[int, int]:
    """(6, 1) of "6.1.0-18-amd64"; (0, 0) when it does not begin with two numbers."""
    parts = release.replace("-", ".").split(".")
    if len(parts) < 2 or not (parts[0].isdecimal() and parts[1].isdecimal()):
        return 0, 0
    return int(parts[0]), int(parts[1])


def _kernel(machine: Machine, slow: SlowFacts) -> f.Kernel:
    release, arch = machine.uname
    lockdown = machine.word("/sys/kernel/security/lockdown")
    return f.Kernel(
        release=release,
        version=kernel_version(release),
        arch=arch,
        landlock_abi=slow.value("landlock_abi"),
        missing_calls=tuple([name for name in _CALLS if slow.value(name) > 0]),
        seccomp_actions=tuple(machine.read(_SYSCTL + "kernel/seccomp/actions_avail").split()),
        legacy_tiocsti=machine.number(_SYSCTL + "dev/tty/legacy_tiocsti"),
        yama_ptrace_scope=machine.number(_SYSCTL + "kernel/yama/ptrace_scope"),
        memfd_noexec=machine.number(_SYSCTL + "vm/memfd_noexec"),
        lockdown=lockdown.partition("[")[2].partition("]")[0],
    )


def id_map(text: str) -> tuple[f.IdMapLine, ...]:
    """/proc/self/uid_map or gid_map."""
    lines = [line.split() for line in text.split("\n")]
    return tuple(
        [f.IdMapLine(inside=int(w[0]), outside=int(w[1]), count=int(w[2])) for w in lines if len(w) == 3]
    )


def account(machine: Machine, uid: int) -> tuple[str, str]:
    """(name, home) of a user; ("", "") if nobody knows it."""
    wanted = f":{uid}:"
    for line in machine.read("/etc/passwd").split("\n"):
        if wanted in line:
            words = line.split(":")
            if len(words) >= 6 and words[2] == str(uid):
                return words[0], words[5]
    return machine.account(uid)  # users of a directory service are in no file


def _identity(machine: Machine, status: dict[str, str]) -> f.Identity:
    name, home = account(machine, machine.euid)
    return f.Identity(
        uid=machine.euid,
        gid=machine.egid,
        groups=machine.groups,
        name=name,
        home=home,
        capabilities=int(status.get("CapEff", "0"), 16),
        uid_map=id_map(machine.read("/proc/self/uid_map")),
        gid_map=id_map(machine.read("/proc/self/gid_map")),
        setgroups_allowed=machine.word("/proc/self/setgroups") != "deny",
    )


def _user_namespaces(machine: Machine, slow: SlowFacts) -> f.UserNamespaces:
    return f.UserNamespaces(
        limit=machine.number(_SYSCTL + "user/max_user_namespaces"),
        unprivileged_clone=machine.number(_SYSCTL + "kernel/unprivileged_userns_clone"),
        apparmor_restricted=machine.number(_SYSCTL + "kernel/apparmor_restrict_unprivileged_userns"),
        attempt=slow.value("userns"),
        attempt_capable=slow.value("userns_capable"),
    )


def _systemd(machine: Machine) -> f.Systemd:
    runtime = machine.environ.get("XDG_RUNTIME_DIR", "") or f"/run/user/{machine.euid}"
    status = machine.status(runtime) if runtime.startswith("/") else None
    if status is None or status.st_uid != machine.euid:  # sudo hands on the directory of the user before
        runtime = ""
    return f.Systemd(
        system=machine.exists("/run/systemd/system"),
        user=bool(runtime) and machine.exists(runtime + "/systemd/private"),
        runtime_directory=runtime,
    )


def host_path(machine: Machine, path: str) -> f.HostPath | None:
    """The path as a fact; None if it does not exist or is of no kind that a sandbox takes (socket, pipe)."""
    status = machine.status(path)
    if status is None:
        return None
    mode = status.st_mode
    kinds = (S_ISDIR, "directory"), (S_ISREG, "file"), (S_ISLNK, "link"), (S_ISCHR, "device")
    kind = next((name for test, name in kinds if test(mode)), "")
    if not kind:
        return None
    return f.HostPath(
        path=path,
        kind=kind,
        device=os.major(status.st_dev) << 32 | os.minor(status.st_dev),
        inode=status.st_ino,
        target=machine.target(path) if kind == "link" else "",
        number=(os.major(status.st_rdev), os.minor(status.st_rdev)) if kind == "device" else (0, 0),
    )


def _paths(machine: Machine, folder: str, names: Iterable[str]) -> tuple[f.HostPath, ...]:
    return tuple([p for name in names if (p := host_path(machine, folder + name)) is not None])


def _files(machine: Machine, found: list[Mount]) -> f.HostFiles:
    etc = [n for n in machine.names("/etc") if n in f.ETC_NAMES or n.startswith(f.ETC_PREFIXES)]
    return f.HostFiles(
        usr=host_path(machine, "/usr"),
        top=_paths(machine, "/", f.TOP_LINKS),
        etc=_paths(machine, "/etc/", etc),
        devices=_paths(machine, "/dev/", f.DEVICES),
        root_type=next((m.type for m in reversed(found) if m.point == "/"), ""),
        proc_visible=proc_visible(found),
    )


class Mount:
    """One line: `root` is the mounted directory inside its file system, `point` where it is."""

    __slots__ = ("minor", "options", "point", "root", "type")

    def __init__(self, root: str, point: str, kind: str, options: str, minor: int) -> None:
        self.root, self.point, self.type, self.options, self.minor = root, point, kind, options, minor


def _unescaped(text: str) -> str:
    """Blank, tab, newline and backslash are written as octal escapes."""
    if "\\" not in text:
        return text
    for code, sign in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, sign)
    return text


def mounts(mountinfo: str) -> Iterator[Mount]:
    """The root, all below /proc, and every cgroup and proc mount, in mount order.

    Hosts with containers and snaps have hundreds of lines: the others are left out before they are split.
    """
    for line in mountinfo.split("\n"):
        if not (" - cgroup" in line or " /proc" in line or " - proc " in line or " / / " in line):
            continue
        left, _, right = line.partition(" - ")
        fields, tail = left.split(" "), right.split(" ")
        if len(fields) < 6 or len(tail) < 3:
            continue
        minor = int(fields[2].partition(":")[2])
        yield Mount(_unescaped(fields[3]), _unescaped(fields[4]), tail[0], tail[2], minor)


# The kernel keeps these two mount points empty for ever, so a mount there hides nothing (fs/namespace.c,
# mnt_already_visible).
_HARMLESS = frozenset(("binfmt_misc", "nfsd"))


def proc_visible(found: list[Mount]) -> bool:
    """Whether some proc is wholly visible: only then may a user namespace mount a fresh one."""
    for at, mount in enumerate(found):
        if mount.type != "proc" or mount.root != "/":
            continue
        below = mount.point.rstrip("/") + "/"
        hidden = [m for m in found[at + 1 :] if m.point == mount.point or m.point.startswith(below)]
        if all(m.type in _HARMLESS for m in hidden):
            return True
    return False


def _rlimits(machine: Machine) -> f.Rlimits:
    """/proc/self/limits: the module `resource` is a shared object, this is one read."""
    limits: dict[str, f.Rlimit] = {}
    for line in machine.read("/proc/self/limits").split("\n"):
        words = line[25:].split()  # the name is a column of 25 characters with blanks in it
        if len(words) >= 2:
            soft, hard = [int(w) if w.isdecimal() else f.UNLIMITED for w in words[:2]]
            limits[line[:25].strip()] = f.Rlimit(soft=soft, hard=hard)
    unknown = f.Rlimit()
    return f.Rlimits(
        nofile=limits.get("Max open files", unknown),
        memlock=limits.get("Max locked memory", unknown),
        nproc=limits.get("Max processes", unknown),
    )


def _ranges(text: str, owners: tuple[str, ...]) -> tuple[tuple[f.IdRange, ...], list[f.IdRange]]:
    """(the owners' ranges, everybody's) of a file like subuid(5); other lines are passed over."""
    own: list[f.IdRange] = []
    everybody: list[f.IdRange] = []
    for line in text.split("\n"):
        words = line.strip().split(":")
        if len(words) != 3 or not (words[1].isdecimal() and words[2].isdecimal()) or words[0].startswith("#"):
            continue
        found = f.IdRange(start=int(words[1]), count=int(words[2]))
        if found.count:
            everybody.append(found)
            if words[0] in owners:
                own.append(found)
    return tuple(own), everybody


def _account_ids(text: str) -> list[f.IdRange]:
    """The ids in the third column of passwd or group."""
    ids: list[f.IdRange] = []
    for line in text.split("\n"):
        words = line.split(":", 3)
        if len(words) == 4 and words[2].isdecimal():
            ids.append(f.IdRange(start=int(words[2]), count=1))
    return ids


def _helper(machine: Machine, name: str) -> f.MapHelper | None:
    """The first in the trusted folders that is root's alone to change."""
    for folder in TRUSTED_FOLDERS:
        path = f"{folder}/{name}"
        status = machine.status(path)
        if status is None or status.st_mode & _OTHERS_WRITE or not status.st_mode & 0o111:
            continue
        setuid = bool(status.st_mode & _SETUID) and status.st_uid == 0
        return f.MapHelper(
            path=path, privileged=setuid or bool(machine.attribute(path, "security.capability"))
        )
    return None


def probe_subids(name: str, uid: int, *, machine: Machine | None = None) -> f.SubordinateIds:
    """The subordinate ids of a user, by name or number, and everything that is taken."""
    machine = machine or Machine()
    owners = tuple([o for o in (name, str(uid)) if o])
    uids, all_uids = _ranges(machine.read("/etc/subuid"), owners)
    gids, all_gids = _ranges(machine.read("/etc/subgid"), owners)
    return f.SubordinateIds(
        uids=uids,
        gids=gids,
        taken_uids=tuple(all_uids + _account_ids(machine.read("/etc/passwd"))),
        taken_gids=tuple(all_gids + _account_ids(machine.read("/etc/group"))),
        newuidmap=_helper(machine, "newuidmap"),
        newgidmap=_helper(machine, "newgidmap"),
    )


def with_subordinate_ids(facts: f.HostFacts, machine: Machine | None = None) -> f.HostFacts:
    """The same facts with `subordinate` filled."""
    found = probe_subids(facts.identity.name, facts.identity.uid, machine=machine)
    return facts.replace(subordinate=found)


def probe(*, root: str = "/", machine: Machine | None = None, fresh: bool = False) -> f.HostFacts:
    """The facts of this machine for this caller.

    root     prefix of everything that is read (tests).
    fresh    ask the launcher anew instead of believing what was kept since boot (`doctor`, after a refusal).
    `subordinate` is filled for everybody but root, who gets it by `with_subordinate_ids`.
    """
    machine = machine or Machine(root)
    found = list(mounts(machine.read("/proc/self/mountinfo")))
    status = machine.values("/proc/self/status", ("CapEff", "Seccomp"))
    boot_id = machine.word(_SYSCTL + "kernel/random/boot_id")
    namespace = machine.target("/proc/self/ns/pid").partition("[")[2].rstrip("]")
    systemd = _systemd(machine)
    key = f"{boot_id}/{namespace}/{machine.uname[0]}/{status.get('Seccomp', '')}"
    slow = slow_facts(machine, key=key, runtime_directory=systemd.runtime_directory, fresh=fresh)
    version = kernel_version(machine.uname[0])
    known = f.HostFacts(
        kernel=_kernel(machine, slow),
        identity=_identity(machine, status),
        user_namespaces=_user_namespaces(machine, slow),
        cgroup=probe_cgroups(machine, found, version=version, systemd=systemd),
        systemd=systemd,
        files=_files(machine, found),
        rlimits=_rlimits(machine),
        boot_id=boot_id,
        pid_namespace=int(namespace or 0),
        seccomp_mode=int(status.get("Seccomp") or 0),
    )
    if known.identity.is_host_root:
        return known
    return with_subordinate_ids(known, machine)
