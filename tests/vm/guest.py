"""One running emulator: command line, agent frames, machine protocol.  ✗ keeps nothing, retries nothing."""

from __future__ import annotations

import json
import os
import select
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.vm.images import Emulator, Image

Sink = Callable[[bytes], object]

# Every disk attached besides the root has this size: a saved state fixes it.
PROJECT_DISK_BYTES = 512 << 20

KERNEL_PARAMETERS = (
    "console=ttyS0 panic=-1 quiet loglevel=3 mitigations=off tsc=reliable no_timer_check random.trust_cpu=on"
    " rcupdate.rcu_expedited=1 nokaslr net.ifnames=0 cgroup_no_v1=all rw"
)
INIT_PARAMETERS = {
    "systemd": "systemd.show_status=0 systemd.log_level=warning",
    "bare": "vminit=/usr/local/sbin/vm-agent",
}


class GuestDied(Exception):
    """The emulator ended, or the guest fell silent for good."""


class GuestTimeout(Exception):
    """The time limit passed while the guest was working."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What a guest is made of. Two equal ones may be resumed from the same saved state.

    init: systemd, or bare (the agent is PID 1). append: more kernel parameters, e.g. lockdown=integrity.
    """

    kernel: str = "6.1"
    init: str = "systemd"
    append: str = ""
    memory_mib: int = 1024
    cpus: int = 2

    def kernel_command_line(self) -> str:
        return f"{KERNEL_PARAMETERS} {INIT_PARAMETERS[self.init]} {self.append}".strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Disks:
    """The files behind the guest's two disks. A guest writes to the root's file only while `keep_writes`."""

    root: Path
    root_format: str
    project: Path
    keep_writes: bool = False

    def arguments(self) -> list[str]:
        drives = [(self.root, self.root_format, self.keep_writes), (self.project, "raw", False)]
        result = []
        for number, (path, fmt, kept) in enumerate(drives):
            result += [
                "-drive",
                f"file={path},format={fmt},if=none,id=d{number},cache=unsafe,file.locking=off"
                f",snapshot={'off' if kept else 'on'}",
                "-device",
                f"virtio-blk-pci,drive=d{number},id=b{number}",
            ]
        return result


def emulator_command(
    emulator: Emulator,
    machine: Machine,
    image: Image,
    disks: Disks,
    *,
    console: Path,
    agent_fd: int,
    monitor_fd: int,
) -> list[str]:
    """The argument list. Hardware is kept to what can be saved and resumed; there is no network card."""
    return [
        str(emulator.program), *emulator.arguments,
        "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
        "-machine", "pc,usb=off,vmport=off,smbus=off,hpet=off,acpi=on,graphics=off",
        "-accel", "tcg,thread=multi,tb-size=256", "-cpu", "max",
        "-smp", str(machine.cpus), "-m", str(machine.memory_mib),
        "-rtc", "base=utc,clock=host", "-device", "vmgenid,guid=auto",
        "-chardev", f"socket,id=agent,fd={agent_fd}",
        "-device", "virtio-serial-pci,id=vs,max_ports=2",
        "-device", "virtserialport,chardev=agent,name=vm.agent,nr=1",
        "-chardev", f"socket,id=mon,fd={monitor_fd}", "-mon", "chardev=mon,mode=control",
        "-chardev", f"file,id=con,path={console}", "-serial", "chardev:con",
        "-kernel", str(image.kernel), "-initrd", str(image.initrd), "-append", machine.kernel_command_line(),
        *disks.arguments(),
    ]  # fmt: skip


