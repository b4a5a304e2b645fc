"""What a container may have more or less of, when asked: its time, its view of cgroups, a writable /proc or root."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from sandboxes import Boxes, cgroup_mounts

HERE = pytest.mark.identity("root", "user", "nosub", "nested")


def shell(boxes: Boxes, script: str, *flags: str) -> list[str]:
    result = boxes.run(*flags, "--", "sh", "-c", script)
    assert result.exit_code == 0, result.err
    return result.out.split()


def test_a_time_namespace_is_the_container_s_own(boxes: Boxes) -> None:
    host = os.readlink("/proc/self/ns/time")
    assert shell(boxes, "readlink /proc/self/ns/time") == [host]
    (inside,) = shell(boxes, "readlink /proc/self/ns/time", "--time-namespace")
    assert inside.startswith("time:[") and inside != host


def test_the_cgroup_namespace_may_be_the_caller_s(boxes: Boxes) -> None:
    host = os.readlink("/proc/self/ns/cgroup")
    assert shell(boxes, "readlink /proc/self/ns/cgroup") != [host]
    assert shell(boxes, "readlink /proc/self/ns/cgroup", "--disable-cgroup-namespace") == [host]


@HERE
def test_proc_is_writable_for_its_owner_alone_and_only_when_asked(boxes: Boxes) -> None:
    tune = "echo 500 >/proc/self/oom_score_adj"
    assert boxes.run("--", "sh", "-c", tune).exit_code != 0
    assert shell(boxes, f"{tune}; cat /proc/self/oom_score_adj", "--proc-rw") == ["500"]
    # What is the kernel's, and what is hidden, stays so.
    names = "sys/kernel/hostname sys/vm/swappiness sysrq-trigger"
    closed = f"for f in {names}; do (echo 1 >/proc/$f) 2>&- && echo open; done; wc -c </proc/keys"
    assert shell(boxes, closed, "--proc-rw", "--user", "0" if os.geteuid() == 0 else "1000") == ["0"]


# ---- cgroup parent ----


@pytest.mark.identity("root")
def test_the_cgroup_is_made_below_the_chosen_parent(boxes: Boxes) -> None:
    name = f"nucleus-test-parent-{os.getpid()}"
    parents = [mount / name for mount in cgroup_mounts() if (mount / "pids.max").parent.is_dir()]
    made = []
    try:
        for parent in parents:
            try:
                parent.mkdir()
                made.append(parent)
            except OSError:
                continue  # a hierarchy that takes no directories, such as a read-only one
        assert made
        flags = ("--cgroup-parent", f"/{name}", "--disable-cgroup-namespace", "--pids", "64")
        lines = shell(boxes, "cat /proc/self/cgroup", *flags)
        assert any(f"/{name}/nucleus-" in line for line in lines), lines
        boxes.cli("run", "--name", "kept", *flags, "--", "true")
        assert all(f"/{name}/nucleus-" in path for path in boxes.inspect("kept")["cgroups"])
    finally:
        for parent in made:
            parent.rmdir()


def test_a_cgroup_parent_that_is_not_there_is_refused_by_name(boxes: Boxes) -> None:
    ran = boxes.cli("run", "--cgroup-parent", "/nucleus/not/there", "--", "true")
    assert ran.code == 125
    assert "--cgroup-parent" in ran.err or "cgroup" in ran.err
    assert "remedy" in ran.err


# ---- a writable root ----


@pytest.fixture
def rootfs(boxes: Boxes) -> Path:
    """A root file system of busybox alone."""
    busybox = shutil.which("busybox")
    assert busybox is not None, "package busybox-static"
    top = boxes.directory("rootfs")
    for name in ("bin", "etc", "usr/share/deep"):
        (top / name).mkdir(parents=True)
    shutil.copy2(busybox, top / "bin" / "busybox")
    for name in ("sh", "cat", "ls", "rm", "mv", "mkdir", "chmod", "df", "dd", "stat"):
        (top / "bin" / name).symlink_to("busybox")
    (top / "etc" / "passwd").write_text("root:x:0:0::/:/bin/sh\n")
    (top / "usr" / "share" / "deep" / "file").write_text("below\n")
    return top


def everything(top: Path) -> dict[str, tuple[int, int, bytes]]:
    found = {}
    for path in sorted(top.rglob("*")):
        status = path.lstat()
        data = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        found[str(path)] = (status.st_mode, status.st_mtime_ns, data)
    return found


@HERE
def test_an_overlay_takes_what_is_written_and_the_rootfs_stays(boxes: Boxes, rootfs: Path) -> None:
    before = everything(rootfs)
    who = "0" if os.geteuid() == 0 else "1000"  # the owner of the rootfs' files
    script = (
        "echo more >>/usr/share/deep/file; cat /usr/share/deep/file; rm /etc/passwd; ls /etc;"
        "mkdir /usr/new; echo '#!/bin/sh' >/bin/tool; echo 'echo made' >>/bin/tool; chmod +x /bin/tool; tool;"
        "mv /usr/share/deep/file /usr/new/moved; ls /usr/share/deep /usr/new; ls -A /sys"
    )
    flags = ("--rootfs", str(rootfs), "--rootfs-mode", "overlay", "--user", who)
    words = shell(boxes, script, *flags)
    assert words == ["below", "more", "made", "/usr/new:", "moved", "/usr/share/deep:"]
    assert everything(rootfs) == before
    assert shell(boxes, "cat /usr/share/deep/file; ls /etc", *flags) == ["below", "passwd"]


@HERE
def test_an_overlay_is_bounded_runs_no_setuid_program_and_hides_its_layers(
    boxes: Boxes, rootfs: Path, identity: str
) -> None:
    flags = ("--rootfs", str(rootfs), "--rootfs-mode", "overlay")
    result = boxes.run(*flags, "--", "cat", "/proc/mounts")
    lines = [line.split() for line in result.out.splitlines()]
    usr = [words for words in lines if words[1] == "/usr"][-1]
    assert usr[2] == "overlay" and {"nosuid", "nodev", "rw"} <= set(usr[3].split(","))
    (first, second) = [words for words in lines if words[1] == "/sys"]
    assert "size=1048576k" in first[3] and {"ro", "nosuid"} <= set(second[3].split(","))
    probed = boxes.probe("create /usr/new", "create /sys/usr/upper/x", "create /tmp/new", flags=flags)
    # A workload that is not the owner of the rootfs' files creates none beside them.
    assert probed[0][0] == ("EACCES" if identity == "root" else "OK")
    assert probed[1][0] in ("EACCES", "ENOENT", "EROFS")
    assert probed[2] == ["OK"]


def test_an_overlay_needs_a_rootfs(boxes: Boxes) -> None:
    ran = boxes.cli("run", "--rootfs-mode", "overlay", "--", "true")
    assert ran.code == 125 and "--rootfs" in ran.err


# ---- the context's integrity ----


def test_a_verified_context_starts_and_one_that_changes_does_not(boxes: Boxes) -> None:
    context = boxes.directory("input")
    (context / "a").write_text("one")
    (context / "b\nc").write_bytes(bytes(range(256)))
    flags = ("--context", str(context), "--verify-context-integrity")
    assert shell(boxes, "cat /context/a", *flags) == ["one"]
    ran = boxes.cli("run", *flags, "--context-mode", "bind", "--", "true")
    assert ran.code == 125 and "--verify-context-integrity" in ran.err
