"""One command in a throw-away guest: shared disk, resume, run, collect.  ✗ parses no command line."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.vm.guest import PROJECT_DISK_BYTES, Disks, Guest, GuestDied, GuestTimeout, Machine, Sink
from tests.vm.images import Emulator, GuestUnavailable, Image, emulator, image_for, locked, tool
from tests.vm.saved import saved_state

# From a resumed guest to its first answer; generous, the host may be busy.
WAKE_LIMIT_S = 300.0
USERS = {"root": 0, "dev": 1000}
DEV_ENVIRONMENT = (
    "HOME=/home/dev",
    "USER=dev",
    "LOGNAME=dev",
    "SHELL=/bin/bash",
    "PATH=/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin",
    "XDG_RUNTIME_DIR=/run/user/1000",
    "DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/1000/bus",
)
# Without systemd nobody made these for the ordinary user.
DEV_WITHOUT_SYSTEMD = (
    "mkdir -p /run/user/1000 /sys/fs/cgroup/dev && cd /sys/fs/cgroup/dev &&"
    " chown 1000:1000 /run/user/1000 . cgroup.procs cgroup.subtree_control cgroup.threads"
)
MOUNT_PROJECT = "mount -t ext4 -o rw,noatime /dev/vdb /project"


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What to run, as whom, with which folder.

    share: appears as /project, a private writable copy; the working directory unless cwd names another.
    collect: receives what the command left in the guest's /out. prepare: a shell line run as root before it.
    timeout_s: counts from when the guest is ready.
    """

    argv: tuple[str, ...]
    user: str = "root"
    cwd: str | None = None
    env: tuple[str, ...] = ()
    share: Path | None = None
    collect: Path | None = None
    prepare: str = "true"
    timeout_s: float = 120.0


def run_in_guest(
    machine: Machine,
    command: Command,
    *,
    out: Sink | None = None,
    err: Sink | None = None,
    cold: bool = False,
) -> int:
    """The command's exit status. Raises GuestUnavailable before it started, GuestDied or GuestTimeout after.

    cold: boots instead of resuming, for looking at what a saved state might hide.
    """
    with tempfile.TemporaryDirectory(prefix="nucleus-vm-") as name:
        folder = Path(name)
        disk = project_disk(command.share, folder)
        with ready_guest(machine, disk, folder, first=_first_line(machine, command), cold=cold) as guest:
            return _perform(guest, command, out, err)


def project_disk(share: Path | None, folder: Path) -> Path:
    """An ext4 image of the shared folder; sparse, of the size the saved state fixes."""
    image = folder / "project.img"
    with image.open("wb") as file:
        file.truncate(PROJECT_DISK_BYTES)
    if share is not None:
        options = ["-O", "^has_journal,^metadata_csum,^resize_inode", "-E", "lazy_itable_init=0", "-m", "0"]
        command = [tool("mkfs.ext4"), "-q", "-F", *options, "-d", str(share.resolve()), str(image)]
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        if made.returncode:
            limit = f"the project disk ({PROJECT_DISK_BYTES >> 20} MiB)"
            raise GuestUnavailable(f"{share} does not go onto {limit}: {made.stderr.strip()}; share less")
    return image


@contextlib.contextmanager
def ready_guest(machine: Machine, disk: Path, folder: Path, *, first: str, cold: bool) -> Iterator[Guest]:
    """A guest that has carried out `first` (a shell line, as root), which proves that it is alive.

    Only here is anything tried again: the emulator can die while it resumes, and a saved state can be broken.
    Once the caller's command runs, a death is the caller's to know.
    """
    program, image = emulator(), image_for(machine.kernel)
    with contextlib.ExitStack() as stack:
        if cold:
            guest = _boot(stack, program, machine, image, disk, folder)
            _wake(guest, first)
        else:
            guest = _resume(stack, program, machine, image, disk, folder, first)
        yield guest


def _boot(
    stack: contextlib.ExitStack, program: Emulator, machine: Machine, image: Image, disk: Path, folder: Path
) -> Guest:
    disks = Disks(root=image.root_disk, root_format="raw", project=disk)
    guest = stack.enter_context(Guest(program, machine, image, disks, folder=folder))
    guest.wait_until_ready(time.monotonic() + WAKE_LIMIT_S)
    if machine.init == "systemd":
        _wake(guest, "systemctl start user@1000.service")
    return guest


def _resume(
    stack: contextlib.ExitStack,
    program: Emulator,
    machine: Machine,
    image: Image,
    disk: Path,
    folder: Path,
    first: str,
) -> Guest:
    """Resumes; then once more; then from a state made anew; then gives up."""
    for give_up_on_state in (False, True, None):
        state = saved_state(program, machine, image)
        try:
            with contextlib.ExitStack() as attempt:
                with locked(state.lock, shared=True):
                    disks = Disks(root=state.overlay, root_format="qcow2", project=disk)
                    guest = attempt.enter_context(
                        Guest(program, machine, image, disks, folder=folder, resume_from=state.memory)
                    )
                    _wake(guest, first)
                stack.push(attempt.pop_all())
                return guest
        except (GuestDied, GuestTimeout) as failure:
            if give_up_on_state is None:
                raise GuestUnavailable(f"a {machine.kernel} guest does not resume: {failure}") from failure
            print(f"[vm] a {machine.kernel} guest did not resume, trying again: {failure}", file=sys.stderr)
            if give_up_on_state:
                state.discard()
    raise AssertionError("the last round returns or raises")


def _wake(guest: Guest, line: str) -> None:
    said = bytearray()
    status = guest.run(["sh", "-c", line], time.monotonic() + WAKE_LIMIT_S, out=said.extend, err=said.extend)
    if status:
        raise GuestDied(f"'{line}' failed in it ({status}): {said.decode(errors='replace')}")


def _first_line(machine: Machine, command: Command) -> str:
    parts = [MOUNT_PROJECT] if command.share is not None else []
    if command.user == "dev" and machine.init == "bare":
        parts.append(DEV_WITHOUT_SYSTEMD)
    return " && ".join([*parts, command.prepare])


def _perform(guest: Guest, command: Command, out: Sink | None, err: Sink | None) -> int:
    deadline = time.monotonic() + command.timeout_s
    status = guest.run(
        command.argv,
        deadline,
        out=out,
        err=err,
        cwd=command.cwd or ("/project" if command.share is not None else "/"),
        uid=USERS[command.user],
        env=(*(DEV_ENVIRONMENT if command.user == "dev" else ()), *command.env),
    )
    if command.collect is not None:
        _collect(guest, command.collect)
    return status


def _collect(guest: Guest, into: Path) -> None:
    """Unpacks the guest's /out; plain data only, whatever a test left there."""
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile() as archive:
        guest.run(["tar", "-C", "/out", "-cf", "-", "."], time.monotonic() + WAKE_LIMIT_S, out=archive.write)
        archive.seek(0)
        with tarfile.open(fileobj=archive) as tar:
            # The guest is our own; Python before 3.11.4 has no filters.
            if hasattr(tarfile, "data_filter"):
                tar.extractall(into, filter="data")
            else:
                tar.extractall(into)
