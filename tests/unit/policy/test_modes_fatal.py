"""Rows of the table of service modes that end a launch once the machine is known, each provoked in each mode.

Those that a step of the launcher ends: kernel/test_modes.py.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from nucleus.base.errors import HostUnsupported, NucleusError, SpecError
from nucleus.cgroup import tree
from nucleus.cgroup.parent import Placement
from nucleus.container import prepare
from nucleus.container.inputs import policies
from nucleus.container.inputs.mode import held
from nucleus.host.facts import HostFacts
from nucleus.host.probe import probe
from nucleus.policy.modes import FATAL, INVARIANTS, LANDLOCK_ABI, MODES, WARNED, Invariant
from nucleus.spec.container import ContainerSpec

ROWS = [row for row in INVARIANTS if FATAL in row.cells and not row.step]


class Machine:
    """A launch up to the point where the row is judged, on a machine that lacks what the row is about."""

    def __init__(self, mode: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monkeypatch, self.folder = monkeypatch, folder
        self.facts = probe()
        self.spec = ContainerSpec(command=("true",), mode=mode)
        if mode == "production":
            self.spec = self.spec.replace(
                rootfs="/usr", memory_bytes=1 << 30, cpu_quota_us=100_000,
                **({"verify_attestation": True} if hasattr(self.spec, "verify_attestation") else {}),
            )  # fmt: skip

    def landlock(self, abi: int) -> HostFacts:
        return self.facts.replace(kernel=self.facts.kernel.replace(landlock_abi=abi))

    def limits(self, spec: ContainerSpec) -> str:
        """Where no controller may be used; who limits the number of processes then."""
        self.monkeypatch.setattr(tree, "settle", lambda *a, **k: Placement(kind="none", remedy="delegate it"))
        plan, _ = prepare._limits(spec, self.facts, in_unit=False)
        return "rlimit" if plan.nproc else "cgroup"


def no_landlock(machine: Machine) -> None:
    prepare._held(machine.spec, machine.landlock(0))


def old_landlock(machine: Machine) -> None:
    prepare._held(machine.spec, machine.landlock(LANDLOCK_ABI - 1))


def writable_root(machine: Machine) -> None:
    (machine.folder / "bin").mkdir()
    machine.folder.chmod(0o777)
    held(machine.spec.replace(rootfs=str(machine.folder)), machine.landlock(LANDLOCK_ABI))


def limit_that_was_written(machine: Machine) -> None:
    machine.limits(machine.spec.replace(memory_bytes=1 << 30))


def limit_by_default(machine: Machine) -> None:
    plain = machine.spec.replace(memory_bytes=None, cpu_quota_us=None)
    assert machine.limits(plain) == "rlimit"


def dangerous_capability(machine: Machine) -> None:
    file = machine.folder / "caps.toml"
    file.write_text('[ambient]\nkeep = ["SYS_ADMIN"]\n')
    policies.load(machine.spec.replace(caps_policy=str(file)), machine.facts)


def writes_and_executes(machine: Machine) -> None:
    file = machine.folder / "landlock.toml"
    file.write_text('[[rules]]\npath = "/tmp"\naccess = ["write", "execute"]\n')
    policies.load(machine.spec.replace(landlock_policy=str(file)), machine.landlock(LANDLOCK_ABI))


PROVOKED: dict[str, Callable[[Machine], None]] = {
    "landlock-missing": no_landlock,
    "landlock-partial": old_landlock,
    "rootfs-owner": writable_root,
    "limits-written": limit_that_was_written,
    "limits-default": limit_by_default,
    "dangerous-capabilities": dangerous_capability,
    "landlock-write-execute": writes_and_executes,
}


def test_every_fatal_row_is_provoked() -> None:
    """A row that waits for its option is due as soon as the option is there."""
    assert {row.key for row in ROWS if row.is_there} <= set(PROVOKED)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("row", [row for row in ROWS if row.key in PROVOKED], ids=lambda row: row.key)
def test_a_fatal_row_ends_the_launch_exactly_where_the_table_says(
    row: Invariant, mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(mode, tmp_path, monkeypatch)
    if row.cell(mode) != FATAL:
        PROVOKED[row.key](machine)
        return
    with pytest.raises(NucleusError) as caught:
        PROVOKED[row.key](machine)
    assert isinstance(caught.value, (HostUnsupported, SpecError))
    for problem in caught.value.problems_list():
        assert problem.where
        assert problem.remedy


@pytest.mark.parametrize(
    "row", [row for row in ROWS if row.degrade and row.cell("agent") == FATAL], ids=lambda row: row.key
)
def test_a_layer_given_up_by_name_ends_no_launch_of_mode_agent(
    row: Invariant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine("agent", tmp_path, monkeypatch)
    machine.spec = machine.spec.replace(degraded=(row.degrade,))
    PROVOKED[row.key](machine)


def test_what_is_warned_of_is_warned_of_in_mode_agent_alone() -> None:
    assert [row.cells for row in INVARIANTS if WARNED in row.cells] == [(WARNED, FATAL, FATAL)] * 2


def test_a_root_is_trusted_where_only_root_can_change_it(tmp_path: Path) -> None:
    spec = Machine("production", tmp_path, pytest.MonkeyPatch()).spec
    facts = probe()
    facts = facts.replace(kernel=facts.kernel.replace(landlock_abi=LANDLOCK_ABI))
    assert held(spec, facts).rootfs == "/usr"
    link = tmp_path / "link"
    link.symlink_to("/usr")  # the link is followed: what it leads to is judged
    assert held(spec.replace(rootfs=str(link)), facts).mode == "production"
