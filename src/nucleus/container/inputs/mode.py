"""What a launch is held to beyond mode agent: the refusals and defaults of its mode, and what the machine must offer.

Imported only where a mode other than agent, or an assertion about the machine, was asked for.
✗ what the modes demand: `policy/modes.py`.
"""

from __future__ import annotations

import os
from stat import S_ISDIR

from ...base.errors import HostUnsupported, SpecError
from ...policy import modes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...host.facts import HostFacts
    from ...spec.container import ContainerSpec

_STORE = "/nix/store/"
_LEVELS = ("integrity", "confidentiality")
_OTHERS_WRITE = 0o022


def held(spec: ContainerSpec, facts: HostFacts) -> ContainerSpec:
    """The spec with its mode's defaults, once everything that the mode and the assertions demand is there."""
    if spec.mode != "agent":
        spec = refuse(spec)
        _landlock(spec, facts)
        if spec.rootfs:
            _rootfs(spec)
    if spec.require_lockdown:
        _lockdown(spec, facts)
    return spec


def refuse(spec: ContainerSpec) -> ContainerSpec:
    """The spec with its mode's defaults.  Raises SpecError with all that the mode refuses."""
    spec = modes.settled(spec)
    found = modes.problems(spec)
    if found:
        raise SpecError(problems=found)
    return spec


def _lockdown(spec: ContainerSpec, facts: HostFacts) -> None:
    """Confidentiality holds integrity as well."""
    now, wanted = facts.kernel.lockdown, spec.require_lockdown
    if now in ("integrity", "confidentiality") and _LEVELS.index(now) >= _LEVELS.index(wanted):
        return
    raise HostUnsupported(
        f"this kernel is {'not locked down' if now in ('', 'none') else f'locked down for {now} only'}",
        where="--require-kernel-lockdown",
        remedy=f"boot with lockdown={wanted} on the kernel's command line, or leave it away",
    )


def _landlock(spec: ContainerSpec, facts: HostFacts) -> None:
    abi = facts.kernel.landlock_abi
    error = modes.fatal("landlock-partial", spec.mode, f"this kernel offers ABI {abi}")
    if error is not None and abi < modes.LANDLOCK_ABI:
        raise error


def _rootfs(spec: ContainerSpec) -> None:
    """Whoever could change one directory on the way could exchange the root after it was looked at."""
    canonical = os.path.realpath(spec.rootfs)
    blamed = "" if canonical.startswith(_STORE) else _changeable(canonical)
    error = modes.fatal("rootfs-owner", spec.mode, blamed)
    if blamed and error is not None:
        raise error


def _changeable(path: str) -> str:
    """Who else could change something on the way to that directory, in words; ""."""
    parts = path.rstrip("/").split("/")
    for step in ["/".join(parts[:n]) or "/" for n in range(1, len(parts) + 1)]:
        try:
            status = os.stat(step, follow_symlinks=False)
        except OSError:
            return ""  # it does not exist: told of where it is opened
        if not S_ISDIR(status.st_mode):
            return f"{step} is not a directory"
        if status.st_uid != 0:
            return f"{step} belongs to uid {status.st_uid}"
        if status.st_mode & _OTHERS_WRITE:
            return f"{step} can be written by others"
    return ""
