"""Which system calls the launcher makes, in which order, and what becomes of each that fails."""

from __future__ import annotations

import errno

import pytest
from plan_requests import realistic_plans
from recording import ROLES, Record, Recorder

from nucleus.plan import schema
from nucleus.plan.steps import LaunchPlan

PLANS = realistic_plans()
ACTORS = {("prepare", "monitor"): (0, 1)}  # a root is prepared by one process
RUNS = [
    (name, role)
    for name, plan in PLANS.items()
    for role, actor in ROLES.items()
    if actor in {s.spec.actor for s in plan.steps} and (name, role) != ("prepare", "child")
]
JOINS = ("join", "join-v1")

CLOSED_BY_EXEC = {"become-init"}


@pytest.fixture(scope="module")
def recorder(tmp_path_factory: pytest.TempPathFactory) -> Recorder:
    return Recorder(tmp_path_factory.mktemp("recorder"))


def expected(name: str, role: str) -> list[int]:
    """Indices of the role's steps in the order in which its phases run."""
    actors = ACTORS.get((name, role), (ROLES[role],))
    last = schema.PHASES["release"] if name == "prepare" else -1  # the root is handed over when it is complete
    steps = [
        (s.spec.phase == last, s.spec.phase, i)
        for i, s in enumerate(PLANS[name].steps)
        if s.spec.actor in actors
    ]
    return [index for _, _, index in sorted(steps)]


def good_day(recorder: Recorder, name: str, role: str) -> Record:
    return recorder.run(PLANS[name], role)


@pytest.mark.parametrize(("name", "role"), RUNS)
def test_each_process_runs_its_steps_in_the_order_of_the_plan(
    recorder: Recorder, name: str, role: str
) -> None:
    record = good_day(recorder, name, role)
    assert record.steps == expected(name, role)
    assert record.failures == []


@pytest.mark.parametrize(("name", "role"), RUNS)
def test_no_handler_leaves_a_descriptor_behind_or_open_to_a_program(
    recorder: Recorder, name: str, role: str
) -> None:
    record = good_day(recorder, name, role)
    assert (record.leaks, record.faults) == ([], [])


PATHS = {
    "openat",
    "openat2",
    "open_tree",
    "chdir",
    "mkdirat",
    "mknodat",
    "symlinkat",
    "unlinkat",
    "execve",
    "fsopen",
}


@pytest.mark.parametrize("name", ["root-v1", "root-v2", "user"])
def test_taking_the_mapped_id_is_the_first_act_after_the_map(recorder: Recorder, name: str) -> None:
    """Until then the child of a privileged launch is host root in the kernel's eyes: it follows no path."""
    names = [c.name for c in good_day(recorder, name, "child").calls]
    taken = names.index("setresuid")
    assert names[: taken + 1][-4:] == ["recvmsg", "setgroups", "setresgid", "setresuid"]
    assert PATHS.isdisjoint(names[:taken])


@pytest.mark.parametrize(("name", "role"), [("root-v1", "workload"), ("user", "workload"), ("join", "workload")])
def test_between_filter_and_program_stand_only_the_proof_and_what_exec_needs(
    recorder: Recorder, name: str, role: str
) -> None:
    names = [c.name for c in good_day(recorder, name, role).calls]
    after = names[names.index("seccomp") + 1 :]
    handshake = [] if name == "join" else ["recvmsg"]
    proof = ["capget", "prctl", "prctl"]
    assert after == [*proof, "pread64", "pread64", *handshake, "chdir", "close_range", "execve"]


@pytest.mark.parametrize("name", [n for n in PLANS if n not in (*JOINS, "prepare")])
def test_no_capability_and_no_dump_remains_when_init_is_executed(recorder: Recorder, name: str) -> None:
    record = good_day(recorder, name, "child")
    last = record.during(record.steps[-1])
    assert last[0] == "prctl" and "capset" in last and last[-1] == "execveat"
    assert record.ending == "exec nucleus-init"


@pytest.mark.parametrize("role", ["monitor", "child", "workload"])
def test_the_monitor_alone_removes_and_records(recorder: Recorder, role: str) -> None:
    names = {c.name for c in good_day(recorder, "root-v2", role).calls}
    assert ("unlinkat" in names) == ("renameat" in names) == (role == "monitor")


