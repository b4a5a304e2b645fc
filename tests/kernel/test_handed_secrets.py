"""Secrets by descriptor and from systemd: in the workload's memory file system, and in no other place that there is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from sandboxes import PROJECT, Boxes, descendants, wait_until
from test_secrets import VALUE, places_of

EVERYWHERE = pytest.mark.identity("root", "user", "nosub", "nested", "vm-root", "vm-user")
pytestmark = EVERYWHERE


def descriptor(data: bytes) -> int:
    """The reading end of a pipe that a service manager, or a shell, would hand over."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    os.write(write, data)
    os.close(write)
    os.set_inheritable(read, True)
    return read


def run(
    boxes: Boxes, data: bytes, *words: str, flags: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    fd = descriptor(data)
    try:
        return subprocess.run(
            [str(PROJECT / "bin" / "nucleus"), "run", "--root", str(boxes.root), "--rm", "--secrets-fd", str(fd), *flags,
             "--", *words],
            pass_fds=(fd,), capture_output=True, text=True, env=boxes.environment, timeout=60, check=False,
        )  # fmt: skip
    finally:
        os.close(fd)


@pytest.mark.parametrize(
    "data",
    [f"token={VALUE}\0pem=two\nlines=\n\0empty=\0".encode(),
     json.dumps({"token": VALUE, "pem": "two\nlines=\n", "empty": ""}).encode()],
    ids=["nul", "json"],
)  # fmt: skip
def test_each_value_is_a_file_of_the_workload_alone(boxes: Boxes, data: bytes) -> None:
    script = (
        "cd /run/secrets; cat token; echo; cat pem; wc -c <empty; stat -c '%a %u' token; ls; echo x >token"
    )
    done = run(boxes, data, "sh", "-c", script)
    assert done.stdout == f"{VALUE}\ntwo\nlines=\n0\n400 1000\nempty\npem\ntoken\n"
    assert "token" in done.stderr and done.returncode != 0  # nothing of it can be written


def test_while_it_runs_the_values_stand_nowhere_else(boxes: Boxes) -> None:
    """Arguments, environments, files in memory, pipes, plan, state, logs, events, audit log: of all processes."""
    fd = descriptor(f"token={VALUE}\0".encode())
    audit, events = boxes.folder / "audit", boxes.folder / "events"
    flags = (
        "--name",
        "holder",
        "--secrets-fd",
        str(fd),
        "--audit-log",
        str(audit),
        "--events-jsonl",
        str(events),
    )
    process = boxes.start(*flags, "--", "sh", "-c", "echo ready; exec sleep 600", pass_fds=(fd,))
    os.close(fd)
    try:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        pids = [process.pid, *descendants(process.pid)]
        assert len(pids) >= 3
        seen: dict[str, bytes] = {}
        for pid in pids:
            seen |= places_of(pid)
            seen |= _pipes(pid)
    finally:
        process.terminate()
        process.communicate(timeout=60)
    for path in [*boxes.root.rglob("*"), audit, events]:
        if path.is_file():
            seen[str(path)] = path.read_bytes()
    assert {name for name, data in seen.items() if VALUE.encode() in data} == set()
    assert any("nucleus-plan" in name for name in seen) and str(audit) in seen and len(seen) > 8


def _pipes(pid: int) -> dict[str, bytes]:
    """What still lies in the pipes that the process holds, but for its streams."""
    found = {}
    try:
        names = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return found
    for name in names:
        path = f"/proc/{pid}/fd/{name}"
        try:
            if int(name) < 3 or not os.readlink(path).startswith("pipe:"):
                continue
            copy = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError:  # closed meanwhile
            continue
        try:
            found[f"{pid} {name} pipe"] = os.read(copy, 1 << 16)
        except BlockingIOError:
            pass
        finally:
            os.close(copy)
    return found


HOST = """
import os, re, sys
sys.path.insert(0, sys.argv[1])
import nucleus
result = nucleus.run(["cat", "/run/secrets/token"], secrets_fd=int(sys.argv[2]))
assert result.ok and re.fullmatch(rb"SECRET[0-9]{24}", result.stdout), result
length = len(result.stdout)
del result
import gc; gc.collect()
left = 0
with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as memory:
    for line in maps:
        span, rights, *_ = line.split()
        if "w" not in rights or "[v" in line:
            continue
        first, last = (int(part, 16) for part in span.split("-"))
        memory.seek(first)
        try:
            left += len(re.findall(rb"token=SECRET[0-9]{24}", memory.read(last - first)))
        except OSError:
            continue
print(left)
"""


def test_the_buffer_of_the_host_program_is_overwritten(boxes: Boxes) -> None:
    """The name and the value stood beside each other in what was read, and nowhere else."""
    fd = descriptor(
        b"token=SECRET" + str(int.from_bytes(os.urandom(10), "big")).zfill(24)[:24].encode() + b"\0"
    )
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-c", HOST, str(PROJECT / "src"), str(fd)], pass_fds=(fd,),
            capture_output=True, text=True, env={**boxes.environment, "NUCLEUS_STATE_DIR": str(boxes.root)},
            timeout=60, check=False,
        )  # fmt: skip
    finally:
        os.close(fd)
    assert done.stdout.strip() == "0", done.stderr


