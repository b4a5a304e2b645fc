"""The manifest of a root file system: every single change of the tree is named, and nothing leads out of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rows import every_row

from nucleus.base.errors import Conflict, SpecError
from nucleus.container.inputs import attestation


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "usr" / "bin").mkdir(parents=True)
    (root / "usr" / "bin" / "tool").write_bytes(b"\x7fELF" + bytes(1 << 20))
    (root / "usr" / "bin" / "tool").chmod(0o755)
    (root / "usr" / "bin" / "sh").symlink_to("tool")
    (root / "usr" / "empty").mkdir()
    (root / "etc").mkdir()
    (root / "etc" / "passwd").write_text("root:x:0:0::/:/bin/sh\n")
    (root / "etc" / os.fsdecode(b"na\xffme")).write_text("x")
    os.mkfifo(root / "etc" / "pipe")
    return root


def scan(root: Path) -> attestation.Manifest:
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return attestation.scan(fd)
    finally:
        os.close(fd)


def said(root: Path, meant: attestation.Manifest) -> list[str]:
    return attestation.differences(meant, scan(root))


def test_a_manifest_survives_its_file(tree: Path) -> None:
    meant = scan(tree)
    assert attestation.parse(attestation.text(meant), "m") == meant == scan(tree)
    assert attestation.text(meant) == attestation.text(scan(tree))


def one_byte(root: Path) -> str:
    with (root / "usr" / "bin" / "tool").open("r+b") as file:
        file.seek(1 << 20)
        file.write(b"\x01")
    return "'usr/bin/tool' has another content"


def mode(root: Path) -> str:
    (root / "etc" / "passwd").chmod(0o666)
    return "'etc/passwd' has another mode"


def longer(root: Path) -> str:
    with (root / "etc" / "passwd").open("a") as file:
        file.write("x")
    return "'etc/passwd' has another content and size"


def gone(root: Path) -> str:
    (root / "etc" / "passwd").unlink()
    return "'etc/passwd' is missing"


def new(root: Path) -> str:
    (root / "usr" / "empty" / "x").touch()
    return "'usr/empty/x' is not in the manifest"


def other_link(root: Path) -> str:
    (root / "usr" / "bin" / "sh").unlink()
    (root / "usr" / "bin" / "sh").symlink_to("/tmp/evil")
    return "'usr/bin/sh' has another target"


def link_for_file(root: Path) -> str:
    shutil.copy(root / "etc" / "passwd", root.parent / "same")
    (root / "etc" / "passwd").unlink()
    (root / "etc" / "passwd").symlink_to(root.parent / "same")
    return "'etc/passwd' has another mode and content and size and target and type"


def link_for_directory(root: Path) -> str:
    shutil.move(root / "usr", root.parent / "moved")
    (root / "usr").symlink_to(root.parent / "moved")
    return "'usr' has another mode and target and type"


def device_for_file(root: Path) -> str:
    (root / "etc" / "pipe").unlink()
    (root / "etc" / "pipe").touch()
    return "'etc/pipe' has another device and content and size and type"


def top(root: Path) -> str:
    root.chmod(0o777)
    return "'.' has another mode"


TAMPERINGS = (
    one_byte, mode, longer, gone, new, other_link, link_for_file, link_for_directory, device_for_file, top,
)  # fmt: skip


@pytest.mark.parametrize("tamper", TAMPERINGS)
def test_each_change_is_named_with_its_path(tree: Path, tamper: Callable[[Path], str]) -> None:
    meant = scan(tree)
    expected = tamper(tree)
    assert expected in said(tree, meant)


def test_all_changes_are_told_at_once_and_not_without_end(tree: Path) -> None:
    meant = scan(tree)
    for number in range(30):
        (tree / "etc" / f"new{number:02}").touch()
    fd = os.open(tree, os.O_RDONLY)
    with pytest.raises(Conflict, match="'etc/new00' is not in the manifest.* and 20 more"):
        attestation.refuse_other(fd, meant, "ROOT")
    os.close(fd)


def test_nothing_outside_of_the_tree_is_read(tree: Path) -> None:
    """A link to a file without end, and a pipe that nobody writes to."""
    (tree / "endless").symlink_to("/dev/zero")
    (tree / "loop").symlink_to(".")
    assert scan(tree)["endless"] == {
        "type": "link",
        "uid": os.getuid(),
        "gid": os.getgid(),
        "target": "/dev/zero",
    }
    assert scan(tree)["etc/pipe"]["type"] == "pipe"


@every_row(
    "data",
    [b"", b"\n", b"{}\n", b'{"nucleus-rootfs": 2}\n', b'{"nucleus-rootfs": 1}\nx\n', b'{"nucleus-rootfs": 1}\n[]\n',
     b'{"nucleus-rootfs": 1}\n{"path": 3}\n', b'{"nucleus-rootfs": 1}\n{"path": "a"}\n{"path": "a"}\n',
     b'{"nucleus-rootfs": 1}\n{"type": "file"}\n', b"\xff\n", b"[" * 100_000],
)  # fmt: skip
def test_what_is_no_manifest_is_refused(data: bytes) -> None:
    with pytest.raises(SpecError) as caught:
        attestation.parse(data, "m")
    assert caught.value.where.startswith("m") and caught.value.remedy


@settings(max_examples=60, deadline=None)
@given(at=st.integers(0, 1 << 30), bit=st.integers(0, 7))
def test_no_bit_of_a_manifest_can_be_flipped_unseen(at: int, bit: int) -> None:
    meant = {"a": {"type": "file", "mode": "0644", "uid": 0, "gid": 0, "size": 3, "sha256": "0" * 64}}
    data = bytearray(attestation.text(meant))
    data[at % len(data)] ^= 1 << bit
    try:
        found = attestation.parse(bytes(data), "m")
    except SpecError:
        return
    assert found != meant or bytes(data).split() == attestation.text(meant).split()
