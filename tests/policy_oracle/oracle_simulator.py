"""The C simulator of seccomp filters, built with the machine's compiler.  ✗ no expectations."""

from __future__ import annotations

import ctypes
import functools
import os
import shlex
import subprocess
import tempfile
from pathlib import Path

SOURCE = Path(__file__).with_name("bpf_sim.c")
KERNEL_LIMIT = 4096  # instructions
INSTRUCTION, CALL = 8, 64  # bytes: struct sock_filter, struct seccomp_data


class NotAFilter(Exception):
    """The kernel would not take this program."""


@functools.cache
def _library() -> ctypes.CDLL:
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "bpf_sim.so")
        compiler = shlex.split(os.environ.get("CC", "cc"))
        command = [*compiler, "-std=c11", "-Wall", "-Wextra", "-Werror", "-O2", "-shared", "-fPIC"]
        subprocess.run([*command, "-o", str(target), str(SOURCE)], check=True)
        library = ctypes.CDLL(str(target))
    pointer, u64 = ctypes.c_char_p, ctypes.c_uint64
    u32, buffer = ctypes.c_uint32, ctypes.c_void_p
    library.simulate.argtypes = [pointer, u32, u32, pointer, u64, buffer, buffer]
    library.steps.argtypes = [pointer, ctypes.c_uint32, ctypes.c_uint32]
    library.steps.restype = u64
    return library


def simulate(program: bytes, calls: bytes, *, limit: int = KERNEL_LIMIT) -> tuple[list[int], bytes]:
    """The answer to each call, and two bytes per instruction: a jump there was not taken, was taken."""
    count, length = len(calls) // CALL, len(program) // INSTRUCTION
    answers = (ctypes.c_uint32 * count)()
    went = ctypes.create_string_buffer(2 * length)
    refused = _library().simulate(program, length, limit, calls, count, answers, went)
    if refused:
        raise NotAFilter(refused)
    return list(answers), went.raw


def steps(program: bytes, arch: int, number: int) -> int:
    """Instructions that the kernel's run at installation takes for one call number."""
    return int(_library().steps(program, arch, number))


def one_way_branches(program: bytes, went: bytes) -> list[int]:
    """Conditional jumps that went only one way, or never were reached."""
    found = []
    for at in range(len(program) // INSTRUCTION):
        opcode = int.from_bytes(program[at * 8 : at * 8 + 2], "little")
        if opcode & 7 == 5 and opcode != 5 and went[2 * at : 2 * at + 2] != b"\1\1":
            found.append(at)
    return found
