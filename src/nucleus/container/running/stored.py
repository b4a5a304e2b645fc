"""spec.json: what a container was asked to be, kept beside it, so that it can be started again.

Values that came by a descriptor are in no file, nor are those of any variable of a run in the foreground, which ends with
its caller: only that there were some is kept, and `restart` then refuses.
✗ decides nothing about a start: `detach.py`.
"""

from __future__ import annotations

import os

from ...base.errors import Conflict
from ...base.jsontext import dumps
from ...spec.container import ContainerSpec
from ...spec.filesystem import Secret, Tmpfs, Volume
from ...spec.options import OPTIONS
from ...spec.process import IdMap, Rlimit
from ...spec.resources import IoLimit
from ...state.store import read_file, write_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ...base.value import Value

FILE = "spec.json"
# What `update` changes while a container lives.
CHANGEABLE = (
    "memory_bytes", "memory_high_bytes", "swap_bytes", "cpu_quota_us", "cpu_weight", "pids", "io_limits", "restart",
)  # fmt: skip
# Fields that hold a row of values, and of which kind those are.
ROWS: dict[str, type[Value]] = {
    "ulimits": Rlimit, "volumes": Volume, "provider_config_ro": Volume,
    "provider_config_rw": Volume, "tmpfs": Tmpfs, "secrets": Secret, "credentials": Secret, "io_limits": IoLimit,
    "uidmap": IdMap, "gidmap": IdMap,
}  # fmt: skip


def keep(directory: int, spec: ContainerSpec, *, variables: bool = True) -> None:
    """Write spec.json into a container's directory; without the values of `variables` for one in the foreground."""
    found = fields(spec)
    if not variables:
        found["env"] = [(name, None) for name, _ in spec.env]
    write_file(directory, FILE, dumps(found).encode() + b"\n")


def changed_since(spec: ContainerSpec, recorded: dict[str, Any]) -> ContainerSpec:
    """The spec of the next life: with what of it was changed in the record while the container lived."""
    now = spec_of(recorded)
    return spec.replace(**{field: getattr(now, field) for field in CHANGEABLE})


def change(directory: int, changed: dict[str, Any]) -> None:
    """Other values of some fields, for the next start; nothing where no spec is kept, since there is none then."""
    import json

    data = read_file(directory, FILE)
    if data is not None:
        write_file(directory, FILE, dumps({**json.loads(data), **changed}).encode() + b"\n")


def fields(spec: ContainerSpec) -> dict[str, Any]:
    """All of the spec, as JSON can say it; it means the same in any working directory."""
    return _anywhere(spec, "").as_dict()


def spec_of(fields: dict[str, Any]) -> ContainerSpec:
    """The spec behind `fields`, as JSON gave them back."""
    return ContainerSpec(**{key: _value(key, value) for key, value in fields.items()})


def load(directory: int, name: str) -> ContainerSpec:
    """The spec of a container.  Raises Conflict where none was kept, or where it cannot be had again."""
    import json

    try:
        fields: dict[str, Any] = json.loads(read_file(directory, FILE) or b"")
    except ValueError:
        raise Conflict(
            f"container {name} was started by a call that waited for it: what it was asked to be is not kept",
            where="nucleus restart",
            remedy="make that call again",
        ) from None
    directory_of_then = fields.pop("cwd", "")
    lost = [name for name, value in fields.get("env", ()) if value is None]
    if lost:
        raise Conflict(
            f"container {name} ran in the foreground: the values of its variables ({', '.join(lost[:8])}) are not kept",
            where="--env",
            remedy="run it again with them; with -d they are kept for a restart",
        )
    for option in OPTIONS:
        if option.kind == "descriptor" and fields.get(option.field) is not None:
            flag = option.flag
            raise Conflict(
                f"container {name} got values by {flag}, which are not kept",
                where=flag,
                remedy="create it anew with the same options",
            )
    return _anywhere(spec_of(fields), directory_of_then)


def _value(key: str, value: Any) -> Any:
    if not isinstance(value, list):
        return value
    kind = ROWS.get(key)
    if kind is not None:
        return tuple(kind(**row) for row in value)
    return tuple(tuple(item) if isinstance(item, list) else item for item in value)


def _anywhere(spec: ContainerSpec, directory: str) -> ContainerSpec:
    """The same, whatever the working directory is: paths were meant from that of the first start, or "": from this one."""
    changed: dict[str, Any] = {}

    def absolute(path: str) -> str:
        return os.path.abspath(os.path.join(directory, path))

    for option in OPTIONS:
        value = getattr(spec, option.field) if option.field and option.kind in ("path", "workspace") else ""
        value = spec.seccomp_file if option.kind == "profile" else value
        if isinstance(value, tuple):
            changed[option.field] = tuple(map(absolute, value))
        elif value:
            changed[option.field] = absolute(value)
    for key in ("volumes", "secrets", "provider_config_ro", "provider_config_rw"):
        changed[key] = tuple(v.replace(source=absolute(v.source)) for v in getattr(spec, key))
    return spec.replace(**changed)
