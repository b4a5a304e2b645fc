"""What of the host comes in, and where: root entries, toolchains, context, workspace, volumes, secrets.  ✗ devices."""

from __future__ import annotations

from . import schema
from .namespaces import map_text
from .request import MapLine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..spec.container import ContainerSpec
    from .draft import Draft
    from .request import Identity, Request, RootEntry, Source, VolumeSource

NOBODY = schema.NOBODY
_NOBODY = (NOBODY, NOBODY)
RDONLY, NOSUID, NODEV, NOEXEC, NOSYMFOLLOW = 0x1, 0x2, 0x4, 0x8, 0x200000
SYSTEM = RDONLY | NOSUID | NODEV


class HostMounts:
    """Mounts taken from the host, numbered, until they are attached.

    Host root's monitor takes them while the child makes its root, ID-maps them and hands them over; rootless, the child
    takes them itself.
    """

    __slots__ = ("_taken", "_userns", "draft", "mapped", "whole")

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self._userns: dict[tuple[int, int], int] = {}
        self.mapped: list[tuple[int, Source]] = []
        self.whole: list[int] = []
        self._taken = 0

    def take(self, source: Source, attributes: int, origin: str, *, owned: bool = False) -> int:
        """A detached, recursive clone of the source; `owned`: its owner shall be the workload inside."""
        number = self.draft.mount()
        self._taken = number + 1
        privileged = self.draft.request.identity.privileged
        self.draft.add(
            "open-tree" if privileged else "open-tree-inside", origin,
            mount=number, path=source.path, recursive=1, device=source.device, inode=source.inode,
            attributes=attributes,
        )  # fmt: skip
        if owned and privileged and source.idmap:
            self.mapped.append((number, source))
        return number

    def map_whole(self, number: int) -> None:
        """Ids of that mount's files are those inside: what is copied up from it has owners that exist there."""
        if self.draft.request.identity.privileged:
            self.whole.append(number)

    def hand_over_step(self) -> None:
        """All of them at once: the child is busy until it needs the first."""
        self.draft.add("hand-over-mounts", "rootfs", count=self._taken)

    def await_step(self) -> None:
        """The other side of it."""
        if self.draft.request.identity.privileged:
            self.draft.add("await-host-mounts", "rootfs", count=self._taken)

    def map_steps(self) -> None:
        """One user namespace per owner, then every mount that needs it."""
        for number in self.whole:
            self.draft.add("map-mount", "rootfs_mode", mount=number, userns=schema.CHILD_USERNS)
        identity = self.draft.request.identity
        for number, source in self.mapped:
            owner = (source.uid, source.gid)
            if owner not in self._userns:
                self._userns[owner] = len(self._userns)
                self.draft.add(
                    "make-userns", "workspace", userns=self._userns[owner],
                    uid_map=map_text(owner_map(source.uid, identity.uid, identity.uid_map[0].outside)),
                    gid_map=map_text(owner_map(source.gid, identity.gid, identity.gid_map[0].outside)),
                )  # fmt: skip
            self.draft.add("map-mount", "workspace", mount=number, userns=self._userns[owner])


def owner_map(owner: int, inside: int, base: int) -> tuple[MapLine, ...]:
    """On-disk id → id in the sandbox's range: the owner is the workload, every other container id is itself.

    With the owner's line alone any other container id would get EOVERFLOW when it creates a file.
    """
    lines = [MapLine(inside=owner, outside=base + inside, count=1)]
    if inside:
        lines.append(MapLine(inside=base, outside=base, count=inside))
    if inside < 65535:
        lines.append(MapLine(inside=base + inside + 1, outside=base + inside + 1, count=65535 - inside))
    return tuple(lines)


def volume_attributes(volume: VolumeSource) -> int:
    """nosuid and nodev always; read-only and noexec as asked."""
    attributes = NOSUID | NODEV
    attributes |= RDONLY if volume.read_only else 0
    return attributes | (0 if volume.executable else NOEXEC)


