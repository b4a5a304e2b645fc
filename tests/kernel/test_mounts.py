"""The mount table and the tree are the plan's, and Landlock refuses what the mounts alone would allow."""

from __future__ import annotations

import os
import socket
import subprocess
from typing import Any

import pytest
from sandboxes import COMMAND, PATIENCE_S, Boxes, host_mounts_below

FEATURES = ("--workspace", "--context", "--tmpfs")
MASKS = ("mask-file", "mask-directory")


def plan_targets(steps: list[dict[str, Any]]) -> tuple[set[str], set[str]]:
    """The mount points that the plan makes for certain, and those where there is something to hide.

    What the host has mounted below a directory comes in with it.
    """
    sources = {s["fields"]["mount"]: s["fields"]["path"] for s in steps if s["step"].startswith("open-tree")}
    certain, possible = {"/"}, set()
    for step in steps:
        fields = step["fields"]
        if step["step"] in ("mount-filesystem", "mount-proc", "attach-mount"):
            certain.add(fields["target"])
            for below in host_mounts_below(sources.get(fields.get("mount"), "")):
                possible.add(fields["target"] + below)
        elif step["step"] in MASKS:
            possible.add(fields["path"])
        elif step["step"] == "protect-path":
            certain.add(fields["path"])
    return certain, possible


@pytest.fixture
def rich(boxes: Boxes) -> tuple[str, ...]:
    """Flags of a run that uses every kind of mount."""
    workspace, context, data = (boxes.directory(n) for n in ("work", "input", "data"))
    (workspace / ".git").mkdir()
    (workspace / ".git" / "config").write_text("[core]\n")
    (context / "file").write_text("text")
    (data / "file").write_text("data")
    secret = boxes.folder / "token"
    secret.write_text("hidden")
    return (
        *("--workspace", str(workspace), "--context", str(context), "--volume", f"{data}:/data:ro"),
        *("--tmpfs", "/scratch:1M", "--secret", f"token={secret}", *boxes.probe_flags()),
    )


@pytest.mark.parametrize("process", ["self", "1"], ids=["workload", "init"])
def test_every_mount_is_one_of_the_plan_s(boxes: Boxes, rich: tuple[str, ...], process: str) -> None:
    certain, possible = plan_targets(boxes.explain(*rich, "--", "true"))
    ran = boxes.run(*rich, "--", *boxes.probe_words(f"cat /proc/{process}/mountinfo"))
    shown = {line.split(" ")[4] for line in boxes.answers(ran.out, 1)[0]}
    assert shown - certain - possible == set()
    assert certain - shown == set()


@pytest.mark.identity("root", "user", "nosub", "nested", "vm-root")
def test_no_mount_travels_between_the_host_and_the_sandbox(boxes: Boxes) -> None:
    """On a host whose mounts are shared, as systemd makes them; here in a namespace that ends with the test."""
    workspace = boxes.directory("work")
    for name in (".git", "late"):
        (workspace / name).mkdir()
    (workspace / ".git" / "config").write_text("[core]\n")
    (boxes.folder / "data").mkdir()
    run = [
        "run",
        "--root",
        str(boxes.root),
        "--rm",
        "--workspace",
        str(workspace),
        "--volume",
        f"{boxes.folder}/data:/data",
    ]
    # Private first, so that nothing comes out of this namespace; then shared among its own.
    script = """
mount --make-rshared / || exit 1
work=$1; shift
"$@" -- sh -c 'echo ready; read x; ls /workspace/late' <"$work/../gate" &
exec 9>"$work/../gate"
while ! [ -s "$work/../out" ]; do sleep 0.05; done
mount -t tmpfs none "$work/late" && : >"$work/late/of-the-host"
grep -F "$work" /proc/self/mountinfo | cut -d' ' -f5 >&2
echo go >&9
wait
"""
    os.mkfifo(boxes.folder / "gate")
    become = (
        ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]
    )
    with open(boxes.folder / "out", "wb") as out:
        done = subprocess.run(
            [*become, "sh", "-c", script, "sh", str(workspace), str(COMMAND), *run],
            stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.PIPE, env=boxes.environment, timeout=3 * PATIENCE_S,
            check=False,
        )  # fmt: skip
    assert (boxes.folder / "out").read_text() == "ready\n", done.stderr
    assert done.stderr.decode().split() == [str(workspace / "late")]


def test_no_mount_lets_set_user_id_or_devices_through(boxes: Boxes, rich: tuple[str, ...]) -> None:
    ran = boxes.run(*rich, "--", *boxes.probe_words("cat /proc/self/mountinfo"))
    for line in boxes.answers(ran.out, 1)[0]:
        words = line.split(" ")
        options, kind = words[5].split(","), words[words.index("-") + 1]
        assert "nosuid" in options, line
        # Device nodes are what devtmpfs and devpts are for; nothing else may hold any.
        assert "nodev" in options or kind in ("devtmpfs", "devpts"), line


def test_what_is_not_meant_to_be_written_is_read_only(boxes: Boxes, rich: tuple[str, ...]) -> None:
    writable = {"/tmp", "/home/agent", "/dev/shm", "/dev/pts", "/workspace", "/workspace/.git", "/scratch"}
    ran = boxes.run(*rich, "--", *boxes.probe_words("cat /proc/self/mountinfo"))
    shown = {w[4]: w[5].split(",") for line in boxes.answers(ran.out, 1)[0] if (w := line.split(" "))}
    assert {point for point, options in shown.items() if "rw" in options} == writable


def generated_files(steps: list[dict[str, Any]]) -> set[str]:
    return {s["fields"]["path"] for s in steps if s["step"] in ("write-file", "write-secret", "make-symlink")}


