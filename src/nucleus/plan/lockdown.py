"""Landlock, then seccomp, then the proof: the same steps for run and for every process that joins later.

✗ nothing that differs between the two.
"""

from __future__ import annotations

from ..policy import landlock, seccomp
from .mounts import HOME

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .draft import Draft

_MODE_FILTER = 2


def _rules(draft: Draft) -> list[tuple[str, int, str, bool]]:
    """(path, access, origin, may be absent), as the mount table has them: a second layer that says the same."""
    request = draft.request
    read, run = landlock.READ, landlock.READ | landlock.EXECUTE
    everything = landlock.READ | landlock.EXECUTE | landlock.WRITE
    data = landlock.READ | landlock.WRITE
    rules: list[tuple[str, int, str, bool]] = [
        ("/", landlock.READ_DIR, "rootfs", False),
        ("/etc", read, "rootfs", False),
        ("/proc", read, "proc", False),
        ("/run", read, "rootfs", False),
        ("/dev/shm", data, "shm_size", False),
        ("/dev/pts", data | landlock.IOCTL_DEV, "devices", False),
        ("/tmp", everything, "tmp", False),
        (HOME, everything, "home", False),
    ]
    rules += [(f"/dev/{n}", landlock.DEVICE, "devices", False) for n in ("full", "null", "random", "tty", "urandom", "zero")]
    for entry in request.root_entries:
        if entry.source is not None:
            rules.append((entry.target, run, entry.origin, False))
    for volume in request.volumes:
        access = read if volume.read_only else data
        access |= landlock.EXECUTE if volume.executable else 0
        rules.append((volume.target, access, volume.origin, False))
    rules += [(t.target, read if t.read_only else everything, "tmpfs", False) for t in request.spec.tmpfs]
    return rules


def lockdown_steps(draft: Draft) -> None:
    """Landlock with every right the kernel knows; seccomp last, so that the filter allows nothing the setup needs."""
    request = draft.request
    draft.add("await-root", "rootfs")
    abi = request.facts.kernel.landlock_abi
    if abi and "landlock" not in request.degraded:
        handled = landlock.handled_fs(abi)
        draft.add("landlock-ruleset", "landlock", fs=handled, net=0, scoped=0)
        files = {v.target for v in request.volumes if v.source.is_file}
        files |= {e.target for e in request.root_entries if e.source is not None and e.source.is_file}
        for path, access, origin, optional in _rules(draft):
            is_file = path in files or (path.startswith("/dev/") and path.count("/") == 2 and path not in _DIRECTORIES)
            access = landlock.for_kind(access, is_file=is_file) & handled
            draft.add("landlock-path", origin, path=path, access=access, optional=int(optional))
        draft.add("landlock-restrict", "landlock", flags=0)
    mode = 0
    if "seccomp" not in request.degraded:
        program = seccomp.program(request.spec.seccomp_profile, request.spec.seccomp_allow, request.facts.kernel.arch)
        draft.add("set-seccomp", "seccomp_profile", program=program, flags=0)
        mode = _MODE_FILTER
    draft.add("assert-locked", "always", permitted=0, seccomp_mode=mode)


_DIRECTORIES = ("/dev/shm", "/dev/pts")
