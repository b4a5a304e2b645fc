"""The list of devices that a container's cgroup is given: as a program of the kernel's and as lines of v1."""

from __future__ import annotations

import struct

from rows import every_row

from nucleus.plan.limits import DEVICES, device_program, device_writes

BLOCK, CHARACTER = 1, 2
MKNOD, READ, WRITE = 1, 2, 4


def answer(kind: int, access: int, major: int, minor: int) -> int:
    """What the program answers; an instruction that it should not have is a KeyError."""
    code = list(struct.iter_unpack("<BBhi", device_program()))
    context = {0: access << 16 | kind, 4: major, 8: minor}
    registers = {1: 0}
    at = 0
    while True:
        operation, both, offset, value = code[at]
        to, source = both & 15, both >> 4
        at += 1
        if operation == 0x95:
            return registers[0]
        if operation == 0x61:
            assert source == 1
            registers[to] = context[offset]
        elif operation == 0xB7:
            registers[to] = value
        elif operation == 0x54:
            registers[to] &= value
        else:
            jumps = {
                0x55: registers[to] != value, 0x15: registers[to] == value, 0x45: bool(registers[to] & value),
            }  # fmt: skip
            assert offset >= 0
            at += offset if jumps[operation] else 0


@every_row(("major", "minor"), DEVICES)
def test_a_device_of_the_list_is_read_and_written_and_never_made(major: int, minor: int | None) -> None:
    for number in (minor,) if minor is not None else (0, 255, 1 << 19):
        assert [answer(CHARACTER, access, major, number) for access in (READ, WRITE, READ | WRITE)] == [1] * 3
        assert answer(CHARACTER, MKNOD, major, number) == answer(CHARACTER, MKNOD | READ, major, number) == 0
        assert answer(BLOCK, READ, major, number) == 0


def test_every_other_device_is_refused() -> None:
    listed = set(DEVICES)
    for major in (*range(20), 135, 137, 188, 226, 254):
        for minor in range(20):
            assert answer(CHARACTER, READ, major, minor) == int((major, minor) in listed), (major, minor)


def test_the_v1_controller_is_told_the_same_after_everything_was_taken() -> None:
    first, *others = device_writes()
    assert first == ("devices.deny", "a")
    assert [value for _, value in others] == [
        f"c {major}:{'*' if minor is None else minor} rw" for major, minor in DEVICES
    ]
    assert {file for file, _ in others} == {"devices.allow"}
