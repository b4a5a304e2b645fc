"""What every plan must satisfy: the launcher's own conditions, and those that make a plan a safe one."""

from __future__ import annotations

import pytest
from hypothesis import given
from plan_requests import JOIN, realistic_plans
from plan_strategies import plans, replaced, sample_plans, without
from rows import every_row

from nucleus.base.errors import LaunchError
from nucleus.plan import invariants, schema
from nucleus.plan.join import compile_join
from nucleus.plan.steps import LaunchPlan, Step, step

USER, NET = 0x10000000, 0x40000000


def monitor_steps() -> list[Step]:
    return [
        step("create-cgroup", origin="cgroup", cgroup=0, parent=0, version=2),
        step("spawn", origin="namespaces", namespaces=USER, cgroup=0),
        step("write-id-map", origin="userns", uid_map="0 9 9\n", gid_map="0 9 9\n", deny_setgroups=0),
        step(
            "open-tree", origin="rootfs", mount=0, path="/usr", recursive=1, device=0, inode=0, attributes=0x7
        ),
        step("map-mount", origin="workspace", mount=0, userns=255),
        step("hand-over-mounts", origin="rootfs", count=1),
        step("supervise", origin="timeout", timeout_ms=0, stop_signal=15, grace_ms=0, owner=0),
        step("remove-cgroup", origin="cgroup", cgroup=0),
    ]


def child_steps() -> list[Step]:
    tmpfs = {"type": "tmpfs", "target": "/tmp", "options": b""}
    return [
        step("no-new-privileges", origin="always"),
        step("spawn-network", origin="network"),
        step("become-mapped", origin="userns", set_ids=1, uid=0, gid=0, drop_groups=1),
        step("make-root", origin="rootfs", size_bytes=1 << 20, inodes=10, mode=0o755),
        step("mount-proc", origin="proc", target="/proc", attributes=0xE, options=b""),
        step("pivot-root", origin="rootfs"),
        step("spawn-workload", origin="command"),
        step("mount-filesystem", origin="tmp", attributes=0x6, **tmpfs),  # type: ignore[arg-type]
        step("await-host-mounts", origin="rootfs", count=1),
        step("await-detached", origin="rootfs"),
        step("attach-mount", origin="rootfs", mount=0, target="/usr", is_file=0),
        step("announce-mounts", origin="rootfs"),
        step("seal-root", origin="rootfs", attributes=0x7),
        step("join-network", origin="network"),
        step("become-init", origin="command"),
    ]


def workload_steps() -> list[Step]:
    return [
        step("detach-host", origin="rootfs"),
        step("enter-network", origin="network"),
        step("drop-bounding", origin="capabilities", keep=0),
        step("set-groups", origin="additional_group", groups=b""),
        step("set-ids", origin="user", uid=1000, gid=1000, keep_capabilities=0),
        step("set-capabilities", origin="always", permitted=0, effective=0, inheritable=0, ambient=0),
        step("await-root", origin="rootfs"),
        step("landlock-ruleset", origin="landlock", fs=1, net=0, scoped=0),
        step("landlock-path", origin="rootfs", path="/usr", access=1, optional=0, exact=1),
        step("landlock-restrict", origin="landlock", flags=0),
        step("set-seccomp", origin="seccomp_profile", program=bytes(8), flags=0),
        step("assert-locked", origin="always", permitted=0, seccomp_mode=2),
        step("exec", origin="command", candidates=b"/a\0", arguments=b"a\0", environment=1, directory="/"),
    ]


NETWORK = ("await-id-map", "unshare-network", "loopback-up", "hand-over-network")


def good() -> LaunchPlan:
    network = [step(name, origin="network") for name in NETWORK]
    steps = (*monitor_steps(), *child_steps(), *workload_steps(), *network)
    return LaunchPlan(kind=schema.KIND_CREATE, steps=steps, slots=("parent", "environment"))


def changed(plan: LaunchPlan, name: str, **fields: int | str | bytes) -> LaunchPlan:
    at = next(i for i, s in enumerate(plan.steps) if s.name == name)
    for field, value in fields.items():
        plan = replaced(plan, at, plan.steps[at].spec.names.index(field), value)
    return plan


def moved(plan: LaunchPlan, name: str, before: str) -> LaunchPlan:
    steps = list(plan.steps)
    one = steps.pop(next(i for i, s in enumerate(steps) if s.name == name))
    steps.insert(next(i for i, s in enumerate(steps) if s.name == before), one)
    return LaunchPlan(kind=plan.kind, steps=tuple(steps), slots=plan.slots)


