"""Values: frozen, complete, compared by content, and the same whichever initializer made them."""

from __future__ import annotations

import pickle

import pytest

from nucleus.base.value import Value, hasten


class Base(Value):
    name: str
    count: int = 3


class Derived(Base):
    self_made: tuple[str, ...] = ()
    last: str


class Empty(Value):
    pass


class Awkward(Value):
    given: int
    unknown: int = 1
    cls: int = 2


@pytest.mark.parametrize("hastened", [False, True], ids=["general", "written out"])
def test_values_of_either_initializer_are_the_same(hastened: bool) -> None:
    class Kind(Derived):
        pass

    if hastened:
        hasten(Kind)
        hasten(Kind)
        assert "__init__" in vars(Kind) and Kind.__init__ is not Value.__init__
    one = Kind(name="a", last="z", self_made=("x",))
    assert one.as_dict() == {"name": "a", "count": 3, "self_made": ("x",), "last": "z"}
    assert one == one.replace(name="a") and one != one.replace(count=4)
    with pytest.raises(AttributeError, match="is frozen"):
        one.name = "b"  # type: ignore[misc]
    with pytest.raises(TypeError, match=r"Kind\(\) has no field 'other'"):
        Kind(name="a", last="z", other=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"Kind\(\) needs the field 'last'"):
        Kind(name="a")  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        Kind("a")  # type: ignore[misc]


def test_a_class_keeps_the_initializer_to_itself() -> None:
    class Other(Base):
        count: int = 5
        more: int = 6

    hasten(Base)
    assert Other(name="n").as_dict() == {"name": "n", "count": 5, "more": 6}
    assert Derived(name="n", last="l").as_dict() == {"name": "n", "count": 3, "self_made": (), "last": "l"}
    assert pickle.loads(pickle.dumps(Base(name="n", count=9))) == Base(name="n", count=9)
    hasten(Awkward, Empty)
    assert Awkward(given=5).as_dict() == {"given": 5, "unknown": 1, "cls": 2}
    assert Empty() == Empty()
    with pytest.raises(TypeError, match="has no field"):
        Empty(a=1)  # type: ignore[call-arg]
