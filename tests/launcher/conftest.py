"""Programs and libraries that are built once for all tests of the launcher."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "plan"))

from native import SANITIZED, build

from nucleus.plan.encode import encode


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where what was built lies."""
    return tmp_path_factory.mktemp("launcher")


@pytest.fixture(scope="session")
def verdict(workshop: Path) -> Callable[[bytes, int], int]:
    """The launcher's decoder: 0 for a plan that it would run, else a negative error number."""
    sources = ("tests/decode_api.c", "plan_decode.c", "text.c")
    library = ctypes.CDLL(str(build(workshop / "decode.so", sources, ("-O2", "-shared", "-fPIC"))))
    library.decode_verdict.argtypes = (ctypes.c_char_p, ctypes.c_uint64, ctypes.c_uint32)
    return lambda data, slots: int(library.decode_verdict(data, len(data), slots))


@pytest.fixture(scope="session")
def plan_dump(workshop: Path) -> Path:
    """nucleus-plan-dump, with sanitizers."""
    return build(workshop / "nucleus-plan-dump", ("plan_dump.c", "plan_decode.c", "text.c"), SANITIZED)


@pytest.fixture(scope="session")
def encoded_samples(workshop: Path) -> list[Path]:
    """The sample plans as files."""
    from plan_strategies import sample_plans

    folder = workshop / "plans"
    folder.mkdir()
    for name, plan in sample_plans().items():
        (folder / name).write_bytes(encode(plan))
    return sorted(folder.iterdir())
