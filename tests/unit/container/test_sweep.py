"""What a dead owner left behind is cleaned up, what lives is left alone, and garbage never stops a sweep."""

from __future__ import annotations

import os
import subprocess
import time
from errno import EBUSY
from pathlib import Path

import pytest

from nucleus.base.errors import Conflict, NotFound
from nucleus.container.running import inventory
from nucleus.container.running import sweep as sweeping
from nucleus.container.running.sweep import remove_cgroup, sweep
from nucleus.launch.report import EXIT, INIT, read_exit
from nucleus.state.record import ContainerRecord
from nucleus.state.store import Store, read_file, write_file

ID = "a" * 32
BOOT_ID = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
EXITED = EXIT.pack(b"NUCEXIT\0", 1, 0, 3, 0, 1, 2, *[0] * 7, bytes(32))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path))


def record(container_id: str = ID, **changes: object) -> ContainerRecord:
    plain = ContainerRecord(
        id=container_id, name="", labels={}, command=("true",), created_ns=5, creator_uid=0, boot_id=BOOT_ID,
        pid_namespace=os.stat("/proc/self/ns/pid").st_ino, remove=False, mode="agent", network="none",
        rootless=False, uid=1000, gid=1000, uid_map=(), gid_map=(), capabilities=(), limits={},
        pids_by="cgroup", degraded=(), cgroups=(), spec_hash="", config_hash="", spec={},
    )  # fmt: skip
    return plain.replace(**changes)


def container(store: Store, what: ContainerRecord | None, *, alive: bool = False, **files: bytes) -> int:
    """A container's directory with these files; its descriptor holds the lock while the owner lives."""
    container_id = what.id if what else ID
    fd = store.create(container_id).fd
    if what is not None:
        write_file(fd, "state.json", what.to_json())
        if what.name:
            store.take_name(what.name, container_id)
    for name, data in files.items():
        write_file(fd, name, data)
    if not alive:
        os.close(fd)
    return fd


def exit_file(store: Store) -> bytes:
    fd = store.open(ID)
    try:
        return read_file(fd, "exit") or b""
    finally:
        os.close(fd)


def test_a_killed_owner_gets_an_exit_record_that_says_so(store: Store) -> None:
    container(store, record(name="web"))
    assert sweep(store) == 1
    ended = read_exit(exit_file(store))
    assert ended is not None and (ended.exit_code, ended.reason) == (137, "host-kill")
    assert store.resolve_name("web") == ID, "its name is its own until it is removed"
    assert sweep(store) == 0


def test_what_was_to_be_removed_at_its_end_is_removed(store: Store) -> None:
    container(store, record(name="web", remove=True))
    assert sweep(store) == 1
    assert store.ids() == [] and store.names() == []


def test_a_container_whose_record_was_never_written_is_removed(store: Store) -> None:
    container(store, None)
    assert sweep(store) == 1
    assert store.ids() == []


def test_the_copied_context_of_a_dead_owner_goes(store: Store) -> None:
    fd = container(store, record(), alive=True)
    os.makedirs(f"{store.path}/containers/{ID}/context/deep")
    os.close(fd)
    sweep(store)
    assert sorted(os.listdir(f"{store.path}/containers/{ID}")) == ["exit", "state.json"]


def test_who_lives_and_who_ended_in_order_is_left_alone(store: Store) -> None:
    container(store, record(), alive=True)
    container(store, record("b" * 32), exit=EXITED)
    assert sweep(store) == 0
    assert sorted(store.ids()) == [ID, "b" * 32]


def test_a_name_without_a_container_is_released(store: Store) -> None:
    os.symlink("f" * 32, "web", dir_fd=store.names_fd)
    os.symlink("../../elsewhere", "out", dir_fd=store.names_fd)
    sweep(store)
    assert store.names() == []


@pytest.mark.parametrize(
    "files",
    [
        pytest.param({"state.json": b"{" * 100_000}, id="no JSON"),
        pytest.param({"state.json": b"\xff" * 64, "init": b"x", "exit": b"short"}, id="binary"),
        pytest.param({"init": bytes(INIT.size), "exit": bytes(EXIT.size)}, id="zeroes"),
        pytest.param({"state.json": b'{"version": 1, "cgroups": 3}'}, id="wrong types"),
    ],
)
def test_garbage_in_a_state_directory_is_cleaned_up(store: Store, files: dict[str, bytes]) -> None:
    container(store, None, **files)
    assert sweep(store) == 1
    assert inventory.list_containers(store.path) == []


