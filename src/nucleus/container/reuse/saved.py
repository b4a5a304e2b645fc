"""SavedPlan: a launch plan compiled once, kept in a file, and run many times.

Per start only what must be unique is made anew: the id and its state directory, the lock of a block of host
ids, the descriptors.  The file is trusted like a program: it belongs to its user, and nobody else may write
to it.  It holds the launch document with the variables in it.  ✗ values that come by descriptor, ✗ secrets.

    NUCPLAN-SAVED 1 | one line of JSON: document, facts, slots, origins, cgroups, record | the plan's bytes
"""

from __future__ import annotations

import os
from stat import S_ISREG
from struct import error as StructError

from ...base.errors import LaunchError, PermissionRefused, SpecError
from ...base.jsontext import digest, dumps
from ...cgroup.parent import CgroupDirectory
from ...plan import schema
from ...plan.encode import decode
from ...plan.steps import LaunchPlan, Step
from ...spec.parse import from_mapping, words_of
from ...state.record import ContainerRecord, from_json
from ...state.store import write_file
from ..attached import OWNER_KILLS, checked, run_attached
from ..prepare import prepare
from .template import Template
from .warm import WARM

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from ...host.facts import HostFacts
    from ...spec.container import ContainerSpec
    from ..result import Result

_MAGIC = b"NUCPLAN-SAVED 1"
_MAX_BYTES = schema.MAX_BYTES + (1 << 20)
_HOSTNAME = "sandbox"  # an id would make every plan another one


