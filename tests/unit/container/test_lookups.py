"""From words to numbers and inodes: accounts, id maps, sources, the copy of a context."""

from __future__ import annotations

import fcntl
import os
import socket
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "plan"))

from compile_machines import MACHINES, user_machine
from rows import every_row

from nucleus.base.errors import HostUnsupported, NucleusError, SpecError
from nucleus.container import ranges
from nucleus.container.inputs import context
from nucleus.container.inputs.accounts import resolve_accounts
from nucleus.container.inputs.identity import rootless_identity
from nucleus.container.inputs.sources import SourceFinder, protected_paths, root_entries, volume_sources
from nucleus.host.facts import IdRange
from nucleus.spec.container import ContainerSpec
from nucleus.spec.parse import from_mapping


def spec(**options: object) -> ContainerSpec:
    return from_mapping({"command": ["true"], **options})


@pytest.fixture
def rootfs(tmp_path: Path) -> Path:
    """A root file system with accounts of its own."""
    root = tmp_path / "rootfs"
    (root / "etc").mkdir(parents=True)
    (root / "usr").mkdir()
    (root / "etc/passwd").write_text(
        "root:x:0:0::/:/bin/sh\ndb:x:70:71::/:/bin/sh\nbroken\n\nodd:x:a:b::/:\n"
    )
    (root / "etc/group").write_text("root:x:0:\nmail:x:8:\nodd:x:x:\n")
    return root


@every_row(
    ("options", "numbers"),
    [
        pytest.param({}, (1000, 1000, ()), id="default"),
        pytest.param({"user": 5}, (5, 5, ()), id="uid alone"),
        pytest.param({"user": "root"}, (0, 0, ()), id="root"),
        pytest.param({"user": "agent", "group": "nobody"}, (1000, 65534, ()), id="generated names"),
        pytest.param({"user": "7:8", "additional_group": [9, 8, 9]}, (7, 8, (9,)), id="groups once"),
    ],
)
def test_accounts_of_the_generated_etc(options: dict[str, object], numbers: tuple[object, ...]) -> None:
    assert resolve_accounts(spec(**options)) == numbers


def test_accounts_of_a_root_file_system(rootfs: Path) -> None:
    def at(**options: object) -> tuple[int, int, tuple[int, ...]]:
        return resolve_accounts(spec(rootfs=str(rootfs), **options))

    assert at(user="db") == (70, 71, ())
    assert at(user=70) == (70, 71, ())
    assert at(user="db:mail", additional_group=["root"]) == (70, 8, (0,))


@pytest.mark.parametrize(
    "options", [{"user": "odd"}, {"user": "agent"}, {"group": "odd"}, {"user": "nosuch"}]
)
def test_a_name_that_the_root_file_system_does_not_know_is_refused(
    rootfs: Path, options: dict[str, str]
) -> None:
    with pytest.raises(SpecError) as caught:
        resolve_accounts(spec(rootfs=str(rootfs), **options))
    assert caught.value.where in ("--user", "--group") and caught.value.remedy


def test_an_account_file_that_leads_out_of_the_root_file_system_is_not_read(rootfs: Path) -> None:
    (rootfs / "etc/passwd").unlink()
    (rootfs / "etc/passwd").symlink_to("/etc/passwd")
    with pytest.raises(SpecError):
        resolve_accounts(spec(rootfs=str(rootfs), user="daemon"))


def test_an_ordinary_user_without_ranges_is_the_workload_alone() -> None:
    who = rootless_identity(spec(), MACHINES["user without ranges"].facts, 1000, 1000, ())
    assert [(m.inside, m.outside, m.count) for m in who.uid_map] == [(1000, 1001, 1)]
    assert who.deny_setgroups and not who.helpers and not who.maps_root


def test_explicit_maps_are_taken_as_they_are_written() -> None:
    facts = user_machine(subordinate=True).facts
    lines = {"uidmap": ["0:100000:10", "1000:1001:1"], "gidmap": ["0:100000:10", "1000:1001:1"]}
    who = rootless_identity(spec(**lines), facts, 1000, 1000, ())
    assert [(m.inside, m.outside, m.count) for m in who.gid_map] == [(0, 100000, 10), (1000, 1001, 1)]
    assert who.helpers == ("newuidmap", "newgidmap")


