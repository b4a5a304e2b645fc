"""A run on a copy of its workspace, by the command: this process stays, forwards signals, and applies the changes.

✗ copies (`workspace_copy.py`), ✗ merges (`workspace_apply.py`).
"""

from __future__ import annotations

import os
import signal
import threading

from ...base.errors import LaunchError
from ...launch import launcher, report, supervise
from ...state.store import Store
from ..attached import OWNER_KILLS, end_of, meanwhile
from ..prepare import prepare
from ..run import refuse_directory_streams, refuse_unusable_channels
from ..running.audited import note_start
from ..running.handle import resolve
from .outcome import apply, discard, told

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...launch.supervise import Watched
    from ...spec.container import ContainerSpec
    from ..prepared import Prepared
    from ..result import Result
    from .apply import Outcome

_FORWARDED = (
    signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2,
)  # fmt: skip
_LOOK_S = 0.2


def run_staying(spec: ContainerSpec) -> int:
    """Run with the caller's own streams; returns the exit code.  Raises NucleusError, Conflict for what was not applied."""
    refuse_directory_streams()
    refuse_unusable_channels(spec)
    prepared = prepare(spec, owner=OWNER_KILLS)
    watched = launch_here(prepared)
    result, outcome = settled(prepared, watched)
    if outcome.left_out:
        import sys

        names = ", ".join(map(ascii, outcome.left_out[:5]))
        sys.stderr.write(f"nucleus: pipes and sockets of the run are not applied: {names}\n")
    return result.exit_code


def run_here(spec: ContainerSpec) -> Result:
    """Run with the caller's own streams, of which the result has nothing.  Raises NucleusError."""
    refuse_directory_streams()
    prepared = prepare(spec, owner=OWNER_KILLS)
    watched = launch_here(prepared)
    assert prepared.plan is not None and prepared.record is not None
    return end_of(watched, prepared.plan, prepared.record)


def settled(prepared: Prepared, watched: Watched) -> tuple[Result, Outcome]:
    """The result, after the changes were applied.

    What ran and ended is applied, whatever its exit code.  Of a sandbox that could not be had nothing is; where the monitor
    was killed the changes stay pending, because nobody can say that the run was at an end.
    """
    store = Store(prepared.store.path)
    try:
        with resolve(store, prepared.id) as handle:
            try:
                assert prepared.plan is not None and prepared.record is not None
                result = end_of(watched, prepared.plan, prepared.record)
            except LaunchError as error:
                if watched.exit is not None and watched.exit.flags & report.FAILED:
                    discard(handle)
                    raise
                remedy = f"nucleus workspace diff {handle.name} shows what it changed; apply or discard it"
                raise LaunchError(error.message, where=error.where, remedy=remedy) from None
            outcome = apply(handle)
            if outcome.conflicts:
                raise told(outcome)
            return result, outcome
    finally:
        store.close()


def launch_here(prepared: Prepared) -> Watched:
    """The launcher with this process's streams; what others send here is sent on, what a terminal sends arrives anyway."""
    ours, theirs = supervise.control_pair()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _FORWARDED)
    try:
        try:
            note_start(prepared)
            process = launcher.spawn(
                prepared.encoded, prepared.id, prepared.slots, prepared.held, theirs.fileno(), (0, 1, 2)
            )
        except BaseException:
            prepared.discard()
            raise
        finally:
            theirs.close()
        with _Forwarding(process.pid):
            try:
                meanwhile(prepared)
            except BaseException:
                ours.close()
                process.wait()
                raise
            return supervise.watch(process, ours, (-1, -1))
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Forwarding:
    """A thread that waits for the signals that are blocked everywhere else, and hands them to the monitor."""

    def __init__(self, pid: int) -> None:
        self._pidfd = os.pidfd_open(pid)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._forward, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        os.close(self._pidfd)

    def _forward(self) -> None:
        while not self._over.is_set():
            told = signal.sigtimedwait(_FORWARDED, _LOOK_S)
            if (
                told is not None and told.si_code <= 0
            ):  # > 0: the kernel's, such as a terminal's to the whole group
                try:
                    signal.pidfd_send_signal(self._pidfd, told.si_signo)
                except ProcessLookupError:
                    return
