"""Made-up machines for the tests of the probe: a tree of files, and who looks at it."""

from __future__ import annotations

from pathlib import Path

from nucleus.host.machine import Machine

SYS = "/proc/sys/"
FULL_MAP = "         0          0 4294967295\n"
PROC = "22 27 0:21 / /proc rw,relatime - proc proc rw"
ROOT = "27 1 254:1 / / rw,relatime - ext4 /dev/root rw"
UNIFIED = "31 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate"
ALL_CAPS = "000001ffffffffff"


class FakeMachine(Machine):
    """A Machine whose permissions and attributes are given, so that a test run as root means the same."""

    __slots__ = ("answer", "asked", "attributes", "owners", "read_only")

    def __init__(
        self, root: Path, *, uid: int, release: str = "6.8.0-41-generic", environ: dict[str, str]
    ) -> None:
        super().__init__(str(root), environ)
        self.euid, self.egid, self.groups = uid, uid, (uid,)
        self.uname = ("6.8.0-41-generic", "x86_64")
        self.read_only: set[str] = set()
        self.attributes: dict[tuple[str, str], bytes] = {}
        self.owners: dict[str, int] = {}
        self.asked: list[list[str]] = []
        self.answer = ""

    def writable(self, path: str) -> bool:
        return self.exists(path) and path not in self.read_only

    def attribute(self, path: str, name: str) -> bytes:
        return self.attributes.get((path, name), b"")

    def mark(self, path: str, name: str, value: bytes) -> None:
        self.attributes[path, name] = value

    def output(self, argv: list[str]) -> str:
        self.asked.append(argv)
        return self.answer

    def status(self, path: str):  # type: ignore[no-untyped-def]
        found = super().status(path)
        if found is None:
            return None
        values = list(found)
        values[4] = self.owners.get(path, 0)
        return type(found)(values, {"st_rdev": found.st_rdev})


def put(root: Path, files: dict[str, str]) -> None:
    """Writes files; a text that begins with "-> " makes a link, a name that ends in "/" a directory."""
    for name, text in files.items():
        path = root / name.lstrip("/")
        if name.endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        if text.startswith("-> "):
            path.symlink_to(text[3:])
        else:
            path.write_text(text)


def machine(
    root: Path, *, uid: int = 1000, caps: str = "0", files: dict[str, str] | None = None
) -> FakeMachine:
    """A plain Ubuntu-like machine with cgroup v2 and systemd, seen by a user; `files` changes it."""
    base = {
        "/proc/self/mountinfo": "\n".join([ROOT, PROC, UNIFIED]) + "\n",
        "/proc/self/cgroup": "0::/user.slice/user-1000.slice/session-3.scope\n",
        "/proc/self/uid_map": FULL_MAP,
        "/proc/self/gid_map": FULL_MAP,
        "/proc/self/setgroups": "allow\n",
        "/proc/self/status": f"Name:\tpython3\nCapEff:\t{caps}\nSeccomp:\t0\n",
        "/proc/self/limits": "Limit                     Soft Limit           Hard Limit           Units\n"
        "Max open files            1024                 1048576              files     \n"
        "Max processes             unlimited            unlimited            processes \n",
        "/proc/self/ns/pid": "-> pid:[4026531836]",
        SYS + "kernel/random/boot_id": "822349c9-41aa-42bf-8797-c611fb0dc216\n",
        SYS
        + "kernel/seccomp/actions_avail": "kill_process kill_thread trap errno user_notif trace log allow\n",
        SYS + "user/max_user_namespaces": "95000\n",
        "/etc/passwd": "root:x:0:0:root:/root:/bin/bash\nann:x:1000:1000::/home/ann:/bin/bash\n",
        "/etc/group": "root:x:0:\nann:x:1000:\n",
        "/etc/subuid": "ann:100000:65536\n",
        "/etc/subgid": "ann:100000:65536\n",
        "/run/systemd/system/": "",
        "/run/user/1000/systemd/private": "",
        "/usr/bin/": "",
        "/bin": "-> usr/bin",
        "/lib64": "-> usr/lib64",
    }
    scope = "/sys/fs/cgroup/user.slice/user-1000.slice/session-3.scope"
    for file, text in (
        ("controllers", "cpu io memory pids"),
        ("subtree_control", ""),
        ("procs", "4"),
        ("type", "domain"),
    ):
        base[f"{scope}/cgroup.{file}"] = text + "\n"
    put(root, {**base, **(files or {})})
    made = FakeMachine(root, uid=uid, environ={"XDG_RUNTIME_DIR": "/run/user/1000"})
    made.owners["/run/user/1000"] = 1000
    if uid:
        made.read_only.update((scope, f"{scope}/cgroup.procs", f"{scope}/cgroup.subtree_control"))
    return made
