"""Faults while a root is prepared, and while a container starts in one: the same promises as for any other launch."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from fault_launcher import ACTIONS, FaultLauncher
from sandboxes import Boxes
from test_faults import Aftermath, bounded, certain, cgroups_of, expected, fault_launcher, known_ids, verdict
from test_prepared_roots import SETTLED_S, shared_launch, until_shared

import nucleus
from nucleus.base.errors import LaunchError
from nucleus.cli.parser import parse_run
from nucleus.container.attached import run_attached
from nucleus.container.prepared import Prepared
from nucleus.container.result import Result
from nucleus.container.reuse import roots
from nucleus.container.reuse.warm import WARM
from nucleus.launch import launcher as installed
from nucleus.plan.encode import decode

pytestmark = pytest.mark.identity("root")

__all__ = ["fault_launcher", "known_ids"]  # fixtures
# The steps that only such a start has; the others are those of every launch.
OWN_STEPS = ("take-network", "spawn-in-root", "spare-network", "adopt-root", "cover-file")


def start(boxes: Boxes, script: str = "exit 7") -> Result:
    return nucleus.run(["/bin/sh", "-c", script], root=str(boxes.root))


def outcome_of(prepared: Prepared, *, in_child: bool) -> str:
    if in_child:
        pid = os.fork()
        if pid == 0:
            try:
                run_attached(prepared)
            finally:
                os._exit(0)
        prepared.close()  # the lock of its directory is the child's alone
        return f"owner status {os.waitpid(pid, 0)[1]}"
    try:
        with bounded():
            return f"exit {run_attached(prepared).exit_code}"
    except LaunchError as error:
        return f"failed at {error.step}: {error.opcode} errno {error.errno}"


@pytest.mark.parametrize("action", ACTIONS)
def test_a_fault_of_a_start_in_a_prepared_root_leaves_nothing_behind(
    action: str,
    boxes: Boxes,
    fault_launcher: FaultLauncher,
    known_ids: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec = parse_run(["--root", str(boxes.root), "--", "/bin/true"]).replace(rm=True)
    monkeypatch.setattr(installed, "PROGRAM", str(fault_launcher.program))
    aftermath = Aftermath(boxes.root, cgroups_of(spec), known_ids)
    options, problems = {"root": str(boxes.root)}, []
    for name in OWN_STEPS:
        prepared, plan = shared_launch(options, "exit 7", name)
        step = [s.name for s in plan.steps].index(name)
        if certain(action, plan.steps[step].spec.actor):
            prepared.discard()
            prepared, plan = shared_launch(options, "sleep 100; :", name)
            step = [s.name for s in plan.steps].index(name)
        with fault_launcher.fault(step, action):
            outcome = outcome_of(prepared, in_child=action == "kill Python")
        if not expected(action, step, plan, outcome):
            problems.append(f"step {step} {plan.steps[step].name}: {outcome}")
        problems += verdict(aftermath, lambda: f"exit {start(boxes, 'exit 0').exit_code}")
    assert problems == []


def test_where_a_root_cannot_be_prepared_every_start_makes_its_own(
    boxes: Boxes, fault_launcher: FaultLauncher, known_ids: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever step of it fails, and whoever is killed."""
    spec = parse_run(["--root", str(boxes.root), "--", "/bin/true"]).replace(rm=True)
    asked: list[bytes] = []
    until_shared(lambda: start(boxes))
    made = roots._made

    def noting(plan: bytes) -> tuple[int, ...]:
        asked.append(plan)
        return made(plan)

    monkeypatch.setattr(roots, "_made", noting)
    WARM.roots.forget()
    until_shared(lambda: start(boxes))
    plan = decode(asked[0])
    aftermath = Aftermath(boxes.root, cgroups_of(spec), known_ids)
    for step, entry in enumerate(plan.steps):
        for action in ("error", "kill monitor"):
            with monkeypatch.context() as patched:
                patched.setattr(installed, "PROGRAM", str(fault_launcher.program))
                with fault_launcher.fault(step, action):
                    assert made(asked[0]) == (), f"{action} at step {step} {entry.name}"

    def refusing(plan: bytes, *_: Any) -> tuple[int, ...]:
        return ()

    monkeypatch.setattr(roots, "_made", refusing)
    WARM.roots.forget()
    for _ in range(3):
        assert start(boxes).exit_code == 7
        time.sleep(SETTLED_S)
    assert verdict(aftermath, lambda: f"exit {start(boxes, 'exit 0').exit_code}") == []
    WARM.roots.forget()  # that none can be made is remembered for as long as the host stays as it is