class Guest:
    """A started emulator. Leaving the `with` block kills it: its disks are throw-away."""

    def __init__(
        self,
        emulator: Emulator,
        machine: Machine,
        image: Image,
        disks: Disks,
        *,
        folder: Path,
        resume_from: Path | None = None,
    ) -> None:
        self._console = folder / "console.log"
        self._errors = folder / "qemu.err"
        self._received = b""
        self._replies = b""
        self._agent, agent_end = socket.socketpair()
        self._monitor, monitor_end = socket.socketpair()
        command = emulator_command(
            emulator,
            machine,
            image,
            disks,
            console=self._console,
            agent_fd=agent_end.fileno(),
            monitor_fd=monitor_end.fileno(),
        )
        if resume_from is not None:
            command += ["-incoming", f"exec:cat '{resume_from}'"]
        with agent_end, monitor_end, self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                command,
                pass_fds=(agent_end.fileno(), monitor_end.fileno()),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )
        self._negotiated = False

    def __enter__(self) -> Guest:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._agent.close()
        self._monitor.close()

    def wait_until_ready(self, deadline: float) -> None:
        """Returns once the agent of a booting guest listens. A resumed one said so before it was saved."""
        for kind, _ in self._frames(deadline):
            if kind == b"R":
                return

    def run(
        self,
        argv: Sequence[str],
        deadline: float,
        *,
        out: Sink | None = None,
        err: Sink | None = None,
        cwd: str = "/",
        uid: int = 0,
        env: Sequence[str] = (),
    ) -> int:
        """Runs a command as `uid` and hands its streams on as they come; the answer is its exit status."""
        # Clock and random pool are set each time: a resumed guest's are those of its saving.
        awake = [f"time={time.time():.9f}", f"seed={os.urandom(32).hex()}"]
        fields = [f"cwd={cwd}", f"uid={uid}", f"gid={uid}", *awake]
        fields += [f"env={entry}" for entry in env] + ["--", *argv]
        payload = b"".join(field.encode() + b"\0" for field in fields)
        try:
            self._agent.sendall(b"Q" + struct.pack(">I", len(payload)) + payload)
        except OSError as gone:
            raise GuestDied(self._obituary()) from gone
        for kind, data in self._frames(deadline):
            if kind == b"O" and out is not None:
                out(data)
            elif kind == b"E" and err is not None:
                err(data)
            elif kind == b"X":
                return int(data)
        raise GuestDied(self._obituary())

    def save(self, path: Path, deadline: float) -> None:
        """Stops the guest and writes its memory and devices to `path`; the emulator ends."""
        self._ask("migrate-set-parameters", **{"max-bandwidth": 1 << 40})
        self._ask("migrate", uri=f"exec:cat > '{path}'")
        while (status := self._ask("query-migrate").get("status")) != "completed":
            if status == "failed" or time.monotonic() > deadline:
                raise GuestDied(f"its state could not be saved ({status})")
            time.sleep(0.05)
        self._ask("quit")
        self._process.wait()

    def last_words(self) -> str:
        """The ends of the serial console and of the emulator's own messages."""
        logs = (self._console, self._errors)
        texts = [log.read_text(errors="replace")[-3000:] for log in logs if log.exists()]
        return "\n".join(text for text in texts if text.strip())

    def _frames(self, deadline: float) -> Iterator[tuple[bytes, bytes]]:
        while True:
            while len(self._received) >= 5:
                size = struct.unpack(">I", self._received[1:5])[0]
                if len(self._received) < 5 + size:
                    break
                kind, data = self._received[:1], self._received[5 : 5 + size]
                self._received = self._received[5 + size :]
                yield kind, data
            left = deadline - time.monotonic()
            if left <= 0:
                raise GuestTimeout("time limit reached")
            if select.select([self._agent], [], [], min(left, 1.0))[0]:
                self._received += self._receive(self._agent)
            elif self._process.poll() is not None:
                raise GuestDied(self._obituary())

    def _receive(self, sock: socket.socket) -> bytes:
        try:
            data = sock.recv(1 << 20)
        except ConnectionError:
            data = b""
        if not data:
            raise GuestDied(self._obituary())
        return data

    def _obituary(self) -> str:
        return f"the emulator ended (status {self._process.poll()})\n{self.last_words()}".rstrip()

    def _ask(self, command: str, **arguments: object) -> dict[str, Any]:
        if not self._negotiated:
            self._negotiated = True
            self._reply()  # the greeting
            self._ask("qmp_capabilities")
        self._monitor.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        while True:
            reply = self._reply()
            if "error" in reply:
                raise GuestDied(f"{command}: {reply['error']['desc']}")
            if "return" in reply:  # anything else is an event
                answer: dict[str, Any] = reply["return"]
                return answer

    def _reply(self) -> dict[str, Any]:
        while b"\n" not in self._replies:
            self._replies += self._receive(self._monitor)
        line, self._replies = self._replies.split(b"\n", 1)
        reply: dict[str, Any] = json.loads(line)
        return reply
