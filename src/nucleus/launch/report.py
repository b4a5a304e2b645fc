"""Fixed-size records of the launcher → values, and failures → sentences with a remedy.  ✗ starts nothing."""

from __future__ import annotations

import os
from errno import errorcode
from os import strerror
from struct import Struct

from ..base.errors import LaunchError
from ..base.value import Value
from ..plan import schema

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..plan.steps import Step

FAILURE = Struct("<IHHIiQQ")
EXIT = Struct("<8sIIiiQQ4Q3Q32s")
INIT = Struct("<8sIiiIQQ")
STARTED = Struct("<8sIIQ")
MESSAGE = Struct(f"<Ii{EXIT.size}s")
CREATED, READY, EXITED, ROOT, HOOKS = 1, 2, 3, 4, 5

OOM, TIMEOUT, OWNER_LOST, FAILED, DIRTY, INIT_KILLED = 1, 2, 4, 8, 16, 32


class Failure(Value):
    """Which step failed, with which errno; `detail` is what the step adds."""

    actor: int
    opcode: int
    step: int
    errno: int
    detail: int

    @property
    def step_name(self) -> str:
        """The step's name in the schema."""
        spec = schema.BY_OPCODE.get(self.opcode)
        return spec.name if spec else f"opcode {self.opcode}"


class ExitRecord(Value):
    """How a container ended.  Times in ns since the epoch; counters are 0 where nothing was counted."""

    exit_code: int
    signal: int
    flags: int
    started_ns: int
    finished_ns: int
    oom_kills: int
    memory_peak_bytes: int
    cpu_us: int
    pids_denied: int
    user_us: int
    system_us: int
    max_rss_bytes: int
    failure: Failure | None

    @property
    def reason(self) -> str:
        """exit, signal, oom, timeout, owner-lost, host-kill or failed."""
        if self.flags & FAILED:
            return "failed"
        for flag, word in (
            (TIMEOUT, "timeout"),
            (OOM, "oom"),
            (OWNER_LOST, "owner-lost"),
            (INIT_KILLED, "host-kill"),
        ):
            if self.flags & flag and not (flag == OOM and self.exit_code == 0):
                return word
        return "signal" if self.signal else "exit"


class InitRecord(Value):
    """The monitor's and init's pids with their start times in clock ticks; `building`: all is not there yet."""

    monitor_pid: int
    init_pid: int
    monitor_ticks: int
    init_ticks: int
    building: bool = False


class StartedRecord(Value):
    """When the command was executed, in ns since the epoch."""

    started_ns: int


def read_failure(data: bytes) -> Failure | None:
    """The 32-byte record, or None when it is empty."""
    magic, actor, opcode, step, error, detail, _ = FAILURE.unpack(data)
    if magic != 0x4C494146:
        return None
    return Failure(actor=actor, opcode=opcode, step=step, errno=error, detail=detail)


def read_exit(data: bytes) -> ExitRecord | None:
    """The exit record, or None when the bytes are not a whole one."""
    if len(data) != EXIT.size:
        return None
    magic, version, flags, code, signal, started, finished, *rest = EXIT.unpack(data)
    if magic != b"NUCEXIT\0" or version != 1:
        return None
    oom, peak, cpu, pids, user, system, rss, failure = rest
    return ExitRecord(
        exit_code=code, signal=signal, flags=flags, started_ns=started, finished_ns=finished, oom_kills=oom,
        memory_peak_bytes=peak, cpu_us=cpu, pids_denied=pids, user_us=user, system_us=system,
        max_rss_bytes=rss * 1024, failure=read_failure(failure),
    )  # fmt: skip


def exit_of(message: bytes) -> ExitRecord | None:
    """The exit record of a message on the control socket; None for any other message."""
    if len(message) != MESSAGE.size:
        return None
    kind, _, record = MESSAGE.unpack(message)
    return read_exit(record) if kind == EXITED else None


