"""A filter that asks: the same decisions, told to whoever listens."""

from __future__ import annotations

from struct import iter_unpack, pack

import pytest
from rows import every_row

from nucleus.policy import seccomp
from nucleus.policy.seccomp_rules import ALLOW, TRACE, USER_NOTIF
from nucleus.policy.seccomp_trace import ARGUMENTS, everything_asked, masks, plain, refusals_asked
from nucleus.policy.syscall_tables import TABLES

ARCHITECTURES = ("x86_64", "aarch64")


def returns(program: bytes) -> set[int]:
    return {constant for opcode, _, _, constant in iter_unpack("<HBBI", program) if opcode == 6}


@every_row("arch", ARCHITECTURES)
@every_row("profile", seccomp.PROFILES)
def test_who_is_asked_about_refusals_alone_gives_the_program_back(profile: str, arch: str) -> None:
    program = seccomp.builtin_program(profile, arch)
    asked = refusals_asked(program)
    assert returns(asked) & {ALLOW}
    assert {r for r in returns(asked) if r != ALLOW} == {
        r for r in returns(asked) if r & 0xFFFF0000 == USER_NOTIF
    }
    assert plain(asked) == program


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_of_everything_only_the_end_of_a_process_is_not_asked_about(arch: str) -> None:
    asked = everything_asked(seccomp.builtin_program("default", arch), arch)
    numbers = {
        name: run(asked, arch, TABLES[arch][name])
        for name in ("exit", "exit_group", "read", "ptrace", "mount")
    }
    assert numbers["exit"] == numbers["exit_group"] == ALLOW
    assert numbers["read"] == TRACE | 0xFFFF
    assert numbers["ptrace"] == numbers["mount"] == TRACE | 1
    assert run(asked, arch, TABLES[arch]["exit"], machine=0x40000028) == TRACE | 0x8000


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_neither_another_tracer_nor_a_listener_can_be_had_whatever_the_profile_allows(arch: str) -> None:
    asked = everything_asked(pack("<HBBI", 0x06, 0, 0, ALLOW), arch)
    ptrace, filters = TABLES[arch]["ptrace"], TABLES[arch]["seccomp"]
    assert run(asked, arch, ptrace) == TRACE | 1
    assert (
        run(asked, arch, filters, arguments=(1, 8))
        == run(asked, arch, filters, arguments=(1, 9))
        == TRACE | 16
    )
    assert (
        run(asked, arch, filters, arguments=(1, 1))
        == run(asked, arch, filters, arguments=(2, 8))
        == TRACE | 0xFFFF
    )
    assert run(asked, arch, TABLES[arch]["exit"]) == run(asked, arch, TABLES[arch]["exit_group"]) == ALLOW


def test_what_a_profile_leaves_to_a_tracer_of_its_own_fails_as_where_there_is_none() -> None:
    asked = everything_asked(pack("<HBBI", 0x06, 0, 0, TRACE | 7), "x86_64")
    assert run(asked, "x86_64", 0) == TRACE | 38


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_every_call_that_has_arguments_of_note_is_one_of_a_table(arch: str) -> None:
    assert len(masks(arch)) == 1024
    assert [name for name in ARGUMENTS if not any(name in table for table in TABLES.values())] == []
    assert masks(arch)[TABLES[arch]["socket"]] == 0b111


def run(program: bytes, arch: str, number: int, machine: int = 0, arguments: tuple[int, int] = (0, 0)) -> int:
    """What the program returns for a call."""
    words = {0: number, 4: machine or {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}[arch]}
    words |= {16: arguments[0], 24: arguments[1]}
    code = list(iter_unpack("<HBBI", program))
    at = accumulator = 0
    while True:
        opcode, true, false, constant = code[at]
        at += 1
        if opcode == 0x06:
            return int(constant)
        if opcode == 0x20:
            accumulator = words.get(constant, 0)
        elif opcode == 0x54:
            accumulator &= constant
        elif opcode == 0x05:
            at += constant
        else:
            holds = {
                0x15: accumulator == constant, 0x25: accumulator > constant, 0x35: accumulator >= constant,
                0x45: bool(accumulator & constant),
            }[opcode]  # fmt: skip
            at += true if holds else false
