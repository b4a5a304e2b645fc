"""Rules between options, one function each: what cannot hold together, what would have no effect.

`check` returns every problem and raises nothing.  ✗ the machine: what depends on the host is judged later.
"""

from __future__ import annotations

from ..base.errors import Problem, SpecError
from .options import BY_KEY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .container import ContainerSpec
    from .process import IdMap


class _Where:
    """Key of an option → where it was written, for the reader; its flag where nobody knows better."""

    __slots__ = ("places",)

    def __init__(self, places: Mapping[str, str]) -> None:
        self.places = places

    def __getitem__(self, key: str) -> str:
        return self.places.get(key) or BY_KEY[key].flag

    def item(self, key: str, number: int) -> str:
        """Where one of the values of a repeatable option was written."""
        return self.places.get(f"{key}[{number}]") or self[key]

    def nowhere(self, key: str) -> bool:
        """Nobody wrote that option; one that was written wrongly is told of already."""
        return key not in self.places


def check(spec: ContainerSpec, places: Mapping[str, str] | None = None) -> tuple[Problem, ...]:
    """All problems of that spec.  `places`: where each option was written."""
    where = _Where(places or {})
    return tuple([problem for rule in RULES for problem in rule(spec, where)])


def require(spec: ContainerSpec) -> ContainerSpec:
    """The spec, for one that was made by hand and that no parser has judged.  Raises SpecError with all problems."""
    problems = check(spec)
    if problems:
        raise SpecError(problems=problems)
    return spec


def _problem(where: str, message: str, remedy: str) -> Problem:
    return Problem(message=message, where=where, remedy=remedy)


def needs_a_command(spec: ContainerSpec, where: _Where) -> Iterator[Problem]:
    """There is a program to run, and it can be handed to execve(2)."""
    if not spec.command:
        yield _problem(
            where.places.get("command", "command"),
            "no command was given",
            "write it after --, such as -- make test",
        )
    elif not spec.command[0]:
        yield _problem(
            where.places.get("command", "command"), "the name of the program is empty", "write a program"
        )


def needs_to_be_detached(spec: ContainerSpec, where: _Where) -> Iterator[Problem]:
    """What a container in the foreground runs under is the caller."""
    if spec.wrote("detach_with") and not spec.detach and where.nowhere("detach"):
        yield _problem(
            where["detach_with"], "has no effect without --detach", "add --detach, or leave it away"
        )


_LOG_LEAST = 4096  # a frame of it holds at least what one read of a busy stream gives


def log_files_belong_to_the_detached(spec: ContainerSpec, where: _Where) -> Iterator[Problem]:
    """Who runs in the foreground prints to the caller, who runs under systemd to the journal: neither has files."""
    for key in ("log_max_size", "log_max_files"):
        if not spec.wrote(key):
            continue
        if not spec.detach and where.nowhere("detach"):
            yield _problem(where[key], "has no effect without --detach", "add --detach, or leave it away")
        elif spec.detach_with == "systemd":
            yield _problem(
                where[key], "has no effect with --detach-with systemd: the journal keeps what it prints",
                "set SystemMaxUse= in journald.conf(5), or use --detach-with none",
            )  # fmt: skip
        elif spec.tty:
            yield _problem(
                where[key], "has no effect with --tty: a terminal is kept, not a log", "leave it away"
            )
    if spec.log_max_bytes < _LOG_LEAST:
        yield _problem(where["log_max_size"], "is too small for a log", "use at least 4K")


def needs_a_workspace(spec: ContainerSpec, where: _Where) -> Iterator[Problem]:
    """Options of the workspace say nothing without one."""
    for key in ("workspace_mode", "workspace_exec", "allow_workspace_config"):
        if spec.wrote(key) and not spec.workspace and where.nowhere("workspace"):
            yield _problem(
                where[key], "has no effect without a workspace", "add --workspace DIR, or leave it away"
            )
    if spec.workspace and spec.workspace_mode == "bind-ro" and spec.allow_workspace_config:
        yield _problem(
            where["allow_workspace_config"],
            "has no effect on a read-only workspace",
            "leave it away, or use --workspace-mode bind-rw",
        )


