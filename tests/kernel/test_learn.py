"""What a program needs, learned from recorded runs: exactly that runs under the strictest mode, and nothing more."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tomllib
from pathlib import Path

import pytest
from real_jobs import wheel
from sandboxes import Boxes, own_identity, python

RUNS, TIMES = 5, 20
TOOLCHAIN = """
set -eu
cd /tmp
git clone --quiet /workspace/repo copy
git -C copy log --oneline | wc -l
python3 -m pip install --quiet --no-index --no-deps --no-cache-dir --disable-pip-version-check --target site \\
    /workspace/hello-1.0-py3-none-any.whl
PYTHONPATH=site python3 -c 'import hello; hello.main()'
node -e 'console.log("node", [3, 1, 2].sort().join(""))'
"""
PRINTED = "3\nhello from a wheel\nnode 123\n"
# An ordinary user without a cgroup of his own has no strict mode, nor has a guest whose kernel knows little of Landlock.
HAS_LIMITS = ("root",)
STRICT = ("--service-mode", "strict-agent", "--memory", "512M") if own_identity() in HAS_LIMITS else ()
PTRACE = "python3 -c 'import ctypes; ctypes.CDLL(None).ptrace(0, 0, 0, 0)'"


@pytest.fixture
def work(boxes: Boxes) -> Path:
    """A workspace with the jobs, as text."""
    folder = boxes.directory("work")
    (folder / "job.sh").write_text(TOOLCHAIN)
    (folder / "worse.sh").write_text(f"{TOOLCHAIN}{PTRACE}; echo not stopped\n")
    return folder


@pytest.fixture
def project(boxes: Boxes, work: Path) -> Path:
    """The same with what the jobs work on: a repository and a wheel."""
    (work / "hello-1.0-py3-none-any.whl").write_bytes(wheel())
    script = """
