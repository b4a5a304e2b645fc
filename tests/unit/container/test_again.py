"""A start from a kept plan against the long way, and everything that makes a kept plan stale.  ✗ starts no sandbox."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rows import every_row

from nucleus.base.errors import NucleusError
from nucleus.cli.parser import parse_run
from nucleus.cli.run import _with_keys
from nucleus.container import prepare, ranges, run
from nucleus.container.reuse import again, remember
from nucleus.host import witness
from nucleus.state.plans import Plans
from nucleus.state.store import Store, read_file

LONG_AGO = 3_000_000_000  # nanoseconds: code that was not changed just now

# Options, and two commands: the plan is kept for the first and started for the second.
LINES: list[tuple[list[str], list[str], list[str]]] = [
    ([], ["true"], ["/bin/sh", "-c", "echo 'ü\udce4' \x01"]),
    (["--rm"], ["true", "one"], ["true", "--", "--rm"]),
    (["--rm", "--network", "host", "--allow-host-network"], ["true"], ["./here"]),
    (["--hostname", "box", "--env", "A=b", "-e", "EMPTY=", "-eC=d"], ["true"], ["env"]),
    (["--env=A=1", "--env=A=2", "--env", "TERM=dumb", "--label", "x=y"], ["sh"], ["env"]),
    (["--name", "named", "--label=a=\u00e4\"", "--timeout", "5"], ["true"], ["false", '"\\']),
    (["-m", "64M", "--pids", "33", "--cpus", "0.5", "--user", "0", "--workdir", "/tmp"], ["true"], ["./x"]),
    (["--workspace", "WORK", "--rm"], ["make"], ["make", "test"]),
    (["--workspace", "WORK:ro", "--volume", "WORK:/more", "--tmpfs", "/scratch"], ["true"], ["ls"]),
    (["--toolchain", "WORK", "--context", "WORK", "--context-mode", "bind"], ["true"], ["ls"]),
    (["--seccomp-profile", "builtin:strict", "--ulimit", "nofile=64", "--log-format", "json"], ["a"], ["b"]),
    (["-i", "--time-namespace", "--stop-signal", "INT", "--shm-size", "1M"], ["true"], ["true"]),
]  # fmt: skip


@pytest.fixture(autouse=True)
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A state root, a workspace, a working directory, blocks of host ids, and code that is old enough."""
    for name in os.environ:
        if name.startswith("NUCLEUS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("NUCLEUS_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for folder in ("work/.git/hooks", "home", "other"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "work/.envrc").symlink_to("elsewhere")
    (tmp_path / "work/.npmrc").touch()
    monkeypatch.chdir(tmp_path)
    take = ranges.take
    monkeypatch.setattr(
        ranges, "take", lambda taken, *, wish=0: take(taken, str(tmp_path / "ranges"), wish=wish)
    )
    monkeypatch.setattr(remember, "_SETTLED_NS", -1)
    monkeypatch.setattr(time, "time_ns", lambda: 1_800_000_000_000_000_000 + LONG_AGO)
    yield tmp_path
    kept = tmp_path / "state" / "containers"
    assert not kept.exists() or list(kept.iterdir()) == []


def line(options: list[str], command: list[str], *, dashes: bool = True) -> list[str]:
    words = [word.replace("WORK", str(Path.cwd() / "work")) for word in options]
    return [*words, *(["--"] if dashes else []), *command]


def long_way(argv: list[str], *, keep: int = 0) -> tuple[str, dict[str, Any]]:
    """What the long way makes: the id, and all that can be compared.  keep: as if it came so often."""
    spec = parse_run(argv)
    made = prepare.prepare(spec, reporter=("/usr/bin/python3", "reporter"))
    try:
        if not spec.rm:
            run._keep(made, spec)
        for _ in range(keep):
            asked = _with_keys(again.Asked(argv), argv)
            assert asked is not None
            remember.remember(asked, made, spec, None if spec.rm else run.kept(spec))
        assert made.state is not None and made.plan is not None
        names = zip(made.plan.slots, made.slots, strict=True)
        return made.id, {
            "plan": made.encoded,
            "slots": {name: content(name, fd) for name, fd in names},
            "held": len(made.held),
            "state.json": read_file(made.state.fd, "state.json"),
            "spec.json": read_file(made.state.fd, "spec.json"),
            "name": made.store.resolve_name(spec.name) if spec.name else None,
        }
    finally:
        made.discard()


def short_way(argv: list[str], container_id: str) -> dict[str, Any]:
    """The same, from what was kept."""
    asked = again.Asked(argv)
    found = again._found(asked)
    assert found is not None
    kept, variables, command = found
    made = again.Making(Store(asked.root), kept, command)
    made.id = container_id
    try:
        made.take()
        made.record()
        made.open_slots(variables)
        names = zip(kept["slots"], made.slots, strict=True)
        assert made._state is not None
        return {
            "plan": made.encoded(),
            "slots": {name: content(name, fd) for name, fd in names},
            "held": len(made.held),
            "state.json": read_file(made._state.fd, "state.json"),
            "spec.json": read_file(made._state.fd, "spec.json"),
            "name": made.store.resolve_name(kept["name"]) if kept["name"] else None,
        }
    finally:
        made.discard()


def content(name: str, fd: int) -> object:
    """Of a descriptor: the bytes of a memory file, else which file it is."""
    if name in ("environment", "origins"):
        return os.pread(fd, 1 << 20, 0)
    if name == "state":
        return "the container's own"
    status = os.fstat(fd)
    return status.st_dev, status.st_ino


def keep(argv: list[str]) -> None:
    long_way(argv, keep=2)


def holds(argv: list[str]) -> bool:
    """Would that command line start from a kept plan?"""
    try:
        return again._found(again.Asked(argv)) is not None
    except (NucleusError, OSError):
        return False


def entry(root: Path) -> Path:
    (found,) = [path for path in (root / "state/plans").iterdir() if path.stat().st_size]
    return found


@pytest.mark.parametrize(("options", "first", "second"), LINES, ids=lambda o: " ".join(o[:2]) or "plain")
def test_a_kept_plan_makes_what_the_long_way_makes(
    options: list[str], first: list[str], second: list[str]
) -> None:
    keep(line(options, first))
    for command, dashes in ((first, False), (second, True)):
        argv = line(options, command, dashes=dashes)
        container_id, made = long_way(argv)
        assert short_way(argv, container_id) == made


@pytest.mark.parametrize("options", [["--rm"], ["--workspace", "WORK"]], ids=lambda o: o[0])
def test_where_its_block_of_host_ids_is_in_use_it_takes_another(options: list[str], world: Path) -> None:
    argv = line(options, ["true"])
    keep(argv)
    locks = []
    for number in range(3):
        (world / "ranges").mkdir(exist_ok=True)
        fd = os.open(world / "ranges" / str(ranges.FIRST + number * ranges.BLOCK), os.O_RDWR | os.O_CREAT)
        fcntl.flock(fd, fcntl.LOCK_EX)
        locks.append(fd)
    container_id, made = long_way(argv)
    assert short_way(argv, container_id) == made
    for fd in locks:
        os.close(fd)


def test_values_of_variables_and_the_command_are_in_no_file(world: Path) -> None:
    keep(line(["--env", "TOKEN=mellon-1"], ["sh", "-c", "mellon-2"]))
    argv = line(["--env", "TOKEN=mellon-3"], ["sh", "-c", "mellon-4"])
    container_id, made = long_way(argv)
    assert short_way(argv, container_id) == made
    assert b"TOKEN=mellon-3\0" in made["slots"]["environment"]
    assert b"mellon" not in b"".join(p.read_bytes() for p in (world / "state/plans").iterdir())
    assert b"TOKEN" in entry(world).read_bytes()


def test_a_plan_is_kept_when_its_options_come_for_the_second_time(world: Path) -> None:
    for options in (["--rm"], ["--rm", "--timeout", "5"]):
        long_way(line(options, ["true"]), keep=1)
    assert [p.stat().st_size for p in (world / "state/plans").iterdir()] == [0, 0]
    assert not holds(line(["--rm"], ["true"]))
    long_way(line(["--rm"], ["false"]), keep=1)
    assert holds(line(["--rm"], ["another"]))
    assert not holds(line(["--rm", "--timeout", "5"], ["another"]))


@pytest.mark.parametrize(
    "argv",
    [
        pytest.param(["--env", "CALLERS", "--", "true"], id="a variable of the caller"),
        pytest.param(["--env", "PATH=/bin", "--", "true"], id="where programs are looked for"),
        pytest.param(["--env-file", "file", "--", "true"], id="a file of variables"),
        pytest.param(["--env-fd", "FD", "--", "true"], id="a descriptor"),
        pytest.param(["--config", "file.toml", "--", "true"], id="a document"),
        pytest.param(["--context", "work", "--", "true"], id="a copied context"),
        pytest.param(["--secret", "file:s", "--", "true"], id="a secret"),
        pytest.param(["--service-mode", "strict-agent", "--", "true"], id="a stricter mode"),
        pytest.param(["--events-jsonl", "events", "--", "true"], id="a file of events"),
        pytest.param(["--log", "log", "--", "true"], id="a log"),
    ],
)
def test_what_reads_more_than_the_command_line_is_not_kept(
    argv: list[str], world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALLERS", "x")
    (world / "file").write_text("A=b\n")
    (world / "file.toml").write_text('hostname = "x"\n')
    fd = os.open(world / "file", os.O_RDONLY)
    try:
        long_way([word.replace("FD", str(fd)) for word in argv], keep=3)
    except NucleusError as error:  # a stricter mode wants more of the machine
        assert "strict-agent" in argv, error
    finally:
        os.close(fd)
    assert not (world / "state/plans").exists()
    assert not holds(argv)


def test_what_only_looks_like_a_variable_is_none(world: Path) -> None:
    """The command's own words, and the value of another option."""
    keep(line(["--rm"], ["sh", "-e", "A=b"], dashes=False))
    assert again._found(again.Asked(["--rm", "sh", "-e", "A=c"])) is not None
    (world / "-e").mkdir()
    for options in (["--label", "-e=x=1", "--rm"], ["--toolchain", "-e", "--rm"]):
        argv = [*options, "--", "true"]
        keep(argv)
        assert not holds(argv)


OPTIONS = ["--rm", "--workspace", "WORK", "--volume", "WORK:/v", "--network", "host", "--allow-host-network"]


def test_every_answer_of_the_machine_counts(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    argv = line(OPTIONS, ["true"])
    keep(argv)
    found = again._found(again.Asked(argv))
    assert found is not None
    real = witness._answer
    looks = found[0]["looks"]
    assert len(looks) == len(set(looks)) > 60
    known: dict[object, Any] = {}

    def answer(machine: Any, look: Any) -> Any:
        if look not in known:
            known[look] = real(machine, look)
        return ("another",) if look == changed else known[look]

    monkeypatch.setattr(witness, "_answer", answer)
    changed: object = None
    assert holds(argv)
    for changed in looks:
        assert not holds(argv), changed
    monkeypatch.setattr(witness, "_answer", real)
    assert holds(argv)


def change_workspace(root: Path) -> None:
    (root / "work").rename(root / "gone")
    (root / "other").rename(root / "work")


CHANGES = {
    "another workspace": change_workspace,
    "a link to the same workspace": lambda root: [
        (root / "work").rename(root / "moved"), (root / "work").symlink_to("moved"),
    ],
    "no workspace": lambda root: (root / "work").rename(root / "moved"),
    "its mode": lambda root: (root / "work").chmod(0o711),
    "a protected file that appeared": lambda root: (root / "work/.bashrc").touch(),
    "a protected file that is gone": lambda root: (root / "work/.npmrc").unlink(),
    "a protected link that became a file": lambda root: [
        (root / "work/.envrc").unlink(), (root / "work/.envrc").touch(),
    ],
    "another end of a protected link": lambda root: [
        (root / "work/.envrc").unlink(), (root / "work/made").touch(), (root / "work/.envrc").symlink_to("made"),
    ],
    "something at the end of a protected link": lambda root: (root / "work/elsewhere").touch(),
    "a .git that is a file": lambda root: [
        (root / "work/.git").rename(root / "git"), (root / "work/.git").touch(),
    ],
    "git's settings": lambda root: (root / "work/.git/config").touch(),
    "the state root by a link": lambda root: [
        (root / "state").rename(root / "moved"), (root / "state").symlink_to("moved"),
    ],
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_the_options_name_is_looked_at_again(change: Any, world: Path) -> None:
    argv = line(OPTIONS, ["true"])
    keep(argv)
    assert holds(argv)
    change(world)
    assert not holds(argv)


def test_an_entry_that_appears_in_etc_makes_it_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    argv = line(["--rm"], ["true"])
    keep(argv)
    real = os.listdir
    monkeypatch.setattr(os, "listdir", lambda p: [*real(p), "java-99"] if p == "/etc" else real(p))
    assert not holds(argv)


@pytest.fixture
def plain() -> list[str]:
    """A command line whose plan is kept."""
    argv = line(["--rm"], ["true"])
    keep(argv)
    assert holds(argv)
    return argv


@every_row(
    ("name", "value"),
    [
        ("getcwd", "/"), ("getresuid", (1, 2, 3)), ("getresgid", (1, 2, 3)), ("getgroups", [1, 2, 3]),
    ],
)  # fmt: skip
def test_it_belongs_to_one_caller_in_one_place(name: str, value: object, plain: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, name, lambda: value)
        assert not holds(plain)
    assert holds(plain)


@every_row("name", ["HOME", "XDG_RUNTIME_DIR", "NUCLEUS_SCOPE", "NUCLEUS_LOG_FORMAT", "NUCLEUS_NEW"])
def test_it_belongs_to_one_environment(name: str, plain: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(name, "another")
        assert not holds(plain)
    assert holds(plain)


@every_row(
    "argv",
    [
        ["--rm", "--pids", "9", "--", "true"], ["--rm", "--rm", "--", "true"], ["--", "true"], ["true"],
        ["--rm", "--"], ["--rm"], ["--rm", "", "x"], ["--rm", "--help", "--", "true"], ["--", "--rm", "true"],
        ["--rm", "--root", "elsewhere", "--", "true"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_other_words_are_another_command_line(argv: list[str], plain: list[str]) -> None:
    assert holds(["--rm", "true"]) and not holds(argv)


def test_the_code_that_made_it_is_among_what_is_looked_at(world: Path) -> None:
    argv = line(["--rm"], ["true"])
    keep(argv)
    found = again._found(again.Asked(argv))
    assert found is not None
    built = {look[1].rpartition("/nucleus/")[2] for look in found[0]["looks"] if look[0] == "built"}
    assert {
        "plan/compile.py",
        "policy/seccomp_prebuilt.py",
        "cli/parser.py",
        "libexec/nucleus-launch",
    } <= built


def test_code_that_was_changed_just_now_keeps_nothing(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remember, "_SETTLED_NS", 1 << 62)
    keep(line(["--rm"], ["true"]))
    assert not holds(line(["--rm"], ["true"]))


def damage(path: Path, how: str) -> None:
    data = path.read_bytes()
    if how == "another's":
        path.rename(path.with_name("f" * 64))
        path = path.with_name("e" * 64)
    change = {
        "a bit": data[:500] + bytes([data[500] ^ 1]) + data[501:],
        "cut short": data[:-1],
        "longer": data + b"\0",
        "empty": b"",
        "another form": b"NUCPLANS 2 " + data[11:],
    }
    if how in change:
        path.write_bytes(change[how])
    elif how == "a mode":
        path.chmod(0o640)
    elif how == "a second name":
        os.link(path, path.with_name("other"))
    elif how == "a link":
        path.rename(path.with_name("other"))
        path.symlink_to("other")
    elif how == "a pipe":
        path.unlink()
        os.mkfifo(path, 0o600)
    elif how == "an open directory":
        path.parent.chmod(0o750)


@pytest.mark.parametrize(
    "how",
    ["a bit", "cut short", "longer", "empty", "another form", "a mode", "a second name", "a link", "a pipe",
     "an open directory"],
)  # fmt: skip
def test_a_damaged_entry_is_passed_over_and_made_again(how: str, world: Path) -> None:
    argv = line(["--rm"], ["true"])
    keep(argv)
    damage(entry(world), how)
    assert not holds(argv)
    keep(argv)
    assert holds(argv) or how in ("an open directory", "a pipe")


def test_an_entry_under_the_name_of_another_is_passed_over(world: Path) -> None:
    """Whoever may rename it is its owner, but a name that does not fit is a sign of damage."""
    argv, other = line(["--rm"], ["true"]), line([], ["true"])
    keep(argv)
    place = entry(world).with_name(again.Asked(other).key(0))
    entry(world).rename(place)
    assert not holds(other) and not holds(argv)


def test_an_entry_of_somebody_else_is_passed_over(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(line(["--rm"], ["true"]))
    name = entry(world).name
    plans = Plans(str(world / "state"))
    assert plans.load(name)
    real = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: real + 1)
    assert plans.load(name) is None
    plans.close()
    with pytest.raises(NucleusError):
        Plans(str(world / "state"))


@pytest.mark.parametrize("error", [28, 30, 13])
def test_where_nothing_can_be_written_the_start_goes_on(
    error: int, world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    argv = line(["--rm"], ["true"])
    long_way(argv, keep=1)

    def refused(*_: Any, **__: Any) -> int:
        raise OSError(error, os.strerror(error))

    spec = parse_run(argv)
    made = prepare.prepare(spec, reporter=("a",))
    asked = _with_keys(again.Asked(argv), argv)
    assert asked is not None
    monkeypatch.setattr(os, "open", refused)
    remember.remember(asked, made, spec, None if spec.rm else run.kept(spec))
    monkeypatch.undo()
    made.discard()


def test_switched_off_nothing_is_kept_or_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    argv = line(["--rm"], ["true"])
    keep(argv)
    started: list[object] = []
    monkeypatch.setattr(again, "_launch", lambda *a: started.append(a))
    assert again.start_again(argv) is not None
    assert len(started) == 1
    monkeypatch.setenv("NUCLEUS_PLAN_CACHE", "0")
    assert again.start_again(argv) is None
    assert len(started) == 1


def test_a_start_that_fails_leaves_nothing_and_goes_the_long_way(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    argv = line(["--name", "named"], ["true"])
    keep(argv)
    before = len(os.listdir("/proc/self/fd"))

    def fails(*_: object) -> None:
        raise OSError(5, "input/output error")

    monkeypatch.setattr(again.launcher, "replace", fails)
    assert isinstance(again.start_again(argv), again.Asked)
    assert os.listdir(world / "state/containers") == os.listdir(world / "state/names") == []
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_directory_among_the_streams_is_for_the_long_way_to_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    argv = line(["--rm"], ["true"])
    keep(argv)
    saved, folder = os.dup(0), os.open("/", os.O_RDONLY)
    os.dup2(folder, 0)
    try:
        assert not holds(argv)
    finally:
        os.dup2(saved, 0)
        os.close(saved)
        os.close(folder)
