"""At every step of a launch somebody fails or is killed: nothing stays behind.

Without a further command no process is left; after the next command nothing at all is: no cgroup, mount,
directory or name.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fault_launcher import ACTIONS, FaultLauncher
from sandboxes import PATIENCE_S, Boxes, descendants, mount_points, reap_orphans

from nucleus import sandbox
from nucleus.base.errors import LaunchError, NucleusError
from nucleus.cli.parser import parse_run
from nucleus.container.container import Container
from nucleus.container.prepare import prepare
from nucleus.container.prepared import Gate, Prepared
from nucleus.container.run import run_in_place
from nucleus.container.running import inventory
from nucleus.launch import launcher as installed
from nucleus.plan.schema import CHILD, MONITOR, NETWORK, WORKLOAD
from nucleus.plan.steps import LaunchPlan, Step
from nucleus.spec.container import ContainerSpec

pytestmark = pytest.mark.identity("root", "user")

# Init and workload are long gone, or the record is written: what fails now is only cleaned up later.
AFTERWARDS = "finish"
ENDLESS = ("/bin/sleep", "600")  # what nobody ends lasts longer than anybody waits
ENOUGH = 10


@pytest.fixture(scope="module")
def fault_launcher(tmp_path_factory: pytest.TempPathFactory) -> FaultLauncher:
    folder = tmp_path_factory.mktemp("fault-launcher")
    folder.chmod(0o755)
    return FaultLauncher(folder)


@pytest.fixture
def faults(fault_launcher: FaultLauncher, monkeypatch: pytest.MonkeyPatch) -> FaultLauncher:
    """The same in the installed one's place."""
    monkeypatch.setattr(installed, "PROGRAM", str(fault_launcher.program))
    return fault_launcher


@pytest.fixture
def spec(boxes: Boxes) -> ContainerSpec:
    """A container with a bit of everything; limits where they can be had."""
    owner = (1000, 1000) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    workspace, context = boxes.directory("workspace", owner), boxes.directory("context")
    (workspace / ".git" / "hooks").mkdir(parents=True)
    token = context / "token"
    token.write_text("hush")
    words = [
        "--root",
        str(boxes.root),
        "--name",
        "faulty",
        "--workspace",
        str(workspace),
        "--tmpfs",
        "/scratch",
    ]
    words += ["--context", str(context), "--secret", f"token={token}", "--volume", f"{token}:/data:ro"]
    return parse_run([*words, "--", "/bin/sh", "-c", "exit 7"]).replace(rm=True)


def bare(spec: ContainerSpec) -> ContainerSpec:
    """The next command: as little as there can be, on the same state root."""
    return spec.replace(
        name="", workspace="", tmpfs=(), context="", secrets=(), volumes=(), command=("/bin/true",),
        seccomp_mode="enforce", seccomp_log="",
    )  # fmt: skip


def plan_of(spec: ContainerSpec) -> LaunchPlan:
    """The plan that `sandbox.run` makes of the spec."""
    prepared = prepare(spec, owner=1)
    plan = prepared.plan
    prepared.discard()
    assert plan is not None
    return plan


def cgroups_of(spec: ContainerSpec) -> list[Path]:
    """The directories in which the container's cgroups are made."""
    prepared = prepare(spec, owner=1)
    assert prepared.record is not None
    parents = [Path(path).parent for path in prepared.record.cgroups]
    prepared.discard()
    return parents


@contextmanager
def bounded() -> Iterator[None]:
    """Raises TimeoutError after a while: a workload that survives keeps its streams, and so whoever reads them."""

    def ring(_signal: int, _frame: object) -> None:
        raise TimeoutError

    before, others = signal.signal(signal.SIGALRM, ring), signal.setitimer(signal.ITIMER_REAL, PATIENCE_S)
    try:
        yield
    finally:
        signal.signal(signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, *others)  # that of whoever watches the tests


def run_here(spec: ContainerSpec) -> str:
    """Run it in this process; the outcome in a word."""
    try:
        with bounded():
            return f"exit {sandbox.run(spec).exit_code}"
    except TimeoutError:
        return "hangs"
    except LaunchError as error:
        return f"failed at {error.step}: {error.opcode} errno {error.errno}"
    except NucleusError as error:
        return f"{type(error).__name__}: {error}"


def run_in_child(spec: ContainerSpec) -> str:
    """Run it in a process that may be killed, and wait for that one only."""
    pid = os.fork()
    if pid == 0:
        try:
            sandbox.run(spec)
        finally:
            os._exit(0)
    _, status = os.waitpid(pid, 0)
    return f"owner status {status}"


