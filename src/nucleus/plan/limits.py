"""What bounds the process itself: rlimits and umask; devices by its cgroup.

✗ other limits of cgroups: namespaces.
"""

from __future__ import annotations

from _struct import pack  # `struct` only hands it on, from a file of its own

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .draft import Draft

RLIMITS = {
    "cpu": 0, "fsize": 1, "data": 2, "stack": 3, "core": 4, "rss": 5, "nproc": 6, "nofile": 7, "memlock": 8, "as": 9,
    "locks": 10, "sigpending": 11, "msgqueue": 12, "nice": 13, "rtprio": 14, "rttime": 15,
}  # fmt: skip
INFINITY = (1 << 64) - 1
_NOFILE = 65536

# Character devices that a container may open, by major and minor; None: any.  The nodes of rootfs.NODES, the master of
# terminals and the terminals themselves: numbers of the kernel's interface (Documentation/admin-guide/devices.txt).
DEVICES: tuple[tuple[int, int | None], ...] = (
    (1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 2), (136, None),
)  # fmt: skip
# eBPF: BPF_LDX|MEM|W, BPF_ALU|AND|K, BPF_JMP|JNE|K, BPF_JMP|JEQ|K, BPF_JMP|JSET|K, BPF_ALU64|MOV|K, BPF_EXIT.
_LOAD, _AND, _DIFFERS, _EQUALS, _HAS, _SET, _EXIT = 0x61, 0x54, 0x55, 0x15, 0x45, 0xB7, 0x95
_CHARACTER, _MKNOD = 2, 1 << 16  # BPF_DEVCG_DEV_CHAR in the low half, BPF_DEVCG_ACC_MKNOD in the high one


def pids_by_rlimit(draft: Draft) -> bool:
    """No cgroup holds the pids limit: RLIMIT_NPROC does, which counts per user namespace and uid."""
    return not any("pids" in c.controllers for c in draft.request.cgroups)


def device_writes() -> tuple[tuple[str, str], ...]:
    """(file, value) of the v1 controller of devices: nothing, and then those."""
    allowed = [f"c {major}:{'*' if minor is None else minor} rw" for major, minor in DEVICES]
    return (("devices.deny", "a"), *[("devices.allow", line) for line in allowed])


def device_program() -> bytes:
    """The same as a program of BPF_PROG_TYPE_CGROUP_DEVICE: it answers 1 for a device that may be opened, else 0.

    Its context is struct bpf_cgroup_dev_ctx: access_type, major, minor.  Nothing is ever made (mknod).
    """
    # Registers: 0 the answer, 1 the context, 2 kind and access, 3 major, 4 minor, 5 the kind alone.
    body = [(_LOAD, 0x12, 0, 0), (_LOAD, 0x13, 4, 0), (_LOAD, 0x14, 8, 0)]
    body += [(_LOAD, 0x15, 0, 0), (_AND, 5, 0, 0xFFFF)]
    tests = [(_DIFFERS, 5, "no", _CHARACTER), (_HAS, 2, "no", _MKNOD)]
    for major, minor in DEVICES:
        if minor is None:
            tests.append((_EQUALS, 3, "yes", major))
        else:
            tests += [(_DIFFERS, 3, "next", major), (_EQUALS, 4, "yes", minor)]
    start = len(body)
    no = start + len(tests)
    for at, (code, register, to, value) in enumerate(tests, start):
        target = {"no": no, "yes": no + 2, "next": at + 2}[to]
        body.append((code, register, target - at - 1, value))
    body += [(_SET, 0, 0, 0), (_EXIT, 0, 0, 0), (_SET, 0, 0, 1), (_EXIT, 0, 0, 0)]
    return b"".join([pack("<BBhi", *instruction) for instruction in body])


def limit_steps(draft: Draft) -> None:
    """The user's own limits win; core dumps are off, and no hard limit is ever raised (that needs CAP_SYS_RESOURCE)."""
    spec, hard = draft.request.spec, draft.request.facts.rlimits
    files = _at_most(_NOFILE, hard.nofile.hard)
    wanted: dict[str, tuple[int, int, str]] = {"core": (0, 0, "always"), "nofile": (files, files, "always")}
    if spec.memlock_bytes is not None:
        wanted["memlock"] = (spec.memlock_bytes, spec.memlock_bytes, "memlock")
    if pids_by_rlimit(draft) and spec.pids:
        limit = _at_most(spec.pids, hard.nproc.hard)
        wanted["nproc"] = (limit, limit, "pids")
    for rlimit in spec.ulimits:
        wanted[rlimit.name] = (rlimit.soft, rlimit.hard, "ulimit")
    for name, (soft, top, origin) in sorted(wanted.items()):
        draft.add("set-rlimit", origin, resource=RLIMITS[name], soft=soft, hard=top)
    draft.add("set-umask", "always", mask=0o022)
    # A process keeps its parent's, whatever namespaces it is in, and may read every key that lies there.
    draft.add("new-keyring", "always")


def _at_most(value: int, hard: int) -> int:
    return value if hard < 0 else min(value, hard)
