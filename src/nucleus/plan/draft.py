"""A plan while it is being written: steps in order, slots by name.  ✗ what the steps are: the sibling modules."""

from __future__ import annotations

from ..base.errors import SpecError
from . import schema
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
            if len(self.slots) > schema.MAX_SLOTS:
                raise SpecError(
                    "more descriptors than a launch can take along", where=_option(name),
                    remedy=f"at most {schema.MAX_SLOTS + 1} together: put several secrets into one file",
                )  # fmt: skip
            self.slots.append(name)
        return self.slots.index(name)

    def mount(self) -> int:
        """A fresh mount number."""
        if self._mounts > schema.MAX_MOUNTS:
            raise SpecError(
                f"more than {schema.MAX_MOUNTS + 1} mounts of the host", where="--volume",
                remedy="mount a directory above them instead of each by itself",
            )  # fmt: skip
        self._mounts += 1
        return self._mounts - 1


def _option(slot: str) -> str:
    return "--secret" if slot.startswith("secret:") else "launch plan"
