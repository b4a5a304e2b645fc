"""A kernel in lockdown mode: a sandbox needs nothing that it forbids, and `nucleus doctor` tells that it is on."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from sandboxes import COMMAND, Boxes, wait_until
from test_refused_calls import REFUSED

pytestmark = pytest.mark.identity("vm-locked")


def test_doctor_tells_that_the_kernel_is_locked(boxes: Boxes) -> None:
    assert "[integrity]" in Path("/sys/kernel/security/lockdown").read_text()
    done = subprocess.run([str(COMMAND), "doctor"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    (line,) = [line for line in done.stdout.splitlines() if "kernel lockdown" in line]
    assert line.startswith("ok ") and " integrity: " in line


def test_every_layer_holds_and_a_detached_container_lives(boxes: Boxes) -> None:
    flags = ("--memory", "64M", "--pids", "30", *boxes.probe_flags())
    result = boxes.run(*flags, "--", *boxes.probe_words(f"try {' '.join(REFUSED)}"))
    assert (result.exit_code, result.reason) == (0, "exit"), result.err
    (calls,) = boxes.answers(result.out, 1)
    assert dict(line.split(" ", 1) for line in calls) == dict.fromkeys(REFUSED, "EPERM")
    script = "trap 'exit 9' TERM; echo ready; while :; do sleep 0.02; done"
    ran = boxes.cli("run", "-d", "--name", "web", "--memory", "64M", "--", "sh", "-c", script)
    assert ran.code == 0, ran.err
    wait_until(lambda: boxes.cli("logs", "web").out == "ready\n")
    assert boxes.cli("exec", "web", "--", "sh", "-c", "echo x >/usr/x || exit 5").code == 5
    assert boxes.cli("stop", "-t", "50s", "web").code == 0 and boxes.cli("wait", "web").out == "9\n"