@pytest.mark.identity("root", "user")
@pytest.mark.parametrize(
    "data",
    [b"", b"token", b"token=x", b"=x\0", b"a/b=x\0", b"a=x\0a=y\0", b"{", b'{"a": 3}', b'["a"]', b'{"../x": "y"}',
     b"big=" + b"x" * ((1 << 20) + 1) + b"\0"],
    ids=lambda data: ascii(data[:12]),
)  # fmt: skip
def test_what_is_wrong_is_told_without_a_value(boxes: Boxes, data: bytes, tmp_path: Path) -> None:
    file = tmp_path / "data"
    file.write_bytes(data)
    with file.open("rb") as source:
        os.set_inheritable(source.fileno(), True)
        done = subprocess.run(
            [str(PROJECT / "bin" / "nucleus"), "run", "--root", str(boxes.root), "--secrets-fd",
             str(source.fileno()), "--", "true"],
            pass_fds=(source.fileno(),), capture_output=True, text=True, env=boxes.environment, timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode == 125 and "--secrets-fd" in done.stderr and "remedy" in done.stderr
    assert "=x" not in done.stderr and boxes.cli("ps", "-aq").out == ""


def test_a_credential_of_the_calling_service_comes_in(boxes: Boxes) -> None:
    folder = boxes.directory("credentials")
    (folder / "db").write_text(VALUE)
    (folder / "link").symlink_to("db")
    boxes.environment["CREDENTIALS_DIRECTORY"] = str(folder)
    flags = ("--systemd-credential", "db", "--systemd-credential", "db:deep/copy")
    ran = boxes.cli("run", "--rm", *flags, "--", "sh", "-c", "cat /run/secrets/db /run/secrets/deep/copy")
    assert ran.out == VALUE * 2, ran.err
    for name in ("none", "link"):
        ran = boxes.cli("run", "--rm", "--systemd-credential", name, "--", "true")
        assert ran.code == 125 and f"'{name}'" in ran.err
    del boxes.environment["CREDENTIALS_DIRECTORY"]
    ran = boxes.cli("run", "--rm", "--systemd-credential", "db", "--", "true")
    assert ran.code == 125 and "CREDENTIALS_DIRECTORY" in ran.err


def test_a_detached_container_has_them_too_and_is_not_restarted(boxes: Boxes) -> None:
    fd = descriptor(f"token={VALUE}\0".encode())
    try:
        done = subprocess.run(
            [str(PROJECT / "bin" / "nucleus"), "run", "--root", str(boxes.root), "-d", "--detach-with", "none",
             "--name", "box", "--secrets-fd", str(fd), "--", "sh", "-c", "wc -c </run/secrets/token"],
            pass_fds=(fd,), capture_output=True, text=True, env=boxes.environment, timeout=60, check=False,
        )  # fmt: skip
    finally:
        os.close(fd)
    assert done.returncode == 0, done.stderr
    assert boxes.cli("wait", "box").out == "0\n"
    wait_until(lambda: boxes.cli("logs", "box").out.strip() == str(len(VALUE)))
    again = boxes.cli("restart", "box")
    assert again.code == 125 and "--secrets-fd" in again.err
    state = b"".join(path.read_bytes() for path in boxes.root.rglob("*") if path.is_file())
    assert VALUE.encode() not in state
