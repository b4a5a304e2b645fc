"""A container that lives as long as the call: the launcher beside this process, its streams.  ✗ plans."""

from __future__ import annotations

import os

from ..base.errors import LaunchError, SpecError
from ..launch import launcher, report, supervise
from .result import Result, result_of
from .running.audited import note_start
from .running.sweep import sweep_in_passing
from .silence import silent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import socket

    from ..launch.supervise import Watched
    from ..plan.steps import LaunchPlan
    from ..state.record import ContainerRecord
    from .prepared import Prepared
    from .running.enter import Entry

    OnData = tuple[Callable[[bytes], None] | None, Callable[[bytes], None] | None]

SIGSYS = 31
OWNER_KILLS = 1  # supervise.owner: the container ends with whoever called
OWNER_IGNORED = 2  # whoever called is told when the command was executed, and may go


def run_attached(prepared: Prepared, stdin: bytes | None = None, on_data: OnData = (None, None)) -> Result:
    """Start the launcher and wait for the end.  Raises LaunchError when the sandbox could not be had."""
    if prepared.plan is not None and "console" in prepared.plan.slots:
        prepared.discard()
        raise SpecError(
            "a terminal needs a window", where="tty", remedy="use the command line, or leave tty out"
        )
    try:
        note_start(prepared)
    except BaseException:
        prepared.discard()
        raise
    assert prepared.plan is not None and prepared.record is not None
    refused = _open_refused(prepared, prepared.record)
    try:
        return _run(prepared, prepared.plan, prepared.record, stdin, on_data, refused)
    finally:
        if refused >= 0:
            os.close(refused)


def _run(
    prepared: Prepared,
    plan: LaunchPlan,
    record: ContainerRecord,
    stdin: bytes | None,
    on_data: OnData,
    refused: int,
) -> Result:
    watched = launch_beside(
        prepared, stdin, on_data, meanwhile=lambda: meanwhile(prepared), undo=prepared.discard
    )
    if record.spec.get("workspace_mode") == "copy-in-out":
        from .workspace.run import settled

        result = settled(prepared, watched)[0]
    else:
        result = end_of(watched, plan, record)
    ended = watched.exit
    if refused >= 0 or (
        ended is not None and (ended.pids_denied or ended.oom_kills or ended.signal == SIGSYS)
    ):
        from .running.denials import denials_of, read_all
        from .running.stored import spec_of

        assert ended is not None
        text = read_all(refused) if refused >= 0 else ""
        result = result.replace(denials=denials_of(text, spec_of(record.spec), ended))
    return result


def _open_refused(prepared: Prepared, record: ContainerRecord) -> int:
    """The file of what is refused, opened before it goes with the container; -1 where none is kept."""
    if not record.spec.get("seccomp_log_denied"):
        return -1
    from .running.traced import open_denied

    return open_denied(prepared)


def checked(result: Result, command: tuple[str, ...]) -> Result:
    """The result, or LaunchError when the exit code is not 0."""
    if result.ok:
        return result
    said = result.err.strip()[-500:]
    raise LaunchError(
        f"exit code {result.exit_code} ({result.reason}){said and f': {said}'}",
        where=" ".join(command[:3]), remedy="see Result.stdout and Result.stderr without check=True",
        exit_code=result.exit_code,
    )  # fmt: skip


def launch_beside(
    ready: Prepared | Entry,
    stdin: bytes | None,
    on_data: OnData,
    *,
    meanwhile: Callable[[], None],
    undo: Callable[[], None],
) -> Watched:
    """Start the launcher with pipes, read until it has ended.

    meanwhile   what is done once it runs; `undo`, when it could not be started
    """
    pipes: list[int] = []  # (read, write) of both streams
    try:
        try:
            process, ours = _start(ready, stdin, pipes)
        except BaseException:
            undo()
            raise
        # The launcher waits for this processor, where a fork leaves it, though another may be idle: its work goes first.
        os.sched_yield()
        try:
            meanwhile()
        except BaseException:
            ours.close()  # nobody would listen any more: the monitor ends the container
            process.wait()
            raise
        return supervise.watch(process, ours, (pipes[0], pipes[2]), on_data, held=(pipes[1], pipes[3]))
    finally:
        for fd in pipes:
            os.close(fd)


def _start(ready: Prepared | Entry, stdin: bytes | None, pipes: list[int]) -> tuple[launcher.Process, socket]:
    """The launcher's process and our end of the control socket; the caller closes `pipes`, whatever comes of it."""
    source = _input(stdin)
    try:
        pipes += os.pipe2(os.O_CLOEXEC)
        pipes += os.pipe2(os.O_CLOEXEC)
        ours, theirs = supervise.control_pair()
        try:
            process = launcher.spawn(
                ready.encoded,
                ready.id,
                ready.slots,
                ready.held,
                theirs.fileno(),
                (source, pipes[1], pipes[3]),
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
    finally:
        os.close(source)
    return process, ours


def _input(stdin: bytes | None) -> int:
    if not stdin:
        return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    if not isinstance(stdin, bytes | bytearray | memoryview):
        raise SpecError(
            f"must be bytes, not {type(stdin).__name__}", where="stdin", remedy="encode it: text.encode()"
        )
    source = launcher.sealed("nucleus-stdin", stdin)
    os.lseek(source, 0, os.SEEK_SET)
    return source


def meanwhile(prepared: Prepared) -> None:
    """What nobody needs before the workload runs."""
    try:
        if not prepared.store.holds_only(prepared.id):
            sweep_in_passing(prepared.store)
    except OSError:
        pass  # it cannot be looked at: the next command says why
    finally:
        prepared.close()


def end_of(watched: Watched, plan: LaunchPlan, container: ContainerRecord) -> Result:
    """How it ended.  Raises LaunchError when a step failed, or the launcher was killed."""
    record = watched.exit
    if record is None:
        raise silent(container.id)
    if record.failure is not None and record.flags & report.FAILED:
        known = record.failure.step < len(plan.steps)
        step = plan.steps[record.failure.step] if known else None
        raise report.launch_error(record.failure, step, step.origin if step else "", record.exit_code)
    return result_of(
        record, container.id,
        stdout=watched.stdout.data, stderr=watched.stderr.data,
        truncated=watched.stdout.dropped + watched.stderr.dropped,
        degraded=container.degraded, pids_by=container.pids_by,
    )  # fmt: skip
