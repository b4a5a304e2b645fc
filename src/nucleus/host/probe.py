"""Reads the machine → HostFacts: with the modules beside it, the only reader of /proc and /sys for decisions.

✗ decides nothing about a sandbox.  On the path of every launch: about a millisecond, and it starts no process
once the slow facts of this boot are known (`slow.py`).
"""

from __future__ import annotations

import os
from stat import S_ISCHR, S_ISDIR, S_ISLNK, S_ISREG

from . import facts as f
from .machine import Machine
from .mounts import Mount, mounts, proc_visible
from .probe_cgroup import probe_cgroups
from .slow import SlowFacts, slow_facts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_SYSCTL = "/proc/sys/"
_CALLS = ("openat2", "mount_api", "close_range", "pidfd", "seccomp")  # the launcher says 0 or ENOSYS


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
    if machine.is_this_one:
        import pwd  # users of a directory service are in no file

        try:
            entry = pwd.getpwuid(uid)
        except KeyError:
            return "", ""
        return entry.pw_name, entry.pw_dir
    return "", ""


def _status(machine: Machine) -> dict[str, str]:
    """The lines of /proc/self/status that matter."""
    found: dict[str, str] = {}
    for line in machine.read("/proc/self/status").split("\n"):
        key, _, value = line.partition(":\t")
        if key in ("CapEff", "Seccomp"):
            found[key] = value.strip()
    return found


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


def probe(*, root: str = "/", machine: Machine | None = None, fresh: bool = False) -> f.HostFacts:
    """The facts of this machine for this caller.

    root     prefix of everything that is read (tests).
    fresh    ask the launcher anew instead of believing what was kept since boot (`doctor`, after a refusal).
    `subordinate` is filled for everybody but root, who gets it by `ids.with_subordinate_ids`.
    """
    machine = machine or Machine(root)
    found = list(mounts(machine.read("/proc/self/mountinfo")))
    status = _status(machine)
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
    from .ids import with_subordinate_ids

    return with_subordinate_ids(known, machine)
