"""The SDK's face: `run(spec) -> Result` and `Sandbox.once([...])`.  ✗ what is behind it: that is container/."""

from __future__ import annotations

from .base.errors import LaunchError, SpecError
from .container.attached import OWNER_KILLS, checked, run_attached
from .container.prepare import prepare
from .container.reuse.warm import WARM
from .spec import rules
from .spec.container import ContainerSpec
from .spec.parse import called, from_mapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from .container.attached import OnData
    from .container.prepared import Prepared
    from .container.result import Result


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
    if not isinstance(spec, ContainerSpec):
        document = called(spec, options)
        known = WARM.start(spec, options)
        if known is not None:
            return _attached(known, tuple(spec), stdin, (on_stdout, on_stderr), check)
        wanted = from_mapping(document)
    elif options:
        raise SpecError(
            "options beside a ContainerSpec", where="run", remedy="use spec.replace(...) to change fields"
        )
    else:
        wanted = rules.require(spec)
    if wanted.detach:
        raise SpecError(
            "run waits for the command", where="detach", remedy="use nucleus.Container.run, or leave it away"
        )
    if wanted.supervised or wanted.cidfile:
        from .container.supervision.supervised import refuse

        refuse()
    prepared = prepare(wanted.replace(rm=True), owner=OWNER_KILLS, warm=WARM)
    if not isinstance(spec, ContainerSpec):
        WARM.learn(options, wanted.replace(rm=True), prepared)
    return _attached(prepared, wanted.command, stdin, (on_stdout, on_stderr), check)


def _attached(
    prepared: Prepared, command: tuple[str, ...], stdin: bytes | None, on_data: OnData, check: bool
) -> Result:
    try:
        result = run_attached(prepared, stdin, on_data)
    except LaunchError as error:
        WARM.failed(error)
        raise
    return checked(result, command) if check else result


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