def read_init(data: bytes) -> InitRecord | None:
    """The init record, or None when the bytes are not a whole one."""
    if len(data) != INIT.size or not data.startswith(b"NUCINIT\0"):
        return None
    _, _, monitor, init, building, monitor_ticks, init_ticks = INIT.unpack(data)
    return InitRecord(
        monitor_pid=monitor, init_pid=init, monitor_ticks=monitor_ticks, init_ticks=init_ticks,
        building=building != 0,
    )  # fmt: skip


def read_started(data: bytes) -> StartedRecord | None:
    """The record of the start, or None when the bytes are not a whole one."""
    if len(data) != STARTED.size or not data.startswith(b"NUCSTRT\0"):
        return None
    return StartedRecord(started_ns=STARTED.unpack(data)[3])


# What any step may meet on a machine that is full.
_ANYWHERE = {
    "EMFILE": "raise the limit of open files: ulimit -n 1024",
    "ENFILE": "raise fs.file-max, or end other programs",
    "ENOMEM": "free some memory, or raise --memory",
}
_DELEGATION = "run `nucleus doctor`: it says which cgroups this user may use and how to get one delegated"
_USERNS = "run `nucleus doctor`: it says what forbids user namespaces here and the command that allows them"
_LINK_AT_TARGET = "{} is a symbolic link, or lies behind one, and would be mounted where that leads"
_LINK_REMEDY = "remove the link, which a command may have left there, or name the place itself"
# (step, errno name or "") → (what it means, what to do).  "" stands for any errno of the step.
_MEANINGS: dict[tuple[str, str], tuple[str, str]] = {
    ("exec", "ENOENT"): (
        "command not found: {command}",
        "install it, and what interprets it, below /usr, or add its directory with --toolchain DIR",
    ),
    ("exec", "EACCES"): ("not executable: {command}", "check its mode, and that its mount is not noexec"),
    ("exec", "ENOEXEC"): ("not a program this machine can run: {command}", "a script needs a #! line"),
    ("exec", "E2BIG"): ("arguments or environment are too large", "pass large data by a file in the workspace"),
    ("create-cgroup", ""): ("cannot create the container's cgroup", _DELEGATION),
    ("set-cgroup", "EINVAL"): ("the kernel refuses this limit: {file}={value}", "choose a value the controller takes"),
    ("set-cgroup", "ENODEV"): ("there is no such device here: {value}", "see lsblk for the numbers of a whole disk"),
    ("set-cgroup", ""): ("cannot set the limit {file}={value}", _DELEGATION),
    ("restrict-devices", ""): (
        "the kernel takes no list of devices for the container's cgroup",
        "use a kernel with CONFIG_CGROUP_BPF, or give the layer up: --allow-degraded-security=devices",
    ),
    ("attach-devices", ""): (
        "the kernel takes no list of devices for the container's cgroup",
        "use a kernel with CONFIG_CGROUP_BPF, or give the layer up: --allow-degraded-security=devices",
    ),
    ("spawn", "EPERM"): ("user namespaces are not allowed here", _USERNS),
    ("spawn", "ENOSPC"): ("too many namespaces", "raise user.max_user_namespaces, or stop other containers"),
    ("spawn", "EAGAIN"): ("too many processes", "raise the caller's nproc limit, or stop other processes"),
    ("spawn", ""): ("cannot create the namespaces", _USERNS),
    **dict.fromkeys(
        (("spawn-network", "EAGAIN"), ("spawn-workload", "EAGAIN")),
        ("no room for the workload's process beside init", "raise --pids to 2 or more, or the caller's nproc limit"),
    ),
    ("spawn-in-root", "EPERM"): ("a prepared root cannot be entered, or user namespaces are not allowed here", _USERNS),
    ("spawn-in-root", "ENOSPC"): ("too many namespaces", "raise user.max_user_namespaces, or stop other containers"),
    ("spawn-in-root", "EAGAIN"): ("too many processes", "raise the caller's nproc limit, or stop other processes"),
    ("spawn-in-root", ""): (
        "cannot create the namespaces in the prepared root", "run it again: the next start makes its own root",
    ),
    ("run-helper", "ECHILD"): (
        "newuidmap or newgidmap refused the id map",
        "check this user's lines in /etc/subuid and /etc/subgid, or use --userns nomap",
    ),
    **{
        (step, error): (f"the {point} hook {{arguments}} {what}", "mend the hook")
        for step, point in (("run-hook", "createContainer"), ("run-hook-inside", "startContainer"))
        for error, what in (("ECHILD", "failed"), ("ETIMEDOUT", "took longer than its timeout"))
    },
    ("write-id-map", ""): ("the kernel refuses the id map", _USERNS),
    ("open-tree", "ESTALE"): ("{path} was replaced while the container was being prepared", "run it again"),
    ("open-tree-inside", "ESTALE"): ("{path} was replaced while the container was being prepared", "run it again"),
    ("open-tree", "ELOOP"): ("{path} has become a symbolic link", "run it again"),
    ("open-tree-inside", "ELOOP"): ("{path} has become a symbolic link", "run it again"),
    ("open-tree-inside", "EACCES"): ("no right to open {path}", "give the calling user access to it"),
    ("map-mount", "EINVAL"): (
        "this file system takes no ID-mapped mounts",
        "put the directory on ext4, xfs, btrfs or tmpfs, or mount it read-only",
    ),
    ("mount-filesystem", "ENODEV"): (
        "this kernel has no file system {type}", "load it: modprobe {type}; for overlay, or use --rootfs-mode bind",
    ),
    ("mount-filesystem", "EPERM"): (
        "the kernel refuses a new {type} at {target}",
        "inside another container its /proc must not be masked: `nucleus doctor` says more",
    ),
    ("mount-filesystem", "ENOSPC"): ("mount limit reached", "raise fs.mount-max"),
    ("attach-mount", "ENOSPC"): ("mount limit reached", "raise fs.mount-max"),
    ("attach-mount", "ELOOP"): (_LINK_AT_TARGET.format("{target}"), _LINK_REMEDY),
    ("mount-filesystem", "ELOOP"): (_LINK_AT_TARGET.format("{target}"), _LINK_REMEDY),
    ("protect-path", "ELOOP"): ("{path} has become a symbolic link", "run it again"),
    ("attach-mount", "EROFS"): ("{target} does not exist and its place is read-only", "choose a target in a writable place"),
    ("write-secret", "ENOSPC"): ("the secrets do not fit (16 MiB)", "mount large files with --volume SRC:DEST:ro"),
    ("make-root", ""): ("cannot make the private root", "run `nucleus doctor`"),
    ("new-keyring", "EDQUOT"): (
        "this user has no room for another keyring", "end other containers, or raise kernel.keys.maxkeys",
    ),
    ("new-keyring", ""): (
        "no session keyring of its own can be had, so that the caller's keys would be in reach",
        "let keyctl(2) through where nucleus runs: a seccomp profile or security module around it refuses the call",
    ),
    ("set-rlimit", "EPERM"): ("this limit is above the caller's hard limit", "lower --ulimit or --memlock"),
    ("set-seccomp", ""): ("the kernel refuses the seccomp filter", "run `nucleus doctor`"),
    ("attach-tracer", "EPERM"): (
        "the command cannot be traced here",
        "see kernel.yama.ptrace_scope, where 3 forbids it to all, and whether a profile around nucleus refuses ptrace(2)",
    ),
    ("attach-tracer", ""): ("the tracer has ended, or cannot attach to the command", "leave --seccomp-mode away"),
    ("trace-seccomp", ""): (
        "the kernel refuses a seccomp filter with a listener", "leave --seccomp-log-denied away",
    ),
    ("assert-locked", ""): ("the lockdown did not hold when read back", "this is a bug: please report it"),
    ("landlock-path", "ELOOP"): (
        "{path} is a symbolic link, or lies behind one, where others may write", "name the place itself in the policy",
    ),
    ("landlock-path", "ENOENT"): (
        "{path} does not exist inside", "check --rootfs and the volumes; a rule of a policy may say optional = true",
    ),
}  # fmt: skip


