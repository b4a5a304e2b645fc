"""System calls that no workload gets, whatever its user inside; and the sockets it does get."""

from __future__ import annotations

import pytest
from sandboxes import Boxes

REFUSED = (
    "mount", "bind_mount", "remount", "umount", "open_tree", "move_mount", "fsopen", "mount_setattr",
    "pivot_root", "chroot", "ptrace_init", "ptrace_me", "process_vm_readv", "bpf", "perf_event_open",
    "keyctl", "add_key", "request_key", "unshare_user", "unshare_net", "unshare_mount", "clone_user",
    "setns", "io_uring", "userfaultfd", "memfd_secret", "pidfd_getfd", "kcmp", "open_by_handle",
    "fanotify", "init_module", "kexec_load", "reboot", "swapon", "acct", "sethostname", "syslog",
    "settimeofday", "quotactl", "setgroups", "raise_ambient", "read_implies_exec",
    "tiocsti", "tiocsti_high", "tioclinux",
)  # fmt: skip
NO_FAMILY, NO_PROTOCOL = "EAFNOSUPPORT", "EPROTONOSUPPORT"
SOCKETS = {
    "unix": "OK", "inet": "OK", "inet6": "OK", "inet-udp": "OK", "route": "OK", "inet-raw": NO_PROTOCOL,
    "mptcp": NO_PROTOCOL, "sctp": NO_PROTOCOL, "packet": NO_FAMILY, "sock-packet": NO_FAMILY,
    "vsock": NO_FAMILY, "alg": NO_FAMILY, "audit": NO_FAMILY, "netfilter": NO_FAMILY, "can": NO_FAMILY,
    "bluetooth": NO_FAMILY, "key": NO_FAMILY, "xdp": NO_FAMILY, "rds": NO_FAMILY, "tipc": NO_FAMILY,
}  # fmt: skip


def tried(boxes: Boxes, *names: str, flags: tuple[str, ...] = ()) -> dict[str, str]:
    lines = boxes.probe(f"try {' '.join(names)}", flags=flags)[0]
    return dict(line.split(" ", 1) for line in lines)


def test_calls_that_reach_beyond_the_sandbox_are_refused(boxes: Boxes) -> None:
    assert tried(boxes, *REFUSED) == dict.fromkeys(REFUSED, "EPERM")


@pytest.mark.identity("root", "user", "vm-root", "vm-user")
def test_they_are_refused_to_uid_0_as_well(boxes: Boxes) -> None:
    assert tried(boxes, *REFUSED, flags=("--user", "0")) == dict.fromkeys(REFUSED, "EPERM")


def test_no_signal_of_the_workload_reaches_init(boxes: Boxes) -> None:
    """Refused, or taken and dropped: a namespace's own processes cannot signal its init."""
    signals = "; ".join(f"kill -{s} 1 2>/dev/null" for s in ("TERM", "KILL", "STOP", "SEGV"))
    result = boxes.run("--", "sh", "-c", f"{signals}; sleep 0.1; echo still here")
    assert (result.exit_code, result.out) == (0, "still here\n")


def test_calls_whose_flags_no_filter_can_see_do_not_exist(boxes: Boxes) -> None:
    assert tried(boxes, "clone3_user") == {"clone3_user": "ENOSYS"}


def test_nobody_becomes_root_inside(boxes: Boxes) -> None:
    answers = tried(boxes, "setuid_root", "seteuid_root")
    assert set(answers.values()) <= {"EPERM", "EINVAL"}  # EINVAL: no id 0 is mapped


def test_a_terminal_works_although_typing_into_it_is_refused(boxes: Boxes) -> None:
    assert tried(boxes, "terminal", "tiocsti") == {"terminal": "OK", "tiocsti": "EPERM"}


def test_the_profile_strict_refuses_them_too(boxes: Boxes) -> None:
    answers = tried(boxes, *REFUSED, "clone3_user", flags=("--seccomp-profile", "builtin:strict"))
    assert {
        n: a for n, a in answers.items() if a not in ("EPERM", "ENOSYS", "EACCES") and "signal" not in a
    } == {}


def test_without_seccomp_a_user_namespace_is_still_out_of_reach(boxes: Boxes) -> None:
    """The second layer: no user namespaces are left inside, whatever the filter says."""
    answers = tried(boxes, "unshare_user", "clone_user", flags=("--allow-degraded-security=seccomp",))
    assert answers == {"unshare_user": "ENOSPC", "clone_user": "ENOSPC"}


def test_without_seccomp_no_capability_means_no_mount(boxes: Boxes) -> None:
    names = ("mount", "bind_mount", "umount", "pivot_root", "chroot", "setns", "sethostname")
    answers = tried(boxes, *names, flags=("--allow-degraded-security=seccomp",))
    assert "OK" not in answers.values(), answers


def test_only_the_sockets_of_a_network_can_be_had(boxes: Boxes) -> None:
    assert dict(line.split() for line in boxes.probe("families")[0]) == SOCKETS


def test_a_call_can_be_allowed_by_name(boxes: Boxes) -> None:
    assert tried(boxes, "kcmp", flags=("--seccomp-allow", "kcmp"))["kcmp"] != "ENOSYS"


def test_set_user_id_bits_cannot_be_made_in_any_way(boxes: Boxes) -> None:
    workspace = boxes.directory("work")
    (lines,) = boxes.probe("set-id /workspace", flags=("--workspace", str(workspace)))
    assert len(lines) == 11
    assert [line for line in lines if line.endswith("SET") or " OK " in line] == []
    assert [p for p in workspace.iterdir() if p.stat().st_mode & 0o6000] == []
