"""Files of a workspace that configure git, editors or agents of the host: which are there, and which links lead to them.

✗ how they are protected: plan/mounts.py.
"""

from __future__ import annotations

import os

NAMES = (
    ".git/hooks", ".git/config", ".git/config.worktree", ".git/commondir", ".git/modules", ".mcp.json", ".vscode",
    ".idea", ".envrc", ".claude", ".cursor",
    ".devcontainer", ".gitmodules", ".bashrc", ".zshrc", ".profile", ".npmrc",
)  # fmt: skip
_MOST_LINKS = 40  # path_resolution(7)


def found(root: str, original: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The protected paths that exist, and the links that lead to them, as the sandbox sees them.

    Where a name is a link, what it leads to is protected if it lies in the workspace, and the link is kept in any case: the
    host's tools go on reading what they read before.
    original: where the workspace lies that root is a copy of, to which absolute links lead.
    """
    ends: list[str] = []
    links: list[str] = []
    for name in (".git", *NAMES):
        on_the_way, end = _way(root, name, original)
        links += on_the_way
        # A .git that is a file says where the repository is (a linked worktree, a submodule).
        if end and (name != ".git" or os.path.isfile(end)):
            ends.append(end)
    return _inside(root, ends), _inside(root, links)


def _inside(root: str, paths: list[str]) -> tuple[str, ...]:
    return tuple([f"/workspace{p.removeprefix(root)}" for p in dict.fromkeys(paths)])


def _way(root: str, name: str, original: str) -> tuple[list[str], str]:
    """The links below root that lead to a name in it, and where it ends below root; "" where it does not."""
    at, parts, left = root, name.split("/")[::-1], _MOST_LINKS
    links: list[str] = []
    while parts and left:
        part = parts.pop()
        if part in ("", ".", ".."):
            at = os.path.dirname(at) if part == ".." else at
            continue
        at = f"{at.rstrip('/')}/{part}"
        if at == original:
            at = root
            continue
        try:
            value = os.readlink(at)
        except FileNotFoundError:
            return links, ""
        except OSError:  # no link, or out of reach
            continue
        left -= 1
        if at.startswith(f"{root}/"):
            links.append(at)
        at = "/" if value.startswith("/") else os.path.dirname(at)
        parts += value.split("/")[::-1]
    return links, at if left and at.startswith(f"{root}/") and os.path.lexists(at) else ""
