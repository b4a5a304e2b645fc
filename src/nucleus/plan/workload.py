"""The workload's process: who it is (bounding set, groups, ids, capability sets, in the only order that works), and which
program it becomes, with which arguments, where.  The environment travels as a descriptor.

✗ which ids: container/inputs/identity.  ✗ looks for the program: the launcher tries each path.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .draft import Draft

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def become_mapped_step(draft: Draft) -> None:
    """After the map: root inside where it is mapped, else the workload's own id with the namespace's capabilities."""
    identity = draft.request.identity
    as_root = identity.maps_root
    draft.add(
        "become-mapped", "userns", set_ids=int(as_root), uid=0 if as_root else identity.uid,
        gid=0 if as_root else identity.gid, drop_groups=int(as_root),
    )  # fmt: skip


def identity_steps(draft: Draft) -> None:
    """Shared by run and join."""
    identity, policies = draft.request.identity, draft.request.policies
    kept = policies.capabilities if policies is not None else None
    origin = "caps_policy" if kept else "capabilities"
    draft.add("drop-bounding", origin, keep=kept.bounding if kept else 0)
    if identity.maps_root:
        groups = b"".join([gid.to_bytes(4, "little") for gid in identity.groups])
        draft.add("set-groups", "additional_group", groups=groups)
    keeps = int(kept is not None and kept.permitted != 0)
    draft.add("set-ids", "user", uid=identity.uid, gid=identity.gid, keep_capabilities=keeps)
    sets = (kept.permitted, kept.effective, kept.inheritable, kept.ambient) if kept else (0, 0, 0, 0)
    permitted, effective, inheritable, ambient = sets
    draft.add(
        "set-capabilities", origin, permitted=permitted, effective=effective, inheritable=inheritable,
        ambient=ambient,
    )  # fmt: skip


def candidates(command: str, path: str, directory: str) -> tuple[str, ...]:
    """Absolute paths to try in order: a name is looked up in the sandbox's PATH, a path is taken as it is."""
    if "/" in command:
        return (command if command.startswith("/") else f"{directory.rstrip('/')}/{command}",)
    return tuple([f"{d.rstrip('/')}/{command}" for d in path.split(":") if d.startswith("/")])


def exec_step(draft: Draft, directory: str) -> None:
    """execve of the first candidate that exists; who waits at a gate is told first that all before it is done."""
    request = draft.request
    if request.gated:
        draft.add("announce-locked", "state")
    if request.hooks:
        from .hooks import start_steps

        start_steps(draft)
    draft.add(
        "exec", "command", environment=draft.slot("environment"), directory=directory,
        **exec_values(request.candidates, request.spec.command),
    )  # fmt: skip


def exec_values(candidates: tuple[str, ...], arguments: tuple[str, ...]) -> dict[str, bytes]:
    """The fields of the exec step that a command decides."""
    return {"candidates": _list(candidates), "arguments": _list(arguments)}


def _list(words: tuple[str, ...]) -> bytes:
    return b"".join([w.encode("utf-8", "surrogateescape") + b"\0" for w in words])
