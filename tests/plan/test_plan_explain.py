"""What `nucleus explain` says of a plan."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from plan_strategies import plans, sample_plans
from rows import every_row

from nucleus.plan import explain, names, schema
from nucleus.plan.steps import LaunchPlan, step


def create(*steps_of_plan: object, slots: tuple[str, ...] = ()) -> LaunchPlan:
    return LaunchPlan(kind=schema.KIND_CREATE, steps=steps_of_plan, slots=slots)  # type: ignore[arg-type]


@every_row(
    ("given_step", "said"),
    [
        pytest.param(
            step(
                "open-tree",
                origin="workspace",
                mount=3,
                path="/srv/x",
                recursive=1,
                device=0,
                inode=0,
                attributes=0x7,
            ),
            "take /srv/x from the host as mount 3, read-only, nosuid, nodev",
            id="mount attributes by name",
        ),
        pytest.param(
            step("make-root", origin="rootfs", size_bytes=16 << 20, inodes=4096, mode=0o755),
            "make a private root of 16 MiB",
            id="sizes with a unit",
        ),
        pytest.param(
            step("write-file", origin="rootfs", path="/etc/hosts", mode=0o644, content=b"127.0.0.1 x\n"),
            "write /etc/hosts (0644)",
            id="octal modes",
        ),
        pytest.param(
            step("spawn", origin="namespaces", namespaces=0x10000000 | 0x20000000 | 0x20000, cgroup=255),
            "start the child in new user, pid, mount namespaces",
            id="namespaces by name",
        ),
        pytest.param(
            step(
                "write-id-map",
                origin="userns",
                uid_map="0 524288 65536\n",
                gid_map="1000 1000 1\n",
                deny_setgroups=1,
            ),
            "map uids 0-65535 → 524288-589823 and gids 1000 → 1000",
            id="id maps as ranges",
        ),
        pytest.param(
            step("set-rlimit", origin="ulimit", resource=8, soft=64 << 10, hard=(1 << 64) - 1),
            "limit memlock to 64 KiB (hard unlimited)",
            id="rlimit in bytes",
        ),
        pytest.param(
            step("set-rlimit", origin="pids", resource=6, soft=1024, hard=1024),
            "limit nproc to 1024 (hard 1024)",
            id="rlimit that counts",
        ),
        pytest.param(
            step("landlock-path", origin="rootfs", path="/usr", access=0xD, optional=0, exact=1),
            "allow execute, read_file, read_dir below /usr",
            id="Landlock rights by name",
        ),
        pytest.param(
            step("landlock-port", origin="egress", port=443, access=2),
            "allow connect_tcp on TCP port 443",
            id="Landlock rights of ports",
        ),
        pytest.param(
            step(
                "set-capabilities", origin="always", permitted=1 << 5, effective=0, inheritable=0, ambient=0
            ),
            "set capabilities permitted CAP_KILL effective none inheritable none ambient none",
            id="capabilities by name",
        ),
        pytest.param(
            step("set-seccomp", origin="seccomp_profile", program=bytes(8 * 212), flags=0),
            "install the seccomp filter (212 instructions)",
            id="a filter by its length",
        ),
        pytest.param(
            step("set-groups", origin="additional_group", groups=b"\x05\0\0\0\xe8\x03\0\0"),
            "set supplementary groups [5, 1000]",
            id="groups as numbers",
        ),
        pytest.param(
            step(
                "exec",
                origin="command",
                candidates=b"/bin/sh\0",
                arguments=b"sh\0-c\0echo 'hi'\0",
                environment=0,
                directory="/workspace",
            ),
            "execute sh -c 'echo '\\''hi'\\''' in /workspace",
            id="arguments quoted as for a shell",
        ),
        pytest.param(
            step(
                "mount-filesystem",
                origin="tmp",
                type="tmpfs",
                target="/tmp",
                attributes=6,
                options=b"size=1\0mode=1777\0",
            ),
            "mount tmpfs at /tmp, nosuid, nodev (size=1, mode=1777)",
            id="options of a file system",
        ),
        pytest.param(
            step("supervise", origin="timeout", timeout_ms=1500, stop_signal=15, grace_ms=0, owner=0),
            "wait for the end (timeout 1.5 s, stop signal SIGTERM)",
            id="durations and signals",
        ),
        pytest.param(
            step("make-symlink", origin="x", path="/a\x1b[31m", value="\udcff\\"),
            "link /a\\x1b[31m to \\xff\\\\",
            id="what a terminal must not see",
        ),
    ],
)
def test_a_step_is_told_in_words(given_step: object, said: str) -> None:
    assert explain.sentence(given_step) == said  # type: ignore[arg-type]


def test_each_line_of_the_text_ends_with_the_option_it_comes_from() -> None:
    plan = create(
        step("set-cgroup", origin="memory", cgroup=0, file="memory.max", value="512"),
        step("set-umask", origin="always", mask=0o22),
        slots=("state",),
    )
    assert explain.as_text(plan, options={"memory": "--memory"}) == (
        "launch plan: create, 2 steps\n"
        "descriptors: 0 state\n"
        "\nmonitor: prepare\n"
        "    0  write 512 to memory.max of cgroup 0  [--memory]\n"
        "\nworkload: limits\n"
        "    1  set the umask 0022  [always]\n"
    )


@given(plan=plans())
def test_any_plan_can_be_told_without_control_characters(plan: LaunchPlan) -> None:
    text = explain.as_text(plan)
    assert all(c.isprintable() or c == "\n" for c in text)
    assert sum(line[:5].strip().isdigit() for line in text.splitlines()) == len(plan.steps)


@given(plan=plans())
def test_the_json_document_holds_every_step_and_field(plan: LaunchPlan) -> None:
    document = json.loads(explain.as_json(plan))
    assert [s["step"] for s in document["steps"]] == [s.name for s in plan.steps]
    assert all(
        set(s["fields"]) == set(p.spec.names) for s, p in zip(document["steps"], plan.steps, strict=True)
    )


def test_the_json_document_names_actor_phase_origin_and_descriptors() -> None:
    plan = create(
        step("exec", origin="command", candidates=b"/a\0", arguments=b"a\0", environment=0, directory="/"),
        slots=("environment",),
    )
    (entry,) = explain.as_document(plan)["steps"]
    assert (entry["actor"], entry["phase"], entry["origin"]) == ("workload", "exec", "command")
    assert entry["fields"] == {
        "candidates": ["/a"],
        "arguments": ["a"],
        "environment": {"slot": 0, "name": "environment"},
        "directory": "/",
    }


def test_every_step_of_the_table_has_a_sentence() -> None:
    for plan in (sample_plans()["create-all"], sample_plans()["join-all"]):
        assert all("{" not in explain.sentence(s).replace("{0}", "") for s in plan.steps)


@every_row(("value", "said"), [(0, "0 bytes"), (1 << 30, "1 GiB"), (1536, "1536 bytes"), (3 << 10, "3 KiB")])
def test_sizes_keep_their_exact_value(value: int, said: str) -> None:
    assert names.size(value) == said
