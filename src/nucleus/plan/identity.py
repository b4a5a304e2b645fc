"""Who the workload is: bounding set, groups, gid, uid, capability sets, in the only order that works.

✗ which ids: container/identity.
"""

from __future__ import annotations

from struct import pack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .draft import Draft


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
    identity = draft.request.identity
    draft.add("drop-bounding", "capabilities", keep=0)
    if identity.maps_root:
        draft.add(
            "set-groups", "additional_group", groups=pack(f"<{len(identity.groups)}I", *identity.groups)
        )
    draft.add("set-ids", "user", uid=identity.uid, gid=identity.gid)
    draft.add("set-capabilities", "capabilities", permitted=0, effective=0, inheritable=0, ambient=0)