def launch_error(
    failure: Failure, step: Step | None, origin: str, exit_code: int, command: str = "command"
) -> LaunchError:
    """The sentence for a failed step.  `step` is the plan's, when the plan is at hand; else it names `command` at most."""
    name, word = failure.step_name, errorcode.get(failure.errno, str(failure.errno))
    if name == "exec" and failure.detail:
        meaning = (
            "the working directory cannot be entered: {directory}",
            "choose one that exists with --workdir, and that the user inside may enter",
        )
    else:
        meaning = _MEANINGS.get((name, word)) or _MEANINGS.get((name, "")) or ("", "run `nucleus doctor`")
        if (name, word) not in _MEANINGS and word in _ANYWHERE:
            meaning = (meaning[0], _ANYWHERE[word])
    values = {"command": command}
    described = f"carry out {name}"
    if step is not None:
        from ..plan.explain import sentence

        values = {k: _text(v) for k, v in zip(step.spec.names, step.values, strict=True)}
        if "arguments" in step.spec.names:
            values["command"] = _text(bytes(step["arguments"]).partition(b"\0")[0])  # type: ignore[arg-type]
        described = sentence(step)
    text = meaning[0].format_map(_Named(values)) if meaning[0] else f"cannot {described}"
    if len(text) > _MAX_TEXT:
        text = text[: _MAX_TEXT - 3] + "..."
    if name.startswith("run-hook") and word == "ECHILD":
        text += f": {_status(failure.detail)}"
    elif word != "ELOOP" and (name, word) not in _SAID:  # the kernel's word is "too many levels"
        text += f" ({strerror(failure.errno).lower()})"
    remedy = meaning[1]
    if name == "exec":
        where = "--workdir" if failure.detail else "command"
        if word == "EACCES" and failure.detail and values.get("directory") == "/workspace":
            where, remedy = (
                "--workspace",
                "let the user inside enter it, by its owner and its mode, or choose another",
            )
        if word == "ENOENT" and not failure.detail:
            remedy = _found_here(values["command"]) or remedy
            if " " in values["command"]:
                remedy = "it is one word, in quotes: leave them away, or let a shell read it: sh -c '…'"
    else:
        where = f"--{origin.replace('_', '-')}" if origin in _OPTION_WORDS else f"step {failure.step} {name}"
    return LaunchError(
        text,
        where=where,
        remedy=remedy,
        step=failure.step,
        opcode=name,
        errno=failure.errno,
        exit_code=exit_code,
    )


