"""Runs in the guest: it is the machine the kernel tests take it for.  ✗ tests nothing of Nucleus."""

from __future__ import annotations

import ctypes
import os
import platform
import subprocess
from pathlib import Path

import pytest

CGROUPS = Path("/sys/fs/cgroup")
SYS_LANDLOCK_CREATE_RULESET = 444
LANDLOCK_CREATE_RULESET_VERSION = 1
LANDLOCK_ABI = {"6.1": 2, "6.12": 6}


@pytest.fixture(scope="module")
def own_cgroup() -> Path:
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    return CGROUPS / lines[-1].partition("::")[2].lstrip("/")


def shell(line: str) -> str:
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_identity_is_the_one_that_was_asked_for() -> None:
    assert os.geteuid() == {"vm-root": 0, "vm-user": 1000}[os.environ["NUCLEUS_MUST_RUN"]]


def test_cgroups_are_unified() -> None:
    assert Path("/proc/self/cgroup").read_text().startswith("0::/")
    assert (CGROUPS / "cgroup.controllers").exists()


def test_every_controller_is_handed_down_to_the_own_cgroup(own_cgroup: Path) -> None:
    available = (own_cgroup / "cgroup.controllers").read_text().split()
    assert {"cpuset", "cpu", "io", "memory", "pids"} <= set(available)


def test_own_cgroup_can_be_divided(own_cgroup: Path) -> None:
    """As a runtime does it: everybody into a leaf, then controllers for the siblings."""
    leaf, sibling = own_cgroup / "smoke-leaf", own_cgroup / "smoke-sibling"
    leaf.mkdir()
    everybody = (own_cgroup / "cgroup.procs").read_text().split()
    for pid in everybody:
        (leaf / "cgroup.procs").write_text(pid)
    (own_cgroup / "cgroup.subtree_control").write_text("+memory +pids")
    sibling.mkdir()
    (sibling / "pids.max").write_text("7")
    (sibling / "memory.max").write_text(str(64 << 20))
    assert (sibling / "pids.max").read_text() == "7\n"
    sibling.rmdir()
    (own_cgroup / "cgroup.subtree_control").write_text("-memory -pids")
    for pid in (leaf / "cgroup.procs").read_text().split():
        (own_cgroup / "cgroup.procs").write_text(pid)
    leaf.rmdir()


def test_cgroup_kill_is_there(own_cgroup: Path) -> None:
    assert (own_cgroup / "cgroup.kill").exists()


def test_landlock_has_the_abi_of_the_kernel() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    abi = libc.syscall(SYS_LANDLOCK_CREATE_RULESET, None, 0, LANDLOCK_CREATE_RULESET_VERSION)
    version = ".".join(platform.release().split(".")[:2])
    assert abi == LANDLOCK_ABI[version]


def test_user_namespace_with_overlay_in_it() -> None:
    inside = "d=$(mktemp -d) && mount -t tmpfs t $d && cd $d && mkdir l u w m"
    inside += " && mount -t overlay o -o userxattr,lowerdir=l,upperdir=u,workdir=w m && id -u"
    assert shell(f"unshare -Urm sh -c '{inside}'") == "0"


def test_seccomp_can_notify() -> None:
    assert "user_notif" in Path("/proc/sys/kernel/seccomp/actions_avail").read_text()


def test_pressure_is_measured() -> None:
    assert Path("/proc/pressure/memory").read_text().startswith("some")


def test_network_is_loopback_only() -> None:
    assert {path.name for path in Path("/sys/class/net").iterdir()} <= {"lo", "sit0", "tunl0"}


def test_user_has_subordinate_ids_that_newuidmap_maps() -> None:
    line = "unshare -U --map-users=auto --map-groups=auto --map-root-user cat /proc/self/uid_map"
    become_dev = "" if os.geteuid() else "setpriv --reuid=1000 --regid=1000 --clear-groups "
    counts = [int(row.split()[2]) for row in shell(become_dev + line).splitlines()]
    assert sum(counts) >= 65536


def test_packages_of_the_host_are_importable() -> None:
    import hypothesis
    import msgspec

    assert msgspec.json.decode(b"[1]") == [1]
    assert hypothesis.__file__ is not None
