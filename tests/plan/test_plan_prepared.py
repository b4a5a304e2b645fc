"""A plan in two parts: nothing of it is lost, nothing is shared that differs, and what is shared is the same for all."""

from __future__ import annotations

import pytest
from plan_requests import NO_SUBORDINATE, ROOT, USER, V1, V2, request

from nucleus.plan import invariants, prepared, schema
from nucleus.plan.compile import compile_plan
from nucleus.plan.encode import encode
from nucleus.plan.request import Request, RootEntry, Source, VolumeSource
from nucleus.plan.steps import LaunchPlan

NAMES = ("/etc/hosts", "/etc/hostname")
# Steps of a whole run that the two parts do in another way.
REPLACED = {
    "make-root",
    "pivot-root",
    "await-detached",
    "detach-host",
    "restrict-devices",
    "spawn",
    "hand-over-mounts",
    "await-host-mounts",
}
ADDED = {
    "make-namespace", "set-file-owner", "freeze-root", "hand-over-root", "spawn-in-root", "adopt-root", "cover-file",
    "make-root", "hand-over-mounts", "await-host-mounts", "load-devices", "attach-devices",
}  # fmt: skip


def plain(**changes: object) -> Request:
    whole = request(ROOT, (V2,), **changes)
    return whole.replace(
        volumes=(), protected=(), secrets=(), spec=whole.spec.replace(workspace="", tmpfs=())
    )


def parts(plan: LaunchPlan) -> tuple[LaunchPlan, LaunchPlan]:
    found = prepared.split(plan, NAMES)
    assert found is not None
    return found


def without_numbers(plan: LaunchPlan, but: set[str]) -> set[tuple[object, ...]]:
    """Steps by their values; numbers of mounts are handed out anew."""
    return {
        (s.name, *[v for n, v in zip(s.spec.names, s.values, strict=True) if n != "mount"])
        for s in plan.steps
        if s.name not in but
    }


@pytest.mark.parametrize(
    "wanted", [request(ROOT, (V2,)), request(ROOT, V1), plain()], ids=["v2", "v1", "plain"]
)
def test_every_step_of_the_whole_stands_in_one_of_the_parts(wanted: Request) -> None:
    whole = compile_plan(wanted)
    root, start = parts(whole)
    covered = {("write-file", p, 0o644) for p in NAMES}
    missing = without_numbers(whole, REPLACED) - without_numbers(root, ADDED) - without_numbers(start, ADDED)
    assert {m[:3] for m in missing} == covered
    assert {(s["path"], s["content"]) for s in start.steps_of("cover-file")} == {
        (s["path"], s["content"]) for s in whole.steps_of("write-file") if s["path"] in NAMES
    }
    for part in (root, start):
        assert invariants.check(part) == ()


def test_the_shared_part_knows_no_name_no_command_no_volume_and_no_secret() -> None:
    one = request(ROOT, (V2,))
    other = request(ROOT, (V2,)).replace(
        hostname="another", candidates=("/bin/other",), secrets=("/run/secrets/b",),
        spec=one.spec.replace(command=("other",)),
    )  # fmt: skip
    assert encode(parts(compile_plan(one))[0]) == encode(parts(compile_plan(other))[0])
    shared = {s["path"] for s in parts(compile_plan(one))[0].steps_of("open-tree")}
    assert not shared & {v.source.path for v in one.volumes}


def test_nothing_that_is_shared_can_be_written() -> None:
    root, _ = parts(compile_plan(request(ROOT, (V2,))))
    assert all([int(str(s["attributes"])) & 1 for s in root.steps_of("open-tree")])
    assert [s.name for s in root.steps][-4:] == ["seal-root", "freeze-root", "load-devices", "hand-over-root"]


