"""Finds the programs that some features need.  ✗ runs none of them."""

from __future__ import annotations

from .facts import Tool
from .machine import Machine

# name, Debian package, what for
OPTIONAL_TOOLS = (
    ("nft", "nftables", "bridge networks, publishing, egress rules"),
    ("ip", "iproute2", "bridge networks"),
    ("pasta", "passt", "networks without root"),
    ("slirp4netns", "slirp4netns", "networks without root where pasta is absent"),
    ("runsc", "runsc", "the gVisor runtime, which trust level untrusted requires"),
    ("criu", "criu", "checkpoint and restore"),
    ("systemd-run", "systemd", "delegated cgroups, detached containers as units"),
    ("skopeo", "skopeo", "pulling images"),
)
_FOLDERS = ("/usr/bin", "/bin", "/usr/local/bin", "/usr/sbin", "/sbin", "/usr/local/sbin")


def find_tool(machine: Machine, name: str) -> str:
    """The path of a program, or "".  PATH counts for ordinary users only: root's may be anybody's."""
    folders = list(_FOLDERS)
    if machine.euid != 0:
        folders += [p for p in machine.environ.get("PATH", "").split(":") if p.startswith("/")]
    for folder in folders:
        path = f"{folder}/{name}"
        if machine.executable(path):
            return path
    return ""


def probe_tools(machine: Machine | None = None) -> tuple[Tool, ...]:
    """Every optional program and where it is."""
    machine = machine or Machine()
    return tuple(
        [
            Tool(name=name, package=package, purpose=purpose, path=find_tool(machine, name))
            for name, package, purpose in OPTIONAL_TOOLS
        ]
    )
