"""Attacks by the workload, by hostile files, and by another user of the machine; each docstring names the layer that stops
the attack.  Where a fault at that layer let it through once, the test failed.
"""

from __future__ import annotations

import json
import os
import pty
import stat
import struct
import subprocess
import threading
from array import array
from pathlib import Path
from socket import AF_UNIX, SCM_RIGHTS, SOL_SOCKET, socket
from types import SimpleNamespace

import pytest
from layers import run_without
from sandboxes import COMMAND, PATIENCE_S, Boxes, python

from nucleus.base.errors import HostUnsupported, LaunchError, PermissionRefused, SpecError
from nucleus.cli.parser import parse_run
from nucleus.container.attached import run_attached
from nucleus.container.inputs.context import copy_context
from nucleus.container.prepare import facts_for, prepare
from nucleus.container.ranges import take
from nucleus.container.reuse.saved import SavedPlan
from nucleus.container.running.processes import start_ticks
from nucleus.container.running.sweep import sweep
from nucleus.host import slow
from nucleus.state.store import Store

AS_ROOT = pytest.mark.identity("root", "vm-root")
AS_USER = pytest.mark.identity("user", "nosub", "nested", "vm-user")
KILL_GROUP = "trap '' USR1; kill -USR1 0; echo sent"


def inside(boxes: Boxes, script: str, *flags: str, stdin: bytes | None = None) -> str:
    """What a Python script prints inside."""
    result = boxes.run(*flags, "--", python(), "-c", script, stdin=stdin)
    assert result.exit_code == 0, result.err
    return result.out


def refused(boxes: Boxes, why: str, *words: str) -> None:
    """The launch is refused, quickly and for that reason."""
    ran = boxes.cli("run", *words, "--", "true")
    assert ran.code == 125
    assert why in ran.err


# ---- signals ----


def group_script(boxes: Boxes) -> str:
    return f'"{COMMAND}" run --root "{boxes.root}" -- sh -c "{KILL_GROUP}"; echo survived'


