"""What plans are made of, as data: golden texts, and properties of every plan that can be compiled."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Any

import pytest
from compile_machines import BASE, MACHINES, Machine, kernel, request_of, root_machine
from hypothesis import given, settings
from hypothesis import strategies as st
from rows import every_row

from nucleus.base.errors import SpecError
from nucleus.plan import explain, invariants
from nucleus.plan.compile import compile_plan
from nucleus.plan.encode import decode, encode
from nucleus.plan.join import JoinRequest, User, compile_join, with_command
from nucleus.plan.request import Policies, Request
from nucleus.plan.steps import LaunchPlan
from nucleus.policy import landlock
from nucleus.policy.landlock_policy import LandlockPolicy, PathRule

GOLDEN = Path(__file__).parent / "golden"
RICH: dict[str, Any] = {
    "name": "tests", "workspace": "/srv/project", "memory": "512M", "cpus": 1.5, "cpu_weight": 50, "pids": 64,
    "ulimit": ["nofile=1024:4096"], "additional_group": [44], "timeout": "10m",
}  # fmt: skip
FILES: dict[str, Any] = {
    "workspace": "/srv/project:ro", "context": "/srv/input", "toolchain": ["/opt/node"],
    "volume": ["/srv/data:/data", "/srv/data/deep:/data/deep:ro", "/srv/note.txt:/note.txt:ro"],
    "tmpfs": ["/scratch:8M", "/cache:4M:ro"], "shm_size": "16M",
}  # fmt: skip
# File → options and machine.  `NUCLEUS_WRITE_GOLDEN=1 pytest tests/plan/test_compile.py` writes them anew.
CASES: dict[str, tuple[dict[str, Any], str]] = {
    "root-v2": (RICH, "root, cgroup v2"),
    "root-v1": (RICH, "root, cgroup v1"),
    "root-no-cgroup": ({"rm": True, "name": "once"}, "root, no cgroup"),
    "user-subordinate-ids": ({"workspace": "/srv/project"}, "user with ranges"),
    "user-delegated": ({"memory": "64M"}, "user with a delegated cgroup"),
    "user-single-id": ({"workspace": "/srv/project"}, "user without ranges"),
    "nested": ({}, "root of a user namespace"),
    "rootfs": ({"rootfs": "/srv/images/debian", "user": 0}, "root, cgroup v2"),
    "overlay": ({"rootfs": "/srv/images/debian", "rootfs_mode": "overlay", "user": 0}, "root, cgroup v2"),
    "overlay-user": ({"rootfs": "/srv/debian", "rootfs_mode": "overlay"}, "user without ranges"),
    "looser": (
        {"proc_rw": True, "time_namespace": True, "disable_cgroup_namespace": True},
        "root, cgroup v1",
    ),
    "files": (FILES, "root, cgroup v2"),
    "secrets": ({"secret": ["token=/srv/token", "/srv/key:tls/deep/key"]}, "user with ranges"),
    "network-host": ({"network": "host", "allow_host_network": True}, "root, cgroup v2"),
    "degraded": ({"allow_degraded_security": True}, "user without ranges"),
    "strict-profile": ({"seccomp_profile": "builtin:strict"}, "root, cgroup v2"),
}


def plan_of(name: str) -> LaunchPlan:
    options, machine = CASES[name]
    return compile_plan(request_of(options, MACHINES[machine]))


@every_row("name", CASES)
def test_a_spec_on_a_machine_comes_to_the_plan_that_was_reviewed(name: str) -> None:
    text, golden = explain.as_text(plan_of(name)), GOLDEN / f"{name}.txt"
    if os.environ.get("NUCLEUS_WRITE_GOLDEN") == "1":
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8"), (
        "if it was meant: NUCLEUS_WRITE_GOLDEN=1, and review the diff"
    )


def test_no_golden_plan_is_left_over() -> None:
    assert sorted(p.stem for p in GOLDEN.glob("*.txt")) == sorted(CASES)


# ---- every plan ----


def _options() -> st.SearchStrategy[dict[str, Any]]:
    """Options that a user may combine; what the rules refuse is drawn again."""
    volumes = st.lists(
        st.builds(
            lambda source, below, mode: f"/srv/{source}:/{below}{source}{mode}",
            st.sampled_from(["v0", "v1", "v2.txt"]), st.sampled_from(["", "data/"]),
            st.sampled_from(["", ":ro"]),
        ),
        max_size=4, unique_by=lambda v: v.rpartition(":")[0],
    )  # fmt: skip
    return st.fixed_dictionaries(
        {},
        optional={
            "name": st.sampled_from(["a", "web.1"]),
            "rm": st.booleans(),
            "user": st.sampled_from([0, 1, 1000, "1000:7", 65535]),
            "additional_group": st.lists(st.integers(0, 65535), max_size=3),
            "workspace": st.sampled_from(["/srv/w", "/srv/w:ro"]),
            "workspace_exec": st.booleans(),
            "workdir": st.sampled_from(["/tmp", "/"]),
            "context": st.just("/srv/input"),
            "rootfs": st.just("/srv/root"),
            "rootfs_mode": st.sampled_from(["bind", "overlay"]),
            "proc_rw": st.booleans(),
            "time_namespace": st.booleans(),
            "disable_cgroup_namespace": st.booleans(),
            "toolchain": st.lists(st.sampled_from(["/opt/a", "/opt/a/b"]), max_size=2, unique=True),
            "volume": volumes,
            "tmpfs": st.lists(st.sampled_from(["/t1", "/data/t2:1M", "/t3:ro"]), max_size=2, unique=True),
            "secret": st.lists(st.sampled_from(["a=/s/a", "/s/b:deep/b"]), max_size=2, unique=True),
            "memory": st.sampled_from(["64M", "1G"]),
            "cpus": st.sampled_from([0.5, 2]),
            "pids": st.sampled_from([0, 32]),
            "memlock": st.just("64K"),
            "ulimit": st.lists(st.sampled_from(["nofile=64", "core=unlimited", "nproc=9:10"]), max_size=2),
            "network": st.just("host"),
            "userns": st.sampled_from(["keep-id", "auto", "nomap"]),
            "seccomp_profile": st.sampled_from(["builtin:default", "builtin:strict"]),
            "seccomp_allow": st.just(["personality"]),
            "allow_degraded_security": st.sampled_from([True, ["landlock"], ["seccomp"], ["userns-limit"]]),
            "timeout": st.sampled_from([0.5, "2h"]),
            "command": st.lists(st.sampled_from(["a", "/b", "c/d", "ü\udcff", ""]), min_size=1, max_size=3),
        },
    )


_ABIS = st.integers(0, 7)


def _on(machine: Machine, abi: int) -> Machine:
    return machine.replace(facts=machine.facts.replace(kernel=machine.facts.kernel.replace(landlock_abi=abi)))


def _joined(request: Request, **more: Any) -> LaunchPlan:
    """Another process of the same command in the container of that request."""
    return compile_join(
        compile_plan(request),
        JoinRequest(
            command=request.spec.command, candidates=request.candidates, **{"own_group": False, **more}
        ),
    )


def _requests() -> st.SearchStrategy[Request]:
    """Valid requests: options × machine × Landlock ABI."""

    def made(options: dict[str, Any], name: str, abi: int) -> Request | None:
        if options.get("network"):
            options = {**options, "allow_host_network": True}
        try:
            return request_of(options, _on(MACHINES[name], abi))
        except SpecError:
            return None

    drawn = st.builds(made, _options(), st.sampled_from(sorted(MACHINES)), _ABIS)
    return drawn.filter(lambda request: request is not None)  # type: ignore[return-value]


@given(request=_requests())
@settings(max_examples=20, deadline=None)
def test_any_valid_request_comes_to_a_plan_that_is_whole_safe_and_survives_its_encoding(
    request: Request,
) -> None:
    for plan in (compile_plan(request), _joined(request)):
        assert invariants.check(plan) == ()
        encoded = encode(plan)
        again = decode(encoded)
        assert (again.kind, again.steps) == (plan.kind, plan.steps)
        assert encode(again) == encoded


@every_row("name", MACHINES)
@every_row("user", [0, 1, 1000, 65534, 65535])
@every_row("idmap", [True, False], ids=["idmap", "no idmap"])
def test_the_kernel_takes_every_id_map_of_a_plan(name: str, user: int, idmap: bool) -> None:
    request = request_of({"workspace": "/srv/w", "user": user}, MACHINES[name].replace(idmap=idmap))
    maps = [(m.inside, m.outside, m.count) for m in request.identity.uid_map]
    texts = [str(s[f]) for s in compile_plan(request).steps for f in s.spec.names if f.endswith("_map")]
    for lines in (maps, *[[tuple(map(int, line.split())) for line in text.splitlines()] for text in texts]):
        assert all(count > 0 for _, _, count in lines)
        for side in (0, 1):
            ends = sorted((line[side], line[side] + line[2]) for line in lines)
            assert all(end <= start for (_, end), (start, _) in itertools.pairwise(ends))


@every_row(
    ("options", "where"),
    [
        ({"user": 65536}, "--user"),
        ({"group": 70000}, "--group"),
        ({"additional_group": [70000]}, "--additional-group"),
    ],
)
def test_an_id_that_is_not_mapped_is_refused_where_it_was_asked_for(
    options: dict[str, Any], where: str
) -> None:
    with pytest.raises(SpecError, match="is not mapped") as caught:
        request_of(options, MACHINES["root, cgroup v2"])
    assert caught.value.where == where and caught.value.remedy


@given(request=_requests())
@settings(max_examples=12, deadline=None)
def test_who_joins_is_locked_down_by_the_same_steps_as_who_runs(request: Request) -> None:
    run, join = compile_plan(request), _joined(request)
    shared = ("limits", "identity", "landlock", "seccomp", "exec")

    def lockdown(plan: LaunchPlan) -> list[tuple[str, tuple[object, ...]]]:
        found = []
        for step in plan.steps:
            # The wait for the private root belongs to making it; a slot's number to the plan it stands in.
            if step.spec.phase_name in shared and step.name != "await-root":
                slots = [f.kind == "f" for f in step.spec.fields]
                values = [plan.slots[v] if s else v for s, v in zip(slots, step.values, strict=True)]  # type: ignore[index]
                found.append((step.name, tuple(values)))
        return found

    assert lockdown(run) == lockdown(join)


def test_a_process_in_a_group_of_its_own_may_signal_the_workload() -> None:
    """Two processes under one policy are strangers to each other in the eyes of the scope; all else stays."""
    run, join = compile_plan(_plain()), _joined(_plain(), own_group=True)
    kept = [s for s in run.steps_of("landlock-ruleset")[0].values]
    (fs, net, scoped), (joined_fs, joined_net, joined_scoped) = (
        kept,
        join.steps_of("landlock-ruleset")[0].values,
    )
    assert (fs, net) == (joined_fs, joined_net)
    assert (scoped, joined_scoped) == (landlock.SCOPE_SIGNAL, 0)


def test_who_joins_enters_every_namespace_that_the_run_made() -> None:
    every = 0x10000000 | 0x20000000 | 0x20000 | 0x40000000 | 0x4000000 | 0x8000000
    cases = (
        ({}, 0x2000000),
        ({"time_namespace": True}, 0x2000000 | 0x80),
        ({"disable_cgroup_namespace": True}, 0),
    )
    for machine in ("root, cgroup v2", "root, cgroup v1"):
        for options, more in cases:
            plan = _joined(request_of(options, MACHINES[machine]))
            assert plan.steps_of("join-namespaces")[0]["namespaces"] == every | more, (machine, options)


def test_another_user_of_the_container_has_the_same_lockdown_but_for_his_ids() -> None:
    plain, other = _joined(_plain()), _joined(_plain(), user=User(uid=0, gid=7))
    differing = [b for a, b in zip(plain.steps, other.steps, strict=True) if a != b]
    assert [s.name for s in differing] == ["set-ids"]
    assert other.steps_of("set-ids")[0].values == (0, 7, 0)


def test_a_limit_that_the_run_set_is_not_replaced_by_that_of_init() -> None:
    join = _joined(_plain(), rlimits=((4, 99, 99), (3, 5, 6)))
    limits = {s["resource"]: (s["soft"], s["hard"]) for s in join.steps_of("set-rlimit")}
    assert limits[4] == (0, 0) and limits[3] == (5, 6)


def test_another_command_makes_the_plan_that_compiling_it_makes() -> None:
    run = compile_plan(_plain())
    requests = [JoinRequest(command=(c, "x"), candidates=(f"/bin/{c}",), timeout_ms=5) for c in ("a", "b")]
    plans = [compile_join(run, r) for r in requests]
    assert with_command(plans[0], requests[1].candidates, requests[1].command) == plans[1] != plans[0]


def _plain() -> Request:
    return request_of({}, MACHINES["root, cgroup v2"])


def test_equal_requests_come_to_equal_plans() -> None:
    for options, machine in CASES.values():
        first, second = [compile_plan(request_of(options, MACHINES[machine])) for _ in range(2)]
        assert first == second and encode(first) == encode(second)


def test_a_plan_names_nothing_that_is_unique_to_one_run() -> None:
    request = request_of({**RICH, "hostname": "builder"}, MACHINES["root, cgroup v2"])
    for plan in (compile_plan(request), _joined(request)):
        words = [str(value) for step in plan.steps for value in step.values]
        assert not [w for w in words if "/run/nucleus" in w or "/sys/fs/cgroup" in w or "0123456789ab" in w]
    assert compile_plan(request).slots == ("events", "cgroup:0", "state", "origins", "environment")


# ---- single decisions ----


def test_a_rule_of_a_policy_is_exact_where_others_may_have_left_a_link() -> None:
    wanted = {
        "/usr/bin/python3": 0, "/bin": 0, "/var/tmp": 0, "/var/tmp/x": 1, "/tmp/x": 1, "/data/x": 1, "/scratch": 1,
        "/workspace/out": 1, "/home/agent/x": 1, "/workspaces": 0,
    }  # fmt: skip
    rules = tuple([PathRule(path=path, access=landlock.READ) for path in wanted])
    policies = Policies(landlock=LandlockPolicy(min_abi=3, rules=rules))
    request = request_of({**FILES, "workspace": "/srv/work"}, MACHINES["root, cgroup v2"])
    plan = compile_plan(request.replace(policies=policies))
    assert {s["path"]: s["exact"] for s in plan.steps_of("landlock-path")} == wanted


def test_what_is_protected_cannot_be_put_aside_and_a_link_to_it_is_kept_as_a_link() -> None:
    request = request_of({"workspace": "/srv/work"}, MACHINES["root, cgroup v2"]).replace(
        protected=("/workspace/repo/config",), protected_links=("/workspace/.git",)
    )
    steps = [(s["path"], s["attributes"], s["link"]) for s in compile_plan(request).steps_of("protect-path")]
    assert steps == [
        ("/workspace/repo", 0x6, 0),
        ("/workspace/.git", 0xF, 1),
        ("/workspace/repo/config", 0xF, 0),
    ]


@every_row("abi", range(8))
def test_landlock_handles_every_right_of_the_kernels_abi_and_grants_no_other(abi: int) -> None:
    plan = compile_plan(request_of(FILES, _on(MACHINES["root, cgroup v2"], abi)))
    rulesets, rules = plan.steps_of("landlock-ruleset"), plan.steps_of("landlock-path")
    if abi == 0:
        assert not rulesets and not rules and not plan.steps_of("landlock-restrict")
        return
    handled = landlock.handled_fs(abi)
    signals = landlock.SCOPE_SIGNAL if abi >= 6 else 0
    assert [(s["fs"], s["net"], s["scoped"]) for s in rulesets] == [(handled, 0, signals)]
    assert all(isinstance(r["access"], int) and r["access"] and not r["access"] & ~handled for r in rules)
    writable = {str(r["path"]) for r in rules if int(str(r["access"])) & landlock.MAKE_REG}
    assert writable == {"/tmp", "/home/agent", "/dev/shm", "/dev/pts", "/data", "/scratch"}


@every_row(("abi", "scoped"), [(5, 0), (6, landlock.handled_scopes(6))])
def test_abstract_sockets_are_scoped_where_the_network_is_the_hosts(abi: int, scoped: int) -> None:
    options = {"network": "host", "allow_host_network": True}
    (ruleset,) = compile_plan(request_of(options, root_machine(abi=abi))).steps_of("landlock-ruleset")
    assert ruleset["scoped"] == scoped


def test_a_layer_that_was_given_up_by_name_is_the_only_one_that_is_missing() -> None:
    for layer, step_name in (
        ("landlock", "landlock-restrict"), ("seccomp", "set-seccomp"), ("userns-limit", "write-sysctl"),
        ("devices", "restrict-devices"),
    ):  # fmt: skip
        plan = compile_plan(request_of({"allow_degraded_security": [layer]}, MACHINES["root, cgroup v2"]))
        present = {
            n for n in ("landlock-restrict", "set-seccomp", "write-sysctl") if plan.steps_of(n)
        }  # fmt: skip
        assert present == {"landlock-restrict", "set-seccomp", "write-sysctl"} - {step_name}


def test_mounts_are_attached_parents_first() -> None:
    targets = [
        str(s["target"]) for s in compile_plan(request_of(FILES, root_machine())).steps_of("attach-mount")
    ]
    for at, target in enumerate(targets):
        assert not [later for later in targets[at + 1 :] if target.startswith(later + "/")]


def test_a_secret_is_in_memory_read_only_and_for_the_workload_alone() -> None:
    plan = plan_of("secrets")
    (tmpfs,) = [s for s in plan.steps_of("mount-filesystem") if s["target"] == "/run/secrets"]
    assert tmpfs["type"] == "tmpfs" and b"mode=0700\0uid=1000\0gid=1000\0" in bytes(tmpfs["options"])  # type: ignore[arg-type]
    assert [(s["path"], s["mode"], s["uid"]) for s in plan.steps_of("write-secret")] == [
        ("/run/secrets/token", 0o400, 1000), ("/run/secrets/tls/deep/key", 0o400, 1000),
    ]  # fmt: skip
    assert not [w for s in plan.steps for w in s.values if "/srv/token" in str(w) or "/srv/key" in str(w)]


def test_without_id_mapped_mounts_root_maps_the_owner_himself() -> None:
    plan = compile_plan(request_of({"workspace": "/srv/w"}, root_machine(idmap=False)))
    (maps,) = plan.steps_of("write-id-map")
    assert maps["uid_map"] == f"0 {BASE} 1000\n1000 1001 1\n1001 {BASE + 1001} 64535\n"
    assert not plan.steps_of("map-mount") and not plan.steps_of("make-userns")


def test_both_architectures_have_their_filters() -> None:
    programs = []
    for arch in ("x86_64", "aarch64"):
        machine = root_machine()
        facts = machine.facts.replace(kernel=kernel(arch=arch))
        for profile in ("builtin:default", "builtin:strict"):
            plan = compile_plan(request_of({"seccomp_profile": profile}, machine.replace(facts=facts)))
            programs.append(plan.steps_of("set-seccomp")[0]["program"])
    assert len(set(programs)) == 4 and all(isinstance(p, bytes) and len(p) > 80 for p in programs)
