"""Root, asked to act on the containers of a user, acts as that user: what a user recorded leads root nowhere else.

✗ `run` and what creates: those make root's own containers, in root's own state root.
"""

from __future__ import annotations

import os
from stat import S_ISDIR

from ..base.errors import PermissionRefused


def act_as_owner(arguments: list[str]) -> None:
    """Become the owner of the state root that the arguments name, for good, when root asks and it is another's."""
    root = _state_root(arguments)
    if not root:
        return
    try:
        status = os.stat(root, follow_symlinks=False)
    except OSError:
        return  # the verb itself says what is wrong with it
    if not S_ISDIR(status.st_mode) or status.st_uid == 0:
        return
    try:
        os.setgroups([])
        os.setresgid(status.st_gid, status.st_gid, status.st_gid)
        os.setresuid(status.st_uid, status.st_uid, status.st_uid)
    except OSError as error:
        raise PermissionRefused(
            f"cannot act as its owner, uid {status.st_uid}: {(error.strerror or '').lower()}",
            where=root,
            remedy="act as that user",
        ) from None
    # What root's session says of places and services is not the owner's.
    os.environ["XDG_RUNTIME_DIR"] = f"/run/user/{status.st_uid}"


def _state_root(arguments: list[str]) -> str:
    for at, word in enumerate(arguments):
        if word == "--":
            break
        if word.startswith("--root="):
            return word.partition("=")[2]
        if word == "--root" and at + 1 < len(arguments):
            return arguments[at + 1]
    return os.environ.get("NUCLEUS_STATE_DIR", "")
