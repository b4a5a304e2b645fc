"""JSON text without `json`: what comes out is what `json` writes, by either way."""

from __future__ import annotations

import json
import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rows import every_row
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


# Few texts are written by this module itself, more by the interpreter's encoder.
each_way = every_row(
    "few", [pytest.param(1 << 60, id="the first text of a process"), pytest.param(0, id="a later one")]
)


@given(PLAIN)
@each_way
@every_row("indent", [0, 2])
def test_the_text_is_what_json_writes(value: object, few: int, indent: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jsontext, "_FEW", few)
        assert dumps(value, indent) == json.dumps(value, indent=indent or None)  # type: ignore[arg-type]


@each_way
def test_values_are_objects_of_their_fields(few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsontext, "_FEW", few)
    assert dumps(Thing(name='a "b"', inner=Thing(name="\udc80"))) == (
        '{"name": "a \\"b\\"", "inner": {"name": "\\udc80", "inner": null}}'
    )


@each_way
def test_an_enumerated_number_is_a_number(few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsontext, "_FEW", few)
    assert dumps({"signal": signal.SIGTERM}) == '{"signal": 15}'


@each_way
def test_what_has_no_json_form_is_refused(few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsontext, "_FEW", few)
    with pytest.raises(TypeError, match="object has no JSON form"):
        dumps([object()])  # type: ignore[list-item]


def test_a_form_writes_what_the_whole_object_would_be() -> None:
    members = {"a": 1, "own": ["ü", None], "b": {"c": (1, 2)}, "last": "x"}
    for own in ((), ("a",), ("own", "last"), ("a", "b"), tuple(members)):
        form = Form(members, own)
        assert form.text({key: dumps(members[key]) for key in own}) == dumps(members)
    assert Form({}, ()).text({}) == "{}"
