"""Containers that share a prepared root: they see what they would see without, and none reaches another through it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sandboxes import PATIENCE_S, PROJECT, Boxes, Ran, descendants, wait_until

import nucleus
from nucleus.container.attached import run_attached
from nucleus.container.prepare import prepare
from nucleus.container.prepared import Prepared
from nucleus.container.result import Result
from nucleus.container.reuse.warm import WARM
from nucleus.launch import launcher
from nucleus.plan import schema
from nucleus.plan.encode import decode, encode
from nucleus.plan.steps import LaunchPlan, Step, step
from nucleus.spec.parse import from_mapping

pytestmark = pytest.mark.identity("root", "vm-root")

# The file system of a prepared root is read-only itself; that of an ordinary root is sealed by its mount.
SHARED = "grep -q ' / / .* - tmpfs [^ ]* ro,' /proc/self/mountinfo"
SETTLED_S = 0.15
EVERY_CAPABILITY = (1 << 41) - 1


def until_shared(start: Callable[[], Result]) -> Result:
    """The result of the first start in a prepared root.

    The first of a kind is made without; so is one whose block of host ids was never used, since somebody had the usual one.
    """
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        time.sleep(SETTLED_S)  # a directory of the host that changed just now is looked at again later
        kind, result = kind_of(start)
        if kind == schema.KIND_START:
            return result
    raise AssertionError("no start used a prepared root")


def plans_of(start: Callable[[], Any]) -> tuple[list[LaunchPlan], Any]:
    """The plans that are run meanwhile, and what came of it."""
    plans: list[LaunchPlan] = []
    real = launcher.spawn

    def noted(plan: bytes, *rest: Any) -> Any:
        plans.append(decode(plan))
        return real(plan, *rest)

    launcher.spawn = noted
    try:
        result = start()
    finally:
        launcher.spawn = real
    return plans, result


def kind_of(start: Callable[[], Result]) -> tuple[int, Result]:
    """The kind of the plan that a start runs, and what came of it."""
    plans, result = plans_of(start)
    return plans[-1].kind, result


def shared_launch(
    options: dict[str, Any], command: str = "true", having: str = "spawn-in-root"
) -> tuple[Prepared, LaunchPlan]:
    """A launch in a prepared root that is ready to go, and its plan, which has that step."""
    words = ["/bin/sh", "-c", command]
    until_shared(lambda: nucleus.run(["/bin/sh", "-c", "true"], **options))
    for _ in range(100):
        prepared = WARM.start(words, options) or prepare_again(words, options)
        assert prepared.plan is not None
        if prepared.plan.steps_of(having):
            return prepared, prepared.plan
        prepared.discard()
        time.sleep(SETTLED_S)
        nucleus.run(["/bin/sh", "-c", "sleep 0.01"], **options)  # it leaves a spare network namespace
    raise AssertionError("no start used a prepared root")


def prepare_again(words: list[str], options: dict[str, Any]) -> Prepared:
    """The long way, which the machine's changing asks for now and then."""
    nucleus.run(["/bin/sh", "-c", "true"], **options)
    return prepare(from_mapping({"command": words, **options}), owner=1)


STAYS = "exec sleep 600"


def end_what_stays() -> None:
    """The workload of the container that runs: it was there until the host had looked."""
    for pid, name in descendants().items():
        if name in ("sh", "ls", "sleep"):
            with contextlib.suppress(ProcessLookupError):  # its parent was killed before it
                os.kill(pid, signal.SIGKILL)


def saved(boxes: Boxes, script: str, **options: Any) -> nucleus.SavedPlan:
    return nucleus.SavedPlan.compile(["/bin/sh", "-c", script], root=str(boxes.root), **options)


# Everything that is not the host's: owner, mode, size, target of links.  nlink tells of mounts that replace a file.
LOOK = """
find / -xdev \\( -path /proc -o -path /usr \\) -prune -o -printf '%p %y %M %U %G %s %l\\n' | sort
find /dev /home /tmp /run /opt /var /etc -maxdepth 2 -printf '%p %y %M %U %G %l\\n' | sort
cat /etc/passwd /etc/group /etc/hosts /etc/hostname /etc/nsswitch.conf; id; pwd; umask; ls /proc | grep -v '^[0-9]'
cut -d' ' -f2-4 /proc/self/mounts | sed -E 's/,[ug]id=[0-9]{6,}//g' | sort; cat /proc/sys/user/max_user_namespaces
touch /x /etc/x /usr/x /dev/x 2>&1; ls -l /proc/self/fd | wc -l; ls -d /proc/[0-9]*
"""


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"network": "host", "allow_host_network": True},
        {"tmpfs": ["/scratch", "/var/lib/box"], "user": "0", "hostname": "box"},
    ],
    ids=["plain", "host network", "tmpfs"],
)
def test_a_start_in_a_prepared_root_looks_like_any_other(boxes: Boxes, options: dict[str, Any]) -> None:
    plan = saved(boxes, LOOK, **options)
    ordinary = plan.run()
    assert ordinary.ok
    shared = until_shared(plan.run)
    assert shared.out.splitlines() == ordinary.out.splitlines()
    assert shared.err == ordinary.err


