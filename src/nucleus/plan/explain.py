"""LaunchPlan → what people and programs read: sentences with their origin, a JSON document, and the raw text.

The raw text equals what the launcher's own reader (nucleus-plan-dump) prints of the encoded plan, byte for
byte: two readings, in two languages, of the same bytes.  ✗ changes no plan, prints nothing.
"""

from __future__ import annotations

from struct import iter_unpack

from . import names, schema

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from .steps import LaunchPlan, Step

KINDS = schema.KINDS
_BPF_BYTES = 8


def split_list(data: bytes) -> tuple[bytes, ...]:
    """NUL-terminated entries → entries."""
    return tuple(data.split(b"\0")[:-1])


# ---- sentences -----------------------------------------------------------------------------------


def _attributes(value: int) -> str:
    return names.flags(value, names.MOUNT_ATTRIBUTES, none="no restriction")


def _octal(value: int) -> str:
    return f"{value:04o}"


def _options(data: bytes) -> str:
    return f"({', '.join([names.printable(_text(o)) for o in split_list(data)])})" if data else ""


def _rights(value: int) -> str:
    return names.flags(value, names.LANDLOCK_FS, none="nothing")


# Field name → its words; a step of its own comes first.
_NUMBERS: Mapping[str, Callable[[int], str]] = {
    "attributes": _attributes,
    "namespaces": lambda v: (
        names.flags(v, names.NAMESPACES, none="no")
        + (" namespaces" if v & (v - 1) or not v else " namespace")
    ),
    "size_bytes": names.size,
    "mode": _octal,
    "mask": _octal,
    "uid": names.owner,
    "gid": names.owner,
    "timeout_ms": names.duration,
    "grace_ms": names.duration,
    "stop_signal": names.signal,
    "resource": names.resource,
    "keep": names.capabilities,
    "permitted": names.capabilities,
    "effective": names.capabilities,
    "inheritable": names.capabilities,
    "ambient": names.capabilities,
    "fs": _rights,
    "net": lambda v: names.flags(v, names.LANDLOCK_NET, none="none"),
    "scoped": lambda v: names.flags(v, names.LANDLOCK_SCOPES, none="none"),
    "access": _rights,
}
_OF_STEP: Mapping[tuple[str, str], Callable[[int], str]] = {
    ("landlock-port", "access"): lambda v: names.flags(v, names.LANDLOCK_NET, none="nothing"),
}


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _groups(data: bytes) -> str:
    return ", ".join([str(gid) for (gid,) in iter_unpack("<I", data[: len(data) // 4 * 4])])


def _bytes_words(step: Step, field: schema.Field, value: bytes) -> str:
    if field.check == "list":
        return names.words(split_list(value))
    if field.check == "list?":
        return _options(value)
    if field.check == "multiple" and field.limit == _BPF_BYTES:
        return f"{len(value) // _BPF_BYTES} instructions"
    return _groups(value) if step.name == "set-groups" else f"{len(value)} bytes"


def _shown(step: Step, field: schema.Field) -> str:
    value = step[field.name]
    if isinstance(value, bytes):
        return _bytes_words(step, field, value)
    if isinstance(value, str):
        return names.id_map(value) if field.name in ("uid_map", "gid_map") else names.printable(value)
    if step.name == "set-rlimit" and field.name in ("soft", "hard"):
        number = step["resource"]
        return names.rlimit(number if isinstance(number, int) else -1, value)
    convert = _OF_STEP.get((step.name, field.name)) or _NUMBERS.get(field.name)
    return convert(value) if convert and field.kind == "n" else str(value)


def sentence(step: Step) -> str:
    """What the step does, with its values in the kernel's words."""
    return step.spec.text.format_map({f.name: _shown(step, f) for f in step.spec.fields}).rstrip()


def as_text(plan: LaunchPlan, *, options: Mapping[str, str] | None = None) -> str:
    """The plan for people: actor and phase as headings, a numbered line a step, its option at the end.

    options: origin → how the reader knows it ("memory" → "--memory"); other origins are shown as they are.
    """
    shown = options or {}
    slots = ", ".join([f"{i} {names.printable(name)}" for i, name in enumerate(plan.slots)])
    kind = KINDS.get(plan.kind, f"kind {plan.kind}")
    lines = [f"launch plan: {kind}, {len(plan.steps)} steps", f"descriptors: {slots or 'none'}"]
    heading = ("", "")
    for index, step in enumerate(plan.steps):
        here = (schema.ACTORS[step.spec.actor], step.spec.phase_name)
        if here != heading:
            heading = here
            lines += ["", f"{here[0]}: {here[1]}"]
        origin = f"  [{names.printable(shown.get(step.origin, step.origin))}]" if step.origin else ""
        lines.append(f"{index:5}  {sentence(step)}{origin}")
    return "\n".join(lines) + "\n"


# ---- JSON ----------------------------------------------------------------------------------------


def _json_value(plan: LaunchPlan, step: Step, field: schema.Field) -> Any:
    value = step[field.name]
    if isinstance(value, bytes):
        if field.check.startswith("list"):
            return [_text(entry) for entry in split_list(value)]
        if step.name == "set-groups":
            return [gid for (gid,) in iter_unpack("<I", value)]
        return value.hex()
    if field.kind == "f" and isinstance(value, int):
        return {"slot": value, "name": plan.slots[value] if value < len(plan.slots) else ""}
    return value


def as_document(plan: LaunchPlan) -> dict[str, Any]:
    """The plan as a document of plain values.  Bytes are hexadecimal, lists of strings are lists."""
    return {
        "format": {"version": schema.VERSION, "schema_hash": f"{schema.SCHEMA_HASH:016x}"},
        "kind": KINDS.get(plan.kind, str(plan.kind)),
        "descriptors": list(plan.slots),
        "steps": [
            {
                "index": index,
                "actor": schema.ACTORS[step.spec.actor],
                "phase": step.spec.phase_name,
                "step": step.name,
                "text": sentence(step),
                "origin": step.origin,
                "fields": {f.name: _json_value(plan, step, f) for f in step.spec.fields},
            }
            for index, step in enumerate(plan.steps)
        ],
    }


def as_json(plan: LaunchPlan) -> str:
    """`as_document` as text, in ASCII: bytes of a path that are no UTF-8 stay distinguishable."""
    import json

    return json.dumps(as_document(plan), indent=2) + "\n"


# ---- raw -----------------------------------------------------------------------------------------

_RAW = [bytes([b]).decode("ascii") if 0x20 <= b < 0x7F else f"\\x{b:02x}" for b in range(256)]
_RAW[0x22], _RAW[0x5C] = '\\"', "\\\\"


def _raw_value(field: schema.Field, value: int | str | bytes) -> str:
    if isinstance(value, int):
        return f"@{value}" if field.kind == "f" else str(value)
    data = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
    return '"' + "".join([_RAW[b] for b in data]) + '"'


def as_raw(plan: LaunchPlan) -> str:
    """Every step and field, a line a step: numbers in decimal, slots as @N, text and bytes quoted."""
    lines = [f"plan {schema.VERSION} {KINDS[plan.kind]} {len(plan.steps)}"]
    for index, step in enumerate(plan.steps):
        fields = [f" {f.name}={_raw_value(f, v)}" for f, v in zip(step.spec.fields, step.values, strict=True)]
        lines.append(f"{index} {step.name}{''.join(fields)}")
    return "\n".join(lines) + "\n"
