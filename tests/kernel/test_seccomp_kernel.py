"""The built-in filters as this kernel runs them, installed by an ordinary process."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest
from filtered_child import NUMBERS, Call, answers

from nucleus.policy import seccomp

ARCH = platform.machine()
HIGH = 1 << 32
AT_FDCWD = (1 << 64) - 100
O_RDONLY, O_WRONLY, O_CREAT, O_TMPFILE = 0, 1, 0o100, 0o20200000

LAUNCHER_CALLS: list[Call] = [
    ("prctl", 21),  # PR_GET_SECCOMP
    ("prctl", 39),  # PR_GET_NO_NEW_PRIVS
    ("prctl", 23, 0),  # PR_CAPBSET_READ
    ("read", 0, None, 0),
    ("pread64", 1 << 20, None, 0),
    ("write", 1, None, 0),
    ("chdir", b"/"),
    ("close_range", 1000, 1001, 0),
]

DEFAULT_ANSWERS: list[tuple[str, Call, str]] = [
    ("unix socket", ("socket", 1, 1, 0), "ok"),
    ("udp socket", ("socket", 2, 2, 17), "ok"),
    ("tcp socket over IPv6", ("socket", 10, 1, 6), "ok"),
    ("route socket", ("socket", 16, 3, 0), "ok"),
    ("netfilter socket", ("socket", 16, 3, 12), "EAFNOSUPPORT"),
    ("packet socket", ("socket", 17, 3, 0), "EAFNOSUPPORT"),
    ("packet socket by its old name", ("socket", 2, 10, 0), "EAFNOSUPPORT"),
    ("vsock", ("socket", 40, 1, 0), "EAFNOSUPPORT"),
    ("vsock with a high bit", ("socket", 40 | HIGH, 1, 0), "EAFNOSUPPORT"),
    ("mptcp", ("socket", 2, 1, 262), "EPROTONOSUPPORT"),
    ("mptcp with a high bit", ("socket", 2, 1, 262 | HIGH), "EPROTONOSUPPORT"),
    ("sctp", ("socket", 2, 1, 132), "EPROTONOSUPPORT"),
    ("pair of other sockets", ("socketpair", 40, 1, 0, None), "EAFNOSUPPORT"),
    ("TIOCSTI", ("ioctl", 0, 0x5412, None), "EPERM"),
    ("TIOCSTI with a high bit", ("ioctl", 0, 0x5412 | HIGH, None), "EPERM"),
    ("TIOCLINUX", ("ioctl", 0, 0x541C, None), "EPERM"),
    ("a terminal's question", ("ioctl", 1 << 20, 0x5401, None), "EBADF"),
    ("clone3", ("clone3", None, 0), "ENOSYS"),
    ("new user namespace", ("clone", 0x10000000 | 17, None), "EPERM"),
    ("new time namespace", ("clone", 0x80 | 17, None), "EPERM"),
    ("unshare", ("unshare", 0x10000000), "EPERM"),
    ("setns", ("setns", 0, 0), "EPERM"),
    ("mount", ("mount", None, b"/", None, 0, None), "EPERM"),
    ("mount_setattr", ("mount_setattr", 0, None, 0, None, 0), "EPERM"),
    ("ptrace", ("ptrace", 0, 0, None, None), "EPERM"),
    ("bpf", ("bpf", 0, None, 0), "EPERM"),
    ("keyctl", ("keyctl", 0, 0), "EPERM"),
    ("io_uring", ("io_uring_setup", 1, None), "EPERM"),
    ("userfaultfd", ("userfaultfd", 0), "EPERM"),
    ("perf events", ("perf_event_open", None, 0, 0, 0, 0), "EPERM"),
    ("personality, asked", ("personality", 0xFFFFFFFF), "ok"),
    ("personality that makes memory executable", ("personality", 0x400000), "EPERM"),
    ("openat2", ("openat2", 0, None, None, 0), "ENOSYS"),
    ("a call of a later kernel", (max(NUMBERS.values()) + 1,), "ENOSYS"),
    ("a new file", ("openat", AT_FDCWD, b"plain", O_WRONLY | O_CREAT, 0o755), "ok"),
    ("chmod", ("fchmodat", AT_FDCWD, b"plain", 0o700), "ok"),
    ("chmod u+s", ("fchmodat", AT_FDCWD, b"plain", 0o4755), "EPERM"),
    ("chmod g+s", ("fchmodat", AT_FDCWD, b"plain", 0o2755), "EPERM"),
    ("new file u+s", ("openat", AT_FDCWD, b"new", O_WRONLY | O_CREAT, 0o4755), "EPERM"),
    ("new nameless file u+s", ("openat", AT_FDCWD, b".", O_WRONLY | O_TMPFILE, 0o4755), "EPERM"),
    ("open with a stray mode", ("openat", AT_FDCWD, b"plain", O_RDONLY, 0o4755), "ok"),
    ("new node u+s", ("mknodat", AT_FDCWD, b"node", 0o104755, 0), "EPERM"),
    ("directory", ("mkdirat", AT_FDCWD, b"directory", 0o2755), "ok"),
    ("capget", ("capget", None, None), "EFAULT"),
    ("chroot", ("chroot", b"/"), "EPERM"),
    ("own priority", ("setpriority", 0, 0, 19), "ok"),
    ("priority of the process group", ("setpriority", 1, 0, 19), "EPERM"),
    ("the same with a high bit", ("setpriority", 1 | HIGH, 0, 19), "EPERM"),
    ("priority of all of one's processes", ("setpriority", 2, 0, 19), "EPERM"),
    ("own I/O priority", ("ioprio_set", 1, 0, 3 << 13), "ok"),
    ("I/O priority of the process group", ("ioprio_set", 2, 0, 3 << 13), "EPERM"),
    ("I/O priority of all of one's processes", ("ioprio_set", 3, 0, 3 << 13), "EPERM"),
    ("own limits", ("prlimit64", 0, 4, b"\0" * 16, None), "ok"),
    ("another's limits, asked", ("prlimit64", os.getpid(), 4, None, None), "ok"),
    ("another's limits", ("prlimit64", os.getpid(), 4, b"\0" * 16, None), "EPERM"),
]

STRICT_KILLS: list[tuple[str, Call]] = [
    ("mount", ("mount", None, None, None, 0, None)),
    ("unshare", ("unshare", 0)),
    ("bpf", ("bpf", 0, None, 0)),
    ("new namespace", ("clone", 0x10000000 | 17, None)),
    ("TIOCSTI", ("ioctl", 0, 0x5412, None)),
    ("TIOCSTI with a high bit", ("ioctl", 0, 0x5412 | HIGH, None)),
    ("memory that is written and run", ("mmap", None, 4096, 7, 0x22, (1 << 64) - 1, 0)),
    ("memory made executable while writable", ("mprotect", None, 4096, 6)),
    ("memory protected by key, as well", ("pkey_mprotect", None, 4096, 6, 0)),
    ("new limits", ("prlimit64", 0, 7, b"\0" * 16, None)),
    ("memory file", ("memfd_create", b"x", 0)),
    ("executing a nameless file", ("execveat", 0, b"", None, None, 0x1000)),
    ("another option of prctl", ("prctl", 22, 2)),
    ("raising an ambient capability", ("prctl", 47, 2, 0)),
]

STRICT_ANSWERS: list[tuple[str, Call, str]] = [
    ("clone3", ("clone3", None, 0), "ENOSYS"),
    ("a call of a later kernel", (max(NUMBERS.values()) + 1,), "ENOSYS"),
    ("route socket", ("socket", 16, 3, 0), "EAFNOSUPPORT"),
    ("tcp socket", ("socket", 2, 1, 0), "ok"),
    ("chmod u+s", ("fchmodat", AT_FDCWD, b"plain", 0o4755), "EPERM"),
    ("writable memory", ("mmap", None, 4096, 3, 0x22, (1 << 64) - 1, 0), "ok"),
    ("executable memory", ("mmap", None, 4096, 5, 0x22, (1 << 64) - 1, 0), "ok"),
    ("limits, asked", ("prlimit64", 0, 7, None, None), "ok"),
    ("ambient capabilities, asked", ("prctl", 47, 1, 0), "ok"),
]


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def named(table: list) -> list:
    return [pytest.param(*row[1:], id=row[0]) for row in table]


def test_default_answers_each_call_as_written() -> None:
    got = answers(seccomp.builtin_program("default", ARCH), [call for _, call, _ in DEFAULT_ANSWERS])
    assert {row[0]: word for row, word in zip(DEFAULT_ANSWERS, got, strict=True)} == {
        name: word for name, _, word in DEFAULT_ANSWERS
    }


@pytest.mark.parametrize(("call",), named(STRICT_KILLS))
def test_strict_kills_the_process(call: Call) -> None:
    assert answers(seccomp.builtin_program("strict", ARCH), [call]) == ["SIGSYS"]


def test_strict_answers_what_programs_ask_before_they_go_on_without() -> None:
    got = answers(seccomp.builtin_program("strict", ARCH), [call for _, call, _ in STRICT_ANSWERS])
    assert {row[0]: word for row, word in zip(STRICT_ANSWERS, got, strict=True)} == {
        name: word for name, _, word in STRICT_ANSWERS
    }


@pytest.mark.parametrize("name", seccomp.PROFILES)
def test_the_launcher_can_read_the_lockdown_back_through_the_filter(name: str) -> None:
    got = answers(seccomp.builtin_program(name, ARCH), LAUNCHER_CALLS)
    assert "EPERM" not in got and "ENOSYS" not in got and len(got) == len(LAUNCHER_CALLS)


def test_a_call_of_the_x32_abi_reaches_nothing() -> None:
    if ARCH == "x86_64":
        x32_getpid: Call = ((1 << 30) | NUMBERS["getpid"],)
        assert answers(seccomp.builtin_program("default", ARCH), [x32_getpid]) == ["ENOSYS"]
        assert answers(seccomp.builtin_program("strict", ARCH), [x32_getpid]) == ["SIGSYS"]


def test_an_added_call_is_allowed_and_its_neighbours_are_not() -> None:
    program = seccomp.program("default", ("io_uring_setup",), ARCH)
    assert answers(program, [("io_uring_setup", 0, None), ("io_uring_enter", 0)])[1] == "EPERM"
    assert answers(program, [("io_uring_setup", 0, None)]) != ["EPERM"]


def test_a_program_executed_under_strict_starts() -> None:
    program = seccomp.builtin_program("strict", ARCH)
    arguments = (os.fsencode("/bin/true"), None, None)
    # execve does not come back: no word is written, and the child ends well.
    assert answers(program, [("execve", *arguments)]) == []
