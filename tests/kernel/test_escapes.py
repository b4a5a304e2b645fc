"""Each attack of the table `escapes.py`: stopped, stopped by each of its layers alone, and real where none is left."""

from __future__ import annotations

import ast
import ctypes
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from escapes import ATTACKS, LAYERS, RUN, SESSION, SOCKET, Attack
from layers import run_without
from sandboxes import Boxes, python

from nucleus.policy.syscall_tables import TABLES

# Whose uid 0 inside is an id of its own: the strongest attacker there is.
pytestmark = pytest.mark.identity("root", "user")
REFUSED = {"EPERM", "EACCES", "ENOSYS", "ENOSPC"}  # ENOSPC: no more user namespaces
NONE: frozenset[str] = frozenset()


@pytest.fixture(autouse=True, scope="module")
def keyring() -> None:
    """A session keyring of this process's own, with a key in it."""
    libc, calls = ctypes.CDLL(None), TABLES[os.uname().machine]
    assert libc.syscall(calls["keyctl"], 1, None) > 0
    assert libc.syscall(calls["add_key"], b"user", b"nucleus-escape", b"secret", 6, SESSION) > 0


@pytest.fixture(autouse=True)
def listening() -> Iterator[None]:
    """Something of the host that an attack may reach."""
    with socket.socket(socket.AF_UNIX) as there:
        there.bind(f"\0{SOCKET}")
        there.listen()
        yield


def goes_through(boxes: Boxes, attack: Attack, without: frozenset[str]) -> bool:
    """Does the attack succeed; of a system call: does it come to more than a refusal?"""
    if attack.tries:
        flags = (*boxes.probe_flags(), *attack.flags)
        result = run_without(boxes, without, *flags, "--", *boxes.probe_words(f"try {attack.tries}"))
        assert result.exit_code == 0, result.err
        ((answer,),) = boxes.answers(result.out, 1)
        return answer.split(" ", 1)[1] not in REFUSED
    result = run_without(boxes, without, *attack.flags, "--", python(), "-c", attack.script)
    assert result.exit_code in (0, 1), result
    assert result.exit_code == 0 or "Error" in result.err, result.err  # an exception: the refusal
    return result.out.strip() == "through"


@pytest.mark.parametrize("attack", RUN, ids=[a.name for a in RUN])
def test_an_attack_is_stopped_by_each_of_its_layers_alone(boxes: Boxes, attack: Attack) -> None:
    assert not goes_through(boxes, attack, NONE)
    if len(attack.layers) > 1:
        for kept in attack.layers:
            without = frozenset(attack.layers) - {kept}
            assert not goes_through(boxes, attack, without), f"{kept} alone does not hold"


CERTAIN = [attack for attack in RUN if attack.certain]


@pytest.mark.parametrize("attack", CERTAIN, ids=[a.name for a in CERTAIN])
def test_without_its_layers_an_attack_is_real_or_something_else_holds(boxes: Boxes, attack: Attack) -> None:
    assert goes_through(boxes, attack, frozenset(attack.layers)) == (attack.beyond == "")


def test_each_attack_has_a_second_layer_or_a_reason_why_there_is_none() -> None:
    assert len(ATTACKS) >= 40
    assert len({a.name for a in ATTACKS}) == len(ATTACKS)
    for attack in ATTACKS:
        assert bool(attack.alone) == (len(attack.layers) + bool(attack.beyond) < 2), attack.name
        assert bool(attack.proof) != bool(attack.tries or attack.script), attack.name
        assert attack.proof or set(attack.layers) <= set(LAYERS), attack.name


def test_the_tests_that_prove_the_others_are_there() -> None:
    folder = Path(__file__).parent
    for attack in ATTACKS:
        for name in attack.proof:
            file, _, function = name.partition("::")
            tree = ast.parse((folder / file).read_text(encoding="utf-8"))
            assert function in {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}, name
