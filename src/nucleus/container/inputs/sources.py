"""The host's files that a spec names: each path is resolved once, here, and judged on what it really is.

What comes out is a canonical path with the inode that stood there; the launcher opens that path without following any
link and refuses another inode.
✗ mounts: plan/.
"""

from __future__ import annotations

import os
from stat import S_ISDIR, S_ISREG

from ...base.errors import SpecError
from ...plan.request import RootEntry, Source, VolumeSource

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ...host.facts import HostFacts, HostPath
    from ...spec.container import ContainerSpec
    from ..prepared import Prepared

RESOLV_CONF = "/etc/resolv.conf"
_NO_IDMAP = ("overlay", "fuse", "nfs", "nfs4", "9p", "virtiofs", "proc", "sysfs", "devtmpfs")
# What the kernel tells of the whole host, wherever it is mounted: a mount is taken with all that is mounted below it.
_KERNEL = (
    "proc", "sysfs", "devtmpfs", "cgroup", "cgroup2", "debugfs", "tracefs", "securityfs", "bpf", "configfs", "efivarfs",
    "pstore",
)  # fmt: skip
_ROOT_NAMES = ("bin", "sbin", "lib", "lib32", "lib64", "libx32", "usr", "etc", "nix", "opt", "srv", "var")


class SourceFinder:
    """Finds sources; remembers the mount table: what takes no ID-mapped mounts, and where the kernel's own lie."""

    __slots__ = ("_kernel", "_no_idmap")

    def __init__(self) -> None:
        self._no_idmap: set[int] | None = None
        self._kernel: list[tuple[int, str]] = []

    def find(self, path: str, where: str, *, directory: bool = False, whole: bool = True) -> Source:
        """The source behind a path.  Raises SpecError when it does not exist, or is a socket, a pipe or a device.

        whole: all that lies below it comes in, so that nothing of the kernel's may be mounted there.
        """
        try:
            canonical = os.path.realpath(path, strict=True)
            fd = os.open(canonical, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise SpecError(
                f"{path}: {reason}", where=where, remedy="name an existing file or directory"
            ) from None
        try:
            status = os.fstat(fd)
        finally:
            os.close(fd)
        is_file = S_ISREG(status.st_mode)
        if not is_file and not S_ISDIR(status.st_mode):
            raise SpecError(
                f"{path} is neither a file nor a directory", where=where, remedy="name a regular file"
            )
        if directory and is_file:
            raise SpecError(f"{path} is not a directory", where=where, remedy="name a directory")
        from ...spec.paths import is_below

        idmap = self._takes_idmap(status.st_dev)
        for device, point in self._kernel if whole else ():
            if device == status.st_dev or is_below(point, canonical):
                raise SpecError(
                    f"{point} is never let in: there the kernel tells of the whole host",
                    where=where, remedy="unmount it, or name another directory",
                )  # fmt: skip
        return Source(
            path=canonical, device=os.major(status.st_dev) << 32 | os.minor(status.st_dev), inode=status.st_ino,
            uid=status.st_uid, gid=status.st_gid, is_file=is_file, idmap=idmap,
        )  # fmt: skip

    def own_socket(self, path: str) -> Source:
        """A socket that Nucleus itself has made in a directory of its own."""
        status = os.stat(path, follow_symlinks=False)
        return Source(
            path=path, device=os.major(status.st_dev) << 32 | os.minor(status.st_dev), inode=status.st_ino,
            uid=status.st_uid, gid=status.st_gid, is_file=True, idmap=self._takes_idmap(status.st_dev),
        )  # fmt: skip

    def _takes_idmap(self, device: int) -> bool:
        if self._no_idmap is None:
            table = list(_mounts())
            self._no_idmap = {mounted for mounted, kind, _ in table if kind.startswith(_NO_IDMAP)}
            self._kernel = [(mounted, point) for mounted, kind, point in table if kind in _KERNEL]
        return device not in self._no_idmap


def _mounts() -> Iterator[tuple[int, str, str]]:
    """Device, type and mount point of every mount."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            words, kind = line.split(" ", 5), line.partition(" - ")[2]
            major, _, minor = words[2].partition(":")
            yield os.makedev(int(major), int(minor)), kind.partition(" ")[0], _unescaped(words[4])


def _unescaped(point: str) -> str:
    """A mount point as mountinfo writes it: space, tab, newline and backslash are octal numbers."""
    for escape, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        point = point.replace(escape, character)
    return point


def _system(path: HostPath) -> Source:
    return Source(path=path.path, is_file=path.kind == "file")


def root_entries(spec: ContainerSpec, facts: HostFacts, finder: SourceFinder) -> tuple[RootEntry, ...]:
    """What the root is made of: the host's /usr, links and chosen names of /etc; or the directories of --rootfs."""
    where = "--agent-toolchain-rootfs" if spec.toolchain_rootfs else "--rootfs"
    entries = _rootfs_entries(spec.rootfs, finder, where) if spec.rootfs else _host_entries(facts)
    links_are_ours = all([e.target != "/var" for e in entries])
    for path in spec.toolchains:
        source = finder.find(path, "--toolchain", directory=True)
        judge(source.path, "--toolchain")
        target = os.path.abspath(path)
        if links_are_ours and target.startswith("/var/"):
            from ...spec.paths import without_links

            target = without_links(target)
        entries.append(RootEntry(target=target, source=source, origin="toolchain"))
    return tuple(entries)


def _host_entries(facts: HostFacts) -> list[RootEntry]:
    entries = []
    if facts.files.usr is not None:
        entries.append(RootEntry(target="/usr", source=_system(facts.files.usr)))
    for path in (*facts.files.top, *facts.files.etc):
        if path.kind == "link":
            entries.append(RootEntry(target=path.path, link=path.target))
        elif path.kind in ("directory", "file"):
            entries.append(RootEntry(target=path.path, source=_system(path)))
    return entries


def _rootfs_entries(rootfs: str, finder: SourceFinder, where: str) -> list[RootEntry]:
    top = finder.find(rootfs, where, directory=True, whole=False)
    judge(top.path, where)
    entries = []
    for name in _ROOT_NAMES:
        path = f"{top.path.rstrip('/')}/{name}"
        if os.path.islink(path):
            entries.append(RootEntry(target=f"/{name}", link=os.readlink(path)))
        elif os.path.isdir(path):
            source = finder.find(path, where, directory=True)
            if source.path != path:  # it became a link after the look above: somebody writes there
                raise SpecError(
                    f"{path} changes", where=where, remedy="let nobody write to it, and try again"
                )
            entries.append(RootEntry(target=f"/{name}", source=source))
    if not any(e.target == "/usr" or e.target == "/bin" for e in entries):
        raise SpecError(
            f"{rootfs} has neither usr nor bin", where=where, remedy="name an unpacked root file system"
        )
    return entries


def volume_sources(spec: ContainerSpec, finder: SourceFinder) -> tuple[VolumeSource, ...]:
    """Workspace and volumes; the forbidden places are judged on the canonical path."""
    found = []
    if spec.workspace:
        source = finder.find(spec.workspace, "--workspace", directory=True)
        judge(source.path, "--workspace")
        found.append(
            VolumeSource(
                source=source,
                target="/workspace",
                read_only=spec.workspace_mode == "bind-ro",
                executable=spec.workspace_exec,
                origin="workspace",
            )  # fmt: skip
        )
    if not (spec.volumes or spec.provider_config_ro or spec.provider_config_rw):
        return tuple(found)
    from ...spec.paths import foreign_home, whole_home

    home = os.path.realpath(os.path.expanduser("~"))
    for volume in spec.volumes:
        source = finder.find(volume.source, "--volume")
        judge(source.path, "--volume", foreign_home(source.path, home))
        found.append(
            VolumeSource(
                source=source,
                target=volume.target,
                read_only=volume.read_only,
                executable=volume.read_only or spec.executes_what_it_writes,
                origin="volume",
            )  # fmt: skip
        )
    for key in ("provider_config_ro", "provider_config_rw"):
        flag = "--" + key.replace("_", "-")
        for config in getattr(spec, key):
            source = finder.find(config.source, flag)
            judge(source.path, flag, whole_home(source.path, home))
            found.append(
                VolumeSource(
                    source=source,
                    target=config.target,
                    read_only=config.read_only,
                    executable=False,
                    origin=key,
                )
            )
    return tuple(found)


def judge(path: str, where: str, reason: str = "") -> None:
    """Refuse a canonical path that no option lets in: what was written may have been a link.  Raises SpecError."""
    from ...spec.paths import forbidden_source

    reason = forbidden_source(path) or reason
    if reason:
        raise SpecError(
            f"'{path}' is never let in: {reason}",
            where=where,
            remedy="copy what is needed to another directory",
        )


def refuse_state_root(sources: tuple[VolumeSource, ...], root: str) -> None:
    """Who writes the records decides what the sweep kills and removes on the host.  Raises SpecError."""
    if not sources:
        return
    from ...spec.paths import is_below

    root = os.path.realpath(root)
    for volume in sources:
        if is_below(root, volume.source.path) or is_below(volume.source.path, root):
            raise SpecError(
                f"{volume.source.path} and the state directory {root} lie in each other",
                where="--" + volume.origin.replace("_", "-"),
                remedy="name a smaller directory, or choose another state directory with --root DIR",
            )  # fmt: skip


def protected_paths(spec: ContainerSpec, volumes: tuple[VolumeSource, ...]) -> dict[str, Any]:
    """What a request says of the protected paths that exist in a writable workspace, and of the links that lead to them."""
    workspace = next((v for v in volumes if v.origin == "workspace"), None)
    if workspace is None or workspace.read_only or spec.allow_workspace_config:
        return {}
    from .protected import found

    ends, links = found(workspace.source.path, os.path.realpath(spec.workspace))
    return {"protected": ends, "protected_links": links}


def hook_calls(spec: ContainerSpec) -> dict[str, Any]:
    """What a request says of the hooks that --hooks lists.  Raises SpecError."""
    if not spec.hooks:
        return {}
    from .hooks_inside import requested

    return requested(spec.hooks)


def workspace_and_volumes(
    prepared: Prepared, spec: ContainerSpec, finder: SourceFinder
) -> tuple[VolumeSource, ...]:
    """Workspace and volumes.  A copy will lie among the containers: that file system decides what can be mounted."""
    volumes = volume_sources(spec, finder)
    refuse_state_root(volumes, prepared.store.path)
    if not spec.copies_workspace:
        return volumes
    containers = finder.find(f"{prepared.store.path}/containers", "--root", directory=True)
    return tuple([
        v.replace(source=v.source.replace(idmap=containers.idmap)) if v.origin == "workspace" else v
        for v in volumes
    ])  # fmt: skip


def staged(
    volumes: tuple[VolumeSource, ...], prepared: Prepared, spec: ContainerSpec, finder: SourceFinder
) -> tuple[VolumeSource, ...]:
    """With copy-in-out the workspace is copied, and the copy takes its place."""
    if not spec.copies_workspace:
        return volumes
    from ..workspace.copy import FOLDER, STAGE
    from ..workspace.outcome import copy_once

    assert prepared.state is not None
    (workspace,) = [v for v in volumes if v.origin == "workspace"]
    copy_once(prepared.state.fd, workspace.source)
    root = os.path.realpath(prepared.store.path)
    place = f"{root}/containers/{prepared.id}/{FOLDER}/{STAGE}"
    copied = workspace.replace(source=finder.find(place, "--workspace", directory=True))
    return tuple([copied if v is workspace else v for v in volumes])


def notify_socket(prepared: Prepared, finder: SourceFinder) -> tuple[VolumeSource, ...]:
    """The socket that the workload tells its state to; whoever supervises reads it."""
    from ..supervision import notify

    assert prepared.state is not None
    prepared.notify = notify.listen(prepared.state.fd)
    path = f"{os.path.realpath(prepared.store.path)}/containers/{prepared.id}/{notify.FILE}"
    return (
        VolumeSource(
            source=finder.own_socket(path), target=notify.TARGET, read_only=True, executable=False,
            origin="sd_notify",
        ),
    )  # fmt: skip


def context(prepared: Prepared, spec: ContainerSpec, finder: SourceFinder) -> tuple[VolumeSource, ...]:
    if not spec.context or prepared.state is None:
        return ()
    source = finder.find(spec.context, "--context", directory=True)
    judge(source.path, "--context")
    if spec.context_mode == "copy":
        from .context import keep_copy

        wanted = spec.context_sha256
        keep_copy(prepared.state.fd, source.path, source.inode, verify=spec.verify_context, wanted=wanted)
        root = os.path.realpath(prepared.store.path)
        source = finder.find(f"{root}/containers/{prepared.id}/context", "--context", directory=True)
    return (
        VolumeSource(source=source, target="/context", read_only=True, executable=False, origin="context"),
    )


def resolv_conf(spec: ContainerSpec, finder: SourceFinder) -> Source | None:
    if spec.network != "host" or spec.rootfs or not os.path.exists(RESOLV_CONF):
        return None
    return finder.find(RESOLV_CONF, "--network")
