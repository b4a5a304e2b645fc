"""The probe on made-up machines: each says one thing about a kind of host."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from machines import ALL_CAPS, PROC, ROOT, SYS, UNIFIED, FakeMachine, machine, put
from rows import every_row

from nucleus.host.facts import IdMapLine, IdRange
from nucleus.host.probe import account, id_map, kernel_version, mounts, probe, probe_subids, proc_visible

SCOPE = "/sys/fs/cgroup/user.slice/user-1000.slice/session-3.scope"


def test_a_plain_user_is_known_by_name_ids_and_ranges(tmp_path: Path) -> None:
    facts = probe(machine=machine(tmp_path))
    assert (facts.identity.name, facts.identity.home, facts.identity.uid) == ("ann", "/home/ann", 1000)
    assert not facts.identity.is_host_root and not facts.identity.in_user_namespace
    assert facts.subordinate is not None
    assert facts.subordinate.uids == (IdRange(start=100000, count=65536),)
    assert facts.boot_id.startswith("822349c9") and facts.pid_namespace == 4026531836
    assert facts.rlimits.nofile.hard == 1048576 and facts.rlimits.nproc.hard == -1


def test_root_does_not_read_the_subordinate_ids(tmp_path: Path) -> None:
    facts = probe(machine=machine(tmp_path, uid=0, caps=ALL_CAPS))
    assert facts.identity.is_host_root and facts.subordinate is None


def test_uid_0_of_a_user_namespace_is_not_host_root(tmp_path: Path) -> None:
    nested = machine(tmp_path, uid=0, caps=ALL_CAPS, files={"/proc/self/uid_map": "0 100000 65536\n"})
    facts = probe(machine=nested)
    assert facts.identity.in_user_namespace and not facts.identity.is_host_root
    assert facts.identity.may_write_maps


@pytest.mark.parametrize(
    ("wanted", "answer"),
    [
        pytest.param(IdRange(start=0, count=1), True, id="first line"),
        pytest.param(IdRange(start=0, count=66), True, id="across two lines"),
        pytest.param(IdRange(start=60, count=100), False, id="past the end"),
        pytest.param(IdRange(start=500, count=1), False, id="outside"),
    ],
)
def test_a_range_is_mapped_only_when_every_id_of_it_is(tmp_path: Path, wanted: IdRange, answer: bool) -> None:
    lines = (IdMapLine(inside=1, outside=100000, count=99), IdMapLine(inside=0, outside=1000, count=1))
    identity = probe(machine=machine(tmp_path)).identity
    assert identity.maps_all(lines, wanted) is answer


def test_the_ubuntu_restriction_and_the_debian_switch_are_read(tmp_path: Path) -> None:
    files = {
        SYS + "kernel/apparmor_restrict_unprivileged_userns": "1\n",
        SYS + "kernel/unprivileged_userns_clone": "0\n",
    }
    found = probe(machine=machine(tmp_path, files=files)).user_namespaces
    assert (found.apparmor_restricted, found.unprivileged_clone, found.limit) == (1, 0, 95000)


def test_absent_sysctls_are_told_from_zero(tmp_path: Path) -> None:
    facts = probe(machine=machine(tmp_path))
    assert facts.user_namespaces.apparmor_restricted == -1
    assert facts.kernel.yama_ptrace_scope == -1 and facts.kernel.landlock_abi == -1


@every_row(
    ("below", "visible"),
    [
        pytest.param([], True, id="nothing below"),
        pytest.param(
            ["50 22 0:50 / /proc/sys/fs/binfmt_misc rw - binfmt_misc none rw"], True, id="binfmt_misc"
        ),
        pytest.param(["50 22 0:5 /null /proc/kcore rw - devtmpfs udev rw"], False, id="masked file"),
        pytest.param(["50 22 0:21 /sys /proc/sys ro - proc proc rw"], False, id="read-only proc/sys"),
        pytest.param(["50 22 0:50 / /proc rw - tmpfs none rw"], False, id="covered as a whole"),
    ],
)
def test_a_masked_proc_is_seen(below: list[str], visible: bool) -> None:
    assert proc_visible(list(mounts("\n".join([ROOT, PROC, *below])))) is visible


def test_mount_points_are_unescaped() -> None:
    (one,) = mounts(r"31 23 0:26 / /proc/a\040b rw shared:1 - tmpfs none rw")
    assert one.point == "/proc/a b" and one.minor == 26


def test_hundreds_of_other_mounts_are_passed_over() -> None:
    other = "90 27 0:90 / /snap/core/1 ro shared:9 - squashfs /dev/loop0 ro"
    assert [m.type for m in mounts("\n".join([ROOT] + [other] * 400 + [PROC, "broken - proc"]))] == [
        "ext4",
        "proc",
    ]


def test_a_session_scope_is_not_delegated(tmp_path: Path) -> None:
    v2 = probe(machine=machine(tmp_path)).cgroup.v2
    assert v2 is not None and v2.directory == SCOPE
    assert not v2.delegated and not v2.writable and not v2.is_root
    assert v2.controllers == ("cpu", "io", "memory", "pids")


def test_systemd_s_mark_makes_a_cgroup_the_caller_s(tmp_path: Path) -> None:
    user = machine(tmp_path)
    user.read_only.clear()
    user.attributes[SCOPE, "user.delegate"] = b"1"
    v2 = probe(machine=user).cgroup.v2
    assert v2 is not None and v2.delegated


MANAGER = "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service"
UNIT = MANAGER + "/app.slice/run-7.scope"


def below_the_user_manager(root: Path, unit: str = UNIT) -> FakeMachine:
    """A user in a cgroup that his own manager made and that he can write, like all below it."""
    files = {"/proc/self/cgroup": f"0::{unit.removeprefix('/sys/fs/cgroup')}\n"}
    for name in ("procs", "subtree_control", "controllers", "type"):
        files[f"{unit}/cgroup.{name}"] = ""
    user = machine(root, files=files)
    user.attributes[MANAGER, "user.delegate"] = b"1"
    user.owners.update({unit: 1000, MANAGER: 1000})
    return user


@pytest.mark.parametrize(
    ("answer", "delegated", "times"),
    [
        pytest.param("yes\n", True, 1, id="yes"),
        pytest.param("no\n", False, 1, id="no"),
        pytest.param("", False, 2, id="no answer is none that is kept"),
    ],
)
def test_the_user_manager_is_asked_until_it_has_said_what_it_delegated(
    tmp_path: Path, answer: str, delegated: bool, times: int
) -> None:
    user = below_the_user_manager(tmp_path)
    user.answer = answer
    for _ in range(2):
        v2 = probe(machine=user).cgroup.v2
        assert v2 is not None and v2.writable and v2.delegated is delegated
    assert [argv[-1] for argv in user.asked] == ["run-7.scope"] * times


def test_the_scope_that_was_asked_for_needs_no_question(tmp_path: Path) -> None:
    user = below_the_user_manager(tmp_path)
    user.environ = {**user.environ, "NUCLEUS_SCOPE": "run-7.scope"}
    v2 = probe(machine=user).cgroup.v2
    assert v2 is not None and v2.delegated and not user.asked


def test_what_the_environment_says_of_another_scope_does_not_count(tmp_path: Path) -> None:
    user = below_the_user_manager(tmp_path)
    user.environ = {**user.environ, "NUCLEUS_SCOPE": "run-8.scope"}
    v2 = probe(machine=user).cgroup.v2
    assert v2 is not None and not v2.delegated


def test_the_user_manager_s_own_slices_are_not_taken(tmp_path: Path) -> None:
    v2 = probe(machine=below_the_user_manager(tmp_path, MANAGER + "/app.slice")).cgroup.v2
    assert v2 is not None and v2.writable and not v2.delegated


def test_an_older_manager_delegates_by_ownership(tmp_path: Path) -> None:
    user = machine(tmp_path)
    user.read_only.clear()
    user.owners[SCOPE] = 1000
    v2 = probe(machine=user).cgroup.v2
    assert v2 is not None and v2.delegated


def test_root_under_systemd_owns_no_unit_that_was_not_delegated(tmp_path: Path) -> None:
    v2 = probe(machine=machine(tmp_path, uid=0, caps=ALL_CAPS)).cgroup.v2
    assert v2 is not None and v2.writable and not v2.delegated


def test_a_caller_in_its_leaf_sees_the_cgroup_above(tmp_path: Path) -> None:
    leaf = SCOPE + "/nucleus.self"
    files = {
        "/proc/self/cgroup": "0::/user.slice/user-1000.slice/session-3.scope/nucleus.self\n",
        SCOPE + "/cgroup.subtree_control": "memory pids\n",
        leaf + "/cgroup.controllers": "memory pids\n",
        leaf + "/cgroup.type": "domain\n",
        leaf + "/cgroup.procs": "",
        leaf + "/cgroup.subtree_control": "",
    }
    user = machine(tmp_path, files=files)
    user.read_only.clear()
    user.attributes[SCOPE, "user.delegate"] = b"1"
    v2 = probe(machine=user).cgroup.v2
    assert v2 is not None and v2.parent_delegated
    assert v2.parent_enabled == ("memory", "pids") and "io" in v2.controllers


HYBRID = [
    "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct",
    "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory",
    "40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd",
]


def test_every_v1_controller_has_its_own_path(tmp_path: Path) -> None:
    files = {
        "/proc/self/mountinfo": "\n".join(
            [ROOT, PROC, *HYBRID, UNIFIED.replace("cgroup rw", "cgroup/unified rw")]
        ),
        "/proc/self/cgroup": "9:name=systemd:/\n4:memory:/box/1\n1:cpu,cpuacct:/\n0::/\n",
        "/sys/fs/cgroup/memory/box/1/memory.memsw.limit_in_bytes": "1",
        "/sys/fs/cgroup/cpu,cpuacct/": "",
        "/sys/fs/cgroup/unified/": "",
    }
    cgroup = probe(machine=machine(tmp_path, uid=0, caps=ALL_CAPS, files=files)).cgroup
    assert cgroup.layout == "hybrid"
    assert [c.name for c in cgroup.v1] == ["cpu", "cpuacct", "memory"]
    memory, cpu = cgroup.v1_controller("memory"), cgroup.v1_controller("cpu")
    assert memory is not None and memory.directory == "/sys/fs/cgroup/memory/box/1"
    assert memory.device == 32 and memory.swap_limit and memory.writable
    assert cpu is not None and cpu.directory == "/sys/fs/cgroup/cpu,cpuacct"


@pytest.mark.parametrize(
    ("root", "path", "directory"),
    [
        pytest.param("/docker/ab", "/docker/ab/x", "/sys/fs/cgroup/memory/x", id="mount shows a part"),
        pytest.param("/docker/ab", "/docker/abc", "", id="sibling with the same beginning"),
        pytest.param("/", "/../other", "", id="outside of the cgroup namespace"),
    ],
)
def test_a_cgroup_is_looked_for_below_what_the_mount_shows(
    tmp_path: Path, root: str, path: str, directory: str
) -> None:
    files = {
        "/proc/self/mountinfo": f"35 31 0:32 {root} /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n",
        "/proc/self/cgroup": f"4:memory:{path}\n",
    }
    cgroup = probe(machine=machine(tmp_path, files=files)).cgroup
    assert cgroup.layout == "v1" and cgroup.v1[0].directory == directory


def test_a_host_without_cgroups_has_the_layout_none(tmp_path: Path) -> None:
    files = {"/proc/self/mountinfo": ROOT + "\n", "/proc/self/cgroup": "0::/\n"}
    assert probe(machine=machine(tmp_path, files=files)).cgroup.layout == "none"


def test_of_etc_only_the_settled_names_are_facts(tmp_path: Path) -> None:
    names = [
        "alternatives/",
        "ld.so.cache",
        "ld.so.conf.d/",
        "python3.11/",
        "shadow",
        "ssh/",
        "localtime",
        "fstab",
    ]
    put(tmp_path, {f"/etc/{n}": "-> /usr/share/zoneinfo/UTC" if n == "localtime" else "" for n in names})
    files = probe(machine=machine(tmp_path)).files
    assert [p.path for p in files.etc] == [
        "/etc/alternatives", "/etc/ld.so.cache", "/etc/ld.so.conf.d", "/etc/localtime", "/etc/python3.11",
    ]  # fmt: skip
    assert {p.path: p.kind for p in files.etc}["/etc/localtime"] == "link"
    assert [(p.path, p.target) for p in files.top] == [("/bin", "usr/bin"), ("/lib64", "usr/lib64")]
    assert files.root_type == "ext4" and files.usr is not None and files.usr.kind == "directory"


def test_device_nodes_of_this_machine_have_their_numbers() -> None:
    devices = {d.path: d.number for d in probe().files.devices}
    assert devices["/dev/null"] == (1, 3)


def test_another_user_s_runtime_directory_is_not_taken(tmp_path: Path) -> None:
    facts = probe(machine=machine(tmp_path, uid=1001))
    assert facts.systemd.runtime_directory == "" and not facts.systemd.user
    assert facts.systemd.system


def test_ranges_by_number_comments_and_broken_lines(tmp_path: Path) -> None:
    files = {
        "/etc/subuid": "# none\nbob:1:\nbob:200000:65536\n1000:300000:10\nann:0:0\nann:x:1\n",
        "/etc/subgid": "",
    }
    found = probe_subids("ann", 1000, machine=machine(tmp_path, files=files))
    assert found.uids == (IdRange(start=300000, count=10),) and found.gids == ()
    assert IdRange(start=200000, count=65536) in found.taken_uids
    assert IdRange(start=1000, count=1) in found.taken_uids


@pytest.mark.parametrize(
    ("mode", "capability", "privileged"),
    [
        pytest.param(0o4755, b"", True, id="setuid"),
        pytest.param(0o755, b"\1", True, id="file capabilities"),
        pytest.param(0o755, b"", False, id="neither"),
    ],
)
def test_a_map_helper_needs_rights(tmp_path: Path, mode: int, capability: bytes, privileged: bool) -> None:
    user = machine(tmp_path, files={"/usr/bin/newuidmap": "#!"})
    (tmp_path / "usr/bin/newuidmap").chmod(mode)
    user.attributes["/usr/bin/newuidmap", "security.capability"] = capability
    found = probe_subids("ann", 1000, machine=user).newuidmap
    assert found is not None and found.path == "/usr/bin/newuidmap" and found.privileged is privileged


def test_a_map_helper_that_others_may_change_is_not_taken(tmp_path: Path) -> None:
    user = machine(tmp_path, files={"/usr/bin/newuidmap": "#!"})
    (tmp_path / "usr/bin/newuidmap").chmod(0o4777)
    assert probe_subids("ann", 1000, machine=user).newuidmap is None


@every_row(
    ("release", "version"),
    [("6.1.0-18-amd64", (6, 1)), ("5.15-custom", (5, 15)), ("6.8.0", (6, 8)), ("mainline", (0, 0))],
)
def test_the_kernel_version_is_its_first_two_numbers(release: str, version: tuple[int, int]) -> None:
    assert kernel_version(release) == version


def test_a_map_with_three_lines() -> None:
    assert id_map(" 0 1000 1\n 1 100000 65536\n\n") == (
        IdMapLine(inside=0, outside=1000, count=1),
        IdMapLine(inside=1, outside=100000, count=65536),
    )


def test_an_unknown_user_has_no_name(tmp_path: Path) -> None:
    assert account(machine(tmp_path), 4242) == ("", "")


def test_the_probe_of_this_machine_agrees_with_the_kernel() -> None:
    facts = probe()
    assert facts.identity.uid == os.geteuid()
    assert facts.kernel.release == os.uname().release
    assert facts.pid_namespace == os.stat("/proc/self/ns/pid").st_ino
    assert facts.boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def test_unreadable_files_count_as_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = machine(tmp_path)

    def refuse(*_arguments: object, **_more: object) -> int:
        raise PermissionError(errno.EACCES, "no")

    monkeypatch.setattr(os, "open", refuse)
    facts = probe(machine=seen)
    assert facts.identity.uid_map == () and facts.cgroup.layout == "none"
