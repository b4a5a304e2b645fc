"""What the built programs are and what they must not contain: they have to be small, static and free of libc."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from source_tree import PACKAGE, ROOT

PROGRAMS = {"nucleus-launch": 96 * 1024, "nucleus-log": 16 * 1024, "nucleus-trace": 16 * 1024}
FORBIDDEN = re.compile(
    r"^_*(malloc|calloc|realloc|free|.*printf|puts|fwrite|fopen|atexit|exit|abort|environ|getenv|setlocale"
    r"|errno|errno_location|libc_start_main|stack_chk_fail|pthread_.*|tls_get_addr)$"
)


def tool(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture(params=PROGRAMS)
def installed(request: pytest.FixtureRequest) -> Path:
    """A program as the package has it."""
    path = PACKAGE / "libexec" / request.param
    assert path.exists(), f"not built: {path}; run make build"
    return path


@pytest.fixture
def linked(installed: Path) -> Path:
    """The same with its symbols."""
    return ROOT / "build" / "launcher" / installed.name


def test_a_program_is_static_and_asks_for_no_interpreter(installed: Path) -> None:
    headers = tool("readelf", "--program-headers", "--wide", str(installed))
    kinds = {line.split()[0] for line in headers.splitlines() if re.match(r"\s+[A-Z_]+\s+0x", line)}
    assert not kinds & {"INTERP", "DYNAMIC", "TLS"}


def test_no_page_of_a_program_is_writable_and_executable(installed: Path) -> None:
    headers = tool("readelf", "--program-headers", "--wide", str(installed))
    flags = re.findall(r"^\s+(LOAD|GNU_STACK)\s.*?\s([RWE ]{3})\s+0x[0-9a-f]+$", headers, flags=re.M)
    assert len(flags) >= 2
    assert [entry for entry in flags if "W" in entry[1] and "E" in entry[1]] == []


def test_nothing_of_libc_is_in_a_program(linked: Path) -> None:
    symbols = [line.split()[-1] for line in tool("nm", str(linked)).splitlines()]
    assert "_start" in symbols
    assert [name for name in symbols if FORBIDDEN.match(name)] == []


def test_nothing_is_left_to_a_dynamic_linker(linked: Path) -> None:
    assert tool("nm", "--undefined-only", str(linked)).strip() == ""


def test_a_program_is_small(installed: Path) -> None:
    assert installed.stat().st_size <= PROGRAMS[installed.name]


def test_a_program_names_no_path_of_the_machine_that_built_it(installed: Path) -> None:
    content = installed.read_bytes()
    assert str(ROOT).encode() not in content