def with_mount_below(target: str) -> LaunchPlan:
    """The host's /usr first, then a file system below it, both before the host's root is detached."""
    one = changed(good(), "mount-filesystem", target=target)
    return moved(moved(one, "attach-mount", "await-detached"), "mount-filesystem", "await-detached")


def with_link(path: str) -> LaunchPlan:
    """A link of the plan's own, before anything is mounted."""
    steps, link = good().steps, step("make-symlink", origin="rootfs", path=path, value="srv")
    at = next(i for i, s in enumerate(steps) if s.name == "spawn-workload")
    return LaunchPlan(kind=schema.KIND_CREATE, steps=(*steps[:at], link, *steps[at:]), slots=good().slots)


def messages(plan: LaunchPlan) -> list[str]:
    assert invariants.structural(plan) == ()
    return [p.message for p in invariants.policy(plan)]


def test_a_good_plan_has_no_problem() -> None:
    assert invariants.check(good()) == ()


@every_row("name", sorted(realistic_plans()))
def test_what_the_compiler_makes_has_no_problem(name: str) -> None:
    assert invariants.check(realistic_plans()[name]) == ()


def test_the_lockdown_of_a_process_that_joins_is_that_of_the_run() -> None:
    run = realistic_plans()["root-v2"]
    ways = [
        [s for s in plan.steps if s.spec.phase_name in ("identity", "landlock", "seccomp")]
        for plan in (run, compile_join(run, JOIN.replace(own_group=False)))
    ]
    assert ways[0] == ways[1]


@every_row(
    ("moved", "before", "message"),
    [
        ("join-cgroup", "join-cgroup", ""),
        ("spawn-inside", "join-namespaces", "must be the child's last steps"),
        ("open-console", "set-ids", "open-console comes before the process has become the container's user"),
        (
            "landlock-path",
            "set-ids",
            "landlock-path comes before the process has become the container's user",
        ),
    ],
)
def test_a_process_that_joins_follows_no_path_before_it_is_the_containers_user(
    moved: str, before: str, message: str
) -> None:
    plan = realistic_plans()["join-v1"]
    steps = list(plan.steps)
    step = steps.pop(next(n for n, s in enumerate(steps) if s.name == moved))
    steps.insert(next(n for n, s in enumerate(steps) if s.name == before), step)
    told = [
        p.message for p in invariants.policy(LaunchPlan(kind=plan.kind, steps=tuple(steps), slots=plan.slots))
    ]
    assert [m for m in told if message in m] if message else told == []


def test_problems_of_structure_hide_those_of_policy() -> None:
    plan = without(good(), "no-new-privileges")
    assert [p.message for p in invariants.check(plan)] == [
        "no-new-privileges must stand in the plan exactly once, not 0 times"
    ]


def test_every_problem_says_what_to_do() -> None:
    assert all(p.where and p.remedy for p in invariants.check(without(good(), "exec", "spawn")))


@given(plan=plans())
def test_policy_judges_any_well_formed_plan_without_failing(plan: LaunchPlan) -> None:
    assert invariants.structural(plan) == ()
    invariants.policy(plan)


def test_the_samples_are_well_formed() -> None:
    assert [n for n, p in sample_plans().items() if invariants.structural(p)] == []