def test_every_container_has_its_own_name_in_the_files_that_hold_it(boxes: Boxes) -> None:
    script = "hostname; cat /etc/hostname; cut -d' ' -f3 /etc/hosts; ls -A /tmp; echo a >/etc/hosts"

    def start() -> Result:
        return nucleus.run(["/bin/sh", "-c", script], root=str(boxes.root))

    results = [until_shared(start), start(), start()]
    for result in results:
        assert result.out.split() == [result.id[:12]] * 4
        assert "Read-only file system" in result.err
    assert len({r.id for r in results}) == 3


def test_volumes_workspace_and_secrets_come_on_top(boxes: Boxes) -> None:
    workspace, data = boxes.directory("work", (1000, 1000)), boxes.directory("data", (1000, 1000))
    (data / "file").write_text("given\n")
    script = f"{SHARED} && cat /deep/down/file /run/secrets/token && echo made >/workspace/out && stat -c %u /workspace"
    plan = saved(
        boxes, script, workspace=str(workspace), volume=[f"{data}:/deep/down:ro", f"{data}/file:/one:ro"],
        secret=[f"token={data}/file"],
    )  # fmt: skip
    result = until_shared(plan.run)
    assert (result.out, result.err) == ("given\ngiven\n1000\n", "")
    assert (workspace / "out").read_text() == "made\n"
    assert (workspace / "out").stat().st_uid == 1000


def test_who_enters_such_a_container_is_where_its_workload_is(boxes: Boxes) -> None:
    look = f"{SHARED} && readlink /proc/self/ns/mnt /proc/self/ns/user && ls / && touch /x"
    wait = "n=0; while [ ! -e /tmp/seen ] && [ $n -lt 600 ]; do n=$((n + 1)); sleep 0.1; done"
    entered: list[Ran] = []

    def enter(_: bytes) -> None:
        if not entered:  # its output may come in pieces
            name = next(p.name for p in (boxes.root / "containers").iterdir())
            entered.append(boxes.cli("exec", name, "--", "/bin/sh", "-c", f"{look}; touch /tmp/seen"))

    def start() -> Result:
        entered.clear()
        return nucleus.run(
            ["/bin/sh", "-c", f"echo ready; {look}; {wait}"], root=str(boxes.root), on_stdout=enter
        )

    result = until_shared(start)
    assert "ready\n" + entered[0].out == result.out
    assert "Read-only file system" in entered[0].err


# ---- attacks -------------------------------------------------------------------------------------


def unlocked(plan: LaunchPlan, script: str) -> LaunchPlan:
    """The plan without its lockdown: uid 0 inside, every capability, neither Landlock nor seccomp."""
    every = EVERY_CAPABILITY & ((1 << (int(Path("/proc/sys/kernel/cap_last_cap").read_text()) + 1)) - 1)
    steps: list[Step] = []
    for was in plan.steps:
        if was.name.startswith("landlock-") or was.name == "set-seccomp":
            continue
        fields: dict[str, Any] = {
            "drop-bounding": {"keep": every},
            "set-ids": {"uid": 0, "gid": 0},
            "set-capabilities": dict.fromkeys(("permitted", "effective", "inheritable", "ambient"), every),
            "assert-locked": {"permitted": every, "seccomp_mode": 0},
            "exec": {"arguments": f"/bin/sh\0-c\0{script}\0".encode()},
        }.get(was.name, {})
        values = dict(zip(was.spec.names, was.values, strict=True)) | fields
        steps.append(step(was.name, origin=was.origin, **values))
    return LaunchPlan(kind=plan.kind, steps=tuple(steps), slots=plan.slots)


