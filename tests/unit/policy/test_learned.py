"""The least that a recorded run needs, as documents."""

from __future__ import annotations

import tomllib

from nucleus.policy import capability_policy
from nucleus.policy.landlock_policy import parse
from nucleus.policy.learned import Peaks, landlock_text, learned, toml
from nucleus.policy.learned_capabilities import capability_text
from nucleus.policy.seccomp_record import Call, Record, Use
from nucleus.spec.parse import from_mapping

FILES = {"seccomp_profile": ("/p/profile.json", "0" * 64), "landlock_policy": ("/p/landlock.toml", "1" * 64)}
FORKS = Call(arch="x86_64", name="clone", number=56)


def spec_of(**options: object):  # type: ignore[no-untyped-def]
    return from_mapping({"command": ["make"], **options})


def record_of(*uses: Use, forks: int = 0, runs: int = 1) -> Record:
    return Record(calls=((FORKS, forks),) if forks else (), uses=uses, runs=runs)


READ = Use(name="openat", path="/workspace/in")
WRITE = Use(name="openat", path="/workspace/out", flags=0o101)


def test_rules_are_of_mounts_and_of_what_was_done_below_them() -> None:
    uses = (
        READ, Use(name="openat", path="/etc/ld.so.cache"), Use(name="openat", path="/lib/x/libc.so.6"),
        Use(name="mkdir", path="/tmp/a"), Use(name="openat", path="/usr/x", flags=0o101),
        Use(name="openat", path="/one.csv"), Use(name="openat", path="/dev/null", flags=0o2),
    )  # fmt: skip
    text = landlock_text(spec_of(workspace="/srv", volume=["/srv/one.csv:/one.csv:ro"]), record_of(*uses))
    rules = {rule["path"]: set(rule["access"]) for rule in tomllib.loads(text)["rules"]}
    assert rules["/usr"] == {"read", "execute"}
    assert rules["/workspace"] == rules["/etc"] == {"read"}
    assert rules["/one.csv"] == {"read_file"}
    assert {"create", "remove", "write"} < rules["/tmp"]
    assert "/lib" not in rules and "/home/agent" not in rules and "/dev" not in rules
    assert parse(text.encode(), "landlock.toml").net


def test_a_port_of_the_kernels_choice_makes_no_list() -> None:
    few = (Use(name="bind", family=2, port=8080, local=True), Use(name="connect", family=2, port=443))
    assert tomllib.loads(landlock_text(spec_of(), record_of(*few)))["net"] == {
        "bind_tcp": [8080], "connect_tcp": [443],
    }  # fmt: skip
    chosen = (Use(name="bind", family=2, port=0, local=True),)
    assert "net" not in tomllib.loads(landlock_text(spec_of(), record_of(*chosen)))


def test_limits_are_what_was_used_and_some_more() -> None:
    found = dict(
        learned(spec_of(), record_of(forks=40, runs=2), Peaks(memory_bytes=100 << 20), FILES).document
    )
    assert (found["memory"], found["pids"]) == ("160M", 48)
    assert found["seccomp_profile_sha256"] == "0" * 64 and found["service_mode"] == "strict-agent"
    without = learned(spec_of(pids=20), record_of(forks=40), Peaks(), FILES)
    assert dict(without.document)["pids"] == 20 and "memory" not in dict(without.document)
    assert "--memory" in without.notes[0]


def test_what_a_strict_mode_refuses_is_given_back_and_a_network_that_was_needed_is_told() -> None:
    options = {"network": "host", "allow_host_network": True, "proc_rw": True, "workspace": "/srv"}
    alone = learned(spec_of(**options), record_of(READ), Peaks(), FILES)
    found = dict(alone.document)
    assert not {"network", "allow_host_network", "proc_rw"} & found.keys()
    assert found["workspace_mode"] == "bind-ro"
    reached = (Use(name="connect", family=2, port=443), WRITE)
    outside = learned(spec_of(**options), record_of(*reached), Peaks(), FILES)
    assert dict(outside.document)["network"] == "host" and dict(outside.document)["service_mode"] == "agent"
    assert "443" in outside.notes[0] and "workspace_mode" not in dict(outside.document)


def test_what_is_executed_where_it_can_be_written_is_told() -> None:
    library = Use(name="openat", path="/workspace/env/lib/fast.so")
    found = learned(spec_of(workspace="/srv"), record_of(library, WRITE), Peaks(), FILES)
    assert dict(found.document)["workspace_exec"] is True and "fast.so" in found.notes[-1]


def test_a_document_is_toml_with_its_tables_last() -> None:
    text = toml({"env": {"A": 'x "y"'}, "command": ["a", "b c"], "pids": 3, "rm": True})
    assert tomllib.loads(text) == {"env": {"A": 'x "y"'}, "command": ["a", "b c"], "pids": 3, "rm": True}


def test_capabilities_that_no_call_can_have_used_are_taken_away() -> None:
    given = b"""
[ambient]
keep = ["NET_BIND_SERVICE", "CHOWN", "SYS_NICE"]
[bounding]
keep = ["DAC_OVERRIDE", "SYS_TIME"]
"""
    sets = capability_policy.parse(given, "caps.toml")
    calls = {
        "fchownat": "allow", "sched_setattr": "errno", "bind": "allow",
    }  # fmt: skip
    made = tuple([(Call(arch="x86_64", name=n, number=0, answer=a), 1) for n, a in calls.items()])
    record = Record(calls=made, uses=(Use(name="bind", family=2, port=8080),), runs=1)
    text, notes = capability_text(sets, record)
    assert tomllib.loads(text) == {
        "bounding": {"keep": ["CHOWN", "DAC_OVERRIDE"]}, "ambient": {"keep": ["CHOWN"]}, "inheritable": {"keep": ["CHOWN"]},
        "effective": {"keep": ["CHOWN"]},
    }  # fmt: skip
    assert capability_policy.parse(text.encode(), "new").permitted == 1
    assert "NET_BIND_SERVICE, SYS_NICE, SYS_TIME" in notes[0] and "DAC_OVERRIDE cannot be told" in notes[1]
    low = record.replace(uses=(Use(name="bind", family=2, port=80),))
    assert '"NET_BIND_SERVICE"' in capability_text(sets, low)[0]
    ambient = capability_policy.parse(b'[ambient]\nkeep = ["SYS_TIME"]\n', "caps.toml")
    assert capability_text(ambient, record)[0] == ""
    document = dict(learned(spec_of(caps_policy="/p/caps.toml"), record, Peaks(), FILES).document)
    assert "caps_policy" not in document