# What the kernel is asked for by steps that are a call or a few.
CALLS = {
    "create-cgroup": ("mkdirat openat", "mkdirat openat openat"),
    "set-cgroup": ("openat write close",),
    "restrict-devices": ("bpf bpf close",),
    "load-devices": ("bpf",),
    "attach-devices": ("bpf close",),
    "enter-cgroup": ("write close",),
    "unshare-cgroup": ("unshare",),
    "join-cgroup": ("", "openat"),
    "join-namespaces": ("prctl setns",),
    "open-console": ("openat ioctl ioctl ioctl sendmsg close close setsid ioctl dup3 dup3 dup3 close",),
    "no-new-privileges": ("prctl", "prctl rt_sigprocmask"),
    "set-hostname": ("sethostname",),
    "unshare-network": ("unshare",),
    "spawn-network": ("socketpair clone3 close",),
    "take-network": ("setns close",),
    "spare-network": ("clone3",),
    "await-id-map": ("recvmsg",),
    "loopback-up": ("socket ioctl",),
    "hand-over-network": ("ioctl sendmsg sendmsg close",),
    **dict.fromkeys(("enter-network", "join-network"), ("recvmsg setns close close",)),
    "detach-host": ("umount2 sendmsg",),
    "announce-mounts": ("sendmsg",),
    "pivot-root": ("openat close fchdir pivot_root",),
    "set-file-owner": ("setfsgid setfsuid setfsgid setfsuid",),
    "freeze-root": ("fspick fsconfig fsconfig close",),
    "hand-over-root": ("openat sendmsg close",),
    "adopt-root": ("openat close umask openat",),
    "set-rlimit": ("prlimit64",),
    "set-umask": ("umask",),
    "new-keyring": ("keyctl",),
    "set-groups": ("setgroups",),
    "set-ids": ("setresgid setresuid prctl",),
    "set-capabilities": ("prctl capset",),
    "landlock-ruleset": ("landlock_create_ruleset",),
    "landlock-path": ("openat2 landlock_add_rule close",),
    "landlock-restrict": ("landlock_restrict_self close",),
    "set-seccomp": ("sched_getattr sched_setattr seccomp",),  # the caller's slice, while that is allowed
    "assert-locked": ("capget prctl prctl",),
    "remove-tree": ("unlinkat", "openat openat flock close close unlinkat"),
    "note-created": ("clock_gettime openat ppoll write close",),
}


@pytest.mark.parametrize(("name", "role"), RUNS)
def test_simple_steps_make_exactly_their_calls(recorder: Recorder, name: str, role: str) -> None:
    record, plan = good_day(recorder, name, role), PLANS[name]
    for index in record.steps:
        wanted = CALLS.get(plan.steps[index].name)
        assert wanted is None or " ".join(record.during(index)) in wanted, plan.steps[index].name


