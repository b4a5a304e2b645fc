"""Who the workload and init are, as the kernel shows it: ids and their maps, capabilities, seccomp."""

from __future__ import annotations

import os

import pytest
from sandboxes import Boxes

CAPABILITY_SETS = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
BOTH = pytest.mark.parametrize("process", ["self", "1"], ids=["workload", "init"])
HAVE_RANGES = pytest.mark.identity("root", "user", "vm-root", "vm-user")


def status_of(lines: list[str]) -> dict[str, str]:
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


@BOTH
def test_all_five_capability_sets_are_empty(boxes: Boxes, process: str) -> None:
    status = status_of(boxes.probe(f"cat /proc/{process}/status")[0])
    assert {name: int(status[name], 16) for name in CAPABILITY_SETS} == dict.fromkeys(CAPABILITY_SETS, 0)


@BOTH
def test_no_new_privs_is_set_and_a_seccomp_filter_is_in_force(boxes: Boxes, process: str) -> None:
    status = status_of(boxes.probe(f"cat /proc/{process}/status")[0])
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")


@pytest.mark.parametrize(
    "flags", [("--user", "0"), ("--seccomp-profile", "builtin:strict")], ids=["uid 0", "strict"]
)
def test_the_lockdown_is_the_same_for_other_users_and_profiles(boxes: Boxes, flags: tuple[str, ...]) -> None:
    status = status_of(boxes.probe("cat /proc/self/status", flags=flags)[0])
    assert {int(status[name], 16) for name in CAPABILITY_SETS} == {0}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")


@BOTH
@pytest.mark.parametrize("kind", ["uid_map", "gid_map"])
def test_the_id_maps_are_those_of_the_record(boxes: Boxes, process: str, kind: str) -> None:
    ran = boxes.cli(
        "run", "--name", "maps", *boxes.probe_flags(), "--", *boxes.probe_words(f"cat /proc/{process}/{kind}")
    )
    shown = [tuple(int(n) for n in line.split()) for line in boxes.answers(ran.out, 1)[0]]
    assert shown == [tuple(line) for line in boxes.inspect("maps")[kind]]
    assert shown, ran.err


def test_the_workload_is_no_root_and_has_no_groups_of_the_host(boxes: Boxes, identity: str) -> None:
    uid, gid, groups = boxes.probe("ids")[0][0].split(" ", 2)
    assert (uid, gid) == ("1000", "1000")
    # With a single id mapped, the caller's own groups cannot be dropped: they show as that id or nobody's.
    allowed = {"", "65534", "1000"} if identity in ("nosub", "nested") else {""}
    assert set(groups.split(",")) <= allowed


@HAVE_RANGES
@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        pytest.param(("--user", "0"), "0 0 ", id="root inside"),
        pytest.param(("--user", "root"), "0 0 ", id="by name"),
        pytest.param(("--user", "4242"), "4242 4242 ", id="any number"),
        pytest.param(("--user", "agent:7"), "1000 7 ", id="name and group"),
        pytest.param(("--user", "7", "--group", "8"), "7 8 ", id="user and group"),
        pytest.param(
            ("--additional-group", "44", "--additional-group", "45"), "1000 1000 44,45", id="more groups"
        ),
    ],
)
def test_ids_are_those_that_were_asked_for(boxes: Boxes, flags: tuple[str, ...], expected: str) -> None:
    assert boxes.probe("ids", flags=flags)[0] == [expected]


@pytest.mark.identity("root", "vm-root")
def test_two_containers_of_root_never_share_host_ids(boxes: Boxes) -> None:
    maps = []
    running = [boxes.start("--name", f"c{n}", "--", "sleep", "600") for n in range(2)]
    try:
        for n in range(2):
            while not (known := _inspect(boxes, f"c{n}")) or known["status"] != "running":
                assert running[n].poll() is None
            maps.append(known["uid_map"])
    finally:
        for process in running:
            process.terminate()
            process.communicate(timeout=60)
    (first,), (second,) = maps
    assert first[2] == second[2] == 65536
    assert first[1] + first[2] <= second[1] or second[1] + second[2] <= first[1]


def _inspect(boxes: Boxes, name: str) -> dict[str, object] | None:
    try:
        return boxes.inspect(name)
    except Exception as error:
        if getattr(error, "code", "") == "not-found":
            return None
        raise


@pytest.mark.identity("user", "nosub", "vm-user")
@pytest.mark.parametrize("mode", ["keep-id", "nomap"])
def test_the_workload_of_a_user_is_that_user_on_the_host(boxes: Boxes, mode: str) -> None:
    workspace = boxes.directory("work")
    result = boxes.run("--userns", mode, "--workspace", str(workspace), "--", "touch", "mine")
    assert result.exit_code == 0, result.err
    made = (workspace / "mine").stat()
    assert (made.st_uid, made.st_gid) == (os.getuid(), os.getgid())


@pytest.mark.identity("user", "vm-user")
def test_userns_auto_maps_the_subordinate_ids(boxes: Boxes) -> None:
    lines = boxes.probe("cat /proc/self/uid_map", flags=("--userns", "auto"))[0]
    assert sum(int(line.split()[2]) for line in lines) >= 65536


@pytest.mark.identity("user", "nosub", "vm-user")
def test_userns_nomap_maps_one_id_alone(boxes: Boxes) -> None:
    assert len(boxes.probe("cat /proc/self/uid_map", flags=("--userns", "nomap"))[0]) == 1


@pytest.mark.identity("nosub")
def test_userns_auto_without_subordinate_ids_is_refused_with_a_remedy(boxes: Boxes) -> None:
    ran = boxes.cli("run", "--userns", "auto", "--", "true")
    assert ran.code == 125
    assert "usermod" in ran.err