def test_what_is_no_container_does_not_stop_the_others(store: Store, tmp_path: Path) -> None:
    (tmp_path / "containers/stray").write_text("x")
    (tmp_path / "containers/link").symlink_to("/etc")
    container(store, record(remove=True))
    assert sweep(store) == 1
    assert inventory.list_containers(store.path) == []
    assert sorted(os.listdir(tmp_path / "containers")) == ["link", "stray"]


def test_only_the_oldest_are_looked_at(store: Store) -> None:
    for number in range(5):
        container(store, record(f"{number:032x}"))
    assert (sweep(store, at_most=3), sweep(store, at_most=0)) == (3, 2)


def init_record(pid: int, ticks: int) -> bytes:
    return INIT.pack(b"NUCINIT\0", 1, os.getpid(), pid, 0, start_ticks(os.getpid()), ticks)


def start_ticks(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


def test_init_of_a_dead_owner_is_killed_and_a_recycled_pid_is_not(store: Store) -> None:
    with subprocess.Popen(["/bin/sleep", "30"]) as process:
        ticks = start_ticks(process.pid)
        container(store, record(), init=init_record(process.pid, ticks + 1))
        sweep(store)
        assert process.poll() is None, "another process has that pid by now"
        container(store, record("b" * 32, pid_namespace=1), init=init_record(process.pid, ticks))
        sweep(store)
        assert process.poll() is None, "the pid is one of another pid namespace"
        container(store, record("c" * 32), init=init_record(process.pid, ticks))
        sweep(store)
        assert process.wait(5) == -9


def test_a_cgroup_directory_that_is_gone_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "group/child").mkdir(parents=True)
    remove_cgroup(str(tmp_path / "group"))
    remove_cgroup(str(tmp_path / "group"))
    assert not (tmp_path / "group").exists()


def test_a_record_can_name_no_directory_but_its_own_cgroup(store: Store, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    container(store, record(cgroups=(str(victim),)))
    sweep(store)
    assert victim.exists()


# ---- what the verbs say -------------------------------------------------------------------------


def test_the_list_tells_running_stopped_and_being_made(store: Store) -> None:
    container(store, record("1" * 32), alive=True)
    container(store, record("2" * 32), alive=True, init=init_record(os.getpid(), start_ticks(os.getpid())))
    container(store, record("3" * 32), exit=EXITED)
    rows = {
        str(row["id"])[0]: (row["status"], row.get("exit_code"))
        for row in inventory.list_containers(store.path)
    }
    assert rows == {"1": ("creating", None), "2": ("running", None), "3": ("stopped", 3)}


def test_a_running_container_is_removed_by_force_alone(store: Store) -> None:
    fd = container(store, record(name="web"), alive=True)
    with pytest.raises(Conflict) as caught:
        inventory.remove("web", root=store.path, force=False)
    assert caught.value.where and "rm -f" in caught.value.remedy
    os.close(fd)
    assert inventory.remove("web", root=store.path, force=True) == ID
    assert store.ids() == [] and store.names() == []
    with pytest.raises(NotFound):
        inventory.inspect("web", store.path)


def test_an_ended_container_is_removed_with_its_name(store: Store) -> None:
    container(store, record(name="web"), exit=EXITED)
    assert inventory.inspect("web", store.path)["exit_code"] == 3
    assert inventory.remove("web", root=store.path, force=False) == ID
    assert store.ids() == [] and store.names() == []


@pytest.mark.parametrize("dies", [True, False], ids=["late", "never"])
def test_rm_waits_for_what_was_killed_and_has_not_died_yet(
    store: Store, monkeypatch: pytest.MonkeyPatch, dies: bool
) -> None:
    container(store, record())
    tries = []

    def clear(*_: object) -> None:
        tries.append(1)
        if not dies or len(tries) < 3:
            raise OSError(EBUSY, "busy")

    monkeypatch.setattr(sweeping, "clear", clear)
    known = record()
    fd = store.open(ID)
    deadline = time.monotonic() + (60 if dies else -1)
    if dies:
        sweeping.bury_in_time(store, ID, fd, known, deadline)
        assert len(tries) == 3 and read_exit(exit_file(store)) is not None
    else:
        with pytest.raises(Conflict, match="have not ended"):
            sweeping.bury_in_time(store, ID, fd, known, deadline)
    os.close(fd)


@pytest.mark.parametrize("there", [False, True])
def test_a_root_that_is_none_is_not_made_by_who_only_looks(tmp_path: Path, *, there: bool) -> None:
    root = tmp_path / "mistyped"
    if there:
        root.mkdir()
        (root / "hosts").touch()
    with pytest.raises(NotFound, match="no state root"):
        inventory.open_store(str(root))
    assert sorted(os.listdir(tmp_path)) == ["mistyped"] * there
    assert not there or os.listdir(root) == ["hosts"]
