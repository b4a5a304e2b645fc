"""`nucleus run [OPTION…] -- COMMAND`: parse, prepare, become the launcher.  ✗ options (`parser.py`)."""

from __future__ import annotations

import sys

from ..base.errors import NucleusError


def main(argv: list[str]) -> int:
    """Does not return when the container starts; 125 and a message when it cannot."""
    from .parser import parse_run

    spec = parse_run(argv)
    sys.nucleus_command = True  # type: ignore[attr-defined]
    try:
        if spec.detach:
            from .create import create

            return create(spec, go=True)
        from ..container.run import run_in_place

        run_in_place(spec)
    except NucleusError as error:
        from .errors import render_error

        render_error(error, log_format=spec.log_format, log_path=spec.log_path)
        return error.exit_code