def written_attributes(spec: ContainerSpec) -> int:
    """Of what is empty at the start and writable: only some modes execute programs from there."""
    return NOSUID | NODEV | (0 if spec.executes_what_it_writes else NOEXEC)


def take_all(host: HostMounts) -> list[tuple[int, str, bool, str]]:
    """Every mount from the host, as (number, target, is file, origin), parents before children."""
    request = host.draft.request
    taken = []
    for entry in request.root_entries:
        if entry.source is not None:
            number = host.take(entry.source, SYSTEM, entry.origin)
            if overlaid(request, entry):
                host.map_whole(number)
            taken.append((number, entry.target, entry.source.is_file, entry.origin))
    for volume in request.volumes:
        number = host.take(volume.source, volume_attributes(volume), volume.origin, owned=True)
        taken.append((number, volume.target, volume.source.is_file, volume.origin))
    if request.resolv_conf is not None:
        taken.append(
            (host.take(request.resolv_conf, SYSTEM | NOEXEC, "network"), "/etc/resolv.conf", True, "network")
        )
    return taken


def temporary_steps(draft: Draft, identity: Identity) -> None:
    """/tmp and home, each bounded in bytes and inodes."""
    owner = f"uid={identity.uid}\0gid={identity.gid}\0".encode()
    for target, options, origin in (
        ("/tmp", tmpfs_options(_TMP_BYTES, "1777"), "tmp"),
        (HOME, tmpfs_options(_HOME_BYTES, "0700") + owner, "home"),
    ):
        draft.add(
            "mount-filesystem",
            origin,
            type="tmpfs",
            target=target,
            attributes=written_attributes(draft.request.spec),
            options=options,
        )


def tmpfs_options(size: int, mode: str) -> bytes:
    """Bytes bound the content; inodes bound the kernel memory that empty files take (about 1 KiB each)."""
    return f"size={size}\0nr_inodes={max(1024, size // 4096)}\0mode={mode}\0".encode()


HOME = "/home/agent"
_TMP_BYTES = 1 << 30
_HOME_BYTES = 256 << 20
_SECRET_BYTES = 16 << 20
_UPPER, _UPPER_BYTES = "/sys", 1 << 30


def secret_steps(draft: Draft) -> None:
    """Secrets are copied from descriptors into a tmpfs of their own: never in a plan, never a bind of the host's file."""
    request, identity = draft.request, draft.request.identity
    if not request.secrets:
        return
    owner = f"uid={identity.uid}\0gid={identity.gid}\0".encode()
    draft.add(
        "mount-filesystem", "secret", type="tmpfs", target="/run/secrets", attributes=NOSUID | NODEV | NOEXEC,
        options=tmpfs_options(_SECRET_BYTES, "0700") + owner,
    )  # fmt: skip
    made = {"/run/secrets"}
    for number, target in enumerate(request.secrets):
        for directory in parents_of(target):
            if directory.startswith("/run/secrets/") and directory not in made:
                made.add(directory)
                draft.add(
                    "make-directory", "secret", path=directory, mode=0o700, uid=identity.uid, gid=identity.gid
                )
        draft.add(
            "write-secret", "secret", source=draft.slot(f"secret:{number}"), path=target, mode=0o400,
            uid=identity.uid, gid=identity.gid,
        )  # fmt: skip
    draft.add("seal-mount", "secret", path="/run/secrets", attributes=RDONLY)


def parents_of(path: str) -> list[str]:
    """/a/b/c → ["/a", "/a/b"]"""
    parts = path.strip("/").split("/")
    return ["/" + "/".join(parts[:n]) for n in range(1, len(parts))]


def overlaid(request: Request, entry: RootEntry) -> bool:
    """Is this a directory of --rootfs that the container may write to, by an overlay?"""
    overlay = request.spec.rootfs_mode == "overlay" and entry.origin == "rootfs"
    return overlay and entry.source is not None and not entry.source.is_file


