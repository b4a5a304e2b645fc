"""Nucleus as contestants: from a warm SDK, from a saved plan, from the command line.  ✗ measures nothing.

All get the default hardening, and nothing is switched off to be faster.  Every SDK run has another command
line, so that no run is a repetition of the one before.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from bench.contestants import ENDINGS, PAYLOAD, CannotStart, Contestant, Run, program

if TYPE_CHECKING:
    from nucleus import Result

ROOT = Path(__file__).resolve().parents[1]
COMMAND = str(ROOT / "bin" / "nucleus")
HOST_NETWORK: dict[str, object] = {"network": "host", "allow_host_network": True}
HOST_NETWORK_FLAGS = ("--network", "host", "--allow-host-network")


def load_library() -> None:
    """Makes the checkout's own package importable."""
    sys.path.insert(0, str(ROOT / "src"))


def _state(scratch: Path) -> str:
    return str(scratch / "state")


def _expect(ok: bool, what: object) -> None:
    if not ok:
        raise CannotStart(str(what))


def _sdk(options: dict[str, object], scratch: Path) -> Run:
    load_library()
    import nucleus

    os.environ["NUCLEUS_STATE_DIR"] = _state(scratch)
    numbers = itertools.count()

    def run() -> None:
        result = nucleus.run([*PAYLOAD, str(next(numbers))], **options)
        _expect(result.ok, result)

    return run


def _saved(options: dict[str, object], scratch: Path) -> Run:
    load_library()
    import nucleus

    os.environ["NUCLEUS_STATE_DIR"] = _state(scratch)
    nucleus.SavedPlan.compile([*PAYLOAD], **options).save(scratch / "plan")
    saved = nucleus.SavedPlan.load(scratch / "plan")
    _expect(not saved.recompiled, "the plan did not survive being saved")

    def run() -> None:
        result = saved.run()
        _expect(result.ok, result)

    return run


def entered(scratch: Path) -> Callable[[list[str]], Result]:
    """Runs commands in one container, which ends with this process: it reads the end of its input then."""
    load_library()
    import nucleus

    words = [
        "run",
        "--rm",
        "--root",
        _state(scratch),
        "--name",
        "entered",
        "--",
        "sh",
        "-c",
        "echo ready; exec cat",
    ]
    process = subprocess.Popen([COMMAND, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    _expect(process.stdout.readline() == b"ready\n", "the container to enter did not start")
    box = nucleus.Container.find("entered", root=_state(scratch))
    ENDINGS.append(process.communicate)  # which closes its input, and waits
    return box.exec


def _exec(scratch: Path) -> Run:
    enter, numbers = entered(scratch), itertools.count()

    def run() -> None:
        result = enter([*PAYLOAD, str(next(numbers))])
        _expect(result.ok, result)

    return run


def _command(flags: tuple[str, ...], scratch: Path) -> Run:
    return program([COMMAND, "run", "--rm", "--root", _state(scratch), *flags, "--", *PAYLOAD])


ALL = "user pid mount ipc uts cgroup net, Landlock, seccomp, limits"
NO_NET = "user pid mount ipc uts cgroup, Landlock, seccomp, limits"
OWN = (
    Contestant(name="nucleus-sdk", isolation=ALL, prepare=lambda s: _sdk({}, s)),
    Contestant(name="nucleus-saved", isolation=ALL, prepare=lambda s: _saved({}, s)),
    Contestant(name="nucleus-exec", isolation="those of a running container", prepare=_exec),
    Contestant(name="nucleus-cli", isolation=ALL, prepare=lambda s: _command((), s)),
    Contestant(name="nucleus-sdk-hostnet", isolation=NO_NET, prepare=lambda s: _sdk(HOST_NETWORK, s)),
    Contestant(name="nucleus-saved-hostnet", isolation=NO_NET, prepare=lambda s: _saved(HOST_NETWORK, s)),
    Contestant(
        name="nucleus-cli-hostnet", isolation=NO_NET, prepare=lambda s: _command(HOST_NETWORK_FLAGS, s)
    ),
)
