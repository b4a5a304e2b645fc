"""Bad input of every kind: the exit code, one sentence with a place and a remedy, and nothing left behind."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from bad_case import EVERYONE, HERE, Case
from bad_input import CASES
from mutated_documents import VALID, mutants
from sandboxes import COMMAND, PATIENCE_S, PROJECT, Boxes, Ran


def put(folder: Path, files: dict[str, str | bytes]) -> None:
    """Makes the files of a row."""
    for name, content in files.items():
        path = folder / name
        if name.endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif content.startswith("-> "):
            path.symlink_to(content[3:])
        else:
            path.write_text(content)


def copy_of_the_package(folder: Path) -> Path:
    """A checkout that may be damaged, with the same interpreter."""
    copy = folder / "copy"
    shutil.copytree(PROJECT / "src", copy / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(PROJECT / "bin", copy / "bin")
    if (PROJECT / ".venv").exists():
        (copy / ".venv").symlink_to(PROJECT / ".venv")
    return copy


def answer(boxes: Boxes, case: Case) -> Ran:
    """Runs the row's command in its situation, in the folder of the test."""
    folder = boxes.folder / "F"
    folder.mkdir()
    put(folder, dict(case.files))
    environment = boxes.environment | {"F": str(folder), "N": str(COMMAND)}
    command = COMMAND
    if "$COPY" in case.host:
        copy = copy_of_the_package(folder)
        environment["COPY"], command = str(copy), copy / "bin" / "nucleus"
    words = [str(command), *case.words]
    if case.words[0] in ("run", "inspect"):
        own = ["--root", str(folder / "state")] + (["--rm"] if case.words[0] == "run" else [])
        words[2:2] = own
    if case.host:
        words = ["/bin/sh", "-c", case.host, "sh", *words]
    if case.namespace:
        words = ["unshare", "--mount", "--propagation", "private", *words]
    done = subprocess.run(
        words, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE_S,
        check=False,
    )  # fmt: skip
    return Ran(code=done.returncode, out=done.stdout.decode(), err=done.stderr.decode())


def problems_of(text: str) -> list[tuple[str, str]]:
    """(first line, remedy) of each problem; fails on any line that is neither."""
    found: list[tuple[str, str]] = []
    for line in text.splitlines():
        if line.startswith("  remedy: "):
            assert found and not found[-1][1], f"a remedy without a problem: {line}"
            found[-1] = (found[-1][0], line.removeprefix("  remedy: "))
        else:
            assert line.startswith("nucleus: "), f"a line that is not nucleus' own: {line}"
            found.append((line.removeprefix("nucleus: "), ""))
    return found


def left_over(folder: Path) -> list[str]:
    state = folder / "state"
    return [
        f"{d}/{n}" for d in ("containers", "names") if (state / d).is_dir() for n in os.listdir(state / d)
    ]


ROWS = [pytest.param(case, id=case.title, marks=[pytest.mark.identity(*case.identities)]) for case in CASES]


@pytest.mark.parametrize("case", ROWS)
def test_bad_input_is_answered_with_its_place_and_a_remedy(boxes: Boxes, case: Case) -> None:
    said = answer(boxes, case)
    assert said.code == case.code, said.err
    assert "Traceback" not in said.err and "this is a bug" not in said.err, said.err
    assert said.out == ""
    problems = problems_of(said.err)
    assert problems and all(remedy for _, remedy in problems), said.err
    wanted = [
        (line, remedy)
        for line, remedy in problems
        if case.where in line.partition(": ")[0] and case.says in line and case.remedy in remedy
    ]
    assert wanted, said.err
    if case.leaves:
        boxes.cli("ps", "--root", str(boxes.folder / "F" / "state"))
    if "nucleus rm" not in case.remedy:
        assert left_over(boxes.folder / "F") == []


@pytest.mark.identity(*HERE)
@pytest.mark.parametrize("name", mutants(14))
def test_a_document_with_one_mistake_is_refused_by_file_and_line(boxes: Boxes, name: str) -> None:
    case = Case(
        title=name, words=("run", "--config", "m.toml"), where="m.toml:", says="", remedy="",
        files={"m.toml": mutants(14)[name]},
    )  # fmt: skip
    said = answer(boxes, case)
    assert said.code == 125 and "Traceback" not in said.err and "this is a bug" not in said.err, said.err
    line = int(name.rpartition("line ")[2].split()[0])
    places = [problem.partition(": ")[0] for problem, _ in problems_of(said.err)]
    assert all(place.startswith((f"m.toml:{line}", f"m.toml:{line + 1}")) for place in places), said.err
    assert all(remedy for _, remedy in problems_of(said.err))