@pytest.mark.parametrize(
    "options", [{"userns": "auto"}, {"user": 0, "uidmap": ["5:5:1"], "gidmap": ["5:5:1"]}]
)
def test_an_identity_that_cannot_be_mapped_is_refused_with_a_remedy(options: dict[str, object]) -> None:
    uid = int(str(options.pop("user", 1000)))
    with pytest.raises(SpecError) as caught:
        rootless_identity(spec(**options), MACHINES["user without ranges"].facts, uid, uid, ())
    assert caught.value.where.startswith("--user") and caught.value.remedy


def test_two_containers_get_two_blocks_and_none_that_somebody_has(tmp_path: Path) -> None:
    taken = (IdRange(start=0, count=65536), IdRange(start=524288 + 65535, count=1))
    first, second = [ranges.take(taken, str(tmp_path / "ranges")) for _ in range(2)]
    assert (first[0], second[0]) == (524288 + 65536, 524288 + 2 * 65536)
    os.close(first[1])
    assert ranges.take(taken, str(tmp_path / "ranges"))[0] == first[0], "the block of one that ended is free"
    with pytest.raises(BlockingIOError):
        fd = os.open(tmp_path / "ranges" / str(second[0]), os.O_RDWR)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_without_a_place_for_the_locks_there_is_no_block(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HostUnsupported) as caught:
        ranges.take((), str(tmp_path / "file/ranges"))
    assert caught.value.where and caught.value.remedy


# ---- sources ------------------------------------------------------------------------------------


