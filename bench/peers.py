"""The other sandboxes: how each is started to run one `true`.  ✗ measures nothing.

tools/setup-peers.sh installs them. All get the same payload and every namespace they make by themselves.
"""

from __future__ import annotations

import ctypes
import glob
import json
import os
import shutil
import subprocess
from pathlib import Path

from bench.contestants import ENVIRONMENT, PAYLOAD, CannotStart, Contestant, Run, program

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
MS_REC = 0x4000
MS_PRIVATE = 0x40000

BWRAP = ("--unshare-all", "--die-with-parent", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp")
# A root of its own with the host's /usr, as Nucleus makes one; and the host's whole root, read-only.
MINIMAL_ROOT = (
    "--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin", "--symlink", "usr/sbin", "/sbin",
    "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64",
)  # fmt: skip
WHOLE_ROOT = ("--ro-bind", "/", "/")


def cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(os.environ.get("PEERS_CACHE") or Path(base) / "nucleus-peers")


def _find(name: str) -> str:
    """An unpacked newer version in the cache goes before the installed one."""
    unpacked = cache_folder() / name / "usr" / "bin" / name
    found = str(unpacked) if unpacked.exists() else shutil.which(name)
    if found is None:
        raise CannotStart(f"{name} is not there; run tools/setup-peers.sh")
    return found


def _bare(scratch: Path) -> Run:
    return program([*PAYLOAD])


def _bwrap(*flags: str) -> Run:
    # The root first: what is mounted later lies above it.
    return program([_find("bwrap"), *flags, *BWRAP, "--", *PAYLOAD])


def _bwrap_host_network(*flags: str) -> Run:
    return program([_find("bwrap"), *flags, *BWRAP, "--share-net", "--", *PAYLOAD])


def write_bundle(folder: Path, *, network: bool = True) -> None:
    """An OCI bundle with the payload alone in its root. network: whether it gets a network namespace."""
    root = folder / "rootfs"
    for name in ("proc", "dev", "sys", "tmp"):
        (root / name).mkdir(parents=True, exist_ok=True)
    for file in (PAYLOAD[0], *glob.glob("/lib/klibc-*.so")):  # the program, and what it has been linked to
        (root / file[1:]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, root / file[1:])
    kinds = ["pid", "mount", "ipc", "uts", "cgroup"] + (["network"] if network else [])
    quiet = ["nosuid", "noexec", "nodev"]
    config = {
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": 0, "gid": 0},
            "args": list(PAYLOAD),
            "env": [f"PATH={ENVIRONMENT['PATH']}"],
            "cwd": "/",
            "noNewPrivileges": True,
            "capabilities": {
                kind: [] for kind in ("bounding", "effective", "inheritable", "permitted", "ambient")
            },
        },
        "root": {"path": "rootfs", "readonly": True},
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc", "options": quiet},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
        ],
        "linux": {
            # Relative: below the cgroup of the caller.
            "cgroupsPath": f"nucleus-bench-{os.getpid()}",
            "namespaces": [{"type": kind} for kind in kinds],
        },
    }
    (folder / "config.json").write_text(json.dumps(config))


def _oci(argv: list[str], scratch: Path) -> Run:
    """One `run` of an OCI runtime in the foreground; it removes its container itself."""
    bundle = scratch / "bundle"
    command = [
        *argv,
        "--root",
        str(scratch / "state"),
        "run",
        "--bundle",
        str(bundle),
        f"bench-{os.getpid()}",
    ]
    return program(command)


def _runc(scratch: Path) -> Run:
    write_bundle(scratch / "bundle")
    return _oci([_find("runc")], scratch)


def _runc_host_network(scratch: Path) -> Run:
    write_bundle(scratch / "bundle", network=False)
    return _oci([_find("runc")], scratch)


def _crun(scratch: Path) -> Run:
    write_bundle(scratch / "bundle")
    _show_only_unified_cgroups()
    return _oci([_find("crun")], scratch)


def _crun_host_network(scratch: Path) -> Run:
    write_bundle(scratch / "bundle", network=False)
    _show_only_unified_cgroups()
    return _oci([_find("crun")], scratch)


def _runsc(scratch: Path) -> Run:
    write_bundle(scratch / "bundle")
    flags = ["--platform=systrap", "--network=none", "--ignore-cgroups"]
    return _oci([_find("runsc"), *flags], scratch)


def _show_only_unified_cgroups() -> None:
    """Gives this process a mount namespace with cgroup v2 alone; on hybrid hosts crun starts only so."""
    if Path("/sys/fs/cgroup/cgroup.controllers").exists():
        return
    libc = ctypes.CDLL(None, use_errno=True)

    def succeed(result: int, what: str) -> None:
        if result:
            raise CannotStart(f"{what}: {os.strerror(ctypes.get_errno())}")

    succeed(libc.unshare(CLONE_NEWNS), "unshare")
    succeed(libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None), "mount --make-rprivate")
    succeed(libc.mount(b"none", b"/sys/fs/cgroup", b"cgroup2", 0, None), "mount cgroup2")


def version(name: str) -> str:
    """The first line a peer's program says of its version."""
    said = subprocess.run([_find(name), "--version"], capture_output=True, text=True, check=False)
    return (said.stdout or said.stderr).splitlines()[0]


BWRAP_ALL = "user pid mount ipc uts cgroup net; no seccomp, no Landlock, no limits"
BWRAP_NO_NET = "user pid mount ipc uts cgroup; no seccomp, no Landlock, no limits"
ALL_BUT_USER = "pid mount ipc uts cgroup net, cgroup; no seccomp"
BUT_USER_AND_NET = "pid mount ipc uts cgroup, cgroup; no seccomp"
PEERS = (
    Contestant(name="bare", isolation="none: the floor", prepare=_bare),
    Contestant(name="bwrap", isolation=BWRAP_ALL, prepare=lambda s: _bwrap(*MINIMAL_ROOT)),
    Contestant(
        name="bwrap-hostnet", isolation=BWRAP_NO_NET, prepare=lambda s: _bwrap_host_network(*MINIMAL_ROOT)
    ),
    Contestant(name="bwrap-whole-root", isolation=BWRAP_ALL, prepare=lambda s: _bwrap(*WHOLE_ROOT)),
    Contestant(
        name="bwrap-whole-root-hostnet",
        isolation=BWRAP_NO_NET,
        prepare=lambda s: _bwrap_host_network(*WHOLE_ROOT),
    ),
    Contestant(name="crun", isolation=ALL_BUT_USER, prepare=_crun),
    Contestant(name="crun-hostnet", isolation=BUT_USER_AND_NET, prepare=_crun_host_network),
    Contestant(name="runc", isolation=ALL_BUT_USER, prepare=_runc),
    Contestant(name="runc-hostnet", isolation=BUT_USER_AND_NET, prepare=_runc_host_network),
    Contestant(name="runsc", isolation="gVisor: a kernel of its own", prepare=_runsc),
)
PROGRAMS = ("bwrap", "crun", "runc", "runsc")