# Calls whose failure does not end the launch, by step; what becomes of it instead.
TOLERATED = {
    "start": {
        **dict.fromkeys(("fcntl", "statx", "mmap", "close_range", "signalfd4"), "refused before any step"),
        **dict.fromkeys(("rt_sigaction", "rt_sigprocmask"), "cannot fail with these arguments"),
        "clock_gettime": "a time of 0 is recorded",
    },
    "no-new-privileges": {"rt_sigprocmask": "cannot fail with these arguments"},
    **dict.fromkeys(
        ("become-mapped", "await-root"),
        {"recvfrom": "looks whether the monitor is gone: no answer is the good one"},
    ),
    "spare-network": {"clone3": "there is no spare network namespace then"},
    "spawn": dict.fromkeys(("recvmsg", "wait4"), "the child's own record says why it did not get there"),
    "make-root": {"umask": "cannot fail"},
    "set-umask": {"umask": "cannot fail"},
    **dict.fromkeys(
        ("mount-proc", "mount-filesystem", "attach-mount"),
        dict.fromkeys(("mkdirat", "mknodat"), "the mount fails where its target is missing")
        | dict.fromkeys(("statx", "fchownat"), "an empty target stays with the sandbox's own root"),
    ),
    **dict.fromkeys(
        ("run-hook", "run-hook-inside"),
        {"clock_gettime": "cannot fail with these arguments", "kill": "nobody is left", "wait4": "the same"},
    ),
    "become-init": {"close_range": "streams stay open"},
    "pivot-root": {"openat": "there is no terminal"},
    "adopt-root": {"openat": "there is no terminal", "umask": "cannot fail"},
    "set-file-owner": dict.fromkeys(("setfsgid", "setfsuid"), "asked afterwards"),
    "spawn-workload": {"setpgid": "the workload stays in its caller's process group"},
    "make-userns": {"wait4": "the kernel collects what nobody waits for"},
    **dict.fromkeys(
        ("note-created", "note-started", "note-ended"),
        dict.fromkeys(("clock_gettime", "openat", "ppoll", "write"), "the event is left out"),
    ),
    "write-init-record": {"getpid": "cannot fail"},
    "read-counter": dict.fromkeys(("openat", "read"), "marked dirty"),
    "remove-cgroup": {
        "unlinkat": "marked dirty",
    },
    "await-trace": {"ppoll": "marked dirty", "shutdown": "the listener has ended by itself"},
    "trace-seccomp": {"getpid": "cannot fail"},
    "write-exit-record": dict.fromkeys(("openat", "write", "renameat"), "marked dirty"),
    "remove-tree": {"unlinkat": "marked dirty", **dict.fromkeys(("openat", "flock"), "nobody waits for it")},
    "await-proceed": {"clock_gettime": "a time of 0 is recorded", "recvmsg": "watched again, or the end is seen otherwise"},
    **dict.fromkeys(
        ("supervise", "write-start-record"),  # the last step before the wait itself
        {
            **dict.fromkeys(("clock_gettime", "close_range"), "cannot fail with these arguments"),
            "kill": "who makes a spare network namespace ends by itself, too",
            **dict.fromkeys(
                ("ppoll", "read", "recvmsg", "wait4"), "watched again, or the end is seen otherwise"
            ),
        },
    ),
}
# Closing never fails to close; what the owner or the child is told, it may be past hearing; a slice is a wish.
ALWAYS_TOLERATED = {"close", "sendmsg", "sched_getattr", "sched_setattr"}
MUST_TELL_PEER = {"announce-mounts", "detach-host", "hand-over-mounts", "hand-over-root", "hand-over-network",
    "become-mapped", "spawn-workload",
    "spawn-inside", "open-console"}


def verdict(plan: LaunchPlan, record: Record, call: int) -> str:
    """What is wrong with a run in which that call failed with EDOM; "" when all is as it must be."""
    failed = next(c for c in record.calls if c.number == call)
    step = plan.steps[failed.step] if failed.step is not None else None
    name = step.name if step else "start"
    where = f"{name}: {failed.name}"
    if record.faults:
        return f"{where}: {record.faults}"
    if not record.failures:
        always = failed.name in ALWAYS_TOLERATED and (failed.name != "sendmsg" or name not in MUST_TELL_PEER)
        return "" if always or failed.name in TOLERATED.get(name, {}) else f"{where}: its failure is not seen"
    actor, opcode, index, error = record.failures[0]
    if failed.name == "setpgid" and error == errno.EDOM and record.ending == "exit 125":
        return ""  # the newborn's first act, by a step of the one that started it
    proof = name == "assert-locked" and error == errno.ENOTRECOVERABLE
    if (
        step is None
        or (opcode, index) != (step.spec.opcode, failed.step)
        or not (error == errno.EDOM or proof)
    ):
        return f"{where}: reported as step {index}, opcode {opcode}, errno {error}"
    if actor != step.spec.actor or record.ending != "exit 125":
        return f"{where}: actor {actor}, {record.ending}"
    return f"{where}: {record.leaks}" if record.leaks and name not in CLOSED_BY_EXEC else ""


def test_every_call_that_fails_ends_in_a_record_of_its_step_and_leaves_no_descriptor(
    recorder: Recorder,
) -> None:
    """Each call of each handler, of each process, failing once with an errno that nobody treats specially."""
    wrong, tried = [], set()
    for name, role in RUNS:
        position: dict[int | None, int] = {}
        for call in good_day(recorder, name, role).calls:
            position[call.step] = position.get(call.step, 0) + 1
            step = PLANS[name].steps[call.step].name if call.step is not None else ""
            if (role, step, call.name, position[call.step]) in tried:
                continue
            tried.add((role, step, call.name, position[call.step]))
            record = recorder.run(PLANS[name], role, call.number, errno.EDOM)
            wrong += [w for w in [verdict(PLANS[name], record, call.number)] if w]
    assert sorted(set(wrong)) == []
    assert len(tried) > 400


