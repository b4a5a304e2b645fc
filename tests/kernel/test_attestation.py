"""A root file system that is not what was attested starts nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from sandboxes import Boxes

# No kernel decides it; reading a root takes long in an emulator.
pytestmark = pytest.mark.identity("root", "user", "nosub")
FLAG = "--verify-rootfs-attestation"


@pytest.fixture
def root(boxes: Boxes) -> Path:
    """A root of one program and its libraries."""
    folder = boxes.directory("root")
    listed = subprocess.run(["ldd", "/bin/sh"], capture_output=True, text=True, check=True).stdout
    for path in ("/bin/sh", *[word for word in listed.split() if word.startswith("/")]):
        place = folder / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place)
    (folder / "etc").mkdir()
    (folder / "etc" / "motd").write_text("hello\n")
    return folder


def attested(boxes: Boxes, root: Path, *more: str) -> str:
    made = boxes.nucleus("rootfs", "attest", *more, str(root))
    assert made.code == 0, made.err
    return made.out.strip()


def start(boxes: Boxes, root: Path, *flags: str) -> tuple[int, str, bool]:
    """Exit code, error, and whether any code of the workload has run."""
    work = boxes.folder / "ran"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    ran = boxes.cli(
        "run",
        "--rm",
        "--rootfs",
        str(root),
        "--workspace",
        str(work),
        *flags,
        "--",
        "sh",
        "-c",
        "echo >>/workspace/x",
    )
    return ran.code, ran.err, (work / "x").exists()


def test_a_root_that_is_as_attested_starts(boxes: Boxes, root: Path) -> None:
    digest = attested(boxes, root)
    assert start(boxes, root, FLAG) == (0, "", True)
    assert start(boxes, root, FLAG, "--rootfs-attestation-sha256", digest) == (0, "", True)
    elsewhere = boxes.folder / "manifest"
    (root / ".nucleus-rootfs-sha256").rename(elsewhere)
    assert start(boxes, root, FLAG, "--rootfs-attestation", str(elsewhere)) == (0, "", True)


def one_byte(root: Path) -> str:
    (root / "etc" / "motd").write_text("hellO\n")
    return "etc/motd"


def one_library_byte(root: Path) -> str:
    library = next(path for path in sorted(root.rglob("*.so*")) if path.is_file())
    with library.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        last = file.read(1)
        file.seek(-1, os.SEEK_END)
        file.write(bytes([last[0] ^ 1]))
    return str(library.relative_to(root))


def another_file(root: Path) -> str:
    (root / "etc" / "ld.so.preload").write_text("/workspace/evil.so\n")
    return "etc/ld.so.preload"


@pytest.mark.parametrize("tamper", [one_byte, one_library_byte, another_file])
def test_one_byte_stops_the_launch_before_anything_runs(
    boxes: Boxes, root: Path, tamper: Callable[[Path], str]
) -> None:
    attested(boxes, root)
    path = tamper(root)
    code, error, ran = start(boxes, root, FLAG)
    assert (code, ran) == (125, False) and path in error, error
    told = boxes.nucleus("rootfs", "verify", str(root))
    assert told.code == 1 and path in told.out


def test_another_manifest_stops_the_launch(boxes: Boxes, root: Path) -> None:
    digest = attested(boxes, root)
    (root / "etc" / "motd").write_text("evil\n")
    attested(boxes, root)  # whoever can write here makes the manifest fit
    assert start(boxes, root, FLAG)[0] == 0
    code, error, ran = start(boxes, root, FLAG, "--rootfs-attestation-sha256", digest)
    assert (code, ran) == (125, False) and "--rootfs-attestation-sha256" in error
    (root / ".nucleus-rootfs-sha256").unlink()
    code, error, ran = start(boxes, root, FLAG)
    assert (code, ran) == (125, False) and "nucleus rootfs attest" in error


def test_a_manifest_without_a_root_is_refused(boxes: Boxes) -> None:
    ran = boxes.cli("run", FLAG, "--", "true")
    assert ran.code == 125 and "--rootfs" in ran.err
