"""`nucleus run [OPTION…] -- COMMAND`: start a kept plan, or parse, prepare, become the launcher.  ✗ options."""

from __future__ import annotations

import sys

from ..base.errors import NucleusError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..container.reuse.again import Asked
    from ..spec.container import ContainerSpec


def main(argv: list[str]) -> int:
    """Does not return when the container starts; 125 and a message when it cannot."""
    from ..container.reuse.again import start_again

    asked = start_again(argv)
    from .parser import parse_run

    spec = parse_run(argv)
    sys.nucleus_command = True  # type: ignore[attr-defined]
    try:
        if spec.detach and spec.tty and not spec.console_socket:
            return _kept(spec)
        if spec.detach:
            from .create import create

            return create(spec, go=True)
        if spec.supervised:
            return _supervise(spec)
        if spec.tty and not spec.console_socket:
            return _with_terminal(spec)
        if spec.copies_workspace:
            from ..container.workspace.run import run_staying

            return run_staying(spec)
        from ..container.run import run_in_place

        run_in_place(spec, _with_keys(asked, argv))
    except NucleusError as error:
        from .errors import render_error

        render_error(error, log_format=spec.log_format, log_path=spec.log_path)
        return error.exit_code


def _with_keys(asked: Asked | None, argv: list[str]) -> Asked | None:
    """Who asks, with the options that were asked for: they decide whether the plan is kept."""
    if asked is not None:
        from .parser import split

        asked.keys = frozenset([option.key for option, _, _ in split(argv, [])[0]])
    return asked


def _kept(spec: ContainerSpec) -> int:
    from ..container.terminal import run_kept

    container_id = run_kept(spec)
    if spec.pid_file:
        from ..container.running import idfiles

        idfiles.tell(spec.replace(cidfile=""), container_id)
    sys.stdout.write(f"{container_id}\n")
    return 0


def _with_terminal(spec: ContainerSpec) -> int:
    from ..container.terminal import run_with_terminal
    from .reporter import report

    ended = run_with_terminal(spec)
    if ended is None:
        return 0  # its window was left; it goes on
    return report(
        ended.exit, ended.plan, [s.origin for s in ended.plan.steps], spec.log_format, spec.log_path
    )


def _supervise(spec: ContainerSpec) -> int:
    """Stay beside the container; the exit code of its last life."""
    from ..container.run import refuse_directory_streams, refuse_unusable_channels
    from ..container.supervision.supervisor import Supervisor
    from ..launch.signals import Signals
    from .reporter import report

    refuse_directory_streams()
    refuse_unusable_channels(spec)
    with Signals() as signals:
        supervisor = Supervisor(spec, signals, streams=(0, 1, 2))
        supervisor.create()
        supervisor.life.proceed()
        ended = supervisor.run()
        failed = supervisor.life.failure()  # with what a hook has said, as long as it can be read
    if ended is None or supervisor.reason:
        raise supervisor.unwell()
    if failed is not None:
        raise failed
    plan = supervisor.life.plan
    return report(ended, plan, [s.origin for s in plan.steps], spec.log_format, spec.log_path)
