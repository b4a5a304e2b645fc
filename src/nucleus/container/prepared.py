"""A launch that is ready to go, what is known of it, and what it holds until the launcher has it.  ✗ how it is prepared."""

from __future__ import annotations

import os

from ..base.value import Value
from ..state.store import Store, default_root

TYPE_CHECKING = False
if TYPE_CHECKING:
    from socket import socket

    from ..cgroup.parent import CgroupDirectory
    from ..plan.request import Request
    from ..plan.steps import LaunchPlan
    from ..spec.container import ContainerSpec
    from ..state.record import ContainerRecord
    from ..state.store import StateDirectory
    from .inputs.hooks_inside import Inside


class Gate(Value):
    """How a container starts that is not run at once: it waits for `start`, detached from its caller.

    detached   what it is detached with: "none" or a systemd unit
    again      the directory of an ended container that is started once more, locked; None for a new one
    created_ns when that container was created first
    """

    detached: str = "none"
    again: StateDirectory | None = None
    created_ns: int = 0


class Prepared:
    """A launch that is ready to go.  `slots` are the plan's descriptors in order; `held` stay open beside them."""

    __slots__ = (
        "console",
        "devices",
        "encoded",
        "gate",
        "held",
        "hooks",
        "id",
        "network",
        "notify",
        "parents",
        "plan",
        "record",
        "request",
        "root",
        "slots",
        "spares",
        "state",
        "store",
        "values",
    )

    def __init__(self, store: Store, gate: Gate | None = None) -> None:
        self.store = store
        self.gate = gate
        self.state: StateDirectory | None = gate.again if gate else None
        self.id = self.state.id if self.state else os.urandom(16).hex()
        self.record: ContainerRecord | None = None
        self.request: Request | None = None
        self.plan: LaunchPlan | None = None
        self.parents: tuple[CgroupDirectory, ...] = ()
        self.console = -1
        self.encoded = b""
        # The mount namespace of a prepared root and the program of its devices, which are among `held` or `slots`.
        self.root = self.devices = -1
        # A spare network namespace, and where the next one goes; likewise.
        self.network = self.spares = -1
        self.slots: list[int] = []
        self.held: list[int] = []
        self.values: list[
            int
        ] = []  # pipes with the secrets that came by a descriptor, which are among `held` or `slots`
        self.notify: socket | None = None  # what the workload tells its state to
        self.hooks: Inside | None = None  # our ends of what its hooks inside are told by

    def close(self) -> None:
        """Let go of every descriptor: the launcher has its own."""
        if self.notify is not None:
            self.notify.close()
            self.notify = None
        if self.hooks is not None:
            self.hooks.close()
            self.hooks = None
        for fd in {*self.slots, *self.held, *([self.state.fd] if self.state else [])}:
            os.close(fd)
        self.slots, self.held, self.state = [], [], None
        self.store.close()

    def discard(self) -> None:
        """The launch does not happen: remove what was made for it."""
        from .running.sweep import remove_tree

        if self.gate is not None and self.gate.again is not None:
            self.close()
            return
        try:
            # The name first: once the directory is gone another container may have it.
            if self.record is not None and self.record.name:
                self.store.release_name(self.record.name, self.id)
            if self.state is not None:
                remove_tree(self.store.containers_fd, self.id)
        finally:
            self.close()


def open_store(spec: ContainerSpec) -> Store:
    """The state root that the spec, the environment or the caller's identity says."""
    return Store(spec.state_root or default_root(os.geteuid(), os.environ))
