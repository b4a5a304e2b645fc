"""The page docs/benchmarks.md and its plot, from one run's figures.  ✗ measures nothing.

Ratios only: the times of a shared machine are of no use to anybody else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.budgets import MEMORY_KIB, Budget, Ratio, ratio, verdicts
from bench.contestants import Contestant
from bench.plot import Bar, svg

BASELINE = "bwrap"
PAGE = """\
# Benchmarks

How long a sandbox takes from the call to the end of a `true`, compared with the other sandboxes of a Debian
machine; and what a running container costs in memory. Made by `make bench`, not by hand. The `true` is klibc's, which
does nothing else: what another C library does before its program begins is the same for all, and would bring every
ratio nearer to 1.

{conditions}

## Start-up

In each round every contestant has one turn, in random order: a rest of {rest_ms} ms, in which the kernel takes down
what the one before has left, {settle} starts to settle, then {in_a_row} in a row, of which the median counts. A figure
is the median over {rounds} rounds of the ratio *within* a round, with the quartiles beside it. The machine was shared
with other work: its noise moves both sides of a ratio, and the quartiles show what is left of it. *First* compares the
first starts of the turns, which come after the rest and find the caches of other contestants. All keep their state in
memory, and none of Nucleus' layers is switched off: see the proof below.

![Start-up times relative to bwrap, logarithmic]({plot})

{table}

- **sdk**: `nucleus.run([...])` in a Python process that has run one before; every run has another command line. What
  a process keeps from one run to the next (the root, a network namespace made beside an earlier start) is part of it.
- **saved**: `SavedPlan.load(path).run()`, the plan compiled once, in such a process too.
- **exec**: `Container.exec([...])`: no sandbox is made, a process enters one that runs, from a process that has before.
- **cli**: `bin/nucleus run --rm -- true`, the interpreter's start included.
- **-hostnet**: without a network namespace of its own.
- **bwrap** makes a minimal root out of the host's /usr, as Nucleus does; **bwrap-whole-root** binds the whole
  host root. Neither has seccomp, Landlock, resource limits, or a private range of user ids.

| Budget | measured | first | allowed | |
| --- | ---: | ---: | ---: | --- |
{budgets}

The limits of the contestants without a network namespace are meant against bwrap with all its namespaces; the two rows
without a limit leave bwrap's out as well.

## The timed sandbox is the hardened one

The same start with a payload that looks at itself: the five capability sets (inheritable, permitted, effective,
bounding, ambient), `/proc/self/status`, and the inodes of its namespaces; the last row is the host.

{proof}

## Memory of a running container

{memory_text}

{memory}
"""
MEMORY_TEXT = """\
A hundred containers at once, each with a static sleeper; counted is what is there beyond the same sleeper started
bare: proportional share of monitor, init and workload, shared memory, the kernel's memory by `/proc/meminfo`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A contestant's turn: seconds of rest before it, starts that settle, starts that count."""

    rest_s: float
    settle: int
    in_a_row: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """All of one run. times, first: nanoseconds, one of each round.  memory: KiB by kind; nothing when not measured."""

    contestants: Sequence[Contestant]
    times: Mapping[str, Sequence[int]]
    first: Mapping[str, Sequence[int]]
    absent: Mapping[str, str]
    versions: Mapping[str, str]
    proof: Sequence[str]
    memory: Mapping[str, float]

    def ratios(self, times: Mapping[str, Sequence[int]] | None = None) -> dict[str, Ratio]:
        """To the baseline, by contestant.  times: others than those in a row."""
        times = times or self.times
        return {c.name: ratio(times[c.name], times[BASELINE]) for c in self.contestants if c.name in times}


def _table(figures: Figures) -> str:
    rows = [
        f"| Contestant | × {BASELINE} | quartiles | first | Isolation |",
        "| --- | ---: | :---: | ---: | --- |",
    ]
    ratios, first = figures.ratios(), figures.ratios(figures.first)
    for contestant in figures.contestants:
        found = ratios.get(contestant.name)
        if found is None:
            why = figures.absent.get(contestant.name, "left out").splitlines()[0]
            rows.append(f"| {contestant.name} | | | | does not start here: {why} |")
            continue
        rows.append(
            f"| {contestant.name} | {found.median:.2f} | {found.low:.2f} – {found.high:.2f}"
            f" | {first[contestant.name].median:.2f} | {contestant.isolation} |"
        )
    return "\n".join(rows)


def budget_lines(figures: Figures) -> list[str]:
    """Each budget with what was measured."""
    lines = [
        f"| {budget.name} / {budget.against} | {found.median:.2f}"
        f" | {ratio(figures.first[budget.name], figures.first[budget.against]).median:.2f}"
        f" | {_allowed(budget, kept)} |"
        for budget, found, kept in verdicts(figures.times)
    ]
    if figures.memory:
        total = figures.memory["sum"]
        kept = total <= MEMORY_KIB
        lines.append(f"| memory of a container, KiB | {total:.0f} | | {MEMORY_KIB:.0f} | {_word(kept)} |")
    return lines


def _allowed(budget: Budget, kept: bool) -> str:
    return "| like with like" if budget.limit is None else f"{budget.limit:.2f} | {_word(kept)}"


def _word(kept: bool) -> str:
    return "kept" if kept else "**over**"


def _memory(memory: Mapping[str, float]) -> str:
    rows = ["| Kind | KiB per container |", "| --- | ---: |"]
    parts = {name: size for name, size in memory.items() if name not in ("sum", "MemAvailable")}
    rows += [f"| {name} | {size:.0f} |" for name, size in parts.items()]
    return "\n".join([*rows, f"| **sum** | **{memory['sum']:.0f}** |"])


def page(figures: Figures, plot: str, turn: Turn) -> str:
    rounds = len(figures.times[BASELINE])
    return PAGE.format(
        conditions="; ".join(f"{name} {version}" for name, version in figures.versions.items()) + ".",
        rest_ms=round(turn.rest_s * 1000),
        settle=turn.settle,
        in_a_row=turn.in_a_row,
        rounds=rounds,
        plot=plot,
        table=_table(figures),
        budgets="\n".join(budget_lines(figures)),
        proof="\n".join(figures.proof) or "Not taken in this run.",
        memory_text=MEMORY_TEXT,
        memory=_memory(figures.memory) if figures.memory else "Not measured in this run.",
    )


def write(figures: Figures, folder: Path, turn: Turn) -> None:
    """benchmarks.md and benchmarks.svg."""
    bars = [
        Bar(name=name, low=found.low, value=found.median, high=found.high, own=name.startswith("nucleus"))
        for name, found in figures.ratios().items()
    ]
    (folder / "benchmarks.svg").write_text(svg(f"Start-up time relative to {BASELINE}", bars))
    (folder / "benchmarks.md").write_text(page(figures, "benchmarks.svg", turn))
