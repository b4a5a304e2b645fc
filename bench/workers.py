"""One process per contestant, told when to run by the benchmark.  ✗ computes no statistics.

A contestant may change the process it runs in (namespaces, imports, memory), so each has its own, forked from
the same small parent: what one does costs the others nothing.
"""

from __future__ import annotations

import os
import socket
import struct
import tempfile
import traceback
from pathlib import Path
from types import TracebackType

from bench.contestants import CannotStart, Contestant, end_all, measure

GO = b"g"
FAILED = -1


def scratch_base() -> str | None:
    """Where state is kept: in memory, as /run is on nearly every machine; the same for all."""
    for folder in ("/run", "/dev/shm"):
        with open("/proc/self/mounts", encoding="utf-8", errors="surrogateescape") as mounts:
            kinds = [line.split()[2] for line in mounts if line.split()[1] == folder]
        if kinds[-1:] == ["tmpfs"] and os.access(folder, os.W_OK):
            return folder
    return None


class Worker:
    """A prepared contestant. Leaving the `with` block ends its process and removes its scratch folder."""

    def __init__(self, contestant: Contestant) -> None:
        self.contestant = contestant
        self._folder = tempfile.TemporaryDirectory(prefix="nucleus-bench-", dir=scratch_base())
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._pid = os.fork()
        if self._pid == 0:
            self._socket.close()
            _serve(contestant, Path(self._folder.name), theirs)
        theirs.close()
        try:
            self._answer()
        except CannotStart:
            self._end()
            raise

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def run(self) -> int:
        """Nanoseconds of one run; raises CannotStart when it failed."""
        self._socket.send(GO)
        return self._answer()

    def _answer(self) -> int:
        message = self._socket.recv(1 << 16)
        if not message:
            raise CannotStart(f"{self.contestant.name}: its process ended")
        elapsed: int = struct.unpack_from("<q", message)[0]
        if elapsed == FAILED:
            raise CannotStart(f"{self.contestant.name}: {message[8:].decode(errors='replace')}")
        return elapsed

    def _end(self) -> None:
        self._socket.close()  # the other side reads the end and leaves
        os.waitpid(self._pid, 0)
        self._folder.cleanup()


def _serve(contestant: Contestant, folder: Path, channel: socket.socket) -> None:
    """The worker's whole life; it never returns into its parent's code."""
    status = 1
    try:
        run = contestant.prepare(folder)
        run()  # warm: files in the page cache, tables built
        channel.send(struct.pack("<q", 0))
        while channel.recv(1):
            channel.send(struct.pack("<q", measure(run)))
        status = 0
    except CannotStart as why:
        channel.send(struct.pack("<q", FAILED) + str(why).encode())
    except BaseException:  # noqa: BLE001 - a fork must not unwind into the parent's frames
        channel.send(struct.pack("<q", FAILED) + traceback.format_exc().encode())
    finally:
        end_all()
        os._exit(status)
