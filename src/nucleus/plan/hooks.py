"""OCI hooks among the steps: the host's wait for the namespaces, the other two points are steps of child and workload.

Where hooks see the container's namespaces, the network's is there with the others, and not made beside the mounts.
✗ reads no list of hooks, runs none: container/.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .draft import Draft
    from .request import HookCall

CHANNEL, OUTPUT = "hooks", "hook-output"
STATES = {"createContainer": "hook-state:create", "startContainer": "hook-state:start"}


def monitor_step(draft: Draft) -> None:
    """Before the monitor hands anything to the child."""
    if draft.request.host_hooks:
        draft.add("let-hooks-run", "hooks", channel=draft.slot(CHANNEL))


def create_steps(draft: Draft) -> None:
    """Before the root is switched."""
    if draft.request.host_hooks:
        draft.add("await-hooks", "hooks")
    for hook in draft.request.hooks:
        if hook.slot:
            draft.add(
                "run-hook", "hooks", program=draft.slot(hook.slot), **_values(draft, hook, "createContainer")
            )


def start_steps(draft: Draft) -> None:
    """The last thing before the command."""
    for hook in draft.request.hooks:
        if not hook.slot:
            draft.add("run-hook-inside", "hooks", path=hook.path, **_values(draft, hook, "startContainer"))


def _values(draft: Draft, hook: HookCall, point: str) -> dict[str, bytes | int]:
    environment = [f"{name}={value}" for name, value in hook.environment]
    return {
        "arguments": _list(hook.arguments), "environment": _list(tuple(environment)),
        "state": draft.slot(STATES[point]), "output": draft.slot(OUTPUT), "timeout_ms": hook.timeout_s * 1000,
    }  # fmt: skip


def _list(words: tuple[str, ...]) -> bytes:
    return b"".join([w.encode("utf-8", "surrogateescape") + b"\0" for w in words])
