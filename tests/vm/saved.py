"""Saved, booted guests: made on first use, resumed in a second afterwards.  ✗ runs no command of a caller."""

from __future__ import annotations

import contextlib
import hashlib
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.vm.guest import PROJECT_DISK_BYTES, Disks, Guest, GuestDied, GuestTimeout, Machine
from tests.vm.guest import emulator_command as hardware_of
from tests.vm.images import Emulator, GuestUnavailable, Image, locked, tool

BOOT_LIMIT_S = 300.0
BOOT_TRIES = 3
STATES_KEPT = 4

# Run before the guest is saved, so that every resumed one has it behind it: units settled, user manager up,
# modules loaded, the interpreter's files in the page cache.
WARM_UP = {
    "bare": "",
    "systemd": "for i in 1 2 3 4 5 6 7 8; do systemctl -q is-system-running && break; sleep .3; done;"
    " systemctl start user@1000.service || exit 1;",
}
WARM_UP_ALWAYS = (
    " for module in overlay wireguard veth tun; do modprobe $module; done;"
    " python3 -c 'import json, subprocess, os, unittest, ctypes';"
    " sync; blockdev --flushbufs /dev/vdb; echo 1 >/proc/sys/vm/compact_memory"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedState:
    """A guest's memory and the disk overlay that goes with it. The memory file appears last, whole."""

    memory: Path
    overlay: Path
    lock: Path

    def discard(self) -> None:
        """Removes it, once nobody is resuming from it."""
        with locked(self.lock):
            self._unlink()

    def discard_unless_busy(self) -> None:
        with contextlib.suppress(BlockingIOError), locked(self.lock, wait=False):
            self._unlink()

    def _unlink(self) -> None:
        self.memory.unlink(missing_ok=True)
        self.overlay.unlink(missing_ok=True)


def state_named(folder: Path, key: str) -> SavedState:
    return SavedState(
        memory=folder / f"state-{key}.memory",
        overlay=folder / f"state-{key}.qcow2",
        lock=folder / f"state-{key}.lock",
    )


def saved_state(emulator: Emulator, machine: Machine, image: Image) -> SavedState:
    """The state of this machine, made first where there is none."""
    state = state_named(image.folder, _state_key(emulator, machine, image))
    if not state.memory.exists():
        with locked(state.lock):
            if not state.memory.exists():
                _make(emulator, machine, image, state)
                _forget_old_states(image, state)
    return state


def _warm_up(machine: Machine) -> str:
    return WARM_UP[machine.init] + WARM_UP_ALWAYS


def _state_key(emulator: Emulator, machine: Machine, image: Image) -> str:
    nowhere = Path("/")
    disks = Disks(root=nowhere, root_format="qcow2", project=nowhere)
    hardware = hardware_of(emulator, machine, image, disks, console=nowhere, agent_fd=0, monitor_fd=0)
    text = "\0".join([emulator.version, _warm_up(machine), *hardware])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _make(emulator: Emulator, machine: Machine, image: Image, state: SavedState) -> None:
    """Boots and saves. A boot that dies is tried again, a bounded number of times."""
    print(f"[vm] booting a {machine.kernel} guest once, to be resumed from then on", file=sys.stderr)
    overlay, memory = (path.with_name(path.name + ".tmp") for path in (state.overlay, state.memory))
    for tries_left in reversed(range(BOOT_TRIES)):
        overlay.unlink(missing_ok=True)
        command = [tool("qemu-img"), "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(image.root_disk)]
        subprocess.run([*command, str(overlay)], check=True)
        try:
            _boot_and_save(emulator, machine, image, overlay, memory)
            break
        except (GuestDied, GuestTimeout) as failure:
            memory.unlink(missing_ok=True)
            if not tries_left:
                raise GuestUnavailable(f"a {machine.kernel} guest does not boot: {failure}") from failure
    overlay.rename(state.overlay)
    memory.rename(state.memory)


def _boot_and_save(emulator: Emulator, machine: Machine, image: Image, overlay: Path, memory: Path) -> None:
    deadline = time.monotonic() + BOOT_LIMIT_S
    with tempfile.TemporaryDirectory(prefix="nucleus-vm-") as folder:
        empty = Path(folder) / "project.img"
        empty.touch()
        with empty.open("r+b") as file:
            file.truncate(PROJECT_DISK_BYTES)
        disks = Disks(root=overlay, root_format="qcow2", project=empty, keep_writes=True)
        with Guest(emulator, machine, image, disks, folder=Path(folder)) as guest:
            guest.wait_until_ready(deadline)
            said = bytearray()
            status = guest.run(["sh", "-c", _warm_up(machine)], deadline, out=said.extend, err=said.extend)
            if status:
                raise GuestDied(f"its preparation failed ({status}): {said.decode(errors='replace')}")
            guest.save(memory, deadline)


def _forget_old_states(image: Image, newest: SavedState) -> None:
    memories = [path for path in image.folder.glob("state-*.memory") if path != newest.memory]
    memories.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for memory in memories[STATES_KEPT - 1 :]:
        state_named(image.folder, memory.stem.removeprefix("state-")).discard_unless_busy()
