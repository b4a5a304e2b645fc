"""Records of the launcher: one layout in both languages, and a sentence with a remedy for every failure."""

from __future__ import annotations

import errno
import re
import shutil
import subprocess
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rows import every_row

from nucleus.launch import report
from nucleus.plan import schema
from nucleus.plan.steps import Step

ROOT = Path(__file__).resolve().parents[3]
# All that a kernel says, and one that none does; those on which any sentence depends.
ERRNOS = {*range(1, 134), 4095}
TOLD = {
    n
    for n in ERRNOS
    if errno.errorcode.get(n) in {*report._ANYWHERE, *[word for _, word in report._MEANINGS]}
}

_LAYOUT = r"""
#include "report.h"
#include <stddef.h>
#include <stdio.h>
#define SIZE(type) printf(#type " %zu\n", sizeof(struct type))
#define AT(type, field) printf(#type "." #field " %zu\n", offsetof(struct type, field))
int main(void)
{
    SIZE(failure); SIZE(exit_record); SIZE(init_record); SIZE(message);
    AT(failure, opcode); AT(failure, step); AT(failure, error); AT(failure, detail);
    AT(exit_record, flags); AT(exit_record, exit_code); AT(exit_record, started_ns);
    AT(exit_record, counters);
    AT(exit_record, user_us); AT(exit_record, max_rss_kb); AT(exit_record, failure);
    AT(init_record, monitor_pid); AT(init_record, init_pid); AT(init_record, monitor_ticks);
    AT(init_record, init_ticks); AT(message, pid); AT(message, exit);
    printf("FAILURE_MAGIC %u\n", FAILURE_MAGIC);
    printf("flags %d %d %d %d %d %d\n", EXIT_OOM, EXIT_TIMEOUT, EXIT_OWNER_LOST, EXIT_FAILED, EXIT_DIRTY,
           EXIT_INIT_KILLED);
    return 0;
}
"""


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the C compiler makes of launcher/report.h: sizes, offsets, constants."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    assert compiler, "no C compiler: tools/setup-test.sh installs one"
    folder = tmp_path_factory.mktemp("layout")
    (folder / "layout.c").write_text(_LAYOUT)
    command = [compiler, "-std=gnu11", f"-I{ROOT}/launcher", "layout.c", "-o", "layout"]
    subprocess.run(command, cwd=folder, check=True)
    lines = subprocess.run(
        [folder / "layout"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    return dict(line.split(" ", 1) for line in lines)


def test_the_records_have_the_size_of_the_launchers(layout: dict[str, str]) -> None:
    sizes = {
        "failure": report.FAILURE.size, "exit_record": report.EXIT.size, "init_record": report.INIT.size,
        "message": report.MESSAGE.size,
    }  # fmt: skip
    assert {name: int(layout[name]) for name in sizes} == sizes


def test_every_field_lies_where_the_launcher_puts_it(layout: dict[str, str]) -> None:
    """A record is filled with distinct bytes at the offsets that C names, and read by Python."""

    def put(data: bytearray, field: str, value: int, size: int) -> None:
        at = int(layout[field])
        data[at : at + size] = value.to_bytes(size, "little")

    failure = bytearray(report.FAILURE.size)
    failure[0:4] = int(layout["FAILURE_MAGIC"]).to_bytes(4, "little")
    for field, value, size in (("opcode", 76, 2), ("step", 125, 4), ("error", 2, 4), ("detail", 1 << 40, 8)):
        put(failure, f"failure.{field}", value, size)
    data = bytearray(report.EXIT.size)
    data[0:12] = b"NUCEXIT\0\x01\0\0\0"
    for field, value, size in (
        ("flags", 8, 4), ("exit_code", 127, 4), ("started_ns", 11, 8), ("counters", 3, 8), ("user_us", 5, 8),
        ("max_rss_kb", 7, 8),
    ):  # fmt: skip
        put(data, f"exit_record.{field}", value, size)
    at = int(layout["exit_record.failure"])
    data[at : at + len(failure)] = failure
    record = report.read_exit(bytes(data))
    assert record is not None and record.failure is not None
    assert (record.exit_code, record.started_ns, record.oom_kills, record.user_us) == (127, 11, 3, 5)
    assert (record.max_rss_bytes, record.reason) == (7 << 10, "failed")
    assert record.failure == report.Failure(actor=0, opcode=76, step=125, errno=2, detail=1 << 40)


def test_the_flags_have_the_launchers_values(layout: dict[str, str]) -> None:
    ours = (report.OOM, report.TIMEOUT, report.OWNER_LOST, report.FAILED, report.DIRTY, report.INIT_KILLED)
    assert layout["flags"] == " ".join(map(str, ours))


@given(data=st.binary(max_size=200))
@settings(max_examples=50, deadline=None)
def test_bytes_that_are_no_record_are_none(data: bytes) -> None:
    assert report.read_exit(data) is None and report.read_init(data) is None
    assert report.read_exit(b"NUCEXIT\0" + data) is None or len(data) + 8 == report.EXIT.size


def a_step(spec: schema.StepSpec) -> Step:
    """A step of that row with odd but possible values."""
    random = Random(spec.opcode)
    values = [
        random.randrange(64) if f.kind in "nf" else "/a {0}%s" if f.kind == "s" else b"x {0}\0\xff\0"
        for f in spec.fields
    ]
    return Step(spec, tuple(values), "workspace")


@every_row("spec", schema.STEPS, ids=lambda s: s.name)
def test_every_failure_of_every_step_has_a_sentence_a_place_and_a_remedy(spec: schema.StepSpec) -> None:
    numbers = ERRNOS if spec.name in ("exec", "make-root") else {*TOLD, errno.EDOM, 4095}
    cases = [(number, 0, a_step(spec), "workspace") for number in numbers]
    for number in (errno.EPERM, errno.ENOENT, errno.ENOSPC, errno.EINVAL):
        cases += [(number, 1, a_step(spec), "always"), (number, 1, None, ""), (number, 0, None, "")]  # type: ignore[list-item]
    for number, detail, step, origin in cases:
        failure = report.Failure(actor=spec.actor, opcode=spec.opcode, step=3, errno=number, detail=detail)
        error = report.launch_error(failure, step, origin, 125)
        assert error.message and error.where and error.remedy
        assert error.message.isprintable() and not re.search(r"\{[a-z_]+\}", error.message)
        assert (error.step, error.opcode, error.errno) == (3, spec.name, number)


def test_a_command_that_the_caller_s_own_path_has_is_told_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = next(s for s in schema.STEPS if s.name == "exec")
    values = [
        b"greet\0hello\0" if f.name == "arguments" else v
        for f, v in zip(spec.fields, a_step(spec).values, strict=True)
    ]
    failure = report.Failure(actor=2, opcode=spec.opcode, step=3, errno=errno.ENOENT, detail=0)

    def remedy() -> str:
        return report.launch_error(failure, Step(spec, tuple(values), "command"), "command", 127).remedy

    monkeypatch.setenv("PATH", f"relative:{tmp_path}/shims:/usr/bin")
    assert "below /usr" in remedy()
    for name in ("shims", "real"):
        (tmp_path / name).mkdir()
    (tmp_path / "real" / "greet").touch(0o755)
    (tmp_path / "shims" / "greet").symlink_to("../real/greet")
    assert f"here it is {tmp_path}/real/greet" in remedy() and "--toolchain" in remedy()
    values[[f.name for f in spec.fields].index("arguments")] = b"ls -la\0"
    error = report.launch_error(failure, Step(spec, tuple(values), "command"), "command", 127)
    assert error.message == "command not found: ls -la" and "one word" in error.remedy
    assert report.launch_error(failure, None, "", 127, "ls").message == "command not found: ls"


def test_a_workspace_that_the_user_inside_may_not_enter_is_told_as_the_workspace() -> None:
    spec = next(s for s in schema.STEPS if s.name == "exec")
    values = [
        "/workspace" if f.name == "directory" else v
        for f, v in zip(spec.fields, a_step(spec).values, strict=True)
    ]
    failure = report.Failure(actor=2, opcode=spec.opcode, step=3, errno=errno.EACCES, detail=1)
    error = report.launch_error(failure, Step(spec, tuple(values), "command"), "command", 125)
    assert (error.where, "owner" in error.remedy) == ("--workspace", True)


@every_row("key", sorted(report._MEANINGS), ids=" ".join)
def test_every_meaning_belongs_to_a_step_and_an_error_that_exist(key: tuple[str, str]) -> None:
    name, word = key
    assert name in schema.BY_NAME and (not word or word in errno.errorcode.values())
    fields = {*schema.BY_NAME[name].names, "command"}
    assert {f for text in report._MEANINGS[key] for f in re.findall(r"\{(\w+)\}", text)} <= fields


@every_row(
    ("flags", "code", "signal", "reason"),
    [
        (0, 0, 0, "exit"),
        (0, 3, 0, "exit"),
        (0, 143, 15, "signal"),
        (report.OOM, 137, 9, "oom"),
        (report.OOM, 0, 0, "exit"),
        (report.TIMEOUT, 124, 9, "timeout"),
        (report.TIMEOUT | report.OOM, 124, 9, "timeout"),
        (report.OWNER_LOST, 137, 9, "owner-lost"),
        (report.INIT_KILLED, 137, 9, "host-kill"),
        (report.FAILED | report.OOM, 125, 0, "failed"),
    ],
)
def test_the_reason_of_an_end(flags: int, code: int, signal: int, reason: str) -> None:
    data = report.EXIT.pack(b"NUCEXIT\0", 1, flags, code, signal, 1, 2, *[0] * 7, bytes(32))
    record = report.read_exit(data)
    assert record is not None and record.reason == reason
