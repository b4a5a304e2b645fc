"""HostFacts: what a launch plan may depend on, as frozen values.  ✗ any I/O, ✗ any decision about a sandbox.

Numbers that the kernel does not offer at all are -1 (an absent sysctl), so that "absent" and "0" stay apart.
"""

from __future__ import annotations

from ..base.value import Value

ALL_IDS = (1 << 32) - 1  # the length of the initial user namespace's only map line
UNLIMITED = -1
SELF_LEAF = "nucleus.self"  # the leaf of a delegated cgroup into which the caller steps aside
CAP_KILL, CAP_SETGID, CAP_SETUID, CAP_SYS_ADMIN = 5, 6, 7, 21

# Host root means exactly these: /usr, the links to it, and of /etc what programs need and nobody must hide.
TOP_LINKS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
ETC_NAMES = (
    "alternatives", "ca-certificates", "localtime", "mime.types", "perl", "protocols", "services", "ssl",
    "terminfo",
)  # fmt: skip
ETC_PREFIXES = ("ld.so.", "python3", "java-")
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")


class IdRange(Value):
    """`count` host ids from `start` on."""

    start: int
    count: int

    def overlaps(self, other: IdRange) -> bool:
        """Whether both contain an id."""
        return self.start < other.start + other.count and other.start < self.start + self.count


class IdMapLine(Value):
    """A line of /proc/self/uid_map: `count` ids from `inside` on are the parent's from `outside` on."""

    inside: int
    outside: int
    count: int


class Kernel(Value):
    """The kernel and its security features.  `landlock_abi`: 0 without Landlock, -1 when nobody could ask.

    `missing_calls`: of those that a launch needs, the ones that this kernel does not know.
    """

    release: str
    version: tuple[int, int]
    arch: str
    landlock_abi: int = -1
    missing_calls: tuple[str, ...] = ()
    seccomp_actions: tuple[str, ...] = ()
    legacy_tiocsti: int = -1
    yama_ptrace_scope: int = -1
    memfd_noexec: int = -1
    lockdown: str = ""


class Identity(Value):
    """Who calls.  `capabilities` is the effective set as a bit mask."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()
    name: str = ""
    home: str = ""
    capabilities: int = 0
    uid_map: tuple[IdMapLine, ...] = (IdMapLine(inside=0, outside=0, count=ALL_IDS),)
    gid_map: tuple[IdMapLine, ...] = (IdMapLine(inside=0, outside=0, count=ALL_IDS),)
    setgroups_allowed: bool = True

    def has(self, capability: int) -> bool:
        """Whether the effective set holds that capability number."""
        return bool(self.capabilities >> capability & 1)

    @property
    def in_user_namespace(self) -> bool:
        """Whether the caller already lives in a user namespace other than the initial one."""
        return not (len(self.uid_map) == 1 and self.uid_map[0].count == ALL_IDS)

    @property
    def is_host_root(self) -> bool:
        """Root of the machine: may map any id and needs no helper."""
        return self.uid == 0 and not self.in_user_namespace and self.has(CAP_SETUID) and self.has(CAP_SETGID)

    @property
    def may_restrict_devices(self) -> bool:
        """Whether the kernel takes a list of devices for a cgroup from him: CAP_SYS_ADMIN of the machine."""
        return not self.in_user_namespace and self.has(CAP_SYS_ADMIN)

    @property
    def may_write_maps(self) -> bool:
        """Whether the kernel takes any map inside the caller's own ids from him, without newuidmap."""
        return self.has(CAP_SETUID) and self.has(CAP_SETGID)

    def maps_all(self, lines: tuple[IdMapLine, ...], wanted: IdRange) -> bool:
        """Whether every id of the range exists in a namespace with these map lines (`identity.uid_map`)."""
        at, end = wanted.start, wanted.start + wanted.count
        for line in sorted(lines, key=lambda one: one.inside):
            if line.inside <= at < line.inside + line.count:
                at = line.inside + line.count
        return at >= end


class UserNamespaces(Value):
    """What decides whether this caller may make a user namespace.

    `attempt`: errno of a real attempt, 0 it worked, -1 not tried.  `attempt_capable`: the same for a call
    inside that needs a capability there; AppArmor lets the namespace be made and takes its capabilities away.
    """

    limit: int = -1
    unprivileged_clone: int = -1
    apparmor_restricted: int = -1
    attempt: int = -1
    attempt_capable: int = -1