@pytest.mark.parametrize(
    ("step", "call", "error", "goes_on"),
    [
        pytest.param("become-mapped", "recvmsg", errno.EINTR, True, id="an interrupted wait goes on"),
        pytest.param("write-file", "write", errno.EINTR, True, id="an interrupted write goes on"),
        pytest.param("mask-file", "openat2", errno.ENOENT, True, id="a file that this kernel has not"),
        pytest.param("mask-file", "openat2", errno.EACCES, False, id="a file that cannot be opened"),
        pytest.param(
            "mask-directory", "openat2", errno.ENOENT, True, id="a directory that this kernel has not"
        ),
        pytest.param("make-directory", "mkdirat", errno.EEXIST, True, id="a directory that is there"),
        pytest.param("make-symlink", "symlinkat", errno.EEXIST, True, id="a link that is there"),
        pytest.param("make-symlink", "symlinkat", errno.EROFS, False, id="a link that cannot be made"),
        pytest.param(
            "write-file", "openat", errno.EEXIST, False, id="a file that is there is not overwritten"
        ),
        pytest.param("open-tree", "openat2", errno.ELOOP, False, id="a source that became a link"),
        pytest.param("attach-mount", "openat2", errno.ELOOP, False, id="a target that is a link"),
        pytest.param("mount-filesystem", "openat2", errno.ELOOP, False, id="a link below a workspace"),
        pytest.param("protect-path", "openat2", errno.ELOOP, False, id="a protected path that became a link"),
        pytest.param("new-keyring", "keyctl", errno.ENOSYS, True, id="a kernel without keyrings"),
        pytest.param("new-keyring", "keyctl", errno.EPERM, False, id="a keyring that a filter refuses"),
        pytest.param("new-keyring", "keyctl", errno.EACCES, False, id="a keyring that a security module refuses"),
        pytest.param("landlock-path", "openat2", errno.ELOOP, False, id="rights behind a link"),
        pytest.param("create-cgroup", "mkdirat", errno.EEXIST, False, id="a cgroup of that name"),
        pytest.param("protect-path", "openat2", errno.ENOENT, True, id="a path that need not be protected"),
        pytest.param(
            "drop-bounding", "prctl", errno.EINVAL, False, id="not even the first capability is known"
        ),
        pytest.param("await-detached", "recvmsg", errno.ENOTCONN, False, id="nobody was there to wait for"),
    ],
)
def test_errors_with_a_meaning(recorder: Recorder, step: str, call: str, error: int, goes_on: bool) -> None:
    spec = schema.BY_NAME[step]
    role = next(name for name, actor in ROLES.items() if actor == spec.actor)
    # In a run the bounding set is given up by the child.
    kind = "join" if step == "drop-bounding" else "root-v2"
    plan = PLANS[kind]
    calls = [c for c in good_day(recorder, kind, role).calls if c.name == call and c.step is not None]
    number = next(c.number for c in calls if plan.steps[c.step].name == step)  # type: ignore[index]
    record = recorder.run(plan, role, number, error)
    assert (record.failures == []) == goes_on
    if not goes_on:
        assert [(f[1], f[3]) for f in record.failures[:1]] == [(spec.opcode, error)]


SPARE = ["prctl", "close_range", "close_range", "unshare", "socket", "ioctl", "ioctl", "sendmsg"]


def test_who_makes_a_spare_network_namespace_keeps_nothing_of_the_launch(recorder: Recorder) -> None:
    plan = PLANS["start-taking"]
    record = recorder.run(plan, "spare")
    assert ([c.name for c in record.calls], record.ending) == (SPARE, "exit 0")
    for call in record.calls:
        failed = recorder.run(plan, "spare", call.number, errno.EDOM)
        done = [c.name for c in failed.calls]
        assert failed.ending == "exit 1", call
        assert ("sendmsg" in done) == (call.name == "sendmsg"), "nothing is handed over that is not complete"


def test_without_a_terminal_the_workload_leaves_the_callers_process_group(recorder: Recorder) -> None:
    """kill(0) reaches the whole group, past every pid namespace."""
    # Called before the workload is born, and therefore not in its own record.
    opened = next(c for c in good_day(recorder, "root-v2", "child").calls if c.text == "/dev/tty").number
    alone = recorder.run(PLANS["root-v2"], "workload", opened, errno.ENXIO)
    attended = good_day(recorder, "root-v2", "workload")
    assert alone.calls[0].name == "setpgid"
    assert "setpgid" not in [c.name for c in attended.calls]