@pytest.fixture
def known_ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with the ids of the containers made here or in a child: others may run on this machine."""
    ids = tmp_path / "ids"
    ids.touch()
    make = Prepared.__init__

    def making(prepared: Prepared, *arguments: Any) -> None:
        make(prepared, *arguments)
        with ids.open("a") as file:
            file.write(f"{prepared.id}\n")

    monkeypatch.setattr(Prepared, "__init__", making)
    return ids


class Aftermath:
    """What is there that was not there before."""

    def __init__(self, root: Path, parents: list[Path], ids: Path) -> None:
        self._root, self._parents, self._ids = root, parents, ids
        self._processes, self._mounts = set(descendants()), mount_points()

    def processes(self) -> list[str]:
        """Names of those that are still there after a while, without any command."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            reap_orphans()
            left = {pid: name for pid, name in descendants().items() if pid not in self._processes}
            if not left:
                return []
            if time.monotonic() > deadline:
                for pid in left:
                    os.kill(pid, signal.SIGKILL)
                return [*left.values()]
            time.sleep(0.002)

    def cgroups(self) -> list[str]:
        """Those of containers of this test; what was reported is forgotten."""
        ids = self._ids.read_text().split()
        self._ids.write_text("")
        return [str(p / f"nucleus-{i}") for i in ids for p in self._parents if (p / f"nucleus-{i}").exists()]

    def things(self) -> list[str]:
        """Directories, names and mounts that are left."""
        kept = [str(p) for d in ("containers", "names") for p in (self._root / d).iterdir()]
        return kept + [f"mount {point}" for point in mount_points() if point not in self._mounts]


def verdict(aftermath: Aftermath, next_command: Callable[[], str]) -> list[str]:
    """Everything that is left, and that must not be."""
    found = [f"process {name} is left" for name in aftermath.processes()]
    following = next_command()
    if following != "exit 0":
        found.append(f"the next command: {following}")
    left = aftermath.things() + aftermath.cgroups()
    found += [f"{thing} is left after the next command" for thing in left]
    return found


def certain(action: str, actor: int) -> bool:
    """Whether whoever is to be killed is there at a step of that actor."""
    alive = {
        "kill init": (CHILD, WORKLOAD, NETWORK), "kill workload": (WORKLOAD,), "kill network": (NETWORK,), "error": (),
    }  # fmt: skip
    return actor in alive.get(action, (MONITOR, CHILD, WORKLOAD, NETWORK))


def struck(action: str, plan: LaunchPlan) -> list[tuple[int, Step]]:
    """The steps at which that happens, with their numbers: all, or those for which whoever is killed lives."""
    steps = list(enumerate(plan.steps))
    return [s for s in steps if s[1].spec.actor == NETWORK] if action == "kill network" else steps


def expected(action: str, step: int, plan: LaunchPlan, outcome: str) -> bool:
    """Whether the outcome is one that this fault must have."""
    spec = plan.steps[step].spec
    if action == "kill monitor":
        return outcome == "failed at -1:  errno 0"
    if action == "kill Python":
        return outcome == "owner status 9"
    if action == "error":
        failed = outcome == f"failed at {step}: {spec.name} errno 5"
        return failed or (spec.phase_name == AFTERWARDS and outcome == "exit 7")
    return outcome == "exit 137" if certain(action, spec.actor) else outcome in ("exit 7", "exit 137")


def problems_at(
    steps: list[tuple[int, Step]],
    action: str,
    spec: ContainerSpec,
    faults: FaultLauncher,
    aftermath: Aftermath,
) -> list[str]:
    """What is not as it should be after that has happened at each of these steps of the spec's plan."""
    plan, empty = plan_of(spec), bare(spec)
    run = run_in_child if action == "kill Python" else run_here
    problems: list[str] = []
    for step, entry in steps:
        where = f"step {step} {entry.name}"
        # A workload that would not end by itself, wherever it has to be ended.
        endless = certain(action, entry.spec.actor) and entry.spec.phase_name != AFTERWARDS
        with faults.fault(step, action):
            outcome = run(spec.replace(command=ENDLESS) if endless else spec)
        if not expected(action, step, plan, outcome):
            problems.append(f"{where}: {outcome}")
        problems += [f"{where}: {left}" for left in verdict(aftermath, lambda: run_here(empty))]
        if len(problems) > ENOUGH:
            break
    return problems


@pytest.mark.parametrize("action", ACTIONS)
def test_a_fault_at_any_step_leaves_nothing_behind(
    action: str,
    spec: ContainerSpec,
    faults: FaultLauncher,
    known_ids: Path,
) -> None:
    plan = plan_of(spec)
    aftermath = Aftermath(Path(spec.state_root), cgroups_of(spec), known_ids)
    assert "\n".join(problems_at(struck(action, plan), action, spec, faults, aftermath)) == ""


