"""The lockdown as policy files say it.  Imported only where there is one.  ✗ reads no file."""

from __future__ import annotations

from ..policy import landlock
from ..policy.seccomp_bpf import compile_filter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..policy.landlock_policy import LandlockPolicy
    from ..policy.seccomp_rules import Filter
    from .draft import Draft


def landlock_steps(draft: Draft, policy: LandlockPolicy, scopes: int) -> None:
    """What no rule gives is refused, by every right that this kernel handles.  scopes: those that always hold."""
    abi = draft.request.facts.kernel.landlock_abi
    handled, net = landlock.handled_fs(abi), landlock.handled_net(abi) if policy.net else 0
    wanted = scopes | policy.scopes & landlock.handled_scopes(abi)
    draft.add("landlock-ruleset", "landlock_policy", fs=handled, net=net, scoped=wanted)
    for rule in policy.rules:
        if access := rule.access & handled:
            optional = int(rule.optional)
            draft.add("landlock-path", "landlock_policy", path=rule.path, access=access, optional=optional)
    for port, access in policy.ports if net else ():
        draft.add("landlock-port", "landlock_policy", port=port, access=access)
    flags = landlock.restrict_flags(abi, log=draft.request.spec.asks_about_calls)
    draft.add("landlock-restrict", "landlock_policy", flags=flags)


def program(draft: Draft, profile: Filter) -> bytes:
    """The filter of a profile from a file."""
    return compile_filter(profile, draft.request.facts.kernel.arch)
