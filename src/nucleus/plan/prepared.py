"""One plan in two: what makes the root, which is the same for every start of a kind, and what starts a container in it.

Both parts are cut out of the complete plan of a run, so that nothing is said twice: a step of that plan stands in one of
them, or makes room for the other.  ✗ keeps no root: container/.
"""

from __future__ import annotations

from . import schema
from .mounts import parents_of
from .steps import LaunchPlan, Step, step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

SLOT = "root"  # the descriptor of the prepared root's mount namespace
DEVICES = "devices"  # that of the program which names the devices, where the whole plan loads one
# What every container of a kind mounts from the host, by the origin of its steps; the rest is mounted by each start.
_SHARED = frozenset(("rootfs", "devices", "network"))
_FILLS = frozenset(("make-directory", "make-symlink", "write-file"))
# They make, enter and leave a root that is the container's alone.
_OWN_ROOT = frozenset(("make-root", "pivot-root", "await-detached", "detach-host"))
# Only where the launcher makes every mount as host root, and only for a root that is the host's own.
_UNFIT = frozenset(("open-tree-inside", "run-helper", "let-hooks-run", "run-hook-inside"))
_NOBODY = schema.NOBODY
_TEMPORARY = "/tmp"


def split(plan: LaunchPlan, own_files: Iterable[str] = ()) -> tuple[LaunchPlan, LaunchPlan] | None:
    """(what prepares the root, what starts a container in it); None for a plan of which nothing can be shared.

    own_files: generated files that differ between two starts, such as those with the host name.
    """
    owner = _owner(plan)
    targets = {s["target"] for s in plan.steps_of("mount-filesystem")}
    overlaid = any([s["type"] == "overlay" for s in plan.steps_of("mount-filesystem")])
    if plan.kind != schema.KIND_CREATE or owner is None or overlaid or _TEMPORARY not in targets:
        return None
    if any([s.spec.name in _UNFIT for s in plan.steps]):
        return None
    return _Split(plan, owner, frozenset(own_files)).parts()


def owned_by(plan: LaunchPlan, uid: int, gid: int) -> LaunchPlan:
    """The same root for another block of host ids."""
    steps = [
        step("set-file-owner", origin=s.origin, uid=uid, gid=gid) if s.spec.name == "set-file-owner" else s
        for s in plan.steps
    ]
    return LaunchPlan(kind=plan.kind, steps=tuple(steps), slots=plan.slots)


def sources(plan: LaunchPlan) -> tuple[str, ...]:
    """The paths of the host that a prepared root shows."""
    return tuple([str(s["path"]) for s in plan.steps_of("open-tree")])


def _owner(plan: LaunchPlan) -> tuple[int, int] | None:
    """The host's ids of uid 0 and gid 0 inside."""
    found = []
    for maps in [(s["uid_map"], s["gid_map"]) for s in plan.steps_of("write-id-map")]:
        for text in maps:
            inside, outside, _ = str(text).split("\n")[0].split(" ")
            if inside != "0":
                return None
            found.append(int(outside))
    return (found[0], found[1]) if found else None


