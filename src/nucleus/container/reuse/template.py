"""A launch whose looking up and compiling is done: a start makes anew only what must be unique.

That is the id with its state directory, the lock of a block of host ids, the descriptors, and, where the caller asks for
them, another command and the host name that comes from the id.  ✗ decides whether what was looked up still holds.
"""

from __future__ import annotations

import time

from ...base.jsontext import Form, digest, dumps
from ...cgroup import tree
from ...launch import launcher
from ...plan import spares
from ...plan.encode import encode, encode_step, join
from ...plan.notes import created_members
from ...plan.prepared import owned_by, sources, split
from ...plan.steps import LaunchPlan, Step
from ...plan.workload import PATH, candidates, exec_values
from ...state.store import write_file
from .. import ranges
from ..kept import Remade
from ..prepare import environment
from ..prepared import Prepared, open_store
from ..running.sweep import sweep_holder
from ..slots import open_slots
from .roots import Sources
from .spares import SPARES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...cgroup.parent import CgroupDirectory
    from ...host.current import View
    from ...host.facts import HostFacts, IdRange
    from ...plan.request import Source
    from ...plan.steps import FieldValue
    from ...spec.container import ContainerSpec
    from ...state.record import ContainerRecord
    from .roots import Roots

    IdMap = tuple[tuple[int, int, int], ...]

_NAMED = ("set-hostname", "write-file", "cover-file")  # the steps that hold the host name
_CHANGED = ("write-id-map", "note-created", "exec")  # the steps that hold the host ids and the command
_NAME_LENGTH = 12  # of the id, where nothing else names the host
# What of a record two starts do not share.
_OWN = ("id", "command", "created_ns", "cgroups", "spec_hash", "spec")