def test_a_signal_to_the_process_group_stays_inside(boxes: Boxes) -> None:
    """kill(0) passes every pid namespace: the launcher gives the workload a process group of its own."""
    done = subprocess.run(
        ["sh", "-c", group_script(boxes)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
        env=boxes.environment, start_new_session=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "sent\nsurvived\n"), done.stderr


def test_below_a_terminal_it_stays_inside_as_well(boxes: Boxes) -> None:
    """There the group is the caller's; Landlock's signal scope holds, from ABI 6 on.  Root's ids differ anyway."""
    pid, terminal = pty.fork()
    if not pid:
        os.execve("/bin/sh", ["sh", "-c", group_script(boxes)], boxes.environment)
    text = b""
    try:
        while part := os.read(terminal, 4096):
            text += part
    except OSError:
        pass  # EIO is a terminal's end of file
    os.close(terminal)
    os.waitpid(pid, 0)
    scoped = facts_for(parse_run(["--", "true"])).kernel.landlock_abi >= 6
    assert b"survived" in text or not scoped, text


def test_a_descriptor_of_a_host_process_sends_no_signal(boxes: Boxes) -> None:
    """A server in a volume hands in a pidfd: the kernel looks for the process in the sender's pid namespace."""
    folder = boxes.directory("served")
    folder.chmod(0o755)
    victim = subprocess.Popen(["sleep", "600"])
    pidfd = os.pidfd_open(victim.pid)
    with socket(AF_UNIX) as server:
        server.bind(str(folder / "s"))
        (folder / "s").chmod(0o777)
        server.listen()
        server.settimeout(PATIENCE_S)

        def serve() -> None:
            there, _ = server.accept()
            with there:
                there.sendmsg([b"x"], [(SOL_SOCKET, SCM_RIGHTS, array("i", [pidfd]))])

        thread = threading.Thread(target=serve)
        thread.start()
        script = (
            "import os, signal, socket\n"
            "s = socket.socket(socket.AF_UNIX); s.connect('/served/s')\n"
            "fds = [socket.recv_fds(s, 1, 1)[1][0]]\n"
            "try: fds.append(s.getsockopt(socket.SOL_SOCKET, 77))\n"  # SO_PEERPIDFD
            "except OSError: pass\n"
            "for fd in fds:\n"
            "    try: signal.pidfd_send_signal(fd, signal.SIGKILL); print('sent')\n"
            "    except OSError as e: print(e.errno)\n"
        )
        try:
            out = inside(boxes, script, "--volume", f"{folder}:/served")
            assert set(out.split()) <= {"1", "3", "22"}  # EPERM, ESRCH, EINVAL
            assert victim.poll() is None
        finally:
            thread.join()
            os.close(pidfd)
            victim.kill()
            victim.wait()


# ---- devices ----


@AS_ROOT
def test_a_device_file_that_lies_in_a_volume_opens_nothing(boxes: Boxes) -> None:
    """The mount is nodev, and the cgroup has a list of devices: each holds alone, and without both it opens."""
    volume = boxes.directory("volume")
    os.mknod(volume / "kmsg", 0o666 | stat.S_IFCHR, os.makedev(1, 11))
    (volume / "kmsg").chmod(0o666)
    script = "import os\ntry: os.open('/data/kmsg', os.O_WRONLY)\nexcept OSError as e: print(e.errno)\n"
    words = ("--volume", f"{volume}:/data", "--", python(), "-c", script)
    refused_with = {
        layers: run_without(boxes, frozenset(layers), *words).out.strip()
        for layers in ((), ("nodev",), ("devices",), ("nodev", "devices"))
    }
    # The kernel's word is EACCES for nodev, EPERM for the cgroup.
    assert refused_with == {(): "13", ("nodev",): "1", ("devices",): "13", ("nodev", "devices"): ""}


@pytest.mark.identity("root")
@pytest.mark.parametrize("hidden", ["", "unified"])
def test_whoever_is_in_the_cgroup_opens_the_devices_of_the_list_alone(boxes: Boxes, hidden: str) -> None:
    """By a program on cgroup v2; where that is not mounted, by the v1 controller."""
    v1 = Path("/sys/fs/cgroup/devices")
    hide = f"umount /sys/fs/cgroup/{hidden}; " if hidden and v1.is_dir() else ""
    start = f'{hide}exec "$1" run -d --detach-with none --name box --root "$2" -- sleep 600'
    subprocess.run(
        ["unshare", "--mount", "sh", "-ec", start, "sh", str(COMMAND), str(boxes.root)],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True, timeout=60,
    )  # fmt: skip
    known = boxes.inspect("box")
    assert known["devices_by"] == ("controller" if hide else "bpf")
    group = [path for path in known["cgroups"] if (str(v1) in path) == bool(hide)][-1]
    enter = "echo 0 >$0/$1; for d in kmsg null tty ptmx pts/0 fuse; do true <>/dev/$d && echo $d; done"
    file = "tasks" if hide else "cgroup.procs"
    opened = subprocess.run(
        ["sh", "-c", enter, group, file], capture_output=True, text=True, check=False, timeout=60
    )
    assert {"null", "ptmx"} <= set(opened.stdout.split()) <= {"null", "ptmx", "tty", "pts/0"}, opened.stderr
    assert boxes.cli("rm", "-f", "box").code == 0


# ---- descriptors, links, programs ----


def test_nothing_is_there_to_forge_a_record_with(boxes: Boxes) -> None:
    """close_range before execve, and an init that nobody may look into: no socket, pipe or file of the launcher."""
    script = (
        "import os\n"
        "print(sorted(n for n in os.listdir('/proc/self/fd') if os.path.exists('/proc/self/fd/' + n)))\n"
        "for p in ('/proc/1/fd', '/proc/1/task/1/fd', '/proc/1/root', '/proc/1/map_files'):\n"
        "    try: print(os.listdir(p))\n"
        "    except PermissionError: print('refused')\n"
    )
    assert inside(boxes, script).splitlines() == ["['0', '1', '2']", *["refused"] * 4]


@AS_ROOT
def test_init_holds_two_descriptors_where_no_file_in_memory_may_be_executed(boxes: Boxes) -> None:
    """With vm.memfd_noexec=2, set in a pid namespace of the test's own, init stays the launcher and closes by hand."""
    script = (
        "mount -t proc proc /proc && { echo 2 >/proc/sys/vm/memfd_noexec; } 2>/dev/null\n"
        'mkfifo "$2.in" "$2.out"; exec 8<>"$2.in" 9<>"$2.out"\n'
        '"$1" run --rm --root "$2" -- sh -c "echo; read x" <&8 >&9 8<&- 9<&- & read x <&9\n'
        "for p in /proc/[0-9]*; do case $(cat $p/comm) in nucleus-init)\n"
        "  while ls $p/fd | sed 1d | grep -q .; do sleep 0.05; done; ls $p/fd;;\n"  # the gate is closed behind the workload
        "esac; done; echo >&8; wait\n"
    )
    done = subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "sh", "-c", script, "sh", str(COMMAND), str(boxes.root)],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.stdout.split() == ["3"], done.stderr


