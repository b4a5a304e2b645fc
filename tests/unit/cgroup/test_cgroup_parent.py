"""Where the cgroup goes on each kind of host: the first that works, never what nobody delegated."""

from __future__ import annotations

import pytest
from hosts import ALL, SCOPE, host, on_v2, v1, v2
from rows import every_row

from nucleus.base.errors import SpecError
from nucleus.cgroup.parent import choose_parent
from nucleus.host.facts import Cgroups

HYBRID = Cgroups(
    layout="hybrid",
    v1=(
        v1("memory", "/sys/fs/cgroup/memory/box"),
        v1("pids", "/sys/fs/cgroup/pids"),
        v1("blkio", "/sys/fs/cgroup/blkio"),
    ),
    v2=v2(
        mount="/sys/fs/cgroup/unified",
        path="/",
        directory="/sys/fs/cgroup/unified",
        is_root=True,
        delegated=True,
    ),
)


def test_a_delegated_cgroup_whose_children_have_the_controllers_is_used_as_it_is() -> None:
    found = choose_parent(on_v2(delegated=True, enabled=("memory", "pids")), wanted=("memory", "pids"))
    assert (found.kind, found.enable, found.leaf) == ("own", (), "")
    assert found.directories[0].path == SCOPE and found.versions == {"memory": 2, "pids": 2}


def test_a_delegated_cgroup_with_processes_needs_a_leaf() -> None:
    found = choose_parent(on_v2(delegated=True), wanted=("memory", "pids"))
    assert (found.kind, found.enable) == ("leaf", ("memory", "pids"))
    assert found.leaf == SCOPE + "/nucleus.self" and found.directories[0].path == SCOPE


def test_a_caller_in_its_leaf_uses_the_cgroup_above_without_moving() -> None:
    facts = on_v2(directory=SCOPE + "/nucleus.self", parent_delegated=True, parent_enabled=("pids",))
    found = choose_parent(facts, wanted=("memory", "pids"))
    assert (found.kind, found.enable, found.leaf) == ("own", ("memory",), "")
    assert found.directories[0].path == SCOPE


def test_without_limits_no_controller_is_handed_on() -> None:
    found = choose_parent(on_v2(delegated=True), wanted=())
    assert (found.kind, found.enable) == ("own", ()) and found.versions == {}


@pytest.mark.parametrize(("uid", "manager"), [(0, "system"), (1000, "user")])
def test_an_undelegated_caller_asks_its_manager_for_a_scope(uid: int, manager: str) -> None:
    found = choose_parent(on_v2(uid=uid, user=uid != 0), wanted=ALL)
    assert (found.kind, found.manager) == ("scope", manager)


def test_no_scope_is_asked_for_without_limits() -> None:
    assert choose_parent(on_v2(user=True), wanted=()).kind == "none"


def test_a_user_without_a_manager_has_none_and_a_remedy() -> None:
    found = choose_parent(on_v2(), wanted=ALL)
    assert (found.kind, found.directories, found.remedy) == ("none", (), "loginctl enable-linger ann")


def test_root_without_a_manager_gets_a_parent_at_the_top() -> None:
    facts = on_v2(uid=0, system=False, is_root=True, delegated=True, path="/", directory="/sys/fs/cgroup")
    found = choose_parent(facts, wanted=("memory", "cpu"))
    assert (found.kind, found.enable) == ("root", ("memory", "cpu"))
    assert found.directories[0].path == "/sys/fs/cgroup/nucleus"


def test_what_the_host_does_not_offer_is_not_promised() -> None:
    found = choose_parent(on_v2(delegated=True, controllers=("pids",)), wanted=ALL)
    assert found.versions == {"pids": 2}


def test_kinds_that_failed_are_passed_over() -> None:
    facts = on_v2(delegated=True, user=True)
    assert choose_parent(facts, wanted=ALL, excluded=("leaf",)).kind == "scope"
    assert choose_parent(facts, wanted=ALL, excluded=("leaf", "scope")).kind == "none"


def test_hybrid_hosts_use_each_controller_s_own_cgroup_and_v2_beside() -> None:
    found = choose_parent(host(HYBRID), wanted=("memory", "pids", "io"))
    assert [(d.version, d.path, d.controllers) for d in found.directories] == [
        (1, "/sys/fs/cgroup/memory/box", ("memory",)),
        (1, "/sys/fs/cgroup/pids", ("pids",)),
        (1, "/sys/fs/cgroup/blkio", ("blkio",)),
        (2, "/sys/fs/cgroup/unified", ()),
    ]
    assert found.versions == {"memory": 1, "pids": 1, "blkio": 1} and found.swap_limit and not found.enable


def test_only_the_hierarchies_that_limits_need_are_touched() -> None:
    found = choose_parent(host(HYBRID), wanted=("pids",))
    assert [d.path for d in found.directories] == ["/sys/fs/cgroup/pids", "/sys/fs/cgroup/unified"]


def test_controllers_mounted_together_share_a_directory() -> None:
    both = "/sys/fs/cgroup/cpu,memory/box"
    facts = host(Cgroups(layout="v1", v1=(v1("cpu", both), v1("memory", both))))
    (one,) = choose_parent(facts, wanted=("memory", "cpu")).directories
    assert one.controllers == ("memory", "cpu")


def test_a_user_can_use_no_v1_hierarchy() -> None:
    facts = host(Cgroups(layout="v1", v1=(v1("pids", "/sys/fs/cgroup/pids", writable=False),)), uid=1000)
    found = choose_parent(facts, wanted=("pids",))
    assert found.kind == "none" and "root" in found.remedy


def test_a_host_without_cgroups_has_none() -> None:
    assert choose_parent(host(Cgroups()), wanted=ALL).kind == "none"


@pytest.mark.parametrize("option", ["/box", "/sys/fs/cgroup/box", "//box/"])
def test_the_option_is_a_path_in_the_tree_with_or_without_the_mount_point(option: str) -> None:
    found = choose_parent(on_v2(), wanted=("memory",), option=option)
    assert (found.kind, found.enable) == ("option", ("memory",))
    assert [d.path for d in found.directories] == ["/sys/fs/cgroup/box"]


def test_the_option_names_the_same_path_in_every_v1_hierarchy() -> None:
    found = choose_parent(host(HYBRID), wanted=("memory", "pids"), option="/box")
    assert [d.path for d in found.directories] == ["/sys/fs/cgroup/memory/box", "/sys/fs/cgroup/pids/box"]


@every_row("option", ["box", "/../etc", "/a/./b", "/a\0b"])
def test_an_option_that_is_no_path_is_refused(option: str) -> None:
    with pytest.raises(SpecError) as caught:
        choose_parent(on_v2(), wanted=(), option=option)
    assert caught.value.where == "--cgroup-parent" and caught.value.remedy


DEVICES = ("/sys/fs/cgroup/devices/box", 1)


@pytest.mark.parametrize("option", ["", "/box"])
def test_a_list_of_devices_is_given_on_v2_where_there_is_one_else_to_the_v1_controller(option: str) -> None:
    devices = v1("devices", DEVICES[0])
    hybrid = HYBRID.replace(v1=(*HYBRID.v1, devices))
    for cgroup, by in ((hybrid, 2), (hybrid.replace(layout="v1", v2=None), 1)):
        found = choose_parent(host(cgroup), wanted=("pids",), option=option, devices=True)
        assert [d.version for d in found.directories if d.restricts_devices] == [by]
    plain = choose_parent(host(hybrid.replace(layout="v1", v2=None)), wanted=("pids",), option=option)
    assert not [d for d in plain.directories if d.restricts_devices]
