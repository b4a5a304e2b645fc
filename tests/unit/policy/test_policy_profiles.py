"""The built-in seccomp profiles as data: complete, consistent, and what both must and must never allow."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from rows import every_row

from nucleus.base.errors import HostUnsupported, SpecError
from nucleus.policy import seccomp, seccomp_default, seccomp_strict
from nucleus.policy.seccomp_allow import NEVER, OPT_IN, extend, opt_in_names
from nucleus.policy.seccomp_bpf import compile_filter
from nucleus.policy.seccomp_default import DEFAULT
from nucleus.policy.seccomp_filters import LAUNCHER_CALLS
from nucleus.policy.seccomp_rules import ALLOW, KILL_PROCESS, Filter, decide, decisions, errno_answer
from nucleus.policy.seccomp_strict import STRICT
from nucleus.policy.syscall_tables import NEWEST, TABLES

SRC = Path(seccomp.__file__).parents[2]
EVERY_NAME = {name for table in TABLES.values() for name in table}
EPERM, ENOSYS = errno_answer(1), errno_answer(38)
BOTH = every_row("profile", [DEFAULT, STRICT], ids=lambda p: p.name)
EACH_ARCH = every_row("arch", seccomp.ARCHITECTURES)


def answer(profile: Filter, name: str, *arguments: int, arch: str = "x86_64") -> int:
    given = (*arguments, *(0,) * (6 - len(arguments)))
    return decide(profile, arch, TABLES[arch][name], given)


@EACH_ARCH
@every_row("name", seccomp.PROFILES)
def test_the_committed_program_is_what_the_compiler_makes(name: str, arch: str) -> None:
    assert seccomp.builtin_program(name, arch) == compile_filter(seccomp.profile(name), arch)


@BOTH
@EACH_ARCH
def test_the_launcher_can_prove_the_lockdown_and_execute(profile: Filter, arch: str) -> None:
    known = decisions(profile, arch)
    assert {name for name in LAUNCHER_CALLS if known[TABLES[arch][name]] != ((), ALLOW)} == set()
    for option in (21, 23, 39):
        assert answer(profile, "prctl", option, arch=arch) == ALLOW


@BOTH
def test_every_rule_names_calls_that_exist_and_says_why(profile: Filter) -> None:
    assert {name for rule in profile.rules for name in rule.calls} <= EVERY_NAME
    assert all(rule.why for rule in profile.rules)


def test_the_default_profile_takes_a_stand_on_every_call() -> None:
    refused = {name for _, calls in seccomp_default.REFUSED_GROUPS.values() for name in calls.split()}
    ruled = {name for rule in DEFAULT.rules for name in rule.calls}
    assert refused | ruled == EVERY_NAME
    assert refused & ruled == set()


@every_row("groups", [seccomp_default.GROUPS, seccomp_strict.GROUPS], ids=["default", "strict"])
def test_no_call_stands_in_two_groups(groups: dict[str, tuple[str, str]]) -> None:
    listed = [name for _, calls in groups.values() for name in calls.split()]
    assert sorted({name for name in listed if listed.count(name) > 1}) == []


@EACH_ARCH
def test_what_strict_lets_pass_default_does_too(arch: str) -> None:
    default = decisions(DEFAULT, arch)
    for number, (rules, otherwise) in decisions(STRICT, arch).items():
        if otherwise == ALLOW and not rules:
            assert default[number][1] == ALLOW


ESCAPES = (
    *(
        "unshare",
        "setns",
        "mount",
        "umount2",
        "pivot_root",
        "open_tree",
        "move_mount",
        "fsopen",
        "mount_setattr",
    ),
    *("ptrace", "process_vm_readv", "process_vm_writev", "bpf", "perf_event_open", "userfaultfd", "keyctl"),
    *("add_key", "request_key", "io_uring_setup", "io_uring_enter", "io_uring_register", "open_by_handle_at"),
    *("init_module", "finit_module", "kexec_load", "kexec_file_load", "reboot", "swapon", "acct", "quotactl"),
    *("settimeofday", "clock_settime", "clock_adjtime", "adjtimex", "sethostname", "syslog", "chroot"),
)


@EACH_ARCH
@every_row("name", ESCAPES)
def test_ways_out_are_closed_in_both_profiles(name: str, arch: str) -> None:
    assert answer(DEFAULT, name, arch=arch) == EPERM
    assert answer(STRICT, name, arch=arch) == KILL_PROCESS


@BOTH
@EACH_ARCH
def test_calls_that_cannot_be_looked_into_and_later_ones_do_not_exist(profile: Filter, arch: str) -> None:
    assert answer(profile, "clone3", arch=arch) == ENOSYS
    assert answer(profile, "openat2", arch=arch) == ENOSYS
    assert decide(profile, arch, NEWEST[arch] + 1, (0,) * 6) == ENOSYS


@every_row("flag", [0x80, *(1 << bit for bit in (17, 25, 26, 27, 28, 29, 30))], ids=hex)
def test_clone_makes_threads_and_processes_but_no_namespace(flag: int) -> None:
    assert answer(DEFAULT, "clone", 17) == answer(STRICT, "clone", 0x3D0F00) == ALLOW
    assert answer(DEFAULT, "clone", flag | 17) == EPERM
    assert answer(STRICT, "clone", flag | 17) == KILL_PROCESS


@every_row("protection", range(8))
def test_strict_memory_is_writable_or_executable_never_both(protection: int) -> None:
    wanted = KILL_PROCESS if protection & 6 == 6 else ALLOW
    assert answer(STRICT, "mmap", 0, 4096, protection) == wanted
    assert answer(STRICT, "mprotect", 0, 4096, protection) == wanted
    keyed = extend(STRICT, ["pkey_mprotect"])
    assert answer(keyed, "pkey_mprotect", 0, 4096, protection) == wanted


@BOTH
@every_row("mode", [0o4755, 0o2755, 0o6000], ids=oct)
def test_no_file_becomes_set_user_id(profile: Filter, mode: int) -> None:
    makes, opens = 0o101, 0o2
    refused = [
        answer(profile, "chmod", 0, mode), answer(profile, "fchmod", 3, mode),
        answer(profile, "fchmodat", 3, 0, mode), answer(profile, "fchmodat2", 3, 0, mode),
        answer(profile, "creat", 0, mode), answer(profile, "mknod", 0, mode),
        answer(profile, "mknodat", 3, 0, mode), answer(profile, "open", 0, makes, mode),
        answer(profile, "openat", 3, 0, makes, mode),
    ]  # fmt: skip
    assert set(refused) == {EPERM}
    assert answer(profile, "openat", 3, 0, opens, mode) == ALLOW
    assert answer(profile, "openat", 3, 0, makes, 0o1777) == ALLOW


@EACH_ARCH
def test_no_priority_of_a_whole_group_or_user_can_be_set(arch: str) -> None:
    more = extend(STRICT, ["setpriority", "ioprio_set"])
    for profile in (DEFAULT, more):
        for name, of_a_process in (("setpriority", 0), ("ioprio_set", 1)):
            for high in (0, 1 << 32):
                assert answer(profile, name, of_a_process | high, 5, arch=arch) == ALLOW
                for which in {0, 1, 2, 3} - {of_a_process}:
                    assert answer(profile, name, which | high, arch=arch) == EPERM
    assert (
        answer(STRICT, "setpriority", arch=arch) == answer(STRICT, "ioprio_set", 1, arch=arch) == KILL_PROCESS
    )


@EACH_ARCH
def test_limits_of_others_can_be_asked_but_not_set(arch: str) -> None:
    limits, high = 0x7FFF0000, 1 << 32
    assert answer(DEFAULT, "prlimit64", 0, 7, limits, arch=arch) == ALLOW
    assert answer(DEFAULT, "prlimit64", high, 7, limits, arch=arch) == ALLOW  # the kernel's pid is an int
    assert answer(DEFAULT, "prlimit64", 5, 7, 0, limits, arch=arch) == ALLOW
    assert answer(DEFAULT, "prlimit64", 5, 7, limits, arch=arch) == EPERM
    assert answer(DEFAULT, "prlimit64", 5, 7, high, arch=arch) == EPERM
    assert answer(STRICT, "prlimit64", 0, 7, 0, arch=arch) == ALLOW
    assert answer(STRICT, "prlimit64", 0, 7, limits, arch=arch) == KILL_PROCESS


def test_an_unknown_profile_and_a_foreign_machine_are_named() -> None:
    with pytest.raises(SpecError) as of_profile:
        seccomp.program("lax", (), "x86_64")
    assert "lax" in of_profile.value.message and "builtin:strict" in of_profile.value.remedy
    with pytest.raises(HostUnsupported) as of_machine:
        seccomp.program("default", (), "riscv64")
    assert "riscv64" in of_machine.value.message and of_machine.value.remedy


def test_the_plain_case_loads_no_compiler_and_no_profile() -> None:
    code = (
        "import sys; from nucleus.policy import seccomp; seccomp.program('strict', (), 'x86_64'); "
        "print(*[m.rpartition('.')[2] for m in sys.modules if m.startswith('nucleus.policy.')])"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(SRC)!r}); {code}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["seccomp", "seccomp_prebuilt"]


@BOTH
@EACH_ARCH
def test_every_call_that_may_be_added_can_be_added(profile: Filter, arch: str) -> None:
    more = extend(profile, opt_in_names())
    known, added = decisions(more, arch), [name for name in opt_in_names() if name in TABLES[arch]]
    allowing = {
        n for n, (rules, other) in known.items() if ALLOW in (other, *(action for _, action in rules))
    }
    assert {name for name in added if TABLES[arch][name] not in allowing} == set()
    assert compile_filter(more, arch)


@BOTH
@every_row("name", NEVER)
def test_what_leads_out_of_the_sandbox_cannot_be_added(profile: Filter, name: str) -> None:
    with pytest.raises(SpecError, match="never"):
        extend(profile, [name])


def test_all_that_cannot_be_added_is_named_at_once_with_the_nearest_name() -> None:
    with pytest.raises(SpecError) as caught:
        seccomp.program("strict", ("io_uring_setpu", "mount", "sysinfo"), "x86_64")
    first, second = caught.value.problems
    assert "io_uring_setup" in first.remedy and first.where == "--seccomp-allow"
    assert "mount" in second.message and second.remedy


def test_adding_a_call_that_is_allowed_already_keeps_its_conditions() -> None:
    for name in ("socket", "ioctl", "prctl", "mmap", "openat", "read"):
        assert extend(STRICT, [name]) is STRICT


def test_an_added_call_is_allowed_and_nothing_else_changes() -> None:
    more = extend(STRICT, ["sysinfo", "openat2"])
    before = decisions(STRICT, "x86_64")
    changed = {n for n, decision in decisions(more, "x86_64").items() if decision != before[n]}
    assert changed == {TABLES["x86_64"]["sysinfo"], TABLES["x86_64"]["openat2"]}
    assert answer(more, "sysinfo") == answer(more, "openat2") == ALLOW


def test_the_page_about_the_filter_lists_what_can_be_added() -> None:
    page = (SRC.parent / "docs/explain/seccomp.md").read_text(encoding="utf-8")
    for purpose, calls in OPT_IN.items():
        assert f"| {purpose} | {calls} |" in page
