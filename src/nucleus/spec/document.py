"""ContainerSpec → launch document: the inverse of `parse`, and the JSON Schema of documents.  ✗ reading."""

from __future__ import annotations

from ..base.units import format_bytes, format_cpus, format_duration
from .container import ContainerSpec
from .filesystem import SECRETS
from .options import OPTIONS
from .process import INFINITY, signal_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .filesystem import Secret, Tmpfs, Volume
    from .options import Option
    from .process import IdMap, Rlimit
    from .resources import IoLimit


def to_document(spec: ContainerSpec) -> dict[str, Any]:
    """Keys and values that `from_mapping` makes an equal spec of.  Descriptors are not part of a document."""
    plain = ContainerSpec()
    found: dict[str, Any] = {}
    for option in OPTIONS:
        if not option.field or not option.document:
            continue
        value = getattr(spec, option.field)
        if option.key in spec.explicit or value != getattr(plain, option.field):
            found[option.key] = _written(option, value)
    return _joined(spec, found)


def _joined(spec: ContainerSpec, found: dict[str, Any]) -> dict[str, Any]:
    """`user` and `workspace` carry a second value where it was written with them."""
    if spec.group and spec.user and "group" not in spec.explicit:
        found["user"] = f"{spec.user}:{found.pop('group')}"
    if spec.workspace.endswith((":ro", ":rw")):
        found["workspace"] = f"{spec.workspace}:{'ro' if spec.workspace_mode == 'bind-ro' else 'rw'}"
    return found


def _written(option: Option, value: Any) -> Any:
    if option.kind in ("env", "label"):
        return dict(value)
    if option.kind == "layers":
        return list(value)
    text = _TEXTS.get(option.kind)
    if option.repeat:
        return [text(item) if text else item for item in value]
    return text(value) if text else value


def _volume(value: Volume) -> str:
    return f"{value.source}:{value.target}" + (":ro" if value.read_only else "")


def _provider(value: Volume) -> str:
    return f"{value.source}:{value.target}"


def _tmpfs(value: Tmpfs) -> str:
    return f"{value.target}:{format_bytes(value.size_bytes)}" + (":ro" if value.read_only else "")


def _secret(value: Secret) -> str:
    from ..base.identifiers import is_name

    name = value.target.removeprefix(f"{SECRETS}/")
    if is_name(name):
        return f"{name}={value.source}"
    # A source such as a=b would read as NAME=FILE.
    source = (
        f"./{value.source}"
        if is_name(value.source.partition("=")[0]) and "=" in value.source
        else value.source
    )
    return f"{source}:{value.target}"


def _ulimit(value: Rlimit) -> str:
    soft, hard = ["unlimited" if n == INFINITY else str(n) for n in (value.soft, value.hard)]
    return f"{value.name}={soft}:{hard}"


def _idmap(value: IdMap) -> str:
    return f"{value.container}:{value.host}:{value.count}"


def _io(value: IoLimit) -> str:
    limits = {key: getattr(value, key) for key in ("rbps", "wbps", "riops", "wiops")}
    return " ".join([f"{value.major}:{value.minor}", *[f"{k}={n}" for k, n in limits.items() if n]])


_TEXTS: dict[str, Callable[[Any], Any]] = {
    "provider": _provider,
    "volume": _volume,
    "tmpfs": _tmpfs,
    "secret": _secret,
    "ulimit": _ulimit,
    "idmap": _idmap,
    "io": _io,
    "size": format_bytes,
    "swap": format_bytes,
    "duration": format_duration,
    "interval": format_duration,
    "cpus": format_cpus,
    "signal": signal_name,
    "profile": lambda name: name if "/" in name else f"builtin:{name}",
}


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of launch documents."""
    properties = {o.key: _property(o) for o in OPTIONS if o.document}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "nucleus launch document",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }


_SCHEMA_TYPES: dict[str, Any] = {
    "flag": {"type": "boolean"},
    "weight": {"type": "integer", "minimum": 1, "maximum": 10_000},
    "count": {"type": "integer", "minimum": 0},
    "size": {"type": ["string", "integer"], "minimum": 1},
    "swap": {"type": ["string", "integer"], "minimum": 0},
    "signal": {"type": ["string", "integer"]},
    "user": {"type": ["string", "integer"], "minimum": 0},
    "account": {"type": ["string", "integer"], "minimum": 0},
    "duration": {"type": ["string", "number"], "minimum": 0},
    "interval": {"type": ["string", "number"], "minimum": 0.001},
    "files": {"type": "integer", "minimum": 1, "maximum": 1000},
    "retries": {"type": "integer", "minimum": 1, "maximum": 1_000_000},
    "port": {"type": "integer", "minimum": 1, "maximum": 65_535},
    "cpus": {"type": ["string", "number"], "minimum": 0.01},
    "layers": {"type": ["array", "boolean"], "items": {"type": "string"}},
}


def _property(option: Option) -> dict[str, Any]:
    from .kinds import LAYERS

    one: dict[str, Any] = dict(_SCHEMA_TYPES.get(option.kind, {"type": "string"}))
    if option.choices:
        one["enum"] = list(option.choices)
    if option.kind == "layers":
        one["items"] = {"type": "string", "enum": [*LAYERS, "all"]}
    if option.kind in ("env", "label"):
        one = {
            "type": ["object", "array"],
            "additionalProperties": {"type": "string"},
            "items": {"type": "string"},
        }
    elif option.repeat:
        one = {"type": "array", "items": one}
    if option.key == "command":
        one["minItems"] = 1
    default = _default(option)
    if default is not None:
        one["default"] = default
    unit = f" ({option.unit})" if option.unit else ""
    return {"description": f"{option.help[:1].upper()}{option.help[1:]}{unit}.", **one}


def _default(option: Option) -> Any:
    """The default as a document would write it; None where nothing holds until it is asked for."""
    if option.key == "workdir":  # depends on whether there is a workspace
        return None
    value = getattr(ContainerSpec(), option.field, None)
    if value is None or value in ("", ()):
        return None
    return _written(option, value)