def needs_a_context(spec: ContainerSpec, where: _Where) -> Iterator[Problem]:
    """Options of the context say nothing without one; a directory that is shown itself may change at any time."""
    for key in ("context_mode", "verify_context_integrity", "context_sha256"):
        if spec.wrote(key) and not spec.context and where.nowhere("context"):
            yield _problem(
                where[key], "has no effect without a context", "add --context DIR, or leave it away"
            )
    verified = "verify_context_integrity" if spec.verify_context else "context_sha256"
    if (spec.verify_context or spec.context_sha256) and spec.context and spec.context_mode == "bind":
        yield _problem(
            where[verified],
            "a bound context may change at any time: nothing that is verified would hold",
            "use --context-mode copy, or leave it away",
        )


def overlay_needs_a_rootfs(spec: ContainerSpec, where: _Where) -> Iterator[Problem]:
    """The host's own /usr is never made writable, not even as a copy in memory."""
    if spec.rootfs and spec.toolchain_rootfs:
        yield _problem(
            where["agent_toolchain_rootfs"], "--rootfs gives the root already", "use one of the two"
        )
    none = not (spec.rootfs or spec.toolchain_rootfs)
    if spec.wrote("rootfs_mode") and none and where.nowhere("rootfs"):
        yield _problem(
            where["rootfs_mode"], "has no effect without --rootfs", "add --rootfs DIR, or leave it away"
        )


def a_copy_is_applied_by_who_stays(spec: ContainerSpec, where: _Where) -> Iterator[Problem]:
    """copy-in-out needs somebody at the end: the command itself, a supervisor, or who keeps the terminal."""
    if spec.copies_workspace and spec.console_socket:
        yield _problem(
            where["console_socket"],
            "does not go with --workspace-mode copy-in-out: who has the terminal then is another program, "
            "and nobody would apply the changes",
            "leave it away and use `nucleus attach`, or use --workspace-mode bind-rw",
        )


def host_network_is_agreed(spec: ContainerSpec, where: _Where) -> Iterator[Problem]:
    """The host's network takes a second word."""
    if spec.network == "host" and not spec.allow_host_network:
        yield _problem(
            where["network"],
            "the host's network needs --allow-host-network",
            "add it to share all interfaces and ports, or use --network none",
        )
    if spec.allow_host_network and spec.network != "host":
        yield _problem(
            where["allow_host_network"], "has no effect without --network host", "add it, or leave this away"
        )


def untrusted_code_has_a_kernel_of_its_own(spec: ContainerSpec, where: _Where) -> Iterator[Problem]:
    """Namespaces and filters are no bound for who attacks the kernel; nor is anything, on the host's network."""
    if spec.trust_level != "untrusted":
        return
    if spec.network == "host":
        yield _problem(
            where["network"], "the host's network is not for untrusted programs", "use --network none"
        )
    if spec.runtime == "native":
        yield _problem(
            where["trust_level"],
            "an untrusted program needs a kernel that is not the host's: --runtime gvisor, which is not in this release",
            "run nucleus in a virtual machine of its own; or leave it away, if the program may be trusted not to attack "
            "the kernel",
        )


def memory_limits_agree(spec: ContainerSpec, where: _Where) -> Iterator[Problem]:
    """memory.high is below memory.max; swap is a part of the memory's limit."""
    if spec.memory_high_bytes and spec.memory_bytes and spec.memory_high_bytes > spec.memory_bytes:
        yield _problem(
            where["memory_high"], "is above --memory", "make it smaller than --memory, or leave it away"
        )
    if spec.swap_bytes is not None and spec.memory_bytes is None and where.nowhere("memory"):
        yield _problem(
            where["memory_swap"], "has no effect without --memory", "add --memory SIZE, or leave it away"
        )


