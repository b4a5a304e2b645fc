"""What a plan is compiled from, once names were looked up and files were found: the spec's paths as sources, the
identity as numbers, the cgroups as parents.  Pure values; `container/` finds them.  ✗ no steps."""

from __future__ import annotations

from ..base.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..host.facts import HostFacts
    from ..policy.capability_policy import CapabilitySets
    from ..policy.landlock_policy import LandlockPolicy
    from ..policy.seccomp_rules import Filter
    from ..spec.container import ContainerSpec


class Source(Value):
    """A file or directory of the host, as its one resolution found it: what is mounted must still be that inode."""

    path: str
    device: int = 0  # (major << 32) | minor; with inode 0 the identity is not checked
    inode: int = 0
    uid: int = 0
    gid: int = 0
    is_file: bool = False
    idmap: bool = True  # the file system takes ID-mapped mounts


class MapLine(Value):
    """`inside` ids from there on stand for `outside` ids, `count` of them (user_namespaces(7))."""

    inside: int
    outside: int
    count: int


class Identity(Value):
    """Who runs, and how ids are mapped."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()
    uid_map: tuple[MapLine, ...]
    gid_map: tuple[MapLine, ...]
    privileged: bool  # host root: disjoint range, ID-mapped mounts, the monitor opens the sources
    helpers: tuple[str, ...] = ()  # ("newuidmap", "newgidmap") when those write the maps
    deny_setgroups: bool = False

    @property
    def maps_root(self) -> bool:
        """Is there an id 0 inside?  Then setup runs as it, and groups can be dropped."""
        return any(line.inside == 0 for line in self.uid_map) and not self.deny_setgroups

    def outside_uid(self, inside: int) -> int | None:
        """The host id of a uid inside, or None where it is not mapped."""
        for line in self.uid_map:
            if line.inside <= inside < line.inside + line.count:
                return line.outside + inside - line.inside
        return None


class VolumeSource(Value):
    """A host file or directory at a path of the sandbox."""

    source: Source
    target: str
    read_only: bool
    executable: bool = True
    origin: str


class CgroupParent(Value):
    """A directory below which the container's cgroup is made: which controllers act there."""

    version: int
    controllers: tuple[str, ...]
    slot: str  # the name of its descriptor slot
    writes: tuple[tuple[str, str, str], ...] = ()  # (file, value, origin)
    devices: bool = False  # it refuses the container the devices that are not on the list


class RootEntry(Value):
    """A top-level name of the sandbox's root that comes from the host or from --rootfs."""

    target: str
    link: str = ""  # a symbolic link with that value; else a mount of `source`
    source: Source | None = None
    origin: str = "rootfs"


class HookCall(Value):
    """A program that is run while the container is made or started: the host's by a slot, the container's by its path."""

    slot: str = ""  # of its program; "": `path` is the container's
    path: str
    arguments: tuple[str, ...]
    environment: tuple[tuple[str, str], ...] = ()
    timeout_s: int


class Policies(Value):
    """What policy files say, read and judged: each None where there is none, and the built-in policy holds.

    filter_flags   flags of seccomp(2) that the profile asks for
    """

    filter: Filter | None = None
    filter_flags: int = 0
    landlock: LandlockPolicy | None = None
    capabilities: CapabilitySets | None = None

    @property
    def kept_names(self) -> tuple[str, ...]:
        """The capabilities that the workload keeps."""
        if self.capabilities is None:
            return ()
        from ..policy.capabilities import names_in

        return names_in(self.capabilities.permitted)


class Request(Value):
    """Everything that `compile_plan` needs; two equal requests give two equal plans."""

    spec: ContainerSpec
    facts: HostFacts
    identity: Identity
    root_entries: tuple[RootEntry, ...]
    volumes: tuple[VolumeSource, ...] = ()
    protected: tuple[str, ...] = ()  # paths below a writable workspace that stay read-only
    protected_links: tuple[str, ...] = ()  # symbolic links on the way to them, which stay as they are
    secrets: tuple[str, ...] = ()  # targets; the descriptors are slots "secret:0", "secret:1", …
    cgroups: tuple[CgroupParent, ...] = ()
    hostname: str
    resolv_conf: Source | None = None
    candidates: tuple[str, ...] = ()
    reporter: tuple[str, ...] = ()  # argv of the program that explains a failure; () when the caller listens
    owner: int = 0  # 0 nobody listens, 1 its death kills, 2 its death is ignored
    console: tuple[int, int] | None = None  # rows and columns of a terminal of its own
    keep_record: bool = True  # False: --rm, the state directory goes with the container
    gated: bool = False  # it waits for the word to proceed, and records when the command was executed
    degraded: tuple[str, ...] = ()
    policies: Policies | None = None
    hooks: tuple[HookCall, ...] = ()
    host_hooks: bool = (
        False  # somebody runs hooks of the host when the namespaces are there, and before the root is
    )
