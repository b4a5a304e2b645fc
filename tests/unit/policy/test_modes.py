"""The table of service modes: each cell that says refused, allowed or default-changed is provoked here.

The fatal ones need a machine: kernel/test_modes.py.
"""

from __future__ import annotations

import pytest
from rows import every_row

from nucleus.base.errors import HostUnsupported, SpecError
from nucleus.cli.parser import parse_run
from nucleus.container.inputs.mode import held
from nucleus.host.facts import HostFacts
from nucleus.host.probe import probe
from nucleus.policy.modes import (
    ALLOWED,
    CHANGED,
    FATAL,
    INVARIANTS,
    LANDLOCK_ABI,
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
    "untrusted-host-network": (
        "--trust-level", "untrusted", "--network", "host", "--allow-host-network",
    ),
    "seccomp-trace": ("--seccomp-mode", "trace", "--seccomp-log", "trace.jsonl"),
    "seccomp-allow": ("--seccomp-allow", "setns"),
    "proc-rw": ("--proc-rw",),
    "cgroup-path": ("--disable-cgroup-namespace",),
    "workspace-config": ("--workspace", "/srv/w", "--allow-workspace-config"),
    "some-limit": ("--pids", "0", "-memory", "-cpus"),
    "memory": ("-memory",),
    "cpus": ("-cpus",),
    "rootfs": ("-rootfs", "-verify_rootfs_attestation"),
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


@every_row("mode", MODES)
def test_a_launch_that_each_mode_takes(mode: str) -> None:
    assert refusals(words_for(mode)) == []


@every_row(("row", "mode"), CELLS)
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
        if REFUSED in row.cells and ALLOWED in row.cells:
            assert row.says, row.key
            assert row.remedy, row.key
        assert (CHANGED in row.cells) == bool(row.values), row.key


def test_all_refusals_are_told_at_once() -> None:
    words = ["--service-mode", "production", "--rootfs-mode", "overlay", "--proc-rw", "--rootfs", "/srv/r"]
    said = refusals([*words, "--", "true"])
    expected = {"proc-rw", "memory", "cpus", "overlay"}
    assert {row.key for row in INVARIANTS if row.problem("production").message in said} >= expected


@every_row(
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


@every_row("row", [row for row in INVARIANTS if CHANGED in row.cells], ids=lambda row: row.key)
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


@every_row("mode", MODES)
@every_row("row", [row for row in INVARIANTS if FATAL in row.cells], ids=lambda row: row.key)
def test_a_fatal_row_has_an_error_exactly_where_the_table_says(row: Invariant, mode: str) -> None:
    error = fatal(row.key, mode, "because")
    assert (error is not None) == (row.cell(mode) == FATAL)


def test_an_untrusted_program_is_refused_with_what_would_run_it() -> None:
    with pytest.raises(SpecError) as caught:
        parse_run(["--trust-level", "untrusted", "--", "true"])
    (problem,) = caught.value.problems
    assert problem.where == "--trust-level"
    assert "--runtime gvisor" in problem.message
    assert "virtual machine" in problem.remedy


def test_a_runtime_of_a_later_release_is_refused_by_name() -> None:
    with pytest.raises(SpecError, match="not in this release"):
        parse_run(["--runtime", "gvisor", "--", "true"])
    assert parse_run(["--runtime", "native", "--", "true"]).runtime == "native"


@pytest.fixture(scope="module")
def facts() -> HostFacts:
    """Of this machine; what matters is replaced."""
    return probe()


LOCKDOWN = [
    ("", "integrity", "not locked down"),
    ("none", "integrity", "not locked down"),
    ("integrity", "integrity", ""),
    ("confidentiality", "integrity", ""),
    ("integrity", "confidentiality", "for integrity only"),
    ("confidentiality", "confidentiality", ""),
]


@every_row(("now", "wanted", "says"), LOCKDOWN)
def test_a_kernel_is_locked_down_as_far_as_was_asked(
    now: str, wanted: str, says: str, facts: HostFacts
) -> None:
    spec = parse_run(["--require-kernel-lockdown", wanted, "--", "true"])
    facts = facts.replace(kernel=facts.kernel.replace(lockdown=now))
    if not says:
        assert held(spec, facts) == spec
        return
    with pytest.raises(HostUnsupported, match=says) as caught:
        held(spec, facts)
    assert caught.value.where == "--require-kernel-lockdown"
    assert f"lockdown={wanted}" in caught.value.remedy


@every_row("mode", MODES)
@every_row("abi", range(1, 8))
def test_an_old_landlock_stops_the_modes_that_say_so(abi: int, mode: str, facts: HostFacts) -> None:
    facts = facts.replace(kernel=facts.kernel.replace(landlock_abi=abi))
    spec = ContainerSpec(command=("true",), mode=mode, pids=512)
    row = next(row for row in INVARIANTS if row.key == "landlock-partial")
    if row.cell(mode) == FATAL and abi < LANDLOCK_ABI:
        with pytest.raises(SpecError if mode == "production" else HostUnsupported):
            held(spec, facts)
    elif mode != "production":
        assert held(spec, facts).mode == mode


def test_production_names_the_abi_that_is_missing(facts: HostFacts) -> None:
    facts = facts.replace(kernel=facts.kernel.replace(landlock_abi=2))
    spec = parse_run(words_for("production"))
    with pytest.raises(HostUnsupported, match="this kernel offers ABI 2"):
        held(spec, facts)