def locked_memory_is_set_once(spec: ContainerSpec, where: _Where) -> Iterator[Problem]:
    """--memlock and --ulimit memlock= set the same limit."""
    if spec.memlock_bytes is not None and any(limit.name == "memlock" for limit in spec.ulimits):
        yield _problem(where["memlock"], "--ulimit memlock= sets the same limit", "use one of the two")


def id_maps_are_whole(spec: ContainerSpec, where: _Where) -> Iterator[Problem]:
    """Both maps or none; they replace --userns; no line overlaps another."""
    given, missing = ("uidmap", "gidmap") if spec.uidmap else ("gidmap", "uidmap")
    if bool(spec.uidmap) != bool(spec.gidmap) and where.nowhere(missing):
        yield _problem(
            where[given], f"needs {BY_KEY[missing].flag} too", f"add {BY_KEY[missing].flag} INSIDE:HOST:COUNT"
        )
    if spec.userns and (spec.uidmap or spec.gidmap):
        yield _problem(where["userns"], "has no effect beside --uidmap and --gidmap", "use one of the two")
    for key, lines in (("uidmap", spec.uidmap), ("gidmap", spec.gidmap)):
        if len(lines) > 340:  # user_namespaces(7): as many as fit the kernel's extents
            yield _problem(
                where[key], f"{len(lines)} lines are more than the kernel takes", "use at most 340"
            )
        elif _overlap(lines):
            yield _problem(
                where[key], "two lines map the same id", "let the lines be disjoint, inside and on the host"
            )


def _overlap(lines: tuple[IdMap, ...]) -> bool:
    for starts in ([(m.container, m.count) for m in lines], [(m.host, m.count) for m in lines]):
        starts.sort()
        for (start, count), (following, _) in zip(starts, starts[1:], strict=False):
            if following < start + count:
                return True
    return False


def sources_may_come_in(spec: ContainerSpec, where: _Where) -> Iterator[Problem]:
    """Parts of the host that no option brings in, judged as written; as found, at the launch."""
    sources = [(where.item("volume", n), v.source) for n, v in enumerate(spec.volumes)]
    sources += [(where.item("toolchain", n), path) for n, path in enumerate(spec.toolchains)]
    for key in ("provider_config_ro", "provider_config_rw"):
        sources += [(where.item(key, n), v.source) for n, v in enumerate(getattr(spec, key))]
    sources += [(where["workspace"], spec.workspace)] if spec.workspace else []
    sources += [(where["context"], spec.context)] if spec.context else []
    if not sources and not spec.rootfs and not spec.toolchain_rootfs:
        return
    from .paths import forbidden_source, normalise

    for place, path in sources:
        reason = forbidden_source(path) if path.startswith("/") else ""
        if reason:
            yield _problem(
                place, f"'{path}' is never let in: {reason}", "copy what is needed to another directory"
            )
    for key, path in (("rootfs", spec.rootfs), ("agent_toolchain_rootfs", spec.toolchain_rootfs)):
        if path.startswith("/") and normalise(path) == "/":
            yield _problem(
                where[key], "'/' would show the whole host", "leave it away: /usr of the host is the default"
            )


def targets_are_free(spec: ContainerSpec, where: _Where) -> Iterator[Problem]:
    """Nothing covers a part of the sandbox itself, and no two things stand at one path."""
    mounts = [(where.item("volume", n), v.target) for n, v in enumerate(spec.volumes)]
    mounts += [(where.item("tmpfs", n), t.target) for n, t in enumerate(spec.tmpfs)]
    for key in ("provider_config_ro", "provider_config_rw"):
        mounts += [(where.item(key, n), v.target) for n, v in enumerate(getattr(spec, key))]
    secrets = [(where.item("secret", n), s.target) for n, s in enumerate(spec.secrets)]
    secrets += [(where.item("systemd_credential", n), s.target) for n, s in enumerate(spec.credentials)]
    if not mounts and not secrets:
        return
    from .paths import is_below, reserved_target

    seen: set[str] = set()
    for place, target in mounts + secrets:
        if target in seen:
            yield _problem(place, f"'{target}' is the target of two options", "give each its own path inside")
        seen.add(target)
    for place, target in mounts:
        reason = reserved_target(target)
        if reason:
            yield _problem(
                place, f"'{target}' cannot be mounted over: {reason}", "choose another path inside"
            )
        if secrets and target == "/run":
            yield _problem(place, "'/run' would cover the secrets", "mount a directory below it")
    for place, below in secrets:
        for _, above in secrets:
            if above != below and is_below(below, above):
                yield _problem(place, f"'{below}' lies below the secret '{above}'", "choose another path")


