"""/dev: the few nodes every program expects, shm, pts.  Binds of the host's nodes: mknod is denied in a user namespace.

✗ /proc.
"""

from __future__ import annotations

from .mounts import NODEV, NOEXEC, NOSUID, RDONLY, HostMounts, tmpfs_options
from .request import Source

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .draft import Draft

NODES = ("full", "null", "random", "tty", "urandom", "zero")
# The kernel's own bound (4096, of which the host keeps 1024) is one for all sandboxes together.
_TERMINALS = 256
_LINKS = (
    ("/dev/fd", "/proc/self/fd"), ("/dev/stdin", "/proc/self/fd/0"), ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"), ("/dev/ptmx", "pts/ptmx"),
)  # fmt: skip


def take_nodes(host: HostMounts) -> list[tuple[int, str, bool, str]]:
    """The nodes as mounts; a read-only mount of a device does not keep from writing to the device."""
    return [
        (
            host.take(Source(path=f"/dev/{n}"), RDONLY | NOSUID | NOEXEC, "devices"),
            f"/dev/{n}",
            True,
            "devices",
        )
        for n in NODES
    ]


def device_steps(draft: Draft) -> None:
    """Links, /dev/shm of the asked size, and a devpts instance of its own."""
    for path, value in _LINKS:
        draft.add("make-symlink", "devices", path=path, value=value)
    for path in ("/dev/shm", "/dev/pts"):
        draft.add("make-directory", "devices", path=path, mode=0o755, uid=0xFFFFFFFF, gid=0xFFFFFFFF)
    draft.add(
        "mount-filesystem", "shm_size", type="tmpfs", target="/dev/shm", attributes=NOSUID | NODEV | NOEXEC,
        options=tmpfs_options(draft.request.spec.shm_size_bytes, "1777"),
    )  # fmt: skip
    # gid 5 (tty) has to be mapped; with a single id the caller's own group owns the terminals.
    tty = b"gid=5\0" if draft.request.identity.maps_root else b""
    draft.add(
        "mount-filesystem", "devices", type="devpts", target="/dev/pts", attributes=NOSUID | NOEXEC,
        options=b"newinstance\0ptmxmode=0666\0mode=0620\0max=%d\0" % _TERMINALS + tty,
    )  # fmt: skip