class Template:
    """Nothing of it changes after it was made: safe to start from several threads at once.

    host_name   the one in the plan where it came from the id, and has to be replaced by that of the new id
    resolv_conf what the plan mounts there, with the host's network
    """

    __slots__ = (
        "_cgroups",
        "_directory",
        "_environment",
        "_form",
        "_path",
        "_record",
        "_record_form",
        "_shared",
        "_spec_form",
        "_taken",
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
        self._record_form, self._spec_form = Form(record.as_dict(), _OWN), Form(record.spec, ("command",))
        self._variables = environment(spec)
        self._path = self._variables.get("PATH", PATH)
        variables = self._variables  # what is kept must not keep its keeper
        self._environment = Remade(lambda: launcher.sealed_environment(variables))
        self._taken = _taken(facts)
        self._form = _Form(plan, host_name)
        self._directory = str(plan.steps_of("exec")[0]["directory"])
        self._shared: _Shared | None = None

    def encoded(self) -> bytes:
        """The plan's bytes."""
        return self._form.encoded()

    def start(
        self, command: tuple[str, ...] = (), roots: Roots | None = None, view: View | None = None
    ) -> Prepared | None:
        """A launch that is ready to go; None when the plan's host ids are in use and cannot be moved.

        command: instead of the spec's own.  roots: where prepared roots are kept.  view: of the mount table, just now.
        """
        prepared = Prepared(open_store(self.spec))
        try:
            if self._fill(prepared, command, roots, view):
                return prepared
        except BaseException:
            prepared.discard()
            raise
        prepared.discard()
        return None

    def _fill(
        self, prepared: Prepared, command: tuple[str, ...], roots: Roots | None, view: View | None
    ) -> bool:
        form, maps = self._form, (self._record.uid_map, self._record.gid_map)
        changed: dict[int, Step] = {}
        if not self._record.rootless:
            if (wish := self._block()) is None:
                return False
            base, lock = ranges.take(self._taken, wish=wish)
            prepared.held.append(lock)
            if base != wish:
                if self.plan.steps_of("make-userns"):
                    return False
                maps = (((0, base, ranges.BLOCK),),) * 2
            if roots is not None:
                form = self._in_root(prepared, roots, base, view)
            if base != wish:
                changed.update(form.moved(base))
        if command:
            changed.update(self._other_command(form, command))
        prepared.plan, prepared.encoded = form.plan_for(prepared.id, changed)
        parents = []
        for directory in self._cgroups:
            parents.append(tree.open_directory(directory))
            prepared.held.append(parents[-1])
        self._register(prepared, command or self._record.command, maps)
        prepared.held.append(self._environment.again())
        open_slots(prepared, self.spec, self.facts, self._variables, parents, prepared.held[-1])
        return True

    def _register(self, prepared: Prepared, command: tuple[str, ...], maps: tuple[IdMap, IdMap]) -> None:
        """The state directory, the name, the record."""
        record = self._record
        prepared.state = prepared.store.create(prepared.id)
        if record.name:
            sweep_holder(prepared.store, record.name)
            prepared.store.take_name(record.name, prepared.id)
        words, now = dumps(command), time.time_ns()
        spec = self._spec_form.text({"command": words})
        spec_hash = digest(spec.encode())
        cgroups = tuple([f"{d.path}/nucleus-{prepared.id}" for d in self._cgroups])
        prepared.record = record = self._record.replace(
            id=prepared.id, command=command, created_ns=now, uid_map=maps[0], gid_map=maps[1], cgroups=cgroups,
            spec_hash=spec_hash, spec={**self._record.spec, "command": command},
        )  # fmt: skip
        own = {
            "id": f'"{prepared.id}"', "command": words, "created_ns": f"{now}", "cgroups": dumps(cgroups),
            "spec_hash": f'"{spec_hash}"', "spec": spec,
        }  # fmt: skip
        moved = maps[0] is not self._record.uid_map
        text = record.to_json() if moved else self._record_form.text(own).encode() + b"\n"
        write_file(prepared.state.fd, "state.json", text)

    def _in_root(self, prepared: Prepared, roots: Roots, base: int, view: View | None) -> _Form:
        """The plan of a start in a prepared root, where there is one for these host ids."""
        shared = self._shared
        if shared is None:
            shared = self._shared = _Shared(self._form, self.spec)
        if shared.form is None:
            return self._form
        found = roots.get(shared.root_for(base), shared.sources, view)
        if not found:
            return self._form
        prepared.held += found
        prepared.root, prepared.devices = found[0], found[-1]
        if shared.taking is None or shared.giving is None:
            return shared.form
        prepared.spares = SPARES.receiver()
        prepared.held.append(prepared.spares)
        prepared.network = SPARES.take()
        if prepared.network < 0:
            return shared.giving
        prepared.held.append(prepared.network)
        return shared.taking

    def _other_command(self, form: _Form, command: tuple[str, ...]) -> dict[int, Step]:
        found = candidates(command[0], self._path, self._directory)
        members = created_members(self.spec.name, self.spec.labels, command)
        return form.other("exec", exec_values(found, command)) | form.other(
            "note-created", {"members": members}
        )

    def _block(self) -> int | None:
        """The first host id, where the whole map is one block: it is not when an owner is mapped himself."""
        maps = {*self._record.uid_map, *self._record.gid_map}
        (inside, base, count), *others = maps
        return base if not others and (inside, count) == (0, ranges.BLOCK) else None


class _Form:
    """A plan whose bytes are made, step by step, and where in it the host name of a start belongs."""

    __slots__ = ("_chunks", "_named", "_places", "_whole", "host_name", "plan")

    def __init__(self, plan: LaunchPlan, host_name: str) -> None:
        self.plan, self.host_name = plan, host_name
        self._chunks = [encode_step(s) for s in plan.steps]
        self._places = {
            name: [n for n, s in enumerate(plan.steps) if s.spec.name == name] for name in _CHANGED
        }
        self._whole = b""  # its bytes, once a start needed them as they are
        name = host_name.encode()
        self._named = [
            n for n, s in enumerate(plan.steps) if name and s.name in _NAMED and name in self._chunks[n]
        ]

    def encoded(self) -> bytes:
        return join(self.plan.kind, self._chunks)

    def other(self, name: str, values: Mapping[str, FieldValue]) -> dict[int, Step]:
        """The steps of that name, one of _CHANGED, with some other values, by their places."""
        other = {}
        for at in self._places[name]:
            was = self.plan.steps[at]
            kept = zip(was.spec.names, was.values, strict=True)
            other[at] = Step(was.spec, tuple([values.get(field, value) for field, value in kept]), was.origin)
        return other

    def moved(self, base: int) -> dict[int, Step]:
        """The id map on another block: one step holds it."""
        line = f"0 {base} {ranges.BLOCK}\n"
        return self.other("write-id-map", {"uid_map": line, "gid_map": line, "deny_setgroups": 0})

    def plan_for(self, container_id: str, changed: dict[int, Step]) -> tuple[LaunchPlan, bytes]:
        """The plan with other steps in their places, and its bytes."""
        if not changed and not self._named:
            self._whole = self._whole or self.encoded()
            return self.plan, self._whole
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
    """The same start in a prepared root.  form: None where the plan has nothing that could be prepared.

    taking, giving: with a spare network namespace, and only for a later start; None where it must be the container's own
    """

    __slots__ = ("_encoded", "_root", "form", "giving", "sources", "taking")

    def __init__(self, whole: _Form, spec: ContainerSpec) -> None:
        parts = two_parts(whole.plan, spec, whole.host_name)
        self._encoded: dict[int, bytes] = {}
        self._root = parts[0] if parts else None
        self.form = _Form(parts[1], whole.host_name) if parts else None
        may_take = parts is not None and spares.may_take(parts[1])
        self.taking = _Form(spares.taking(parts[1]), whole.host_name) if parts and may_take else None
        self.giving = _Form(spares.giving(parts[1]), whole.host_name) if parts and may_take else None
        self.sources = Sources(sources(parts[0]) if parts else ())

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
