"""Spare network namespaces: each is one container's alone, and what waits in one is nothing."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sandboxes import PATIENCE_S, PROJECT, Boxes, descendants, wait_until
from test_prepared_roots import kind_of, plans_of, until_shared

import nucleus
from nucleus.container.result import Result
from nucleus.container.reuse.spares import SPARES
from nucleus.plan import schema

pytestmark = pytest.mark.identity("root", "vm-root")

SHOW = "readlink /proc/self/ns/net"


class Enough(Exception):
    """The container has shown what it was started for."""


@pytest.fixture(autouse=True)
def no_spares() -> Iterator[None]:
    SPARES.forget()
    yield
    SPARES.forget()


def start(boxes: Boxes, script: str, **options: Any) -> Result:
    return nucleus.run(["/bin/sh", "-c", script], root=str(boxes.root), **options)


def steps_of(begin: Callable[[], object]) -> tuple[set[str], Any]:
    """The names of the steps that the start of a container runs, and what came of it."""
    plans, result = plans_of(begin)
    started = [plan for plan in plans if plan.kind != schema.KIND_JOIN]  # not of who enters it meanwhile
    return {s.name for s in started[-1].steps}, result


def until_taken(begin: Callable[[], Result]) -> Result:
    """The result of the first start that takes a spare one: the one before it may have ended before it had made one."""
    until_shared(begin)
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        names, result = steps_of(begin)
        if "take-network" in names:
            return result
    raise AssertionError("no start took a spare network namespace")


# A connection within the container, of both families, and what interfaces there are.
TALK = """
import os, socket
print(sorted(os.listdir("/proc/sys/net/ipv4/conf")))
for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
    with socket.create_server((address, 8080), family=family) as server, socket.socket(family) as one:
        one.connect(server.getsockname()[:2])
        two, _ = server.accept()
        one.sendall(b"hello"); print(two.recv(9).decode())
try:
    socket.create_connection(("192.0.2.1", 80), 1)
except OSError as error:
    print(error.strerror)
"""


def test_a_spare_one_is_what_the_containers_own_would_be(boxes: Boxes) -> None:
    def talk(**options: Any) -> Result:
        return nucleus.run(["python3", "-c", TALK], root=str(boxes.root), **options)

    own = talk(label=["first=of its kind"])
    spare = until_taken(talk)
    assert (own.out, own.err) == (spare.out, spare.err)
    assert own.out.splitlines() == ["['all', 'default', 'lo']", "hello", "hello", "Network is unreachable"]


def test_nobody_had_it_before(boxes: Boxes) -> None:
    """Nothing that one container left in its own shows in the next one's: counters begin at 0."""
    use = "import socket; s = socket.create_server(('127.0.0.1', 1234)); socket.create_connection(s.getsockname())"
    look = "tail -n 1 /proc/net/dev; cat /proc/net/tcp"
    script = f'{look}; python3 -c "{use}"; {look}'
    for _ in range(5):
        lines = until_taken(lambda: start(boxes, script)).out.splitlines()
        assert (lines[0].split()[:3], lines[1].split()[0]) == (["lo:", "0", "0"], "sl")
        assert lines[2].split()[1] != "0", "it was used, then"


