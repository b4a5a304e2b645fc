"""Reads which cgroup hierarchies are mounted and where in them the caller lives.  ✗ creates nothing."""

from __future__ import annotations

from .facts import SELF_LEAF, Cgroups, V1Controller, V2Hierarchy

_SWAP_LIMIT = "/memory.memsw.limit_in_bytes"  # absent when the kernel counts no swap (swapaccount=0)

_SYSTEMCTL = "/usr/bin/systemctl"
_OUR_MARK = "user.nucleus.delegate"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .facts import Systemd
    from .machine import Machine
    from .probe import Mount


def own_paths(text: str) -> dict[str, str]:
    """/proc/self/cgroup: controller → path; the cgroup2 line has the key ""."""
    paths: dict[str, str] = {}
    for line in text.split("\n"):
        _number, sep, rest = line.partition(":")
        names, sep2, path = rest.partition(":")
        if sep and sep2:
            for name in names.split(","):
                paths[name] = path
    return paths


def _directory(mount: Mount, path: str) -> str:
    """Where a cgroup path is seen below that mount, "" if it is outside of what the mount shows."""
    inside = mount.root.rstrip("/")
    if not path.startswith("/") or path.startswith("/.."):
        return ""
    if path != inside and not path.startswith(inside + "/"):
        return ""
    return (mount.point.rstrip("/") + path[len(inside) :]).rstrip("/") or "/"


def _v1(machine: Machine, found: list[Mount], paths: dict[str, str]) -> tuple[V1Controller, ...]:
    controllers: list[V1Controller] = []
    for mount in found:
        if mount.type != "cgroup":
            continue
        for name in mount.options.split(","):
            path = paths.get(name, "")
            if not path or name.startswith("name=") or any(c.name == name for c in controllers):
                continue
            directory = _directory(mount, path)
            controllers.append(
                V1Controller(
                    name=name,
                    mount=mount.point,
                    path=path,
                    directory=directory,
                    device=mount.minor,
                    writable=bool(directory) and machine.writable(directory),
                    swap_limit=name == "memory" and machine.exists(directory + _SWAP_LIMIT),
                )
            )
    return tuple(controllers)


def _marked(machine: Machine, directory: str) -> bool:
    """The system manager writes on each cgroup that it delegates that it did (systemd 236, for users 251)."""
    return any(machine.attribute(directory, f"{space}.delegate") == b"1" for space in ("user", "trusted"))


def _unit_of(directory: str) -> str:
    """The cgroup of the service or scope that the directory is, or is in; "" outside of every unit."""
    while directory and not directory.endswith((".service", ".scope")):
        directory = directory.rpartition("/")[0]
    return directory


def _delegated_by_user_manager(machine: Machine, unit: str) -> bool:
    """A user manager marks nothing, so it is asked: the answer is kept on the unit's cgroup.

    Everything below it belongs to the caller and can be written, and still it takes back controllers from the
    children of a unit that it has not delegated: the limits would be gone without a word.
    """
    name = unit.rpartition("/")[2]
    if machine.environ.get("NUCLEUS_SCOPE") == name:  # we asked for this scope ourselves
        return True
    known = machine.attribute(unit, _OUR_MARK)
    if not known:
        argv = [_SYSTEMCTL, "--user", "show", "--property=Delegate", "--value", "--", name]
        answer = machine.output(argv).strip()
        known = b"1" if answer == "yes" else b"0"
        if answer:  # a manager that did not answer in time is asked again
            machine.mark(unit, _OUR_MARK, known)
    return known == b"1"


def _delegated(machine: Machine, directory: str, systemd: Systemd) -> bool:
    """Whether the caller may divide the cgroup: where systemd manages it, write permission is not enough."""
    files = directory, directory + "/cgroup.procs", directory + "/cgroup.subtree_control"
    if not all(machine.writable(f) for f in files):
        return False
    if not (systemd.system or systemd.user) or _marked(machine, directory):
        return True
    unit = _unit_of(directory)
    above, _, name = unit.rpartition("/")
    if not unit or name.startswith("user@"):  # the user manager's own slices
        return False
    if "/user@" in above:
        return machine.euid != 0 and _delegated_by_user_manager(machine, unit)
    if _marked(machine, unit):
        return True
    # An older system manager's mark is for root to read only; but it gives a unit away only with delegation.
    status = machine.status(directory)
    return machine.euid != 0 and status is not None and status.st_uid == machine.euid


def _counts_swap(machine: Machine, directory: str) -> bool:
    """False if the memory controller is there and its swap limit is not (the root cgroup has neither)."""
    memory = machine.exists(directory + "/memory.max")
    return not memory or machine.exists(directory + "/memory.swap.max")


def _words(machine: Machine, path: str) -> tuple[str, ...]:
    return tuple(machine.read(path).split())


def _v2(
    machine: Machine, found: list[Mount], path: str, version: tuple[int, int], systemd: Systemd
) -> V2Hierarchy | None:
    for mount in found:
        directory = _directory(mount, path) if mount.type == "cgroup2" else ""
        if not directory:
            continue
        above, _, name = directory.rpartition("/")
        in_leaf = name == SELF_LEAF and directory != mount.point
        return V2Hierarchy(
            mount=mount.point,
            path=path,
            directory=directory,
            device=mount.minor,
            controllers=_words(machine, (above if in_leaf else directory) + "/cgroup.controllers"),
            enabled=_words(machine, directory + "/cgroup.subtree_control"),
            writable=machine.writable(directory),
            delegated=_delegated(machine, directory, systemd),
            is_root=not machine.exists(directory + "/cgroup.type"),
            has_kill=version >= (5, 14),
            swap_limit=_counts_swap(machine, directory),
            parent_enabled=_words(machine, above + "/cgroup.subtree_control") if in_leaf else (),
            parent_delegated=in_leaf and _delegated(machine, above, systemd),
        )
    return None


def probe_cgroups(
    machine: Machine, found: list[Mount], *, version: tuple[int, int], systemd: Systemd
) -> Cgroups:
    """The hierarchies that are mounted here and that show the caller's own cgroup."""
    paths = own_paths(machine.read("/proc/self/cgroup"))
    v1 = _v1(machine, found, paths)
    v2 = _v2(machine, found, paths[""], version, systemd) if "" in paths else None
    layout = ("hybrid" if v2 else "v1") if v1 else ("v2" if v2 else "none")
    return Cgroups(layout=layout, v1=v1, v2=v2)
