"""Runs whose system calls are recorded, and what the records say.  ✗ tests."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

from sandboxes import Boxes, descendants

from nucleus.policy.syscall_tables import TABLES

NAMES = {number: name for name, number in TABLES[os.uname().machine].items()}


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def counts(path: Path, answer: str = "allow") -> Counter[str]:
    found: Counter[str] = Counter()
    for line in lines_of(path):
        if "syscall" in line and line["answer"] == answer:
            found[NAMES[line["syscall"]]] += line["count"]
    return found


def traced(boxes: Boxes, *words: str, flags: tuple[str, ...] = ()) -> tuple[Any, Path]:
    log = boxes.folder / "calls.jsonl"
    result = boxes.run("--seccomp-mode", "trace", "--seccomp-log", str(log), *flags, "--", *words)
    return result, log


def tracers() -> list[int]:
    return [pid for pid, name in descendants().items() if name == "nucleus-trace"]


PTRACE = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
print(libc.ptrace(0, 0, 0, 0), ctypes.get_errno())
"""
