"""Policy files bind: each layer does what its file says, and one byte of another file stops the launch."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from sandboxes import Boxes, Ran, python

from nucleus.host.probe import probe
from nucleus.policy.seccomp_default import DEFAULT
from nucleus.policy.seccomp_rules import ALLOW

EVERYWHERE = pytest.mark.identity("root", "user", "nosub", "nested", "vm-root", "vm-user")
pytestmark = EVERYWHERE

# As container engines write their profiles: what the built-in one allows, in the file form.
COMMON = sorted({name for rule in DEFAULT.rules if rule.action == ALLOW for name in rule.calls})


def write(boxes: Boxes, name: str, text: str) -> str:
    path = boxes.folder / name
    path.write_text(text)
    path.chmod(0o644)
    return str(path)


def profile(boxes: Boxes, *rules: dict[str, Any], default: str = "SCMP_ACT_ERRNO", **more: Any) -> str:
    return write(boxes, "p.json", json.dumps({"defaultAction": default, "syscalls": list(rules), **more}))


def allow(*names: str) -> dict[str, Any]:
    return {"names": list(names), "action": "SCMP_ACT_ALLOW"}


def run(boxes: Boxes, flags: tuple[str, ...], *words: str) -> Ran:
    return boxes.cli("run", "--rm", *flags, "--", *words)


def sha(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def test_a_profile_from_a_file_decides_call_by_call(boxes: Boxes) -> None:
    file = profile(
        boxes,
        {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28},
        {"names": ["kill"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1,
         "args": [{"index": 1, "value": 10, "op": "SCMP_CMP_EQ"}]},
        allow(*[n for n in COMMON if n not in ("mkdir", "mkdirat")]),
    )  # fmt: skip
    script = "mkdir /tmp/x; trap : USR2; kill -USR2 $$ && echo 12; kill -USR1 $$ || echo no 10"
    ran = run(boxes, ("--seccomp-profile", file), "sh", "-c", script)
    assert "No space left on device" in ran.err
    assert ran.out == "12\nno 10\n" and ran.code == 0, ran.err


def test_a_profile_may_kill_and_the_result_says_by_which_signal(boxes: Boxes) -> None:
    deny = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_KILL_PROCESS"}
    file = profile(boxes, deny, allow(*[n for n in COMMON if n not in deny["names"]]))
    assert run(boxes, ("--seccomp-profile", file), "mkdir", "/tmp/x").code == 128 + 31


def test_no_profile_opens_what_leads_out(boxes: Boxes) -> None:
    file = profile(boxes, default="SCMP_ACT_ALLOW")
    names = "unshare_user clone_user setns tiocsti tiocsti_high tioclinux keyctl add_key request_key"
    (lines,) = boxes.probe(f"try {names}", flags=("--seccomp-profile", file))
    assert {line.split()[1] for line in lines} == {"EPERM"}, lines
    assert len(lines) == 9


def test_one_byte_of_another_file_stops_the_launch_before_anything_runs(boxes: Boxes) -> None:
    work = boxes.directory("work")
    files = {
        "--seccomp-profile": profile(boxes, allow(*COMMON)),
        "--landlock-policy": write(boxes, "l.toml", LANDLOCK),
        "--caps-policy": write(boxes, "c.toml", '[ambient]\nkeep = ["NET_BIND_SERVICE"]\n'),
    }
    pinned = tuple(w for flag, f in files.items() for w in (flag, f, f"{flag}-sha256", sha(f)))
    words = ("sh", "-c", "echo ran >>/workspace/out")
    flags = ("--workspace", str(work), *pinned)
    assert run(boxes, flags, *words).code == 0
    for flag, file in files.items():
        path = Path(file)
        data = path.read_bytes()
        path.write_bytes(data + b" ")
        ran = run(boxes, flags, *words)
        path.write_bytes(data)
        assert ran.code == 125 and f"{flag}-sha256" in ran.err, ran.err
    assert (work / "out").read_text() == "ran\n"


# What is tried here is held since the first Landlock.
LANDLOCK = """
min_abi = 1
[[rules]]
path = "/"
access = ["read_dir"]
[[rules]]
path = "/usr"
access = ["read", "execute"]
[[rules]]
path = "/etc/passwd"
access = ["read"]
[[rules]]
path = "/dev/null"
access = ["read", "write"]
[[rules]]
path = "/workspace"
access = ["read", "write", "create"]
[[rules]]
path = "/nowhere"
access = ["read"]
optional = true
"""


def test_a_landlock_policy_holds_where_the_mounts_would_let_it(boxes: Boxes) -> None:
    work = boxes.directory("work")
    file = write(boxes, "l.toml", LANDLOCK)
    script = (
        "cat /etc/passwd >/dev/null && echo read; cat /etc/group || echo no group; echo x >/workspace/new && echo made;"
        " rm /workspace/new || echo kept; echo x >/tmp/x || echo no tmp"
    )
    ran = run(boxes, ("--landlock-policy", file, "--workspace", str(work)), "sh", "-c", script)
    assert ran.out == "read\nno group\nmade\nkept\nno tmp\n", ran.err
    assert (work / "new").exists()


def test_a_path_that_does_not_exist_stops_the_launch_unless_it_is_optional(boxes: Boxes) -> None:
    file = write(boxes, "l.toml", LANDLOCK.replace("optional = true", ""))
    ran = run(boxes, ("--landlock-policy", file), "true")
    assert ran.code == 125 and "/nowhere" in ran.err


PORTS = """
import socket
def ask(port):
    with socket.socket() as s:
        try: s.bind(("127.0.0.1", port)); return "bound"
        except OSError as error: return error.strerror
