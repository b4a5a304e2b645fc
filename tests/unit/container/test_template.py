"""A start from a template against the long way: the same plan, the same record.  ✗ starts no sandbox."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rows import every_row

from nucleus.container.prepare import prepare
from nucleus.container.prepared import Prepared
from nucleus.container.reuse.warm import Warm
from nucleus.host.current import CurrentFacts
from nucleus.plan import schema
from nucleus.plan.encode import decode
from nucleus.plan.steps import Step
from nucleus.spec.parse import from_mapping
from nucleus.state.record import ContainerRecord
from nucleus.state.store import read_file

KINDS: list[dict[str, Any]] = [
    {},
    {"network": "host", "allow_host_network": True},
    {"hostname": "box", "env": {"A": "b", "PATH": "/opt/bin:/usr/bin"}},
    {"memory": "64M", "timeout": 5, "user": "0", "workdir": "/tmp"},
    {"events_jsonl": "/dev/null"},
    {"seccomp_profile": "builtin:strict", "label": {"a": "b"}, "tmpfs": ["/scratch"]},
]


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("NUCLEUS_STATE_DIR", str(tmp_path / "state"))
    yield
    kept = tmp_path / "state" / "containers"
    assert not kept.exists() or list(kept.iterdir()) == []


def launched(prepared: Prepared) -> tuple[list[Step], ContainerRecord]:
    """Plan and record, without what no two launches share; the launch itself is given up."""
    record = prepared.record
    assert record is not None and prepared.state is not None
    assert read_file(prepared.state.fd, "state.json") == record.to_json()
    name, encoded = prepared.id, prepared.encoded
    prepared.discard()
    cgroups = tuple(path.replace(name, "ID") for path in record.cgroups)
    plan = decode(encoded.replace(name[:12].encode(), b"host-name-00"))
    # Which block of host ids is free, others decide too.
    steps = [step for step in plan.steps if step.name != "write-id-map"]
    return steps, record.replace(id="", created_ns=0, cgroups=cgroups, uid_map=(), gid_map=())


def learned(options: dict[str, Any]) -> Warm:
    warm = Warm()
    wanted = from_mapping({"command": ["/bin/first", "one"], **options}).replace(rm=True)
    prepared = prepare(wanted, owner=1, warm=warm)
    warm.learn(options, wanted, prepared)
    prepared.discard()
    return warm


@every_row("options", KINDS, ids=lambda o: ",".join(o) or "plain")
@every_row("command", [["true"], ["/bin/sh", "-c", "echo 'ü\udce4' \x01"], ["./here"]])
def test_a_template_launches_what_the_long_way_launches(options: dict[str, Any], command: list[str]) -> None:
    short = learned(options).start(command, options)
    assert short is not None
    by_template = launched(short)
    wanted = from_mapping({"command": command, **options}).replace(rm=True)
    assert by_template == launched(prepare(wanted, owner=1))


def test_with_a_prepared_root_a_start_takes_its_descriptor_along(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    asked: list[bytes] = []

    def root(plan: bytes) -> tuple[int, ...]:
        asked.append(plan)
        loads = "load-devices" in [s.name for s in decode(plan)]
        return (os.dup(writing), os.dup(reading)) if loads else (os.dup(writing),)

    warm = learned({})
    monkeypatch.setattr(type(warm.roots), "get", lambda _, plan, sources, view: root(plan))
    for _ in range(2):
        started = warm.start(["true"], {})
        assert started is not None
        if os.geteuid():  # an ordinary user's containers make a root each
            started.discard()
            continue
        plan = decode(started.encoded)
        assert started.plan is not None and plan.kind == schema.KIND_START
        given = dict(zip(started.plan.slots, started.slots, strict=True))
        assert os.fstat(given["root"]) == os.fstat(writing)
        assert "devices" not in given or os.fstat(given["devices"]) == os.fstat(reading)
        covers = [s["content"] for s in plan.steps_of("cover-file")]
        assert len(covers) == 2 and all([started.id[:12].encode() in bytes(c) for c in covers])  # type: ignore[arg-type]
        started.discard()
    assert len({*asked}) <= 2  # blocks of ids that others hold meanwhile
    os.close(reading)
    os.close(writing)


def test_other_options_are_another_kind() -> None:
    assert learned({}).start(["true"], {"env": {"A": "b"}}) is None


def test_a_command_that_is_refused_goes_the_long_way() -> None:
    warm = learned({})
    commands: list[list[Any]] = [[], [""], ["a\0b"], ["true", 1]]
    assert [command for command in commands if warm.start(command, {}) is not None] == []


def test_what_names_files_of_the_host_is_looked_up_each_time(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for options in ({"workspace": str(folder)}, {"volume": [f"{folder}:/data:ro"]}):
        assert learned(options).start(["true"], options) is None


def test_facts_that_changed_end_a_template(monkeypatch: pytest.MonkeyPatch) -> None:
    warm = learned({})
    warm.facts.forget()
    assert warm.start(["true"], {}) is None


def test_options_are_compared_by_content_not_by_object() -> None:
    options: dict[str, Any] = {"env": {"A": "b"}}
    warm = learned(options)
    options["env"]["A"] = "c"
    assert warm.start(["true"], options) is None


def test_facts_are_asked_from_many_threads_and_after_a_fork() -> None:
    from concurrent.futures import ThreadPoolExecutor

    facts = CurrentFacts()
    with ThreadPoolExecutor(8) as pool:
        assert len({id(found) for found in pool.map(lambda _: facts.get(), range(200))}) == 1
    with facts._lock:  # what a thread of the parent may hold at the moment of the fork
        pid = os.fork()
        if pid == 0:
            facts.get()
            os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
