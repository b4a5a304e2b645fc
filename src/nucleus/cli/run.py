"""`nucleus run [OPTION…] -- COMMAND`: parse, prepare, become the launcher.  ✗ options (`parser.py`)."""

from __future__ import annotations

import sys

from ..base.errors import NucleusError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..spec.container import ContainerSpec


def main(argv: list[str]) -> int:
    """Does not return when the container starts; 125 and a message when it cannot."""
    from .parser import parse_run

    spec = parse_run(argv)
    sys.nucleus_command = True  # type: ignore[attr-defined]
    try:
        if spec.detach:
            from .create import create

            return create(spec, go=True)
        if spec.tty and not spec.console_socket:
            return _with_terminal(spec)
        if spec.copies_workspace:
            from ..container.workspace_run import run_staying

            return run_staying(spec)
        from ..container.run import run_in_place

        run_in_place(spec)
    except NucleusError as error:
        from .errors import render_error

        render_error(error, log_format=spec.log_format, log_path=spec.log_path)
        return error.exit_code


def _with_terminal(spec: ContainerSpec) -> int:
    from ..container.terminal import run_with_terminal
    from .reporter import report

    ended = run_with_terminal(spec)
    return report(
        ended.exit, ended.plan, [s.origin for s in ended.plan.steps], spec.log_format, spec.log_path
    )
