"""A handle: found by id, name and prefix, for its creator alone; its pidfds are no recycled process."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from nucleus.base.errors import Conflict, NotFound, PermissionRefused
from nucleus.container.running import processes
from nucleus.container.running.handle import Handle, resolve
from nucleus.launch.report import EXIT, INIT, STARTED
from nucleus.state.record import ContainerRecord
from nucleus.state.store import Store, write_file

A, B = "ab" + "1" * 30, "ab" + "2" * 30
EXITED = EXIT.pack(b"NUCEXIT\0", 1, 0, 3, 0, 1, 2, *[0] * 7, bytes(32))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path))


@pytest.fixture
def sleeper() -> Iterator[int]:
    process = subprocess.Popen(["sleep", "60"])
    yield process.pid
    process.kill()
    process.wait()


def record(container_id: str, **changes: object) -> ContainerRecord:
    return ContainerRecord(
        id=container_id, name="", labels={}, command=("true",), created_ns=5, creator_uid=os.geteuid(),
        boot_id=processes.boot_id(), pid_namespace=os.stat("/proc/self/ns/pid").st_ino, remove=False,
        mode="agent", network="none", rootless=False, uid=1000, gid=1000, uid_map=(), gid_map=(),
        capabilities=(), limits={}, pids_by="cgroup", degraded=(), cgroups=(), spec_hash="", config_hash="",
        spec={},
    ).replace(**changes)  # fmt: skip


def made(store: Store, what: ContainerRecord, **files: bytes) -> int:
    """A container whose owner is this process, until the descriptor is closed."""
    fd = store.create(what.id).fd
    write_file(fd, "state.json", what.to_json())
    if what.name:
        store.take_name(what.name, what.id)
    for name, data in files.items():
        write_file(fd, name, data)
    return fd


def init_record(pid: int, ticks: int) -> bytes:
    return INIT.pack(b"NUCINIT\0", 1, pid, pid, 0, ticks, ticks)


def state_of(store: Store, reference: str) -> str:
    with resolve(store, reference) as handle:
        return handle.status


def test_id_name_and_unique_prefix_find_it_and_an_ambiguous_one_names_both(store: Store) -> None:
    made(store, record(A, name="web"))
    made(store, record(B))
    for reference in (A, "web", "ab1"):
        with resolve(store, reference) as handle:
            assert handle.id == A and handle.name == "web"
    with resolve(store, B[:5]) as handle:
        assert handle.name == B[:12]
    with pytest.raises(Conflict) as caught:
        resolve(store, "ab")
    assert A[:12] in caught.value.message and B[:12] in caught.value.message
    for nobody in ("ac", "", "we", "../names", "AB1"):
        with pytest.raises(NotFound):
            resolve(store, nobody)


def test_a_name_that_is_the_beginning_of_an_id_is_a_name(store: Store) -> None:
    made(store, record(A))
    made(store, record(B, name="ab1"))
    with resolve(store, "ab1") as handle:
        assert handle.id == B


def test_it_is_for_its_creator_and_for_root(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    made(store, record(A, creator_uid=4711))
    for uid, allowed in ((0, True), (4711, True), (4712, False)):
        monkeypatch.setattr(os, "geteuid", lambda uid=uid: uid)
        if allowed:
            resolve(store, A).close()
            continue
        with pytest.raises(PermissionRefused) as caught:
            resolve(store, A)
        assert "4711" in caught.value.message and caught.value.remedy


def test_the_state_follows_the_files_and_the_lock(store: Store) -> None:
    own = init_record(os.getpid(), processes.start_ticks(os.getpid()))
    fd = made(store, record(A, gated=True))
    assert state_of(store, A) == "creating"
    write_file(fd, "init", own)
    assert state_of(store, A) == "created"
    write_file(fd, "started", STARTED.pack(b"NUCSTRT\0", 1, 0, 7))
    assert state_of(store, A) == "running"
    os.close(fd)
    assert state_of(store, A) == "dead"
    again = store.open(A)
    write_file(again, "exit", EXITED)
    assert state_of(store, A) == "stopped"
    os.close(again)


def test_whoever_buries_a_container_is_not_taken_for_its_owner(store: Store) -> None:
    made(store, record(A), init=init_record(2**22 - 1, 1))
    assert state_of(store, A) == "dead"


def test_looking_takes_no_lock(store: Store) -> None:
    os.close(made(store, record(A)))
    with resolve(store, A) as one, resolve(store, A) as two:
        assert (one.status, two.status, one.status) == ("dead", "dead", "dead")


@pytest.mark.parametrize("change", [{"boot_id": "another"}, {"pid_namespace": 1}])
def test_numbers_of_another_world_open_nothing(store: Store, change: dict[str, object]) -> None:
    made(store, record(A, **change), init=init_record(os.getpid(), processes.start_ticks(os.getpid())))
    with resolve(store, A) as handle:
        assert handle.status == "unknown"
        for opening in (handle.open_init, handle.open_monitor, handle.open_workload):
            with pytest.raises(Conflict):
                opening()


def test_a_pidfd_is_of_the_process_that_was_recorded(store: Store, sleeper: int) -> None:
    ticks = processes.start_ticks(sleeper)
    fd = made(store, record(A), init=init_record(sleeper, ticks))
    with resolve(store, A) as handle:
        os.close(handle.open_init())
        os.close(handle.open_monitor())
    write_file(fd, "init", init_record(sleeper, ticks + 1))  # the same number, another process
    with resolve(store, A) as handle:
        for opening in (handle.open_init, handle.open_monitor, handle.open_workload):
            with pytest.raises(Conflict):
                opening()


def test_a_process_that_ended_and_was_not_reaped_is_not_alive() -> None:
    process = subprocess.Popen(["sleep", "60"])
    ticks = processes.start_ticks(process.pid)
    assert processes.is_alive(process.pid, ticks) and not processes.is_alive(process.pid, ticks + 1)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert not processes.is_alive(process.pid, ticks)
    process.wait()
    assert not processes.is_alive(process.pid, ticks)
    assert processes.open_process(0, 0) == -1


def test_a_removed_container_is_not_found_any_more(store: Store) -> None:
    fd = made(store, record(A))
    with Handle(store, A) as handle:
        os.unlink("state.json", dir_fd=fd)
        os.rmdir(A, dir_fd=store.containers_fd)
        with pytest.raises(NotFound):
            handle.refresh()
    with pytest.raises(NotFound):
        resolve(store, A)
