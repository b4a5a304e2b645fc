"""ContainerSpec: all that was asked for, parsed, with units in the names.  ✗ the host, ✗ the plan, ✗ text."""

from __future__ import annotations

from ..base.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .filesystem import Secret, Tmpfs, Volume
    from .process import IdMap, Rlimit
    from .resources import IoLimit


class ContainerSpec(Value):
    """One container.  Each field is set by the option of `options.OPTIONS` that names it.

    explicit    keys of the options that somebody wrote, in the table's order: a default may give way where it
                cannot hold, what was written may not
    env_fd      the values read from there are in no spec
    """

    command: tuple[str, ...] = ()
    explicit: tuple[str, ...] = ()

    state_root: str = ""
    log_path: str = ""
    log_format: str = "text"
    events_jsonl: str = ""
    events_fd: int | None = None
    audit_log: str = ""

    name: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    hostname: str = ""
    mode: str = "agent"
    rm: bool = False
    detach: bool = False
    detach_with: str = "auto"
    log_max_bytes: int = 8 << 20
    log_max_files: int = 3
    timeout_ms: int | None = None
    stop_signal: int = 15
    stop_timeout_ms: int = 10_000

    workdir: str = "/workspace"  # when nobody wrote it and there is no workspace: the home directory
    user: str = ""  # decimal uid or a name; "" for the default identity
    group: str = ""  # decimal gid or a name; "" for the user's own
    additional_groups: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    env_fd: int | None = None
    ulimits: tuple[Rlimit, ...] = ()

    tty: bool = False
    interactive: bool = False
    console_socket: str = ""

    rootfs: str = ""
    rootfs_mode: str = "bind"
    toolchain_rootfs: str = ""  # instead of rootfs; a launch has it there
    toolchains: tuple[str, ...] = ()
    workspace: str = ""
    workspace_mode: str = "bind-rw"
    workspace_exec: bool = True
    allow_workspace_config: bool = False
    context: str = ""
    context_mode: str = "copy"
    verify_context: bool = False
    context_sha256: str = ""
    volumes: tuple[Volume, ...] = ()
    tmpfs: tuple[Tmpfs, ...] = ()
    provider_config_ro: tuple[Volume, ...] = ()
    provider_config_rw: tuple[Volume, ...] = ()
    secrets: tuple[Secret, ...] = ()
    secrets_fd: int | None = None
    credentials: tuple[Secret, ...] = ()  # `source` is a name in $CREDENTIALS_DIRECTORY
    shm_size_bytes: int = 64 << 20

    memory_bytes: int | None = None
    memory_high_bytes: int | None = None
    swap_bytes: int | None = None
    cpu_quota_us: int | None = None  # per period of 100,000 µs
    cpu_weight: int | None = None
    pids: int = 512  # 0: no limit
    io_limits: tuple[IoLimit, ...] = ()
    cgroup_parent: str = ""
    memlock_bytes: int | None = None

    network: str = "none"
    allow_host_network: bool = False
    userns: str = ""  # keep-id, auto or nomap; "" when nobody chose
    uidmap: tuple[IdMap, ...] = ()
    gidmap: tuple[IdMap, ...] = ()

    time_namespace: bool = False
    disable_cgroup_namespace: bool = False

    trust_level: str = "trusted"
    runtime: str = "native"
    require_lockdown: str = ""  # integrity or confidentiality

    proc_rw: bool = False
    seccomp_profile: str = (
        "default"  # the name of a built-in profile, or the path of a file, which has a slash
    )
    seccomp_profile_sha256: str = ""
    seccomp_allow: tuple[str, ...] = ()
    seccomp_mode: str = "enforce"  # or trace: what the profile allows is recorded
    seccomp_log: str = ""
    seccomp_log_denied: bool = False
    verify_attestation: bool = False
    rootfs_attestation: str = ""  # the manifest, where it is not at the top of the root
    rootfs_attestation_sha256: str = ""
    landlock_policy: str = ""
    landlock_policy_sha256: str = ""
    caps_policy: str = ""
    caps_policy_sha256: str = ""
    degraded: tuple[str, ...] = ()  # layers that may be missing

    cidfile: str = ""
    pid_file: str = ""
    restart: str = "no"  # no, on-failure, on-failure:N, always, unless-stopped
    health_cmd: str = ""
    health_interval_ms: int = 30_000
    health_timeout_ms: int = 5_000
    health_retries: int = 3
    health_start_period_ms: int = 5_000
    health_on_failure: str = "kill"
    readiness_exec: str = ""
    readiness_tcp: int | None = None
    readiness_sd_notify: bool = False
    sd_notify: bool = False
    hooks: str = ""

    @property
    def supervised(self) -> bool:
        """Whether something has to stay beside the container for its whole life (`container/supervision/supervisor.py`)."""
        asked = (
            self.health_cmd
            or self.readiness_exec
            or self.readiness_tcp
            or self.notifies
            or self.hooks
            or (self.copies_workspace and self.detach)
            or (self.pid_file and not self.detach)
        )
        return bool(asked) or self.restart != "no"

    @property
    def notifies(self) -> bool:
        """Whether the workload has a socket to tell its state."""
        return self.readiness_sd_notify or self.sd_notify

    @property
    def asks_about_calls(self) -> bool:
        """Whether somebody listens to the filter (`policy/seccomp_trace.py`)."""
        return self.seccomp_log_denied or self.seccomp_mode == "trace"

    @property
    def seccomp_file(self) -> str:
        """The file of the profile; "" with a built-in one."""
        return self.seccomp_profile if "/" in self.seccomp_profile else ""

    @property
    def names_policies(self) -> bool:
        """Whether a policy file has to be read (`container/inputs/policies.py`)."""
        return bool(self.seccomp_file or self.landlock_policy or self.caps_policy)

    @property
    def copies_workspace(self) -> bool:
        """Does the workload work on a copy, whose changes are applied afterwards?"""
        return self.workspace_mode == "copy-in-out"

    @property
    def executes_what_it_writes(self) -> bool:
        """May programs lie where the workload can write: /tmp, its home, writable volumes?"""
        return self.mode == "agent" or (self.mode == "strict-agent" and self.workspace_exec)

    def wrote(self, key: str) -> bool:
        """Whether somebody wrote that option, so that it must hold as written."""
        return key in self.explicit
