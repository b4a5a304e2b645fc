"""`nucleus.Container`: a container that outlives the call that made it.  ✗ what is done: its siblings do it.

Each call finds the container anew, so a Container may be kept, copied, and made from an id in another process.
"""

from __future__ import annotations

from ..base.errors import SpecError
from ..spec import rules
from ..spec.container import ContainerSpec
from ..spec.parse import called, from_mapping
from . import detach
from .prepare import rehearse
from .result import Result, result_of
from .reuse.warm import WARM
from .running import changing, ending, inventory, live, updating
from .running.handle import Handle, resolve

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any, TypeVar

    from ..cgroup.stats import Held, Measured
    from ..observe.logs import LogLine
    from .running.live import Process

    _T = TypeVar("_T")


class Container:
    """One container by its id, which stays the same whatever its name becomes."""

    __slots__ = ("id", "root")

    def __init__(self, container_id: str, *, root: str = "") -> None:
        self.id = container_id
        self.root = root

    def __repr__(self) -> str:
        return f"Container({self.id!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Container) and (other.id, other.root) == (self.id, self.root)

    def __hash__(self) -> int:
        return hash((self.id, self.root))

    @classmethod
    def create(cls, spec: ContainerSpec | Sequence[str], **options: Any) -> Container:
        """Make a container that waits for `start`.

        spec       a ContainerSpec, or the command as a list of words; then `options` are the keys of a launch document
        Raises SpecError, HostUnsupported or LaunchError; nothing is left behind then.
        """
        if not isinstance(spec, ContainerSpec):
            wanted = from_mapping({**called(spec, options), "detach": True})
        elif options:
            raise SpecError(
                "options beside a ContainerSpec",
                where="create",
                remedy="use spec.replace(...) to change fields",
            )
        else:
            wanted = rules.require(spec.replace(detach=True))
        return cls(detach.create(wanted, warm=WARM), root=wanted.state_root)

    @classmethod
    def run(cls, spec: ContainerSpec | Sequence[str], **options: Any) -> Container:
        """`create` and `start`: what `nucleus run --detach` does."""
        made = cls.create(spec, **options)
        made.start()
        return made

    @classmethod
    def find(cls, reference: str, *, root: str = "") -> Container:
        """The container with that id, name, or beginning of an id.  Raises NotFound, Conflict, PermissionRefused."""
        return cls(cls(reference, root=root)._with(lambda handle: handle.id), root=root)

    @property
    def status(self) -> str:
        """creating, created, running, paused, stopped, dead or unknown."""
        return self._with(lambda handle: handle.status)

    @property
    def name(self) -> str:
        """Its name, or the beginning of its id."""
        return self._with(lambda handle: handle.name)

    def inspect(self) -> dict[str, Any]:
        """All that is known of it, as `nucleus inspect` prints it."""
        return self._with(inventory.describe)

    def start(self) -> None:
        """Let it run, also once more; returns when the command has been executed.  Raises LaunchError with what failed."""
        self._with(lambda handle: detach.start_or_restart(handle, warm=WARM))

    def stop(self, *, grace_s: float | None = None, signal: str = "") -> None:
        """Ask it to end, kill it after the grace (0: at once); returns when it has ended."""
        number = ending.signal_of(signal) if signal else None
        self._with(lambda handle: ending.stop(handle, grace_s=grace_s, number=number))

    def kill(self, signal: str = "KILL") -> None:
        """Send a signal to the command."""
        number = ending.signal_of(signal)
        self._with(lambda handle: ending.kill(handle, number))

    def restart(self, *, grace_s: float | None = None) -> None:
        """End it if it runs, and start it once more as it was created."""
        self._with(lambda handle: restart(handle, grace_s=grace_s))

    def wait(self, *, timeout_s: float | None = None) -> Result:
        """How it ended, once it has.  Raises Conflict at the timeout."""

        from .supervision import record as supervision

        def ended(handle: Handle) -> Result:
            record = ending.wait(handle, timeout_s=timeout_s)
            result = result_of(record, handle.id)
            if handle.record is not None and handle.record.supervised:
                told = supervision.read(handle.fd)
                reason = told.reason(record.finished_ns) if told is not None else ""
                result = result.replace(reason=reason or result.reason)
            if not (record.pids_denied or record.oom_kills or record.signal or _records_refusals(handle)):
                return result
            from .running.denials import report

            return result.replace(denials=report(handle.refresh()).denials)

        return self._with(ended)

    def logs(
        self, *, follow: bool = False, since: str = "", until: str = "", tail: int | None = None,
        streams: tuple[str, ...] = ("stdout", "stderr"),
    ) -> Iterator[LogLine]:  # fmt: skip
        """What it printed, line by line, the oldest first; with `follow` also what comes, until it has ended.

        since, until   "90s" (ago), seconds since 1970, or "2026-01-31T12:00:00Z".  Raises Conflict where nothing is kept.
        """
        from .running.logs import container_logs, selection

        wish = selection(since=since, until=until, tail=tail, streams=streams)
        store = inventory.open_store(self.root)
        try:
            with resolve(store, self.id) as handle:
                yield from container_logs(handle, wish, follow=follow)
        finally:
            store.close()

    def exec(
        self, command: Sequence[str], *, stdin: bytes | None = None, check: bool = False,
        env: Mapping[str, str] | None = None, workdir: str = "", user: str = "", timeout: str = "",
    ) -> Result:  # fmt: skip
        """Run a command inside, under the same lockdown, and wait for it.  It ends with this process at the latest.

        env is added to the workload's; workdir, user and timeout are as for `nucleus exec`.
        Raises SpecError, Conflict where the container does not run, LaunchError where it cannot be entered.
        """
        from .running.inside import run_inside, wish_of

        wish = wish_of(command, env=dict(env or {}), workdir=workdir, user=user, timeout=timeout)
        return run_inside(self.root, self.id, wish, stdin=stdin, check=check)

    def pause(self) -> None:
        """Stop all its processes where they are."""
        self._with(changing.pause)

    def unpause(self) -> None:
        """Let them go on."""
        self._with(changing.unpause)

    def stats(self) -> Measured:
        """The limits that hold now (`held`) and what it uses (`usage`).  Raises Conflict when it does not run."""
        return self._with(live.measured)

    def top(self) -> list[Process]:
        """Its processes, with their pids on the host and inside."""
        return self._with(live.top)

    def update(self, **changes: Any) -> Held | None:
        """Change limits (`memory`, `cpus`, `pids`, …) or `restart` while it runs; what is not named stays as it is.

        Values as for `run`.  Returns the limits that hold then, or None where only `restart` was given.
        """
        unknown = sorted(set(changes) - set(updating.KEYS))
        if unknown:
            raise SpecError(
                f"'{unknown[0]}' cannot be changed",
                where="update",
                remedy=f"there are {', '.join(updating.KEYS)}",
            )
        wanted = updating.parsed({key: str(value) for key, value in changes.items()})
        return self._with(lambda handle: updating.update(handle, wanted))

    def rename(self, name: str) -> None:
        """Give it another name."""
        self._with(lambda handle: changing.rename(handle, name))

    def remove(self, *, force: bool = False) -> None:
        """Remove its records and its name; `force` kills it first."""
        self._with(lambda handle: ending.remove(handle, force=force))

    def _with(self, act: Callable[[Handle], _T]) -> _T:
        return with_handle(self.id, self.root, act)


def with_handle(reference: str, root: str, act: Callable[[Handle], _T]) -> _T:
    """Find a container in a swept state root, and do something with it."""
    store = inventory.open_store(root)
    try:
        with resolve(store, reference) as handle:
            return act(handle)
    finally:
        store.close()


def restart(handle: Handle, *, grace_s: float | None = None) -> None:
    """Stop and start once more; where it is seen beforehand that it could not start, it is not even stopped."""
    handle.require("restart")
    spec, record = detach.require_restartable(handle)
    if record.detached in ("", "none"):  # a unit may see other files than whoever restarts it
        rehearse(spec.replace(state_root=handle.store.path))
    ending.stop(handle, grace_s=grace_s)
    detach.restart(handle.refresh(), warm=WARM)


def _records_refusals(handle: Handle) -> bool:
    known = handle.record.spec if handle.record else {}
    return bool(known.get("seccomp_log_denied") or known.get("seccomp_mode") == "trace")