class _Split:
    """One pass over the plan's steps, in order."""

    def __init__(self, plan: LaunchPlan, owner: tuple[int, int], own_files: frozenset[str]) -> None:
        self.plan, self.own_files, self.slot = plan, own_files, len(plan.slots)
        mounts = [(s["mount"], s) for s in plan.steps_of("attach-mount")]
        mapped = {s["mount"] for s in plan.steps_of("map-mount")}
        self.shared = {n: s for n, s in mounts if s.origin in _SHARED and n not in mapped}
        own = [s["mount"] for s in plan.steps_of("open-tree") if s["mount"] not in self.shared]
        self.numbers = {number: at for at, number in enumerate(own)}
        self.root: list[Step] = []
        self.start: list[Step] = []
        self.covers: list[Step] = []
        self.loaded: list[Step] = []  # at most one
        self.covered: list[str] = []  # where a start mounts something, or a shared mount lies
        self.there = {"/"}  # what the root has
        self.first = [
            step("make-namespace", origin="rootfs"),
            step("set-file-owner", origin="userns", uid=owner[0], gid=owner[1]),
        ]

    def parts(self) -> tuple[LaunchPlan, LaunchPlan]:
        for was in self.plan.steps:
            self._place(was)
        self.root += [
            *[step("seal-root", origin=s.origin, attributes=s["attributes"]) for s in self.plan.steps_of("seal-root")],
            step("freeze-root", origin="rootfs"),
            *self.loaded,
            step("hand-over-root", origin="rootfs"),
        ]  # fmt: skip
        slots = (*self.plan.slots, SLOT, *[DEVICES for _ in self.loaded])
        return (
            LaunchPlan(kind=schema.KIND_PREPARE, steps=tuple(self.root), slots=()),
            LaunchPlan(kind=schema.KIND_START, steps=tuple(self.start), slots=slots),
        )

    def _place(self, was: Step) -> None:
        name = was.spec.name
        if name == "spawn":
            values = dict(zip(was.spec.names, was.values, strict=True))
            self.start.append(step("spawn-in-root", origin=was.origin, **values, root=self.slot))
        elif name == "make-root":
            self.root += [*self.first, was]
            self.start.append(step("adopt-root", origin=was.origin))
        elif name == "restrict-devices":
            # The kernel takes as long to check the program as to make a process: once for all.
            self.loaded = [step("load-devices", origin=was.origin, program=was["program"])]
            self.start.append(
                step("attach-devices", origin=was.origin, cgroup=was["cgroup"], program=self.slot + 1)
            )
        elif name in _OWN_ROOT or name == "seal-root":
            pass
        elif name in _FILLS:
            self._fill(was)
        elif name in ("mount-filesystem", "mount-proc"):
            self._mount(was, str(was["target"]), is_file=False)
        elif name in ("open-tree", "map-mount", "attach-mount", "hand-over-mounts", "await-host-mounts"):
            self._from_host(was)
        else:
            self.start.append(was)

    def _fill(self, was: Step) -> None:
        path = str(was["path"])
        if self._lies_in_a_mount(path):
            self.start.append(was)
            return
        if path in self.own_files:
            content, mode = was["content"], was["mode"]
            cover = step(
                "cover-file", origin=was.origin, path=path, mode=mode, content=content, below=_TEMPORARY
            )
            self.covers.append(cover)
            was = step("write-file", origin=was.origin, path=path, mode=mode, content=b"")
        self.there.add(path)
        self.root.append(was)

    def _mount(self, was: Step, target: str, *, is_file: bool) -> None:
        """A start mounts it; the root has a place for it."""
        self._make_room(was.origin, target, is_file=is_file)
        self.covered.append(f"{target}/")
        self.start.append(was)
        if target == _TEMPORARY:
            self.start += self.covers
            self.covers = []

    def _from_host(self, was: Step) -> None:
        name = was.spec.name
        if name in ("hand-over-mounts", "await-host-mounts"):
            if self.numbers:
                self.start.append(step(name, origin=was.origin, count=len(self.numbers)))
            return
        number = was["mount"]
        if number in self.shared:
            self.root.append(was)
            if name == "attach-mount":
                self.covered.append(str(was["target"]) + "/")
            return
        values = dict(zip(was.spec.names, was.values, strict=True)) | {"mount": self.numbers[number]}
        again = step(name, origin=was.origin, **values)
        if name == "attach-mount":
            self._mount(again, str(was["target"]), is_file=bool(was["is_file"]))
        else:
            self.start.append(again)

    def _make_room(self, origin: str, target: str, *, is_file: bool) -> None:
        for path in (*parents_of(target), target):
            if path in self.there or self._lies_in_a_mount(path):
                continue
            self.there.add(path)
            if path == target and is_file:
                room = step("write-file", origin=origin, path=path, mode=0o644, content=b"")
            else:
                room = step("make-directory", origin=origin, path=path, mode=0o755, uid=_NOBODY, gid=_NOBODY)
            self.root.append(room)

    def _lies_in_a_mount(self, path: str) -> bool:
        return any([path.startswith(above) for above in self.covered])
