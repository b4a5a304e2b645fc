"""Hooks that the launcher runs, inside the container: what the plan is told of them, and the descriptors between the
supervisor and the launcher: the word after the host's hooks, the states on their standard inputs, what they say.

✗ which files are trusted, the host's own hooks: `hooks.py`.
"""

from __future__ import annotations

import os

from ...plan.hooks import CHANNEL, OUTPUT, STATES
from ...plan.request import HookCall
from .hooks import MOST_TEXT, load, open_trusted, state_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_EARLY = ("createRuntime", *STATES)
_PROGRAM = "hook"
_STATUSES = {"createContainer": "creating", "startContainer": "created"}


def requested(path: str) -> dict[str, Any]:
    """The fields of a request for the hooks that such a file lists.  Raises SpecError."""
    found = load(path)
    calls = [
        HookCall(
            slot=f"{_PROGRAM}:{number}" if hook.point == "createContainer" else "",
            path=hook.path,
            arguments=hook.args,
            environment=hook.env,
            timeout_s=hook.timeout_s,
        )
        for number, hook in enumerate(found)
        if hook.point in STATES
    ]
    return {"hooks": tuple(calls), "host_hooks": any(hook.point in _EARLY for hook in found)}


def is_slot(name: str) -> bool:
    """Whether a descriptor of that name is opened here."""
    return name in (CHANNEL, OUTPUT, *STATES.values()) or name.startswith(f"{_PROGRAM}:")


class Inside:
    """Our ends of what the launcher of one life has for its hooks."""

    __slots__ = ("_fds",)

    def __init__(self) -> None:
        self._fds: dict[str, int] = {}

    def open_slot(self, name: str, calls: tuple[HookCall, ...]) -> int:
        """The launcher's end."""
        if name == CHANNEL:
            reading, self._fds[name] = os.pipe2(os.O_CLOEXEC)
            return reading
        if name.startswith(f"{_PROGRAM}:"):
            (path,) = [call.path for call in calls if call.slot == name]
            return open_trusted(path, program=True)
        self._fds[name] = os.memfd_create(f"nucleus-{name}", os.MFD_CLOEXEC)
        flags = os.O_WRONLY | os.O_APPEND if name == OUTPUT else os.O_RDONLY
        return os.open(f"/proc/self/fd/{self._fds[name]}", flags | os.O_CLOEXEC)

    def proceed(self, container_id: str, pid: int, bundle: str) -> None:
        """The host's hooks have run: hand the states over, and say the word."""
        for point, name in STATES.items():
            if name in self._fds:
                os.pwrite(self._fds[name], state_of(container_id, _STATUSES[point], pid, bundle), 0)
        os.write(self._fds[CHANNEL], b"g")

    def said(self) -> str:
        """The end of what the hooks have printed."""
        fd = self._fds.get(OUTPUT, -1)
        if fd < 0:
            return ""
        text = os.pread(fd, MOST_TEXT, max(os.fstat(fd).st_size - MOST_TEXT, 0))
        return " ".join(text.decode("utf-8", "replace").split())

    def let_go(self) -> None:
        """Say that no word will come."""
        if CHANNEL in self._fds:
            os.close(self._fds.pop(CHANNEL))

    def close(self) -> None:
        """Let go of all of them."""
        for fd in self._fds.values():
            os.close(fd)
        self._fds = {}
