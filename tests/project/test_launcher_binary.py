"""What the built launcher is and what it must not contain: it has to be small, static and free of libc."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from source_tree import PACKAGE, ROOT

INSTALLED = PACKAGE / "libexec" / "nucleus-launch"
LINKED = ROOT / "build" / "launcher" / "nucleus-launch"
FORBIDDEN = re.compile(
    r"^_*(malloc|calloc|realloc|free|.*printf|puts|fwrite|fopen|atexit|exit|abort|environ|getenv|setlocale"
    r"|errno|errno_location|libc_start_main|stack_chk_fail|pthread_.*|tls_get_addr)$"
)
MAX_BYTES = 96 * 1024


def tool(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture(autouse=True)
def built() -> None:
    missing = [str(path) for path in (INSTALLED, LINKED) if not path.exists()]
    assert not missing, f"not built: {missing}; run make build"


def test_the_launcher_is_static_and_asks_for_no_interpreter() -> None:
    headers = tool("readelf", "--program-headers", "--wide", str(INSTALLED))
    kinds = {line.split()[0] for line in headers.splitlines() if re.match(r"\s+[A-Z_]+\s+0x", line)}
    assert not kinds & {"INTERP", "DYNAMIC", "TLS"}


def test_no_page_of_the_launcher_is_writable_and_executable() -> None:
    headers = tool("readelf", "--program-headers", "--wide", str(INSTALLED))
    flags = re.findall(r"^\s+(LOAD|GNU_STACK)\s.*?\s([RWE ]{3})\s+0x[0-9a-f]+$", headers, flags=re.M)
    assert len(flags) >= 2
    assert [entry for entry in flags if "W" in entry[1] and "E" in entry[1]] == []


def test_nothing_of_libc_is_in_the_launcher() -> None:
    symbols = [line.split()[-1] for line in tool("nm", str(LINKED)).splitlines()]
    assert "_start" in symbols
    assert [name for name in symbols if FORBIDDEN.match(name)] == []


def test_nothing_is_left_to_a_dynamic_linker() -> None:
    assert tool("nm", "--undefined-only", str(LINKED)).strip() == ""


def test_the_launcher_is_small() -> None:
    assert INSTALLED.stat().st_size <= MAX_BYTES


def test_the_launcher_names_no_path_of_the_machine_that_built_it() -> None:
    content = Path(INSTALLED).read_bytes()
    assert str(ROOT).encode() not in content
