"""ContainerRecord: what state.json says of a container, versioned.  Pure but for the JSON library.  ✗ files."""

from __future__ import annotations

from ..base.jsontext import dumps
from ..base.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

VERSION = 1


class ContainerRecord(Value):
    """Written once, before the launch, by whoever starts the container; its end stands in the exit record."""

    version: int = VERSION
    id: str
    name: str
    labels: dict[str, str]
    command: tuple[str, ...]
    created_ns: int
    creator_uid: int
    boot_id: str
    pid_namespace: int
    remove: bool
    mode: str
    network: str
    rootless: bool
    uid: int
    gid: int
    uid_map: tuple[tuple[int, int, int], ...]
    gid_map: tuple[tuple[int, int, int], ...]
    capabilities: tuple[str, ...]
    limits: dict[str, int | None]
    pids_by: str
    degraded: tuple[str, ...]
    cgroups: tuple[str, ...]  # the container's own directories, one per hierarchy
    spec_hash: str
    config_hash: str
    spec: dict[str, Any]
    devices_by: str = "none"  # "bpf", "controller" (v1), "none"
    gated: bool = False  # created to wait for `start`
    detached: str = ""  # "": in the foreground; "none": in a session of its own; else the systemd unit

    @property
    def supervised(self) -> bool:
        """Whether a supervisor tells more of it (supervisor.json)."""
        return (
            self.restarts
            or "restart" in self.spec.get("explicit", ())  # or has told, before `update --restart no`
            or self.awaited
            or bool(self.spec.get("health_cmd") or self.spec.get("sd_notify") or self.spec.get("hooks"))
            or self.copies
        )

    @property
    def awaited(self) -> bool:
        """Whether it has run only when its readiness probe has succeeded."""
        return any(self.spec.get(f"readiness_{kind}") for kind in ("exec", "tcp", "sd_notify"))

    @property
    def copies(self) -> bool:
        """Whether it works on a copy of its workspace, whose changes are applied at its end."""
        return bool(self.spec.get("workspace_mode") == "copy-in-out")

    @property
    def restarts(self) -> bool:
        """Whether it may start again by itself."""
        forced = self.spec.get("health_cmd") and self.spec.get("health_on_failure") == "restart"
        return bool(forced or self.spec.get("restart", "no") != "no")

    def to_json(self) -> bytes:
        """One line."""
        return dumps(self).encode() + b"\n"


_last: tuple[bytes, ContainerRecord | None] = b"", None


def from_json(data: bytes) -> ContainerRecord | None:
    """The record, or None when the bytes are not one of this version (the sweep and `rm` then still remove it).

    A record is written once: who acts on a container again and again reads the same bytes, and gets the same value.
    """
    global _last
    known, record = _last
    if known != data or not data:
        record = _parsed(data)
        _last = data, record
    return record


def _parsed(data: bytes) -> ContainerRecord | None:
    import json

    try:
        fields = json.loads(data)
        if fields.get("version") != VERSION:
            return None
        for key in ("command", "capabilities", "degraded", "cgroups"):
            fields[key] = tuple(fields[key])
        for key in ("uid_map", "gid_map"):
            fields[key] = tuple(tuple(line) for line in fields[key])
        return ContainerRecord(**fields)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
