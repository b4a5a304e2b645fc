"""THE table of options: each is declared once, here.

From it come the flags of `run`, the keys of launch documents, the JSON Schema, the help text and the
reference page.  Data only.  ✗ no parsing (`kinds.py`), ✗ no rule between options (`rules.py`), ✗ nothing that
costs start-up time.
"""

from __future__ import annotations

from ..base.value import Value

GROUPS = (
    ("document", "Document and output"),
    ("container", "Container"),
    ("process", "Process and environment"),
    ("files", "Files"),
    ("limits", "Limits"),
    ("isolation", "Network and identity mapping"),
    ("security", "Security"),
    ("supervision", "Supervision"),
)


class Option(Value):
    """One option.

    key      the key in launch documents; the flag is the key with dashes
    field    the field of ContainerSpec that it sets
    kind     the type of its value: a name in `kinds.PARSERS`
    default  what holds when nobody sets it, as a reader would write it; "" when there is nothing to write
    repeat   may be given several times (a list in documents); values add up
    bare     what the flag means without `=VALUE`; None when a value is needed
    choices  the only values; `later`: known values that this release refuses by name
    """

    key: str
    field: str
    kind: str
    group: str
    help: str
    short: str = ""
    metavar: str = ""
    unit: str = ""
    default: str = ""
    example: str = ""
    repeat: bool = False
    bare: str | None = None
    choices: tuple[str, ...] = ()
    later: tuple[str, ...] = ()
    document: bool = True
    cli: bool = True
    since: str = "0.1"

    @property
    def flag(self) -> str:
        """The long flag: `memory_swap` → `--memory-swap`."""
        return "--" + self.key.replace("_", "-")