print(ask(8080), ask(8081))
"""


def test_a_landlock_policy_decides_about_ports(boxes: Boxes) -> None:
    files = '[[rules]]\npath = "/"\naccess = ["read", "execute"]\n'
    file = write(boxes, "l.toml", "[net]\nbind_tcp = [8080]\n" + files)
    ran = run(boxes, ("--landlock-policy", file), python(), "-I", "-S", "-c", PORTS)
    if probe().kernel.landlock_abi < 4:
        assert ran.code == 125 and "ABI 4" in ran.err
        return
    assert ran.out == "bound Permission denied\n", ran.err


STATUS = "grep -E '^Cap(Inh|Prm|Eff|Bnd|Amb)' /proc/self/status | cut -f2 | sort -u"


def test_a_capability_policy_keeps_what_it_names_and_nothing_else(boxes: Boxes) -> None:
    file = write(boxes, "c.toml", '[ambient]\nkeep = ["NET_BIND_SERVICE"]\n')
    ran = run(boxes, ("--caps-policy", file), "sh", "-c", STATUS)
    assert ran.out == f"{1 << 10:016x}\n", ran.err
    bind = "import socket; socket.socket().bind(('127.0.0.1', 80)); print('bound')"
    assert run(boxes, ("--caps-policy", file), python(), "-I", "-S", "-c", bind).out == "bound\n"
    refused = run(boxes, (), python(), "-I", "-S", "-c", bind)
    assert refused.code == 1 and "Permission denied" in refused.err


def test_who_enters_is_held_to_the_same_policies(boxes: Boxes) -> None:
    flags = (
        "--caps-policy", write(boxes, "c.toml", '[ambient]\nkeep = ["NET_BIND_SERVICE"]\n'),
        "--seccomp-profile", profile(
            boxes, {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28},
            allow(*[n for n in COMMON if n not in ("mkdir", "mkdirat")]),
        ),
    )  # fmt: skip
    started = boxes.cli("run", "-d", "--name", "box", *flags, "--", "sleep", "600")
    assert started.code == 0, started.err
    ran = boxes.cli("exec", "box", "--", "sh", "-c", f"{STATUS}; mkdir /tmp/x")
    assert ran.out == f"{1 << 10:016x}\n" and "No space left" in ran.err
    assert boxes.inspect("box")["capabilities"] == ("CAP_NET_BIND_SERVICE",)
    assert boxes.cli("rm", "-f", "box").code == 0


def test_explain_names_the_file_s_option_beside_each_of_its_steps(boxes: Boxes) -> None:
    file = write(boxes, "l.toml", LANDLOCK)
    told = boxes.cli("explain", "--format", "json", "--landlock-policy", file, "--", "true")
    assert told.code == 0, told.err
    steps = [s for s in json.loads(told.out)["steps"] if s["origin"] == "landlock_policy"]
    assert len(steps) == 2 + LANDLOCK.count("[[rules]]")
