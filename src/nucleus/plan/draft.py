"""A plan while it is being written: steps in order, slots by name.  ✗ what the steps are: the sibling modules."""

from __future__ import annotations

from .steps import Step, step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .request import Request
    from .steps import FieldValue


class Draft:
    """Collects steps.  Mount numbers and slots are handed out in order of first use, so that a plan names nothing unique."""

    __slots__ = ("_mounts", "request", "slots", "steps")

    def __init__(self, request: Request) -> None:
        self.request = request
        self.steps: list[Step] = []
        self.slots: list[str] = []
        self._mounts = 0

    def add(self, step_name: str, origin: str, **fields: FieldValue) -> None:
        """Append a step that comes from `origin`, the key of an option or a word for what is always done."""
        self.steps.append(step(step_name, origin=origin, **fields))

    def slot(self, name: str) -> int:
        """The number of a descriptor slot."""
        if name not in self.slots:
            self.slots.append(name)
        return self.slots.index(name)

    def mount(self) -> int:
        """A fresh mount number."""
        self._mounts += 1
        return self._mounts - 1
