"""`nucleus run` without supervision: prepare, then become the launcher."""

from __future__ import annotations

import os
import sys
from stat import S_ISDIR

from ..base.errors import SpecError
from ..launch import launcher
from .prepare import prepare
from .sweep import sweep

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from ..spec.container import ContainerSpec


def run_in_place(spec: ContainerSpec) -> NoReturn:
    """Replace this process by the container's monitor; its exit code is the container's.  Raises NucleusError."""
    refuse_directory_streams()
    reporter = (sys.executable, "-I", "-S", launcher.REPORTER)
    prepared = prepare(spec, reporter=reporter)
    sweep(prepared.store)
    try:
        launcher.replace(prepared.encoded, prepared.id, prepared.slots, prepared.held)
    except BaseException:
        prepared.discard()
        raise



def refuse_directory_streams() -> None:
    """A directory on 0, 1 or 2 would be a way to the host's tree that no option shows.  Raises SpecError."""
    for fd in range(3):
        try:
            mode = os.fstat(fd).st_mode
        except OSError:
            continue  # closed: the launcher puts /dev/null there
        if S_ISDIR(mode):
            raise SpecError(
                f"descriptor {fd} is a directory", where=f"stream {fd}", remedy="redirect it from a file or /dev/null"
            )
