"""The SDK's face: `run(spec) -> Result` and `Sandbox.once([...])`.  Everything behind it is container/."""

from __future__ import annotations

import os
import subprocess

from .base.errors import LaunchError, SpecError
from .container.prepare import Prepared, prepare
from .container.result import Result, result_of
from .container.sweep import sweep
from .container.warm import Warm
from .launch import launcher, report, supervise
from .spec.container import ContainerSpec
from .spec.parse import from_mapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from .launch.supervise import Watched

_WARM = Warm()
_OWNER_KILLS = 1  # supervise.owner: the container ends with whoever called


def run(
    spec: ContainerSpec | Sequence[str],
    *,
    stdin: bytes | None = None,
    check: bool = False,
    on_stdout: Callable[[bytes], None] | None = None,
    on_stderr: Callable[[bytes], None] | None = None,
    **options: Any,
) -> Result:
    """Run one command in a sandbox and wait for it.

    spec       a ContainerSpec, or the command as a list of words; then `options` are the keys of a launch document
    stdin      bytes for the workload's standard input; None: it reads end of file at once
    check      raise LaunchError when the exit code is not 0
    on_stdout, on_stderr   called with each chunk as it comes, beside capturing

    Raises SpecError, HostUnsupported or LaunchError when the sandbox could not be had; a workload that fails is a Result.
    The container ends with the calling process, and its record goes with it.
    """
    wanted = spec if isinstance(spec, ContainerSpec) else from_mapping({"command": list(spec), **options})
    if isinstance(spec, ContainerSpec) and options:
        raise SpecError(
            "options beside a ContainerSpec", where="run", remedy="use spec.replace(...) to change fields"
        )
    prepared = prepare(wanted.replace(rm=True), owner=_OWNER_KILLS, warm=_WARM)
    watched = _launch(prepared, stdin, (on_stdout, on_stderr))
    result = _result(prepared, watched)
    if check and not result.ok:
        raise LaunchError(
            f"exit code {result.exit_code} ({result.reason}): {result.err.strip()[-500:]}",
            where=" ".join(wanted.command[:3]), remedy="see Result.stdout and Result.stderr without check=True",
            exit_code=result.exit_code,
        )  # fmt: skip
    return result


def _launch(
    prepared: Prepared,
    stdin: bytes | None,
    on_data: tuple[Callable[[bytes], None] | None, Callable[[bytes], None] | None],
) -> Watched:
    """Start the launcher with pipes, read until it has ended."""
    ours, theirs = supervise.control_pair()
    out_read, out_write = os.pipe2(os.O_CLOEXEC)
    err_read, err_write = os.pipe2(os.O_CLOEXEC)
    source = launcher.sealed("nucleus-stdin", stdin) if stdin else os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    if stdin:
        os.lseek(source, 0, os.SEEK_SET)
    try:
        process: subprocess.Popen[bytes] = launcher.spawn(
            prepared.encoded, prepared.id, prepared.slots, prepared.held, theirs.fileno(),
            (source, out_write, err_write),
        )  # fmt: skip
    except BaseException:
        prepared.discard()
        for fd in (out_read, err_read):
            os.close(fd)
        ours.close()
        raise
    finally:
        theirs.close()
        for fd in (source, out_write, err_write):
            os.close(fd)
    sweep(prepared.store)  # while the container starts
    prepared.close()
    try:
        return supervise.watch(process, ours, (out_read, err_read), on_data)
    finally:
        os.close(out_read)
        os.close(err_read)


def _result(prepared: Prepared, watched: Watched) -> Result:
    record, plan, request = watched.exit, prepared.plan, prepared.request
    assert plan is not None and request is not None and prepared.record is not None
    if record is None:
        raise LaunchError(
            "the monitor ended without a word", where=prepared.id[:12],
            remedy="it was killed from outside; run it again",
        )  # fmt: skip
    if record.failure is not None and record.flags & report.FAILED:
        known = record.failure.step < len(plan.steps)
        step = plan.steps[record.failure.step] if known else None
        raise report.launch_error(record.failure, step, step.origin if step else "", record.exit_code)
    return result_of(record, prepared.id).replace(
        stdout=watched.stdout.data, stderr=watched.stderr.data,
        truncated=watched.stdout.dropped + watched.stderr.dropped,
        degraded=request.degraded, pids_by=prepared.record.pids_by,
    )  # fmt: skip


class Sandbox:
    """A sandbox of defaults: options given once, commands run one after another, each in a fresh world."""

    def __init__(self, **options: Any) -> None:
        self._options = options

    def run(self, command: Sequence[str], **more: Any) -> Result:
        """One command with the sandbox's options and `more`; see `run`."""
        return run(command, **{**self._options, **more})

    @classmethod
    def once(cls, command: Sequence[str], **options: Any) -> Result:
        """`Sandbox(**options).run(command)`."""
        return run(command, **options)
