"""JSON text without `json`: what comes out is what `json` writes, by either way."""

from __future__ import annotations

import json
import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from texts import CHARACTERS

from nucleus.base import jsontext
from nucleus.base.jsontext import Form, dumps
from nucleus.base.value import Value


class Thing(Value):
    name: str
    inner: Value | None = None


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(CHARACTERS),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(CHARACTERS), inner),
    max_leaves=10,
)


@pytest.fixture(params=[0, 100], ids=["the first text of a process", "a later one"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few texts are written by this module itself, more by the interpreter's encoder."""
    monkeypatch.setattr(jsontext, "_FEW", 1 << 60 if request.param == 0 else 0)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("indent", [0, 2])
def test_the_text_is_what_json_writes(indent: int) -> None:
    @given(PLAIN)
    def same(value: object) -> None:
        assert dumps(value, indent) == json.dumps(value, indent=indent or None)  # type: ignore[arg-type]

    same()


@pytest.mark.usefixtures("way")
def test_values_are_objects_of_their_fields() -> None:
    assert dumps(Thing(name='a "b"', inner=Thing(name="\udc80"))) == (
        '{"name": "a \\"b\\"", "inner": {"name": "\\udc80", "inner": null}}'
    )


@pytest.mark.usefixtures("way")
def test_an_enumerated_number_is_a_number() -> None:
    assert dumps({"signal": signal.SIGTERM}) == '{"signal": 15}'


@pytest.mark.usefixtures("way")
def test_what_has_no_json_form_is_refused() -> None:
    with pytest.raises(TypeError, match="object has no JSON form"):
        dumps([object()])  # type: ignore[list-item]


def test_a_form_writes_what_the_whole_object_would_be() -> None:
    members = {"a": 1, "own": ["ü", None], "b": {"c": (1, 2)}, "last": "x"}
    for own in ((), ("a",), ("own", "last"), ("a", "b"), tuple(members)):
        form = Form(members, own)
        assert form.text({key: dumps(members[key]) for key in own}) == dumps(members)
    assert Form({}, ()).text({}) == "{}"
