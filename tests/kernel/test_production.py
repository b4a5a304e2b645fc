"""A real service in mode production, everything about it pinned: it lives, and each single tampering stops it first."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sandboxes import COMMAND, PATIENCE_S, Boxes, wait_until

from nucleus.policy.seccomp_default import DEFAULT
from nucleus.policy.seccomp_rules import ALLOW

# Only root has directories that nobody else can change; in guests there is no PostgreSQL.
pytestmark = pytest.mark.identity("root")

TOOLS = ("sh", "cat", "echo", "mkdir", "chmod", "id")
SERVER = ("postgres", "initdb", "psql", "pg_isready", "pg_ctl")
START = """
set -e
export PATH=/usr/lib/pg/bin:/bin:/usr/bin LC_ALL=C
echo started >>/workspace/trace
if [ ! -d /workspace/db ]; then
  initdb --pgdata=/workspace/db --username=app --pwfile=/run/secrets/password --auth=scram-sha-256 \\
    --no-sync --locale=C >/workspace/log 2>&1
fi
cat /context/tuning.conf >>/workspace/db/postgresql.conf
exec postgres -D /workspace/db -k /tmp -c listen_addresses=127.0.0.1 -c fsync=off -c logging_collector=off
"""
ASK = "PGPASSWORD=$(cat /run/secrets/password) /usr/lib/pg/bin/psql -h 127.0.0.1 -U app -d postgres -Atc"
LANDLOCK = """
[net]
bind_tcp = [5432]
connect_tcp = [5432]
[[rules]]
path = "/"
access = ["read_dir"]
"""
READ_EXECUTE, READ = ("/usr", "/bin", "/lib", "/lib64"), ("/etc", "/proc", "/run/secrets", "/context")
WRITTEN = ("/workspace", "/tmp", "/dev/shm")


def _libraries(path: Path) -> list[str]:
    listed = subprocess.run(["ldd", str(path)], capture_output=True, text=True, check=False).stdout
    return [word for word in listed.split() if word.startswith("/")]


def _copy(source: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    if not place.exists():
        shutil.copy(source, place)


def _closure(folder: Path) -> None:
    """The server, its extensions and data, the few tools it calls, and every library that any of them needs."""
    (home,) = sorted(Path("/usr/lib/postgresql").glob("*"))[-1:]
    programs = [(Path(shutil.which(name) or ""), folder / "bin" / name) for name in TOOLS]
    programs += [(home / "bin" / name, folder / "usr/lib/pg/bin" / name) for name in SERVER]
    programs += [(path, folder / "usr/lib/pg/lib" / path.name) for path in (home / "lib").glob("*.so")]
    for source, place in programs:
        _copy(source, place)
        for library in _libraries(source):
            _copy(Path(library), folder / library.lstrip("/"))
    # The server finds its files by the way from its own place to where it was built for.
    version = home.name
    for name in SERVER:
        _copy(home / "bin" / name, folder / "usr/lib/postgresql" / version / "bin" / name)
    shutil.copytree(folder / "usr/lib/pg/lib", folder / "usr/lib/postgresql" / version / "lib")
    shutil.rmtree(folder / "usr/lib/pg")
    (folder / "usr/lib/pg").symlink_to(f"postgresql/{version}")
    shutil.copytree(f"/usr/share/postgresql/{version}", folder / "usr/share/postgresql" / version)
    (folder / "etc").mkdir()
    (folder / "etc/passwd").write_text("agent:x:1000:1000::/workspace:/bin/sh\n")
    (folder / "etc/group").write_text("agent:x:1000:\n")


@pytest.fixture(scope="module")
def closure() -> Iterator[Path]:
    """Where only root can change it."""
    folder = Path(tempfile.mkdtemp(prefix="nucleus-production-", dir="/srv"))
    folder.chmod(0o755)
    _closure(folder)
    yield folder
    shutil.rmtree(folder)


class Service:
    """Everything that is pinned, and the words of a start."""

    def __init__(self, boxes: Boxes, closure: Path) -> None:
        self.boxes, self.root = boxes, closure
        self.work = boxes.directory("data")
        self.work.chmod(0o700)
        self.context = boxes.directory("context")
        (self.context / "tuning.conf").write_text("work_mem = '7MB'\n")
        calls = sorted({name for rule in DEFAULT.rules if rule.action == ALLOW for name in rule.calls})
        rule = {"names": calls, "action": "SCMP_ACT_ALLOW"}
        profile = {
            "defaultAction": "SCMP_ACT_KILL_PROCESS",
            "syscalls": [rule, {"names": _refused(calls), "action": "SCMP_ACT_ERRNO"}],
        }
        self.files = {
            "seccomp-profile": self.write("profile.json", json.dumps(profile)),
            "landlock-policy": self.write("landlock.toml", LANDLOCK + _rules()),
            "caps-policy": self.write("caps.toml", "[ambient]\nkeep = []\n"),
        }
        self.secret = self.write("password", "correct horse\n")
        self.pins = {key: _sha(path) for key, path in self.files.items()}
        self.manifest = self.nucleus("rootfs", "attest", str(closure))
        self.digest = self.nucleus("context", str(self.context))

    def write(self, name: str, text: str) -> Path:
        path = self.boxes.folder / name
        path.write_text(text)
        return path

    def nucleus(self, *words: str) -> str:
        done = self.boxes.nucleus(*words)
        assert done.code == 0, done.err
        return done.out.strip()

    def words(self) -> list[str]:
        words = [
            "--service-mode",
            "production",
            "--rootfs",
            str(self.root),
            "--memory",
            "512M",
            "--cpus",
            "2",
        ]
        words += ["--verify-rootfs-attestation", "--rootfs-attestation-sha256", self.manifest]
        words += [
            "--context",
            str(self.context),
            "--context-sha256",
            self.digest,
            "--verify-context-integrity",
        ]
        for key, path in self.files.items():
            words += [f"--{key}", str(path), f"--{key}-sha256", self.pins[key]]
        words += ["--workspace", str(self.work), "--secret", f"password={self.secret}"]
        words += [
            "--health-cmd",
            f"{ASK} 'SELECT 1'",
            "--health-interval",
            "500ms",
            "--health-start-period",
            "10m",
            "--health-timeout",
            "60s",
        ]
        return [*words, "--restart", "no", "--detach-with", "none", "--name", "pg", "--", "sh", "-c", START]

    def start(self) -> tuple[int, str]:
        done = self.boxes.cli("run", "-d", *self.words())
        return done.code, done.err

    @property
    def has_run(self) -> bool:
        """Whether any code of the workload was ever executed."""
        return (self.work / "trace").exists()


def _refused(calls: list[str]) -> list[str]:
    """What programs ask for and go on without."""
    wanted = ("mount", "unshare", "setns", "ptrace", "io_uring_setup", "keyctl", "bpf", "openat2", "clone3")
    return [name for name in wanted if name not in calls]


def _rules() -> str:
    rows = [(path, ["read", "execute"]) for path in READ_EXECUTE] + [(path, ["read"]) for path in READ]
    rows += [(path, ["read", "write", "create", "remove", "refer"]) for path in WRITTEN]
    rows += [("/dev", ["read_file", "write", "ioctl_dev"])]
    return "".join([f'[[rules]]\npath = "{p}"\naccess = {json.dumps(a)}\noptional = true\n' for p, a in rows])


def _sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def service(boxes: Boxes, closure: Path) -> Service:
    return Service(boxes, closure)


def test_a_pinned_database_lives_in_mode_production(service: Service) -> None:
    boxes = service.boxes
    code, error = service.start()
    assert code == 0, error
    wait_until(lambda: boxes.inspect("pg").get("health") == "healthy" or _tell(service), 3 * PATIENCE_S)
    asked = boxes.cli(
        "exec", "pg", "--", "sh", "-c", f"{ASK} 'SHOW work_mem'; cat /proc/self/status; cat /proc/1/comm"
    )
    assert asked.out.startswith("7MB\n"), asked.err
    for field, value in (("CapEff", "0" * 16), ("NoNewPrivs", "1"), ("Seccomp", "2")):
        assert f"{field}:\t{value}\n" in asked.out
    known = boxes.inspect("pg")
    assert known["mode"] == "production" and known["capabilities"] == ()
    assert boxes.cli("stop", "-t", "50s", "pg").code == 0
    ended = boxes.inspect("pg")
    assert (ended["status"], ended["exit_code"]) == ("stopped", 0), (ended, boxes.cli("logs", "pg").out)
    assert boxes.cli("rm", "pg").code == 0


def _tell(service: Service) -> bool:
    known = service.boxes.inspect("pg")
    if known["status"] != "running":
        log = service.work / "log"
        said = log.read_text() if log.exists() else ""
        raise AssertionError(
            (known["status"], known.get("reason"), service.boxes.cli("logs", "pg").out, said)
        )
    return False


# ---- each single tampering ----


def rootfs(service: Service) -> str:
    path = service.root / "usr/lib/pg/bin/postgres"
    with path.open("r+b") as file:
        file.seek(4096)
        byte = file.read(1)
        file.seek(4096)
        file.write(bytes([byte[0] ^ 1]))
    return "has another content"


def rootfs_and_manifest(service: Service) -> str:
    rootfs(service)
    subprocess.run(
        [str(COMMAND), "rootfs", "attest", str(service.root)], check=True, stdout=subprocess.DEVNULL
    )
    return "--rootfs-attestation-sha256"


def context(service: Service) -> str:
    (service.context / "tuning.conf").write_text("work_mem = '8MB'\n")
    return "--context-sha256"


def policy(key: str) -> Callable[[Service], str]:
    def tamper(service: Service) -> str:
        path = service.files[key]
        path.write_bytes(path.read_bytes() + b"\n")
        return f"--{key}-sha256"

    tamper.__name__ = key
    return tamper


def pin(key: str) -> Callable[[Service], str]:
    def tamper(service: Service) -> str:
        last = service.pins[key][-1]
        service.pins[key] = service.pins[key][:-1] + ("0" if last != "0" else "1")
        return f"--{key}-sha256"

    tamper.__name__ = f"{key}-pin"
    return tamper


def manifest_pin(service: Service) -> str:
    service.manifest = "0" * 64
    return "--rootfs-attestation-sha256"


def context_pin(service: Service) -> str:
    service.digest = "0" * 64
    return "--context-sha256"


def no_secret(service: Service) -> str:
    service.secret.unlink()
    return "--secret"


KEYS = ("seccomp-profile", "landlock-policy", "caps-policy")
TAMPERINGS = [
    rootfs, rootfs_and_manifest, context, manifest_pin, context_pin, no_secret, *map(policy, KEYS), *map(pin, KEYS),
]  # fmt: skip


@pytest.mark.parametrize("tamper", TAMPERINGS, ids=lambda t: t.__name__)
def test_each_single_tampering_stops_it_before_any_of_its_code_runs(
    service: Service, tamper: Callable[[Service], str], request: pytest.FixtureRequest
) -> None:
    before = (service.root / "usr/lib/pg/bin/postgres").read_bytes()
    request.addfinalizer(lambda: (service.root / "usr/lib/pg/bin/postgres").write_bytes(before) and None)
    expected = tamper(service)
    code, error = service.start()
    assert code == 125 and expected in error, error
    assert not service.has_run
    assert service.boxes.cli("ps", "-aq").out == ""
    assert os.listdir(service.work) == []
