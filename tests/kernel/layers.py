"""A launch with some of its layers switched off, so that what stands behind them is alone.  ✗ no tests, no attacks.

Those of BY_OPTION are switched off as a user would, by --allow-degraded-security.  Nucleus has no option for the others:
the steps that make them are taken out of the plan, or their values changed, before it runs.
"""

from __future__ import annotations

from pathlib import Path

from sandboxes import Boxes

from nucleus.cli.parser import parse_run
from nucleus.container.attached import run_attached
from nucleus.container.prepare import prepare
from nucleus.container.result import Result
from nucleus.plan.encode import encode
from nucleus.plan.steps import LaunchPlan, Step, step

BY_OPTION = ("seccomp", "landlock", "userns-limit", "devices")
_REMOVED = {
    "read-only": {"seal-mount"},
    "keyring": {"new-keyring"},
    "masks": {"mask-file", "mask-directory"},
}
# mount_setattr(2): MOUNT_ATTR_RDONLY, MOUNT_ATTR_NODEV, MOUNT_ATTR_NOEXEC.
_ATTRIBUTES = {"read-only": 0x1, "nodev": 0x4, "noexec": 0x8}


def run_without(boxes: Boxes, layers: frozenset[str], *words: str) -> Result:
    """`nucleus run` with everything but these layers; flags, then `--` and the command."""
    given_up = [name for name in BY_OPTION if name in layers]
    flags = [f"--allow-degraded-security={','.join(given_up)}"] if given_up else []
    if "network" in layers:
        flags += ["--network", "host", "--allow-host-network"]
    prepared = prepare(parse_run(["--root", str(boxes.root), *flags, *words]).replace(rm=True), owner=1)
    assert prepared.plan is not None
    prepared.plan = _changed(prepared.plan, layers)
    prepared.encoded = encode(prepared.plan)
    return run_attached(prepared)


def every_capability() -> int:
    """All that this kernel knows, as a set."""
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text(encoding="ascii"))
    return (1 << (last + 1)) - 1


def _changed(plan: LaunchPlan, layers: frozenset[str]) -> LaunchPlan:
    removed = set().union(*[_REMOVED.get(layer, set()) for layer in layers])
    steps = [_step(step, layers) for step in plan.steps if step.name not in removed]
    return LaunchPlan(kind=plan.kind, steps=tuple(steps), slots=plan.slots)


def _step(was: Step, layers: frozenset[str]) -> Step:
    values = dict(zip(was.spec.names, was.values, strict=True))
    attributes = values.get("attributes")
    if isinstance(attributes, int):
        for layer in layers & set(_ATTRIBUTES):
            attributes &= ~_ATTRIBUTES[layer]
        values["attributes"] = attributes
    if "capabilities" in layers:
        every = every_capability()
        values |= {
            "drop-bounding": {"keep": every},
            "set-ids": {"uid": 0, "gid": 0},  # who is nobody loses them when a program is executed
            "set-capabilities": dict.fromkeys(("permitted", "effective", "inheritable", "ambient"), every),
            "assert-locked": {"permitted": every},
        }.get(was.name, {})
    return step(was.name, origin=was.origin, **values)
