"""What agents bring: configurations of tools in the home directory, and a root of tools."""

from __future__ import annotations

import pytest
from rows import every_row

from nucleus.base.errors import SpecError
from nucleus.cli.parser import parse_run
from nucleus.spec.paths import whole_home


@every_row(
    ("written", "target"),
    [
        ("./c:.gitconfig", "/home/agent/.gitconfig"),
        ("./c:.config/agent/", "/home/agent/.config/agent"),
        ("./c:/home/agent/.npmrc", "/home/agent/.npmrc"),
        ("a:b:.c", "/home/agent/.c"),
    ],
)
@every_row("way", ["ro", "rw"])
def test_where_a_configuration_lies_inside(written: str, target: str, way: str) -> None:
    spec = parse_run([f"--provider-config-{way}", written, "--", "true"])
    (found,) = spec.provider_config_ro if way == "ro" else spec.provider_config_rw
    assert (found.target, found.read_only) == (target, way == "ro")
    assert found.source == written.rpartition(":")[0]


@every_row(
    ("written", "says"),
    [
        ("./c", "not SRC:DEST"),
        ("./c:", "not SRC:DEST"),
        ("./c:/home/agent", "not below /home/agent"),
        ("./c:/home/agentx", "not below /home/agent"),
        ("./c:.", "not below /home/agent"),
        ("./c:../x", "contains '..'"),
        ("./c:/etc/gitconfig", "not below /home/agent"),
        ("/etc/gitconfig:.gitconfig", "never let in"),
        ("/:.gitconfig", "never let in"),
    ],
)
def test_a_configuration_that_is_refused(written: str, says: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_run(["--provider-config-ro", written, "--", "true"])
    (problem,) = caught.value.problems
    assert says in problem.message
    assert problem.where.startswith("--provider-config-ro")
    assert problem.remedy


def test_two_configurations_at_one_place_are_refused() -> None:
    words = ["--provider-config-ro", "a:.x", "--provider-config-rw", "b:.x"]
    with pytest.raises(SpecError, match="target of two options"):
        parse_run([*words, "--", "true"])


@every_row(
    ("path", "own", "refused"),
    [
        ("/home", "/root", True),
        ("/root", "/home/ann", True),
        ("/home/ann", "/root", True),
        ("/home/ann/.config/gh", "/root", False),
        ("/root/.gitconfig", "/root", False),
        ("/data/homes/ann", "/data/homes/ann", True),
        ("/data/homes/ann/.x", "/data/homes/ann", False),
    ],
)
def test_whole_homes(path: str, own: str, refused: bool) -> None:
    assert bool(whole_home(path, own)) is refused


def test_a_root_is_given_once() -> None:
    with pytest.raises(SpecError, match="gives the root already"):
        parse_run(["--rootfs", "/srv/a", "--agent-toolchain-rootfs", "/srv/b", "--", "true"])
    with pytest.raises(SpecError, match="whole host"):
        parse_run(["--agent-toolchain-rootfs", "/", "--", "true"])
    assert (
        parse_run(["--agent-toolchain-rootfs", "/srv/b", "--rootfs-mode", "overlay", "--", "true"]).rootfs
        == ""
    )