def _owner_inside(identity: Identity, source: Source | None) -> tuple[int, int]:
    """Whose an overlay's top directory is: that of its upper layer, whatever the layer below says."""
    if source is None:
        return _NOBODY
    if identity.privileged:  # the lower layer is ID-mapped, so that ids on the disk are those inside
        inside = [n if n < 65536 else NOBODY for n in (source.uid, source.gid)]
    else:
        inside = [
            next((m.inside + n - m.outside for m in lines if m.outside <= n < m.outside + m.count), NOBODY)
            for n, lines in ((source.uid, identity.uid_map), (source.gid, identity.gid_map))
        ]
    return (inside[0], inside[1]) if identity.maps_root else _NOBODY


def overlay_steps(draft: Draft, taken: list[tuple[int, str, bool, str]]) -> None:
    """The directories of --rootfs, each below an overlay whose upper layer is in memory.

    The upper layers lie in a tmpfs at /sys, which is covered by the empty directory that /sys is in every container.
    """
    if not any([overlaid(draft.request, e) for e in draft.request.root_entries]):
        return
    draft.add(
        "mount-filesystem", "rootfs_mode", type="tmpfs", target=_UPPER, attributes=NOSUID | NODEV | NOEXEC,
        options=tmpfs_options(_UPPER_BYTES, "0755"),
    )  # fmt: skip
    attach_steps(draft, taken)
    for entry in draft.request.root_entries:
        if not overlaid(draft.request, entry):
            continue
        place, owner = _UPPER + entry.target, _owner_inside(draft.request.identity, entry.source)
        for path, (uid, gid) in ((place, _NOBODY), (f"{place}/upper", owner), (f"{place}/work", _NOBODY)):
            draft.add("make-directory", "rootfs_mode", path=path, mode=0o755, uid=uid, gid=gid)
        options = f"lowerdir={entry.target}\0upperdir={place}/upper\0workdir={place}/work\0userxattr\0"
        draft.add(
            "mount-filesystem", "rootfs_mode", type="overlay", target=entry.target,
            attributes=NOSUID | NODEV, options=options.encode(),
        )  # fmt: skip
    draft.add("mask-directory", "rootfs_mode", path=_UPPER)


def attach_steps(draft: Draft, taken: list[tuple[int, str, bool, str]]) -> None:
    """Attach in the order of depth, so that no mount hides another."""
    for number, target, is_file, origin in sorted(taken, key=lambda t: _depth(t[1])):
        draft.add("attach-mount", origin, mount=number, target=target, is_file=int(is_file))


def attach_foreign_steps(draft: Draft, taken: list[tuple[int, str, bool, str]]) -> None:
    """What lies where others may have put links: the user's own tmpfs come in among the mounts of the host."""
    places = [(mount[1], [mount]) for mount in taken]
    wanted = {t.target: t for t in draft.request.spec.tmpfs}
    for target, mounts in sorted([*places, *[(t, []) for t in wanted]], key=lambda p: _depth(p[0])):
        attach_steps(draft, mounts)
        if not mounts:
            tmpfs = wanted[target]
            draft.add(
                "mount-filesystem", "tmpfs", type="tmpfs", target=target,
                attributes=written_attributes(draft.request.spec) | (RDONLY if tmpfs.read_only else 0),
                options=tmpfs_options(tmpfs.size_bytes, "1777"),
            )  # fmt: skip


def _depth(target: str) -> tuple[int, str]:
    return target.count("/"), target


def protect_steps(draft: Draft) -> None:
    """Files of a writable workspace that would configure a tool of the host stay as they are."""
    protected, links = draft.request.protected, draft.request.protected_links
    # A directory on the way is a mount point too: else it could be renamed, and another one put in its place.
    above = {above for below in (*protected, *links) for above in parents_of(below)[1:]}
    for path in sorted(above.difference(protected)):
        _protect(draft, path, NOSUID | NODEV)
    for path in links:
        _protect(draft, path, RDONLY | NOSUID | NODEV | NOEXEC, link=1)
    for path in protected:
        _protect(draft, path, RDONLY | NOSUID | NODEV | NOEXEC)


def _protect(draft: Draft, path: str, attributes: int, *, link: int = 0) -> None:
    draft.add("protect-path", "allow_workspace_config", path=path, attributes=attributes, link=link)
