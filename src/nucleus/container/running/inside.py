"""A command in a running container: beside the caller, on its own, or in his place.  ✗ what joining takes (`enter.py`)."""

from __future__ import annotations

import contextlib
import os

from ...base.errors import NotFound, NucleusError
from ...launch import launcher, report, supervise
from ...spec.kinds import plain
from ...spec.parse import from_mapping, words_of
from ...state.store import default_root
from ..attached import OWNER_IGNORED, OWNER_KILLS, checked, end_of, launch_beside
from .enter import Wish, forget, note_entry, prepare_entry, running, running_still
from .handle import resolve
from .inventory import open_store
from .sweep import sweep_in_passing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType
    from typing import NoReturn, Self

    from ...state.store import Store
    from ..result import Result
    from .handle import Handle


class _Found:
    """A container of a state root, found when it is first asked for: what was entered before need not be, to be entered."""

    def __init__(self, root: str, reference: str) -> None:
        self.root, self.reference = root or default_root(os.geteuid(), os.environ), reference
        self._store: Store | None = None
        self._handle: Handle | None = None

    @property
    def store(self) -> Store:
        """The state root, as it is: whoever opened it sweeps later."""
        if self._store is None:
            self._store = open_store(self.root, swept=False)
        return self._store

    @property
    def handle(self) -> Handle:
        """Raises as `resolve` does."""
        if self._handle is None:
            try:
                self._handle = resolve(self.store, self.reference)
            except NotFound:
                forget(self.root, self.reference)
                raise
        return self._handle

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        try:
            if isinstance(error, NucleusError):
                with contextlib.suppress(NucleusError, OSError):  # what is in the way was told already
                    sweep_in_passing(self.store)  # it may be one of those whose owner is dead
        finally:
            if self._handle is not None:
                self._handle.close()
            if self._store is not None:
                self._store.close()


def wish_of(command: Sequence[str], **options: object) -> Wish:
    """What the keys of a launch document ask for; one that is empty is not written.  Raises SpecError with all problems."""
    written = {key: value for key, value in options.items() if value}
    if not written and plain(command):
        return Wish(command=tuple(command))
    spec = from_mapping({"command": words_of(command), **written})
    return Wish(
        command=spec.command, env=spec.env, directory=spec.workdir if spec.wrote("workdir") else "",
        user=spec.user, group=spec.group, timeout_ms=spec.timeout_ms or 0,
    )  # fmt: skip


def run_inside(
    root: str, reference: str, wish: Wish, *, stdin: bytes | None = None, check: bool = False
) -> Result:
    """Run a command in a container and wait for its end; it ends with this process, or with the container.

    root       of the state; "" for the caller's own.  reference: the container's id or name
    Raises NotFound, Conflict where it does not run, LaunchError where it cannot be entered.
    """
    with _Found(root, reference) as found:
        inside = running_still(found.root, reference) or running(found.handle)
        audited = bool(inside.record.spec.get("audit_log"))  # which is told before anything runs
        entry = prepare_entry(inside, wish, noted=found.handle if audited else None, owner=OWNER_KILLS)

        def meanwhile() -> None:
            entry.close()
            if not audited:
                _note_behind(found, wish)
            sweep_in_passing(found.store)

        watched = launch_beside(entry, stdin, (None, None), meanwhile=meanwhile, undo=entry.discard)
        result = end_of(watched, entry.plan, entry.record)
        return checked(result, wish.command) if check else result


def _note_behind(found: _Found, wish: Wish) -> None:
    """The event, by the name that the container has now."""
    try:
        handle = found.handle
    except NotFound:
        return  # it ended at once, and was removed: what is there to tell is told by the result
    note_entry(handle, wish)


def run_beside(handle: Handle, wish: Wish) -> None:
    """Let a command run in the container on its own; returns once it has been executed.

    It reads and writes nothing, and ends with the container.  Raises Conflict where that does not run, LaunchError with the
    sentence of the step that failed.
    """
    entry = prepare_entry(running(handle), wish, noted=handle, owner=OWNER_IGNORED)
    ours, theirs = supervise.control_pair()
    nowhere = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    try:
        launcher.spawn(
            entry.encoded, entry.id, entry.slots, entry.held, theirs.fileno(), (nowhere,) * 3, detached=True
        ).wait()
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
        os.close(nowhere)
        entry.close()
    with ours:
        ended = None
        while ended is None and (data := ours.recv(report.MESSAGE.size)):
            if report.MESSAGE.unpack(data)[0] == report.READY:
                return
            ended = report.exit_of(data)
    nothing = supervise.Captured()
    end_of(supervise.Watched(exit=ended, stdout=nothing, stderr=nothing), entry.plan, entry.record)


def enter_in_place(handle: Handle, wish: Wish, reporter: tuple[str, ...], log: tuple[str, str]) -> NoReturn:
    """Replace this process by the monitor of the one inside, whose exit code it takes.  Raises NucleusError."""
    entry = prepare_entry(running(handle), wish, noted=handle, reporter=reporter, log=log)
    try:
        launcher.replace(entry.encoded, entry.id, entry.slots, entry.held)
    except NucleusError:
        entry.close()
        raise
