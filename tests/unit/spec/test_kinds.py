"""Text of an option → value, kind by kind, through the keyword form."""

from __future__ import annotations

import pytest
from rows import every_row

from nucleus.base.errors import SpecError
from nucleus.spec.container import ContainerSpec
from nucleus.spec.filesystem import Secret, Tmpfs, Volume
from nucleus.spec.parse import from_mapping
from nucleus.spec.process import INFINITY, IdMap, Rlimit
from nucleus.spec.resources import IoLimit


def spec(**options: object) -> ContainerSpec:
    return from_mapping({"command": ["true"], **options}, environ={"HOME": "/home/ann"})


@every_row(
    ("options", "field", "value"),
    [
        ({"memory": "512M"}, "memory_bytes", 512 << 20),
        ({"memory": 4096}, "memory_bytes", 4096),
        ({"memory": "1G", "memory_swap": "0"}, "swap_bytes", 0),
        ({"cpus": 1.5}, "cpu_quota_us", 150_000),
        ({"cpus": 2}, "cpu_quota_us", 200_000),
        ({"pids": 0}, "pids", 0),
        ({"timeout": 0.25}, "timeout_ms", 250),
        ({"timeout": "1h"}, "timeout_ms", 3_600_000),
        ({"stop_signal": "sigint"}, "stop_signal", 2),
        ({"stop_signal": 34}, "stop_signal", 34),
        ({"stop_signal": "RTMIN+3"}, "stop_signal", 37),
        ({"stop_signal": "CLD"}, "stop_signal", 17),
        ({"user": 0}, "user", "0"),
        ({"user": "007"}, "user", "7"),
        ({"user": "ann"}, "user", "ann"),
        ({"user": "1:2"}, "group", "2"),
        ({"additional_group": [44, "video", "44"]}, "additional_groups", ("44", "video")),
        ({"env": {"A": "1=2"}}, "env", (("A", "1=2"),)),
        ({"env": ["A=1", "B=", "A=2"]}, "env", (("A", "2"), ("B", ""))),
        ({"env": ["HOME"]}, "env", (("HOME", "/home/ann"),)),
        ({"label": {"a.b/c": ""}}, "labels", (("a.b/c", ""),)),
        ({"volume": ["a:b:/c:ro"]}, "volumes", (Volume(source="a:b", target="/c", read_only=True),)),
        ({"volume": ["ro:/x//y/./z"]}, "volumes", (Volume(source="ro", target="/x/y/z"),)),
        ({"tmpfs": ["/a"]}, "tmpfs", (Tmpfs(target="/a", size_bytes=64 << 20),)),
        ({"tmpfs": ["/a:1k:ro"]}, "tmpfs", (Tmpfs(target="/a", size_bytes=1024, read_only=True),)),
        ({"tmpfs": ["/a:ro"]}, "tmpfs", (Tmpfs(target="/a", read_only=True),)),
        ({"secret": ["t=./f"]}, "secrets", (Secret(source="./f", target="/run/secrets/t"),)),
        ({"secret": ["./f:a/b"]}, "secrets", (Secret(source="./f", target="/run/secrets/a/b"),)),
        ({"secret": ["/f=g:/run/secrets/x"]}, "secrets", (Secret(source="/f=g", target="/run/secrets/x"),)),
        ({"ulimit": ["nofile=16:32"]}, "ulimits", (Rlimit(name="nofile", soft=16, hard=32),)),
        ({"ulimit": ["CORE=unlimited"]}, "ulimits", (Rlimit(name="core", soft=INFINITY, hard=INFINITY),)),
        ({"ulimit": ["cpu=1", "cpu=2"]}, "ulimits", (Rlimit(name="cpu", soft=2, hard=2),)),
        (
            {"io_limit": ["8:0 rbps=1M wiops=5"]}, "io_limits",
            (IoLimit(major=8, minor=0, rbps=1 << 20, wiops=5),),
        ),
        (
            {"uidmap": ["0:5:1"], "gidmap": ["0:5:1"]}, "uidmap", (IdMap(container=0, host=5, count=1),),
        ),
        ({"seccomp_profile": "builtin:strict"}, "seccomp_profile", "strict"),
        ({"allow_degraded_security": True}, "degraded", ("seccomp", "landlock", "cgroup", "userns-limit", "devices")),
        ({"allow_degraded_security": ["landlock", "seccomp"]}, "degraded", ("seccomp", "landlock")),
        ({"allow_degraded_security": False}, "degraded", ()),
        ({"workspace": "/a/b:ro"}, "workspace_mode", "bind-ro"),
        ({"workspace": "/a/b:ro"}, "workspace", "/a/b"),
        ({"workdir": "/"}, "workdir", "/"),
        ({"rm": True}, "rm", True),
    ],
)  # fmt: skip
def test_a_value_is_parsed_once_into_its_unit(options: dict[str, object], field: str, value: object) -> None:
    assert getattr(spec(**options), field) == value


