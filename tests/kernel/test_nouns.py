"""What the list of nouns (tests/project/nouns.py) needs and no other kernel test proves."""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
from sandboxes import COMMAND, PATIENCE_S, Boxes, wait_until

import nucleus
from nucleus.base.errors import LaunchError

ROOT = pytest.mark.identity("root", "vm-root")
ORDINARY = pytest.mark.identity("user", "nosub", "vm-user")


# ---- documents ----------------------------------------------------------------------------------


def test_a_document_runs_and_flags_replace_its_values(boxes: Boxes) -> None:
    document = boxes.folder / "d.toml"
    document.write_text(
        'command = ["sh", "-c", "echo $A $B; hostname"]\nhostname = "one"\nrm = true\n[env]\nA = "1"\n'
    )
    ran = boxes.cli("run", "--config", str(document), "--env", "B=2", "--hostname", "two")
    assert (ran.code, ran.out) == (0, "1 2\ntwo\n"), ran.err


def test_a_document_may_come_by_descriptor(boxes: Boxes) -> None:
    read, write = os.pipe()
    os.write(write, json.dumps({"command": ["sh", "-c", "ls /proc/self/fd | wc -l"], "rm": True}).encode())
    os.close(write)
    ran = boxes.cli("run", "--config-fd", str(read), pass_fds=(read,))
    os.close(read)
    assert (ran.code, ran.out) == (0, "4\n"), ran.err  # 0, 1, 2 and the directory that ls reads


def test_the_schema_is_that_of_the_documents_that_run(boxes: Boxes) -> None:
    done = subprocess.run([COMMAND, "schema"], capture_output=True, timeout=PATIENCE_S, check=True)
    schema = json.loads(done.stdout)
    assert schema["additionalProperties"] is False and schema["properties"]["command"]["minItems"] == 1


# ---- name, label, record, log ---------------------------------------------------------------------


def test_rm_leaves_nothing_and_without_it_the_record_stays(boxes: Boxes) -> None:
    assert boxes.cli("run", "--rm", "--", "true").code == 0
    assert os.listdir(boxes.root / "containers") == []
    assert boxes.cli("run", "--name", "web", "--", "sh", "-c", "exit 3").code == 3
    assert (boxes.inspect("web")["exit_code"], boxes.inspect("web")["reason"]) == (3, "exit")


def test_ps_and_inspect_print_json_for_programs(boxes: Boxes) -> None:
    boxes.cli("run", "--name", "web", "--label", "team=search", "--label", "x=", "--", "true")
    (line,) = boxes.cli("ps", "-a", "--format", "json").out.splitlines()
    (known,) = json.loads(boxes.cli("inspect", "web").out)
    assert json.loads(line) | {"live": None, "workspace": None} == known, (
        "ps looks at no cgroup and no workspace"
    )
    assert known["labels"] == {"team": "search", "x": ""} and known["status"] == "stopped"
    assert boxes.cli("ps", "-aq").out.split() in ([], [known["id"]]) and boxes.cli("ps").out.count("\n") == 1


def test_the_log_file_is_appended_to_and_private(boxes: Boxes) -> None:
    log = boxes.folder / "log"
    for _ in range(2):
        ran = boxes.cli("run", "--rm", "--log", str(log), "--", "no-such-program")
        assert ran.code == 127
    assert log.read_text() == ran.err * 2
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_the_service_mode_is_in_the_record(boxes: Boxes) -> None:
    boxes.cli("run", "--name", "web", "--service-mode", "agent", "--", "true")
    assert boxes.inspect("web")["mode"] == "agent"


# ---- the world inside -----------------------------------------------------------------------------


def test_tmp_is_everybody_s_and_home_is_private(boxes: Boxes) -> None:
    result = boxes.run("--", "sh", "-c", "stat -c '%a %u' /tmp /home/agent; cd; pwd; ls -A | wc -l; id -u")
    tmp, home, place, count, uid = result.out.splitlines()
    assert tmp.startswith("1777 ") and home == f"700 {uid}"
    assert (place, count) == ("/home/agent", "0")


def test_terminals_can_be_made_inside(boxes: Boxes) -> None:
    script = "import os; m, s = os.openpty(); os.write(s, b'x'); print(os.ttyname(s), os.read(m, 1))"
    result = boxes.run("--", "/usr/bin/python3", "-c", script)
    assert result.out == "/dev/pts/0 b'x'\n", result.err


def test_targets_are_made_however_deep_they_lie(boxes: Boxes) -> None:
    file = boxes.folder / "f"
    file.write_text("deep\n")
    flags = (
        "--volume",
        f"{file}:/a/b/c/d:ro",
        "--tmpfs",
        "/x/y/z",
        "--volume",
        f"{boxes.directory('v')}:/x/y/z/v",
    )
    result = boxes.run(*flags, "--", "sh", "-c", "cat /a/b/c/d; ls /x/y/z; touch /a/b/new")
    assert result.out == "deep\nv\n" and "Read-only" in result.err


@ORDINARY
def test_explicit_id_maps_are_those_inside(boxes: Boxes) -> None:
    uid, gid = os.geteuid(), os.getegid()
    flags = ("--uidmap", f"7:{uid}:1", "--gidmap", f"8:{gid}:1", "--user", "7:8")
    result = boxes.run(*flags, "--", "sh", "-c", "id -u; id -g; cat /proc/self/uid_map")
    assert result.out.split() == ["7", "8", "7", str(uid), "1"], result.err


