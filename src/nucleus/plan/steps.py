"""Step and LaunchPlan: the values a plan is made of.  ✗ no encoding, no policy."""

from __future__ import annotations

from . import schema

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    FieldValue = int | str | bytes


class Step:
    """One step: a row of the schema, a value for each field, and the option it comes from."""

    __slots__ = ("origin", "spec", "values")

    def __init__(self, spec: schema.StepSpec, values: tuple[FieldValue, ...], origin: str) -> None:
        self.spec, self.values, self.origin = spec, values, origin

    @property
    def name(self) -> str:
        return self.spec.name

    def __getitem__(self, field: str) -> FieldValue:
        return self.values[self.spec.names.index(field)]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Step) and (self.spec, self.values) == (other.spec, other.values)

    def __hash__(self) -> int:
        return hash((self.spec.opcode, self.values))

    def __repr__(self) -> str:
        inner = ", ".join(f"{n}={v!r}" for n, v in zip(self.spec.names, self.values, strict=True))
        return f"<{self.spec.name} {inner}>"


def step(step_name: str, *, origin: str, **fields: FieldValue) -> Step:
    """A step by its name in the schema; every field must be given (TypeError otherwise)."""
    spec = schema.BY_NAME[step_name]
    try:
        values = tuple([fields.pop(name) for name in spec.names])
    except KeyError as missing:
        raise TypeError(f"{step_name}: field {missing} is missing") from None
    if fields:
        raise TypeError(f"{step_name}: no field {next(iter(fields))!r}")
    return Step(spec, values, origin)


class LaunchPlan:
    """Steps in order, plus the names of the descriptor slots they refer to.

    `slots[i]` names what the caller has to open for slot i ("state", "environment", "cgroup-parent:memory", …).
    """

    __slots__ = ("kind", "slots", "steps")

    def __init__(self, *, kind: int, steps: tuple[Step, ...], slots: tuple[str, ...]) -> None:
        self.kind, self.steps, self.slots = kind, steps, slots

    def steps_of(self, name: str) -> tuple[Step, ...]:
        """All steps of that name, in order."""
        return tuple(s for s in self.steps if s.spec.name == name)

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LaunchPlan) and (
            (self.kind, self.steps, self.slots) == (other.kind, other.steps, other.slots)
        )

    def __hash__(self) -> int:
        return hash((self.kind, self.steps, self.slots))