def run_unlocked(boxes: Boxes, script: str, **options: Any) -> Result:
    """A script with every right that a container's root could have, in a prepared root."""

    prepared, plan = shared_launch({"root": str(boxes.root), **options})
    prepared.plan = unlocked(plan, script)
    prepared.encoded = encode(prepared.plan)
    return run_attached(prepared)


ATTEMPTS = (
    "touch /x", "rm /bin", "mkdir /etc/new", "chmod 777 /etc", "chown 1000 /etc/passwd", "mv /opt /opt2",
    "sh -c 'echo evil >>/etc/passwd'", "truncate -s 0 /etc/group", "ln -s /tmp /evil", "setfattr -n user.a -v b /etc",
    "mount -o remount,rw /", "mount -o remount,bind,rw /", "mount -o remount,bind,rw /usr",
    "mount -o remount,bind,suid /usr", "mount -o remount,bind,dev /", "mount --make-shared / && mount -o remount,rw /",
    "umount /etc/ssl", "umount -l /usr", "umount -l /dev/null", "umount -l /", "mount --move /usr /tmp",
    "mkdir /tmp/a && mount --rbind / /tmp/a && mount -o remount,bind,rw /tmp/a",
    "mkdir /tmp/b && mount --bind / /tmp/b", "unshare -m sh -c 'umount -l /usr || mount -o remount,rw /'",
    "unshare -U true", "nsenter --mount=/proc/1/ns/mnt umount -l /usr", "chroot /proc/1/root sh -c 'touch /x'",
    "mknod /tmp/sda b 254 0 && head -c 1 /tmp/sda",
)  # fmt: skip


def test_not_even_root_inside_with_every_capability_changes_the_shared_root(boxes: Boxes) -> None:
    """Its files are his, and he may mount: what holds is that the mounts are locked, and the file system is frozen."""
    lines = [f"if ( {a} ) >/dev/null 2>&1; then echo {a!r}; fi" for a in ATTEMPTS]
    script = f"{SHARED} || echo private; id -u; grep CapEff /proc/self/status; " + "; ".join(lines)
    found = run_unlocked(boxes, script)
    uid, capabilities, *succeeded = found.out.splitlines()
    assert (uid, int(capabilities.split()[1], 16) & 0x200000) == ("0", 0x200000)
    assert succeeded == []


def test_what_one_container_mounts_no_other_sees(boxes: Boxes) -> None:
    """Not those that run beside it, and not those that start later."""
    mounting = f"mount -t tmpfs none /opt && touch /opt/x && mount -t tmpfs none /etc && echo done; {STAYS}"
    looking = f"{SHARED} && ls -A /opt && head -c 4 /etc/passwd"

    def look() -> Result:
        return nucleus.run(["/bin/sh", "-c", looking], root=str(boxes.root))

    def look_beside(_: bytes) -> None:
        beside.append(until_shared(look).out)
        end_what_stays()

    beside: list[str] = []
    prepared, plan = shared_launch({"root": str(boxes.root)})
    prepared.plan = unlocked(plan, mounting)
    prepared.encoded = encode(prepared.plan)
    run_attached(prepared, on_data=(look_beside, None))
    assert beside == ["root"]
    assert until_shared(look).out == "root"