def test_a_stream_s_file_cannot_be_opened_again_for_writing(boxes: Boxes, tmp_path: Path) -> None:
    """/proc/self/fd/0 leads to the host's file, which a rootless workload owns: Landlock knows no rule for it."""
    given = tmp_path / "given"
    given.write_text("as it was")
    with given.open("rb") as stream:
        ran = boxes.cli("run", "--", "sh", "-c", "echo changed >/proc/self/fd/0", stdin=stream)
    assert ran.code != 0
    assert given.read_text() == "as it was"


def test_programs_of_the_launch_cannot_be_overwritten(boxes: Boxes) -> None:
    """init is a sealed file in memory and not dumpable; the workload's own program lies on a read-only mount."""
    script = (
        "import os\n"
        "for p in ('/proc/1/exe', '/proc/self/exe', '/proc/1/mem'):\n"
        "    try: os.open(p, os.O_WRONLY); print('open')\n"
        "    except OSError as e: print('refused')\n"
    )
    assert inside(boxes, script).split() == ["refused"] * 3


def test_the_host_s_files_cannot_be_linked_into_the_workspace(boxes: Boxes) -> None:
    """link(2) does not cross mounts, and Landlock gives /usr no right to be referred from."""
    workspace = boxes.directory("work")
    workspace.chmod(0o777)
    script = (
        "import os\n"
        "for p in ('/usr/bin/env', '/etc/passwd', '/proc/self/fd/0'):\n"
        "    try: os.link(p, '/workspace/link', follow_symlinks=True); print('linked')\n"
        "    except OSError as e: print('refused')\n"
    )
    assert inside(boxes, script, "--workspace", str(workspace)).split() == ["refused"] * 3


# ---- hostile files during set-up ----


def test_a_workspace_that_is_swapped_after_the_look_is_refused(boxes: Boxes) -> None:
    """The launcher follows no link on the way to a source, and compares its inode with what was judged."""
    workspace, other = boxes.directory("work"), boxes.directory("other")
    for swap in (lambda: workspace.symlink_to(other), workspace.mkdir):
        prepared = prepare(
            parse_run(["--root", str(boxes.root), "--rm", "--workspace", str(workspace), "--", "true"])
        )
        workspace.rename(workspace.with_name(f"old-{prepared.id}"))
        swap()
        with pytest.raises(LaunchError):
            run_attached(prepared)
        workspace.unlink() if workspace.is_symlink() else workspace.rmdir()
        workspace.mkdir()


def tree(boxes: Boxes) -> Path:
    """A root file system with nothing but the probe."""
    rootfs = boxes.directory("rootfs")
    (rootfs / "bin").mkdir()
    (rootfs / "bin/probe").write_bytes((boxes.probe_folder / "probe").read_bytes())
    (rootfs / "bin/probe").chmod(0o755)
    (rootfs / "etc").mkdir()
    return rootfs


def test_a_rootfs_that_is_a_link_to_the_host_s_root_is_refused(boxes: Boxes) -> None:
    """Sources are judged by what they are; a rootfs too."""
    link = boxes.folder / "link"
    link.symlink_to("/")
    refused(boxes, "the whole host", "--rootfs", str(link))


