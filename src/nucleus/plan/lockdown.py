"""The terminal, Landlock, then seccomp, then the proof: who joins later repeats what confines (`join.py`).

✗ nothing that differs between the two.
"""

from __future__ import annotations

from ..policy import landlock, seccomp
from .mounts import HOME, overlaid
from .rootfs import NODES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .draft import Draft

_MODE_FILTER = 2


def _rules(draft: Draft) -> list[tuple[str, int, str, bool]]:
    """(path, access, origin, is a file), as the mount table has them: a second layer that says the same."""
    request = draft.request
    read, run = landlock.READ, landlock.READ | landlock.EXECUTE
    data = landlock.READ | landlock.WRITE
    everything = data | (landlock.EXECUTE if request.spec.executes_what_it_writes else 0)
    rules: list[tuple[str, int, str, bool]] = [
        ("/", landlock.READ_DIR, "rootfs", False),
        ("/etc", read, "rootfs", False),
        ("/proc", data if request.spec.proc_rw else read, "proc", False),
        ("/run", read, "rootfs", False),
        ("/dev/shm", data, "shm_size", False),
        ("/dev/pts", data | landlock.IOCTL_DEV, "devices", False),
        ("/tmp", everything, "tmp", False),
        (HOME, everything, "home", False),
    ]
    rules += [(f"/dev/{n}", landlock.DEVICE, "devices", True) for n in NODES]
    for entry in request.root_entries:
        # A rule covers the mounts below its directory: what lies in /etc needs none of its own.
        if entry.source is not None and not entry.target.startswith("/etc/"):
            access = read if entry.target == "/etc" else run
            access |= landlock.WRITE if overlaid(request, entry) else 0
            rules.append((entry.target, access, entry.origin, entry.source.is_file))
    for volume in request.volumes:
        access = read if volume.read_only else data
        access |= landlock.EXECUTE if volume.executable else 0
        rules.append((volume.target, access, volume.origin, volume.source.is_file))
    rules += [(t.target, read if t.read_only else everything, "tmpfs", False) for t in request.spec.tmpfs]
    return rules


def lockdown_steps(draft: Draft) -> None:
    """Landlock with every right the kernel knows; seccomp last, so that the filter allows nothing the setup needs."""
    request = draft.request
    policies = request.policies
    draft.add("await-root", "rootfs")
    if request.console is not None:
        rows, columns = request.console
        draft.add("open-console", "tty", channel=draft.slot("console"), rows=rows, columns=columns)
    abi = request.facts.kernel.landlock_abi
    if abi > 0 and "landlock" not in request.degraded:
        handled = landlock.handled_fs(abi)
        # The pid namespace does not hold kill(0): below a terminal the process group is the caller's.  Abstract sockets
        # need a scope only where the network namespace is the host's.
        shared = landlock.SCOPE_ABSTRACT_UNIX_SOCKET if request.spec.network == "host" else 0
        scopes = landlock.handled_scopes(abi) & (landlock.SCOPE_SIGNAL | shared)
        if policies is not None and policies.landlock is not None:
            from .from_policies import landlock_steps

            landlock_steps(draft, policies.landlock, scopes)
        else:
            draft.add("landlock-ruleset", "landlock", fs=handled, net=0, scoped=scopes)
            links = [e.target for e in request.root_entries if e.link]  # a rootfs may have such an /etc
            for path, access, origin, is_file in _rules(draft):
                allowed = landlock.for_kind(access, is_file=is_file) & handled
                exact = int(path not in links)
                draft.add("landlock-path", origin, path=path, access=allowed, optional=0, exact=exact)
            flags = landlock.restrict_flags(abi, log=request.spec.asks_about_calls)
            draft.add("landlock-restrict", "landlock", flags=flags)
    mode = 0 if "seccomp" in request.degraded else _seccomp(draft)
    kept = (
        policies.capabilities.permitted if policies is not None and policies.capabilities is not None else 0
    )
    draft.add("assert-locked", "always", permitted=kept, seccomp_mode=mode)


def _seccomp(draft: Draft) -> int:
    """The filter of a built-in profile, or of one from a file; the mode that it puts a process into."""
    request = draft.request
    policies, flags = request.policies, 0
    if policies is not None and policies.filter is not None:
        from .from_policies import program as program_of

        program, flags = program_of(draft, policies.filter), policies.filter_flags
    else:
        program = seccomp.program(
            request.spec.seccomp_profile, request.spec.seccomp_allow, request.facts.kernel.arch
        )
    if request.spec.asks_about_calls:
        trace_step(draft, program)
    else:
        draft.add("set-seccomp", "seccomp_profile", program=program, flags=flags)
    return _MODE_FILTER


def trace_step(draft: Draft, program: bytes) -> None:
    """The same filter, with a tracer that records every call, or a listener that hears of what is refused."""
    from ..policy.seccomp_trace import everything_asked, refusals_asked

    if draft.request.spec.seccomp_mode == "trace":
        asked = everything_asked(program, draft.request.facts.kernel.arch)
        draft.add("attach-tracer", "seccomp_mode", channel=draft.slot("trace"))
        draft.add("set-seccomp", "seccomp_mode", program=asked, flags=0)
        return
    asked = refusals_asked(program)
    draft.add("trace-seccomp", "seccomp_log_denied", program=asked, channel=draft.slot("trace"))
