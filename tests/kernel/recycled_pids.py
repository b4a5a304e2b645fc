"""`python recycled_pids.py STATE-ROOT`, as process 1 of a pid namespace: strangers get the pids of a killed container.

Prints nothing and exits 0 when no verb has signalled a stranger.  ✗ a test: `test_lifecycle.py` starts it.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from nucleus.base.errors import NucleusError
from nucleus.container.container import Container, with_handle
from nucleus.container.running import ending
from nucleus.container.running.handle import Handle

LAST_PID = Path("/proc/sys/kernel/ns_last_pid")


def stranger(pid: int) -> None:
    """A process that has nothing to do with any container, with that pid."""
    for _ in range(50):
        LAST_PID.write_text(str(pid - 1))
        got = os.fork()
        if not got:
            os.closerange(3, 256)  # the lock among them
            while True:
                signal.pause()
        if got == pid:
            return
        os.kill(got, signal.SIGKILL)
        os.waitpid(got, 0)
    raise AssertionError(f"pid {pid} is not to be had")


def reap(pids: set[int]) -> None:
    """Collects the container's processes, which are process 1's when their parent is gone."""
    while pids:
        pids.discard(os.waitpid(-1, 0)[0])


def refused(act: Callable[[], object]) -> None:
    """The verb says that there is nobody to signal."""
    try:
        act()
    except NucleusError:
        return
    raise AssertionError("a verb found somebody")


def main(root: str) -> None:
    """Make one, kill it, give its pids away, and try everything that signals."""
    ending._KILL_WAIT_S = 0.3
    container = Container.run(["sleep", "600"], root=root, name="web")

    def pids(handle: Handle) -> tuple[int, int]:
        assert handle.init is not None
        return handle.init.monitor_pid, handle.init.init_pid

    monitor, init = with_handle("web", root, pids)
    directory = os.open(f"{root}/containers/{container.id}", os.O_RDONLY)
    os.kill(monitor, signal.SIGKILL)
    reap({monitor, init})
    fcntl.flock(directory, fcntl.LOCK_EX)  # somebody seems to own it still
    time.sleep(0.05)  # start times have a resolution of 10 ms
    stranger(monitor)
    stranger(init)
    assert container.status == "dead"
    refused(lambda: container.kill("USR1"))
    refused(lambda: container.stop(grace_s=0.1))
    refused(lambda: container.remove(force=True))
    os.close(directory)
    assert container.status == "stopped", "swept"
    refused(container.kill)
    container.stop()
    container.remove(force=True)
    for pid in (monitor, init):
        assert os.waitpid(pid, os.WNOHANG) == (0, 0), f"the stranger {pid} was signalled"


if __name__ == "__main__":
    main(sys.argv[1])
