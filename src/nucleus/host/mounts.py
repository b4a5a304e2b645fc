"""/proc/self/mountinfo as values (proc_pid_mountinfo(5)), the lines that facts need.  ✗ opens no file."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


class Mount:
    """One line: `root` is the mounted directory inside its file system, `point` where it is."""

    __slots__ = ("minor", "options", "point", "root", "type")

    def __init__(self, root: str, point: str, kind: str, options: str, minor: int) -> None:
        self.root, self.point, self.type, self.options, self.minor = root, point, kind, options, minor


def _unescaped(text: str) -> str:
    """Blank, tab, newline and backslash are written as octal escapes."""
    if "\\" not in text:
        return text
    for code, sign in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, sign)
    return text


def mounts(mountinfo: str) -> Iterator[Mount]:
    """The root, all below /proc, and every cgroup and proc mount, in mount order.

    Hosts with containers and snaps have hundreds of lines: the others are left out before they are split.
    """
    for line in mountinfo.split("\n"):
        if not (" - cgroup" in line or " /proc" in line or " - proc " in line or " / / " in line):
            continue
        left, _, right = line.partition(" - ")
        fields, tail = left.split(" "), right.split(" ")
        if len(fields) < 6 or len(tail) < 3:
            continue
        minor = int(fields[2].partition(":")[2])
        yield Mount(_unescaped(fields[3]), _unescaped(fields[4]), tail[0], tail[2], minor)


# The kernel keeps these two mount points empty for ever, so a mount there hides nothing (fs/namespace.c,
# mnt_already_visible).
_HARMLESS = frozenset(("binfmt_misc", "nfsd"))


def proc_visible(found: list[Mount]) -> bool:
    """Whether some proc is wholly visible: only then may a user namespace mount a fresh one."""
    for at, mount in enumerate(found):
        if mount.type != "proc" or mount.root != "/":
            continue
        below = mount.point.rstrip("/") + "/"
        hidden = [m for m in found[at + 1 :] if m.point == mount.point or m.point.startswith(below)]
        if all(m.type in _HARMLESS for m in hidden):
            return True
    return False
