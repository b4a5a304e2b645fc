"""Fixtures of the kernel tests: real containers, and a state root for each test.

The state root must be empty afterwards, and nothing else may be left.

Tests that are not meant for the identity of this run are left out, not skipped.  ✗ no tests.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from sandboxes import PATIENCE_S, Boxes, adopt_orphans, descendants, own_identity

IDENTITY = own_identity()
FAILED = pytest.StashKey[bool]()
# The longest takes a tenth of it, and none waits so long by itself: it would be for something that does not come.
ENDLESS_S = 400


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keeps the tests without the marker `identity`, and those whose marker names this run's."""
    left_out = []
    for item in items:
        marker = item.get_closest_marker("identity")
        if marker is not None and IDENTITY not in marker.args:
            left_out.append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_report_header() -> str:
    """Says whom the tests run as."""
    return f"identity: {IDENTITY}"


def _waits_in(pid: int) -> str:
    """Its state, its parent and where in the kernel it waits, as far as that may be seen."""
    try:
        known = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        return f"{known['State']}, parent {known['PPid']}, in {Path(f'/proc/{pid}/wchan').read_text()}"
    except OSError as problem:
        return str(problem)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """A test that does not end fails by itself and shows who waited for what, instead of taking its whole suite along."""

    def give_up(*_: object) -> None:
        waiting = [f"{pid} {name}: {_waits_in(pid)}" for pid, name in descendants().items()]
        pytest.fail("\n".join([f"{item.name} has not ended after {ENDLESS_S} s; below it live", *waiting]))

    signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, ENDLESS_S, 20)  # again, as what cleans up may wait as well
    try:
        return (yield)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


@pytest.fixture(scope="session", autouse=True)
def orphans_come_here() -> None:
    """A process that outlives its container is then found as a child of the tests."""
    adopt_orphans()


@pytest.fixture(scope="session")
def probe() -> Path:
    """The static program that looks around inside."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "probe"))
    from compile_probe import compile_probe

    return compile_probe()


@pytest.fixture(scope="session")
def identity() -> str:
    """root, user, nosub, nested, vm-root or vm-user."""
    return IDENTITY


def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Keeps for the fixtures whether the test has failed; who makes the report goes on."""
    if call.when == "call":
        item.stash[FAILED] = call.excinfo is not None


@pytest.fixture
def boxes(request: pytest.FixtureRequest, tmp_path: Path, probe: Path) -> Iterator[Boxes]:
    """Containers of this test."""
    made = Boxes(tmp_path, probe)
    yield made
    # What a failure leaves running does not end by itself.
    made.assert_nothing_left(1.0 if request.node.stash.get(FAILED, False) else PATIENCE_S)
