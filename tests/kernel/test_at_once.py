"""Two commands that mean the same container at the same moment."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable

import pytest
from sandboxes import PATIENCE_S, Boxes, wait_until

from nucleus.base.errors import Conflict, LaunchError, NotFound, NucleusError
from nucleus.container import one_life
from nucleus.container.container import Container
from nucleus.container.running import ending, lifecycle
from nucleus.container.running.handle import Handle, resolve
from nucleus.container.running.inventory import open_store
from nucleus.state import gate
from nucleus.state.store import Store, is_locked

pytestmark = pytest.mark.identity("root", "user")


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A verb that waits for another one gives up, or goes on without it, only when the test has long failed."""
    monkeypatch.setattr(ending, "_KILL_WAIT_S", 10 * PATIENCE_S)


def held(boxes: Boxes, reference: str) -> Handle:
    return resolve(open_store(str(boxes.root)), reference)


class Verb(threading.Thread):
    """What one of the two does; `error` is what came of it."""

    def __init__(self, act: Callable[[], object]) -> None:
        super().__init__(daemon=True)
        self._act, self.error = act, ""
        self.start()

    def run(self) -> None:
        try:
            self._act()
        except NucleusError as error:
            self.error = str(error)


@pytest.mark.usefixtures("patient")
def test_rm_waits_for_who_reads_the_end_without_a_lock_that_he_waits_for(
    boxes: Boxes, monkeypatch: pytest.MonkeyPatch
) -> None:
    container = Container.run(["true"], root=str(boxes.root))
    container.wait()
    is_watched, met = gate.is_watched, threading.Event()

    def looked(directory: int) -> bool:
        watched = is_watched(directory)
        if watched:
            met.set()
        return watched

    monkeypatch.setattr(gate, "is_watched", looked)
    with held(boxes, container.id) as watched, held(boxes, container.id) as handle:
        with gate.Lock(watched.fd, gate.WATCH_LOCK):
            removal = Verb(lambda: ending.remove(handle, force=True))
            assert met.wait(PATIENCE_S), "it has the container's lock, and sees who reads"
            wait_until(lambda: not is_locked(watched.fd))
            assert removal.is_alive(), "somebody reads"
        removal.join(PATIENCE_S)
        assert not removal.is_alive() and not removal.error


@pytest.mark.usefixtures("patient")
def test_rm_ends_what_a_start_of_the_same_moment_takes_for_one_that_nobody_stopped(
    boxes: Boxes, monkeypatch: pytest.MonkeyPatch
) -> None:
    container = Container.run(["sleep", "0.05"], root=str(boxes.root), restart="always")
    mark, marked = ending.mark_stopping, []

    def forgotten_once(handle: Handle) -> None:
        mark(handle)
        if not marked:
            one_life.forget(handle.fd, gate.STOPPING)  # the first act of a start
        marked.append(handle.id)

    monkeypatch.setattr(ending, "mark_stopping", forgotten_once)
    removal = Verb(lambda: container.remove(force=True))
    removal.join(PATIENCE_S)
    assert not removal.is_alive() and not removal.error and len(marked) > 1


def test_what_was_removed_meanwhile_has_ended_and_cannot_be_started(
    boxes: Boxes, monkeypatch: pytest.MonkeyPatch
) -> None:
    container = Container.run(["sleep", "600"], root=str(boxes.root))
    with held(boxes, container.id) as handle:
        container.remove(force=True)
        ending.stop(handle)
        # It went after its directory was opened, and before it was locked.
        monkeypatch.setattr(Store, "open", lambda *_: os.dup(handle.fd))
        with pytest.raises(NotFound, match="was removed"):
            one_life.locked(handle)
        with pytest.raises(NotFound, match="was removed"):
            ending.kill(handle, 9)


def test_a_start_that_finds_the_gate_closed_waits_for_the_last_word_of_who_waited_there(
    boxes: Boxes, monkeypatch: pytest.MonkeyPatch
) -> None:
    container = Container.create(["true"], root=str(boxes.root))
    with held(boxes, container.id) as handle:
        assert handle.init is not None
        monitor, init = handle.init.monitor_pid, handle.init.init_pid
    os.kill(monitor, signal.SIGSTOP)

    def nobody(_directory: int, _word: bytes) -> None:
        os.kill(init, signal.SIGKILL)
        os.kill(monitor, signal.SIGCONT)
        raise Conflict("nobody waits at the gate", where="nucleus start", remedy="")

    monkeypatch.setattr(gate, "tell", nobody)
    with pytest.raises(LaunchError, match="await-proceed"):
        container.start()


def test_of_two_starts_one_is_told_that_it_runs(boxes: Boxes) -> None:
    container = Container.create(["sleep", "600"], root=str(boxes.root))
    starts = [Verb(container.start) for _ in range(2)]
    for start in starts:
        start.join()
    told = sorted([start.error for start in starts])
    assert told[0] == "" and "is running" in told[1]
    assert container.status == lifecycle.RUNNING
    container.remove(force=True)
