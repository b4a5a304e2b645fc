"""What descriptors a host program has, or lacks, changes nothing inside, and nothing of them is kept."""

from __future__ import annotations

import os
import threading

from sandboxes import Boxes

from nucleus import sandbox
from nucleus.cli.parser import parse_run


def test_a_pipe_of_the_host_does_not_stay_open_as_long_as_a_container(boxes: Boxes) -> None:
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    gone = threading.Event()

    def wait_for_end() -> None:
        os.read(reading, 1)
        gone.set()

    reader = threading.Thread(target=wait_for_end, daemon=True)
    reader.start()

    def on_stdout(_: bytes) -> None:
        os.close(writing)  # the last one, unless the launcher has another
        assert gone.wait(10)

    spec = parse_run(["--root", str(boxes.root), "--", "/bin/sh", "-c", "echo runs; sleep 0.3"])
    assert sandbox.run(spec, on_stdout=on_stdout).ok
    reader.join(10)
    os.close(reading)


def test_a_host_without_streams_starts_containers(boxes: Boxes) -> None:
    """Its own files get the numbers 0 to 2, and must not become the workload's streams by accident."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    pid = os.fork()
    if pid == 0:
        try:
            for fd in range(3):
                os.close(fd)
            spec = parse_run(["--root", str(boxes.root), "--", "/bin/sh", "-c", "cat; echo told"])
            result = sandbox.run(spec, stdin=b"some ")
            os.write(writing, result.stdout)
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    assert os.read(reading, 100) == b"some told\n"
    os.close(reading)
    os.close(writing)
