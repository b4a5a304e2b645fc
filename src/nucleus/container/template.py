"""A launch whose looking up and compiling is done: a start makes anew only what must be unique.

That is the id with its state directory, the lock of a block of host ids, the descriptors, and, where the caller asks for
them, another command and the host name that comes from the id.  ✗ decides whether what was looked up still holds.
"""

from __future__ import annotations

import time

from ..base.jsontext import digest, dumps
from ..cgroup import tree
from ..plan.encode import encode, encode_step, join
from ..plan.namespaces import created_members
from ..plan.prepared import owned_by, sources, split
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
    from .roots import Roots

_NAMED = ("set-hostname", "write-file", "cover-file")  # the steps that hold the host name
_NAME_LENGTH = 12  # of the id, where nothing else names the host


class Template:
    """Nothing of it changes after it was made: safe to start from several threads at once.

    host_name   the one in the plan where it came from the id, and has to be replaced by that of the new id
    resolv_conf what the plan mounts there, with the host's network
    """

    __slots__ = (
        "_cgroups",
        "_form",
        "_record",
        "_shared",
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
        self._record, self._cgroups = record, cgroups
        self._variables = environment(spec)
        self._form = _Form(plan, host_name)
        self._shared: _Shared | None = None

    def encoded(self) -> bytes:
        """The plan's bytes."""
        return self._form.encoded()

    def start(self, command: tuple[str, ...] = (), roots: Roots | None = None) -> Prepared | None:
        """A launch that is ready to go; None when the plan's host ids are in use and cannot be moved.

        command: instead of the spec's own.  roots: where prepared roots are kept.
        """
        prepared = Prepared(open_store(self.spec))
        try:
            if self._fill(prepared, command, roots):
                return prepared
        except BaseException:
            prepared.discard()
            raise
        prepared.discard()
        return None

    def _fill(self, prepared: Prepared, command: tuple[str, ...], roots: Roots | None) -> bool:
        record, form = self._record, self._form
        changed: dict[int, Step] = {}
        if not record.rootless:
            if (wish := self._block()) is None:
                return False
            base, lock = ranges.take(_taken(self.facts), wish=wish)
            prepared.held.append(lock)
            if base != wish:
                if self.plan.steps_of("make-userns"):
                    return False
                block = ((0, base, ranges.BLOCK),)
                record = record.replace(uid_map=block, gid_map=block)
            if roots is not None:
                form = self._in_root(prepared, roots, base)
            changed.update(form.moved(base) if base != wish else {})
        if command:
            changed.update(self._other_command(form, command))
            spec = {**record.spec, "command": command}
            record = record.replace(command=command, spec=spec, spec_hash=digest(dumps(spec).encode()))
        prepared.plan, prepared.encoded = form.plan_for(prepared.id, changed)
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

    def _in_root(self, prepared: Prepared, roots: Roots, base: int) -> _Form:
        """The plan of a start in a prepared root, where there is one for these host ids."""
        shared = self._shared
        if shared is None:
            shared = self._shared = _Shared(self._form, self.spec)
        if shared.form is None:
            return self._form
        prepared.root = roots.get(shared.root_for(base), shared.sources)
        if prepared.root < 0:
            return self._form
        prepared.held.append(prepared.root)
        return shared.form

    def _other_command(self, form: _Form, command: tuple[str, ...]) -> dict[int, Step]:
        at = form.place("exec")
        was = form.plan.steps[at]
        directory = str(was["directory"])
        found = candidates(command[0], self._variables.get("PATH", PATH), directory)
        fields = {**dict(zip(was.spec.names, was.values, strict=True)), **exec_values(found, command)}
        other = {at: step("exec", origin=was.origin, **fields)}
        members = created_members(self.spec.name, self.spec.labels, command)
        for at, was in enumerate(form.plan.steps):
            if was.spec.name == "note-created":
                other[at] = Step(was.spec, (*was.values[:-1], members), was.origin)
        return other

    def _block(self) -> int | None:
        """The first host id, where the whole map is one block: it is not when an owner is mapped himself."""
        maps = {*self._record.uid_map, *self._record.gid_map}
        (inside, base, count), *others = maps
        return base if not others and (inside, count) == (0, ranges.BLOCK) else None


class _Form:
    """A plan whose bytes are made, step by step, and where in it the host name of a start belongs."""

    __slots__ = ("_chunks", "_named", "host_name", "plan")

    def __init__(self, plan: LaunchPlan, host_name: str) -> None:
        self.plan, self.host_name = plan, host_name
        self._chunks = [encode_step(s) for s in plan.steps]
        name = host_name.encode()
        self._named = [
            n for n, s in enumerate(plan.steps) if name and s.name in _NAMED and name in self._chunks[n]
        ]

    def encoded(self) -> bytes:
        return join(self.plan.kind, self._chunks)

    def place(self, name: str) -> int:
        return next(n for n, s in enumerate(self.plan.steps) if s.spec.name == name)

    def moved(self, base: int) -> dict[int, Step]:
        """The id map on another block: one step holds it."""
        at, line = self.place("write-id-map"), f"0 {base} {ranges.BLOCK}\n"
        origin = self.plan.steps[at].origin
        return {at: step("write-id-map", origin=origin, uid_map=line, gid_map=line, deny_setgroups=0)}

    def plan_for(self, container_id: str, changed: dict[int, Step]) -> tuple[LaunchPlan, bytes]:
        """The plan with other steps in their places, and its bytes."""
        steps, chunks = list(self.plan.steps), list(self._chunks)
        for at, other in changed.items():
            steps[at], chunks[at] = other, encode_step(other)
        old, new = self.host_name, container_id[:_NAME_LENGTH]
        for at in self._named:
            # Both names are of one length: the bytes are those that another encoding would give.
            was = steps[at]
            values = tuple([v.replace(old, new) if isinstance(v, str) else v for v in was.values])
            steps[at] = Step(was.spec, values, was.origin)
            chunks[at] = chunks[at].replace(old.encode(), new.encode())
        plan = LaunchPlan(kind=self.plan.kind, steps=tuple(steps), slots=self.plan.slots)
        return plan, join(self.plan.kind, chunks)


def two_parts(plan: LaunchPlan, spec: ContainerSpec, host_name: str) -> tuple[LaunchPlan, LaunchPlan] | None:
    """What makes a root for all starts of a kind, and what starts one of them; None where each makes its own.

    host_name: where it comes from the id, and differs.
    """
    if spec.rootfs or spec.toolchain_rootfs:  # who may write to it could change what the next container finds
        return None
    name = host_name.encode()
    own = [str(s["path"]) for s in plan.steps_of("write-file") if name and name in bytes(s["content"])]  # type: ignore[arg-type]
    return split(plan, own)


class _Shared:
    """The same start in a prepared root.  form: None where the plan has nothing that could be prepared."""

    __slots__ = ("_encoded", "_root", "form", "sources")

    def __init__(self, whole: _Form, spec: ContainerSpec) -> None:
        parts = two_parts(whole.plan, spec, whole.host_name)
        self._encoded: dict[int, bytes] = {}
        self._root = parts[0] if parts else None
        self.form = _Form(parts[1], whole.host_name) if parts else None
        self.sources = sources(parts[0]) if parts else ()

    def root_for(self, base: int) -> bytes:
        """The plan that makes the root for that block of host ids; kept for the few blocks that a program uses."""
        if base not in self._encoded and self._root is not None:
            self._encoded = {
                **dict(list(self._encoded.items())[-15:]),
                base: encode(owned_by(self._root, base, base)),
            }
        return self._encoded[base]


def _taken(facts: HostFacts) -> tuple[IdRange, ...]:
    known = facts.subordinate
    return known.taken_uids + known.taken_gids if known else ()
