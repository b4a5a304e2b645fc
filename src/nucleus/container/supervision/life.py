"""One life of a supervised container: its launcher as our child, what it tells, what it is told.

The launcher is told that our death kills: whatever becomes of this process, the workload does not outlive it.
✗ whether another life follows: `supervisor.py`.
"""

from __future__ import annotations

import os
import socket

from ...base.errors import Conflict
from ...launch import launcher, report, supervise
from ...state import gate
from ...state.store import write_file
from ..attached import OWNER_KILLS
from ..one_life import OF_ONE_LIFE, ORIGINS, PLAN, forget
from ..prepare import prepare
from ..prepared import Gate
from ..running.audited import note_start

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...base.errors import LaunchError
    from ...launch.report import ExitRecord
    from ...plan.steps import LaunchPlan
    from ...spec.container import ContainerSpec
    from ...state.store import StateDirectory
    from ..prepared import Prepared

Streams = tuple[int, int, int]


class Life:
    """A launch that has begun.

    directory    the container's, by a descriptor of our own, which holds its lock
    hooks_pid    init's, once its namespaces are there and wait for the host's hooks; 0 where nobody waits for them
    created_pid  init's, once it waits at the gate; 0 before
    executed     the command runs
    ended        how it ended; `gone`: the monitor has let go of the control socket, with or without having said so
    """

    __slots__ = (
        "_control",
        "_gate",
        "_process",
        "created_pid",
        "directory",
        "ended",
        "executed",
        "gone",
        "hooks_pid",
        "id",
        "inside",
        "notify",
        "plan",
        "record",
        "store_path",
    )

    def __init__(self, prepared: Prepared, streams: Streams, *, explained: bool) -> None:
        """Start it.  `explained`: another process will have to say why it could not start."""
        assert prepared.plan is not None and prepared.record is not None and prepared.state is not None
        self.id, self.record, self.store_path = prepared.id, prepared.record, prepared.store.path
        self.plan: LaunchPlan = prepared.plan
        self.created_pid, self.executed, self.gone = 0, False, False
        self.hooks_pid = 0
        self.ended: ExitRecord | None = None
        self.directory = os.dup(prepared.state.fd)
        self._gate = gate.keep(self.directory)
        self.notify, prepared.notify = prepared.notify, None
        self.inside, prepared.hooks = prepared.hooks, None
        try:
            for name in OF_ONE_LIFE:
                forget(self.directory, name)
            if explained:
                write_file(self.directory, PLAN, prepared.encoded)
                origins = "\n".join([s.origin for s in self.plan.steps])
                write_file(self.directory, ORIGINS, origins.encode("utf-8", "surrogateescape"))
            note_start(prepared)
            self._control, theirs = supervise.control_pair()
            with theirs:
                self._process = launcher.spawn(
                    prepared.encoded, prepared.id, prepared.slots, prepared.held, theirs.fileno(), streams
                )
        except BaseException:
            self.close()
            raise

    def fileno(self) -> int:
        """Readable when there is something to `receive`."""
        return self._control.fileno()

    def receive(self) -> None:
        """Take one message, or the end."""
        try:
            data, fds, _, _ = socket.recv_fds(self._control, report.MESSAGE.size, 1)
        except ConnectionResetError:
            return  # it went with words of ours unread: told once, and what it had said is still to be read
        for fd in fds:
            os.close(fd)  # init's: the records name it
        if not data:
            self._reap()
            return
        kind, pid, record = report.MESSAGE.unpack(data)
        if kind == report.CREATED:
            self.created_pid = pid
        elif kind == report.HOOKS:
            self.hooks_pid = pid
        elif kind == report.READY:
            self.executed = True
        elif kind == report.EXITED:
            self.ended = report.read_exit(record)

    def _reap(self) -> None:
        self.gone = True
        self._control.close()
        self._process.wait()

    def hooked(self) -> None:
        """The host's hooks have run: those inside have their turn."""
        assert self.inside is not None
        try:
            self.inside.proceed(self.id, self.hooks_pid, self.bundle)
        except BrokenPipeError:
            pass  # the monitor has ended: the next message says so
        self.hooks_pid = 0

    @property
    def bundle(self) -> str:
        """What the states name as the container's directory."""
        return f"{os.path.realpath(self.store_path)}/containers/{self.id}"

    def proceed(self) -> None:
        """Open the gate."""
        gate.tell(self.directory, gate.GO)

    def signal(self, number: int) -> None:
        """Send a signal to the command; one that still waits at the gate is killed by whichever."""
        if self.gone:
            return
        if self.created_pid and not self.executed:
            try:
                gate.tell(self.directory, gate.KILL)
            except Conflict:
                pass  # it has just left the gate
            # It may have left, unknown to us: what is kept open here takes the word, too.  So it is told both ways.
        try:
            self._control.send(bytes((ord("s"), number)))
        except OSError:
            return  # it has ended

    def abandon(self) -> None:
        """Kill it by letting go, and wait for its end."""
        if not self.gone:
            self.signal(9)  # at the gate nobody listens to the socket
            self._control.shutdown(socket.SHUT_WR)
            if self.inside is not None:
                self.inside.let_go()
            while not self.gone:
                self.receive()

    def failure(self) -> LaunchError | None:
        """What failed, where it ended because a step did."""
        failure = self.ended.failure if self.ended is not None else None
        if self.ended is None or failure is None or not self.ended.flags & report.FAILED:
            return None
        known = failure.step < len(self.plan.steps)
        step = self.plan.steps[failure.step] if known else None
        error = report.launch_error(failure, step, step.origin if step else "", self.ended.exit_code)
        if error.opcode.startswith("run-hook") and self.inside is not None and (said := self.inside.said()):
            error.message += f": {said}"
        return error

    def close(self) -> None:
        """Let go of the directory, and with it of our part of the lock."""
        os.close(self.directory)
        os.close(self._gate)
        if self.notify is not None:
            self.notify.close()
        if self.inside is not None:
            self.inside.close()


def begin(
    spec: ContainerSpec,
    streams: Streams | None,
    again: StateDirectory | None,
    created_ns: int,
    *,
    detached: str,
    explained: bool,
) -> tuple[Life, Streams]:
    """Prepare and launch.  Raises NucleusError; of a new container nothing is left behind then.

    explained another process will have to say why it could not start
    streams   the workload's; None: this starts the log writer, once the container has a directory
    """
    from ..running import stored

    gated = Gate(detached=detached, again=again, created_ns=created_ns)
    prepared = prepare(spec, owner=OWNER_KILLS, gate=gated)
    try:
        assert prepared.state is not None
        if streams is None or (again is None and not spec.rm):
            stored.keep(prepared.state.fd, spec, variables=streams is None)
        if streams is None:
            from ...launch import log_writer

            source = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
            streams = (
                source,
                *log_writer.start(prepared.state.fd, max_bytes=spec.log_max_bytes, files=spec.log_max_files),
            )
        if spec.cidfile and not detached:
            from ..running.idfiles import write_id

            write_id(spec.cidfile, prepared.id)
        life = Life(prepared, streams, explained=explained)
    except BaseException:
        prepared.discard()
        raise
    prepared.close()
    return life, streams