@pytest.mark.parametrize("action", [action for action in ACTIONS if action != "kill network"])
def test_a_fault_while_somebody_is_attached_leaves_nothing_behind(
    action: str,
    spec: ContainerSpec,
    faults: FaultLauncher,
    known_ids: Path,
    tmp_path: Path,
) -> None:
    """Whose parent is not the one that is told first of its end: the tracer is."""
    traced = spec.replace(seccomp_mode="trace", seccomp_log=str(tmp_path / "calls.jsonl"))
    steps = list(enumerate(plan_of(traced).steps))
    attached = next(number for number, step in steps if step.name == "attach-tracer")
    late = [s for s in steps if s[0] >= attached or s[1].name == "await-trace"]
    aftermath = Aftermath(Path(spec.state_root), cgroups_of(spec), known_ids)
    assert "\n".join(problems_at(late, action, traced, faults, aftermath)) == ""


def run_in_place_of_a_child(spec: ContainerSpec) -> None:
    """As `nucleus run` does: the process becomes the launcher, and its record stays."""
    pid = os.fork()
    if pid == 0:
        try:
            run_in_place(spec)
        finally:
            os._exit(99)
    os.waitpid(pid, 0)


@pytest.mark.parametrize("how", ["the next run", "rm"])
def test_what_could_not_be_removed_at_the_end_is_removed_by(
    how: str,
    spec: ContainerSpec,
    faults: FaultLauncher,
    known_ids: Path,
) -> None:
    """Also where an exit record says how the container ended: it says as well that something is left."""
    kept = spec.replace(rm=False, name="")
    prepared = prepare(kept, owner=0, reporter=("/bin/true",))
    plan = prepared.plan
    prepared.discard()
    assert plan is not None
    parents = cgroups_of(spec)
    for step in [i for i, s in enumerate(plan.steps) if s.spec.phase_name == AFTERWARDS]:
        aftermath = Aftermath(Path(spec.state_root), parents, known_ids)
        with faults.fault(step, "error"):
            run_in_place_of_a_child(kept)
        assert aftermath.processes() == []
        if how == "the next run":
            assert run_here(spec.replace(name="")) == "exit 7"
            assert aftermath.cgroups() == [], plan.steps[step].name
        for known in inventory.list_containers(spec.state_root):
            inventory.remove(str(known["id"]), root=spec.state_root, force=False)
        assert aftermath.cgroups() + aftermath.things() == [], plan.steps[step].name


def live_detached(spec: ContainerSpec) -> str:
    """Create, start and wait for a detached container; the outcome in a word."""
    try:
        with bounded():
            container = Container.create(spec)
            container.start()
            return f"exit {container.wait().exit_code}"
    except TimeoutError:
        return "hangs"
    except LaunchError as error:
        return f"failed at {error.step}: {error.opcode} errno {error.errno}"
    except NucleusError as error:
        return f"{type(error).__name__}"


def expected_detached(action: str, step: int, plan: LaunchPlan, outcome: str) -> bool:
    """Whether the outcome is one that this fault must have."""
    spec = plan.steps[step].spec
    if action == "error":
        # Where no record can be written the next command can only say that nobody has written one.
        return expected(action, step, plan, outcome) or (spec.name, outcome) == (
            "write-exit-record",
            "exit 137",
        )
    # Before its command was executed the start fails; afterwards the container was killed, or had just ended.
    waiting = next(i for i, s in enumerate(plan.steps) if s.name == "await-proceed")
    early = outcome in ("Conflict", "failed at -1:  errno 0", f"failed at {waiting}: await-proceed errno 3")
    return early or outcome == "exit 137" or (outcome == "exit 7" and not certain(action, spec.actor))


def truth_told(root: str) -> list[str]:
    """What the next command says that is not so; then the container is removed."""
    rows = inventory.list_containers(root)
    found = [f"{row['status']} is said to be its state" for row in rows if row["status"] != "stopped"]
    for row in rows:
        inventory.remove(str(row["id"]), root=root, force=True)
    return found


@pytest.mark.parametrize("action", [action for action in ACTIONS if action != "kill Python"])
def test_a_fault_at_any_step_of_a_detached_container_is_told_by_the_next_command(
    action: str,
    spec: ContainerSpec,
    faults: FaultLauncher,
    known_ids: Path,
) -> None:
    kept = spec.replace(rm=False, detach=True, detach_with="none")
    prepared = prepare(kept, owner=2, gate=Gate())
    plan = prepared.plan
    prepared.discard()
    assert plan is not None
    aftermath = Aftermath(Path(spec.state_root), cgroups_of(spec), known_ids)
    problems = []
    for step, entry in struck(action, plan):
        where = f"step {step} {entry.name}"
        endless = certain(action, entry.spec.actor) and entry.spec.phase_name != AFTERWARDS
        with faults.fault(step, action):
            outcome = live_detached(kept.replace(command=ENDLESS) if endless else kept)
        if not expected_detached(action, step, plan, outcome):
            problems.append(f"{where}: {outcome}")
        problems += [f"{where}: process {name} is left" for name in aftermath.processes()]
        problems += [f"{where}: {lie}" for lie in truth_told(spec.state_root)]
        problems += [f"{where}: {left} is left" for left in aftermath.things() + aftermath.cgroups()]
        if len(problems) > ENOUGH:
            break
    assert "\n".join(problems) == ""
