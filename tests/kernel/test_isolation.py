"""What the workload cannot see or reach: processes, sockets, interfaces, IPC objects, descriptors, init."""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sandboxes import COMMAND, PATIENCE_S, Boxes

from nucleus import Container

BOTH = pytest.mark.parametrize("process", ["self", "1"], ids=["workload", "init"])
IPC_CREAT, IPC_RMID = 0o1000, 0
REFUSED = {"EACCES", "EPERM"}


@pytest.fixture
def shared_memory() -> Iterator[int]:
    """The key of a segment of the host."""
    libc = ctypes.CDLL(None, use_errno=True)
    key = 0x4E550000 | os.getpid() & 0xFFFF
    number = libc.shmget(key, 4096, IPC_CREAT | 0o666)
    assert number >= 0, os.strerror(ctypes.get_errno())
    yield key
    libc.shmctl(number, IPC_RMID, None)


def test_no_process_of_the_host_is_visible(boxes: Boxes) -> None:
    (names,) = boxes.probe("list /proc")
    assert [name for name in names if name.isdigit()] == ["1", "2"]


def test_the_host_s_listening_sockets_cannot_be_reached(boxes: Boxes) -> None:
    with socket.socket(socket.AF_UNIX) as abstract, socket.socket() as internet:
        abstract.bind(f"\0nucleus-test-{os.getpid()}")
        abstract.listen()
        internet.bind(("127.0.0.1", 0))
        internet.listen()
        port = internet.getsockname()[1]
        (by_name,), (by_port,) = boxes.probe(
            f"connect-unix @nucleus-test-{os.getpid()}", f"connect-tcp 127.0.0.1 {port}"
        )
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S):
            assert (by_name, by_port) == ("ECONNREFUSED", "ECONNREFUSED")


def test_a_path_socket_of_the_host_lies_nowhere_inside(boxes: Boxes) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        path = boxes.folder / "s"
        listening.bind(str(path))
        listening.listen()
        assert boxes.probe(f"connect-unix {path}")[0] == ["ENOENT"]


def test_the_only_interface_is_a_loopback_that_is_up(boxes: Boxes) -> None:
    interfaces, (loopback,), elsewhere = boxes.probe("interfaces", "loopback", "connect-tcp 192.0.2.1 80")
    assert (interfaces, loopback, elsewhere) == (["lo"], "OK", ["ENETUNREACH"])


@BOTH
def test_no_host_socket_or_interface_shows_in_proc(boxes: Boxes, process: str) -> None:
    devices, names, ports = boxes.probe(*[f"cat /proc/{process}/net/{t}" for t in ("dev", "unix", "tcp")])
    assert [line.split(":")[0].strip() for line in devices[2:]] == ["lo"]
    assert (names[1:], ports[1:]) == ([], [])


def test_no_system_v_object_of_the_host_is_visible(boxes: Boxes, shared_memory: int) -> None:
    assert boxes.probe(f"sysv {shared_memory:#x}")[0] == ["key ENOENT", "shm 0", "sem 0", "msg 0"]


@pytest.mark.parametrize(
    "verb",
    [
        "read /proc/1/environ", "read /proc/1/mem", "read /proc/1/maps", "list /proc/1/fd",
        "list /proc/1/root", "read /proc/1/auxv", "read /proc/1/stack", "read /proc/1/exe",
        "exec /proc/1/exe", "list /proc/1/cwd", "list /proc/1/map_files", "list /proc/1/task/1/fd",
        "write /proc/1/oom_score_adj", "read /proc/1/syscall",
    ],
)  # fmt: skip
def test_init_tells_nothing_about_itself(boxes: Boxes, verb: str) -> None:
    assert boxes.probe(verb)[0][0] in REFUSED | {"ENOENT"}


def test_init_s_arguments_carry_no_plan(boxes: Boxes) -> None:
    assert boxes.probe("cat /proc/1/cmdline")[0] == ["nucleus-init"]


@BOTH
def test_the_cgroup_shown_is_the_root_of_a_namespace(boxes: Boxes, process: str) -> None:
    (lines,) = boxes.probe(f"cat /proc/{process}/cgroup")
    own = [line.split(":", 2)[2] for line in lines]
    assert all("nucleus" not in path for path in own), own


