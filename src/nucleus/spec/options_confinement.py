"""Limits, network, identity mapping and security: a part of the table of options (`options.py`).

Data only.  ✗ no rule between options (`rules.py`).
"""

from __future__ import annotations

from .option import Option

_HASH = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # of nothing

CONFINEMENT: tuple[Option, ...] = (
    Option(
        key="memory", field="memory_bytes", kind="size", group="limits", short="-m", metavar="SIZE",
        unit="bytes", example="512M",
        help="the most memory; what goes beyond is killed as a whole. Swap is off unless asked for",
    ),
    Option(
        key="memory_high", field="memory_high_bytes", kind="size", group="limits", metavar="SIZE",
        unit="bytes", default="90 % of --memory where there is swap", example="400M",
        help="from here on memory is reclaimed hard",
    ),
    Option(
        key="memory_swap", field="swap_bytes", kind="swap", group="limits", metavar="SIZE", unit="bytes",
        default="0", example="256M",
        help="swap beside the memory; needs --memory",
    ),
    Option(
        key="cpus", field="cpu_quota_us", kind="cpus", group="limits", metavar="N", unit="processors",
        example="1.5",
        help="the most processor time, in processors",
    ),
    Option(
        key="cpu_weight", field="cpu_weight", kind="weight", group="limits", metavar="N", example="50",
        help="the share of a busy machine, from 1 to 10000; others have 100",
    ),
    Option(
        key="pids", field="pids", kind="count", group="limits", metavar="N", default="512", example="64",
        help="the most processes and threads; 0 for no limit",
    ),
    Option(
        key="io_limit", field="io_limits", kind="io", group="limits", metavar='"MAJ:MIN KEY=N…"',
        example="8:0 rbps=10M wiops=500", repeat=True,
        help="throttle a block device; keys rbps and wbps (bytes a second), riops and wiops (operations a "
        "second)",
    ),
    Option(
        key="cgroup_parent", field="cgroup_parent", kind="inside", group="limits", metavar="PATH",
        default="the first place that is delegated to the caller", example="/nucleus.slice",
        help="the cgroup below which the container's own is made: a path in the cgroup tree, which must exist",
    ),
    Option(
        key="memlock", field="memlock_bytes", kind="size", group="limits", metavar="SIZE", unit="bytes",
        example="64K",
        help="the most memory that a process may lock (RLIMIT_MEMLOCK)",
    ),
    Option(
        key="network", field="network", kind="choice", group="isolation", metavar="NAME", default="none",
        choices=("none", "host"), later=("bridge", "gvisor-host"), example="none",
        help="none: a loopback interface of its own; host: the machine's network, needs --allow-host-network",
    ),
    Option(
        key="allow_host_network", field="allow_host_network", kind="flag", group="isolation", default="false",
        example="true", bare="true",
        help="agree that --network host takes the network isolation away",
    ),
    Option(
        key="userns", field="userns", kind="choice", group="isolation", metavar="MODE",
        choices=("keep-id", "auto", "nomap"), example="keep-id",
        help="how an ordinary user's ids are mapped: keep-id, the user inside is the caller, other ids "
        "come from the subordinate ones where there are any (the default); auto, the same, and "
        "subordinate ids must be there; nomap, the caller's id alone",
    ),
    Option(
        key="uidmap", field="uidmap", kind="idmap", group="isolation", metavar="INSIDE:HOST:COUNT",
        example="1000:1000:1", repeat=True,
        help="a line of the user id map, instead of --userns; needs --gidmap",
    ),
    Option(
        key="gidmap", field="gidmap", kind="idmap", group="isolation", metavar="INSIDE:HOST:COUNT",
        example="1000:1000:1", repeat=True,
        help="a line of the group id map, instead of --userns; needs --uidmap",
    ),
    Option(
        key="time_namespace", field="time_namespace", kind="flag", group="isolation", default="false",
        example="true", bare="true",
        help="a time namespace of its own, in which the monotonic clocks can be set when it is restored",
    ),
    Option(
        key="disable_cgroup_namespace", field="disable_cgroup_namespace", kind="flag", group="isolation",
        default="false", example="true", bare="true",
        help="show the workload the path of its cgroup on the host",
    ),
    Option(
        key="trust_level", field="trust_level", kind="choice", group="security", metavar="LEVEL",
        default="trusted", choices=("trusted", "untrusted"), example="trusted",
        help="untrusted says that the program may attack the kernel itself: it is refused, unless it runs on a "
        "kernel that is not the host's",
    ),
    Option(
        key="runtime", field="runtime", kind="choice", group="security", metavar="NAME", default="native",
        choices=("native",), later=("gvisor",), example="native",
        help="what answers system calls: native, the host's kernel",
    ),
    Option(
        key="require_kernel_lockdown", field="require_lockdown", kind="choice", group="security",
        metavar="LEVEL", choices=("integrity", "confidentiality"), example="integrity",
        help="start only on a kernel that is locked down at least so far (kernel_lockdown(7))",
    ),
    Option(
        key="proc_rw", field="proc_rw", kind="flag", group="security", default="false", example="true",
        bare="true",
        help="leave /proc writable where the workload's user may write, such as /proc/self/oom_score_adj; "
        "what is masked stays masked",
    ),
    Option(
        key="seccomp_profile", field="seccomp_profile", kind="profile", group="security",
        metavar="builtin:NAME|FILE", default="builtin:default", example="builtin:strict",
        help="the list of system calls: builtin:default runs real toolchains, builtin:strict is small and "
        "kills; or a JSON file in the form of the OCI runtime specification",
    ),
    Option(
        key="seccomp_profile_sha256", field="seccomp_profile_sha256", kind="sha256", group="security", metavar="HEX",
        example=_HASH,
        help="start only if the file of --seccomp-profile has this SHA-256",
    ),
    Option(
        key="seccomp_allow", field="seccomp_allow", kind="syscall", group="security", metavar="NAME",
        example="personality", repeat=True,
        help="a system call to allow beyond the profile",
    ),
    Option(
        key="seccomp_mode", field="seccomp_mode", kind="choice", group="security", metavar="MODE",
        default="enforce", choices=("enforce", "trace"), example="trace",
        help="trace: record every system call that the profile allows, in --seccomp-log; what it refuses stays refused",
    ),
    Option(
        key="seccomp_log", field="seccomp_log", kind="path", group="security", metavar="FILE",
        example="calls.jsonl",
        help="where --seccomp-mode trace records calls, one JSON object a line (appended, mode 0600); `nucleus seccomp "
        "generate` makes a profile of it",
    ),
    Option(
        key="seccomp_log_denied", field="seccomp_log_denied", kind="flag", group="security", default="false",
        example="true", bare="true",
        help="record the system calls that are refused; `nucleus why` tells them",
    ),
    Option(
        key="verify_rootfs_attestation", field="verify_attestation", kind="flag", group="security", default="false",
        example="true", bare="true",
        help="start only if --rootfs is, file by file, what its manifest says (`nucleus rootfs attest DIR`)",
    ),
    Option(
        key="rootfs_attestation", field="rootfs_attestation", kind="path", group="security", metavar="FILE",
        example="rootfs.manifest",
        help="the manifest, where it does not lie at the top of the root file system",
    ),
    Option(
        key="rootfs_attestation_sha256", field="rootfs_attestation_sha256", kind="sha256", group="security",
        metavar="HEX", example=_HASH,
        help="start only if the manifest has this SHA-256",
    ),
    Option(
        key="landlock_policy", field="landlock_policy", kind="path", group="security", metavar="FILE",
        example="landlock.toml",
        help="a TOML file with the paths, TCP ports and scopes of Landlock, in place of the rules that follow from the "
        "mounts",
    ),
    Option(
        key="landlock_policy_sha256", field="landlock_policy_sha256", kind="sha256", group="security",
        metavar="HEX", example=_HASH,
        help="start only if the file of --landlock-policy has this SHA-256",
    ),
    Option(
        key="caps_policy", field="caps_policy", kind="path", group="security", metavar="FILE", example="caps.toml",
        help="a TOML file with the capabilities that the workload keeps in its user namespace; without it, none",
    ),
    Option(
        key="caps_policy_sha256", field="caps_policy_sha256", kind="sha256", group="security", metavar="HEX",
        example=_HASH,
        help="start only if the file of --caps-policy has this SHA-256",
    ),
    Option(
        key="allow_degraded_security", field="degraded", kind="layers", group="security", metavar="LAYERS",
        example="landlock", bare="all",
        help="run although a layer cannot be had: a comma list of seccomp, landlock, cgroup, userns-limit, "
        "devices, or all",
    ),
)  # fmt: skip