def test_a_source_is_the_inode_behind_its_links(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    found = SourceFinder().find(str(tmp_path / "link"), "--volume")
    assert (found.path, found.inode) == (str(tmp_path / "real"), (tmp_path / "real").stat().st_ino)
    assert not found.is_file


def test_what_cannot_be_a_source_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").write_text("")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        for name in ("none", "pipe", "socket", "loop", "file/below"):
            with pytest.raises(SpecError) as caught:
                SourceFinder().find(str(tmp_path / name), "--volume")
            assert caught.value.where == "--volume" and caught.value.remedy
    with pytest.raises(SpecError, match="not a directory"):
        SourceFinder().find(str(tmp_path / "file"), "--workspace", directory=True)


@pytest.mark.parametrize("place", ["/etc", "/proc/self", "/run", "/dev/shm", "/sys/kernel", "/boot", "/"])
def test_a_link_into_a_forbidden_part_of_the_host_is_refused(tmp_path: Path, place: str) -> None:
    (tmp_path / "link").symlink_to(place)
    for options in ({"workspace": f"{tmp_path}/link"}, {"volume": [f"{tmp_path}/link:/data"]}):
        with pytest.raises(SpecError) as caught:
            volume_sources(spec(**options), SourceFinder())
        assert caught.value.where in ("--workspace", "--volume") and caught.value.remedy


def test_a_root_file_system_needs_programs(tmp_path: Path, rootfs: Path) -> None:
    facts, finder = MACHINES["root, cgroup v2"].facts, SourceFinder()
    (rootfs / "bin").symlink_to("usr/bin")
    entries = {
        e.target: e.link or bool(e.source) for e in root_entries(spec(rootfs=str(rootfs)), facts, finder)
    }
    assert entries == {"/bin": "usr/bin", "/usr": True, "/etc": True}
    with pytest.raises(SpecError, match="neither usr nor bin"):
        root_entries(spec(rootfs=str(tmp_path / "rootfs/etc")), facts, finder)


def test_files_that_configure_the_hosts_tools_are_protected_where_they_are(tmp_path: Path) -> None:
    (tmp_path / ".git/hooks").mkdir(parents=True)
    (tmp_path / ".envrc").write_text("")
    for options, wanted in (
        ({}, ["/workspace/.envrc", "/workspace/.git/hooks"]),
        ({"allow_workspace_config": True}, []),
        ({"workspace_mode": "bind-ro"}, []),
    ):
        one = spec(workspace=str(tmp_path), **options)
        found = protected_paths(one, volume_sources(one, SourceFinder()))
        assert (sorted(found.get("protected", ())), found.get("protected_links", ())) == (wanted, ())


@pytest.mark.parametrize(
    ("made", "paths", "links"),
    [
        pytest.param({".vscode": "-> /etc"}, [], [".vscode"], id="out of the workspace"),
        pytest.param({".vscode": "-> ../../etc"}, [], [".vscode"], id="out by dots"),
        pytest.param({".envrc": "-> env/dev", "env/dev": ""}, ["env/dev"], [".envrc"], id="a file within"),
        pytest.param({".envrc": "-> HERE/dev", "dev": ""}, ["dev"], [".envrc"], id="absolute, within"),
        pytest.param(
            {".git": "-> repo/git", "repo": "-> store", "store/git/hooks/x": "", "store/git/config": ""},
            ["store/git/config", "store/git/hooks"], [".git", "repo"], id="a directory above, by two links",
        ),
        pytest.param({".npmrc": "-> gone"}, [], [".npmrc"], id="nowhere"),
        pytest.param({".npmrc": "-> .npmrc"}, [], [".npmrc"], id="itself"),
        pytest.param({".cursor": "-> ."}, [], [".cursor"], id="the workspace"),
        pytest.param({".git": "gitdir: /elsewhere"}, [".git"], [], id="a file of a linked worktree"),
        pytest.param({".git": "-> module", "module": "gitdir: x"}, ["module"], [".git"], id="a link to one"),
    ],
)  # fmt: skip
def test_a_protected_name_that_is_a_link_is_kept_and_so_is_what_it_leads_to(
    tmp_path: Path, made: dict[str, str], paths: list[str], links: list[str]
) -> None:
    for name, content in made.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        if content.startswith("-> "):
            (tmp_path / name).symlink_to(content[3:].replace("HERE", str(tmp_path)))
        else:
            (tmp_path / name).write_text(content)
    one = spec(workspace=str(tmp_path))
    found = protected_paths(one, volume_sources(one, SourceFinder()))
    wanted = {"protected": paths, "protected_links": links}
    assert {k: sorted(v) for k, v in found.items()} == {
        k: [f"/workspace/{n}" for n in v] for k, v in wanted.items()
    }


def test_links_of_a_copied_workspace_lead_where_those_of_the_workspace_do(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy/.envrc").symlink_to(tmp_path / "work/dev")
    (tmp_path / "copy/dev").write_text("")
    one = spec(workspace=str(tmp_path / "work"), workspace_mode="copy-in-out")
    (source,) = volume_sources(one, SourceFinder())
    copied = source.replace(source=source.source.replace(path=str(tmp_path / "copy")))
    assert protected_paths(one, (copied,)) == {
        "protected": ("/workspace/dev",),
        "protected_links": ("/workspace/.envrc",),
    }


# ---- the context --------------------------------------------------------------------------------


def copied(source: Path, destination: Path) -> set[str]:
    destination.mkdir()
    fd = os.open(destination, os.O_RDONLY | os.O_DIRECTORY)
    try:
        context.copy_context(str(source), fd)
    finally:
        os.close(fd)
    return {str(p.relative_to(destination)) for p in destination.rglob("*")}


def test_a_context_is_copied_without_links_and_what_looks_like_credentials(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for name in (
        "a.txt",
        "deep/b.py",
        ".git/config",
        ".env",
        ".env.local",
        "my-SECRET.txt",
        "key.pem",
        "x.swp",
    ):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(name)
    (source / "link").symlink_to("/etc/passwd")
    os.mkfifo(source / "pipe")
    (source / "run").write_text("")
    (source / "run").chmod(0o4755)
    assert copied(source, tmp_path / "copy") == {"a.txt", "deep", "deep/b.py", "run"}
    assert (tmp_path / "copy/run").stat().st_mode & 0o7777 == 0o755
    assert (tmp_path / "copy/a.txt").stat().st_mode & 0o7777 == 0o644


def test_a_context_that_is_too_deep_is_refused(tmp_path: Path) -> None:
    deep = tmp_path / "source"
    for _ in range(context.MAX_DEPTH + 2):
        deep = deep / "d"
    deep.mkdir(parents=True)
    with pytest.raises(NucleusError, match="directories deep") as caught:
        copied(tmp_path / "source", tmp_path / "copy")
    assert caught.value.where == "--context" and caught.value.remedy


@pytest.mark.parametrize("last", ["ext4", "overlay"])
def test_each_file_system_answers_for_itself_whatever_was_mounted_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: str
) -> None:
    device = tmp_path.stat().st_dev
    mine = "overlay" if last == "ext4" else "ext4"
    table = [(device, mine, "/"), (device + 1, last, "/somewhere")]
    monkeypatch.setattr("nucleus.container.inputs.sources._mounts", lambda: iter(table))
    finder = SourceFinder()
    for _ in range(2):  # the first answer reads the table
        assert finder.find(str(tmp_path), "--workspace").idmap is (mine == "ext4")