OPTIONS: tuple[Option, ...] = (
    Option(
        key="command", field="command", kind="argument", group="container", metavar="COMMAND",
        example='["python3", "-m", "pytest"]', repeat=True, cli=False,
        help="the program and its arguments; on the command line everything after the options, or after `--`",
    ),
    Option(
        key="config", field="", kind="path", group="document", metavar="FILE", example="examples/tests.toml",
        document=False,
        help="read a launch document (.toml or .json); flags override its values, repeatable ones add to "
        "them",
    ),
    Option(
        key="config_fd", field="", kind="descriptor", group="document", metavar="N", example="3",
        document=False,
        help="read the launch document from an inherited descriptor above 2",
    ),
    Option(
        key="root", field="state_root", kind="path", group="document", metavar="DIR",
        example="/var/tmp/nucleus",
        help="the directory of the containers' records; else $NUCLEUS_STATE_DIR, else /run/nucleus or the "
        "user's own",
    ),
    Option(
        key="log", field="log_path", kind="path", group="document", metavar="FILE", example="nucleus.log",
        help="write nucleus' own messages to this file too (appended, mode 0600)",
    ),
    Option(
        key="log_format", field="log_format", kind="choice", group="document", metavar="FORMAT",
        default="text", choices=("text", "json"), example="json",
        help="the form of nucleus' own messages",
    ),
    Option(
        key="events_jsonl", field="events_jsonl", kind="path", group="document", metavar="FILE",
        example="events.jsonl",
        help="append the container's events to this file too, one JSON object a line (mode 0600)",
    ),
    Option(
        key="events_fd", field="events_fd", kind="descriptor", group="document", metavar="N", example="5",
        document=False,
        help="write the container's events to an inherited descriptor above 2 too; what its reader has no room "
        "for is left out",
    ),
    Option(
        key="audit_log", field="audit_log", kind="path", group="document", metavar="FILE",
        example="/var/log/nucleus-audit.jsonl",
        help="append to this file who started what, how confined, and how it ended; what looks like a secret is "
        "left out (mode 0600)",
    ),
    Option(
        key="name", field="name", kind="name", group="container", metavar="NAME",
        default="the container's id", example="tests",
        help="a name for the container, unique among those that exist",
    ),
    Option(
        key="label", field="labels", kind="label", group="container", short="-l", metavar="KEY=VALUE",
        example="team=search", repeat=True,
        help="a label of the container",
    ),
    Option(
        key="hostname", field="hostname", kind="hostname", group="container", metavar="NAME",
        default="from the name", example="builder",
        help="the host name inside",
    ),
    Option(
        key="service_mode", field="mode", kind="choice", group="container", metavar="MODE", default="agent",
        choices=("agent",), later=("strict-agent", "production", "mitos-agent"), example="agent",
        help="the set of rules that the container is held to",
    ),
    Option(
        key="rm", field="rm", kind="flag", group="container", default="false", example="true", bare="true",
        help="remove the container's record as soon as it ends",
    ),
    Option(
        key="detach", field="detach", kind="flag", group="container", short="-d", default="false",
        example="true", bare="true",
        help="let the container go on by itself: print its id once its command has been executed, keep what "
        "it prints for `nucleus logs`",
    ),
    Option(
        key="detach_with", field="detach_with", kind="choice", group="container", metavar="NAME",
        default="auto", choices=("auto", "systemd", "none"), example="none",
        help="what a detached container runs under: systemd, a transient service of the system's or the "
        "user's manager, whose journal keeps what it prints; none, a session of its own, with files for "
        "what it prints; auto, systemd where it runs and its journal can be read",
    ),
    Option(
        key="timeout", field="timeout_ms", kind="duration", group="container", metavar="TIME", unit="seconds",
        example="10m",
        help="end the container after this time, with exit code 124",
    ),
    Option(
        key="stop_signal", field="stop_signal", kind="signal", group="container", metavar="SIGNAL",
        default="TERM", example="INT",
        help="the signal that asks the workload to end",
    ),
    Option(
        key="stop_timeout", field="stop_timeout_ms", kind="duration", group="container", metavar="TIME",
        unit="seconds", default="10s", example="2s",
        help="time between the stop signal and SIGKILL; 0 kills at once",
    ),
    Option(
        key="workdir", field="workdir", kind="inside", group="process", short="-w", metavar="DIR",
        default="/workspace, or /home/agent without a workspace", example="/workspace/src",
        help="the working directory inside",
    ),
    Option(
        key="user", field="user", kind="user", group="process", short="-u", metavar="UID|NAME[:GID]",
        default="1000", example="1000:1000",
        help="the user inside; never 0 unless asked for. A name is looked up in the root file system's "
        "passwd",
    ),
    Option(
        key="group", field="group", kind="account", group="process", metavar="GID|NAME", default="the user's",
        example="1000",
        help="the primary group inside",
    ),
    Option(
        key="additional_group", field="additional_groups", kind="account", group="process",
        metavar="GID|NAME", example="44", repeat=True,
        help="a supplementary group inside",
    ),
    Option(
        key="env", field="env", kind="env", group="process", short="-e", metavar="KEY[=VALUE]",
        example="CI=1", repeat=True,
        help="an environment variable; without a value it is copied from the caller's environment",
    ),
    Option(
        key="env_file", field="", kind="path", group="process", metavar="FILE", example="test.env",
        repeat=True,
        help="environment variables from a file of KEY=VALUE lines; `#` begins a comment line; --env wins",
    ),
    Option(
        key="env_fd", field="env_fd", kind="descriptor", group="process", metavar="N", example="4",
        document=False,
        help="environment variables from an inherited descriptor above 2, as KEY=VALUE ended by NUL or new "
        "line, or JSON; their values are never written anywhere",
    ),
    Option(
        key="ulimit", field="ulimits", kind="ulimit", group="process", metavar="NAME=SOFT[:HARD]",
        example="nofile=1024:4096", repeat=True,
        help="a resource limit of each process (setrlimit)",
    ),
    Option(
        key="tty", field="tty", kind="flag", group="process", short="-t", default="false", example="true",
        bare="true",
        help="give the command a terminal of its own, of which the caller's is the window",
    ),
    Option(
        key="interactive", field="interactive", kind="flag", group="process", short="-i", default="false",
        example="true", bare="true",
        help="pass on what is typed into a terminal of --tty; without --tty the standard input is passed on "
        "anyway",
    ),
    Option(
        key="console_socket", field="console_socket", kind="path", group="process", metavar="PATH",
        example="/run/console.sock",
        help="send the terminal of --tty to the program that listens at this unix socket, as OCI runtimes do: "
        "one message with one descriptor",
    ),
    Option(
        key="rootfs", field="rootfs", kind="path", group="files", metavar="DIR", default="the host's /usr",
        example="/srv/images/debian",
        help="the root file system, mounted read-only",
    ),
    Option(
        key="rootfs_mode", field="rootfs_mode", kind="choice", group="files", metavar="MODE", default="bind",
        choices=("bind", "overlay"), example="overlay",
        help="bind: --rootfs read-only; overlay: writable, and what is written lies in memory and goes with "
        "the container",
    ),
    Option(
        key="toolchain", field="toolchains", kind="path", group="files", metavar="DIR",
        example="/opt/toolchains/node", repeat=True,
        help="a directory of programs, read-only at the same path inside",
    ),
    Option(
        key="workspace", field="workspace", kind="workspace", group="files", metavar="DIR[:ro]", example=".",
        help="the directory that the workload works on, at /workspace; new files belong to the directory's "
        "owner",
    ),
    Option(
        key="workspace_mode", field="workspace_mode", kind="choice", group="files", metavar="MODE",
        default="bind-rw", choices=("bind-rw", "bind-ro", "copy-in-out"), example="bind-ro",
        help="writable in place, read-only, or a copy whose changes are applied at the end where nobody else "
        "changed the same",
    ),
    Option(
        key="workspace_exec", field="workspace_exec", kind="flag", group="files", default="true",
        example="false", bare="true",
        help="whether files below /workspace may be executed; true in mode agent",
    ),
    Option(
        key="allow_workspace_config", field="allow_workspace_config", kind="flag", group="files",
        default="false", example="true", bare="true",
        help="let the workload change files of the workspace that configure tools of the host, such as "
        ".git/hooks",
    ),
    Option(
        key="context", field="context", kind="path", group="files", metavar="DIR", example="./input",
        help="a directory of input files, read-only at /context",
    ),
    Option(
        key="context_mode", field="context_mode", kind="choice", group="files", metavar="MODE",
        default="copy", choices=("copy", "bind"), example="bind",
        help="copy leaves out links, repositories and what looks like credentials; bind shows the "
        "directory itself",
    ),
    Option(
        key="verify_context_integrity", field="verify_context", kind="flag", group="files", default="false",
        example="true", bare="true",
        help="refuse to start unless the copied context holds, byte for byte, what the directory held",
    ),
    Option(
        key="volume", field="volumes", kind="volume", group="files", short="-v", metavar="SRC:DEST[:ro|rw]",
        example="./data:/data:ro", repeat=True,
        help="a file or directory of the host at a path inside",
    ),
    Option(
        key="tmpfs", field="tmpfs", kind="tmpfs", group="files", metavar="DEST[:SIZE][:ro|rw]",
        example="/scratch:128M", repeat=True,
        help="an empty file system in memory; 64M when no size is given",
    ),
    Option(
        key="secret", field="secrets", kind="secret", group="files", metavar="NAME=FILE|SRC:DEST",
        example="token=./token.txt", repeat=True,
        help="a file whose content appears below /run/secrets, in memory, readable by the workload's user "
        "alone",
    ),
    Option(
        key="shm_size", field="shm_size_bytes", kind="size", group="files", metavar="SIZE", unit="bytes",
        default="64M", example="256M",
        help="the size of /dev/shm",
    ),
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
        key="proc_rw", field="proc_rw", kind="flag", group="security", default="false", example="true",
        bare="true",
        help="leave /proc writable where the workload's user may write, such as /proc/self/oom_score_adj; "
        "what is masked stays masked",
    ),
    Option(
        key="seccomp_profile", field="seccomp_profile", kind="profile", group="security",
        metavar="builtin:NAME", default="builtin:default", example="builtin:strict",
        help="the list of system calls: builtin:default runs real toolchains, builtin:strict is small and "
        "kills",
    ),
    Option(
        key="seccomp_allow", field="seccomp_allow", kind="syscall", group="security", metavar="NAME",
        example="personality", repeat=True,
        help="a system call to allow beyond the profile",
    ),
    Option(
        key="allow_degraded_security", field="degraded", kind="layers", group="security", metavar="LAYERS",
        example="landlock", bare="all",
        help="run although a layer cannot be had: a comma list of seccomp, landlock, cgroup, userns-limit, "
        "or all",
    ),
    Option(
        key="cidfile", field="cidfile", kind="path", group="container", metavar="FILE", example="tests.cid",
        help="write the container's id to this file, which must not exist yet",
    ),
    Option(
        key="pid_file", field="pid_file", kind="path", group="container", metavar="FILE",
        example="/run/tests.pid",
        help="write the pid of the container's first process, as the host sees it, to this file",
    ),
    Option(
        key="restart", field="restart", kind="restart", group="supervision", metavar="POLICY", default="no",
        example="on-failure:5",
        help="start the command again when it has ended: no; on-failure[:N], after an exit code other than 0, at "
        "most N times in a row; always; unless-stopped. `nucleus stop` ends it for good; pauses grow from 100 ms "
        "to 1 min, and begin anew after 10 s of health",
    ),
    Option(
        key="health_cmd", field="health_cmd", kind="command", group="supervision", metavar="COMMAND",
        example="pg_isready -q",
        help="a command line for /bin/sh, run inside as the workload again and again: exit code 0 says that the "
        "container is healthy",
    ),
    Option(
        key="health_interval", field="health_interval_ms", kind="interval", group="supervision", metavar="TIME",
        unit="seconds", default="30s", example="10s",
        help="time from one health check to the next",
    ),
    Option(
        key="health_timeout", field="health_timeout_ms", kind="interval", group="supervision", metavar="TIME",
        unit="seconds", default="5s", example="2s",
        help="a health check that takes longer has failed",
    ),
    Option(
        key="health_retries", field="health_retries", kind="retries", group="supervision", metavar="N",
        default="3", example="5",
        help="as many failed checks in a row make it unhealthy",
    ),
    Option(
        key="health_start_period", field="health_start_period_ms", kind="duration", group="supervision",
        metavar="TIME", unit="seconds", default="5s", example="1m",
        help="failed checks do not count for so long after the start, unless one has succeeded",
    ),
    Option(
        key="health_on_failure", field="health_on_failure", kind="choice", group="supervision",
        metavar="ACTION", default="kill", choices=("kill", "restart", "none"), example="restart",
        help="what happens to an unhealthy container: kill asks it to end, and --restart decides on; restart "
        "starts it again whatever --restart says; none only tells of it",
    ),
    Option(
        key="readiness_exec", field="readiness_exec", kind="command", group="supervision", metavar="COMMAND",
        example="test -e /tmp/ready",
        help="the container is ready when this command line, run inside as the workload, has exit code 0; tried "
        "each second, at most 60 times",
    ),
    Option(
        key="readiness_tcp", field="readiness_tcp", kind="port", group="supervision", metavar="PORT", default="",
        example="8080",
        help="the container is ready when this port of its own 127.0.0.1 takes connections; tried each second, at "
        "most 60 times",
    ),
    Option(
        key="readiness_sd_notify", field="readiness_sd_notify", kind="flag", group="supervision", default="false",
        example="true", bare="true",
        help="the container is ready when it says so: READY=1 to the socket $NOTIFY_SOCKET (sd_notify(3)), within "
        "60 s",
    ),
    Option(
        key="sd_notify", field="sd_notify", kind="flag", group="supervision", default="false", example="true",
        bare="true",
        help="tell the manager that started nucleus (Type=notify): READY when the container is ready or says so, "
        "STATUS, WATCHDOG and STOPPING as the container says them to its own $NOTIFY_SOCKET",
    ),
    Option(
        key="hooks", field="hooks", kind="path", group="supervision", metavar="FILE", example="hooks.json",
        help="run programs of the host at points of the container's life: a JSON object as in the OCI runtime "
        "specification, with createRuntime (or prestart), poststart and poststop",
    ),
)  # fmt: skip

BY_KEY: dict[str, Option] = {option.key: option for option in OPTIONS}
BY_FLAG: dict[str, Option] = {option.flag: option for option in OPTIONS if option.cli}
BY_SHORT: dict[str, Option] = {option.short: option for option in OPTIONS if option.short}
