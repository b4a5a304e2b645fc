"""Carries a Placement out: steps aside into the leaf, enables controllers, opens the parents as descriptors.

The container's own cgroup is made by the launcher below these descriptors.  ✗ decides where (`parent.py`).
"""

from __future__ import annotations

import os
from errno import EBUSY, EEXIST, ENOENT

from ..base.errors import HostUnsupported
from .parent import CgroupDirectory, Placement, choose_parent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..host.facts import HostFacts

_TRIES = 5
_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
SYSTEMD_RUN = ("/usr/bin/systemd-run", "/bin/systemd-run")


def _write(directory: int, file: str, value: str) -> None:
    fd = os.open(file, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
    try:
        os.write(fd, value.encode("ascii"))
    finally:
        os.close(fd)


def _read(directory: int, file: str) -> str:
    fd = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
    try:
        parts = []
        while part := os.read(fd, 65536):
            parts.append(part)
    finally:
        os.close(fd)
    return b"".join(parts).decode("ascii")


def open_directory(wanted: CgroupDirectory) -> int:
    """An O_PATH descriptor, after checking that it is of that hierarchy: on another file system limits would
    be plain files that limit nothing."""
    try:
        fd = os.open(wanted.path, _DIRECTORY)
    except OSError as error:
        remedy = "create it, or leave --cgroup-parent out" if error.errno == ENOENT else "nucleus doctor"
        raise HostUnsupported(
            f"the cgroup {wanted.path} cannot be used: {os.strerror(error.errno or 0)}",
            where="cgroup",
            remedy=remedy,
        ) from error
    device = os.fstat(fd).st_dev
    if (os.major(device), os.minor(device)) != (0, wanted.device):
        os.close(fd)
        raise HostUnsupported(
            f"{wanted.path} is not in the cgroup v{wanted.version} hierarchy",
            where="cgroup",
            remedy="give a directory of the mounted cgroup tree",
        )
    return fd


def _session(pid: int) -> tuple[int, int]:
    """(parent, session) of a process, (0, 0) if it is gone."""
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return 0, 0
    try:
        text = os.read(fd, 4096)
    except ProcessLookupError:
        return 0, 0
    finally:
        os.close(fd)
    words = text.rpartition(b")")[2].split()  # the name in front may hold blanks and brackets
    return int(words[1]), int(words[3])


def _may_move(pids: list[int]) -> bool:
    """Whether all of them are ours to move: our ancestors, or of our session.  Others have other managers."""
    ancestors, at = set(), os.getpid()
    while at > 1:
        ancestors.add(at)
        at = _session(at)[0]
    session = os.getsid(0)
    return all(pid in ancestors or _session(pid)[1] in (session, 0) for pid in pids)


def _step_aside(base: int, placement: Placement) -> None:
    """Moves the processes of the delegated cgroup to the leaf, so that its children can get controllers."""
    name = placement.leaf.rpartition("/")[2]
    pids = [int(word) for word in _read(base, "cgroup.procs").split()]
    if not _may_move(pids):
        raise HostUnsupported(
            "the delegated cgroup holds processes of others, so its controllers cannot be handed on",
            where=placement.directories[0].path,
            remedy=placement.remedy,
        )
    try:
        os.mkdir(name, 0o755, dir_fd=base)
    except FileExistsError:
        pass  # an earlier run of ours made it
    leaf = os.open(name, _DIRECTORY, dir_fd=base)
    try:
        for pid in pids:
            try:
                _write(leaf, "cgroup.procs", str(pid))
            except ProcessLookupError:
                continue  # it ended meanwhile
    finally:
        os.close(leaf)


def _enable(directory: int, controllers: tuple[str, ...]) -> None:
    """Hands the controllers on to the children; those that they have already are left alone."""
    present = _read(directory, "cgroup.subtree_control").split()
    missing = [f"+{c}" for c in controllers if c not in present]
    if missing:
        _write(directory, "cgroup.subtree_control", " ".join(missing))


def _make_root_parent(placement: Placement) -> None:
    """/sys/fs/cgroup/nucleus with the controllers, which the root has to hand on first."""
    above, _, name = placement.directories[0].path.rpartition("/")
    top = open_directory(placement.directories[0].replace(path=above))
    try:
        _enable(top, placement.enable)
        try:
            os.mkdir(name, 0o755, dir_fd=top)
        except OSError as error:
            if error.errno != EEXIST:
                raise
    finally:
        os.close(top)


def _hand_on(base: int, placement: Placement) -> None:
    """Enables the controllers below `base`, after stepping aside where processes are in the way."""
    for attempt in range(_TRIES):
        if placement.leaf:
            _step_aside(base, placement)
        try:
            _enable(base, placement.enable)
            return
        except OSError as error:
            # A process that was forked between the two stayed behind: once more.
            if error.errno != EBUSY or not placement.leaf or attempt == _TRIES - 1:
                raise


def prepare(placement: Placement) -> None:
    """Everything that must be in place before a container's cgroup is made.  Safe to repeat and to race with.

    Raises HostUnsupported when this kind of placement cannot be had.
    """
    try:
        if placement.kind == "root":
            _make_root_parent(placement)
        if placement.enable:
            base = open_directory(next(d for d in placement.directories if d.version == 2))
            try:
                _hand_on(base, placement)
            finally:
                os.close(base)
    except OSError as error:
        why = os.strerror(error.errno or 0)
        raise HostUnsupported(
            f"the controllers {' '.join(placement.enable)} cannot be handed on: {why}",
            where=placement.directories[0].path,
            remedy=placement.remedy,
        ) from error


def settle(
    facts: HostFacts, *, wanted: tuple[str, ...], option: str = "", devices: bool = False
) -> Placement:
    """Chooses and prepares, going on to the next kind where one cannot be had.

    The answer's kind is "scope" where the caller should run `scope_command` instead of going on.
    """
    excluded: list[str] = []
    if os.environ.get("NUCLEUS_SCOPE") or not systemd_run():
        excluded.append("scope")
    while True:
        placement = choose_parent(
            facts, wanted=wanted, option=option, excluded=tuple(excluded), devices=devices
        )
        if placement.kind in ("scope", "none"):
            return placement
        try:
            prepare(placement)
        except HostUnsupported:
            if option:
                raise
            excluded.append(placement.kind)
            continue
        return placement


def open_parents(placement: Placement) -> list[tuple[CgroupDirectory, int]]:
    """The directories with a descriptor each, for the plan's slots; the caller closes them."""
    opened: list[tuple[CgroupDirectory, int]] = []
    try:
        for directory in placement.directories:
            opened.append((directory, open_directory(directory)))
    except HostUnsupported:
        for _directory, fd in opened:
            os.close(fd)
        raise
    return opened


def systemd_run() -> str:
    """The path of systemd-run, "" without one; never looked for in PATH."""
    return next((p for p in SYSTEMD_RUN if os.access(p, os.X_OK)), "")


def scope_command(placement: Placement, arguments: tuple[str, ...]) -> tuple[str, ...]:
    """The command that runs `arguments` in a delegated scope; by NUCLEUS_SCOPE they see that it is theirs."""
    manager = ("--user",) if placement.manager == "user" else ()
    unit = f"nucleus-{os.urandom(8).hex()}.scope"
    options = ("--scope", "--quiet", "--collect", f"--unit={unit}", "-p", "Delegate=yes")
    return (systemd_run(), *manager, *options, f"--setenv=NUCLEUS_SCOPE={unit}", "--", *arguments)