def descriptors_differ(spec: ContainerSpec, where: _Where) -> Iterator[Problem]:
    """Each descriptor is read once."""
    if spec.env_fd is not None and where.places.get("config_fd") == f"--config-fd {spec.env_fd}":
        yield _problem(where["env_fd"], "is the descriptor of the launch document", "use two descriptors")
    read = [where.places.get("config_fd", "").removeprefix("--config-fd ")]
    read += [str(spec.env_fd)] if spec.env_fd is not None else []
    if spec.secrets_fd is not None and str(spec.secrets_fd) in (*read, str(spec.events_fd)):
        yield _problem(
            where["secrets_fd"], "is a descriptor for something else as well", "use two descriptors"
        )
    if spec.secrets_fd is not None and spec.restart != "no":
        yield _problem(
            where["secrets_fd"], "is read once, and a container that restarts needs its secrets again",
            "use --secret, or leave --restart away",
        )  # fmt: skip
    if spec.events_fd is None:
        return
    if spec.env_fd == spec.events_fd or where.places.get("config_fd") == f"--config-fd {spec.events_fd}":
        yield _problem(where["events_fd"], "is a descriptor that is read from", "use two descriptors")


def hashes_have_their_files(spec: ContainerSpec, where: _Where) -> Iterator[Problem]:
    """A hash without a file to hold it against says that somebody expected another policy."""
    for key, file in (
        ("seccomp_profile", spec.seccomp_file),
        ("landlock_policy", spec.landlock_policy),
        ("caps_policy", spec.caps_policy),
    ):
        if spec.wrote(f"{key}_sha256") and not file and where.nowhere(key):
            flag = BY_KEY[key].flag
            yield _problem(where[f"{key}_sha256"], f"has no file of {flag}", f"add {flag} FILE")
    if spec.seccomp_allow and spec.seccomp_file:
        yield _problem(
            where["seccomp_allow"], "has no effect on a profile from a file", "write the call into the file"
        )
    for key, layer in (("seccomp_profile", "seccomp"), ("landlock_policy", "landlock")):
        named = spec.seccomp_file if layer == "seccomp" else spec.landlock_policy
        if named and layer in spec.degraded:
            yield _problem(
                where[key],
                "is for a layer that --allow-degraded-security gives up",
                "leave one of the two away",
            )


def attestation_is_of_a_rootfs(spec: ContainerSpec, where: _Where) -> Iterator[Problem]:
    """A manifest is held against a root file system of one's own."""
    rootless = not (spec.rootfs or spec.toolchain_rootfs) and where.nowhere("rootfs")
    if spec.verify_attestation and rootless and spec.mode != "production":  # which says so itself
        yield _problem(where["verify_rootfs_attestation"], "has no root file system", "add --rootfs DIR")
    for key in ("rootfs_attestation", "rootfs_attestation_sha256"):
        if spec.wrote(key) and not spec.verify_attestation and where.nowhere("verify_rootfs_attestation"):
            yield _problem(
                where[key], "has no effect without --verify-rootfs-attestation", "add it, or leave this away"
            )


def console_needs_tty(spec: ContainerSpec, where: _Where) -> Iterator[Problem]:
    """Only a terminal can be sent."""
    if spec.console_socket and not spec.tty and where.nowhere("tty"):
        yield _problem(where["console_socket"], "needs --tty", "add --tty, or leave it out")


