"""The table of service modes: each cell that says refused, allowed or default-changed is provoked here.

The fatal ones need a machine: kernel/test_modes.py.
"""

from __future__ import annotations

import pytest

from nucleus.base.errors import SpecError
from nucleus.cli.parser import parse_run
from nucleus.policy.modes import (
    ALLOWED,
    CHANGED,
    FATAL,
    INVARIANTS,
    MODES,
    REFUSED,
    WARNED,
    Invariant,
    fatal,
    problems,
    settled,
)
from nucleus.spec.container import ContainerSpec
from nucleus.spec.options import BY_KEY

# What a launch of production needs; the values of options that a release may not have yet.
NEEDED = (("rootfs", "/srv/r"), ("memory", "1G"), ("cpus", "1"), ("verify_rootfs_attestation", None))

# Row → the words that break it; words that begin with "-" followed by a key, such as "-memory", are left out.
BREAKING: dict[str, tuple[str, ...]] = {
    "degraded-security": ("--allow-degraded-security=landlock",),
    "chroot-fallback": ("--allow-chroot-fallback",),
    "unagreed-host-network": ("--network", "host"),
    "host-network": ("--network", "host", "--allow-host-network"),
    "allow-host-network": ("--allow-host-network",),
    "gvisor-host-egress": ("--network", "gvisor-host", "--allow-host-network", "--egress-allow", "10.0.0.0/8"),
    "bridge-dns": ("--network", "bridge"),
    "untrusted-native": ("--trust-level", "untrusted"),
    "seccomp-trace": ("--seccomp-mode", "trace", "--seccomp-log", "trace.jsonl"),
    "seccomp-allow": ("--seccomp-allow", "setns"),
    "proc-rw": ("--proc-rw",),
    "cgroup-path": ("--disable-cgroup-namespace",),
    "workspace-config": ("--workspace", "/srv/w", "--allow-workspace-config"),
    "some-limit": ("--pids", "0", "-memory", "-cpus"),
    "memory": ("-memory",),
    "cpus": ("-cpus",),
    "rootfs": ("-rootfs",),
    "agent-toolchain": ("-rootfs", "--agent-toolchain-rootfs", "/srv/t"),
    "toolchain": ("--toolchain", "/opt/t"),
    "overlay": ("--rootfs-mode", "overlay"),
    "attestation": ("-verify_rootfs_attestation",),
    "seccomp-sha256": ("--seccomp-profile", "/srv/profile.json"),
    "caps-sha256": ("--caps-policy", "/srv/caps.toml"),
    "landlock-sha256": ("--landlock-policy", "/srv/landlock.toml"),
    "writable-programs": ("--workspace", "/srv/w", "--workspace-exec"),
    "gpu": ("--gpu", "auto"),
}  # fmt: skip

# Judged when the launch is compiled: kernel/test_modes.py.
LATER = {"seccomp-allow"}

REFUSALS = [row for row in INVARIANTS if REFUSED in row.cells]
CELLS = [
    pytest.param(row, mode, id=f"{row.key}-{mode}")
    for row in REFUSALS
    if row.key not in LATER and row.is_there
    for mode in MODES
]


def words_for(mode: str, breaking: tuple[str, ...] = ()) -> list[str]:
    """A launch that the mode takes, changed by those words."""
    left_out = {word[1:] for word in breaking if word.startswith("-") and not word.startswith("--")}
    words = ["--service-mode", mode]
    for key, value in NEEDED:
        if key in BY_KEY and key not in left_out:
            words += [BY_KEY[key].flag] + ([value] if value else [])
    return [*words, *[w for w in breaking if w.startswith("--") or not w.startswith("-")], "--", "true"]


def refusals(words: list[str]) -> list[str]:
    """What is said against it, at any place where the options alone are judged."""
    try:
        spec = parse_run(words)
        found = problems(settled(spec))
    except SpecError as error:
        found = error.problems
    return [problem.message for problem in found]


@pytest.mark.parametrize("mode", MODES)
def test_a_launch_that_each_mode_takes(mode: str) -> None:
    assert refusals(words_for(mode)) == []