@every_row(
    ("options", "says"),
    [
        ({"memory": 0}, "leaves nothing"),
        ({"memory": "1G "}, ""),
        ({"cpu_weight": 0}, "no weight"),
        ({"pids": 4_194_305}, "more than the kernel"),
        ({"pids": -1}, "not a whole number"),
        ({"stop_signal": "TREM"}, "not a signal"),
        ({"stop_signal": 0}, "not a signal"),
        ({"stop_signal": 33}, "not a signal"),
        ({"user": "4294967295"}, "beyond the ids"),
        ({"user": "a b"}, "neither an id nor a name"),
        ({"user": ""}, "neither an id nor a name"),
        ({"user": "1:"}, "neither an id nor a name"),
        ({"name": "../x"}, "not a name"),
        ({"name": "0" * 32}, "looks like"),
        ({"hostname": "a_b"}, "not a host name"),
        ({"label": ["novalue"]}, "not KEY=VALUE"),
        ({"env": ["1A=x"]}, "name of the variable"),
        ({"env": {"LD_PRELOAD": "x"}}, "dynamic linker"),
        ({"env": ["ABSENT"]}, "not set in the caller"),
        ({"env": {"A": "\0"}}, "NUL"),
        ({"workdir": "relative"}, "not absolute"),
        ({"workdir": "/a/../b"}, "'..'"),
        ({"volume": ["/a"]}, "not SRC:DEST"),
        ({"volume": ["/a:b"]}, "not absolute"),
        ({"volume": ["/a:/"]}, "root itself"),
        ({"volume": [":/a"]}, "not SRC:DEST"),
        ({"volume": ["/a:/" + "x" * 256]}, "too long"),
        ({"tmpfs": ["/a:0"]}, "without limit"),
        ({"tmpfs": ["/a:1M,mode=777"]}, "not a size"),
        ({"secret": ["/a"]}, "neither"),
        ({"secret": ["/a:/etc/x"]}, "outside /run/secrets"),
        ({"secret": ["/a:/run/secrets"]}, "outside /run/secrets"),
        ({"secret": ["x="]}, "empty"),
        ({"ulimit": ["nofiles=1"]}, "not a resource limit"),
        ({"ulimit": ["nofile=2:1"]}, "above the hard"),
        ({"ulimit": ["nofile"]}, "not NAME=SOFT"),
        ({"io_limit": ["8:0"]}, "not MAJ:MIN"),
        ({"io_limit": ["8 rbps=1"]}, "not MAJ:MIN"),
        ({"io_limit": ["8:0 rbps=1 rbps=2"]}, "twice"),
        ({"io_limit": ["8:0 speed=1"]}, "not a limit of a device"),
        ({"io_limit": ["8:0 rbps=0"]}, "stop the device"),
        ({"io_limit": ["99999:0 rbps=1"]}, "no device"),
        ({"uidmap": ["0:1"], "gidmap": ["0:1:1"]}, "not INSIDE:HOST:COUNT"),
        ({"uidmap": ["0:1:0"], "gidmap": ["0:1:1"]}, "maps 0 ids"),
        ({"uidmap": ["0:4294967294:2"], "gidmap": ["0:1:1"]}, "beyond the ids"),
        ({"seccomp_profile": "profile"}, "is not a profile"),
        ({"seccomp_profile": "./p.json", "seccomp_profile_sha256": "ABC"}, "is not a SHA-256"),
        ({"seccomp_profile": "builtin:defualt"}, "not a profile"),
        ({"seccomp_allow": ["Mount"]}, "not a system call"),
        ({"allow_degraded_security": ["landlok"]}, "not a layer"),
        ({"service_mode": "lenient"}, "none of its values"),
        ({"workspace": "/w", "workspace_mode": "copy"}, "none of its values"),
        ({"network": "bridge"}, "not in this release"),
        ({"network": "hots"}, "none of its values"),
        ({"rootfs": ""}, "empty"),
        ({"log_format": "xml"}, "none of its values"),
    ],
)  # fmt: skip
def test_what_has_no_meaning_is_refused_with_place_and_remedy(options: dict[str, object], says: str) -> None:
    if not says:
        spec(**options)
        return
    with pytest.raises(SpecError) as caught:
        spec(**options)
    (problem,) = caught.value.problems
    assert says in problem.message
    assert problem.where.startswith("$.") and problem.remedy


def test_the_value_of_a_variable_is_never_repeated_in_an_error() -> None:
    with pytest.raises(SpecError) as caught:
        spec(env=["bad name=hunter2", "LD_AUDIT=hunter2", "A=hunter2\0", "B=hunter2\ud800"])
    assert len(caught.value.problems) == 4
    assert "hunter2" not in str(caught.value)


def test_a_near_word_is_offered() -> None:
    with pytest.raises(SpecError) as caught:
        spec(seccomp_profile="builtin:defualt", network="hots", ulimit=["nofiles=1"], memroy="1G")
    assert [p.remedy.partition("did you mean ")[2] for p in caught.value.problems] == [
        "memory?", "builtin:default?", "host?", "nofile?",
    ]  # fmt: skip