_HEALTH = ("health_interval", "health_timeout", "health_retries", "health_start_period", "health_on_failure")


def health_needs_a_check(spec: ContainerSpec, where: _Where) -> Iterator[Problem]:
    """Settings of a health check say nothing without one."""
    for key in _HEALTH:
        if spec.wrote(key) and not spec.health_cmd and where.nowhere("health_cmd"):
            yield _problem(
                where[key], "has no effect without --health-cmd", "add --health-cmd COMMAND, or leave it away"
            )


def readiness_is_asked_once(spec: ContainerSpec, where: _Where) -> Iterator[Problem]:
    """One probe says when the container is ready."""
    probes = ("readiness_exec", "readiness_tcp", "readiness_sd_notify")
    given = [key for key in probes if getattr(spec, key)]
    for key in given[1:]:
        yield _problem(
            where[key], f"{BY_KEY[given[0]].flag} says already when it is ready", "use one of the two"
        )


def one_process_stays_beside_it(spec: ContainerSpec, where: _Where) -> Iterator[Problem]:
    """The window of a terminal ends with one life of one command."""
    if not spec.supervised or not spec.tty:
        return
    for key in (
        "restart",
        "health_cmd",
        "readiness_exec",
        "readiness_tcp",
        "readiness_sd_notify",
        "sd_notify",
        "hooks",
        "pid_file",
    ):
        if spec.wrote(key):
            yield _problem(where[key], "cannot be had with --tty", "leave one of the two away")


def what_restarts_stays(spec: ContainerSpec, where: _Where) -> Iterator[Problem]:
    """A container that is removed at its end cannot start again."""
    again = "restart" if spec.restart != "no" else "health_on_failure"
    if spec.restart == "no" and not (spec.health_cmd and spec.health_on_failure == "restart"):
        return
    if spec.rm:
        yield _problem(where[again], "cannot restart what --rm removes", "leave one of the two away")


def calls_are_recorded_somewhere(spec: ContainerSpec, where: _Where) -> Iterator[Problem]:
    """A trace has a file, and the filter that it asks by."""
    trace = spec.seccomp_mode == "trace"
    if trace and not spec.seccomp_log and where.nowhere("seccomp_log"):
        yield _problem(where["seccomp_mode"], "has nowhere to write", "add --seccomp-log FILE")
    if spec.seccomp_log and not trace and where.nowhere("seccomp_mode"):
        yield _problem(
            where["seccomp_log"],
            "has no effect without a trace",
            "add --seccomp-mode trace, or leave it away",
        )
    if spec.asks_about_calls and "seccomp" in spec.degraded:
        key = "seccomp_mode" if trace else "seccomp_log_denied"
        yield _problem(
            where[key],
            "needs the filter that --allow-degraded-security gives up",
            "leave one of the two away",
        )
    for key in ("health_cmd", "readiness_exec"):
        if trace and spec.wrote(key):
            yield _problem(
                where[key], "cannot be had with --seccomp-mode trace: its calls would be missing in the record",
                "leave one of the two away",
            )  # fmt: skip


RULES = (
    needs_a_command,
    needs_to_be_detached,
    log_files_belong_to_the_detached,
    needs_a_workspace,
    needs_a_context,
    overlay_needs_a_rootfs,
    a_copy_is_applied_by_who_stays,
    host_network_is_agreed,
    untrusted_code_has_a_kernel_of_its_own,
    memory_limits_agree,
    locked_memory_is_set_once,
    id_maps_are_whole,
    sources_may_come_in,
    targets_are_free,
    descriptors_differ,
    attestation_is_of_a_rootfs,
    hashes_have_their_files,
    console_needs_tty,
    calls_are_recorded_somewhere,
    health_needs_a_check,
    readiness_is_asked_once,
    what_restarts_stays,
    one_process_stays_beside_it,
)
