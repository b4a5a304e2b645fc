"""Service modes on the real kernel: what each changes inside, and that no mode goes on after a step that failed."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from fault_launcher import FaultLauncher
from sandboxes import COMMAND, PROJECT, Boxes, wait_until
from test_faults import run_here

from nucleus import sandbox
from nucleus.base.errors import SpecError
from nucleus.cli.parser import parse_run
from nucleus.container.prepare import prepare
from nucleus.container.reuse.saved import SavedPlan
from nucleus.host.probe import probe
from nucleus.launch import launcher as installed
from nucleus.plan.steps import LaunchPlan
from nucleus.policy.modes import FATAL, INVARIANTS, LANDLOCK_ABI, MODES, Invariant
from nucleus.spec.options import BY_KEY

STEPS = [row for row in INVARIANTS if row.step]
PROGRAMS = ("sh", "cat", "ls", "cp", "true", "sleep")


def _libraries(program: str) -> list[str]:
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    return [word for word in listed.split() if word.startswith("/")]


@pytest.fixture(scope="module")
def closure() -> Iterator[Path]:
    """A root file system of a few programs and what they need, where only root can change it."""
    folder = Path(tempfile.mkdtemp(prefix="nucleus-modes-", dir="/srv"))
    folder.chmod(0o755)
    for program in [shutil.which(name, path="/usr/bin:/bin") or "" for name in PROGRAMS]:
        for path in (program, *_libraries(program)):
            # The dynamic linker is looked for in /lib64, whatever that is on this machine.
            place = folder / path.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, place)
    (folder / "bin").mkdir(exist_ok=True)
    for program in (folder / "usr" / "bin").iterdir():
        if not (folder / "bin" / program.name).exists():
            shutil.copy(program, folder / "bin" / program.name)
    if "verify_rootfs_attestation" in BY_KEY:
        subprocess.run([str(COMMAND), "rootfs", "attest", str(folder)], check=True, stdout=subprocess.DEVNULL)
    yield folder
    shutil.rmtree(folder)


def words_of(mode: str, closure: Path | None) -> list[str]:
    """What a launch of that mode needs."""
    words = ["--service-mode", mode]
    if mode == "production":
        words += ["--rootfs", str(closure), "--memory", "256M", "--cpus", "1"]
        words += ["--verify-rootfs-attestation"] if "verify_rootfs_attestation" in BY_KEY else []
    return words


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    """Each mode that this identity and this kernel can have."""
    return str(request.param)


@pytest.fixture
def words(mode: str, request: pytest.FixtureRequest) -> list[str]:
    """Flags of a launch of that mode."""
    return words_of(mode, request.getfixturevalue("closure") if mode == "production" else None)


root_on_a_new_kernel = pytest.mark.identity("root")


@root_on_a_new_kernel
def test_each_mode_runs_a_command_and_records_itself(boxes: Boxes, mode: str, words: list[str]) -> None:
    done = boxes.cli("run", "--name", "web", *words, "--", "sh", "-c", "exit 7")
    assert done.code == 7, done.err
    known = boxes.inspect("web")
    assert known["mode"] == mode
    assert known["pids_by"] == "cgroup"


EXECUTES = "for d in /tmp /home/agent /scratch /out; do cp /bin/true $d/x && $d/x; echo $d $?; done"


@root_on_a_new_kernel
def test_only_mode_agent_executes_what_it_writes(boxes: Boxes, mode: str, words: list[str]) -> None:
    out = boxes.directory("out", (1000, 1000))
    flags = [*words, "--tmpfs", "/scratch", "--volume", f"{out}:/out"]
    result = boxes.run(*flags, "--", "sh", "-c", EXECUTES)
    codes = {line.split()[1] for line in result.out.splitlines()}
    assert len(result.out.splitlines()) == 4, result.err
    assert codes == ({"0"} if mode == "agent" else {"126"})


@root_on_a_new_kernel
@pytest.mark.parametrize(("flags", "code"), [((), "126"), (("--workspace-exec",), "0")])
def test_strict_agent_executes_what_it_writes_only_when_asked(
    boxes: Boxes, flags: tuple[str, ...], code: str
) -> None:
    workspace = boxes.directory("workspace", (1000, 1000))
    script = "for d in /workspace /tmp; do cp /bin/true $d/x && $d/x; echo $?; done"
    result = boxes.run(
        "--service-mode", "strict-agent", "--workspace", str(workspace), *flags, "--", "sh", "-c", script
    )
    assert result.out.split() == [code, code], result.err


@root_on_a_new_kernel
def test_only_production_hides_processes_that_it_may_not_trace(
    boxes: Boxes, mode: str, words: list[str]
) -> None:
    script = "for p in /proc/[0-9]*; do echo $p; done; cat /proc/self/mountinfo"
    result = boxes.run(*words, "--", "sh", "-c", script)
    lines = result.out.splitlines()
    assert ("/proc/1" in lines) == (mode != "production"), result.err
    (proc,) = [line for line in lines if " /proc " in line]
    assert ("hidepid=" in proc) == (mode == "production")


ATTRIBUTES = {0x1: "ro", 0x2: "nosuid", 0x4: "nodev", 0x8: "noexec"}


def mounted(plan: LaunchPlan) -> dict[str, set[str]]:
    """Mount point → the flags that the plan gives it; a later step on the same point replaces or adds to them."""
    taken = {
        s["mount"]: s["attributes"] for s in [*plan.steps_of("open-tree"), *plan.steps_of("open-tree-inside")]
    }
    flags: dict[str, int] = {"/": 0}
    for step in plan.steps:
        match step.name:
            case "attach-mount":
                flags[str(step["target"])] = int(taken[step["mount"]])
            case "mount-filesystem" | "mount-proc":
                flags[str(step["target"])] = int(step["attributes"])
            case "seal-mount":
                flags[str(step["path"])] |= int(step["attributes"])
            case "seal-root":
                flags["/"] |= int(step["attributes"])
    return {
        point: {name for bit, name in ATTRIBUTES.items() if value & bit} for point, value in flags.items()
    }


@root_on_a_new_kernel
def test_the_mounts_inside_are_those_of_the_plan_with_its_flags(
    boxes: Boxes, mode: str, words: list[str]
) -> None:
    volume = boxes.directory("volume", (1000, 1000))
    flags = [*words, "--tmpfs", "/scratch", "--volume", f"{volume}:/data:ro", "--volume", f"{volume}:/out"]
    command = ["--root", str(boxes.root), *flags, "--", "cat", "/proc/self/mountinfo"]
    prepared = prepare(parse_run(command), owner=1)
    assert prepared.plan is not None
    wanted = mounted(prepared.plan)
    prepared.discard()
    found: dict[str, set[str]] = {}
    for line in boxes.run(*command[2:]).out.splitlines():
        point, options = line.split(" ")[4:6]
        found[point] = set(options.split(",")) & set(ATTRIBUTES.values())
    assert wanted.items() <= found.items()
    # What else is there hides something: an empty file or directory, read-only.
    hidden = {point: options for point, options in found.items() if point not in wanted}
    assert all(point.startswith("/proc/") and "ro" in options for point, options in hidden.items()), hidden


@pytest.fixture(scope="module")
def fault_launcher(tmp_path_factory: pytest.TempPathFactory) -> FaultLauncher:
    folder = tmp_path_factory.mktemp("fault-launcher")
    folder.chmod(0o755)
    return FaultLauncher(folder)


@root_on_a_new_kernel
@pytest.mark.parametrize("row", STEPS, ids=lambda row: row.key)
def test_a_step_that_fails_ends_the_launch_in_every_mode(
    row: Invariant,
    mode: str,
    words: list[str],
    boxes: Boxes,
    fault_launcher: FaultLauncher,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert row.cell(mode) == FATAL
    witness = boxes.directory("witness", (1000, 1000))
    command = ["--root", str(boxes.root), *words, "--rm", "--volume", f"{witness}:/out"]
    spec = parse_run([*command, "--", "sh", "-c", "echo ran >/out/ran"])
    prepared = prepare(spec, owner=1)
    plan = prepared.plan
    prepared.discard()
    assert plan is not None
    steps = [number for number, step in enumerate(plan.steps) if step.name == row.step]
    assert steps, f"the plan of mode {mode} has no such step"
    monkeypatch.setattr(installed, "PROGRAM", str(fault_launcher.program))
    with fault_launcher.fault(steps[0], "error"):
        assert run_here(spec) == f"failed at {steps[0]}: {row.step} errno 5"
    assert not (witness / "ran").exists()


def test_a_kernel_that_is_not_locked_down_starts_nothing_that_asks_for_it(boxes: Boxes) -> None:
    locked = probe().kernel.lockdown
    for level in ("integrity", "confidentiality"):
        done = boxes.cli("run", "--rm", "--require-kernel-lockdown", level, "--", "true")
        holds = locked == "confidentiality" or locked == level
        assert done.code == (0 if holds else 125), done.err
        assert holds or f"lockdown={level}" in done.err


@root_on_a_new_kernel
def test_production_takes_no_root_that_others_can_change(boxes: Boxes, closure: Path) -> None:
    copy = boxes.folder / "copy"
    shutil.copytree(closure, copy)
    words = [str(copy) if word == str(closure) else word for word in words_of("production", closure)]
    done = boxes.cli("run", "--rm", *words, "--", "true")
    assert done.code == 125
    assert "trusts a root file system only where nobody but root can change it" in done.err


@root_on_a_new_kernel
def test_the_example_of_each_mode_runs(boxes: Boxes, mode: str, words: list[str]) -> None:
    workspace = boxes.directory("workspace", (1000, 1000))
    (workspace / "Makefile").write_text("all:\n\techo made\n")
    test = "import unittest\nclass T(unittest.TestCase):\n    def test(self): print('made')\n"
    (workspace / "test_it.py").write_text(test)
    given = words[2:] if mode == "production" else ["--workspace", str(workspace)]
    document = ["--config", str(PROJECT / "examples" / f"{mode}.toml"), *given]
    done = boxes.cli("run", *document)
    assert done.code == 0, done.err
    assert done.out.split()[-1] == ("ready" if mode == "production" else "made")


@pytest.mark.identity("root", "user")
@pytest.mark.parametrize(
    "way",
    [
        ("run",),
        ("run", "-d"),
        ("create",),
        ("run", "-d", "--restart", "always"),
        ("run", "--restart", "always"),
    ],
)
def test_a_refusal_is_told_whole_whatever_would_start_it(boxes: Boxes, way: tuple[str, ...]) -> None:
    detached = ["--detach-with", "none"] if "-d" in way or way == ("create",) else []
    done = boxes.cli(*way, *detached, "--service-mode", "production", "--proc-rw", "--", "true")
    assert done.code == 125
    said = [line.split(": ")[1] for line in done.err.splitlines() if line.startswith("nucleus: ")]
    assert {"--proc-rw", "--memory", "--cpus", "--rootfs"} <= set(said)


@root_on_a_new_kernel
def test_who_enters_a_strict_container_is_held_to_the_same(boxes: Boxes) -> None:
    words = ["--detach-with", "none", "--name", "strict", "--strict-agent", "--", "sleep", "100"]
    assert boxes.cli("run", "-d", *words).code == 0
    done = boxes.cli("exec", "strict", "--", "sh", "-c", "cp /bin/true /tmp/x; /tmp/x; echo $?")
    assert done.out == "126\n", done.err
    assert boxes.inspect("strict")["mode"] == "strict-agent"
    done = boxes.cli("update", "--pids", "0", "strict")
    assert "mode strict-agent needs at least one limit" in done.err
    assert boxes.cli("update", "--pids", "50", "strict").code == 0
    assert boxes.cli("restart", "strict").code == 0
    assert boxes.inspect("strict")["spec"]["seccomp_profile"] == "strict"
    assert boxes.cli("rm", "-f", "strict").code == 0


@root_on_a_new_kernel
@pytest.mark.parametrize("call", ["setns", "nosuchcall", "mount"])
def test_a_call_that_is_never_to_be_had_is_refused_in_every_mode(
    boxes: Boxes, mode: str, words: list[str], call: str
) -> None:
    done = boxes.cli("run", *words, "--seccomp-allow", call, "--", "true")
    assert done.code == 125
    assert "--seccomp-allow" in done.err


@root_on_a_new_kernel
def test_a_program_that_starts_many_gets_the_mode_each_time(boxes: Boxes) -> None:
    """Also where the launch is a repetition, in a root that was prepared."""
    box = sandbox.Sandbox(root=str(boxes.root), service_mode="strict-agent")
    for _ in range(4):
        result = box.run(["sh", "-c", "cp /bin/true /tmp/x; /tmp/x; echo $?"])
        assert result.out == "126\n", result.err
    lenient = sandbox.Sandbox(root=str(boxes.root))
    assert lenient.run(["sh", "-c", "cp /bin/true /tmp/x; /tmp/x; echo $?"]).out == "0\n"


def test_modes_other_than_agent_need_the_whole_landlock(boxes: Boxes) -> None:
    abi = probe().kernel.landlock_abi
    done = boxes.cli("run", "--rm", "--strict-agent", "--", "true")
    if 1 <= abi < LANDLOCK_ABI:
        assert done.code == 125
        assert f"this kernel offers ABI {abi}" in done.err
    else:
        assert "offers ABI" not in done.err


def test_a_saved_plan_is_never_of_mode_production() -> None:
    with pytest.raises(SpecError, match="judged at each start"):
        SavedPlan.compile(command=["true"], service_mode="production", rootfs="/usr", memory="1G", cpus=1)


@root_on_a_new_kernel
def test_a_service_of_mode_production_lives_with_secrets_and_health(boxes: Boxes, closure: Path) -> None:
    token = boxes.directory("given") / "token"
    token.write_text("hush\n")
    script = "trap 'exit 9' TERM; cat /run/secrets/token >/tmp/seen; while :; do sleep 0.05; done"
    words = [*words_of("production", closure), "--detach-with", "none", "--name", "service", "--pids", "20"]
    words += [
        "--secret",
        f"token={token}",
        "--readiness-exec",
        "cat /tmp/seen",
        "--health-cmd",
        "cat /tmp/seen",
        "--health-interval",
        "200ms",
        "--health-timeout",
        "60s",
    ]
    done = boxes.cli("run", "-d", *words, "--", "sh", "-c", script)
    assert done.code == 0, done.err
    wait_until(lambda: boxes.inspect("service")["health"] == "healthy")
    seen = boxes.cli("exec", "service", "--", "sh", "-c", "cat /tmp/seen; cat /proc/1/status || echo hidden")
    assert seen.out.split() == ["hush", "hidden"]
    assert boxes.cli("stop", "-t", "50s", "service").code == 0
    assert boxes.cli("wait", "service").out == "9\n"
    assert boxes.cli("rm", "service").code == 0
