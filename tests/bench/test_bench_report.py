"""The page says what was measured, the proof finds what is not hardened.  ✗ starts no sandbox."""

from __future__ import annotations

import dataclasses
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from bench import budgets, memory, proof, report
from bench.contestants import Contestant, Run
from bench.plot import Bar, svg


def nothing(scratch: Path) -> Run:
    raise AssertionError("no contestant is started here")


def contestants(*names: str) -> tuple[Contestant, ...]:
    return tuple([Contestant(name=name, isolation="some", prepare=nothing) for name in names])


def figures(sdk: int, memory_kib: float = 0.0) -> report.Figures:
    times = {"nucleus-sdk": [sdk, sdk, sdk], "bwrap": [100, 100, 100]}
    return report.Figures(
        contestants=contestants("nucleus-sdk", "bwrap", "runsc"),
        times=times,
        first={"nucleus-sdk": [90, 90, 90], "bwrap": [100, 100, 100]},
        absent={"runsc": "not there"},
        versions={"kernel": "6.1"},
        proof=["| proof |"],
        memory={"Slab": memory_kib, "sum": memory_kib} if memory_kib else {},
    )


@pytest.mark.parametrize(("sdk", "word"), [(79, "kept"), (80, "kept"), (81, "**over**")])
def test_a_budget_is_kept_up_to_its_limit(sdk: int, word: str) -> None:
    (line,) = report.budget_lines(figures(sdk))
    assert line == f"| nucleus-sdk / bwrap | {sdk / 100:.2f} | 0.90 | 0.80 | {word} |"


def test_what_has_no_limit_is_compared_and_no_more() -> None:
    names = ("nucleus-sdk-hostnet", "bwrap", "bwrap-hostnet")
    times = {name: [100 * n] * 3 for n, name in enumerate(names, 1)}
    found = dataclasses.replace(figures(50), contestants=contestants(*names), times=times, first=times)
    assert report.budget_lines(found) == [
        "| nucleus-sdk-hostnet / bwrap | 0.50 | 0.50 | 0.65 | kept |",
        "| nucleus-sdk-hostnet / bwrap-hostnet | 0.33 | 0.33 | | like with like |",
    ]


def test_memory_has_a_budget_too() -> None:
    assert report.budget_lines(figures(50, 2000.0))[-1].endswith("| 2000 | | 1024 | **over** |")


def test_a_ratio_has_its_quartiles() -> None:
    found = budgets.ratio([1, 2, 3, 4, 5], [1, 1, 1, 1, 1])
    assert (found.low, found.median, found.high) == (1.5, 3.0, 4.5)


def test_the_page_holds_table_proof_and_budgets(tmp_path: Path) -> None:
    report.write(figures(50, 900.0), tmp_path, report.Turn(rest_s=0.1, settle=2, in_a_row=10))
    page = (tmp_path / "benchmarks.md").read_text()
    assert "| nucleus-sdk | 0.50 | 0.50 – 0.50 | 0.90 | some |" in page
    assert "does not start here: not there" in page
    assert "| proof |" in page
    assert "| **sum** | **900** |" in page
    assert "(benchmarks.svg)" in page


def test_the_page_of_this_checkout_has_the_words_of_its_template() -> None:
    """It is made by a benchmark, not by hand: whoever changes the words changes them where they come from."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md").read_text()
    at = 0
    for words in re.split(r"\{\w+\}", report.PAGE):
        assert words in page[at:], words
        at = page.index(words, at) + len(words)


def test_the_plot_is_well_formed_and_has_every_bar() -> None:
    bars = [Bar(name=name, low=0.5, value=1.0, high=2.0, own=False) for name in ("a", "<b>", "c")]
    root = ElementTree.fromstring(svg("title", bars))
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"a", "<b>", "c"} <= set(texts)


def seen(name: str, **changed: str) -> proof.Seen:
    facts = dict.fromkeys(proof.SETS, "0000000000000000") | {"NoNewPrivs": "1", "Seccomp": "2", "Uid": "1000"}
    inside = {n: changed.pop(n, f"[{i}]") for i, n in enumerate(proof.NAMESPACES)}
    return proof.Seen(name=name, facts=facts | changed, namespaces=inside)


HOST = seen("host", **{n: f"[{9 + i}]" for i, n in enumerate(proof.NAMESPACES)})


def test_a_hardened_sandbox_has_no_fault() -> None:
    assert proof.faults(seen("nucleus-sdk"), HOST) == []


@pytest.mark.parametrize(
    "changed",
    [
        {"CapBnd": "01"},
        {"CapAmb": "80"},
        {"NoNewPrivs": "0"},
        {"Seccomp": "0"},
        {"net": "[15]"},
        {"user": "[9]"},
    ],
)
def test_every_missing_layer_is_a_fault(changed: dict[str, str]) -> None:
    assert len(proof.faults(seen("nucleus-sdk", **changed), HOST)) == 1


def test_the_host_network_is_no_fault_where_it_was_asked_for() -> None:
    assert proof.faults(seen("nucleus-sdk-hostnet", net="[15]"), HOST) == []


def test_overhead_is_what_the_bare_program_does_not_have() -> None:
    container = {"pss monitor": 20.0, "pss workload": 50.0, "Slab": 700.0, "MemAvailable": -900.0}
    found = memory.overhead(container, {"pss workload": 40.0, "Slab": 100.0, "MemAvailable": -10.0})
    assert found["sum"] == 20 + 10 + 600
