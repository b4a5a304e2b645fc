"""Findings: each trouble is named, and the remedy is the one command for this caller."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from machines import ALL_CAPS, PROC, ROOT, SYS, UNIFIED, FakeMachine, machine
from rows import every_row

from nucleus.base.errors import SpecError
from nucleus.cli import doctor as command
from nucleus.host.doctor import CgroupOutlook, Finding, apparmor_profile, findings, free_range, ready
from nucleus.host.facts import DEVICES, HostFacts, HostPath, IdRange, Kernel
from nucleus.host.probe import probe, with_subordinate_ids
from nucleus.host.tools import probe_tools

OUTLOOK = CgroupOutlook(kind="own", controllers=("memory", "cpu", "pids"), reason="own")


def healthy(seen: FakeMachine) -> HostFacts:
    """The facts with what the fake tree cannot hold: device nodes and a launcher that answers."""
    seen.attributes["/usr/bin/newuidmap", "security.capability"] = b"1"
    seen.attributes["/usr/bin/newgidmap", "security.capability"] = b"1"
    for name in ("newuidmap", "newgidmap"):
        (Path(seen.root) / "usr/bin" / name).touch(0o755)
    facts = with_subordinate_ids(probe(machine=seen), seen)
    devices = tuple(HostPath(path=f"/dev/{n}", kind="device", number=(1, 3)) for n in DEVICES)
    return facts.replace(
        kernel=facts.kernel.replace(landlock_abi=7),
        files=facts.files.replace(devices=devices),
        user_namespaces=facts.user_namespaces.replace(attempt=0),
    )


def report(facts: HostFacts, outlook: CgroupOutlook = OUTLOOK) -> dict[str, Finding]:
    return {f.name: f for f in findings(facts, (), outlook)}


def test_a_good_host_is_ready_and_needs_nothing(tmp_path: Path) -> None:
    found = report(healthy(machine(tmp_path)))
    assert {f.name: f.remedy for f in found.values() if f.status != "ok"} == {}
    assert ready(tuple(found.values()))


@pytest.mark.parametrize(
    ("files", "name", "remedy"),
    [
        pytest.param(
            {SYS + "kernel/unprivileged_userns_clone": "0"},
            "user namespaces", "sudo sysctl -w kernel.unprivileged_userns_clone=1", id="Debian's switch",
        ),
        pytest.param(
            {SYS + "kernel/apparmor_restrict_unprivileged_userns": "1"},
            "user namespaces",
            "nucleus doctor --apparmor-profile | sudo tee /etc/apparmor.d/nucleus-launch"
            " | sudo apparmor_parser --replace",
            id="Ubuntu's AppArmor restriction",
        ),
        pytest.param(
            {SYS + "user/max_user_namespaces": "0"},
            "user namespaces", "sudo sysctl -w user.max_user_namespaces=15000", id="limit 0",
        ),
        pytest.param(
            {"/proc/self/mountinfo": f"{ROOT}\n{PROC}\n5 22 0:5 /null /proc/kcore rw - devtmpfs d rw"},
            "proc",
            "start the outer container with --security-opt systempaths=unconfined (podman: unmask=ALL)",
            id="nested container with a masked proc",
        ),
        pytest.param(
            {SYS + "kernel/seccomp/actions_avail": "kill_thread allow"},
            "seccomp", "boot a kernel built with CONFIG_SECCOMP_FILTER", id="no seccomp filter",
        ),
        pytest.param(
            {SYS + "vm/memfd_noexec": "2"},
            "sealed init", "sudo sysctl -w vm.memfd_noexec=1", id="memfd_noexec",
        ),
    ],
)  # fmt: skip
def test_what_stops_a_sandbox_is_missing_and_has_one_remedy(
    tmp_path: Path, files: dict[str, str], name: str, remedy: str
) -> None:
    found = report(healthy(machine(tmp_path, files=files)))
    assert (found[name].status, found[name].remedy) == ("missing", remedy)
    assert not ready(tuple(found.values()))


@pytest.mark.parametrize("sysctl", ["unprivileged_userns_clone", "apparmor_restrict_unprivileged_userns"])
def test_root_is_not_held_up_by_rules_for_users(tmp_path: Path, sysctl: str) -> None:
    value = "0" if "clone" in sysctl else "1"
    root = machine(tmp_path, uid=0, caps=ALL_CAPS, files={SYS + "kernel/" + sysctl: value})
    assert report(healthy(root))["user namespaces"].status == "ok"


def test_a_loaded_apparmor_profile_is_seen_by_the_real_attempt(tmp_path: Path) -> None:
    facts = healthy(machine(tmp_path, files={SYS + "kernel/apparmor_restrict_unprivileged_userns": "1"}))
    facts = facts.replace(user_namespaces=facts.user_namespaces.replace(attempt_capable=0))
    assert report(facts)["user namespaces"].status == "ok"


@pytest.mark.parametrize(
    ("errno", "word"), [(1, "seccomp"), (13, "security module"), (28, "limit"), (38, "kernel")]
)
def test_a_refused_attempt_is_explained(tmp_path: Path, errno: int, word: str) -> None:
    facts = healthy(machine(tmp_path))
    facts = facts.replace(user_namespaces=facts.user_namespaces.replace(attempt=errno))
    found = report(facts)["user namespaces"]
    assert found.status == "missing" and word in found.detail


@pytest.mark.parametrize(
    ("kernel", "name", "status"),
    [
        pytest.param({"landlock_abi": 0}, "Landlock", "missing", id="no Landlock"),
        pytest.param({"landlock_abi": 2}, "Landlock", "degraded", id="Landlock without TCP"),
        pytest.param({"landlock_abi": -1}, "launcher", "missing", id="no launcher"),
        pytest.param({"version": (5, 4)}, "kernel", "missing", id="old kernel"),
        pytest.param({"missing_calls": ("openat2",)}, "kernel", "missing", id="call refused"),
    ],
)
def test_the_kernel_s_offer_is_judged(
    tmp_path: Path, kernel: dict[str, object], name: str, status: str
) -> None:
    facts = healthy(machine(tmp_path))
    changed: Kernel = facts.kernel.replace(**kernel)
    assert report(facts.replace(kernel=changed))[name].status == status


def test_a_user_without_subordinate_ids_runs_with_less(tmp_path: Path) -> None:
    files = {"/etc/subuid": "bob:100000:65536\n", "/etc/subgid": "bob:100000:65536\n"}
    found = report(healthy(machine(tmp_path, files=files)))
    assert found["subordinate ids"].status == "degraded"
    span = "165536-231071"
    assert found["subordinate ids"].remedy == f"sudo usermod --add-subuids {span} --add-subgids {span} ann"
    assert ready(tuple(found.values()))


def test_a_user_without_newuidmap_is_told_the_package(tmp_path: Path) -> None:
    facts = healthy(machine(tmp_path))
    assert facts.subordinate is not None
    facts = facts.replace(subordinate=facts.subordinate.replace(newuidmap=None))
    found = report(facts)["id-map helpers"]
    assert (found.status, found.remedy) == ("degraded", "sudo apt install uidmap")


def test_a_helper_without_rights_is_named(tmp_path: Path) -> None:
    facts = healthy(machine(tmp_path))
    assert facts.subordinate is not None and facts.subordinate.newgidmap is not None
    weak = facts.subordinate.newgidmap.replace(privileged=False)
    facts = facts.replace(subordinate=facts.subordinate.replace(newgidmap=weak))
    assert report(facts)["id-map helpers"].remedy == "sudo chmod u+s /usr/bin/newgidmap"


def test_the_next_free_block_overlaps_nothing() -> None:
    taken = (
        IdRange(start=100000, count=65536),
        IdRange(start=165536, count=1),
        IdRange(start=300000, count=5),
    )
    assert free_range(taken).start == 100000 + 2 * 65536
    assert free_range((*taken, IdRange(start=296000, count=1))).start == 100000 + 4 * 65536


def test_undelegated_cgroups_degrade_and_tell_how(tmp_path: Path) -> None:
    seen = machine(tmp_path, files={"/run/user/1000/systemd/": ""})
    (tmp_path / "run/user/1000/systemd/private").unlink()
    facts = healthy(seen)
    found = report(facts, command.cgroup_outlook(facts))["cgroups"]
    assert (found.status, found.remedy) == ("degraded", "loginctl enable-linger ann")


def test_a_user_manager_promises_a_scope(tmp_path: Path) -> None:
    facts = healthy(machine(tmp_path))
    found = report(facts, command.cgroup_outlook(facts))["cgroups"]
    assert found.status == "ok" and "scope" in found.detail


def test_optional_programs_never_decide(tmp_path: Path) -> None:
    seen = machine(tmp_path, files={"/usr/bin/criu": "#!"})
    (tmp_path / "usr/bin/criu").chmod(0o755)
    found = findings(healthy(seen), probe_tools(seen), OUTLOOK)
    by_name = {f.name: f for f in found}
    assert by_name["criu"].detail == "/usr/bin/criu"
    assert by_name["nft"].remedy == "sudo apt install nftables" and ready(found)


def test_root_finds_programs_without_path(tmp_path: Path) -> None:
    seen = machine(tmp_path, uid=0, files={"/evil/nft": "#!"})
    (tmp_path / "evil/nft").chmod(0o755)
    seen.environ = {"PATH": "/evil"}
    assert {t.name: t.path for t in probe_tools(seen)}["nft"] == ""
    seen.euid = 1000
    assert {t.name: t.path for t in probe_tools(seen)}["nft"] == "/evil/nft"


def test_the_command_s_answer_and_exit_status_agree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    facts = healthy(machine(tmp_path))
    for abi, status in ((7, 0), (0, 1)):
        kernel = facts.kernel.replace(landlock_abi=abi)
        monkeypatch.setattr(command, "probe", lambda fresh, k=kernel: facts.replace(kernel=k))
        assert command.main(["--format=json"]) == status
        assert json.loads(capsys.readouterr().out)["ready"] is (status == 0)
        assert command.main([]) == status
        assert ("can run here as ann" in capsys.readouterr().out) is (status == 0)


@every_row("argv", [["--format"], ["--format", "xml"], ["--formt=json"], ["more"]])
def test_a_wrong_argument_is_a_spec_error_with_a_remedy(argv: list[str]) -> None:
    with pytest.raises(SpecError) as caught:
        command.main(argv)
    assert caught.value.where.startswith("doctor") and caught.value.remedy


def test_the_profile_names_the_launcher_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--apparmor-profile"]) == 0
    assert '/libexec/nucleus-launch" flags=(unconfined)' in capsys.readouterr().out
    assert "userns," in apparmor_profile("/x/nucleus-launch")


def test_the_report_of_this_machine_names_every_layer() -> None:
    facts = probe(fresh=True)
    names = {f.name for f in findings(facts, probe_tools(), command.cgroup_outlook(facts))}
    assert {"kernel", "launcher", "user namespaces", "Landlock", "seccomp", "cgroups", "nft"} <= names


def test_a_host_with_only_cgroup2_mounted_in_part_is_reported(tmp_path: Path) -> None:
    files = {"/proc/self/mountinfo": "\n".join([ROOT, PROC, UNIFIED.replace(" / ", " /elsewhere ")])}
    facts = healthy(machine(tmp_path, files=files))
    assert report(facts, command.cgroup_outlook(facts))["cgroups"].status == "degraded"


@pytest.mark.parametrize(
    ("mode", "detail"),
    [
        pytest.param("", None, id="no such module"),
        pytest.param("none", None, id="off"),
        pytest.param(
            "integrity", "integrity: nobody, root included, changes the running kernel", id="integrity"
        ),
        pytest.param(
            "confidentiality",
            "confidentiality: nobody, root included, changes the running kernel or reads its memory",
            id="confidentiality",
        ),
    ],
)
def test_a_locked_kernel_is_told_and_stops_nobody(tmp_path: Path, mode: str, detail: str | None) -> None:
    facts = healthy(machine(tmp_path))
    found = report(facts.replace(kernel=facts.kernel.replace(lockdown=mode)))
    told = found.get("kernel lockdown")
    assert (told.detail if told else None) == detail and ready(tuple(found.values()))
