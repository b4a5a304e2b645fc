"""Why something was refused: the rule, and the flag that would allow it."""

from __future__ import annotations

from rows import every_row

from nucleus.policy import landlock
from nucleus.policy.landlock_audit import of_audit
from nucleus.policy.landlock_policy import LandlockPolicy, PathRule
from nucleus.policy.refusals import of_calls, of_files, of_landlock, writable, written
from nucleus.policy.seccomp_record import Call, Record, Use
from nucleus.spec.parse import from_mapping


def spec_of(**options: object):  # type: ignore[no-untyped-def]
    return from_mapping({"command": ["true"], **options})


@every_row(
    ("path", "options", "allowed", "remedy"),
    [
        ("/usr/lib/x", {}, False, "--tmpfs /usr/lib"),
        ("/tmp/x", {}, True, ""),
        ("/tmpfile", {}, False, "--tmpfs /tmpfile"),
        ("/workspace/x", {}, False, "--workspace DIR"),
        ("/workspace/x", {"workspace": "/srv"}, True, "--workspace-mode bind-rw"),
        ("/workspace/x", {"workspace": "/srv", "workspace_mode": "bind-ro"}, False, "--workspace-mode bind-rw"),
        ("/data/a/x", {"volume": ["/srv:/data:ro", "/opt:/data/a"]}, True, "--volume /opt:/data/a"),
        ("/data/x", {"volume": ["/srv:/data:ro", "/opt:/data/a"]}, False, "--volume /srv:/data"),
        ("/scratch/x", {"tmpfs": ["/scratch"]}, True, "--tmpfs /scratch"),
        ("/proc/self/oom_score_adj", {}, False, "--proc-rw, for files that belong to the workload's user"),
    ],
)  # fmt: skip
def test_where_a_workload_may_write_is_what_its_options_say(
    path: str, options: dict[str, object], allowed: bool, remedy: str
) -> None:
    assert writable(path, spec_of(**options)) == (allowed, remedy)


@every_row(
    ("use", "paths"),
    [
        (Use(name="openat", path="/a", flags=0o2000000), ()),
        (Use(name="openat", path="/a", flags=0o102), ("/a",)),
        (Use(name="rename", path="/a", second="/b"), ("/a", "/b")),
        (Use(name="linkat", path="/a", second="/b"), ("/b",)),
        (Use(name="newfstatat", path="/a"), ()),
        (Use(name="unlink", path="/a"), ("/a",)),
    ],
)
def test_what_a_call_writes(use: Use, paths: tuple[str, ...]) -> None:
    assert written(use) == paths


def test_a_flag_is_named_only_where_it_would_help() -> None:
    def remedy(name: str, profile: str = "builtin:default") -> str:
        call = Call(arch="x86_64", name=name, number=1, answer="errno", errno=1)
        (denial,) = of_calls(Record(calls=((call, 2),)), spec_of(seccomp_profile=profile))
        assert denial.count == 2 and denial.layer == "seccomp"
        return denial.remedy

    assert remedy("io_uring_setup") == "--seccomp-allow io_uring_setup"
    assert remedy("unshare").startswith("none")
    assert remedy("mount").startswith("none")
    assert remedy("flock", "builtin:strict") in ("--seccomp-profile builtin:default", "--seccomp-allow flock")


def test_a_port_is_refused_where_there_is_no_network() -> None:
    uses = (
        Use(name="connect", family=2, port=443),
        Use(name="connect", family=2, port=80, local=True),
        Use(name="bind", family=2, port=8080),
    )
    (denial,) = of_files(Record(calls=(), uses=uses), spec_of())
    assert "443" in denial.what
    assert of_files(Record(calls=(), uses=uses), spec_of(network="host", allow_host_network=True)) == ()


def test_a_policy_of_ones_own_is_held_against_what_was_opened_and_executed() -> None:
    policy = LandlockPolicy(
        min_abi=3,
        rules=(
            PathRule(path="/usr", access=landlock.READ | landlock.EXECUTE),
            PathRule(path="/tmp", access=landlock.WRITE_FILE),
        ),
    )
    uses = (
        Use(name="openat", path="/usr/lib/x"),
        Use(name="execve", path="/usr/bin/x"),
        Use(name="openat", path="/tmp/x", flags=0o101),
        Use(name="openat", path="/tmp/x", flags=0o2),
        Use(name="openat", path="/usrlocal", flags=0),
        Use(name="openat", path="/etc", flags=0o200000),
        Use(name="openat", path="/etc/x", flags=0o10000000),
        Use(name="execve", path="/tmp/x"),
    )
    found = [(d.what, d.rule) for d in of_landlock(Record(calls=(), uses=uses), policy, "l.toml")]
    assert found == [
        ("read /tmp/x", "no rule of l.toml gives read_file there"),
        ("read /usrlocal", "no rule of l.toml gives read_file there"),
        ("read /etc", "no rule of l.toml gives read_dir there"),
        ("execute /tmp/x", "no rule of l.toml gives execute there"),
    ]


# As the kernel's documentation shows them, of two domains.
AUDIT = """
type=LANDLOCK_ACCESS msg=audit(1729738800.268:30): domain=195ba459b blockers=fs.refer path="/usr/bin" ino=351
type=LANDLOCK_DOMAIN msg=audit(1729738800.268:30): domain=195ba459b status=allocated mode=enforcing pid=286 uid=525288
type=SYSCALL msg=audit(1729738800.268:30): arch=c000003e syscall=316 success=no exit=-13 uid=0
type=UNKNOWN[1423] msg=audit(1729738801.000:31): domain=195ba459b blockers=fs.read_file path=2F746D702F612062 ino=3
type=UNKNOWN[1423] msg=audit(1729738801.000:32): domain=195ba459b blockers=fs.read_file path=2F746D702F612062 ino=3
type=LANDLOCK_ACCESS msg=audit(1729738802.000:33): domain=195ba459b blockers=net.connect_tcp daddr=127.0.0.1 dest=80
type=LANDLOCK_ACCESS msg=audit(1729738802.000:34): domain=2 blockers=fs.refer path="/another" ino=351
type=LANDLOCK_DOMAIN msg=audit(1729738802.000:34): domain=2 status=allocated mode=enforcing pid=288 uid=1000
"""


def test_what_landlock_refused_is_in_the_audit_log_by_the_containers_domain() -> None:
    own = range(524288, 589824)
    found = of_audit(AUDIT, lambda uid: uid in own, 1729738800.0, 1729738900.0)
    assert [(d.what, d.count, d.certain) for d in found] == [
        ("fs.refer of /usr/bin", 1, True), ("fs.read_file of /tmp/a b", 2, True), ("net.connect_tcp of port 80", 1, True),
    ]  # fmt: skip
    assert of_audit(AUDIT, lambda uid: uid in own, 1729738801.0, 1729738900.0) == ()
    assert of_audit("type=LANDLOCK_DOMAIN\nlandlock uid=x domain\n\0", lambda uid: True, 0, 1) == ()
