"""The state root: private directories, locks that die with their owner, names that only one container has."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from rows import every_row

from nucleus.base.errors import Conflict, HostUnsupported, NotFound, NucleusError, PermissionRefused
from nucleus.container.running.sweep import sweep
from nucleus.state.store import MAX_FILE, Store, default_root, owner_is_gone, read_file, write_file

IDS = [f"{n:032x}" for n in range(40)]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "state"))


def refused(make: Callable[[], object]) -> NucleusError:
    """The error that it raises; every one of the state directory says where and what to do."""
    with pytest.raises(NucleusError) as caught:
        make()
    assert caught.value.where and caught.value.remedy
    return caught.value


@every_row(
    ("uid", "environment", "root"),
    [
        pytest.param(0, {}, "/run/nucleus", id="root"),
        pytest.param(0, {"NUCLEUS_STATE_DIR": "/s"}, "/s", id="chosen"),
        pytest.param(7, {"XDG_RUNTIME_DIR": "/tmp", "HOME": "/"}, "/tmp/nucleus", id="runtime directory"),
        pytest.param(7, {"XDG_RUNTIME_DIR": "/none", "HOME": "/tmp"}, "/tmp/.local/state/nucleus", id="home"),
        pytest.param(7, {"HOME": "/tmp", "XDG_STATE_HOME": "/t"}, "/t/nucleus", id="state home"),
        pytest.param(7, {"HOME": "/none"}, "/tmp/nucleus-7", id="no home"),
    ],
)
def test_where_state_lives_when_nobody_says(uid: int, environment: dict[str, str], root: str) -> None:
    assert default_root(uid, environment) == root


def test_the_state_root_is_made_for_its_user_alone(store: Store) -> None:
    for name in ("", "containers", "names"):
        assert os.stat(f"{store.path}/{name}").st_mode & 0o777 == 0o700


def test_a_state_root_that_others_may_write_to_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "state"
    root.mkdir()
    root.chmod(0o777)
    assert isinstance(refused(lambda: Store(str(root))), PermissionRefused)
    root.chmod(0o700)
    (root / "names").mkdir()
    (root / "names").chmod(0o770)
    assert refused(lambda: Store(str(root))).where == f"{root}/names"


def test_a_link_or_a_file_in_the_place_of_the_state_root_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "file").write_text("")
    for name in ("link", "file", "file/below"):
        assert isinstance(refused(lambda name=name: Store(str(tmp_path / name))), HostUnsupported)


def test_an_id_is_used_once(store: Store) -> None:
    store.create(IDS[0])
    assert isinstance(refused(lambda: store.create(IDS[0])), Conflict)


def test_the_lock_of_a_container_is_free_as_soon_as_its_owner_is_gone(store: Store) -> None:
    mine = store.create(IDS[0])
    other = store.open(IDS[0])
    assert not owner_is_gone(other)
    os.close(mine.fd)
    assert owner_is_gone(other)


def test_the_lock_lives_on_in_a_child_that_inherited_it(store: Store) -> None:
    mine = store.create(IDS[0])
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.close(write)
        os.read(read, 1)
        os._exit(0)
    os.close(mine.fd)
    other = store.open(IDS[0])
    assert not owner_is_gone(other)
    os.close(write)
    os.waitpid(child, 0)
    assert owner_is_gone(other)


def test_a_name_belongs_to_one_container_until_it_is_released(store: Store) -> None:
    store.create(IDS[0])
    store.create(IDS[1])
    store.take_name("web", IDS[0])
    error = refused(lambda: store.take_name("web", IDS[1]))
    assert "taken by container 000000000000" in error.message and "nucleus rm web" in error.remedy
    store.release_name("web", IDS[1])
    assert store.resolve_name("web") == IDS[0], "only its container may release it"
    store.release_name("web", IDS[0])
    store.take_name("web", IDS[1])
    assert store.resolve_name("web") == IDS[1]


def test_the_name_of_a_container_that_is_gone_is_free(store: Store) -> None:
    store.create(IDS[0])
    store.take_name("web", IDS[9])
    assert store.resolve_name("web") is None
    store.take_name("web", IDS[0])
    store.release_dead_name("web")
    assert store.resolve_name("web") == IDS[0]


def race(count: int, work: Callable[[int], None]) -> list[BaseException]:
    """Runs work(0), work(1), … at the same time; returns what they raised."""
    raised: list[BaseException] = []
    start = threading.Barrier(count)

    def one(number: int) -> None:
        start.wait()
        try:
            work(number)
        except BaseException as error:  # noqa: BLE001 - handed to the test
            raised.append(error)

    threads = [threading.Thread(target=one, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def test_of_many_takers_of_a_dead_name_exactly_one_gets_it(store: Store) -> None:
    for number in range(8):
        store.create(IDS[number])
    for attempt in range(10):
        name = f"n{attempt}"
        os.symlink("f" * 32, name, dir_fd=store.names_fd)
        got: list[int] = []

        def take(number: int, name: str = name, got: list[int] = got) -> None:
            own = Store(store.path)
            own.take_name(name, IDS[number])
            got.append(number)

        raised = race(8, take)
        assert len(got) == 1 and store.resolve_name(name) == IDS[got[0]]
        assert len(raised) == 7 and all(isinstance(e, Conflict) for e in raised)


def test_sweeps_and_new_containers_at_the_same_time_lose_none_of_them(store: Store) -> None:
    def work(number: int) -> None:
        own = Store(store.path)
        for turn in range(5):
            if number % 2:
                sweep(own)
            else:
                own.create(IDS[number * 5 + turn])  # its descriptor stays open: the owner lives

    assert race(8, work) == []
    assert len(store.ids()) == 20


def test_a_reference_is_an_id_a_name_or_an_unambiguous_prefix(store: Store) -> None:
    for one in (IDS[1], "abc" + IDS[2][3:], "abd" + IDS[3][3:]):
        store.create(one)
    store.take_name("web", IDS[1])
    assert store.resolve(IDS[1]) == store.resolve("web") == IDS[1]
    assert store.resolve("abd") == "abd" + IDS[3][3:]
    assert isinstance(refused(lambda: store.resolve("ab")), Conflict)


@pytest.mark.parametrize("reference", ["", ".", "..", "../containers", "nobody", "a" * 300, "x\0y", "é"])
def test_a_reference_to_nothing_is_not_found(store: Store, reference: str) -> None:
    store.create(IDS[0])
    assert isinstance(refused(lambda: store.resolve(reference)), NotFound)


def test_a_file_is_replaced_as_a_whole(store: Store) -> None:
    fd = store.create(IDS[0]).fd
    write_file(fd, "state.json", b"old")
    write_file(fd, "state.json", b"new")
    assert read_file(fd, "state.json") == b"new" and os.listdir(fd) == ["state.json"]


def test_what_is_no_file_is_read_as_none(store: Store) -> None:
    fd = store.create(IDS[0]).fd
    os.mkdir("directory", dir_fd=fd)
    os.mkfifo("pipe", dir_fd=fd)
    os.symlink("/etc/passwd", "link", dir_fd=fd)
    assert [read_file(fd, n) for n in ("directory", "pipe", "link", "none")] == [None] * 4


def test_a_huge_file_is_read_in_part(store: Store) -> None:
    fd = store.create(IDS[0]).fd
    with open(f"/proc/self/fd/{fd}/big", "wb") as file:
        file.truncate(1 << 40)
    assert len(read_file(fd, "big") or b"") == MAX_FILE


def test_what_cannot_be_written_says_where_and_what_to_do(store: Store, tmp_path: Path) -> None:
    fd = store.create(IDS[0]).fd
    os.mkdir("state.json", dir_fd=fd)
    assert refused(lambda: write_file(fd, "state.json", b"x")).where == (
        f"{store.path}/containers/{IDS[0]}/state.json"
    )