class SavedPlan:
    """`SavedPlan.compile(["true"], network="none").save(path)`, and later `SavedPlan.load(path).run()`.

    Safe to run from several threads at once: nothing of it changes after it was made.
    `recompiled`: the file was of another boot or a changed machine, so its document was compiled again.
    """

    __slots__ = ("_cgroups", "_document", "_record", "_spec", "_template", "recompiled")

    def __init__(
        self, document: dict[str, Any], facts: HostFacts, plan: LaunchPlan, record: ContainerRecord,
        cgroups: tuple[CgroupDirectory, ...],
    ) -> None:  # fmt: skip
        """For this class alone: `compile` and `load` make one."""
        self._document, self._record, self._cgroups = document, record, cgroups
        self._spec = _spec(document)
        self._template = Template(self._spec, facts, plan, record, cgroups)
        self.recompiled = False

    @classmethod
    def compile(cls, command: Sequence[str], **options: Any) -> SavedPlan:
        """The plan of a command; `options` are the keys of a launch document.

        Raises SpecError, HostUnsupported.
        """
        document: dict[str, Any] = {"command": [os.fspath(w) for w in words_of(command)]}
        document |= {k: os.fspath(v) if isinstance(v, os.PathLike) else v for k, v in options.items()}
        prepared = prepare(_spec(document), owner=OWNER_KILLS, warm=WARM)
        try:
            assert prepared.plan is not None and prepared.record is not None and prepared.request is not None
            return cls(document, prepared.request.facts, prepared.plan, prepared.record, prepared.parents)
        finally:
            prepared.discard()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file, whole or not at all; only its owner can read it.  Raises SpecError, HostUnsupported."""
        folder, name = os.path.split(os.path.abspath(path))
        try:
            directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise SpecError(
                f"{folder}: {(error.strerror or '').lower()}",
                where="save",
                remedy="name a file in a directory that is there",
            ) from None
        try:
            write_file(directory, name, self._to_bytes())
        finally:
            os.close(directory)

    def _to_bytes(self) -> bytes:
        header: dict[str, Any] = {
            "document": self._document,
            "facts": _digest(self._template.facts),
            "slots": self._template.plan.slots,
            "origins": tuple([s.origin for s in self._template.plan.steps]),
            "cgroups": self._cgroups,
            "record": self._record,
        }
        return b"\n".join([_MAGIC, dumps(header).encode(), self._template.encoded()])

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> SavedPlan:
        """Read a file that `save` wrote.  Raises SpecError, or PermissionRefused when others may write to it.

        The machine is looked at here alone: a program that runs for days loads the plan again now and then.
        """
        import json

        magic, _, rest = _read(os.fspath(path)).partition(b"\n")
        header_line, _, encoded = rest.partition(b"\n")
        try:
            if magic != _MAGIC:
                raise ValueError("another format")
            header = json.loads(header_line)
            facts = WARM.facts.get()
            if header["facts"] != _digest(facts):
                return cls._again(header["document"])
            saved = cls(header["document"], facts, *_parts(header, encoded))
            if saved._template.encoded() != encoded:
                raise ValueError("the plan has more than one encoding")
        except (ValueError, TypeError, KeyError, IndexError, StructError) as reason:
            raise SpecError(
                f"not a saved plan of this version: {reason}",
                where=os.fspath(path),
                remedy="save the plan again",
            ) from None
        return saved

    @classmethod
    def _again(cls, document: dict[str, Any]) -> SavedPlan:
        made = cls.compile(**document)
        made.recompiled = True
        return made

    def run(
        self,
        *,
        stdin: bytes | None = None,
        check: bool = False,
        on_stdout: Callable[[bytes], None] | None = None,
        on_stderr: Callable[[bytes], None] | None = None,
    ) -> Result:
        """Run it and wait, as `nucleus.run` does."""
        # Where its block of host ids is in use and holds more than the map, the plan is compiled for another one.
        prepared = self._template.start(roots=WARM.roots) or prepare(self._spec, owner=OWNER_KILLS, warm=WARM)
        try:
            result = run_attached(prepared, stdin, (on_stdout, on_stderr))
        except LaunchError as error:
            WARM.failed(error)
            raise
        return checked(result, self._spec.command) if check else result


def _spec(document: dict[str, Any]) -> ContainerSpec:
    spec = from_mapping(document)
    if spec.context and spec.context_mode == "copy":
        raise SpecError(
            "a copy is made for one container",
            where="$.context",
            remedy="use context_mode bind, or a volume",
        )
    if spec.detach:
        raise SpecError(
            "a saved plan waits for its command", where="$.detach", remedy="use nucleus.Container.run"
        )
    if spec.copies_workspace:
        raise SpecError(
            "a copy is made for one container",
            where="$.workspace_mode",
            remedy="use workspace_mode bind-rw",
        )
    if spec.mode == "production":
        raise SpecError(
            "production is judged at each start, not when a plan was saved",
            where="$.service_mode",
            remedy="use nucleus.run or nucleus.Container.run",
        )
    if spec.supervised or spec.cidfile:
        from ..supervision.supervised import refuse

        refuse()
    return spec.replace(rm=True, hostname=spec.hostname or spec.name or _HOSTNAME)


def _digest(facts: HostFacts) -> str:
    """Of the facts that a plan may rest on."""
    known = (
        facts.kernel, facts.identity, facts.cgroup, facts.files, facts.rlimits, facts.boot_id,
        facts.pid_namespace, facts.subordinate,
    )  # fmt: skip
    return digest(repr(known).encode("utf-8", "surrogateescape"))


def _parts(
    header: dict[str, Any], encoded: bytes
) -> tuple[LaunchPlan, ContainerRecord, tuple[CgroupDirectory, ...]]:
    bare = decode(encoded)
    steps = [Step(s.spec, s.values, o) for s, o in zip(bare.steps, header["origins"], strict=True)]
    plan = LaunchPlan(kind=bare.kind, steps=tuple(steps), slots=tuple(header["slots"]))
    record = from_json(dumps(header["record"]).encode())
    if record is None or len(plan.slots) < len(bare.slots):
        raise ValueError("parts are missing")
    found = [CgroupDirectory(**{**d, "controllers": tuple(d["controllers"])}) for d in header["cgroups"]]
    return plan, record, tuple(found)


def _read(path: str) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise SpecError(
            f"{path}: {(error.strerror or '').lower()}", where=path, remedy="save the plan there first"
        ) from None
    status = os.fstat(fd)
    if not S_ISREG(status.st_mode) or status.st_uid not in (os.geteuid(), 0) or status.st_mode & 0o022:
        os.close(fd)
        raise PermissionRefused(
            "a saved plan must be a file of the caller that nobody else may write to",
            where=path,
            remedy=f"chmod go-w {path}, or save the plan again",
        )
    with os.fdopen(fd, "rb") as file:
        return file.read(_MAX_BYTES)