set -e; git init -q repo; cd repo; git config user.name a; git config user.email a@b
for i in 1 2 3; do echo $i >f; git add f; git commit -q -m $i; done
"""
    home = {**boxes.environment, "HOME": str(work), "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["sh", "-c", script], cwd=work, env=home, check=True, timeout=60)
    subprocess.run(["chmod", "-R", "a+rX", str(work)], check=True)
    return work


def learned(boxes: Boxes, *words: str) -> tuple[Path, str]:
    """The launch document that `nucleus learn` writes, and what it prints."""
    folder = boxes.folder / "learned"
    done = boxes.cli("learn", "-o", str(folder), *words)
    assert done.code == 0, done.err
    return folder / "launch.toml", done.out


@pytest.mark.identity("root", "user", "nosub", "nested")  # guests have neither git nor node
def test_a_profile_of_five_runs_lets_git_pip_and_node_run_and_kills_a_ptrace(
    boxes: Boxes, project: Path
) -> None:
    """Under the mode strict-agent, 20 of 20 times; the same with a ptrace added is killed each time."""
    log, profile = boxes.folder / "calls.jsonl", boxes.folder / "profile.json"
    flags = ("--rm", "--workspace", str(project), "--workspace-mode", "bind-ro")
    for _ in range(RUNS):
        trace = boxes.run(
            *flags, "--seccomp-mode", "trace", "--seccomp-log", str(log), "--", "sh", "/workspace/job.sh"
        )
        assert (trace.exit_code, trace.out) == (0, PRINTED), trace.err
    made = boxes.nucleus("seccomp", "generate", "-o", str(profile), str(log))
    assert made.code == 0 and f"of {RUNS} runs" in made.err
    strict = (*flags, *STRICT, "--seccomp-profile", str(profile))
    for number in range(TIMES):
        ran = boxes.run(*strict, "--", "sh", "/workspace/job.sh")
        assert (number, ran.exit_code, ran.out) == (number, 0, PRINTED), ran.err
    for _ in range(3):
        killed = boxes.run(*strict, "--", "sh", "/workspace/worse.sh")
        assert (killed.exit_code, killed.out) == (128 + signal.SIGSYS, PRINTED), killed.err


@pytest.mark.identity(*HAS_LIMITS)
def test_what_is_learned_runs_under_strict_agent_and_no_more(boxes: Boxes, work: Path) -> None:
    job = ("sh", "-c", "cat /workspace/job.sh >/tmp/copy; wc -l </tmp/copy")
    document, difference = learned(boxes, "--workspace", str(work), "--", *job)
    assert '+service_mode = "strict-agent"' in difference.splitlines()
    assert '+workspace_mode = "bind-ro"' in difference.splitlines()
    found = tomllib.loads(document.read_text())
    assert found["pids"] >= 3 and "seccomp_profile_sha256" in found and "landlock_policy_sha256" in found
    for _ in range(5):
        ran = boxes.cli("run", "--rm", "--config", str(document))
        assert (ran.code, ran.out) == (0, f"{len(TOOLCHAIN.splitlines())}\n"), ran.err
    for command in (
        ("sh", "-c", "echo x >/workspace/new"), ("sh", "-c", "echo x >/home/agent/new"),
        (python(), "-c", "import socket; socket.socket()"),
    ):  # fmt: skip
        assert boxes.cli("run", "--rm", "--config", str(document), "--", *command).code != 0, command


@pytest.mark.identity("root", "user", "nosub", "nested")  # the older guest knows too little of Landlock
def test_a_command_of_the_workspace_is_learned_with_its_place(boxes: Boxes) -> None:
    """Whoever runs it: the first program is executed by the launcher, into which not every tracer may look."""
    work = boxes.directory("work")
    (work / "job").write_text("#!/bin/sh\ncat /etc/hostname >/dev/null && echo done\n")
    (work / "job").chmod(0o755)
    document, _ = learned(boxes, "--workspace", str(work), "--", "/workspace/job")
    policy = str(document.parent / "landlock.toml")
    ran = boxes.cli(
        "run", "--rm", "--workspace", str(work), "--landlock-policy", policy, "--", "/workspace/job"
    )
    assert (ran.code, ran.out) == (0, "done\n"), ran.err


@pytest.mark.identity(*HAS_LIMITS)
def test_what_was_not_used_is_taken_away(boxes: Boxes, work: Path) -> None:
    used, unused = boxes.directory("used"), boxes.directory("unused")
    (used / "in").write_text("input\n")
    document, _ = learned(
        boxes,
        "--volume",
        f"{used}:/used",
        "--volume",
        f"{unused}:/unused",
        "--proc-rw",
        "--",
        "cat",
        "/used/in",
    )
    found = tomllib.loads(document.read_text())
    assert found["volume"] == [f"{used}:/used:ro"] and "proc_rw" not in found
    ran = boxes.cli("run", "--rm", "--config", str(document))
    assert (ran.code, ran.out) == (0, "input\n"), ran.err


@pytest.mark.identity(*HAS_LIMITS)
def test_of_capabilities_those_are_kept_that_a_call_needs(boxes: Boxes) -> None:
    policy = boxes.folder / "caps.toml"
    policy.write_text('[ambient]\nkeep = ["NET_BIND_SERVICE", "SYS_TIME", "KILL"]\n')
    bind = "import socket; s = socket.socket(); s.bind(('127.0.0.1', 80)); print('bound')"
    document, _ = learned(boxes, "--caps-policy", str(policy), "--", python(), "-I", "-c", bind)
    kept = tomllib.loads((document.parent / "capabilities.toml").read_text())
    assert kept["ambient"] == {"keep": ["NET_BIND_SERVICE"]}
    ran = boxes.cli("run", "--rm", "--config", str(document))
    assert (ran.code, ran.out) == (0, "bound\n"), ran.err


def test_a_command_that_fails_is_learned_as_far_as_it_went_and_that_is_said(boxes: Boxes) -> None:
    done = boxes.cli("learn", "-o", str(boxes.folder / "learned"), "--", "sh", "-c", "exit 3")
    assert done.code == 0 and "ended with 3" in done.err
    profile = json.loads((boxes.folder / "learned" / "profile.json").read_text())
    assert profile["defaultAction"] == "SCMP_ACT_KILL_PROCESS"


def test_what_cannot_be_learned_is_refused(boxes: Boxes) -> None:
    for flags in (
        ("--detach",),
        ("--restart", "always"),
        ("--runs", "0"),
        ("--allow-degraded-security=seccomp",),
    ):
        refused = boxes.cli("learn", "-o", str(boxes.folder / "learned"), *flags, "--", "true")
        assert refused.code == 125, flags
    assert not os.path.exists(boxes.folder / "learned")