def _found_here(command: str) -> str:
    """What to do about a command of that name which the caller's own PATH has, outside of what is seen inside."""
    for folder in os.environ.get("PATH", "").split(":") if "/" not in command else ():
        path = os.path.realpath(os.path.join(folder, command)) if folder.startswith("/") else "/usr/"
        if not path.startswith(("/usr/", "/bin/", "/sbin/")) and os.access(path, os.X_OK):
            return f"here it is {path}: show its toolchain with --toolchain DIR, and name its folder in --env PATH=…"
    return ""


_SAID = (("exec", "ENOENT"), ("run-helper", "ECHILD"))  # the kernel's word would say another thing
_OPTION_WORDS = frozenset((
    "workspace", "volume", "toolchain", "context", "secret", "tmpfs", "memory", "cpus", "pids", "io_limit", "ulimit",
    "memlock", "memory_high", "memory_swap", "cpu_weight", "rootfs", "shm_size", "userns", "seccomp_profile",
    "provider_config_ro", "provider_config_rw", "hooks",
))  # fmt: skip


_MAX_TEXT = 400  # an argument or a path may be far longer


def silent(where: str) -> LaunchError:
    """Nobody could say how it ended: not even a step that failed.  where: the container's id, or what waited."""
    return LaunchError(
        "the monitor ended without a word", where=where[:12],
        remedy="it was killed from outside: run it again",
    )  # fmt: skip


class _Named(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return key


def _status(detail: int) -> str:
    """A status of wait(2) in words."""
    return f"signal {detail & 0x7F}" if detail & 0x7F else f"exit code {detail >> 8 & 0xFF}"


def _text(value: int | str | bytes) -> str:
    if isinstance(value, bytes):
        return value.rstrip(b"\0").replace(b"\0", b" ").decode("utf-8", "replace")
    return str(value)