def test_no_readable_path_lies_outside_the_plan(boxes: Boxes, rich: tuple[str, ...]) -> None:
    steps = boxes.explain(*rich, "--", "true")
    certain, _ = plan_targets(steps)
    skips = sorted(certain - {"/"})
    ran = boxes.run(*rich, "--", *boxes.probe_words(f"walk {' '.join(skips)}"))
    *lines, last = boxes.answers(ran.out, 1)[0]
    assert last == "end"
    found = [line.split(" ", 2) for line in lines]
    directories = {os.path.dirname(p) for p in certain | generated_files(steps)}
    directories |= {s["fields"]["path"] for s in steps if s["step"] == "make-directory"} | certain
    parents = {"/".join(d.split("/")[:n]) for d in directories for n in range(2, d.count("/") + 2)}
    assert {path for kind, _, path in found if kind in "fl"} - generated_files(steps) == set()
    assert {path for kind, _, path in found if kind == "d"} - directories - parents == set()
    assert [path for kind, _, path in found if kind == "o"] == []


@pytest.mark.parametrize(
    "path",
    [
        "/etc/shadow", "/etc/sudoers", "/etc/ssh", "/root", "/home/root", "/boot", "/var/log",
        "/var/lib", "/mnt", "/sys/kernel", "/sys/fs/cgroup", "/lost+found", "/dev/mem", "/dev/kmsg",
        "/dev/kvm", "/dev/vda", "/dev/fuse", "/dev/net/tun", "/run/systemd", "/run/docker.sock",
        "/proc/acpi/wakeup", "/proc/scsi/scsi",
    ],
)  # fmt: skip
def test_a_path_of_the_host_is_not_there(boxes: Boxes, path: str) -> None:
    assert boxes.probe(f"stat {path}")[0] == ["ENOENT"]


def test_nothing_of_the_host_s_accounts_is_in_etc(boxes: Boxes) -> None:
    passwd, group = boxes.probe("cat /etc/passwd", "cat /etc/group")
    assert [line.split(":")[0] for line in passwd] == ["root", "agent", "nobody"]
    assert [line.split(":")[0] for line in group] == ["root", "tty", "agent", "nogroup"]


def test_files_of_proc_that_tell_of_the_host_are_empty_or_closed(boxes: Boxes) -> None:
    names = (
        "kallsyms",
        "kcore",
        "keys",
        "timer_list",
        "config.gz",
        "sysrq-trigger",
        "kmsg",
        "kpageflags",
        "iomem",
        "cmdline",
        "interrupts",
    )
    for name, lines in zip(names, boxes.probe(*[f"cat /proc/{name}" for name in names]), strict=True):
        shown = [line for line in lines if not line.startswith("00000000-00000000")]
        closed = shown in ([], ["ENOENT"], ["EACCES"], ["EPERM"])
        # Addresses that the kernel blanks out tell nothing.
        assert closed or all(line.strip().startswith("00000000-00000000") for line in shown), name


def test_sysctls_cannot_be_written(boxes: Boxes) -> None:
    files = ("kernel/core_pattern", "kernel/hostname", "vm/overcommit_memory", "user/max_user_namespaces")
    answers = boxes.probe(
        *[f"write /proc/sys/{file}" for file in files], "read /proc/sys/user/max_user_namespaces"
    )
    assert {line for lines in answers[:-1] for line in lines} <= {"EROFS", "EACCES"}
    assert answers[-1] == ["OK"]


# ---- Landlock, where the mount table would say yes ----

WITHOUT = "--allow-degraded-security=landlock"


@pytest.mark.parametrize(
    "verb", ["read {}/file", "list {}", "create {}/new", "write {}/file", "exec {}/program"]
)
def test_a_directory_that_somebody_sends_is_a_dead_end(boxes: Boxes, verb: str) -> None:
    """The descriptor leads past every mount of the sandbox; its paths are under no rule."""
    open_to_all = boxes.directory("open")
    (open_to_all / "file").write_text("of the host")
    (open_to_all / "program").write_bytes((boxes.probe_folder / "probe").read_bytes())
    for path, mode in ((open_to_all, 0o777), (open_to_all / "file", 0o666), (open_to_all / "program", 0o755)):
        path.chmod(mode)
    words = (*boxes.probe_flags(), "--", *boxes.probe_words("receive", verb.format("/proc/self/fd/3")))
    answers = {}
    for layer in ((), (WITHOUT,)):
        ours, theirs = socket.socketpair()
        directory = os.open(open_to_all, os.O_RDONLY | os.O_DIRECTORY)
        with ours, theirs:
            socket.send_fds(ours, [b"d"], [directory])
            os.close(directory)
            (number,), answers[layer] = boxes.answers(boxes.cli("run", *layer, *words, stdin=theirs).out, 2)
        assert number == "3"
    assert answers[()] == ["EACCES"]
    assert answers[(WITHOUT,)][0] in ("OK", "file", "program")


def test_nobody_makes_device_nodes_not_even_those_the_kernel_lets_anybody_make(boxes: Boxes) -> None:
    assert boxes.probe("try mknod_whiteout")[0] == ["mknod_whiteout EACCES"]
    assert boxes.probe("try mknod_whiteout", flags=(WITHOUT,))[0] == ["mknod_whiteout OK"]


def test_a_landlock_given_up_is_named_in_the_result(boxes: Boxes) -> None:
    assert boxes.run(WITHOUT, "--", "true").degraded == ("landlock",)
    assert boxes.run("--", "true").degraded == ()
