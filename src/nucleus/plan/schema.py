"""THE step table: opcode, name, phase and fields of every launch-plan step.

One table, two languages: `tools/gen_plan_steps.py` writes `launcher/plan_steps.def` and the format page from it, and
`schema_hash()` covers it, so that a Python and a launcher that differ refuse each other.  ✗ no policy, no encoding.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION = 1
# create: a container from the ground up.  join: a process that enters a running one.  prepare: a root that many
# containers start in, made once.  start: a container in such a root.
KIND_CREATE, KIND_JOIN, KIND_PREPARE, KIND_START = 1, 2, 3, 4
KINDS = {KIND_CREATE: "create", KIND_JOIN: "join", KIND_PREPARE: "prepare", KIND_START: "start"}
MAX_BYTES, MAX_STEPS = 4 << 20, 16384

# Phases: the high nibble is the actor, the low one the order, which never decreases for an actor.
MONITOR, CHILD, WORKLOAD, NETWORK = 0, 1, 2, 3
ACTORS = ("monitor", "child", "workload", "network")
PHASES: dict[str, int] = {
    "prepare": 0x00, "spawn": 0x01, "id-map": 0x02, "host-mounts": 0x03, "release": 0x04, "wait": 0x05, "finish": 0x06,
    "setup": 0x10, "root": 0x11, "mounts": 0x12, "handover": 0x13,
    "arrival": 0x20, "limits": 0x21, "identity": 0x22, "landlock": 0x23, "seccomp": 0x24, "exec": 0x25,
    "network": 0x30,
}  # fmt: skip

# How often a step may stand in a plan of a kind: "*" any number, "?" at most once, "1" exactly once, "-" never.
ANY, OPTIONAL, REQUIRED, NEVER = "*", "?", "1", "-"


class Field:
    """One field of a step.  `kind`: n number, s text, b bytes, f slot of the inherited descriptors.

    `check`: "" | "max" (number ≤ limit) | "mask" (no bit outside limit) | "absolute" (path, no `..`) | "name" (one path
    component) | "multiple" (length is a multiple of limit) | "list" (NUL-terminated entries, at least one) | "list?" (the
    same, or empty) | "sysctl" (absolute, below /proc/sys/) | "slot" (an inherited descriptor)
    """

    __slots__ = ("check", "kind", "limit", "name")

    def __init__(self, name: str, kind: str, check: str = "", limit: int = 0) -> None:
        self.name, self.kind, self.check, self.limit = name, kind, check, limit


class StepSpec:
    """One row of the table.  `counts` says how often the step may stand in a plan of each kind, in the order of KINDS;
    "start" is as "create" unless the row says otherwise."""

    __slots__ = ("counts", "fields", "name", "names", "opcode", "phase", "phase_name", "text")

    def __init__(
        self, opcode: int, name: str, phase: str, create: str, join: str, fields: tuple[Field, ...], text: str,
        *, prepare: str = NEVER, start: str = "",
    ) -> None:  # fmt: skip
        self.opcode, self.name, self.phase_name, self.phase = opcode, name, phase, PHASES[phase]
        self.counts, self.fields, self.text = (create, join, prepare, start or create), fields, text
        self.names = tuple(f.name for f in fields)

    @property
    def actor(self) -> int:
        """MONITOR, CHILD, WORKLOAD or NETWORK."""
        return self.phase >> 4

    def count(self, kind: int) -> str:
        """How often it may stand in a plan of that kind: ANY, OPTIONAL, REQUIRED, NEVER."""
        return self.counts[kind - 1]


def _n(name: str, maximum: int = (1 << 64) - 1) -> Field:
    return Field(name, "n", "max", maximum)


def _m(name: str, mask: int) -> Field:
    return Field(name, "n", "mask", mask)


def _s(name: str, check: str = "") -> Field:
    return Field(name, "s", check)


def _b(name: str, check: str = "", limit: int = 0) -> Field:
    return Field(name, "b", check, limit)


def _f(name: str) -> Field:
    return Field(name, "f", "slot")


U32 = (1 << 32) - 1
NOBODY = U32  # "no owner given" in uid and gid fields, as in chown(2)
NO_CGROUP = 255
CHILD_USERNS = 255
MAX_CGROUPS, MAX_MOUNTS, MAX_USERNS, MAX_SLOTS = 15, 255, 7, 63
# MOUNT_ATTR_RDONLY|NOSUID|NODEV|NOEXEC|NOSYMFOLLOW (mount_setattr(2))
MOUNT_ATTRS = 0x1 | 0x2 | 0x4 | 0x8 | 0x200000
# CLONE_NEW{TIME,NS,CGROUP,UTS,IPC,USER,PID,NET} (clone(2))
NAMESPACES = 0x80 | 0x20000 | 0x2000000 | 0x4000000 | 0x8000000 | 0x10000000 | 0x20000000 | 0x40000000

# Where an event goes: appended to a file of a directory, or written to the descriptor itself.
_NOTE = (_f("log"), _n("direct", 1), _s("file", "name"), _s("type"), _s("members"))

_TREE = (
    _n("mount", MAX_MOUNTS), _s("path", "absolute"), _n("recursive", 1), _n("device"), _n("inode"),
    _m("attributes", MOUNT_ATTRS),
)  # fmt: skip

STEPS: tuple[StepSpec, ...] = (
    # --- monitor -------------------------------------------------------------------------------------------------
    StepSpec(1, "create-cgroup", "prepare", ANY, NEVER, (_n("cgroup", MAX_CGROUPS), _f("parent"), _n("version", 2)),
             "create the container's cgroup (v{version}) as number {cgroup}"),
    StepSpec(2, "set-cgroup", "prepare", ANY, NEVER, (_n("cgroup", MAX_CGROUPS), _s("file", "name"), _s("value")),
             "write {value} to {file} of cgroup {cgroup}"),
    StepSpec(19, "note-created", "prepare", ANY, NEVER, _NOTE, "note the event {type} in {file}"),
    StepSpec(5, "join-cgroup", "prepare", NEVER, ANY, (_n("cgroup", MAX_CGROUPS), _f("directory"), _n("version", 2)),
             "take the container's cgroup (v{version}) as number {cgroup}"),
    StepSpec(98, "take-network", "prepare", NEVER, NEVER, (_f("network"),),
             "enter a spare network namespace, which the child inherits", start=OPTIONAL),
    StepSpec(6, "spawn", "spawn", REQUIRED, REQUIRED, (_m("namespaces", NAMESPACES), _n("cgroup", 255)),
             "start the child in new {namespaces}", start=NEVER),
    StepSpec(26, "spawn-in-root", "spawn", NEVER, NEVER,
             (_m("namespaces", NAMESPACES), _n("cgroup", 255), _f("root")),
             "start the child in new {namespaces}, in the prepared root", start=REQUIRED),
    StepSpec(7, "run-helper", "id-map", ANY, NEVER, (_f("program"), _b("arguments", "list")),
             "run {arguments} for the child", start=NEVER),
    StepSpec(8, "write-id-map", "id-map", OPTIONAL, NEVER,
             (_s("uid_map"), _s("gid_map"), _n("deny_setgroups", 1)), "map uids {uid_map} and gids {gid_map}"),
    StepSpec(99, "spare-network", "host-mounts", NEVER, NEVER, (_f("receiver"),),
             "start a process that makes a spare network namespace for a later start", start=OPTIONAL),
    StepSpec(90, "restrict-devices", "host-mounts", ANY, NEVER, (_n("cgroup", MAX_CGROUPS), _b("program", "multiple", 8)),
             "refuse cgroup {cgroup} every device that the program does not name ({program})"),
    StepSpec(93, "attach-devices", "host-mounts", NEVER, NEVER, (_n("cgroup", MAX_CGROUPS), _f("program")),
             "refuse cgroup {cgroup} every device that the loaded program does not name", start=ANY),
    StepSpec(28, "let-hooks-run", "host-mounts", OPTIONAL, NEVER, (_f("channel"),),
             "tell that the namespaces are there, and wait until the host's hooks have run", start=NEVER),
    StepSpec(3, "open-tree", "host-mounts", ANY, NEVER, _TREE,
             "take {path} from the host as mount {mount}, {attributes}", prepare=ANY),
    StepSpec(9, "make-userns", "host-mounts", ANY, NEVER, (_n("userns", MAX_USERNS), _s("uid_map"), _s("gid_map")),
             "make a user namespace that maps owners {uid_map}"),
    StepSpec(10, "map-mount", "host-mounts", ANY, NEVER, (_n("mount", MAX_MOUNTS), _n("userns", 255)),
             "ID-map mount {mount}"),
    StepSpec(23, "hand-over-mounts", "host-mounts", OPTIONAL, NEVER, (_n("count", MAX_MOUNTS + 1),),
             "hand the first {count} mounts to the child"),
    StepSpec(11, "write-init-record", "release", OPTIONAL, NEVER, (_f("directory"),),
             "record init's pid and start time"),
    StepSpec(92, "load-devices", "release", NEVER, NEVER, (_b("program", "multiple", 8),),
             "load the program that names the devices of containers ({program})", prepare=OPTIONAL),
    StepSpec(27, "hand-over-root", "release", NEVER, NEVER, (), "hand the mount namespace to the caller",
             prepare=REQUIRED),
    StepSpec(12, "await-proceed", "release", OPTIONAL, OPTIONAL, (_f("channel"),),
             "wait until all is built, tell so, and wait for the word to proceed"),
    StepSpec(20, "note-started", "release", ANY, ANY, _NOTE, "note the event {type} in {file}"),
    StepSpec(13, "supervise", "wait", REQUIRED, REQUIRED,
             (_n("timeout_ms"), _n("stop_signal", 64), _n("grace_ms"), _n("owner", 2)),
             "wait for the end (timeout {timeout_ms}, stop signal {stop_signal})"),
    StepSpec(22, "write-start-record", "wait", OPTIONAL, NEVER, (_f("directory"),),
             "record when the command was executed"),
    StepSpec(14, "read-counter", "finish", ANY, NEVER,
             (_n("cgroup", MAX_CGROUPS), _s("file", "name"), _s("key"), _n("counter", 3)),
             "read {file} {key} of cgroup {cgroup}"),
    StepSpec(29, "await-trace", "finish", OPTIONAL, NEVER, (_f("channel"),),
             "wait until the record of its calls is complete"),
    StepSpec(15, "remove-cgroup", "finish", ANY, NEVER, (_n("cgroup", MAX_CGROUPS),), "remove cgroup {cgroup}"),
    StepSpec(21, "note-ended", "finish", ANY, ANY, _NOTE, "note the event {type}, and how it ended, in {file}"),
    StepSpec(16, "write-exit-record", "finish", OPTIONAL, OPTIONAL, (_f("directory"),), "write the exit record"),
    StepSpec(17, "remove-tree", "finish", ANY, NEVER, (_f("directory"), _s("name")),
             "remove {name} and all below it"),
    StepSpec(18, "report-failure", "finish", OPTIONAL, OPTIONAL, (_f("origins"), _b("program", "list")),
             "when a step failed, let {program} explain it"),
    # --- child: builds the world, becomes init -----------------------------------------------------------------
    StepSpec(32, "no-new-privileges", "setup", REQUIRED, REQUIRED, (), "set no_new_privs"),
    StepSpec(33, "set-hostname", "setup", OPTIONAL, NEVER, (_s("name"),), "set the host name {name}"),
    StepSpec(94, "spawn-network", "setup", OPTIONAL, NEVER, (), "start the process that makes the network namespace"),
    StepSpec(35, "become-mapped", "setup", REQUIRED, NEVER,
             (_n("set_ids", 1), _n("uid", U32), _n("gid", U32), _n("drop_groups", 1)),
             "wait for the id map, become uid {uid} gid {gid} of it"),
    StepSpec(36, "enter-cgroup", "setup", ANY, ANY, (_n("cgroup", MAX_CGROUPS),), "enter cgroup {cgroup}"),
    StepSpec(37, "unshare-cgroup", "setup", OPTIONAL, NEVER, (), "make that cgroup the root of a cgroup namespace"),
    StepSpec(4, "join-namespaces", "setup", NEVER, REQUIRED, (_f("target"), _m("namespaces", NAMESPACES)),
             "join {namespaces} of the running container"),
    StepSpec(38, "open-tree-inside", "setup", ANY, NEVER, _TREE,
             "take {path} from the host as mount {mount}, {attributes}", start=NEVER),
    StepSpec(85, "make-namespace", "root", NEVER, NEVER, (),
             "make a mount namespace that holds nothing of the host, and a proc of no process", prepare=REQUIRED),
    StepSpec(81, "set-file-owner", "root", NEVER, NEVER, (_n("uid", U32 - 1), _n("gid", U32 - 1)),
             "make every file as uid {uid} gid {gid} of the host", prepare=REQUIRED),
    StepSpec(82, "adopt-root", "root", NEVER, NEVER, (), "take the prepared root for the container's", start=REQUIRED),
    StepSpec(39, "make-root", "root", REQUIRED, NEVER, (_n("size_bytes"), _n("inodes"), _n("mode", 0o7777)),
             "make a private root of {size_bytes}", prepare=REQUIRED, start=NEVER),
    StepSpec(56, "mount-proc", "root", REQUIRED, NEVER,
             (_s("target", "absolute"), _m("attributes", MOUNT_ATTRS), _b("options", "list?")),
             "mount proc at {target}, {attributes} {options}"),
    StepSpec(86, "await-hooks", "root", OPTIONAL, NEVER, (), "wait until the host's hooks have run", start=NEVER),
    StepSpec(87, "run-hook", "root", ANY, NEVER,
             (_f("program"), _b("arguments", "list"), _b("environment", "list?"), _f("state"), _f("output"),
              _n("timeout_ms", U32)),
             "run the createContainer hook {arguments} (timeout {timeout_ms})", start=NEVER),
    StepSpec(51, "pivot-root", "root", REQUIRED, NEVER, (), "switch to the private root", start=NEVER),
    StepSpec(42, "mount-filesystem", "mounts", ANY, NEVER,
             (_s("type"), _s("target", "absolute"), _m("attributes", MOUNT_ATTRS), _b("options", "list?")),
             "mount {type} at {target}, {attributes} {options}"),
    StepSpec(43, "make-directory", "mounts", ANY, NEVER,
             (_s("path", "absolute"), _n("mode", 0o7777), _n("uid", U32), _n("gid", U32)),
             "make directory {path} ({mode})", prepare=ANY),
    StepSpec(44, "make-symlink", "mounts", ANY, NEVER, (_s("path", "absolute"), _s("value")),
             "link {path} to {value}", prepare=ANY),
    StepSpec(45, "write-file", "mounts", ANY, NEVER, (_s("path", "absolute"), _n("mode", 0o777), _b("content")),
             "write {path} ({mode})", prepare=ANY),
    StepSpec(83, "cover-file", "mounts", NEVER, NEVER,
             (_s("path", "absolute"), _n("mode", 0o777), _b("content"), _s("below", "absolute")),
             "cover {path} with a file of the container's own, kept below {below}", start=ANY),
    StepSpec(46, "write-secret", "mounts", ANY, NEVER,
             (_f("source"), _s("path", "absolute"), _n("mode", 0o777), _n("uid", U32), _n("gid", U32)),
             "copy a secret to {path} ({mode})"),
    StepSpec(54, "spawn-workload", "mounts", REQUIRED, NEVER, (), "start the workload's process"),
    StepSpec(40, "await-host-mounts", "mounts", OPTIONAL, NEVER, (_n("count", MAX_MOUNTS + 1),),
             "take over {count} mounts from the monitor"),
    StepSpec(57, "await-detached", "mounts", REQUIRED, NEVER, (), "wait until the host's root is detached", start=NEVER),
    StepSpec(63, "announce-mounts", "mounts", REQUIRED, NEVER, (), "let the workload look up its paths"),
    StepSpec(41, "attach-mount", "mounts", ANY, NEVER,
             (_n("mount", MAX_MOUNTS), _s("target", "absolute"), _n("is_file", 1)), "mount {mount} at {target}",
             prepare=ANY),
    StepSpec(47, "write-sysctl", "mounts", ANY, NEVER, (_s("path", "sysctl"), _s("value")), "write {value} to {path}"),
    StepSpec(48, "mask-file", "mounts", ANY, NEVER, (_s("path", "absolute"),), "hide the file {path}"),
    StepSpec(49, "mask-directory", "mounts", ANY, NEVER, (_s("path", "absolute"),), "hide the directory {path}"),
    StepSpec(50, "protect-path", "mounts", ANY, NEVER,
             (_s("path", "absolute"), _m("attributes", MOUNT_ATTRS), _n("link", 1)), "make {path} {attributes}"),
    StepSpec(55, "seal-mount", "mounts", ANY, NEVER, (_s("path", "absolute"), _m("attributes", MOUNT_ATTRS)),
             "make the mount at {path} {attributes}"),
    StepSpec(52, "seal-root", "mounts", OPTIONAL, NEVER, (_m("attributes", MOUNT_ATTRS),), "make / {attributes}",
             prepare=REQUIRED, start=NEVER),
    StepSpec(84, "freeze-root", "mounts", NEVER, NEVER, (), "make the file system of / read-only for good",
             prepare=REQUIRED),
    StepSpec(58, "join-network", "handover", OPTIONAL, NEVER, (), "wait for the network namespace, and enter it"),
    StepSpec(79, "announce-built", "handover", OPTIONAL, NEVER, (),
             "wait until the workload is locked down, and tell the monitor that all is built"),
    StepSpec(53, "await-release", "handover", OPTIONAL, NEVER, (), "wait for the monitor's release"),
    StepSpec(59, "become-init", "handover", REQUIRED, NEVER, (), "become init, which lets the workload execute"),
    StepSpec(80, "spawn-inside", "handover", NEVER, REQUIRED, (_n("own_group", 1),),
             "start the process inside (in a process group of its own: {own_group}), and end"),
    # --- workload ------------------------------------------------------------------------------------------------
    StepSpec(61, "detach-host", "arrival", REQUIRED, NEVER, (), "detach the host's root with all below", start=NEVER),
    StepSpec(95, "enter-network", "arrival", OPTIONAL, NEVER, (), "wait for the network namespace, and enter it"),
    StepSpec(64, "set-rlimit", "limits", ANY, ANY, (_n("resource", 15), _n("soft"), _n("hard")),
             "limit {resource} to {soft} (hard {hard})"),
    StepSpec(65, "set-umask", "limits", OPTIONAL, OPTIONAL, (_n("mask", 0o777),), "set the umask {mask}"),
    StepSpec(91, "new-keyring", "limits", OPTIONAL, OPTIONAL, (), "take a session keyring of its own"),
    StepSpec(66, "drop-bounding", "identity", REQUIRED, REQUIRED, (_n("keep"),),
             "drop the bounding set (keep {keep})"),
    StepSpec(67, "set-groups", "identity", OPTIONAL, OPTIONAL, (_b("groups", "multiple", 4),),
             "set supplementary groups [{groups}]"),
    StepSpec(68, "set-ids", "identity", REQUIRED, REQUIRED,
             (_n("uid", U32 - 1), _n("gid", U32 - 1), _n("keep_capabilities", 1)),
             "become uid {uid} gid {gid}"),
    StepSpec(69, "set-capabilities", "identity", REQUIRED, REQUIRED,
             (_n("permitted"), _n("effective"), _n("inheritable"), _n("ambient")),
             "set capabilities permitted {permitted} effective {effective} inheritable {inheritable} ambient {ambient}"),
    StepSpec(62, "await-root", "landlock", REQUIRED, REQUIRED, (), "wait until every mount is in place"),
    StepSpec(77, "open-console", "landlock", OPTIONAL, OPTIONAL,
             (_f("channel"), _n("rows", 65535), _n("columns", 65535)),
             "open a terminal of {columns}x{rows}, hand its master out, and make it the controlling one"),
    StepSpec(70, "landlock-ruleset", "landlock", OPTIONAL, OPTIONAL, (_n("fs"), _n("net"), _n("scoped")),
             "make a Landlock ruleset (fs {fs} net {net} scoped {scoped})"),
    StepSpec(71, "landlock-path", "landlock", ANY, ANY,
             (_s("path", "absolute"), _n("access"), _n("optional", 1), _n("exact", 1)), "allow {access} below {path}"),
    StepSpec(72, "landlock-port", "landlock", ANY, ANY, (_n("port", 65535), _n("access")),
             "allow {access} on TCP port {port}"),
    StepSpec(73, "landlock-restrict", "landlock", OPTIONAL, OPTIONAL, (_n("flags"),), "enforce the Landlock ruleset"),
    StepSpec(100, "attach-tracer", "seccomp", OPTIONAL, NEVER, (_f("channel"),), "let the tracer attach"),
    StepSpec(74, "set-seccomp", "seccomp", OPTIONAL, OPTIONAL, (_b("program", "multiple", 8), _m("flags", 0x7)),
             "install the seccomp filter ({program})"),
    StepSpec(89, "trace-seccomp", "seccomp", OPTIONAL, NEVER, (_b("program", "multiple", 8), _f("channel")),
             "install the seccomp filter ({program}), and hand its listener out"),
    StepSpec(75, "assert-locked", "seccomp", REQUIRED, REQUIRED, (_n("permitted"), _n("seccomp_mode", 2)),
             "read back: capabilities {permitted}, no_new_privs, seccomp mode {seccomp_mode}"),
    StepSpec(78, "announce-locked", "exec", OPTIONAL, NEVER, (), "tell that nothing is left to do but to execute"),
    StepSpec(88, "run-hook-inside", "exec", ANY, NEVER,
             (_s("path", "absolute"), _b("arguments", "list"), _b("environment", "list?"), _f("state"), _f("output"),
              _n("timeout_ms", U32)),
             "run the startContainer hook {path} {arguments} (timeout {timeout_ms})", start=NEVER),
    StepSpec(76, "exec", "exec", REQUIRED, REQUIRED,
             (_b("candidates", "list"), _b("arguments", "list"), _f("environment"), _s("directory", "absolute")),
             "execute {arguments} in {directory}"),
    # --- network: makes the network namespace beside all that, and ends ----------------------------------------
    StepSpec(97, "await-id-map", "network", OPTIONAL, NEVER, (), "wait for the id map"),
    StepSpec(60, "unshare-network", "network", OPTIONAL, NEVER, (), "make a network namespace"),
    StepSpec(34, "loopback-up", "network", OPTIONAL, NEVER, (), "bring the loopback interface up"),
    StepSpec(96, "hand-over-network", "network", OPTIONAL, NEVER, (),
             "hand the network namespace to child and workload, and end"),
)  # fmt: skip

BY_NAME: Mapping[str, StepSpec] = {s.name: s for s in STEPS}
BY_OPCODE: Mapping[int, StepSpec] = {s.opcode: s for s in STEPS}


def table_lines() -> list[str]:
    """The table as text, one line a step: what the hash covers."""
    lines = [f"version {VERSION}"]
    for s in STEPS:
        fields = " ".join(f"{f.name}:{f.kind}:{f.check}:{f.limit:x}" for f in s.fields)
        lines.append(f"{s.opcode} {s.name} {s.phase:#x} {''.join(s.counts)} {fields}")
    return lines


def schema_hash() -> int:
    """64-bit FNV-1a of the table (a mismatch detector, not a defence: both sides are installed together)."""
    value = 0xCBF29CE484222325
    for byte in "\n".join(table_lines()).encode():
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return value


# Committed so that a launch need not compute it; `make check` regenerates it.
SCHEMA_HASH = 0x18E4AD414A6D8076
