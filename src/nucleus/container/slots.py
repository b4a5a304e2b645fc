"""The descriptors that a plan refers to by name, opened for one launch.  ✗ what for: the plan says."""

from __future__ import annotations

import os
from errno import ELOOP

from ..base.errors import HostUnsupported, SpecError
from ..launch import launcher
from ..plan.notes import EVENTS_FILE, EVENTS_MAX_BYTES

_OWNER_KILLS = 1  # supervise.owner: whoever waits at the gate for him waits no longer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..host.facts import HostFacts
    from ..plan.steps import LaunchPlan
    from ..spec.container import ContainerSpec
    from .prepared import Prepared


def open_slots(
    prepared: Prepared,
    spec: ContainerSpec,
    facts: HostFacts,
    variables: dict[str, str],
    parents: list[int],
    sealed: int = -1,
) -> None:
    """Open what the plan refers to by name, in its order; secrets are read from where the spec says.

    sealed: the variables in a file already, which is among `held`.
    """
    assert prepared.plan is not None and prepared.state is not None
    for name in prepared.plan.slots:
        kind, _, number = name.partition(":")
        if kind == "environment":
            fd = sealed
            if fd < 0:
                fd = launcher.sealed_environment(variables)
        elif kind == "cgroup":
            fd = parents[int(number)]
        elif kind == "secret":
            fd = _secret(prepared, spec, int(number))
        elif kind == "origins":
            fd = _origins(spec, prepared.plan)
        elif kind == "root":  # plan/prepared.py
            fd = prepared.root
        elif kind == "devices":
            fd = prepared.devices
        elif kind == "network":  # plan/spares.py
            fd = prepared.network
        elif kind == "spares":
            fd = prepared.spares
        elif kind == "events":
            fd = open_events(prepared.store.path)
        elif kind.startswith("hook"):
            fd = _open_hook(name, prepared)
        elif kind == "trace":
            from .running.traced import start

            fd = start(prepared, spec, facts.kernel.arch)
        elif kind in _SINKS:
            fd = _open_sink(kind, spec)
        else:
            fd = _open_other(kind, prepared, facts)
        prepared.slots.append(fd)
    # The directory's lock is held by whoever has the descriptor, also where no step uses it.
    prepared.held = [fd for fd in [*prepared.held, prepared.state.fd] if fd not in prepared.slots]


def _open_hook(name: str, prepared: Prepared) -> int:
    from .inputs.hooks_inside import Inside

    assert prepared.request is not None
    prepared.hooks = prepared.hooks or Inside()
    return prepared.hooks.open_slot(name, prepared.request.hooks)


def _origins(spec: ContainerSpec, plan: LaunchPlan) -> int:
    """For the program that explains a failure: where to, and the option behind each step."""
    return launcher.sealed_origins((spec.log_format, spec.log_path), [s.origin for s in plan.steps])


# Slot → the option, and the field that says where.
_SINKS = {
    "events-file": ("--events-jsonl", "events_jsonl"),
    "events-fd": ("--events-fd", "events_fd"),
    "audit-file": ("--audit-log", "audit_log"),
}


def open_events(root: str) -> int:
    """The state root, where the events of all its containers are; a file that is full is put aside first."""
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if os.stat(EVENTS_FILE, dir_fd=fd).st_size > EVENTS_MAX_BYTES:
            from ..observe.events import rotate

            rotate(fd)
    except OSError:
        pass  # none yet, or put aside by another command this moment
    return fd


def _open_sink(kind: str, spec: ContainerSpec) -> int:
    """Where somebody asked for events or for the audit log."""
    option, field = _SINKS[kind]
    where: str | int = getattr(spec, field)
    try:
        if isinstance(where, int):
            return os.dup(where)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        return os.open(where, flags, 0o600)
    except OSError as error:
        shown = where if isinstance(where, str) else f"descriptor {where}"
        raise SpecError(
            f"{shown} cannot be written: {(error.strerror or '').lower()}", where=option,
            remedy="open it for the command" if isinstance(where, int) else "name a file that you may write",
        ) from None  # fmt: skip


def _open_other(kind: str, prepared: Prepared, facts: HostFacts) -> int:
    """Directories of the state root, and the programs that write id maps."""
    if kind == "state" and prepared.state is not None:
        return prepared.state.fd
    if kind == "start" and prepared.state is not None:
        from ..state import gate

        guarded = prepared.request is not None and prepared.request.owner == _OWNER_KILLS
        return gate.make(prepared.state.fd, guarded=guarded)
    if kind == "console":
        # `explain` starts nothing: nobody will send anything there.
        return (
            os.dup(prepared.console)
            if prepared.console >= 0
            else os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        )
    if kind == "state-root":
        return os.dup(prepared.store.containers_fd)
    if kind == "names":
        return os.dup(prepared.store.names_fd)
    helper = getattr(facts.subordinate, kind, None)  # newuidmap, newgidmap
    if helper is None:
        raise HostUnsupported(f"{kind} is missing", where="--userns", remedy="install it: package uidmap")
    return os.open(helper.path, os.O_PATH | os.O_CLOEXEC)


def _secret(prepared: Prepared, spec: ContainerSpec, number: int) -> int:
    """In the order of the plan: files, credentials, values from a descriptor."""
    if number < len(spec.secrets):
        return _open_secret(spec.secrets[number].source)
    number -= len(spec.secrets)
    if number < len(spec.credentials):
        from .inputs.handed_secrets import open_credential

        return open_credential(spec.credentials[number].source)
    return prepared.values[number - len(spec.credentials)]


def look_at_files(spec: ContainerSpec) -> None:
    """Open those that a spec names by their paths, as a start would, and close them again.  Raises SpecError."""
    for secret in spec.secrets:
        os.close(_open_secret(secret.source))
    for credential in spec.credentials:
        from .inputs.handed_secrets import open_credential

        os.close(open_credential(credential.source))
    for kind, (_, field) in _SINKS.items():
        if isinstance(path := getattr(spec, field), str) and path:
            os.close(_open_sink(kind, spec))


def _open_secret(path: str) -> int:
    """A regular file, opened once; the launcher reads it into the sandbox's memory."""
    from stat import S_ISREG

    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        reason = f"{path}: {(error.strerror or '').lower()}"
        if error.errno == ELOOP:
            reason = f"{path} is a symbolic link"
        raise SpecError(reason, where="--secret", remedy="name a readable regular file") from None
    if not S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise SpecError(f"{path} is not a regular file", where="--secret", remedy="name a regular file")
    return fd