def test_the_document_that_they_are_made_from_is_valid(boxes: Boxes) -> None:
    # Without the limits that an ordinary user may not have.
    limits = ("memory", "cpus", "pids")
    kept = [line for line in VALID.splitlines() if not line.startswith(limits)]
    (boxes.folder / "m.toml").write_text("\n".join(kept))
    ran = boxes.cli("run", "--config", "m.toml", "--", "true", cwd=boxes.folder)
    assert (ran.code, ran.err) == (0, "")


def test_the_table_is_large_enough_and_every_row_is_run_by_somebody() -> None:
    assert len(CASES) + len(mutants(14)) >= 60
    assert len({case.title for case in CASES}) == len(CASES)
    assert {identity for case in CASES for identity in case.identities} == set(EVERYONE)


def test_all_problems_of_a_document_and_its_flags_are_told_at_once(boxes: Boxes) -> None:
    (boxes.folder / "d.toml").write_text('memory = "x"\ncpus = -1\nnosuch = 1\n')
    ran = boxes.cli("run", "--config", "d.toml", "--timeout", "y", "--bogus", "--", "true", cwd=boxes.folder)
    places = sorted(line.partition(": ")[0] for line, _ in problems_of(ran.err))
    assert places == ["--timeout", "d.toml:1 $.memory", "d.toml:2 $.cpus", "d.toml:3 $.nosuch", "run"]


@pytest.mark.parametrize(
    "words", [("--memry", "1"), ("--", "no-such-program"), ("--user", "nosuch", "--", "true")]
)
def test_the_same_answer_as_json_for_programs(boxes: Boxes, words: tuple[str, ...]) -> None:
    log = boxes.folder / "log"
    ran = boxes.cli("run", "--rm", "--log-format", "json", "--log", str(log), *words)
    (line,) = ran.err.splitlines()
    told = json.loads(line)
    assert told["level"] == "error" and told["exit_code"] == ran.code
    assert all(p["message"] and p["where"] and p["remedy"] for p in told["problems"])
    assert log.read_text() == ran.err


def test_words_of_others_never_steer_the_terminal(boxes: Boxes) -> None:
    ran = boxes.cli("run", "--rm", "--workspace", "\x1b]0;gone\x07", "--", "true")
    assert ran.code == 125 and "\x1b" not in ran.err and "\\x1b" in ran.err


# ---- what looks bad and must work ---------------------------------------------------------------


def raw(boxes: Boxes, shell: str, *words: bytes) -> subprocess.CompletedProcess[bytes]:
    command = [os.fsencode(COMMAND), b"run", b"--root", os.fsencode(boxes.root), b"--rm", *words]
    return subprocess.run(
        [b"/bin/sh", b"-c", shell.encode(), b"sh", *command], env=boxes.environment, stdin=subprocess.DEVNULL,
        capture_output=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip


def test_arguments_and_variables_that_are_not_utf_8_arrive_as_they_are(boxes: Boxes) -> None:
    done = raw(
        boxes,
        'exec "$@"',
        b"--env",
        b"V=\xfe\x80",
        b"--",
        b"sh",
        b"-c",
        b'printf "%s %s" "$0" "$V"',
        b"\xff\xe4",
    )
    assert (done.returncode, done.stdout) == (0, b"\xff\xe4 \xfe\x80"), done.stderr


def test_a_workspace_whose_name_is_not_utf_8_works(boxes: Boxes) -> None:
    folder = os.fsencode(boxes.folder) + b"/\xff"
    os.mkdir(folder)
    done = raw(boxes, 'exec "$@"', b"--workspace", folder, b"--", b"sh", b"-c", b"echo hello >there")
    assert done.returncode == 0, done.stderr
    with open(folder + b"/there") as file:
        assert file.read() == "hello\n"


@pytest.mark.parametrize("shell", ['exec "$@" <&-', 'exec "$@" <&- >&-', 'exec "$@" <&- >&- 2>&-'])
def test_closed_streams_are_no_reason_to_fail(boxes: Boxes, shell: str) -> None:
    assert raw(boxes, shell, b"--", b"true").returncode == 0


def test_closed_streams_are_null_inside_and_nothing_else(boxes: Boxes) -> None:
    done = raw(boxes, 'exec "$@" <&-', b"--", b"sh", b"-c", b"readlink /proc/self/fd/0; wc -c")
    assert (done.returncode, done.stdout.split()) == (0, [b"/dev/null", b"0"]), done.stderr
