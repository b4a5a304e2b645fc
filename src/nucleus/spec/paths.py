"""Which paths of the host may never come in, and which paths inside may never be covered: predicates on text.

A source is judged twice: as written, lexically (`rules.py`), and as found, canonically (`container/`).
✗ looks at no file.
"""

from __future__ import annotations

WORKSPACE, CONTEXT, HOME = "/workspace", "/context", "/home/agent"

# Subtrees of the host that hold its configuration, its devices, its kernel's interface or others' data.
FORBIDDEN_SOURCES = ("/boot", "/dev", "/etc", "/proc", "/run", "/sys", "/var/log", "/var/run")
HOMES = ("/home", "/root")
RESERVED_TARGETS = (
    "/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/nix", "/proc", "/run/secrets",
    "/sbin", "/sys", "/usr",
)  # fmt: skip
LINKS = {"/var/run": "/run", "/var/tmp": "/tmp"}


def normalise(path: str) -> str:
    """An absolute path without '.', '..' and repeated slashes, as if nothing on it were a link."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)


def is_below(path: str, directory: str) -> bool:
    """Whether a normalised path is that directory or lies in it."""
    return path == directory or path.startswith(directory.rstrip("/") + "/")


def without_links(path: str) -> str:
    """Where a normalised path lies in a root whose LINKS are ours: the launcher follows none on the way to a mount."""
    for link, place in LINKS.items():
        if is_below(path, link):
            return place + path.removeprefix(link)
    return path


def forbidden_source(path: str) -> str:
    """Why this part of the host never comes in, or ''.  Homes are judged by `foreign_home`."""
    path = normalise(path)
    if path == "/":
        return "the whole host"
    for directory in FORBIDDEN_SOURCES:
        if is_below(path, directory):
            return f"{directory} of the host"
        if is_below(directory, path):
            return f"{directory} of the host lies in it"
    return ""


def foreign_home(path: str, own: str) -> str:
    """Why this path may not come in as another's home, or ''.  Strictly below the own home it may."""
    path = normalise(path)
    if own and own != "/" and path != normalise(own) and is_below(path, normalise(own)):
        return ""
    for directory in HOMES:
        if is_below(path, directory):
            return "a whole home directory" if own and path == normalise(own) else f"{directory} of the host"
    return ""


def whole_home(path: str, own: str) -> str:
    """Why a tool's configuration may not come from there, or ''."""
    path = normalise(path)
    if path in HOMES or path.rpartition("/")[0] == "/home" or (own and path == normalise(own)):
        return "a whole home directory"
    return ""


def reserved_target(path: str) -> str:
    """Why nothing may be mounted there inside, or ''."""
    for directory in RESERVED_TARGETS:
        if is_below(path, directory):
            return f"{directory} belongs to the sandbox itself"
    for directory in (WORKSPACE, CONTEXT):
        if path == directory:
            return f"{directory} has its own option"
    for link in LINKS:
        if is_below(path, link):
            return f"{link} is a link inside: the place is {without_links(path)}"
    if is_below(HOME, path):
        return f"it would cover {HOME}"
    return ""
