"""The SDK's face: a wrong call is told before anything is started; what comes back is a Result."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import nucleus
from nucleus.base.errors import SpecError
from nucleus.container.attached import _input
from nucleus.container.result import result_of
from nucleus.launch.report import OOM, ExitRecord
from nucleus.launch.supervise import CAPTURE_BYTES, _Stream
from nucleus.sandbox import Sandbox, run
from nucleus.spec.container import ContainerSpec


def test_the_package_offers_its_names_and_imports_nothing_until_one_is_used() -> None:
    assert nucleus.run is run and nucleus.Sandbox is Sandbox
    with pytest.raises(AttributeError):
        nucleus.no_such_name  # noqa: B018


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({"memry": "1G"}, "$.memry"),
        ({"memory": "12Q"}, "$.memory"),
        ({"network": "bridge"}, "$.network"),
        ({"env": {"LD_PRELOAD": "/x"}}, "$.env.LD_PRELOAD"),
        ({"workspace": "/etc"}, "$.workspace"),
        ({"command": ["false"]}, "command"),
    ],
)
def test_a_keyword_that_is_wrong_is_told_by_its_path(
    options: dict[str, object], where: str, tmp_path: Path
) -> None:
    with pytest.raises(SpecError) as caught:
        run(["true"], root=str(tmp_path / "state"), **options)
    assert [p.where for p in caught.value.problems] == [where]
    assert all(p.remedy for p in caught.value.problems)
    assert not (tmp_path / "state").exists()


def test_all_problems_of_a_call_are_told_at_once() -> None:
    with pytest.raises(SpecError) as caught:
        Sandbox(memory="x", cpus=-1).run(["true"], timeout="soon")
    assert [p.where for p in caught.value.problems] == ["$.memory", "$.cpus", "$.timeout"]


def test_options_beside_a_whole_spec_are_refused() -> None:
    with pytest.raises(SpecError) as caught:
        run(ContainerSpec(command=("true",)), memory="1G")
    assert caught.value.where and caught.value.remedy


def test_nothing_is_left_open_or_on_disk_after_a_refusal(tmp_path: Path) -> None:
    def refused(**options: object) -> int:
        with pytest.raises(SpecError):
            run(["true"], root=str(tmp_path / "state"), name="web", **options)
        return len(os.listdir("/proc/self/fd"))

    missing = {"workspace": str(tmp_path / "none")}
    first = refused(**missing)  # from here on the state root stays open for the next call
    assert [refused(user="nobody-of-that-name"), refused(**missing)] == [first, first]
    assert [os.listdir(tmp_path / "state" / d) for d in ("containers", "names")] == [[], []]


def test_a_stream_keeps_its_head_and_its_tail() -> None:
    seen: list[bytes] = []
    stream = _Stream(seen.append)
    stream.add(b"head")
    for _ in range(40):
        stream.add(b"x" * (CAPTURE_BYTES // 16))
    stream.add(b"tail")
    captured = stream.captured()
    assert captured.data[:4] == b"head" and captured.data[-4:] == b"tail"
    assert len(captured.data) == CAPTURE_BYTES
    assert captured.dropped + CAPTURE_BYTES == sum(map(len, seen))


def test_a_result_has_seconds_text_and_a_reason() -> None:
    record = ExitRecord(
        exit_code=137, signal=9, flags=OOM, started_ns=10**9, finished_ns=3 * 10**9, oom_kills=1,
        memory_peak_bytes=5, cpu_us=0, pids_denied=0, user_us=250_000, system_us=250_000, max_rss_bytes=0,
        failure=None,
    )  # fmt: skip
    result = result_of(record, "a" * 32).replace(stdout=b"\xff\n", stderr=b"e")
    assert (result.reason, result.duration_s, result.cpu_s, result.ok) == ("oom", 2.0, 0.5, False)
    assert (result.out, result.err) == ("\ufffd\n", "e")


def test_run_waits_and_says_what_does_not() -> None:
    with pytest.raises(SpecError) as caught:
        run(["true"], detach=True)
    assert "Container.run" in caught.value.remedy


def test_text_is_no_standard_input() -> None:
    with pytest.raises(SpecError, match="bytes, not str"):
        _input("text")  # type: ignore[arg-type]
