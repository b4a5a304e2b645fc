"""The private root: its directories, the generated /etc, /dev, proc and what is hidden of it, the switch.  ✗ volumes."""

from __future__ import annotations

from . import schema
from .mounts import HOME, NODEV, NOEXEC, NOSUID, RDONLY, HostMounts, tmpfs_options
from .request import Source

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .draft import Draft

_DIRECTORIES = ("/dev", "/etc", "/home", "/opt", "/run", "/sys", "/tmp", "/usr", "/var", "/workspace")
_NONE = schema.NOBODY
# What any user of some kernels may read, and what tells about the host; what is absent costs a failed open.  The rest of
# proc's own files belongs to the host's root, who is nobody inside, with mode 0400; and proc as a whole is read-only.
_HIDDEN_FILES = (
    "cmdline", "config.gz", "interrupts", "kallsyms", "kcore", "key-users", "keys", "latency_stats", "sched_debug",
    "sysrq-trigger", "timer_stats",
)  # fmt: skip
_HIDDEN_DIRECTORIES = ("acpi", "asound", "scsi")
_ROOT_BYTES, _ROOT_INODES = 16 << 20, 4096

# The few device nodes that every program expects.
NODES = ("full", "null", "random", "tty", "urandom", "zero")
# The kernel's own bound (4096, of which the host keeps 1024) is one for all sandboxes together.
_TERMINALS = 256
_LINKS = (
    ("/dev/fd", "/proc/self/fd"), ("/dev/stdin", "/proc/self/fd/0"), ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"), ("/dev/ptmx", "pts/ptmx"),
)  # fmt: skip


def make_root_steps(draft: Draft) -> None:
    """A small tmpfs with a proc of the new pid namespace; the switch to it."""
    draft.add("make-root", "rootfs", size_bytes=_ROOT_BYTES, inodes=_ROOT_INODES, mode=0o755)
    # hidepid=2: what a process may not trace is not listed, neither init nor what was entered from outside.
    options = b"hidepid=2\0" if draft.request.spec.mode == "production" else b""
    draft.add("mount-proc", "proc", target="/proc", attributes=NOSUID | NODEV | NOEXEC, options=options)
    if draft.request.host_hooks:
        from .hooks import create_steps

        create_steps(draft)
    draft.add("pivot-root", "rootfs")


def fill_root_steps(draft: Draft) -> None:
    """The directories, links and generated files of the root, which is sealed before the workload starts."""
    from_rootfs = {e.target for e in draft.request.root_entries}
    for path in _DIRECTORIES:
        if path not in from_rootfs:
            mode = 0o555 if path == "/sys" else 0o755
            draft.add("make-directory", "rootfs", path=path, mode=mode, uid=_NONE, gid=_NONE)
    for entry in draft.request.root_entries:
        if entry.link:
            draft.add("make-symlink", entry.origin, path=entry.target, value=entry.link)
    if "/var" not in from_rootfs:
        for path, value in (("/var/tmp", "/tmp"), ("/var/run", "/run")):
            draft.add("make-symlink", "rootfs", path=path, value=value)
    etc_steps(draft)


def etc_steps(draft: Draft, *, names_only: bool = False) -> None:
    """The generated files, or those of them that hold the host name; none where --rootfs brings an /etc."""
    if not any(e.target == "/etc" for e in draft.request.root_entries):
        for path, content in (_name_files(draft) if names_only else etc_files(draft)).items():
            draft.add("write-file", "rootfs", path=path, mode=0o644, content=content.encode())


def etc_files(draft: Draft) -> dict[str, str]:
    """The generated files of /etc: nothing of the host's accounts, names or resolvers."""
    request, identity = draft.request, draft.request.identity
    accounts = {0: ("root", "/root"), 65534: ("nobody", "/nonexistent")}
    groups = {0: "root", 5: "tty", 65534: "nogroup"}
    accounts.setdefault(identity.uid, ("agent", HOME))
    groups.setdefault(identity.gid, "agent")
    for gid in identity.groups:
        groups.setdefault(gid, f"group{gid}")
    passwd = [
        f"{name}:x:{uid}:{0 if uid == 0 else identity.gid if uid == identity.uid else uid}:{name}:{home}:/bin/sh"
        for uid, (name, home) in sorted(accounts.items())
    ]
    member = accounts[identity.uid][0]
    group = [
        f"{name}:x:{gid}:{member if gid in identity.groups else ''}" for gid, name in sorted(groups.items())
    ]
    files = {
        "/etc/passwd": "\n".join(passwd) + "\n",
        "/etc/group": "\n".join(group) + "\n",
        "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
        **_name_files(draft),
    }
    if request.resolv_conf is None:
        files["/etc/resolv.conf"] = ""
    return files


def _name_files(draft: Draft) -> dict[str, str]:
    name = draft.request.hostname
    return {"/etc/hosts": f"127.0.0.1 localhost {name}\n::1 localhost {name}\n", "/etc/hostname": f"{name}\n"}


def take_nodes(host: HostMounts) -> list[tuple[int, str, bool, str]]:
    """The host's nodes as mounts, since mknod is denied in a user namespace.

    A read-only mount of a device does not keep from writing to the device.
    """
    return [
        (
            host.take(Source(path=f"/dev/{n}"), RDONLY | NOSUID | NOEXEC, "devices"),
            f"/dev/{n}",
            True,
            "devices",
        )
        for n in NODES
    ]


def device_steps(draft: Draft) -> None:
    """Links, /dev/shm of the asked size, and a devpts instance of its own."""
    for path, value in _LINKS:
        draft.add("make-symlink", "devices", path=path, value=value)
    for path in ("/dev/shm", "/dev/pts"):
        draft.add("make-directory", "devices", path=path, mode=0o755, uid=0xFFFFFFFF, gid=0xFFFFFFFF)
    draft.add(
        "mount-filesystem", "shm_size", type="tmpfs", target="/dev/shm", attributes=NOSUID | NODEV | NOEXEC,
        options=tmpfs_options(draft.request.spec.shm_size_bytes, "1777"),
    )  # fmt: skip
    # gid 5 (tty) has to be mapped; with a single id the caller's own group owns the terminals.
    tty = b"gid=5\0" if draft.request.identity.maps_root else b""
    draft.add(
        "mount-filesystem", "devices", type="devpts", target="/dev/pts", attributes=NOSUID | NOEXEC,
        options=b"newinstance\0ptmxmode=0666\0mode=0620\0max=%d\0" % _TERMINALS + tty,
    )  # fmt: skip


def proc_steps(draft: Draft) -> None:
    """proc's sysctls are set, what tells of the host is hidden, then it is sealed."""
    if "userns-limit" not in draft.request.degraded:
        # Independent of seccomp: a nested user namespace answers ENOSPC.
        draft.add("write-sysctl", "userns", path="/proc/sys/user/max_user_namespaces", value="0")
    for name in _HIDDEN_FILES:
        draft.add("mask-file", "proc", path=f"/proc/{name}")
    for name in _HIDDEN_DIRECTORIES:
        draft.add("mask-directory", "proc", path=f"/proc/{name}")
    if not draft.request.spec.proc_rw:
        draft.add("seal-mount", "proc", path="/proc", attributes=RDONLY)


def handover_steps(draft: Draft) -> None:
    """Seal the root, wait for the release, and leave the rest to the workload's process."""
    draft.add("seal-root", "rootfs", attributes=RDONLY | NOSUID | NODEV)
    if draft.request.spec.network == "none":
        draft.add("join-network", "network")
    if draft.request.gated:
        draft.add("announce-built", "state")
    draft.add("await-release", "state")
    draft.add("become-init", "command")
