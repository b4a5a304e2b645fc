"""`nucleus run` without supervision: prepare, then become the launcher."""

from __future__ import annotations

import sys

from ..launch import launcher
from .prepare import prepare
from .sweep import sweep

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from ..spec.container import ContainerSpec


def run_in_place(spec: ContainerSpec) -> NoReturn:
    """Replace this process by the container's monitor; its exit code is the container's.  Raises NucleusError."""
    reporter = (sys.executable, "-I", "-S", launcher.REPORTER)
    prepared = prepare(spec, reporter=reporter)
    sweep(prepared.store)
    try:
        launcher.replace(prepared.encoded, prepared.id, prepared.slots, prepared.held)
    except BaseException:
        prepared.discard()
        raise

