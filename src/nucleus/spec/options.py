"""THE table of options: each is declared once, here or in one of the two tables that this one joins.

From it come the flags of `run`, the keys of launch documents, the JSON Schema, the help text and the
reference page.  Data only.  ✗ no parsing (`kinds.py`), ✗ no rule between options (`rules.py`), ✗ nothing that
costs start-up time.
"""

from __future__ import annotations

from .option import GROUPS, Option
from .options_confinement import CONFINEMENT
from .options_supervision import SUPERVISION

__all__ = ["BY_FLAG", "BY_KEY", "BY_SHORT", "GROUPS", "OPTIONS", "Option"]

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
        choices=("agent", "strict-agent", "production", "mitos-agent"), example="strict-agent",
        help="the set of rules that the container is held to: agent, for tools at work on a project; "
        "strict-agent (or mitos-agent), nothing may be missing or given up; production, a service of which "
        "every file is known beforehand. docs/reference/modes.md has the table",
    ),
    Option(
        key="strict_agent", field="", kind="flag", group="container", default="false", example="true",
        bare="true",
        help="the same as --service-mode strict-agent",
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
        key="log_max_size", field="log_max_bytes", kind="size", group="container", metavar="SIZE",
        unit="bytes", default="8M", example="1M",
        help="a file of what a detached container prints becomes the older one at this size, at least 4K; of "
        "containers under systemd the journal decides",
    ),
    Option(
        key="log_max_files", field="log_max_files", kind="files", group="container", metavar="N", default="3",
        example="5",
        help="as many of those files are kept, the newest included; the oldest is removed for the next one",
    ),
    Option(
        key="timeout", field="timeout_ms", kind="duration", group="container", metavar="TIME", unit="seconds",
        example="10m",
        help="end the container after this time, with exit code 124; 0 for no limit",
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
        key="agent_toolchain_rootfs", field="toolchain_rootfs", kind="path", group="files", metavar="DIR",
        example="/srv/toolchains/agent",
        help="a root file system of tools for an agent, instead of --rootfs; it may lie anywhere, and production "
        "does not take it",
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
        key="context_sha256", field="context_sha256", kind="sha256", group="files", metavar="HEX",
        example="e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        help="start only if the copy of --context has this digest over paths and contents (`nucleus context DIR`)",
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
        key="provider_config_ro", field="provider_config_ro", kind="provider", group="files",
        metavar="SRC:DEST", example="./gitconfig:.gitconfig", repeat=True,
        help="a tool's configuration, a file or directory, read-only in the home directory inside; DEST is "
        "relative to that, or a path below it",
    ),
    Option(
        key="provider_config_rw", field="provider_config_rw", kind="provider", group="files",
        metavar="SRC:DEST", example="./agent:.config/agent", repeat=True,
        help="the same, writable; nothing in it is executed",
    ),
    Option(
        key="secret", field="secrets", kind="secret", group="files", metavar="NAME=FILE|SRC:DEST",
        example="token=./token.txt", repeat=True,
        help="a file whose content appears below /run/secrets, in memory, readable by the workload's user "
        "alone",
    ),
    Option(
        key="secrets_fd", field="secrets_fd", kind="descriptor", group="files", metavar="N", example="6",
        help="secrets from an inherited descriptor above 2: NAME=VALUE, each ended by NUL, or a JSON object of strings; "
        "they appear as /run/secrets/NAME",
    ),
    Option(
        key="systemd_credential", field="credentials", kind="credential", group="files", metavar="NAME[:DEST]",
        example="db-password", repeat=True,
        help="a credential that systemd passed to the calling service (systemd.exec(5)), as /run/secrets/NAME or at DEST",
    ),
    Option(
        key="shm_size", field="shm_size_bytes", kind="size", group="files", metavar="SIZE", unit="bytes",
        default="64M", example="256M",
        help="the size of /dev/shm",
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
    *CONFINEMENT,
    *SUPERVISION,
)  # fmt: skip

BY_KEY: dict[str, Option] = {option.key: option for option in OPTIONS}
BY_FLAG: dict[str, Option] = {option.flag: option for option in OPTIONS if option.cli}
BY_SHORT: dict[str, Option] = {option.short: option for option in OPTIONS if option.short}
