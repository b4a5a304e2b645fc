"""What a process that starts many sandboxes keeps from one launch to the next: facts, root entries, plans.

Everything that belongs to one container alone is still made anew; what is kept is checked before it is used.
✗ the command line does not come here: it starts one sandbox and is gone.
"""

from __future__ import annotations

import os

from ...base.jsontext import dumps
from ...host.current import CurrentFacts
from ...plan import reuse
from ...spec.kinds import plain
from ..inputs.sources import RESOLV_CONF, root_entries
from .roots import Roots
from .spares import SPARES
from .template import Template

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...base.errors import LaunchError
    from ...host.facts import HostFacts
    from ...plan.request import Request, RootEntry
    from ...plan.reuse import Compiled
    from ...spec.container import ContainerSpec
    from ..inputs.sources import SourceFinder
    from ..prepared import Prepared

NOT_EXECUTABLE, NOT_FOUND = 126, 127
KINDS = 8  # of sandboxes that one program uses in turn


class Warm:
    """Safe to use from any thread: what is kept is replaced, never changed."""

    __slots__ = ("_entries", "_plans", "_templates", "facts", "roots")

    def __init__(self) -> None:
        self.facts = CurrentFacts()
        self.roots = Roots()
        self._entries: tuple[HostFacts, tuple[RootEntry, ...]] | None = None
        self._plans: tuple[Compiled, ...] = ()
        self._templates: dict[str, Template] = {}

    def start(self, command: Sequence[str], options: dict[str, object]) -> Prepared | None:
        """A launch like an earlier one with the same options; None when nothing is known, or a look says otherwise."""
        template = self._templates.get(_key(options)) if self._templates else None
        if template is None or not plain(command):
            return None
        facts, view = self.facts.look()
        if template.facts is not facts or not _resolver_stands(template):
            return None
        return template.start(tuple(command), self.roots, view)

    def learn(self, options: dict[str, object], wanted: ContainerSpec, prepared: Prepared) -> None:
        """Keep what `prepared` took to make, where nothing of it belongs to one launch or to files that may change."""
        request, plan, record, key = prepared.request, prepared.plan, prepared.record, _key(options)
        if not key or request is None or plan is None or record is None or not _repeats(wanted):
            return
        name = "" if wanted.hostname or wanted.name else request.hostname
        template = Template(
            wanted,
            request.facts,
            plan,
            record,
            prepared.parents,
            host_name=name,
            resolv_conf=request.resolv_conf,
        )
        others = list(self._templates.items())[-(KINDS - 1) :]
        self._templates = {**dict(others), key: template}

    def failed(self, error: LaunchError) -> None:
        """A launch failed.  Where that was not the command's fault, the machine may have changed in a way no look shows."""
        if error.exit_code not in (NOT_EXECUTABLE, NOT_FOUND):
            self.forget()

    def forget(self) -> None:
        """Begin anew."""
        self.facts.forget()
        self.roots.forget()
        SPARES.forget()

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
        self._plans = (done, *self._plans[: KINDS - 1])
        return done


def _key(options: dict[str, object]) -> str:
    """Options as text; "" for those that have no such form, such as a path object."""
    try:
        return dumps(options)  # type: ignore[arg-type]
    except TypeError:
        return ""


def _repeats(spec: ContainerSpec) -> bool:
    """Does the spec name no file of the host, and no descriptor?"""
    named = (
        spec.rootfs, spec.toolchains, spec.workspace, spec.context, spec.volumes, spec.secrets, spec.env_fd,
        spec.secrets_fd, spec.credentials,
        spec.log_path, spec.toolchain_rootfs, spec.provider_config_ro, spec.provider_config_rw,
        spec.names_policies or None,
    )  # fmt: skip
    return not any([value or value == 0 for value in named])


def _resolver_stands(template: Template) -> bool:
    """Is the file with the addresses of name servers still the one that the plan mounts?"""
    source = template.resolv_conf
    if source is None:
        return True
    try:
        status = os.stat(source.path, follow_symlinks=False)
    except OSError:
        return False
    device = os.major(status.st_dev) << 32 | os.minor(status.st_dev)
    return os.path.realpath(RESOLV_CONF) == source.path and (device, status.st_ino) == (
        source.device,
        source.inode,
    )


WARM = Warm()  # of this process