def test_the_devices_of_every_start_are_those_of_the_whole() -> None:
    whole = compile_plan(request(ROOT, (V2,)))
    root, start = parts(whole)
    (restrict,), (load,), (attach,) = [
        p.steps_of(n)
        for p, n in ((whole, "restrict-devices"), (root, "load-devices"), (start, "attach-devices"))
    ]
    assert (load["program"], attach["cgroup"]) == (restrict["program"], restrict["cgroup"])
    assert start.slots[int(attach["program"])] == prepared.DEVICES and not start.steps_of("restrict-devices")
    without = request(ROOT, (V2,)).replace(cgroups=())
    root, start = parts(compile_plan(without))
    assert not root.steps_of("load-devices") and prepared.DEVICES not in start.slots


def test_what_a_start_mounts_has_its_place_in_the_root() -> None:
    root, start = parts(compile_plan(request(ROOT, (V2,))))
    made = {s["path"] for name in ("make-directory", "write-file") for s in root.steps_of(name)}
    mounted = [
        *start.steps_of("mount-filesystem"),
        *start.steps_of("attach-mount"),
        *start.steps_of("mount-proc"),
    ]
    assert {s["target"] for s in mounted} - made <= {"/run/secrets"} | made
    assert "/data.csv" in {s["path"] for s in root.steps_of("write-file")}


def test_a_place_in_another_mount_is_left_to_the_start() -> None:
    volume = VolumeSource(
        source=Source(path="/srv/x"), target="/workspace/deep/x", read_only=True, origin="volume"
    )
    whole = request(ROOT, (V2,))
    root, start = parts(compile_plan(whole.replace(volumes=(*whole.volumes, volume))))
    assert not [s for s in root.steps if "path" in s.spec.names and str(s["path"]).startswith("/workspace/")]
    assert "/workspace/deep/x" in {s["target"] for s in start.steps_of("attach-mount")}


def test_the_root_of_another_block_differs_in_its_owner_alone() -> None:
    root, _ = parts(compile_plan(request(ROOT, (V2,))))
    other = prepared.owned_by(root, 1 << 20, 1 << 20)
    changed = [(a.name, b["uid"]) for a, b in zip(root.steps, other.steps, strict=True) if a != b]
    assert changed == [("set-file-owner", 1 << 20)]
    assert {int(str(s["uid"])) for s in root.steps_of("set-file-owner")} == {524288}


@pytest.mark.parametrize("identity", [USER, NO_SUBORDINATE], ids=["subordinate ids", "one id"])
def test_without_host_root_nothing_is_shared(identity: object) -> None:
    assert prepared.split(compile_plan(request(identity, ()))) is None  # type: ignore[arg-type]


def test_an_overlay_is_never_shared() -> None:
    whole = request(ROOT, (V2,))
    entry = RootEntry(target="/usr", source=Source(path="/srv/root/usr"))
    wanted = whole.replace(root_entries=(entry,), spec=whole.spec.replace(rootfs_mode="overlay"))
    assert prepared.split(compile_plan(wanted)) is None


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        pytest.param(("set-file-owner", "uid", 0), "belong to the host's root", id="owner"),
        pytest.param(("open-tree", "attributes", 6), "writable by all containers", id="writable"),
        pytest.param(("seal-root", "attributes", 6), "stays writable", id="open"),
    ],
)
def test_a_root_that_would_be_unsafe_to_share_is_refused(change: tuple[str, str, int], problem: str) -> None:
    root, _ = parts(compile_plan(request(ROOT, (V2,))))
    name, field, value = change
    at = next(n for n, s in enumerate(root.steps) if s.name == name)
    values = dict(zip(root.steps[at].spec.names, root.steps[at].values, strict=True)) | {field: value}
    steps = [*root.steps]
    steps[at] = type(steps[at])(steps[at].spec, tuple(values.values()), "rootfs")
    found = invariants.check(LaunchPlan(kind=schema.KIND_PREPARE, steps=tuple(steps), slots=()))
    assert any([problem in p.message for p in found])