def together(boxes: Boxes, script: str) -> list[Result]:
    """What comes of three containers of which none ends before all are there: their output does not fit into a pipe."""
    meeting = threading.Barrier(3)
    results: list[Result] = []

    def start() -> None:
        met: list[int] = []

        def meet(_: bytes) -> None:
            if not met:  # the output comes in pieces
                met.append(meeting.wait(PATIENCE_S))

        words = ["/bin/sh", "-c", f"{script}; head -c 200000 /dev/zero >&2"]
        results.append(nucleus.run(words, root=str(boxes.root), on_stderr=meet))

    threads = [threading.Thread(target=start) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_containers_that_run_at_once_have_ids_and_temporary_files_of_their_own(boxes: Boxes) -> None:
    script = f"{SHARED} && echo shared; echo $$ >/tmp/mine; cat /proc/self/uid_map; ls /tmp | wc -l"

    def some_shared() -> bool:
        time.sleep(SETTLED_S)
        words = [result.out.split() for result in together(boxes, script)]
        assert [w[-1] for w in words] == ["1"] * 3
        assert len({w[-3] for w in words}) == 3
        return "shared" in [w[0] for w in words]

    wait_until(some_shared)  # each block of ids has a root of its own, made after its first use


# ---- the descriptor ------------------------------------------------------------------------------


def namespaces_open(pid: int | str) -> list[str]:
    found = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            found.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
        except OSError:
            continue  # the directory's own
    return [name for name in found if name.startswith("mnt:")]


def test_nobody_but_the_host_program_has_the_root_of_all(boxes: Boxes) -> None:
    """Not the monitor, not init, not the workload, and not another child of the program."""
    seen: list[tuple[str, list[str], bool]] = []
    own = os.readlink("/proc/self/ns/mnt")

    def look(_: bytes) -> None:
        for pid, name in descendants().items():
            try:
                here = os.readlink(f"/proc/{pid}/ns/mnt") == own
                seen.append((name, namespaces_open(pid), here))
            except (FileNotFoundError, ProcessLookupError):
                continue  # of another test's container, which has just ended
        end_what_stays()

    def start() -> Result:
        script = f"ls /proc/self/fd; {STAYS}"
        return nucleus.run(["/bin/sh", "-c", script], root=str(boxes.root), on_stdout=look)

    until_shared(start)
    seen.clear()
    assert start().out.split() == ["0", "1", "2", "3"]
    assert namespaces_open("self") != []
    assert [(name, found) for name, found, _ in seen if found] == []
    assert {name: here for name, _, here in seen}["nucleus-launch"] is True
    listing = subprocess.run(["ls", "-l", "/proc/self/fd"], close_fds=False, capture_output=True, text=True)
    assert "mnt:" not in listing.stdout


def test_a_program_that_closes_every_descriptor_gets_another_root(boxes: Boxes) -> None:
    def start() -> Result:
        return nucleus.run(["/bin/sh", "-c", "true"], root=str(boxes.root))

    until_shared(start)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.closerange(3, 1 << 16)
            # What is opened there now must not be taken for a mount namespace, nor closed.
            others = [os.open("/dev/null", os.O_RDONLY) for _ in range(64)]
            ok = start().ok and until_shared(start).ok
            code = 0 if ok and all(os.fstat(fd).st_rdev for fd in others) else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_after_a_fork_both_programs_start_containers(boxes: Boxes) -> None:
    def start() -> Result:
        return nucleus.run(["/bin/sh", "-c", SHARED], root=str(boxes.root))

    until_shared(start)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = 0 if all(until_shared(start).ok for _ in range(3)) else 2
        finally:
            os._exit(code)
    assert until_shared(start).ok
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


# ---- what the host changes -----------------------------------------------------------------------

# In a mount namespace of its own, where /etc and /opt are the script's.
CHANGING = """
import os, shutil, subprocess, sys, time
sys.path[:0] = [sys.argv[1] + "/src", sys.argv[1] + "/tests/kernel"]
folder, state = sys.argv[2:]
shutil.copytree("/etc", f"{folder}/etc", symlinks=True)
subprocess.run(["mount", "--bind", f"{folder}/etc", "/etc"], check=True)
from test_prepared_roots import until_shared
import nucleus
script = "cat /etc/services | head -1; ls /usr/share/misc | head -1; ls -d /etc/terminfo; [ -e /dev/zero ] && echo zero"
plan = nucleus.SavedPlan.compile(["/bin/sh", "-c", script], root=state)
def told():
    return until_shared(plan.run).out.split("\\n")[:3]
before = told()
open("/etc/services.new", "w").write("another 1/tcp\\n")
os.rename("/etc/services.new", "/etc/services")
assert plan.run().out.startswith("another 1/tcp"), "a replaced file, at once"
assert told()[0] == "another 1/tcp", "a replaced file, in a new root"
subprocess.run(["mount", "-t", "tmpfs", "none", "/usr/share/misc"], check=True)
open("/usr/share/misc/fresh", "w").close()
assert plan.run().out.split("\\n")[1] == "fresh", "a mount below a directory that is shown, at once"
assert told()[1] == "fresh", "the mount, in a new root"
subprocess.run(["umount", "/usr/share/misc"], check=True)
assert told()[1] == before[1], "the mount is gone again"
"""


def test_a_root_that_shows_what_is_no_more_is_not_used(boxes: Boxes, tmp_path: Path) -> None:
    script = tmp_path / "changing.py"
    script.write_text(CHANGING)
    command = ["unshare", "--mount", "--propagation", "private", sys.executable, str(script), str(PROJECT)]
    done = subprocess.run(
        [*command, str(tmp_path), str(boxes.root)], capture_output=True, text=True, timeout=10 * PATIENCE_S
    )
    assert (done.returncode, done.stderr) == (0, "")
