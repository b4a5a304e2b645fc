"""The benchmark counts right and hides no contestant that failed.  ✗ starts no sandbox."""

from __future__ import annotations

import contextlib
import json
import random
import tempfile
from pathlib import Path

import pytest

from bench import compare, peers
from bench.contestants import ENDINGS, CannotStart, Contestant, Run, program
from bench.workers import Worker


def contestant(name: str, run: Run) -> Contestant:
    return Contestant(name=name, isolation="none", prepare=lambda scratch: run)


def fails() -> None:
    raise CannotStart("no such thing")


def test_contestants_are_compared_within_rounds() -> None:
    # The machine is three times slower in the last round, for both: the ratio does not move.
    assert compare.median_ratio([10, 10, 30], [20, 20, 60]) == 0.5


def test_a_worker_answers_with_the_time_of_each_run() -> None:
    with Worker(contestant("true", program(["/bin/true"]))) as worker:
        assert worker.run() > 0
        assert worker.run() > 0


def test_a_contestant_that_does_not_start_is_named() -> None:
    ready = contestant("true", program(["/bin/true"]))
    with contextlib.ExitStack() as stack:
        workers, absent = compare.start_workers([ready, contestant("broken", fails)], stack)
        assert [worker.contestant.name for worker in workers] == ["true"]
        assert "no such thing" in absent["broken"]


def test_a_failing_payload_is_no_time() -> None:
    with pytest.raises(CannotStart, match="/bin/false ended with 1"):
        Worker(contestant("false", program(["/bin/false"])))


class Clock:
    """A worker whose first starts of a turn take long."""

    def __init__(self, name: str, said: list[str]) -> None:
        self.contestant, self._said = contestant(name, fails), said

    def run(self) -> int:
        before = len(self._said) - 1
        while before >= 0 and self._said[before] == self.contestant.name:
            before -= 1
        self._said.append(self.contestant.name)
        return 100 - min(len(self._said) - before - 2, compare.SETTLE)


def test_a_turn_is_several_starts_and_what_settles_does_not_count() -> None:
    said: list[str] = []
    order = random.Random(1)
    order.sample = lambda of, k: list(of)  # type: ignore[assignment, method-assign]
    steady, first = compare.interleave([Clock("a", said), Clock("b", said)], 3, order)  # type: ignore[list-item]
    assert first == {"a": [100] * 3, "b": [100] * 3}
    assert steady == {"a": [100 - compare.SETTLE] * 3, "b": [100 - compare.SETTLE] * 3}
    assert said == (["a"] * 12 + ["b"] * 12) * 3


def test_the_table_and_the_record_say_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ready = tuple(contestant(name, program(["/bin/true"])) for name in ("base", "other"))
    monkeypatch.setattr(compare, "CONTESTANTS", ready)
    record = tmp_path / "record.json"
    assert compare.main(["--rounds", "3", "--baseline", "base", "--json", str(record)]) == 0
    rows = json.loads(record.read_text())["rows"]
    printed = capsys.readouterr().out
    assert [row["name"] for row in rows] == ["base", "other"]
    assert all(f"| {row['name']} | {row['median_ms']:.2f} |" in printed for row in rows)


@pytest.mark.parametrize("asked", [["--rounds", "1"], ["--page", ".", "--baseline", "runc"]])
def test_what_no_page_could_be_made_of_is_refused_before_anything_starts(
    asked: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as refused:
        compare.main(asked)
    assert refused.value.code == 2 and asked[0] in capsys.readouterr().err


@pytest.mark.parametrize(("network", "expected"), [(True, True), (False, False)])
def test_bundles_have_a_network_namespace_only_when_asked(
    network: bool, expected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "PAYLOAD", ("/bin/true",))
    peers.write_bundle(tmp_path, network=network)
    namespaces = json.loads((tmp_path / "config.json").read_text())["linux"]["namespaces"]
    assert ({"type": "network"} in namespaces) is expected


def test_what_a_contestant_has_begun_is_over_before_its_files_are_removed() -> None:
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "told"

        def prepare(scratch: Path) -> Run:
            ENDINGS.append(lambda: told.write_text(str(scratch.exists())))
            return program(["/bin/true"])

        with Worker(Contestant(name="late", isolation="none", prepare=prepare)) as worker:
            assert worker.run() > 0 and not told.exists()
        assert told.read_text() == "True"
    assert ENDINGS == [], "it was begun in the worker's process"
