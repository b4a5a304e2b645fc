"""What a process that starts many sandboxes keeps from one launch to the next: facts, root entries, plans.

Everything that belongs to one container alone is still made anew; what is kept is checked before it is used.
✗ the command line does not come here: it starts one sandbox and is gone.
"""

from __future__ import annotations

from ..host.current import CurrentFacts
from ..plan import reuse
from .sources import root_entries

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..host.facts import HostFacts
    from ..plan.request import Request, RootEntry
    from ..plan.reuse import Compiled
    from ..spec.container import ContainerSpec
    from .sources import SourceFinder

_KINDS = 8  # of sandboxes that one program uses in turn


class Warm:
    """Safe to use from any thread: what is kept is replaced, never changed."""

    __slots__ = ("_entries", "_plans", "facts")

    def __init__(self) -> None:
        self.facts = CurrentFacts()
        self._entries: tuple[HostFacts, tuple[RootEntry, ...]] | None = None
        self._plans: tuple[Compiled, ...] = ()

    def root_entries(
        self, spec: ContainerSpec, facts: HostFacts, finder: SourceFinder
    ) -> tuple[RootEntry, ...]:
        """Those of the host's own root depend on nothing but the facts."""
        if spec.rootfs or spec.toolchains:
            return root_entries(spec, facts, finder)
        known = self._entries
        if known is None or known[0] is not facts:
            known = self._entries = (facts, root_entries(spec, facts, finder))
        return known[1]

    def compiled(self, request: Request) -> Compiled:
        """The plan, out of the last one of the same kind where there is one."""
        for known in self._plans:
            done = reuse.adapted(known, request)
            if done is not None:
                return done
        done = reuse.compiled(request)
        self._plans = (done, *self._plans[: _KINDS - 1])
        return done


WARM = Warm()  # of this process