def test_a_directory_of_a_rootfs_that_becomes_a_link_is_refused(
    boxes: Boxes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at a name and the search for its source nothing of the host can be put in its place."""
    rootfs, real = tree(boxes), os.path.islink

    def islink(path: str) -> bool:
        seen = real(path)
        if path == f"{rootfs}/etc" and not seen:
            (rootfs / "etc").rename(rootfs / "was")
            (rootfs / "etc").symlink_to("/etc")
        return seen

    monkeypatch.setattr(os.path, "islink", islink)
    with pytest.raises(SpecError, match="changes"):
        prepare(parse_run(["--root", str(boxes.root), "--rootfs", str(rootfs), "--", "/bin/probe"]))


def test_a_link_of_a_rootfs_makes_nothing_on_the_host(boxes: Boxes) -> None:
    """What stands below a rootfs is resolved after the host's root is detached, by openat2 below the new root."""
    rootfs, host = tree(boxes), boxes.directory("host")
    host.chmod(0o777)
    (rootfs / "var").symlink_to(f"..{host}")
    boxes.cli("run", "--rootfs", str(rootfs), "--tmpfs", "/var/planted:1M", "--", "/bin/probe")
    assert list(host.iterdir()) == []


def test_a_tmpfs_in_a_directory_of_a_rootfs_is_not_hidden_by_it(boxes: Boxes) -> None:
    """Mounts are attached in the order of their depth, whoever they come from."""
    rootfs = tree(boxes)
    (rootfs / "var/cache").mkdir(parents=True)
    steps = boxes.explain("--rootfs", str(rootfs), "--tmpfs", "/var/cache:1M", "--", "/bin/probe")
    texts = [json.dumps(step) for step in steps]
    tmpfs = next(n for n, t in enumerate(texts) if '"/var/cache"' in t and "mount-filesystem" in t)
    assert tmpfs > next(n for n, t in enumerate(texts) if '"/var"' in t and "attach-mount" in t)


def test_a_pipe_among_the_files_of_a_rootfs_is_not_waited_for(boxes: Boxes) -> None:
    """Account files are read when they are regular files."""
    rootfs = tree(boxes)
    os.mkfifo(rootfs / "etc/passwd")
    refused(boxes, "no user 'bob'", "--rootfs", str(rootfs), "--user", "bob")


def test_a_context_that_is_swapped_after_the_look_is_not_copied(boxes: Boxes) -> None:
    """Only the directory that was judged is read."""
    judged, other = boxes.directory("judged"), boxes.directory("other")
    inode = judged.stat().st_ino
    judged.rename(boxes.folder / "away")
    other.rename(judged)
    with pytest.raises(SpecError, match="changes"):
        copy_context(str(judged), -1, inode)


def test_a_context_leaves_room_where_state_lies(boxes: Boxes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sparse file is refused before it is copied, not when the disk, or the memory behind /run, is full."""
    big = boxes.directory("context")
    (big / "sparse").touch()
    os.truncate(big / "sparse", 900 << 20)
    into = os.open(boxes.directory("into"), os.O_RDONLY)
    room = SimpleNamespace(f_frsize=1, f_blocks=1 << 30, f_bavail=950 << 20, f_files=0, f_favail=0)
    monkeypatch.setattr(os, "fstatvfs", lambda _: room)
    with pytest.raises(HostUnsupported, match="no space"):
        copy_context(str(big), into)
    os.close(into)


def test_no_sandbox_takes_the_terminals_of_all(boxes: Boxes) -> None:
    """The kernel counts pseudo-terminals for the whole machine: devpts has a bound of its own."""
    script = (
        "import os\n"
        "fds = []\n"
        "try:\n"
        "    while True: fds.append(os.open('/dev/ptmx', os.O_RDWR | os.O_NOCTTY))\n"
        "except OSError: print(len(fds))\n"
    )
    assert int(inside(boxes, script)) <= 256


def test_what_holds_a_forbidden_place_is_refused(boxes: Boxes) -> None:
    """/var/log does not come in with /var."""
    refused(boxes, "/var/log of the host", "--volume", "/var:/data:ro")


@AS_ROOT
def test_a_directory_with_the_kernel_s_own_files_below_it_is_refused(boxes: Boxes) -> None:
    """A mount is taken with all below it: the host's processes would be seen in a proc that is mounted there."""
    folder = boxes.directory("work")
    (folder / "a b").mkdir()
    script = 'mount -t proc proc "$1/a b" && exec "$2" run --root "$3" --volume "$1:/data" -- ls /data'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", str(folder), str(COMMAND), str(boxes.root)],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 125
    assert "a b is never let in" in done.stderr


def test_a_log_that_becomes_a_pipe_is_not_waited_for(boxes: Boxes) -> None:
    """A log in the workspace is the workload's to replace: it is opened without waiting, and no link is followed."""
    workspace = boxes.directory("work")
    workspace.chmod(0o777)
    script = "rm -f log; mkfifo log; sleep 600"
    for timeout in ("500ms", "5s", "40s"):  # until the workload got that far
        (workspace / "log").unlink(missing_ok=True)
        ran = boxes.cli(
            "run", "--workspace", str(workspace), "--log", str(workspace / "log"), "--timeout", timeout,
            "--", "sh", "-c", script,
        )  # fmt: skip
        assert ran.code == 124, ran.err
        if (workspace / "log").is_fifo():
            return
    raise AssertionError("the workload did not replace its log")


# ---- records ----


@pytest.mark.parametrize("place", [".", "deep/state"])
def test_a_workspace_never_holds_the_records(boxes: Boxes, place: str) -> None:
    """Who writes the records decides what the sweep kills: a source with the state root in it is refused."""
    workspace = boxes.directory("work")
    refused(boxes, "lie in each other", "--root", str(workspace / place), "--workspace", str(workspace))


@pytest.mark.parametrize("boot", ["this", "another"])
def test_a_process_that_took_a_dead_init_s_number_is_not_killed(boxes: Boxes, boot: str) -> None:
    """The sweep compares boot and pid namespace, opens a pidfd, and compares the start time then."""
    store = Store(str(boxes.root))
    directory = store.create("0" * 32)
    victim = subprocess.Popen(["sleep", "600"])
    record = prepare(parse_run(["--root", str(boxes.root), "--", "true"]))
    assert record.record is not None
    known = record.record.replace(id="0" * 32)
    text = (known if boot == "this" else known.replace(boot_id="another")).to_json()
    ticks = 1 if boot == "this" else start_ticks(victim.pid)
    record.discard()
    (boxes.root / "containers" / ("0" * 32) / "state.json").write_bytes(text)
    init = struct.pack("=8sIiiIQQ", b"NUCINIT\0", 1, 1, victim.pid, 0, 1, ticks)
    (boxes.root / "containers" / ("0" * 32) / "init").write_bytes(init)
    os.close(directory.fd)
    try:
        assert sweep(store) == 1
        assert victim.poll() is None
    finally:
        store.close()
        victim.kill()
        victim.wait()


def test_ps_meets_a_container_that_has_not_begun(boxes: Boxes) -> None:
    """Another command may be making one at this moment."""
    prepared = prepare(parse_run(["--root", str(boxes.root), "--", "true"]))
    ran = boxes.cli("ps", "-a")
    prepared.discard()
    assert (ran.code, "creating" in ran.out) == (0, True), ran.err


# ---- another user of the machine ----


def test_a_state_root_that_others_prepared_is_refused(boxes: Boxes) -> None:
    """Opened without following a link, then judged by owner and mode, at every level."""
    elsewhere = boxes.directory("elsewhere")
    (boxes.folder / "link").symlink_to(elsewhere)
    with pytest.raises(HostUnsupported):
        Store(str(boxes.folder / "link"))
    for below in ("", "containers", "names"):
        root = boxes.directory(f"open-{below}")
        (root / below).mkdir(exist_ok=True)
        (root / below).chmod(0o777)
        with pytest.raises(PermissionRefused):
            Store(str(root))


@AS_ROOT
def test_a_state_root_of_another_user_is_refused(boxes: Boxes) -> None:
    """What /tmp/nucleus-UID would be, had somebody made it first."""
    with pytest.raises(PermissionRefused):
        Store(str(boxes.directory("theirs", (4242, 4242))))


@AS_ROOT
def test_locks_of_id_ranges_are_root_s_alone_whatever_the_umask(tmp_path: Path) -> None:
    """Both directories are made with their mode, not by the umask."""
    directory = tmp_path / "run/nucleus/ranges"
    (tmp_path / "run").mkdir()
    before = os.umask(0)
    try:
        os.close(take((), str(directory))[1])
    finally:
        os.umask(before)
    assert [p.stat().st_mode & 0o777 for p in (directory.parent, directory)] == [0o700, 0o700]


def test_facts_that_somebody_planted_are_not_believed(tmp_path: Path) -> None:
    """A kept file counts if it is a regular one with one name, of the caller, that nobody else may write."""
    planted, key = tmp_path / "planted", "1 key"
    planted.write_text(f"{key}\nlandlock_abi=0\n")
    planted.chmod(0o600)
    assert slow._load(str(planted), key, os.geteuid()).value("landlock_abi") == 0
    (tmp_path / "link").symlink_to(planted)
    assert not slow._load(str(tmp_path / "link"), key, os.geteuid())
    assert not slow._load(str(planted), key, os.geteuid() + 1)
    os.link(planted, tmp_path / "second")
    assert not slow._load(str(planted), key, os.geteuid())
    (tmp_path / "second").unlink()
    planted.chmod(0o622)
    assert not slow._load(str(planted), key, os.geteuid())


def test_a_saved_plan_that_others_may_write_is_refused(boxes: Boxes) -> None:
    """It is trusted like a program, so it has to be as safe as one."""
    path = boxes.folder / "plan"
    SavedPlan.compile(["true"], root=str(boxes.root)).save(path)
    path.chmod(0o666)
    with pytest.raises(PermissionRefused):
        SavedPlan.load(path)


@AS_USER
def test_programs_that_write_id_maps_are_not_searched_in_path(boxes: Boxes) -> None:
    """They come from folders of the system, and belong to root."""
    folder, marker = boxes.directory("bin"), boxes.folder / "ran"
    for name in ("newuidmap", "newgidmap", "python3", "readlink"):
        (folder / name).write_text(f"#!/bin/sh\necho $0 >>{marker}\n")
        (folder / name).chmod(0o755)
    boxes.environment["PATH"] = f"{folder}:{boxes.environment['PATH']}"
    assert boxes.cli("run", "--", "true").code == 0
    assert not marker.exists()
