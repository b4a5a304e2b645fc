"""Rules between options."""

from __future__ import annotations

import pytest
from rows import every_row

from nucleus.base.errors import SpecError
from nucleus.spec.container import ContainerSpec
from nucleus.spec.parse import from_mapping
from nucleus.spec.paths import forbidden_source, foreign_home, normalise, reserved_target
from nucleus.spec.rules import check


@every_row(
    ("options", "where", "says"),
    [
        ({"workspace_mode": "bind-ro"}, "workspace_mode", "without a workspace"),
        ({"workspace_exec": False}, "workspace_exec", "without a workspace"),
        ({"allow_workspace_config": True}, "allow_workspace_config", "without a workspace"),
        (
            {"workspace": "w:ro", "allow_workspace_config": True},
            "allow_workspace_config",
            "read-only workspace",
        ),
        ({"workspace": "w:ro", "workspace_mode": "copy-in-out"}, "workspace_mode", "--workspace says ro"),
        ({"workspace_mode": "bind-rw", "workspace": "w:ro"}, "workspace_mode", "--workspace says ro"),
        ({"workspace_mode": "bind-ro", "workspace": "w:rw"}, "workspace_mode", "--workspace says rw"),
        ({"context_mode": "bind"}, "context_mode", "without a context"),
        ({"verify_context_integrity": True}, "verify_context_integrity", "without a context"),
        (
            {"context": "c", "context_mode": "bind", "verify_context_integrity": True},
            "verify_context_integrity",
            "may change at any time",
        ),
        ({"rootfs_mode": "overlay"}, "rootfs_mode", "without --rootfs"),
        (
            {"workspace": "w", "workspace_mode": "copy-in-out", "tty": True, "console_socket": "s"},
            "console_socket",
            "nobody would apply the changes",
        ),
        ({"log_max_size": "1M"}, "log_max_size", "without --detach"),
        ({"log_max_files": 2}, "log_max_files", "without --detach"),
        ({"log_max_files": 2, "detach": True, "tty": True}, "log_max_files", "a terminal is kept"),
        (
            {"log_max_files": 2, "detach": True, "detach_with": "systemd"},
            "log_max_files",
            "the journal keeps",
        ),
        ({"log_max_size": "4095", "detach": True}, "log_max_size", "too small"),
        ({"network": "host"}, "network", "--allow-host-network"),
        ({"allow_host_network": True}, "allow_host_network", "without --network host"),
        ({"memory": "1G", "memory_high": "2G"}, "memory_high", "above --memory"),
        ({"memory_swap": "1G"}, "memory_swap", "without --memory"),
        ({"memlock": "1M", "ulimit": ["memlock=1"]}, "memlock", "same limit"),
        ({"uidmap": ["0:1:1"]}, "uidmap[0]", "--gidmap too"),
        ({"gidmap": ["0:1:1"]}, "gidmap[0]", "--uidmap too"),
        ({"uidmap": ["0:1:1"], "gidmap": ["0:1:1"], "userns": "auto"}, "userns", "beside"),
        ({"uidmap": ["0:1:9", "8:99:1"], "gidmap": ["0:1:1"]}, "uidmap[1]", "same id"),
        ({"gidmap": ["0:1:9", "9:9:1"], "uidmap": ["0:1:1"]}, "gidmap[1]", "same id"),
        ({"user": "1:2", "group": "3"}, "group", "another group"),
        ({"volume": ["/:/x"]}, "volume[0]", "whole host"),
        ({"volume": ["/srv:/y", "/x/../etc/ssl:/x", "/srv:/z"]}, "volume[1]", "/etc of the host"),
        ({"volume": ["/proc/1/root/tmp:/x"]}, "volume[0]", "/proc of the host"),
        ({"workspace": "/run/user/1000"}, "workspace", "/run of the host"),
        ({"context": "/var/log/apt"}, "context", "/var/log of the host"),
        ({"toolchain": ["/dev/shm"]}, "toolchain[0]", "/dev of the host"),
        ({"rootfs": "//"}, "rootfs", "whole host"),
        ({"volume": ["/a:/etc/ssl"]}, "volume[0]", "/etc belongs"),
        ({"volume": ["/a:/workspace"]}, "volume[0]", "has its own option"),
        ({"volume": ["/a:/context"]}, "volume[0]", "has its own option"),
        ({"volume": ["/a:/home"]}, "volume[0]", "would cover /home/agent"),
        ({"tmpfs": ["/run/secrets/x"]}, "tmpfs[0]", "/run/secrets belongs"),
        ({"tmpfs": ["/usr/lib"]}, "tmpfs[0]", "/usr belongs"),
        ({"tmpfs": ["/var/tmp"]}, "tmpfs[0]", "is a link inside: the place is /tmp"),
        ({"volume": ["/a:/var/run/app/data"]}, "volume[0]", "the place is /run/app/data"),
        ({"tmpfs": ["/a", "/a:1M"]}, "tmpfs[1]", "target of two"),
        ({"tmpfs": ["/run"], "secret": ["a=b"]}, "tmpfs[0]", "cover the secrets"),
        ({"secret": ["a=b", "x:/run/secrets/a/b"]}, "secret[1]", "below the secret"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    options: dict[str, object], where: str, says: str
) -> None:
    with pytest.raises(SpecError) as caught:
        from_mapping({"command": ["true"], **options})
    assert [
        (p.where.removeprefix("$."), says in p.message, bool(p.remedy)) for p in caught.value.problems
    ] == [(where, True, True)]


def test_a_spec_made_by_hand_is_judged_by_the_same_rules() -> None:
    (problem,) = check(ContainerSpec(command=("true",), network="host"))
    assert problem.where == "--network"


def test_without_a_command_there_is_nothing_to_run() -> None:
    assert [p.message for p in check(ContainerSpec())] == ["no command was given"]
    assert [p.message for p in check(ContainerSpec(command=("",)))] == ["the name of the program is empty"]


def test_an_option_that_is_wrong_itself_is_told_once() -> None:
    with pytest.raises(SpecError) as caught:
        from_mapping(
            {
                "command": ["true"],
                "workspace": "",
                "workspace_mode": "bind-ro",
                "memory": "x",
                "memory_swap": 0,
            }
        )
    assert [p.where for p in caught.value.problems] == ["$.workspace", "$.memory"]


@every_row(("path", "plain"), [("/", "/"), ("//a/./b/", "/a/b"), ("/a/../..", "/"), ("/a/b/../c", "/a/c")])
def test_a_path_is_normalised_without_looking_at_it(path: str, plain: str) -> None:
    assert normalise(path) == plain


@every_row("path", ["/srv", "/etcetera", "/home/ann/x", "/var/lib", "/bootstrap", "/tmp/etc"])
def test_a_prefix_of_a_name_is_not_a_parent(path: str) -> None:
    assert forbidden_source(path) == ""


@every_row(
    ("path", "own", "allowed"),
    [
        ("/home/ann/project", "/home/ann", True),
        ("/home/ann", "/home/ann", False),
        ("/home", "/home/ann", False),
        ("/home/bob/x", "/home/ann", False),
        ("/home/anna/x", "/home/ann", False),
        ("/root/x", "/home/ann", False),
        ("/root/x", "/root", True),
        ("/root/../home/bob", "/root", False),
        ("/srv/x", "/root", True),
        ("/home/x", "/", False),
        ("/home/x", "", False),
    ],
)
def test_only_what_lies_in_the_own_home_comes_from_a_home(path: str, own: str, allowed: bool) -> None:
    assert (foreign_home(path, own) == "") is allowed


@every_row("path", ["/data", "/workspace/data", "/home/agent/.cache", "/opt", "/run/app", "/tmp", "/var/lib"])
def test_other_places_inside_are_free(path: str) -> None:
    assert reserved_target(path) == ""
