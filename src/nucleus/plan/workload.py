"""The last step: which program, with which arguments, where.  The environment travels as a descriptor.

✗ looks for the program: the launcher tries each path.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .draft import Draft

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def candidates(command: str, path: str, directory: str) -> tuple[str, ...]:
    """Absolute paths to try in order: a name is looked up in the sandbox's PATH, a path is taken as it is."""
    if "/" in command:
        return (command if command.startswith("/") else f"{directory.rstrip('/')}/{command}",)
    return tuple([f"{d.rstrip('/')}/{command}" for d in path.split(":") if d.startswith("/")])


def exec_step(draft: Draft, directory: str) -> None:
    """execve of the first candidate that exists."""
    request = draft.request
    draft.add(
        "exec", "command", environment=draft.slot("environment"), directory=directory,
        **exec_values(request.candidates, request.spec.command),
    )  # fmt: skip


def exec_values(candidates: tuple[str, ...], arguments: tuple[str, ...]) -> dict[str, bytes]:
    """The fields of the exec step that a command decides."""
    return {"candidates": _list(candidates), "arguments": _list(arguments)}


def _list(words: tuple[str, ...]) -> bytes:
    return b"".join([w.encode("utf-8", "surrogateescape") + b"\0" for w in words])
