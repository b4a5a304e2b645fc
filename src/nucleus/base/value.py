"""Frozen, slotted, keyword-only values: what `dataclass(frozen=True, slots=True, kw_only=True)` gives,
without importing `dataclasses` (about 15 ms of start-up).  ✗ no validation, no conversion."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self, dataclass_transform
else:

    def dataclass_transform(**_):
        return lambda cls: cls


class _Required:
    def __repr__(self) -> str:
        return "<required>"


_REQUIRED = _Required()


class ValueMeta(type):
    """Turns the annotations of a class body into slots, in order, with the assigned values as defaults."""

    _fields: tuple[str, ...]
    _defaults: dict[str, Any]

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> ValueMeta:
        own = [f for f in namespace.get("__annotations__", ()) if not f.startswith("_")]
        defaults: dict[str, Any] = {}
        inherited: tuple[str, ...] = ()
        for base in bases:
            inherited += getattr(base, "_fields", ())
            defaults.update(getattr(base, "_defaults", {}))
        for field in own:
            defaults[field] = namespace.pop(field, _REQUIRED)
        namespace["__slots__"] = tuple(f for f in own if f not in inherited)
        cls = super().__new__(mcs, name, bases, namespace)
        cls._fields = inherited + namespace["__slots__"]
        cls._defaults = defaults
        return cls


@dataclass_transform(kw_only_default=True, frozen_default=True)
class Value(metaclass=ValueMeta):
    """Base of every value.  Fields are the annotated names of the class body; equality is by value."""

    if not TYPE_CHECKING:

        def __init__(self, **given) -> None:
            cls, put = type(self), object.__setattr__
            values = {**cls._defaults, **given}  # in one step: a launch makes some hundred values
            if len(values) != len(cls._defaults):
                unknown = next(field for field in given if field not in cls._defaults)
                raise TypeError(f"{cls.__name__}() has no field {unknown!r}")
            for field, value in values.items():
                if value is _REQUIRED:
                    raise TypeError(f"{cls.__name__}() needs the field {field!r}")
                put(self, field, value)

        def __setattr__(self, field, value) -> None:
            raise AttributeError(f"{type(self).__name__} is frozen: cannot set {field!r}")

        def __delattr__(self, field) -> None:
            raise AttributeError(f"{type(self).__name__} is frozen: cannot delete {field!r}")

    def __getstate__(self) -> dict[str, Any]:
        return self.as_dict()

    def __setstate__(self, state: dict[str, Any]) -> None:
        for field, value in state.items():
            object.__setattr__(self, field, value)

    def as_dict(self) -> dict[str, Any]:
        """The fields in declaration order; values are not converted."""
        return {field: getattr(self, field) for field in type(self)._fields}

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed; unknown names raise TypeError."""
        cls = type(self)
        if not changes.keys() <= cls._defaults.keys():
            unknown = next(name for name in changes if name not in cls._defaults)
            raise TypeError(f"{cls.__name__}() has no field {unknown!r}")
        new, put = object.__new__(cls), object.__setattr__
        for field in cls._fields:
            put(new, field, changes[field] if field in changes else getattr(self, field))
        return new

    def __eq__(self, other: object) -> bool:
        return self is other or (type(other) is type(self) and self.as_dict() == other.as_dict())

    def __hash__(self) -> int:
        return hash((type(self), tuple(self.as_dict().values())))

    def __repr__(self) -> str:
        inner = ", ".join(f"{k}={v!r}" for k, v in self.as_dict().items())
        return f"{type(self).__name__}({inner})"
