"""`nucleus create [OPTION…] -- COMMAND`, and `run --detach`: containers that outlive this command.  ✗ options."""

from __future__ import annotations

import sys

from ..base.errors import NucleusError
from .errors import render_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..spec.container import ContainerSpec


def main(argv: list[str]) -> int:
    """Prints the id of a container that waits for `nucleus start`; 125 and a message when it cannot be made."""
    from .parser import parse_run

    spec = parse_run(["--detach", *argv], verb="create")
    sys.nucleus_command = True  # type: ignore[attr-defined]
    try:
        return create(spec, go=False)
    except NucleusError as error:
        render_error(error, log_format=spec.log_format, log_path=spec.log_path)
        return error.exit_code


def create(spec: ContainerSpec, *, go: bool) -> int:
    """Make it, with `go` start it too, and print its id.  Raises NucleusError."""
    from ..container import detach
    from ..container.container import with_handle
    from ..container.run import refuse_unusable_channels

    refuse_unusable_channels(spec)
    container_id = detach.create(spec)
    if go:
        with_handle(container_id, spec.state_root, detach.start)
    sys.stdout.write(f"{container_id}\n")
    return 0