@ROOT
def test_root_maps_no_ids_by_hand(boxes: Boxes) -> None:
    ran = boxes.cli("run", "--uidmap", "0:0:1", "--gidmap", "0:0:1", "--", "true")
    assert ran.code == 125 and ran.err.startswith("nucleus: --uidmap: ")


# ---- limits ---------------------------------------------------------------------------------------


def written_limits(boxes: Boxes, *flags: str) -> dict[str, str]:
    """Name → content of the files in the cgroups of a running container."""
    process = boxes.start("--name", "web", *flags, "--", "sleep", "600")
    try:
        wait_until(
            lambda: (boxes.root / "names/web").is_symlink() and boxes.inspect("web")["status"] == "running"
        )
        found = {}
        for directory in boxes.inspect("web")["cgroups"]:
            for path in Path(directory).iterdir():
                if path.name.startswith(("memory.", "cpu.", "io.max", "blkio.throttle", "pids.max")):
                    try:
                        found[path.name] = path.read_text().strip()
                    except OSError:
                        continue  # some are written to only
        return found
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE_S)


@ROOT
def test_swap_and_weight_are_the_kernel_s(boxes: Boxes) -> None:
    files = written_limits(
        boxes, "--memory", "64M", "--memory-swap", "16M", "--cpu-weight", "50", "--pids", "33"
    )
    assert files["pids.max"] == "33"
    if "memory.max" in files:  # cgroup v2
        assert files["memory.max"] == str(64 << 20) and files["cpu.weight"] == "50"
        assert files.get("memory.swap.max", str(16 << 20)) == str(16 << 20)
    else:
        assert files["memory.limit_in_bytes"] == str(64 << 20) and files["cpu.shares"] == "512"
        assert files.get("memory.memsw.limit_in_bytes", str(80 << 20)) == str(80 << 20)


def whole_disk() -> str:
    """MAJ:MIN of a block device of this machine."""
    return next(p.read_text().strip() for p in sorted(Path("/sys/block").glob("*/dev")))


@ROOT
def test_a_device_is_throttled_by_the_kernel(boxes: Boxes) -> None:
    disk = whole_disk()
    files = written_limits(boxes, "--io-limit", f"{disk} rbps=1M wiops=50")
    if "io.max" in files:
        assert f"{disk} rbps=1048576" in files["io.max"] and "wiops=50" in files["io.max"]
    else:
        assert files["blkio.throttle.read_bps_device"] == f"{disk} 1048576"
        assert files["blkio.throttle.write_iops_device"] == f"{disk} 50"


# ---- around ---------------------------------------------------------------------------------------


def test_explain_tells_the_plan_in_three_forms_and_runs_nothing(boxes: Boxes) -> None:
    flags = ("--hostname", "h", "--", "touch", "/tmp/x")
    text = boxes.cli("explain", *flags).out
    document: dict[str, Any] = json.loads(boxes.cli("explain", "--format", "json", *flags).out)
    raw = boxes.cli("explain", "--raw", *flags).out
    assert "set the host name h  [hostname]" in text and "execute touch /tmp/x" in text
    assert {"step", "origin", "actor", "phase", "fields"} <= set(document["steps"][0])
    names = [line.split(" ")[1] for line in raw.splitlines()[1:]]
    assert names == [s["step"] for s in document["steps"]]
    assert text.count("\n") > len(names) and os.listdir(boxes.root / "containers") == []


def test_doctor_judges_this_machine_in_words_and_as_json(boxes: Boxes) -> None:
    text = subprocess.run(
        [COMMAND, "doctor"], capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    told = subprocess.run(
        [COMMAND, "doctor", "--format", "json"],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert (text.returncode, told.returncode) == (0, 0), text.stdout
    assert json.loads(told.stdout) and "remedy" in told.stdout


def test_the_library_runs_a_command_and_gives_its_result(boxes: Boxes) -> None:
    result = nucleus.run(["sh", "-c", "cat; echo err >&2; exit 4"], root=str(boxes.root), stdin=b"in")
    assert (result.exit_code, result.out, result.err, result.reason) == (4, "in", "err\n", "exit")
    again = nucleus.Sandbox.once(["hostname"], root=str(boxes.root), hostname="here")
    assert again.ok and again.out == "here\n" and again.duration_s > 0


def test_the_library_raises_only_when_there_was_no_sandbox(boxes: Boxes) -> None:
    with pytest.raises(LaunchError) as caught:
        nucleus.run(["no-such-program"], root=str(boxes.root))
    assert (caught.value.exit_code, caught.value.where, caught.value.errno) == (127, "command", 2)
    with pytest.raises(LaunchError, match="exit code 5"):
        nucleus.run(["sh", "-c", "exit 5"], root=str(boxes.root), check=True)
    assert os.listdir(boxes.root / "containers") == []


def test_the_library_hands_output_on_as_it_comes(boxes: Boxes) -> None:
    seen, signs = io.BytesIO(), boxes.directory("signs")

    def on_stdout(data: bytes) -> None:
        seen.write(data)
        (signs / "seen").touch()

    script = "echo one; until test -e /signs/seen; do sleep 0.02; done; echo two"
    result = nucleus.run(
        ["sh", "-c", script], root=str(boxes.root), on_stdout=on_stdout, volume=[f"{signs}:/signs:ro"], timeout="2m",
    )  # fmt: skip
    assert seen.getvalue() == result.stdout == b"one\ntwo\n"
