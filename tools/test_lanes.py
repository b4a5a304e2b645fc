"""Commands with a limit of time, and lanes of them side by side: most tests wait more than they compute.

✗ knows no suite.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TypeVar

T = TypeVar("T")

_NICENESS = 10  # a tenth of the usual weight

_running: set[subprocess.Popen[bytes]] = set()
_starting = threading.Lock()  # held from the start of one until it is among them


def run_limited(
    command: list[str],
    *,
    limit_s: int,
    cwd: Path,
    environment: dict[str, str],
    output: IO[bytes] | None = None,
    yielding: bool = False,
) -> int | None:
    """Runs a command in a session of its own; None if it had to be stopped.

    output: where both of its streams go; None for the caller's own.
    yielding: it takes what others leave of the processors, and nobody who wakes up waits for it.
    """
    if yielding:
        command = ["nice", "-n", str(_NICENESS), *command]
    with _starting:
        process = subprocess.Popen(
            command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True,
        )  # fmt: skip
        _running.add(process)
    with process:
        if yielding:
            _lower_session(process.pid)
        try:
            return process.wait(timeout=limit_s)
        except subprocess.TimeoutExpired:
            _end(process)
            return None
        except KeyboardInterrupt:
            _end(process)
            raise
        finally:
            _running.discard(process)


def _lower_session(pid: int) -> None:
    """Where the kernel groups processes by session (sched(7), autogroup) a process's niceness counts in its group only."""
    try:
        Path(f"/proc/{pid}/autogroup").write_text(str(_NICENESS))
    except OSError:
        pass  # no such groups here, or it has ended already


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends it with all that it started in its session; a runner of tests cleans up when it is asked to end."""
    try:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


@contextmanager
def printed_at_the_end() -> Iterator[IO[bytes]]:
    """A file whose content is printed in one piece: lanes do not mix their lines."""
    with tempfile.TemporaryFile() as kept:
        try:
            yield kept
        finally:
            kept.seek(0)
            sys.stdout.flush()
            shutil.copyfileobj(kept, sys.stdout.buffer)
            sys.stdout.flush()


def side_by_side(lanes: Sequence[Callable[[], T]]) -> list[T]:
    """Runs each lane, the first one in this thread; an interrupt ends what all of them run."""
    with ThreadPoolExecutor(max_workers=max(1, len(lanes) - 1)) as others:
        futures = [others.submit(lane) for lane in lanes[1:]]
        try:
            return [lane() for lane in lanes[:1]] + [future.result() for future in futures]
        except BaseException:
            for future in futures:
                future.cancel()
            with _starting:
                running = list(_running)
            for process in running:
                _end(process)
            raise
