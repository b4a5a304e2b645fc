"""Links that an earlier command has left in a workspace or a volume: nothing of a later run follows one.

Each docstring names the layer that stops the attack.
"""

from __future__ import annotations

import pytest
from sandboxes import Boxes

from nucleus.base.errors import LaunchError


def refused(boxes: Boxes, why: str, *words: str) -> None:
    """The launch is refused, quickly and for that reason."""
    ran = boxes.cli("run", *words, "--", "true")
    assert ran.code == 125
    assert why in ran.err


@pytest.mark.parametrize(
    ("link", "leads_to", "target"),
    [
        pytest.param("data", "/usr/local", "/workspace/data", id="absolute"),
        pytest.param("data", "../usr/local", "/workspace/data", id="relative"),
        pytest.param("data", "sub", "/workspace/data", id="within the workspace"),
        pytest.param("data", "/nowhere", "/workspace/data", id="dangling"),
        pytest.param("way", "/usr", "/workspace/way/local", id="on the way"),
        pytest.param("way", "/home/agent", "/workspace/way/new/data", id="on the way to what is missing"),
    ],
)
def test_a_link_that_was_planted_in_a_workspace_moves_no_mount(
    boxes: Boxes, link: str, leads_to: str, target: str
) -> None:
    """openat2 without links, for every target below the root: it would cover what the plan never named."""
    workspace, source = boxes.directory("work"), boxes.directory("source")
    (source / "file").write_text("")
    (workspace / "sub").mkdir()
    (workspace / link).symlink_to(leads_to)
    before = sorted(workspace.rglob("*"))
    for flag, value in (
        ("--volume", f"{source}:{target}"), ("--volume", f"{source}/file:{target}"), ("--tmpfs", f"{target}:1M"),
    ):  # fmt: skip
        with pytest.raises(LaunchError, match="symbolic link") as caught:
            boxes.run("--workspace", str(workspace), flag, value, "--", "true")
        assert caught.value.where == flag and "remove the link" in caught.value.remedy
    assert sorted(workspace.rglob("*")) == before, "nothing was made on the way"


def test_a_link_that_one_run_plants_is_refused_in_the_next(boxes: Boxes) -> None:
    """The first mounts there, the second is untrusted and has no such mount, the third would be led astray."""
    workspace, data = boxes.directory("work"), boxes.directory("data")
    flags = ("--workspace", str(workspace))
    mounted = (*flags, "--volume", f"{data}:/workspace/deep/data")
    assert boxes.run(*mounted, "--", "touch", "deep/data/made").exit_code == 0
    assert (data / "made").exists() and list((workspace / "deep/data").iterdir()) == []
    planted = "mv deep aside && ln -s /usr/local deep"
    assert boxes.run(*flags, "--", "sh", "-c", planted).exit_code == 0
    refused(boxes, "symbolic link", *mounted)
    assert (workspace / "deep").is_symlink()


def test_a_link_gives_no_rights_to_another_place(boxes: Boxes) -> None:
    """A Landlock policy that names a path of the workspace means that path: openat2 without links."""
    workspace, policy = boxes.directory("work"), boxes.folder / "policy.toml"
    policy.write_text(
        'min_abi = 1\n[[rules]]\npath = "/usr"\naccess = ["read", "execute"]\n'
        '[[rules]]\npath = "/bin"\naccess = ["read", "execute"]\n'
        '[[rules]]\npath = "/workspace/out"\naccess = ["all"]\noptional = true\n'
    )
    words = ("--workspace", str(workspace), "--landlock-policy", str(policy))
    assert boxes.run(*words, "--", "true").exit_code == 0
    (workspace / "out").symlink_to("/")
    refused(boxes, "/workspace/out is a symbolic link", *words)


def test_a_link_in_a_volume_moves_no_configuration(boxes: Boxes) -> None:
    """The same holds below every mount whose content others may write."""
    volume, settings = boxes.directory("volume"), boxes.folder / "settings"
    settings.write_text("a=1")
    (volume / "tool").symlink_to("/workspace")
    refused(
        boxes, "symbolic link", "--workspace", str(boxes.directory("work")),
        "--volume", f"{volume}:/home/agent/.config", "--provider-config-ro", f"{settings}:.config/tool/settings",
    )  # fmt: skip
