"""Configurations of tools in the home directory, and a root of tools for an agent, on the real kernel."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from sandboxes import Boxes

pytestmark = pytest.mark.identity("root", "user")


def owned(boxes: Boxes, name: str) -> Path:
    """A directory whose owner the workload is."""
    return boxes.directory(name, (1000, 1000) if os.geteuid() == 0 else None)


def given(path: Path, text: str) -> Path:
    """A file of the same owner as its directory."""
    path.write_text(text)
    if os.geteuid() == 0:
        os.chown(path, 1000, 1000)
    return path


SCRIPT = """
cat ~/.gitconfig ~/.config/agent/settings
echo x 2>/dev/null >>~/.gitconfig || echo refused
echo new >>~/.config/agent/settings
ls -A ~
"""


def test_a_configuration_lies_in_the_home_directory_as_it_was_asked(boxes: Boxes) -> None:
    folder = owned(boxes, "agent")
    settings, config = given(folder / "settings", "old\n"), given(folder / "gitconfig", "[user]\n")
    result = boxes.run(
        "--provider-config-ro", f"{config}:.gitconfig", "--provider-config-rw", f"{folder}:.config/agent",
        "--", "sh", "-c", SCRIPT,
    )  # fmt: skip
    assert result.out.split() == ["[user]", "old", "refused", ".config", ".gitconfig"], result.err
    assert settings.read_text() == "old\nnew\n"
    assert config.read_text() == "[user]\n"


def test_nothing_in_a_configuration_is_executed(boxes: Boxes) -> None:
    folder = owned(boxes, "agent")
    program = given(folder / "run", "#!/bin/sh\necho ran\n")
    program.chmod(0o755)
    result = boxes.run(
        "--provider-config-rw", f"{folder}:.rw", "--provider-config-ro", f"{folder}:.ro",
        "--", "sh", "-c", "~/.rw/run; echo $?; ~/.ro/run; echo $?",
    )  # fmt: skip
    assert result.out.split() == ["126", "126"]


def test_a_toolchain_is_the_root_wherever_it_lies(boxes: Boxes) -> None:
    root = boxes.directory("tools")
    (root / "bin").mkdir()
    shutil.copy(boxes.probe_folder / "probe", root / "bin" / "probe")
    result = boxes.run("--agent-toolchain-rootfs", str(root), "--", "probe", "try", "getpid")
    assert (result.exit_code, result.err) == (0, "")
    production = ["--service-mode", "production", "--memory", "64M", "--cpus", "1"]
    done = boxes.cli("run", *production, "--agent-toolchain-rootfs", str(root), "--", "probe")
    assert done.code == 125
    assert "--agent-toolchain-rootfs: mode production takes no toolchain for a root" in done.err


def test_a_toolchain_that_is_none_is_refused_by_its_own_name(boxes: Boxes) -> None:
    done = boxes.cli("run", "--agent-toolchain-rootfs", str(boxes.directory("empty")), "--", "true")
    assert done.code == 125
    assert done.err.startswith("nucleus: --agent-toolchain-rootfs: ")
