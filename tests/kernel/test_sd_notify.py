"""sd_notify: from inside a container with a network of its own to the manager that started nucleus."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator

import pytest
from sandboxes import COMMAND, PATIENCE_S, Boxes, wait_until

SAYS = r"""
import os, socket, time
channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
channel.connect(os.environ["NOTIFY_SOCKET"])
channel.sendmsg([b"STATUS=warm\nMAINPID=1\nFDSTORE=1"],
                [(socket.SOL_SOCKET, socket.SCM_RIGHTS, (1).to_bytes(4, "little"))])
time.sleep(0.2)
channel.send(b"READY=1")
channel.send(b"WATCHDOG=1")
print(os.environ.get("WATCHDOG_USEC"), flush=True)
time.sleep(600)
"""


@pytest.fixture
def manager(boxes: Boxes) -> Iterator[socket.socket]:
    """A socket as a service manager has it; an abstract one, for a test's folder may be too long for an address."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        name = f"nucleus-test-{os.getpid()}-{os.urandom(4).hex()}"
        listening.bind(f"\0{name}")
        listening.settimeout(PATIENCE_S)
        boxes.environment |= {"NOTIFY_SOCKET": f"@{name}", "WATCHDOG_USEC": "30000000"}
        yield listening


def words(listening: socket.socket) -> dict[str, str]:
    pairs = [line.partition("=") for line in listening.recv(4096).decode().split("\n")]
    return {key: value for key, _, value in pairs}


def test_ready_reaches_the_manager_from_a_network_of_its_own(boxes: Boxes, manager: socket.socket) -> None:
    process = subprocess.Popen(
        [str(COMMAND), "run", "--root", str(boxes.root), "--sd-notify", "--name", "web", "--",
         "python3", "-c", SAYS],
        env=boxes.environment, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    with process.stdout:
        assert words(manager) == {"STATUS": "warm"}, "what is the supervisor's own is left out"
        assert words(manager) == {"READY": "1", "MAINPID": str(process.pid)}
        assert words(manager) == {"WATCHDOG": "1"}
        assert process.stdout.readline() == "30000000\n"
        process.terminate()
        assert words(manager) == {"STOPPING": "1"}
        assert process.wait(PATIENCE_S) == 143


def test_a_detached_container_is_ready_when_it_says_so(boxes: Boxes) -> None:
    ran = boxes.cli("run", "-d", "--readiness-sd-notify", "--name", "web", "--", "python3", "-c", SAYS)
    assert ran.code == 0, ran.err
    assert boxes.inspect("web")["ready"] is True
    wait_until(lambda: "None" in boxes.cli("logs", "web").out)
    assert boxes.cli("rm", "-f", "web").code == 0


def test_health_feeds_the_watchdog(boxes: Boxes, manager: socket.socket) -> None:
    ran = boxes.cli(
        "run", "-d", "--sd-notify", "--readiness-exec", "true", "--health-cmd", "true", "--health-interval", "100ms",
        "--health-timeout", "60s", "--name", "web", "--", "sleep", "600",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert words(manager)["READY"] == "1"
    told = [words(manager) for _ in range(3)]
    assert {"WATCHDOG": "1"} in told and {"STATUS": "healthy"} in told, told
    assert boxes.cli("rm", "-f", "web").code == 0


def test_without_a_manager_nobody_would_be_told_and_that_is_an_error(boxes: Boxes) -> None:
    boxes.environment.pop("NOTIFY_SOCKET", None)
    ran = boxes.cli("run", "--sd-notify", "--", "true")
    assert ran.code == 125 and "NOTIFY_SOCKET" in ran.err, ran.err


@pytest.mark.identity("root")
def test_a_stranger_who_speaks_to_the_socket_is_not_heard(boxes: Boxes) -> None:
    ran = boxes.cli("create", "--readiness-sd-notify", "--name", "web", "--", "sleep", "600")
    assert ran.code == 0, ran.err
    directory = os.open(boxes.root / "containers" / ran.out.strip(), os.O_PATH)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:
        stranger.connect(f"/proc/self/fd/{directory}/notify")
        starting = boxes.cli_process("start", "web")
        wait_until(lambda: boxes.inspect("web")["status"] == "running")
        stranger.send(b"READY=1")
        with pytest.raises(subprocess.TimeoutExpired):
            starting.wait(1)
    os.close(directory)
    assert boxes.inspect("web")["ready"] is False
    assert boxes.cli("rm", "-f", "web").code == 0
    starting.communicate(timeout=PATIENCE_S)