@pytest.mark.parametrize("kind", ["user", "pid", "mnt", "net", "ipc", "uts", "cgroup"])
def test_every_namespace_is_a_new_one(boxes: Boxes, kind: str) -> None:
    inside = boxes.run("--", "readlink", f"/proc/self/ns/{kind}").out.strip()
    assert inside.startswith(f"{kind}:[")
    assert inside != os.readlink(f"/proc/self/ns/{kind}")


@pytest.mark.parametrize("by", ["command line", "library"])
def test_no_descriptor_of_the_caller_gets_inside(boxes: Boxes, by: str) -> None:
    read, write = os.pipe()
    words = ["--root", str(boxes.root), *boxes.probe_flags(), "--", *boxes.probe_words("fds")]
    library = "import sys; from nucleus import sandbox; from nucleus.cli.parser import parse_run; " + (
        "sys.stdout.write(sandbox.run(parse_run(sys.argv[1:])).out)"
    )
    with contextlib.ExitStack() as kept:
        kept.callback(os.close, read)
        kept.callback(os.close, write)
        # The shell opens 3 to 20 for whatever it executes; the pipe is there under its own numbers.
        places = ("/etc/passwd", "/", "/dev/null", "/etc/group", "/usr", "/proc")
        opened = "exec " + " ".join(f"{n}<{places[n % len(places)]}" for n in range(3, 21)) + '; exec "$@"'
        program = [str(COMMAND), "run"] if by == "command line" else [sys.executable, "-c", library]
        ran = subprocess.run(
            ["bash", "-c", opened, "bash", *program, *words], stdin=subprocess.DEVNULL,
            capture_output=True, timeout=60, pass_fds=(read, write), check=True, text=True,
            env=boxes.environment | {"PYTHONPATH": str(COMMAND.parents[1] / "src")},
        )  # fmt: skip
    assert [line.split()[0] for line in boxes.answers(ran.stdout, 1)[0]] == ["0", "1", "2"]


def test_only_the_base_and_what_was_given_is_in_the_environment(boxes: Boxes) -> None:
    os.environ["NUCLEUS_TEST_OF_THE_HOST"] = "1"
    try:
        (lines,) = boxes.probe("environment", flags=("--env", "GIVEN=1"))
    finally:
        del os.environ["NUCLEUS_TEST_OF_THE_HOST"]
    assert sorted(line.partition("=")[0] for line in lines) == ["GIVEN", "HOME", "LANG", "PATH", "TERM"]


def test_the_host_name_is_the_container_s_own(boxes: Boxes) -> None:
    names = [
        boxes.run(
            *flags, "--", "sh", "-c", "cat /proc/sys/kernel/hostname /etc/hostname; hostname"
        ).out.split()
        for flags in (("--hostname", "builder"), ("--name", "tests"), ())
    ]
    assert names[:2] == [["builder"] * 3, ["tests"] * 3]
    assert socket.gethostname() not in names[2]


@pytest.mark.identity("root", "user", "vm-root", "vm-user")
def test_network_host_is_the_host_s_and_keeps_its_abstract_sockets_out(boxes: Boxes) -> None:
    with socket.socket(socket.AF_UNIX) as abstract:
        abstract.bind(f"\0nucleus-test-{os.getpid()}")
        abstract.listen()
        interfaces, (answer,) = boxes.probe(
            "interfaces",
            f"connect-unix @nucleus-test-{os.getpid()}",
            flags=("--network", "host", "--allow-host-network"),
        )
    assert set(interfaces) == {name for _, name in socket.if_nameindex()}
    # The scope for abstract sockets came with Landlock ABI 6 (Linux 6.12).
    assert answer in ("EPERM",) or tuple(int(n) for n in os.uname().release.split("-")[0].split(".")[:2]) < (
        6,
        12,
    )


def test_who_made_the_network_is_gone_before_the_command_is_there(boxes: Boxes) -> None:
    """Also where the command waits to be started."""
    waiting = Container.create(["/bin/sh", "-c", "echo $$"], root=str(boxes.root))
    init = Path(f"/proc/{waiting.inspect()['pid']}")
    (pids,) = [line for line in (init / "status").read_text().splitlines() if line.startswith("NSpid:")]
    assert pids.split()[-1] == "1"
    assert len((init / "task" / init.name / "children").read_text().split()) == 1
    waiting.start()
    waiting.wait()
    assert next(iter(waiting.logs())).data.strip() == b"2"
    waiting.remove()
