"""Which containers a verb acts on: by their labels and states, the last one; and a signal behind them."""

from __future__ import annotations

import pytest
from sandboxes import Boxes, wait_until

from nucleus import Container

pytestmark = pytest.mark.identity("root", "user")
COUNTS = "trap 'echo heard' USR1; echo ready; while :; do sleep 0.02; done"


def running(boxes: Boxes, name: str, *labels: str) -> Container:
    return Container.run(
        ["sh", "-c", COUNTS], root=str(boxes.root), name=name, label=list(labels), stop_timeout="0"
    )


def test_a_filter_means_those_that_are_in_a_state_for_the_verb(boxes: Boxes) -> None:
    one, two, three = (
        running(boxes, "one", "team=a"),
        running(boxes, "two", "team=a"),
        running(boxes, "three"),
    )
    assert boxes.cli("stop", "--latest").out.split() == [three.id]
    assert boxes.cli("rm", "--filter", "label=team=a").out == "", "they run"
    assert boxes.cli("kill", "--filter", "label=team=a", "-s", "KILL").out.split() == [one.id, two.id]
    assert boxes.cli("wait", "--filter", "label=team=a").out.split() == ["137", "137"]
    assert boxes.cli("start", "--filter", "label=team", "--filter", "name=one").out.split() == [one.id]
    assert (
        boxes.cli("ps", "-lq").out.split()
        == boxes.cli("inspect", "-l", "--format", "{{.id}}").out.split()
        == [three.id]
    )
    assert boxes.cli("rm", "-f", "--filter", "label=team").out.split() == [one.id, two.id]
    nothing = boxes.cli("stop", "--filter", "label=team")
    assert (nothing.code, nothing.out, nothing.err) == (0, "", "")
    both = boxes.cli("rm", "--latest", "three")
    assert both.code == 125 and "beside" in both.err
    assert boxes.cli("rm", "-l").out.split() == [three.id]


def test_a_signal_may_stand_behind_the_container(boxes: Boxes) -> None:
    web, hup = running(boxes, "web"), running(boxes, "HUP")

    def said(container: Container) -> str:
        return boxes.cli("logs", container.id).out

    wait_until(lambda: "ready" in said(web) and "ready" in said(hup))
    assert boxes.cli("kill", "web", "usr1").out.split() == [web.id]
    wait_until(lambda: "heard" in said(web))
    misspelt = boxes.cli("kill", "web", "USER1")
    assert misspelt.code == 125 and "no signal" in misspelt.err and web.status == "running"
    assert boxes.cli("kill", "web", "HUP").out.split() == [web.id, hup.id], "it is one's name"
    assert [web.wait().exit_code, hup.wait().exit_code] == [137, 137]


def test_words_of_other_tools_work(boxes: Boxes) -> None:
    container = running(boxes, "web", "a=b")
    assert boxes.cli("ls", "-q").out == boxes.cli("ps", "-q").out == f"{container.id}\n"
    assert '"ociVersion"' in boxes.cli("state", "web").out
    assert "web" in boxes.cli("state").out
    assert boxes.cli("delete", "-f", "web").out.strip() == container.id