def test_a_busy_cgroup_is_tried_for_a_while_and_then_marked(recorder: Recorder) -> None:
    record = good_day(recorder, "root-v2", "monitor")
    number = next(c.number for c in record.calls if c.name == "unlinkat")
    once = recorder.run(PLANS["root-v2"], "monitor", number, errno.EBUSY)
    again = recorder.run(PLANS["root-v2"], "monitor", number, errno.EBUSY, "every")
    assert [c.name for c in once.calls].count("nanosleep") == 1
    assert [c.name for c in again.calls].count("nanosleep") == 500


def test_a_directory_is_emptied_before_it_is_removed(recorder: Recorder) -> None:
    record, plan = good_day(recorder, "user-alone", "monitor"), PLANS["user-alone"]
    number = next(c.number for c in record.calls if c.name == "unlinkat")
    index = next(i for i, s in enumerate(plan.steps) if s.name == "remove-tree")
    emptied = recorder.run(plan, "monitor", number, errno.EISDIR)
    assert " ".join(emptied.during(index)[:5]) == "unlinkat openat getdents64 close unlinkat"


def test_whoever_loses_the_other_process_ends_without_a_record(recorder: Recorder) -> None:
    """The one that failed has told why; the other's word would hide it."""
    calls = [c for c in good_day(recorder, "root-v2", "child").calls if c.name == "recvmsg"]
    for call in calls:
        record = recorder.run(PLANS["root-v2"], "child", call.number, errno.ECONNRESET)
        assert (record.failures, record.ending) == ([], "exit 125")


def test_a_directory_stays_while_somebody_waits_for_the_exit_record_in_it(recorder: Recorder) -> None:
    plan = PLANS["gated"]
    calls = good_day(recorder, "gated", "monitor").calls
    number = next(c.number for c in calls if c.name == "flock")
    index = max(i for i, s in enumerate(plan.steps) if s.name == "remove-tree")
    awaited = recorder.run(plan, "monitor", number, errno.EAGAIN)
    assert awaited.during(index) == ["openat", "openat", "flock", "close", "fchmodat", "close"]
    other = recorder.run(plan, "monitor", number, errno.ENOLCK)
    assert other.during(index)[-1] == "unlinkat"


def test_the_start_is_recorded_once_child_and_workload_have_executed(recorder: Recorder) -> None:
    names = [(c.name, c.text) for c in good_day(recorder, "gated", "monitor").calls]
    recorded = names.index(("openat", "started.new"))
    assert [n for n, _ in names[recorded : recorded + 4]] == ["openat", "write", "close", "renameat"]
    assert ("openat", "started.new") not in [
        (c.name, c.text) for c in good_day(recorder, "root-v2", "monitor").calls
    ]


@pytest.mark.parametrize("name", JOINS)
def test_who_joins_brings_nothing_of_the_host_along(recorder: Recorder, name: str) -> None:
    """Not dumpable before the first namespace is entered; descriptors of the host are closed before anybody is inside."""
    child = [c.name for c in good_day(recorder, name, "child").calls]
    assert child.index("prctl") < child.index("setns")
    joined = child.index("setns")
    spawned = child.index("clone3", joined)
    slots, kept = len(PLANS[name].slots), {"environment", "console"} & set(PLANS[name].slots)
    assert child[joined + 1 : spawned] == ["close"] * (slots - len(kept) + 1)
    assert child[spawned:] == ["clone3", "sendmsg"]


def test_a_process_inside_with_a_terminal_stays_out_of_a_group_of_its_own(recorder: Recorder) -> None:
    """setsid(2) refuses the leader of a process group."""
    assert "setpgid" in [c.name for c in good_day(recorder, "join", "workload").calls]
    assert "setpgid" not in [c.name for c in good_day(recorder, "join-v1", "workload").calls]
    opened = next(c for c in good_day(recorder, "console", "child").calls if c.text == "/dev/tty").number
    alone = recorder.run(PLANS["console"], "workload", opened, errno.ENXIO)
    assert "setpgid" not in [c.name for c in alone.calls]
    assert "setsid" in [c.name for c in alone.calls]


def test_the_monitor_of_a_join_waits_for_the_process_inside(recorder: Recorder) -> None:
    names = [c.name for c in good_day(recorder, "join", "monitor").calls]
    assert names.count("wait4") == 2 and names.index("recvmsg") < names.index("wait4")
