"""States of a container, as a table: what was seen says which, and what may be done in which."""

from __future__ import annotations

import pytest
from rows import every_row

from nucleus.base.errors import Conflict
from nucleus.container.running import lifecycle
from nucleus.container.running.lifecycle import LEGAL, STATES, Look, require, status

ALIVE = Look(owned=True, init=True)


@every_row(
    ("look", "state"),
    [
        pytest.param(Look(owned=True, recorded=False), "creating", id="nothing is written yet"),
        pytest.param(Look(owned=True), "creating", id="no init yet"),
        pytest.param(ALIVE.replace(gated=True), "created", id="at the gate"),
        pytest.param(ALIVE.replace(gated=True, started=True), "running", id="through the gate"),
        pytest.param(ALIVE, "running", id="without a gate"),
        pytest.param(ALIVE.replace(frozen=True), "paused", id="frozen"),
        pytest.param(ALIVE.replace(gated=True, frozen=True), "created", id="frozen before it began"),
        pytest.param(ALIVE.replace(ended=True), "stopped", id="ended, its monitor still cleans up"),
        pytest.param(Look(ended=True), "stopped", id="ended"),
        pytest.param(Look(ended=True, here=False), "stopped", id="ended in another boot"),
        pytest.param(Look(init=True), "dead", id="its owner was killed"),
        pytest.param(Look(here=False, init=True), "dead", id="of another boot"),
        pytest.param(Look(recorded=False), "dead", id="a directory and nothing else"),
        pytest.param(ALIVE.replace(here=False), "unknown", id="alive in another pid namespace"),
    ],
)
def test_what_was_seen_says_the_state(look: Look, state: str) -> None:
    assert status(look) == state


@every_row("verb", sorted(LEGAL))
def test_a_verb_acts_in_its_states_and_refuses_in_all_others_with_a_remedy(verb: str) -> None:
    for state in STATES:
        if state in LEGAL[verb]:
            require(verb, state, "web")
            continue
        with pytest.raises(Conflict) as caught:
            require(verb, state, "web")
        assert state in caught.value.message and "web" in caught.value.message
        assert caught.value.where == f"nucleus {verb.partition(' ')[0]}" and caught.value.remedy


def test_every_state_of_the_table_is_known() -> None:
    assert {s for states in LEGAL.values() for s in states} <= set(STATES)
    assert set(lifecycle.ALIVE) <= set(STATES)
