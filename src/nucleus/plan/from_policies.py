"""The lockdown as policy files say it.  Imported only where there is one.  ✗ reads no file."""

from __future__ import annotations

from ..policy import landlock
from ..policy.seccomp_bpf import compile_filter
from ..spec.paths import HOME, LINKS, is_below
from .mounts import overlaid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..policy.landlock_policy import LandlockPolicy
    from ..policy.seccomp_rules import Filter
    from .draft import Draft
    from .request import Request


def landlock_steps(draft: Draft, policy: LandlockPolicy, scopes: int) -> None:
    """What no rule gives is refused, by every right that this kernel handles.  scopes: those that always hold."""
    abi = draft.request.facts.kernel.landlock_abi
    handled, net = landlock.handled_fs(abi), landlock.handled_net(abi) if policy.net else 0
    wanted = scopes | policy.scopes & landlock.handled_scopes(abi)
    draft.add("landlock-ruleset", "landlock_policy", fs=handled, net=net, scoped=wanted)
    for rule in policy.rules:
        if access := rule.access & handled:
            draft.add(
                "landlock-path", "landlock_policy", path=rule.path, access=access, optional=int(rule.optional),
                exact=int(_others_write_on_the_way(draft.request, rule.path)),
            )  # fmt: skip
    for port, access in policy.ports if net else ():
        draft.add("landlock-port", "landlock_policy", port=port, access=access)
    flags = landlock.restrict_flags(abi, log=draft.request.spec.asks_about_calls)
    draft.add("landlock-restrict", "landlock_policy", flags=flags)


def _others_write_on_the_way(request: Request, path: str) -> bool:
    """May a command, or whoever filled a volume, have put a link there?  Those of /usr and of a rootfs are followed."""
    places = [v.target for v in request.volumes] + [t.target for t in request.spec.tmpfs]
    places += ["/tmp", HOME, "/dev/shm"]
    places += [e.target for e in request.root_entries if overlaid(request, e)]
    return any(is_below(path, p) for p in places) or any(is_below(path, f"{link}/") for link in LINKS)


def program(draft: Draft, profile: Filter) -> bytes:
    """The filter of a profile from a file."""
    return compile_filter(profile, draft.request.facts.kernel.arch)