@every_row(
    ("plan", "message"),
    [
        pytest.param(
            moved(good(), "become-mapped", "no-new-privileges"),
            "no_new_privs must be the child's first step",
            id="something before no_new_privs",
        ),
        pytest.param(
            moved(good(), "assert-locked", "set-seccomp"),
            "nothing may come between the seccomp filter and its read-back",
            id="read-back before the filter",
        ),
        pytest.param(
            without(good(), "set-seccomp"),
            "seccomp mode 2 is expected, which is not what the plan installs",
            id="no filter, and yet expected",
        ),
        pytest.param(
            moved(good(), "set-capabilities", "set-ids"),
            "bounding set, groups, ids, capabilities: no other order works",
            id="capabilities before ids",
        ),
        pytest.param(
            changed(good(), "set-capabilities", effective=1),
            "an effective capability that is not permitted",
            id="effective but not permitted",
        ),
        pytest.param(
            changed(good(), "assert-locked", permitted=1),
            "the read-back expects other capabilities than the plan sets",
            id="read-back of other capabilities",
        ),
        pytest.param(
            moved(good(), "landlock-path", "landlock-ruleset"),
            "Landlock rules belong between the ruleset and its enforcement",
            id="rule before the ruleset",
        ),
        pytest.param(
            changed(good(), "mount-proc", attributes=0x6),
            "/proc would be writable and executable",
            id="writable and executable",
        ),
        pytest.param(
            changed(good(), "open-tree", attributes=0x5), "setuid programs would work on /usr", id="setuid"
        ),
        pytest.param(
            changed(good(), "open-tree", attributes=0x3), "device files would work on /usr", id="devices"
        ),
        pytest.param(
            changed(good(), "seal-root", attributes=0), "the private root stays writable", id="open root"
        ),
        pytest.param(
            with_mount_below("/usr/local"),
            "/usr/local is resolved below a mount from the host while the host's root is in reach",
            id="resolution below a foreign mount",
        ),
        pytest.param(
            changed(with_link("/opt"), "mount-filesystem", target="/opt/data"),
            "/opt/data lies behind the link /opt",
            id="a mount behind a link",
        ),
        pytest.param(
            changed(with_link("/tmp"), "mount-filesystem", target="/tmp"),
            "/tmp lies behind the link /tmp",
            id="a mount on a link",
        ),
        pytest.param(
            moved(good(), "attach-mount", "await-host-mounts"),
            "/usr is mounted before the monitor has handed it over",
            id="attach before the mount is there",
        ),
        pytest.param(
            moved(good(), "hand-over-mounts", "map-mount"),
            "a mount is taken or ID-mapped after all were handed over",
            id="ID map after the mount was given away",
        ),
        pytest.param(
            changed(good(), "hand-over-mounts", count=2),
            "the monitor hands over other mounts than those it has taken",
            id="more mounts handed over than taken",
        ),
        pytest.param(
            changed(good(), "await-host-mounts", count=0),
            "the monitor hands over other mounts than those it has taken",
            id="fewer mounts expected than handed over",
        ),
        pytest.param(
            without(good(), "hand-over-mounts", "await-host-mounts"),
            "the monitor hands over other mounts than those it has taken",
            id="mounts that stay with the monitor",
        ),
        pytest.param(
            moved(good(), "announce-mounts", "attach-mount"),
            "attach-mount comes after the workload was told that every mount is in place",
            id="a mount after Landlock looked up its paths",
        ),
        pytest.param(
            without(good(), "join-network"),
            "init and workload must be in the network namespace that was made for them",
            id="init in the host's network",
        ),
        pytest.param(
            without(good(), "enter-network"),
            "init and workload must be in the network namespace that was made for them",
            id="the workload in the host's network",
        ),
        pytest.param(
            moved(good(), "loopback-up", "unshare-network"),
            f"the process of the network does {', '.join(NETWORK)}, and nothing else",
            id="the host's loopback",
        ),
        pytest.param(
            without(good(), "attach-mount"),
            "mount 0 is made and never comes to its end",
            id="a mount left over",
        ),
        pytest.param(
            without(good(), "remove-cgroup"),
            "cgroup 0 is made and never comes to its end",
            id="a cgroup left over",
        ),
        pytest.param(
            changed(good(), "attach-mount", mount=1),
            "attach-mount uses mount 1, which is not there",
            id="no mount",
        ),
        pytest.param(
            changed(good(), "map-mount", userns=2),
            "map-mount uses userns 2, which is not there",
            id="no userns",
        ),
    ],
)
def test_an_unsafe_plan_is_found(plan: LaunchPlan, message: str) -> None:
    assert message in messages(plan)


def test_strict_modes_take_the_right_to_execute_from_writable_mounts() -> None:
    assert invariants.check(good()) == ()
    found = invariants.check(good(), writable_executable=frozenset())
    assert [(p.where, p.message) for p in found] == [("tmp", "/tmp would be writable and executable")]


def test_a_mount_that_is_sealed_later_counts_as_sealed() -> None:
    sealed = step("seal-mount", origin="tmp", path="/tmp", attributes=0x1)
    at = next(i for i, s in enumerate(good().steps) if s.name == "attach-mount")
    steps = (*good().steps[:at], sealed, *good().steps[at:])
    plan = LaunchPlan(kind=schema.KIND_CREATE, steps=steps, slots=good().slots)
    assert invariants.check(plan, writable_executable=frozenset()) == ()


def test_an_unsafe_plan_is_not_launched() -> None:
    invariants.require(good())
    with pytest.raises(LaunchError, match="the private root stays writable"):
        invariants.require(changed(good(), "seal-root", attributes=0))
