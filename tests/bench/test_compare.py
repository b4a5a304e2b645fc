"""The benchmark counts right and hides no contestant that failed.  ✗ starts no sandbox."""

from __future__ import annotations

import contextlib
import json
import random
from pathlib import Path

import pytest

from bench import compare, peers
from bench.contestants import CannotStart, Contestant, Run, program
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


def test_every_contestant_runs_once_a_round() -> None:
    ready = [contestant(name, program(["/bin/true"])) for name in "ab"]
    with contextlib.ExitStack() as stack:
        workers, _ = compare.start_workers(ready, stack)
        times = compare.interleave(workers, 3, random.Random(1))
    assert {name: len(of) for name, of in times.items()} == {"a": 3, "b": 3}


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


@pytest.mark.parametrize(("network", "expected"), [(True, True), (False, False)])
def test_bundles_have_a_network_namespace_only_when_asked(
    network: bool, expected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "PAYLOAD", ("/bin/true",))
    peers.write_bundle(tmp_path, network=network)
    namespaces = json.loads((tmp_path / "config.json").read_text())["linux"]["namespaces"]
    assert ({"type": "network"} in namespaces) is expected
