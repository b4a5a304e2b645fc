"""Mutates launch plans, guided by coverage and under sanitizers, against the launcher's own decoder.

    tools/fuzz.py --runs 5000000            stops after so many mutations (the default), or after --seconds
    tools/fuzz.py --coverage                also prints how many branches the corpus reaches; fails below 98 %

Seeds are sample plans and near misses of tests/plan, encoded anew each time because they carry the hash of
the step table; what a run finds stays in build/fuzz/TARGET, with the input of a crash.
✗ judges no plan: the harness launcher/fuzz/TARGET.c says what must hold.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LAUNCHER = ROOT / "launcher"

# Harness → the files of the launcher that it exercises; the first is the one whose coverage counts.
TARGETS = {"decode": ("plan_decode.c", "text.c", "tests/reencode.c")}

FLAGS = ("-std=c11", "-g", "-O1", "-fno-omit-frame-pointer", "-fno-builtin", "-Wall", "-Wextra", "-Werror")
SANITIZERS = "-fsanitize=fuzzer,address,undefined,integer"
TRAPS = ("-fno-sanitize=unsigned-integer-overflow,unsigned-shift-base", "-fno-sanitize-recover=all")
MIN_BRANCHES = 98.0


def compile_harness(target: str, output: Path, flags: tuple[str, ...]) -> None:
    """Builds one harness with clang; a compiler error ends the program."""
    harness = LAUNCHER / "fuzz" / f"{target}.c"
    if not harness.exists():
        raise SystemExit(f"{harness.relative_to(ROOT)} does not exist: there is nothing to fuzz")
    sources = [str(LAUNCHER / name) for name in TARGETS[target]]
    command = ["clang", *FLAGS, *flags, f"-I{LAUNCHER}", str(harness), *sources, "-o", str(output)]
    if subprocess.run(command).returncode:
        raise SystemExit(f"{harness.relative_to(ROOT)} does not compile")


def write_seeds(folder: Path) -> None:
    """Encodes the sample plans of the tests, and plans with one fault."""
    sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests" / "plan")]
    from plan_strategies import near_misses, sample_plans

    from nucleus.plan.encode import encode

    folder.mkdir(parents=True, exist_ok=True)
    for name, plan in sample_plans().items():
        (folder / name).write_bytes(encode(plan))
    for number, data in enumerate(near_misses(200)):
        (folder / f"near-miss-{number}").write_bytes(data)


def fuzz(target: str, *, runs: int, seconds: int, jobs: int) -> bool:
    """Mutates for as long as asked; true if nothing was found."""
    work = ROOT / "build" / "fuzz" / target
    found = work / "corpus"
    found.mkdir(parents=True, exist_ok=True)
    compile_harness(target, work / "harness", (SANITIZERS, *TRAPS))
    write_seeds(work / "seeds")
    command = [
        *(str(work / "harness"), str(found), str(work / "seeds")),
        *(
            f"-runs={runs}",
            f"-max_total_time={seconds}",
            "-max_len=8192",
            "-timeout=60",  # of a clock that a busy machine lets run on
            "-print_final_stats=1",
        ),
        *(f"-artifact_prefix={work}/", f"-fork={jobs}" if jobs > 1 else "-verbosity=1"),
    ]
    clean = subprocess.run(command, cwd=work).returncode == 0
    print(f"{target}: {'nothing found' if clean else f'a crash; its input is in {work.relative_to(ROOT)}'}")
    return clean


def branch_coverage(target: str) -> float:
    """Percent of the branches of the target's first file that seeds and findings reach together."""
    work = ROOT / "build" / "fuzz" / target
    harness, profile = work / "harness-coverage", work / "coverage.profdata"
    compile_harness(target, harness, ("-fsanitize=fuzzer", "-fprofile-instr-generate", "-fcoverage-mapping"))
    raw = work / "coverage.profraw"
    # Longer than what is mutated, and more than a plan may be.
    (work / "corpus" / "oversize").write_bytes(bytes((4 << 20) + 1))
    inputs = [str(work / "corpus"), str(work / "seeds")]
    environment = os.environ | {"LLVM_PROFILE_FILE": str(raw)}
    subprocess.run(
        [str(harness), "-runs=0", "-max_len=5000000", *inputs],
        check=True,
        env=environment,
        cwd=work,
        stderr=subprocess.DEVNULL,
    )
    subprocess.run(["llvm-profdata", "merge", "-o", str(profile), str(raw)], check=True)
    counted = str(LAUNCHER / TARGETS[target][0])
    view = ["llvm-cov", "export", "--summary-only", f"--instr-profile={profile}", str(harness), counted]
    summary = json.loads(subprocess.run(view, check=True, stdout=subprocess.PIPE).stdout)
    percent = float(summary["data"][0]["totals"]["branches"]["percent"])
    print(f"{target}: {percent:.1f} % of the branches of {TARGETS[target][0]} reached")
    return percent


def main() -> int:
    """Exit code 0 if no target crashed and, with --coverage, enough branches were reached."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--target", action="append", choices=sorted(TARGETS), help="default: all")
    parser.add_argument(
        "--runs", type=int, default=5_000_000, help="mutations per target (default: 5 million)"
    )
    parser.add_argument("--seconds", type=int, default=0, help="stop after so long; 0: only --runs counts")
    parser.add_argument("--jobs", type=int, default=1, help="processes at once")
    parser.add_argument("--coverage", action="store_true", help="measure and demand branch coverage")
    given = parser.parse_args()
    if not shutil.which("clang"):
        parser.error("clang is needed: tools/setup-test.sh installs it")
    good = True
    for target in given.target or sorted(TARGETS):
        good &= fuzz(target, runs=given.runs, seconds=given.seconds, jobs=given.jobs)
        good = good and (not given.coverage or branch_coverage(target) >= MIN_BRANCHES)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
