"""Landlock and capability policies: what they mean, on which kernels, and what is refused by name."""

from __future__ import annotations

import pytest
from rows import every_row

from nucleus.base.errors import HostUnsupported, SpecError
from nucleus.container.inputs import policies
from nucleus.host.facts import HostFacts
from nucleus.host.probe import probe
from nucleus.policy import capability_policy, landlock, landlock_policy
from nucleus.policy.capabilities import NUMBERS
from nucleus.policy.landlock_policy import PathRule
from nucleus.spec.container import ContainerSpec


def read(text: str) -> landlock_policy.LandlockPolicy:
    return landlock_policy.parse(text.encode(), "l.toml")


def refused(parse: object, text: str) -> list[tuple[str, str]]:
    with pytest.raises(SpecError) as caught:
        parse(text.encode(), "p.toml")  # type: ignore[operator]
    problems = caught.value.problems_list()
    assert all(p.remedy for p in problems)
    return [(p.where, p.message) for p in problems]


RULE = '[[rules]]\npath = "/usr"\naccess = ["read", "execute"]\n'


def test_reading_does_not_carry_execution() -> None:
    policy = read('[[rules]]\npath = "/etc/"\naccess = ["read"]\n')
    assert policy.rules == (PathRule(path="/etc", access=landlock.READ_FILE | landlock.READ_DIR),)


@every_row("word", landlock_policy.ACCESS)
def test_each_word_is_a_right_or_a_group_of_them(word: str) -> None:
    (rule,) = read(f'[[rules]]\npath = "/srv"\naccess = ["{word}"]\noptional = true\n').rules
    assert rule.access == landlock_policy.ACCESS[word] and rule.optional
    assert bool(rule.access & landlock.EXECUTE) == (word in ("execute", "all"))


def test_the_oldest_kernel_follows_from_what_is_asked_for() -> None:
    assert read(RULE).min_abi == 3
    assert read("[net]\nbind_tcp = [80]\n" + RULE).min_abi == 4
    assert read('scopes = ["signal"]\n' + RULE).min_abi == 6
    assert read('scopes = ["signal"]\nmin_abi = 1\n' + RULE).min_abi == 1


def test_ports_have_their_rights_and_all_others_none() -> None:
    policy = read("[net]\nbind_tcp = [80, 443]\nconnect_tcp = [443]\n" + RULE)
    assert policy.net and policy.ports == ((80, 1), (443, 3))
    assert not read(RULE).net


def test_all_problems_are_told_at_once_with_their_lines() -> None:
    text = """min_abi = 9
scopes = ["signals"]
colour = 1
[net]
bind_tcp = [70000]
[[rules]]
path = "usr"
access = ["read"]
[[rules]]
path = "/usr"
access = ["reed"]
[[rules]]
path = "/usr/../etc"
access = ["read"]
[[rules]]
access = ["read"]
"""
    assert [where for where, _ in refused(landlock_policy.parse, text)] == [
        "p.toml:3 $.colour", "p.toml:7 $.rules[0].path", "p.toml:11 $.rules[1].access[0]",
        "p.toml:13 $.rules[2].path", "p.toml:15 $.rules[3]", "p.toml:2 $.scopes[0]", "p.toml:5 $.net.bind_tcp[0]",
        "p.toml:1 $.min_abi",
    ]  # fmt: skip


@every_row("text", ["", "min_abi = 3\n", "rules = 3\n", "[[rules]\n", "\x00", "a" * (1 << 20) + "\n"])
def test_what_is_no_policy_is_refused(text: str) -> None:
    assert refused(landlock_policy.parse, text)


# ---- on the kernels that there are: Landlock ABI 1 to 7 ----


def on(abi: int) -> HostFacts:
    facts = probe()
    return facts.replace(kernel=facts.kernel.replace(landlock_abi=abi))


@every_row("abi", range(1, 8))
@every_row(("text", "least"), [(RULE, 3), ("[net]\n" + RULE, 4), ('scopes = ["signal"]\n' + RULE, 6)])
def test_a_kernel_that_cannot_hold_a_policy_starts_nothing(abi: int, text: str, least: int, tmp_path) -> None:  # type: ignore[no-untyped-def]
    file = tmp_path / "l.toml"
    file.write_text(text)
    spec = ContainerSpec(command=("true",), landlock_policy=str(file))
    if abi >= least:
        assert policies.load(spec, on(abi)).landlock is not None
        return
    with pytest.raises(HostUnsupported, match=f"ABI {least}.*offers {abi}"):
        policies.load(spec, on(abi))


# ---- capabilities ----


def bit(name: str) -> int:
    return 1 << NUMBERS[name]


def test_what_is_ambient_is_in_every_set() -> None:
    sets = capability_policy.parse(b'[ambient]\nkeep = ["CAP_NET_BIND_SERVICE"]\n', "c.toml")
    assert set(sets.as_dict().values()) == {bit("NET_BIND_SERVICE")}


def test_each_set_is_its_own() -> None:
    text = b'[bounding]\nkeep = ["chown"]\n[effective]\nkeep = ["KILL"]\n[inheritable]\nkeep = ["setpcap"]\n'
    sets = capability_policy.parse(text, "c.toml")
    assert sets.effective == bit("KILL") and sets.inheritable == bit("SETPCAP") and sets.ambient == 0
    assert sets.permitted == bit("KILL") | bit("SETPCAP")
    assert sets.bounding == sets.permitted | bit("CHOWN")
    assert sets.dangerous == ()


def test_an_empty_policy_keeps_nothing() -> None:
    assert set(capability_policy.parse(b"", "c.toml").as_dict().values()) == {0}


def test_problems_of_a_capability_policy_are_told_at_once() -> None:
    text = '[ambient]\nkeep = ["SYS_ADMN", 3]\n[permitted]\nkeep = []\n[bounding]\ndrop = []\n'
    assert [where for where, _ in refused(capability_policy.parse, text)] == [
        "p.toml:3 $.permitted", "p.toml:6 $.bounding.drop", "p.toml:2 $.ambient.keep[1]", "p.toml:2 $.ambient.keep[0]",
    ]  # fmt: skip