@pytest.mark.parametrize(("row", "mode"), CELLS)
def test_each_cell_of_the_table_is_what_it_says(row: Invariant, mode: str) -> None:
    said = refusals(words_for(mode, BREAKING[row.key]))
    if row.cell(mode) == REFUSED and row.cells != (REFUSED, REFUSED, REFUSED):
        assert row.problem(mode).message in said
        # Without any limit the two that production demands are missing as well.
        assert len(said) == 1 or row.key == "some-limit"
        assert row.problem(mode).remedy
    else:
        assert bool(said) == (row.cell(mode) == REFUSED), said


def test_every_row_that_refuses_is_provoked() -> None:
    """A row that waits for its option is here from the start: it is provoked as soon as the option is there."""
    assert {row.key for row in REFUSALS} == set(BREAKING)


def test_every_refusal_has_a_place_a_sentence_and_a_remedy() -> None:
    for row in INVARIANTS:
        assert len(row.cells) == len(MODES)
        assert set(row.cells) <= {REFUSED, FATAL, WARNED, ALLOWED, CHANGED}
        if REFUSED in row.cells:
            assert row.says, row.key
            assert row.remedy, row.key
        assert (CHANGED in row.cells) == bool(row.values), row.key


def test_all_refusals_are_told_at_once() -> None:
    words = ["--service-mode", "production", "--rootfs-mode", "overlay", "--proc-rw", "--rootfs", "/srv/r"]
    said = refusals([*words, "--", "true"])
    expected = {"proc-rw", "memory", "cpus", "overlay"}
    assert {row.key for row in INVARIANTS if row.problem("production").message in said} >= expected


@pytest.mark.parametrize(
    ("words", "mode"),
    [
        (["--strict-agent"], "strict-agent"),
        (["--service-mode", "mitos-agent"], "strict-agent"),
        (["--service-mode", "agent", "--strict-agent"], "strict-agent"),
        (["--strict-agent=false"], "agent"),
    ],
)
def test_the_other_names_of_strict_agent(words: list[str], mode: str) -> None:
    assert parse_run([*words, "--", "true"]).mode == mode


def test_strict_agent_does_not_make_production_milder() -> None:
    with pytest.raises(SpecError, match="production is stricter"):
        parse_run(["--strict-agent", "--service-mode", "production", "--", "true"])


@pytest.mark.parametrize("row", [row for row in INVARIANTS if CHANGED in row.cells], ids=lambda row: row.key)
def test_a_default_changes_in_the_modes_that_say_so(row: Invariant) -> None:
    def measured(mode: str) -> object:
        spec = settled(ContainerSpec(command=("true",), mode=mode))
        return {
            "default-profile": spec.seccomp_profile,
            "default-workspace-exec": spec.workspace_exec,
            "default-writable-exec": spec.executes_what_it_writes,
            "default-hidepid": spec.mode == "production",
        }[row.key]

    agent = measured("agent")
    for mode in MODES:
        assert (measured(mode) != agent) == (row.cell(mode) == CHANGED)


def test_what_was_written_is_not_replaced_by_a_default() -> None:
    words = ["--service-mode", "strict-agent", "--workspace", "/srv/w", "--workspace-exec"]
    spec = settled(parse_run([*words, "--seccomp-profile", "builtin:default", "--", "true"]))
    assert (spec.seccomp_profile, spec.workspace_exec) == ("default", True)
    assert problems(spec) == ()


def test_a_mode_that_nobody_knows_is_refused() -> None:
    with pytest.raises(SpecError, match="not a mode"):
        settled(ContainerSpec(command=("true",), mode="lenient"))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("row", [row for row in INVARIANTS if FATAL in row.cells], ids=lambda row: row.key)
def test_a_fatal_row_has_an_error_exactly_where_the_table_says(row: Invariant, mode: str) -> None:
    error = fatal(row.key, mode, "because")
    assert (error is not None) == (row.cell(mode) == FATAL)
