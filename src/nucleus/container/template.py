"""A launch whose looking up and compiling is done: a start makes anew only what must be unique.

That is the id with its state directory, the lock of a block of host ids, the descriptors, and, where the caller asks for
them, another command and the host name that comes from the id.  ✗ decides whether what was looked up still holds.
"""

from __future__ import annotations

import time

from ..base.jsontext import digest, dumps
from ..cgroup import tree
from ..plan.encode import encode_step, join
from ..plan.namespaces import created_members
from ..plan.steps import LaunchPlan, Step, step
from ..plan.workload import PATH, candidates, exec_values
from ..state.store import write_file
from . import ranges
from .prepare import Prepared, environment, open_store
from .slots import open_slots
from .sweep import sweep_holder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..cgroup.parent import CgroupDirectory
    from ..host.facts import HostFacts, IdRange
    from ..plan.request import Source
    from ..spec.container import ContainerSpec
    from ..state.record import ContainerRecord

_NAMED = ("set-hostname", "write-file")  # the steps that hold the host name
_NAME_LENGTH = 12  # of the id, where nothing else names the host


class Template:
    """Nothing of it changes after it was made: safe to start from several threads at once.

    host_name   the one in the plan where it came from the id, and has to be replaced by that of the new id
    resolv_conf what the plan mounts there, with the host's network
    """

    __slots__ = (
        "_cgroups",
        "_chunks",
        "_host_name",
        "_named",
        "_record",
        "_variables",
        "facts",
        "plan",
        "resolv_conf",
        "spec",
    )

    def __init__(
        self, spec: ContainerSpec, facts: HostFacts, plan: LaunchPlan, record: ContainerRecord,
        cgroups: tuple[CgroupDirectory, ...], *, host_name: str = "", resolv_conf: Source | None = None,
    ) -> None:  # fmt: skip
        self.spec, self.facts, self.plan, self.resolv_conf = spec, facts, plan, resolv_conf
        self._record, self._cgroups, self._host_name = record, cgroups, host_name
        self._variables = environment(spec)
        self._chunks = [encode_step(s) for s in plan.steps]
        name = host_name.encode()
        self._named = [
            n for n, s in enumerate(plan.steps) if name and s.name in _NAMED and name in self._chunks[n]
        ]

    def encoded(self) -> bytes:
        """The plan's bytes."""
        return join(self.plan.kind, self._chunks)

    def start(self, command: tuple[str, ...] = ()) -> Prepared | None:
        """A launch that is ready to go; None when the plan's host ids are in use and cannot be moved.

        command: instead of the spec's own.
        """
        prepared = Prepared(open_store(self.spec))
        try:
            if self._fill(prepared, command):
                return prepared
        except BaseException:
            prepared.discard()
            raise
        prepared.discard()
        return None

    def _fill(self, prepared: Prepared, command: tuple[str, ...]) -> bool:
        record = self._record
        changed: dict[int, Step] = {}
        if not record.rootless:
            if (wish := self._block()) is None:
                return False
            base, lock = ranges.take(_taken(self.facts), wish=wish)
            prepared.held.append(lock)
            if base != wish:
                if self.plan.steps_of("make-userns"):
                    return False
                changed.update(self._moved(base))
                block = ((0, base, ranges.BLOCK),)
                record = record.replace(uid_map=block, gid_map=block)
        if command:
            changed.update(self._other_command(command))
            spec = {**record.spec, "command": command}
            record = record.replace(command=command, spec=spec, spec_hash=digest(dumps(spec).encode()))
        self._plan_for(prepared, changed)
        parents = []
        for directory in self._cgroups:
            parents.append(tree.open_directory(directory))
            prepared.held.append(parents[-1])
        self._register(prepared, record)
        open_slots(prepared, self.spec, self.facts, self._variables, parents)
        return True

    def _register(self, prepared: Prepared, record: ContainerRecord) -> None:
        """The state directory, the name, the record."""
        prepared.state = prepared.store.create(prepared.id)
        if record.name:
            sweep_holder(prepared.store, record.name)
            prepared.store.take_name(record.name, prepared.id)
        prepared.record = record.replace(
            id=prepared.id,
            created_ns=time.time_ns(),
            cgroups=tuple([f"{d.path}/nucleus-{prepared.id}" for d in self._cgroups]),
        )
        write_file(prepared.state.fd, "state.json", prepared.record.to_json())

    def _plan_for(self, prepared: Prepared, changed: dict[int, Step]) -> None:
        steps, chunks = list(self.plan.steps), list(self._chunks)
        for at, other in changed.items():
            steps[at], chunks[at] = other, encode_step(other)
        old, new = self._host_name, prepared.id[:_NAME_LENGTH]
        for at in self._named:
            # Both names are of one length: the bytes are those that another encoding would give.
            was = steps[at]
            values = tuple([v.replace(old, new) if isinstance(v, str) else v for v in was.values])
            steps[at] = Step(was.spec, values, was.origin)
            chunks[at] = chunks[at].replace(old.encode(), new.encode())
        prepared.plan = LaunchPlan(kind=self.plan.kind, steps=tuple(steps), slots=self.plan.slots)
        prepared.encoded = join(self.plan.kind, chunks)

    def _place(self, name: str) -> int:
        return next(n for n, s in enumerate(self.plan.steps) if s.spec.name == name)

    def _other_command(self, command: tuple[str, ...]) -> dict[int, Step]:
        at = self._place("exec")
        was = self.plan.steps[at]
        directory = str(was["directory"])
        found = candidates(command[0], self._variables.get("PATH", PATH), directory)
        fields = {**dict(zip(was.spec.names, was.values, strict=True)), **exec_values(found, command)}
        other = {at: step("exec", origin=was.origin, **fields)}
        members = created_members(self.spec.name, self.spec.labels, command)
        for at, was in enumerate(self.plan.steps):
            if was.spec.name == "note-created":
                other[at] = Step(was.spec, (*was.values[:-1], members), was.origin)
        return other

    def _block(self) -> int | None:
        """The first host id, where the whole map is one block: it is not when an owner is mapped himself."""
        maps = {*self._record.uid_map, *self._record.gid_map}
        (inside, base, count), *others = maps
        return base if not others and (inside, count) == (0, ranges.BLOCK) else None

    def _moved(self, base: int) -> dict[int, Step]:
        """The id map on another block: one step holds it."""
        at, line = self._place("write-id-map"), f"0 {base} {ranges.BLOCK}\n"
        origin = self.plan.steps[at].origin
        return {at: step("write-id-map", origin=origin, uid_map=line, gid_map=line, deny_setgroups=0)}


def _taken(facts: HostFacts) -> tuple[IdRange, ...]:
    known = facts.subordinate
    return known.taken_uids + known.taken_gids if known else ()
