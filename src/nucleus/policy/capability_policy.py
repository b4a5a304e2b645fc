"""A capability policy (TOML): which capabilities the workload keeps, set by set.  Without one it keeps none.

[bounding], [ambient], [effective], [inheritable], each with keep = [names].  What follows from them: who has an ambient
capability has it inheritable and permitted, and no permitted one is outside of the bounding set.  ✗ opens no file.
"""

from __future__ import annotations

from ..base.value import Value
from ..spec.decode import Kind, decode
from . import capabilities
from .reading import Reader

KIND = Kind(
    what="a capability policy", size="a policy has a few lines; name another file",
    depth="a policy has one level of tables", begin='begin with [ambient] and keep = ["NET_BIND_SERVICE"]',
)  # fmt: skip
_SETS = ("bounding", "ambient", "effective", "inheritable")


class CapabilitySets(Value):
    """The five sets as masks."""

    bounding: int = 0
    permitted: int = 0
    effective: int = 0
    inheritable: int = 0
    ambient: int = 0

    @property
    def dangerous(self) -> tuple[str, ...]:
        """Those with which a process undoes a sandbox, by name."""
        mask = self.bounding | self.permitted
        return tuple([n for n in capabilities.DANGEROUS if mask >> capabilities.NUMBERS[n] & 1])


def parse(data: bytes, name: str) -> CapabilitySets:
    """Raises SpecError with every problem, each with file, line and `$.path`."""
    reader = Reader(decode(data, name, KIND, is_json=False))
    top = reader.top(_SETS)
    kept = dict.fromkeys(_SETS, 0)
    for key in _SETS:
        table = reader.table(top.get(key), key, ("keep",))
        for at, word in reader.texts(table.get("keep"), f"{key}.keep"):
            bare = word.upper().removeprefix("CAP_")
            number = reader.one_of(bare, at, capabilities.NUMBERS, "a capability")
            kept[key] |= 0 if number is None else 1 << number
    reader.finish()
    inheritable = kept["inheritable"] | kept["ambient"]
    # The kernel raises an ambient capability only where it is permitted, and execve makes it effective.
    permitted = kept["effective"] | inheritable
    return CapabilitySets(
        bounding=kept["bounding"] | permitted,
        permitted=permitted,
        effective=kept["effective"] | kept["ambient"],
        inheritable=inheritable,
        ambient=kept["ambient"],
    )
