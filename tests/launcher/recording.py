"""Runs the launcher against the recording seam, reads what it wrote down.  ✗ asserts nothing about it."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from native import LAUNCHER, WARNINGS, build, compiler

from nucleus.plan.encode import encode
from nucleus.plan.steps import LaunchPlan

# What is linked beside the launcher, or instead of a part of it, and the other programs.
SEAMS = ("log.c", "trace.c", "trace_attached.c", "trace_listener.c", "trace_paths.c", "sys_linux.c", "sys_record.c", "sys_fault.c", "seam_none.c", "init_program.c", "plan_dump.c")
CHECKED = ("-g", "-O1", "-fsanitize=undefined", "-fno-sanitize-recover=all")
ROLES = {"monitor": 0, "child": 1, "workload": 2, "network": 3}


@dataclass(frozen=True, kw_only=True)
class Call:
    """One system call: its place in the whole run, its step (None: between steps), its text argument."""

    number: int
    name: str
    result: int
    text: str
    step: int | None


@dataclass(kw_only=True)
class Record:
    """What a run came to.  `steps` and `calls` are those since the process of that role was born."""

    steps: list[int] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    failures: list[tuple[int, int, int, int]] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    ending: str = ""

    def during(self, step: int) -> list[str]:
        """Names of the calls of a step."""
        return [c.name for c in self.calls if c.step == step]


def launcher_sources() -> list[str]:
    """The launcher's own files, without a seam."""
    return sorted(p.name for p in LAUNCHER.glob("*.c") if p.name not in SEAMS)


def build_recorder(folder: Path) -> Path:
    """The launcher, freestanding as it is, linked to a hosted seam."""
    objects = []
    for name in launcher_sources():
        output = folder / f"{name}.o"
        flags = ("-std=c11", *WARNINGS[:3], *CHECKED, "-ffreestanding", "-fno-stack-protector", "-c")
        command = [compiler(), *flags, f"-I{LAUNCHER}", str(LAUNCHER / name), "-o", str(output)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        objects.append(str(output))
    return build(folder / "nucleus-record", ("sys_record.c", "tests/record_main.c"), (*CHECKED, *objects))


class Recorder:
    """Runs plans as one of the launcher's processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.program = build_recorder(folder)

    def run(self, plan: LaunchPlan, role: str, *failing: object) -> Record:
        """failing: the call that fails, its errno, and anything more when each later one shall fail too."""
        path = self.folder / "plan"
        path.write_bytes(encode(plan))
        command = [str(self.program), str(path), str(len(plan.slots)), role, *map(str, failing)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0 and not done.stderr, done.stderr + done.stdout[-2000:]
        return read_record(done.stdout, role)


def read_record(text: str, role: str) -> Record:
    """Lines → Record; what the process did before it became that role is left out."""
    record, step = Record(), None
    for line in text.splitlines():
        word, *rest = line.split(" ")
        if word == "step":
            step = int(rest[0])
            record.steps.append(step)
        elif word == "call":
            number, name, result, *argument = rest
            call = Call(number=int(number), name=name, result=int(result), text=" ".join(argument), step=step)
            record.calls.append(call)
        elif word == "born":
            record, step = Record(), None
        elif word == "failure":
            record.failures.append(tuple(map(int, rest)))  # type: ignore[arg-type]
        elif word == "leak":
            record.leaks.append(f"step {step}: {rest[1]}")
        elif word in ("badclose", "inherited", "follows"):
            record.faults.append(f"step {step}: {line}")
        elif word in ("exec", "exit"):
            record.ending = line
    return record
