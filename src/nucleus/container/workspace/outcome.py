"""The changes of a copy-in-out run: pending until they are applied or thrown away; by whom, and what is said of it.

✗ how they are merged (`workspace_apply.py`).
"""

from __future__ import annotations

import os

from ...base.errors import Conflict, HostUnsupported, NotFound, NucleusError
from ...base.jsontext import dumps
from ...launch.report import FAILED
from ...state import gate
from ...state.store import read_file, write_file
from ..running.lifecycle import DEAD, STOPPED, THROWN_AWAY
from ..running.sweep import remove_directory, remove_tree
from . import copy as workspace_copy
from .apply import Apply, Outcome
from .copy import BASE, FOLDER, OUTCOME, STAGE
from .tree_scan import OPEN_DIRECTORY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ...launch.report import ExitRecord
    from ...plan.request import Source
    from ..running.handle import Handle
    from .copy import Snapshot
    from .merge import Action

_MOST_TOLD = 8  # paths in an event's line
PENDING, APPLIED, CONFLICTS, DISCARDED = "pending", "applied", "conflicts", "discarded"


def state(directory: int) -> dict[str, Any] | None:
    """What became of the run's changes; None for a container that has no copy."""
    import json

    try:
        folder = os.open(FOLDER, OPEN_DIRECTORY, dir_fd=directory)
    except OSError:
        return None
    try:
        try:
            os.stat(BASE, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return None  # it was killed while the copy was made: nothing ran on it
        known: dict[str, Any] = {"state": PENDING}
        try:
            known = json.loads(read_file(folder, OUTCOME) or b"") or known
        except ValueError:
            pass  # not written yet
        return known
    finally:
        os.close(folder)


def copy_once(directory: int, source: Source) -> None:
    """Copy the workspace in, unless changes of an earlier life are pending: then the container goes on with those."""
    known = state(directory)
    if known is not None and known["state"] == PENDING:
        return
    remove_tree(directory, FOLDER)
    workspace_copy.copy_in(directory, source)


def refuse_pending(handle: Handle, verb: str = "rm") -> None:
    """Raises Conflict where the verb would throw away what the container's run made, or take it for another's."""
    known = state(handle.fd)
    if known is not None and known["state"] == PENDING:
        raise Conflict(
            f"container {handle.name} holds changes of its workspace that were not applied",
            where=f"nucleus {verb}",
            remedy=f"nucleus workspace apply {handle.name}, or discard; rm -f throws them away",
        )


class Settling:
    """The pending changes of one container, with everything open that they concern; for `with`.

    Raises NotFound where there are none, Conflict while the container lives or another command is at it.
    """

    def __init__(self, handle: Handle, verb: str) -> None:
        self.handle, self._lock = handle, gate.Lock(handle.fd, gate.VERB_LOCK)
        self._fds: list[int] = []
        self._verb = verb

    def __enter__(self) -> Settling:
        self._lock.__enter__()
        try:
            self._open()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for fd in self._fds:
            os.close(fd)
        self._fds = []
        self._lock.__exit__()

    def _open(self) -> None:
        handle = self.handle
        handle.refresh()
        where, status = f"nucleus workspace {self._verb}", handle.status
        known = state(handle.fd)
        if known is None or known["state"] != PENDING:
            said = (
                "has no copy of a workspace" if known is None else f"'s changes are {known['state']} already"
            )
            raise NotFound(
                f"container {handle.name} {said}".replace(" 's", "'s"),
                where=where,
                remedy="nucleus inspect shows what is known of it",
            )
        if status not in (STOPPED, DEAD):
            raise Conflict(
                f"container {handle.name} is {status}",
                where=where,
                remedy=f"nucleus stop {handle.name} first",
            )
        self.folder = self._keep(os.open(FOLDER, OPEN_DIRECTORY, dir_fd=handle.fd))

    def _keep(self, fd: int) -> int:
        self._fds.append(fd)
        return fd

    def snapshot(self) -> Snapshot:
        """Both trees as they were at the start."""
        fd = os.open(BASE, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self.folder)
        with os.fdopen(fd, "rb") as file:
            return workspace_copy.from_json(file.read())

    def merge(self) -> Apply:
        """The two trees, open.  Raises Conflict when the workspace is another directory by now."""
        known = self.snapshot()
        stage = self._keep(os.open(STAGE, OPEN_DIRECTORY, dir_fd=self.folder))
        try:
            host = self._keep(os.open(known.path, OPEN_DIRECTORY))
        except OSError as error:
            raise self._elsewhere(known.path, (error.strerror or "").lower()) from None
        status = os.fstat(host)
        if (status.st_dev, status.st_ino) != (known.device, known.inode):
            raise self._elsewhere(known.path, "another directory stands there")
        return Apply(host, stage, known, self.handle.id)

    def _elsewhere(self, path: str, reason: str) -> Conflict:
        stage = f"{self.handle.store.path}/containers/{self.handle.id}/{FOLDER}/{STAGE}"
        return Conflict(
            f"the workspace {path} is not what it was: {reason}",
            where=f"nucleus workspace {self._verb}",
            remedy=f"put it back, or take what you need from {stage} and discard the rest",
        )

    def settle(self, word: str, outcome: Outcome) -> None:
        """Say what became of it, then let go of the copy; of a --rm container everything goes."""
        written = dumps({"state": word, **outcome.as_dict()}).encode()
        write_file(self.folder, OUTCOME, written)
        remove_tree(self.folder, STAGE)
        record = self.handle.record
        if record is not None and record.spec.get("rm"):
            # Whoever waits for its end still has to read how that was, and removes it then.
            write_file(self.handle.fd, "state.json", record.replace(remove=True).to_json())
            if not gate.is_watched(self.handle.fd):
                remove_directory(self.handle.store, self.handle.id, record)


def apply(handle: Handle) -> Outcome:
    """Carry a run's changes into its workspace.  Raises NotFound, Conflict, HostUnsupported; it can be done again then."""
    with Settling(handle, "apply") as settling:
        work = settling.merge()
        try:
            outcome = work.run()
        except OSError as error:
            raise HostUnsupported(
                f"the workspace cannot be written: {(error.strerror or str(error)).lower()}",
                where=f"{work.snapshot.path}" + (f" ({error.filename})" if error.filename else ""),
                remedy=f"what was applied stays; mend that, then: nucleus workspace apply {handle.name}",
            ) from None
        if outcome.conflicts:
            from ..running.events import note

            some = [path for path, _ in outcome.conflicts[:_MOST_TOLD]]
            note(handle.store, handle.record, "conflict", paths=some)
        settling.settle(CONFLICTS if outcome.conflicts else APPLIED, outcome)
        return outcome


def discard(handle: Handle) -> None:
    """Throw a run's changes away.  Raises NotFound, Conflict."""
    with Settling(handle, "discard") as settling:
        try:
            settling.merge().clean()
        except (Conflict, OSError):
            pass  # the workspace is gone or another one: nothing of ours can lie in it
        settling.settle(DISCARDED, Outcome())


def forget(handle: Handle) -> None:
    """The container is removed with its changes: nothing of an attempt to apply them stays in the workspace."""
    try:
        with Settling(handle, "discard") as settling:
            settling.merge().clean()
    except (NucleusError, OSError):
        return  # nothing is pending, or the workspace is gone


def at_the_end(handle: Handle, ended: ExitRecord | None, *, ran: bool) -> Outcome | None:
    """What becomes of the changes when a supervised container has ended for good; None where they stay pending.

    ended   how the last life did; None: its monitor was killed, and nobody can say that the run was at an end
    ran     a life has begun before that one
    Raises NotFound, Conflict, HostUnsupported; they are pending then.
    """
    if ended is None:
        return None
    never = bool(ended.flags & FAILED) and not ran  # of a sandbox that could not be had nothing is applied
    if never or read_file(handle.fd, THROWN_AWAY) is not None:
        discard(handle)
        return Outcome()
    return apply(handle)


def difference(handle: Handle) -> tuple[Action, ...]:
    """What `apply` would do now.  Raises NotFound, Conflict."""
    with Settling(handle, "diff") as settling:
        return settling.merge().actions()


def told(outcome: Outcome) -> Conflict:
    """The sentence for a merge that left something aside."""
    names = [f"{name!r}: {why}" for name, why in outcome.conflicts]
    more = f"; and {len(names) - 10} more" if len(names) > 10 else ""
    kept = (
        f"the run's versions are in {outcome.kept_in}"
        if outcome.kept_in
        else "remove them by hand if you agree"
    )
    return Conflict(
        f"{len(names)} of the run's changes stand against changes made here: {'; '.join(names[:10])}{more}",
        where="--workspace-mode copy-in-out",
        remedy=kept,
    )
