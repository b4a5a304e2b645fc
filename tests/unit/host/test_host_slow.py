"""The facts that are kept since boot: when they are believed, and when the launcher is asked."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from rows import every_row

from nucleus.host import machine as machine_module
from nucleus.host.machine import Machine
from nucleus.host.slow import FILE, ask_launcher, parse, slow_facts

KEY = "boot/4026531836/6.1/0"


@pytest.fixture
def launcher(tmp_path: Path) -> str:
    """A program that answers like `nucleus-launch probe` and counts how often it was asked."""
    path = tmp_path / "launch"
    count = tmp_path / "asked"
    path.write_text(f'#!/bin/sh\necho x >>{count}\necho "landlock_abi=6 userns=0 openat2=0 said=$1"\n')
    path.chmod(0o755)
    count.write_text("")
    return str(path)


class Runtime:
    """A machine with a runtime directory of its own."""

    def __init__(self, root: Path, launcher: str) -> None:
        self.root, self.launcher = root, launcher
        self.directory = root / ("run" if os.geteuid() == 0 else "rt")
        self.directory.mkdir(mode=0o700)
        self.machine = Machine(str(root), {})

    @property
    def kept(self) -> Path:
        return self.directory / FILE

    def ask(self, *, key: str = KEY, fresh: bool = False) -> int:
        facts = slow_facts(
            self.machine, key=key, runtime_directory="/rt", fresh=fresh, launcher=self.launcher
        )
        return facts.value("landlock_abi")

    @property
    def asked(self) -> int:
        return (self.root / "asked").read_text().count("x")


@pytest.fixture
def runtime(tmp_path: Path, launcher: str) -> Runtime:
    return Runtime(tmp_path, launcher)


def test_the_launcher_is_asked_once_per_boot(runtime: Runtime) -> None:
    assert [runtime.ask(), runtime.ask(), runtime.ask()] == [6, 6, 6]
    assert runtime.asked == 1
    assert runtime.kept.stat().st_mode & 0o777 == 0o600


def test_another_boot_kernel_or_namespace_asks_anew(runtime: Runtime) -> None:
    runtime.ask()
    runtime.ask(key="another/4026531836/6.1/0")
    assert runtime.asked == 2


def test_a_rebuilt_launcher_is_asked_anew(runtime: Runtime) -> None:
    runtime.ask()
    os.utime(runtime.launcher, (1, 1))
    runtime.ask()
    assert runtime.asked == 2


def test_fresh_asks_though_the_answer_is_kept(runtime: Runtime) -> None:
    runtime.ask()
    runtime.ask(fresh=True)
    assert runtime.asked == 2


def test_what_a_sysctl_may_change_is_not_kept(runtime: Runtime) -> None:
    runtime.ask()
    assert "userns=" not in runtime.kept.read_text() and "openat2=0" in runtime.kept.read_text()


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_may_write_is_not_believed(runtime: Runtime, mode: int) -> None:
    runtime.ask()
    forged = runtime.kept.read_text().replace("landlock_abi=6", "landlock_abi=0")
    runtime.kept.write_text(forged)
    runtime.kept.chmod(mode)
    assert runtime.ask() == 6


def test_a_link_or_a_second_name_is_not_believed(runtime: Runtime) -> None:
    runtime.ask()
    forged = runtime.root / "forged"
    forged.write_text(runtime.kept.read_text().replace("landlock_abi=6", "landlock_abi=0"))
    forged.chmod(0o600)
    runtime.kept.unlink()
    runtime.kept.symlink_to(forged)
    assert runtime.ask() == 6
    runtime.kept.unlink()
    os.link(forged, runtime.kept)
    assert runtime.ask() == 6


def test_a_pipe_in_its_place_does_not_block(runtime: Runtime) -> None:
    os.mkfifo(runtime.kept, 0o600)
    assert runtime.ask() == 6


def test_nothing_is_kept_where_others_may_write(runtime: Runtime) -> None:
    runtime.directory.chmod(0o777)
    assert runtime.ask() == 6
    assert not runtime.kept.exists()


def test_what_cannot_be_kept_is_no_failure(runtime: Runtime) -> None:
    runtime.kept.mkdir()
    assert [runtime.ask(), runtime.ask()] == [6, 6]


def test_keeping_leaves_one_name_only(runtime: Runtime) -> None:
    runtime.ask()
    runtime.ask(fresh=True)
    assert [p.name for p in runtime.directory.iterdir()] == [FILE]


@every_row(
    ("text", "name", "value"),
    [
        pytest.param("landlock_abi=7 userns=1", "userns", 1, id="plain"),
        pytest.param("idmap=-1", "idmap", -1, id="unknown"),
        pytest.param("a=b c= =d ==1 x=--1", "a", -1, id="garbage"),
        pytest.param("x=١", "x", -1, id="digits of another script"),
    ],
)
def test_only_numbers_are_taken(text: str, name: str, value: int) -> None:
    assert parse(text).value(name) == value


def test_a_launcher_that_is_absent_or_fails_says_nothing(tmp_path: Path) -> None:
    assert not ask_launcher(str(tmp_path / "none"))
    assert not ask_launcher("/bin/false")


def test_a_program_that_does_not_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_module, "_ANSWER_MS", 50)
    assert machine_module.output_of(["/bin/sleep", "60"], {}) == ""


def test_a_program_sees_only_the_environment_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "x")
    seen = machine_module.output_of(["/usr/bin/env"], {"XDG_RUNTIME_DIR": "/run"})
    assert seen == "XDG_RUNTIME_DIR=/run\n"


def test_an_endless_answer_is_cut(tmp_path: Path) -> None:
    endless = tmp_path / "endless"
    endless.write_text("#!/bin/sh\nexec yes landlock_abi=9\n")
    endless.chmod(0o755)
    assert ask_launcher(str(endless)).value("landlock_abi") == 9


def test_the_probe_imports_nothing_heavy() -> None:
    heavy = "ctypes re json subprocess typing dataclasses enum resource pathlib struct"
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "before = set(sys.modules)\n"
        "from nucleus.host.probe import probe; probe(fresh=True)\n"
        "import nucleus.cgroup.limits, nucleus.cgroup.parent\n"
        f"print(sorted((set(sys.modules) - before) & set({heavy!r}.split())))\n"
    )
    source = str(Path(__file__).parents[3] / "src")
    done = subprocess.run([sys.executable, "-I", "-S", "-c", program, source], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
