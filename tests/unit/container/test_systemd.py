"""Which manager runs a detached container, and what it is asked."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest
from rows import every_row

from nucleus.base.errors import Conflict, HostUnsupported, LaunchError, NucleusError, Problem, SpecError
from nucleus.cgroup import tree
from nucleus.container import systemd
from nucleus.host.facts import HostFacts, Identity, Kernel, Systemd
from nucleus.observe import journal
from nucleus.spec.container import ContainerSpec

ID = "0123456789ab" + "0" * 20
PLAIN = ContainerSpec(command=("true",), detach=True)


@pytest.fixture(autouse=True)
def systemd_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    program = tmp_path / "systemd-run"
    program.touch(0o755)
    monkeypatch.setattr(tree, "SYSTEMD_RUN", (str(program),))
    monkeypatch.setattr(journal, "is_readable", lambda uid: True)
    return program


def facts(uid: int, *, system: bool = False, user: bool = False) -> HostFacts:
    return HostFacts(
        kernel=Kernel(release="6.18.0", version=(6, 18), arch="x86_64", landlock_abi=7),
        identity=Identity(uid=uid, gid=uid, name="", home="/"),
        systemd=Systemd(system=system, user=user),
    )


@every_row(
    ("uid", "system", "user", "found"),
    [
        pytest.param(0, True, False, "system", id="root"),
        pytest.param(0, False, True, "", id="root without a system manager"),
        pytest.param(1000, True, True, "user", id="a user with a manager"),
        pytest.param(1000, True, False, "", id="a user without one"),
    ],
)
def test_the_manager_is_the_callers_own(uid: int, system: bool, user: bool, found: str) -> None:
    here = facts(uid, system=system, user=user)
    assert systemd.manager(PLAIN, here) == found
    assert systemd.manager(PLAIN.replace(detach_with="none"), here) == ""
    demanded = PLAIN.replace(detach_with="systemd")
    if found:
        assert systemd.manager(demanded, here) == found
        return
    with pytest.raises(HostUnsupported) as caught:
        systemd.manager(demanded, here)
    assert caught.value.where == "--detach-with" and caught.value.remedy


def test_a_user_who_could_not_read_the_log_gets_files_unless_he_demands_a_unit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(journal, "is_readable", lambda uid: False)
    assert systemd.manager(PLAIN, facts(1000, system=True, user=True)) == ""
    assert systemd.manager(PLAIN.replace(detach_with="systemd"), facts(1000, user=True)) == "user"
    assert systemd.manager(PLAIN, facts(0, system=True)) == "system"


def test_without_systemd_run_there_is_no_unit(systemd_run: Path) -> None:
    systemd_run.unlink()
    assert systemd.manager(PLAIN, facts(0, system=True)) == ""
    with pytest.raises(HostUnsupported):
        systemd.manager(PLAIN.replace(detach_with="systemd"), facts(0, system=True))


def test_descriptors_do_not_reach_a_unit() -> None:
    here, spec = facts(0, system=True), PLAIN.replace(env_fd=5)
    assert systemd.manager(spec, here) == ""
    with pytest.raises(SpecError) as caught:
        systemd.manager(spec.replace(detach_with="systemd"), here)
    assert caught.value.where == "--env-fd" and caught.value.remedy


def test_what_the_manager_is_asked(systemd_run: Path) -> None:
    words = systemd.command(
        "user", ID, PLAIN.replace(name="web", stop_signal=2, stop_timeout_ms=3000), "/state"
    )
    at = words.index("--")
    assert words[:2] == (str(systemd_run), "--user")
    assert {"--collect", "--unit=nucleus-0123456789ab.service", "--service-type=notify"} <= set(words[:at])
    assert {"Delegate=yes", "KillMode=mixed", "KillSignal=2", "TimeoutStopSec=13"} <= set(words[:at])
    assert words[at + 1 : at + 4] == (sys.executable, "-I", "-S")
    assert words[-4:] == ("in-unit", "--root", "/state", ID)
    assert "--user" not in systemd.command("system", ID, PLAIN, "/state")
    assert "KillSignal=15" in systemd.command("system", ID, PLAIN.replace(stop_signal=38), "/state")


@every_row(
    "error",
    [
        HostUnsupported("no", where="a", remedy="b"),
        Conflict("taken", where="--name", remedy="another"),
        LaunchError("cannot", where="step 3 x", remedy="c", exit_code=126),
        SpecError(problems=(Problem(message="one", where="a"), Problem(message="two", remedy="r"))),
    ],
)
def test_an_error_of_the_unit_is_told_as_if_it_were_the_callers(error: NucleusError) -> None:
    told = systemd._told(systemd._as_json(error))
    assert (type(told), str(told), told.exit_code) == (type(error), str(error), error.exit_code)


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_the_manager_is_told_that_all_is_ready(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = str(tmp_path / "notify") if kind == "path" else f"\0nucleus-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(name)
        channel.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", name.replace("\0", "@"))
        systemd.tell_manager("READY=1")
        assert channel.recv(100) == b"READY=1"
    monkeypatch.delenv("NOTIFY_SOCKET")
    systemd.tell_manager("READY=1")