class MapHelper(Value):
    """newuidmap or newgidmap.  `privileged`: setuid root, or with file capabilities."""

    path: str
    privileged: bool


class SubordinateIds(Value):
    """/etc/subuid, /etc/subgid and passwd: the caller's own ranges, and all that is taken on this machine."""

    uids: tuple[IdRange, ...] = ()
    gids: tuple[IdRange, ...] = ()
    taken_uids: tuple[IdRange, ...] = ()
    taken_gids: tuple[IdRange, ...] = ()
    newuidmap: MapHelper | None = None
    newgidmap: MapHelper | None = None

    @property
    def usable(self) -> bool:
        """Ranges for both kinds, and both helpers able to map them."""
        helpers = self.newuidmap, self.newgidmap
        return bool(self.uids and self.gids) and all(h is not None and h.privileged for h in helpers)


class V1Controller(Value):
    """One controller of a v1 hierarchy.  `directory` is the caller's own cgroup, "" if it is not seen here.

    `device` is the minor number of the mount: what a descriptor of that hierarchy must show.
    """

    name: str
    mount: str
    path: str
    directory: str
    device: int
    writable: bool
    swap_limit: bool = False


class V2Hierarchy(Value):
    """The cgroup2 mount and the caller's own place in it.

    `enabled`: controllers of subtree_control, which children get.
    `delegated`: the cgroup was handed to the caller.
    `is_root`: the machine's root cgroup, which alone may hold processes beside children with controllers.
    `parent_*`: the same for the cgroup above, for a caller that was moved to a leaf of its own.
    `swap_limit`: False where the kernel is known not to count swap.
    """

    mount: str
    path: str
    directory: str
    device: int
    controllers: tuple[str, ...] = ()
    enabled: tuple[str, ...] = ()
    writable: bool = False
    delegated: bool = False
    is_root: bool = False
    has_kill: bool = False
    parent_enabled: tuple[str, ...] = ()
    parent_delegated: bool = False
    swap_limit: bool = True


class Cgroups(Value):
    """Which hierarchies are mounted.  `layout`: "v2", "v1", "hybrid" (v1 and a cgroup2) or "none"."""

    layout: str = "none"
    v1: tuple[V1Controller, ...] = ()
    v2: V2Hierarchy | None = None

    def v1_controller(self, name: str) -> V1Controller | None:
        """The v1 controller of that name, if it is mounted."""
        return next((c for c in self.v1 if c.name == name), None)


class Systemd(Value):
    """Which managers could hand out a delegated scope.  `runtime_directory`: the caller's, or ""."""

    system: bool = False
    user: bool = False
    runtime_directory: str = ""


class HostPath(Value):
    """A path that a plan may take from the host.

    `kind`: "directory", "file", "link" (to `target`), "device" (with `number` major, minor).
    `device` is the file system's as (major << 32) | minor, the form of the plan's open-tree steps.
    """

    path: str
    kind: str
    device: int = 0
    inode: int = 0
    target: str = ""
    number: tuple[int, int] = (0, 0)


class HostFiles(Value):
    """What of the host's file system a sandbox on the host root is made of; only what exists is listed.

    `proc_visible`: whether a fresh proc may be mounted in a user namespace (no mount hides a part of /proc).
    """

    usr: HostPath | None = None
    top: tuple[HostPath, ...] = ()
    etc: tuple[HostPath, ...] = ()
    devices: tuple[HostPath, ...] = ()
    root_type: str = ""
    proc_visible: bool = True


class Rlimit(Value):
    """A resource limit of the caller; UNLIMITED is -1."""

    soft: int = UNLIMITED
    hard: int = UNLIMITED


class Rlimits(Value):
    """The limits that a plan may not raise."""

    nofile: Rlimit = Rlimit()
    memlock: Rlimit = Rlimit()
    nproc: Rlimit = Rlimit()


class Tool(Value):
    """A program: `path` is "" if it was not found."""

    name: str
    package: str
    purpose: str
    path: str = ""


class HostFacts(Value):
    """All of it.  `subordinate` is None where nobody has asked (the plain path of root does not need it)."""

    kernel: Kernel
    identity: Identity
    user_namespaces: UserNamespaces = UserNamespaces()
    subordinate: SubordinateIds | None = None
    cgroup: Cgroups = Cgroups()
    systemd: Systemd = Systemd()
    files: HostFiles = HostFiles()
    rlimits: Rlimits = Rlimits()
    boot_id: str = ""
    pid_namespace: int = 0
    seccomp_mode: int = 0