def test_containers_that_run_at_once_share_none(boxes: Boxes) -> None:
    until_taken(lambda: start(boxes, "true"))
    together, seen = threading.Barrier(6), []

    def one() -> None:
        def shown(data: bytes) -> None:
            seen.append(data.strip())
            together.wait(PATIENCE_S)  # all of them run
            raise Enough

        with contextlib.suppress(Enough):
            nucleus.run(["/bin/sh", "-c", f"{SHOW}; exec sleep 600"], root=str(boxes.root), on_stdout=shown)

    for _ in range(3):
        threads = [threading.Thread(target=one) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
        assert len(seen) == 6 == len(set(seen)), seen
        seen.clear()
        together.reset()
    taken = []
    while (fd := SPARES.take()) >= 0:
        taken.append(fd)
    for fd in taken:
        os.close(fd)
    assert len(taken) <= 6, "as many wait as ran at once, at most"


def test_of_a_fork_one_side_alone_gets_it(boxes: Boxes) -> None:
    def ready() -> bool:
        start(boxes, "sleep 0.1")
        fd = SPARES.take()
        if fd < 0:
            return False
        put_back(fd)
        return True

    until_shared(lambda: start(boxes, "true"))
    while (fd := SPARES.take()) >= 0:
        os.close(fd)
    wait_until(ready)
    pid = os.fork()
    mine = SPARES.take() >= 0
    if pid == 0:
        os._exit(int(mine))
    his = bool(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    assert {mine, his} == {True, False}


def test_an_empty_queue_is_not_waited_for(boxes: Boxes) -> None:
    """A program's own default timeout of sockets holds for the one that is looked into, too."""
    os.close(SPARES.receiver())
    socket.setdefaulttimeout(PATIENCE_S)
    try:
        begun = time.monotonic()
        assert SPARES.take() == -1
        assert time.monotonic() - begun < PATIENCE_S / 2
    finally:
        socket.setdefaulttimeout(None)


def put_back(fd: int) -> None:
    receiver = SPARES.receiver()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM, 0, fileno=receiver) as queue:
        socket.send_fds(queue, [b"N"], [fd])
    os.close(fd)


def test_nothing_is_taken_of_a_fork_that_became_another_user(boxes: Boxes) -> None:
    """It could send the host's own network namespace."""
    SPARES.receiver()
    for uid, taken in ((1234, False), (0, True)):
        pid = os.fork()
        if pid == 0:
            try:
                os.setresuid(uid, uid, uid)
                put_back(os.open("/proc/self/ns/net", os.O_RDONLY))
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
        fd = SPARES.take()
        assert (fd >= 0) == taken, uid
        if taken:
            os.close(fd)


@pytest.mark.parametrize("path", ["/proc/self/ns/uts", "/dev/null"])
def test_what_is_no_network_namespace_fails_no_start(boxes: Boxes, path: str) -> None:
    until_shared(lambda: start(boxes, "true"))
    SPARES.forget()
    put_back(os.open(path, os.O_RDONLY))
    assert start(boxes, "echo started").stdout == b"started\n"


def test_who_enters_is_where_the_container_is(boxes: Boxes) -> None:
    until_taken(lambda: start(boxes, "true"))
    inside: list[str] = []

    def shown(data: bytes) -> None:
        inside.append(data.decode())
        inside.append(boxes.cli("exec", "box", "--", "/bin/sh", "-c", SHOW).out)
        inside.append(nucleus.Container.find("box", root=str(boxes.root)).exec(["/bin/sh", "-c", SHOW]).out)
        raise Enough

    def once() -> None:
        with contextlib.suppress(Enough):
            nucleus.run(
                ["/bin/sh", "-c", f"{SHOW}; exec sleep 600"],
                root=str(boxes.root),
                name="box",
                on_stdout=shown,
            )

    def same_for_all() -> bool:
        inside.clear()
        names, _ = steps_of(once)
        assert len(inside) == 3 and len(set(inside)) == 1, inside
        return "take-network" in names

    wait_until(same_for_all)


def test_a_workload_with_a_capability_has_a_namespace_where_it_is_worth_something(boxes: Boxes) -> None:
    policy = boxes.directory("policy") / "c.toml"
    policy.write_text('[ambient]\nkeep = ["NET_BIND_SERVICE"]\n')
    bind = "import socket; socket.create_server(('127.0.0.1', 80)); print('bound')"
    saved = nucleus.SavedPlan.compile(["python3", "-c", bind], root=str(boxes.root), caps_policy=str(policy))
    until_shared(saved.run)
    names, result = steps_of(saved.run)
    assert (result.out, {"take-network", "spare-network"} & names) == ("bound\n", set())


PROGRAM = """
import os, sys
sys.path.insert(0, sys.argv[1] + "/src")
import nucleus
for turn in range(12):
    result = nucleus.run(["/bin/sh", "-c", "readlink /proc/self/ns/net"], root=sys.argv[2])
    assert result.ok, result
    if turn % 3 == 2:
        os.closerange(3, 64)  # a program that daemonises itself
    if turn == 8:
        held = [os.open("/dev/null", os.O_RDONLY) for _ in range(40)]
print("done")
"""


def test_a_program_may_close_what_waits(boxes: Boxes) -> None:
    words = [sys.executable, "-c", PROGRAM, str(PROJECT), str(boxes.root)]
    done = subprocess.run(words, capture_output=True, text=True, env=boxes.environment)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


def test_a_command_that_is_not_there_costs_the_next_start_nothing(boxes: Boxes) -> None:
    until_taken(lambda: start(boxes, "true"))
    with pytest.raises(nucleus.LaunchError) as caught:
        nucleus.run(["no-such-program"], root=str(boxes.root))
    assert caught.value.exit_code == 127
    names, _ = steps_of(lambda: start(boxes, "true"))
    assert "spawn-in-root" in names


def test_the_end_of_a_program_leaves_nobody_who_makes_one(boxes: Boxes, tmp_path: Path) -> None:
    before = set(descendants())
    until_taken(lambda: start(boxes, "true"))
    for _ in range(20):
        pid = os.fork()
        if pid == 0:
            try:
                start(boxes, "exec sleep 600")
            finally:
                os._exit(0)
        known = {*before, pid}
        wait_until(lambda known=known: set(descendants()) - known)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        wait_until(lambda: not set(descendants()) - before)
    assert kind_of(lambda: start(boxes, "true"))[1].ok


def test_who_has_made_one_is_reaped_while_the_command_runs(boxes: Boxes) -> None:
    """A command may run for days, and so long would its process number be taken."""
    until_taken(lambda: start(boxes, "true"))
    before, left = set(children(os.getpid())), []

    def shown(data: bytes) -> None:
        (monitor,) = set(children(os.getpid())) - before
        left.append(wait_until(lambda: [children(monitor)] if len(children(monitor)) == 1 else []))
        raise Enough

    with contextlib.suppress(Enough):
        start(boxes, "echo; exec sleep 600", on_stdout=shown)
    assert len(left) == 1, "init alone"


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
