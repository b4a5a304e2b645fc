"""What descriptors a host program has, or lacks, changes nothing inside, and nothing of them is kept."""

from __future__ import annotations

import os
import threading

from sandboxes import PATIENCE_S, Boxes

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
    folder = boxes.directory("folder")
    folder.chmod(0o755)
    seen = []

    def on_stdout(_: bytes) -> None:
        os.close(writing)  # the last one, unless the launcher has another
        seen.append(gone.wait(PATIENCE_S))
        (folder / "over").touch()

    script = "echo runs; until [ -e /folder/over ]; do sleep 0.01; done"
    words = ("--root", str(boxes.root), "--volume", f"{folder}:/folder:ro", "--", "/bin/sh", "-c", script)
    assert sandbox.run(parse_run([*words]), on_stdout=on_stdout).ok
    assert seen == [True]
    reader.join(PATIENCE_S)
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
