"""Detached containers as units: what crosses over to the manager, and what the unit makes of it."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from sandboxes import PATIENCE_S, Boxes, reap_orphans, wait_until

from nucleus.base.errors import Conflict, HostUnsupported, LaunchError, NotFound, SpecError
from nucleus.cgroup import tree
from nucleus.container import systemd
from nucleus.container.container import Container

pytestmark = pytest.mark.identity("root", "user")  # the real one: `test_service_manager.py`


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A manager for whoever does not say `none`."""
    program = tmp_path / "systemd-run"
    shutil.copy(Path(__file__).with_name("fake_systemd_run.py"), program)
    monkeypatch.setattr(tree, "SYSTEMD_RUN", (str(program),))
    monkeypatch.setattr(systemd, "manager", lambda spec, _: "" if spec.detach_with == "none" else "system")
    return program


def test_a_container_lives_in_its_unit_from_create_to_gone(boxes: Boxes, manager: Path) -> None:
    work = boxes.directory("work")
    os.chmod(work, 0o777)
    box = Container.create(
        ["sh", "-c", "trap 'exit 3' TERM; echo $A >>/workspace/out; while :; do sleep 0.02; done"],
        root=str(boxes.root), name="web", env={"A": "one"}, workspace=str(work), stop_signal="TERM",
    )  # fmt: skip
    known = box.inspect()
    assert (known["status"], known["detached"]) == ("created", f"nucleus-{box.id[:12]}.service")
    assert not (work / "out").exists()
    box.start()
    wait_until(lambda: (work / "out").exists() and (work / "out").read_text() == "one\n")
    box.rename("other")
    box.restart()
    wait_until(lambda: (work / "out").read_text() == "one\none\n")
    assert (box.name, box.status) == ("other", "running")
    events = [json.loads(line)["type"] for line in boxes.cli("events", "--format", "json").out.splitlines()]
    assert events[-1] == "restarted" and {"created", "started", "renamed", "stopping", "stopped"} <= {*events}
    box.stop(grace_s=PATIENCE_S)
    assert box.wait().exit_code == 3
    box.remove()
    reap_orphans()


def test_what_the_unit_cannot_do_is_told_by_the_caller_and_leaves_nothing(
    boxes: Boxes, manager: Path
) -> None:
    for options, kind, word in (
        ({"volume": ["/no/such/path:/data"]}, SpecError, "/no/such/path"),
        ({"user": "nobody-knows-him"}, SpecError, "nobody-knows-him"),
    ):
        with pytest.raises(kind) as caught:
            Container.create(["true"], root=str(boxes.root), name="web", **options)
        assert word in str(caught.value)
    box = Container.create(["no-such-program"], root=str(boxes.root), name="web", rm=True)
    with pytest.raises(Conflict):
        Container.create(["true"], root=str(boxes.root), name="web")
    with pytest.raises(LaunchError) as failed:
        box.start()
    assert failed.value.exit_code == 127 and "no-such-program" in failed.value.message
    with pytest.raises(NotFound):
        box.inspect()
    assert os.listdir(boxes.root / "containers") == os.listdir(boxes.root / "names") == []


def test_without_a_unit_whoever_did_not_demand_one_goes_on(boxes: Boxes, manager: Path) -> None:
    manager.with_name("systemd-run.broken").touch()
    box = Container.create(["true"], root=str(boxes.root), name="web")
    assert box.inspect()["detached"] == "none"
    box.remove(force=True)
    with pytest.raises(HostUnsupported) as caught:
        Container.create(["true"], root=str(boxes.root), name="web", detach_with="systemd")
    assert "bus" in caught.value.message and caught.value.where == "--detach-with"
    assert os.listdir(boxes.root / "containers") == os.listdir(boxes.root / "names") == []


def test_a_supervisor_is_what_its_unit_executes(boxes: Boxes, manager: Path) -> None:
    work = boxes.directory("work")
    os.chmod(work, 0o777)
    (work / "out").touch()
    (work / "out").chmod(0o666)
    script = (
        "trap 'exit 3' TERM; echo life >>/workspace/out; test $(wc -l </workspace/out) -ge 3 || exit 7;"
        "while :; do sleep 0.02; done"
    )
    box = Container.create(
        ["sh", "-c", script], root=str(boxes.root), workspace=str(work), detach_with="systemd",
        restart="on-failure",
    )  # fmt: skip
    assert (box.status, box.inspect()["detached"]) == ("created", f"nucleus-{box.id[:12]}.service")
    box.start()
    wait_until(lambda: (work / "out").read_text() == "life\n" * 3 and box.status == "running")
    assert box.inspect()["restarts"] == 2
    box.stop(grace_s=PATIENCE_S)
    assert (box.wait().exit_code, box.status) == (3, "stopped")
    box.start()
    wait_until(lambda: (work / "out").read_text() == "life\n" * 4 and box.status == "running")
    assert box.inspect()["detached"] == f"nucleus-{box.id[:12]}.service"
    box.remove(force=True)
    with pytest.raises(LaunchError) as failed:
        Container.run(
            ["no-such-program"], root=str(boxes.root), detach_with="systemd", restart="always", name="none"
        )
    assert failed.value.exit_code == 127 and "no-such-program" in failed.value.message
    with pytest.raises(SpecError, match="/no/such/path"):
        Container.run(
            ["true"],
            root=str(boxes.root),
            detach_with="systemd",
            restart="always",
            volume=["/no/such/path:/d"],
        )
    reap_orphans()


def test_a_unit_applies_the_changes_of_a_copied_workspace(boxes: Boxes, manager: Path) -> None:
    work = boxes.directory("work")
    box = Container.run(
        ["sh", "-c", "echo new >n; exit 3"], root=str(boxes.root), workspace=str(work),
        workspace_mode="copy-in-out", detach_with="systemd",
    )  # fmt: skip
    assert box.wait().exit_code == 3
    assert (work / "n").read_text() == "new\n"
    reap_orphans()
