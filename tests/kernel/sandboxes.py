"""What the kernel tests drive: containers of a private state root, and the proof that nothing is left.

✗ no tests, no fixtures.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nucleus import sandbox
from nucleus.cli.parser import parse_run
from nucleus.container.result import Result
from nucleus.container.running import inventory

PROJECT = Path(__file__).resolve().parents[2]
COMMAND = PROJECT / "bin" / "nucleus"
PROBE_INSIDE = "/probe/probe"
# An emulated guest is slow; nothing here takes long on a machine.
PATIENCE_S = 60.0
_PR_SET_CHILD_SUBREAPER = 36
_CGROUP_NAME = re.compile(r"nucleus-[0-9a-f]{32}$")


def adopt_orphans() -> None:
    """From now on every process that loses its parent, and was started from here, is a child of this one."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


def _processes() -> dict[int, tuple[int, str, str]]:
    """pid → parent, name and state of all there are."""
    found = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            text = Path("/proc", entry, "stat").read_text(errors="replace")
        except OSError:
            continue
        name = text[text.index("(") + 1 : text.rindex(")")]
        state, parent = text[text.rindex(")") + 2 :].split()[:2]
        found[int(entry)] = int(parent), name, state
    return found


def descendants(of: int | None = None) -> dict[int, str]:
    """pid → name of all living processes below one."""
    for _ in range(10):
        seen = _processes()
        # Whose parent went while this looked is somebody else's child by now: below whom, another look tells.
        if all(parent == 0 or parent in seen for parent, _, _ in seen.values()):
            break
    parents: dict[int, list[tuple[int, str, str]]] = {}
    for pid, (parent, name, state) in seen.items():
        parents.setdefault(parent, []).append((pid, name, state))
    found: dict[int, str] = {}
    waiting = [of or os.getpid()]
    while waiting:
        for pid, name, state in parents.get(waiting.pop(), []):
            waiting.append(pid)
            if state != "Z":
                found[pid] = name
    return found


def reap_orphans() -> None:
    """Collects what was adopted and has ended."""
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return


def cgroup_mounts() -> list[Path]:
    """Where the hierarchies are, each once."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    found = {}
    for line in lines:
        if " - cgroup" in line:
            words = line.split(" ")
            found.setdefault(words[2], Path(words[4]))
    return list(found.values())


def container_cgroups() -> set[Path]:
    """Every directory of a container of this user, in any hierarchy."""
    found = set()
    for mount in cgroup_mounts():
        for parent, names, _ in os.walk(mount):
            found |= {Path(parent, name) for name in names if _CGROUP_NAME.match(name) and _own(parent, name)}
            if len(Path(parent).relative_to(mount).parts) > 6:
                names.clear()
    return found


def _own(parent: str, name: str) -> bool:
    try:
        return os.stat(f"{parent}/{name}").st_uid == os.geteuid()
    except OSError:  # gone meanwhile
        return False


def mount_points() -> list[str]:
    """The mount points of this process's own mount namespace."""
    return [line.split(" ")[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]


def host_mounts_below(directory: str) -> list[str]:
    """What is mounted below a directory of the host, as paths that begin with it left out."""
    return [
        point.removeprefix(directory)
        for point in mount_points()
        if directory and point.startswith(f"{directory}/")
    ]


def wait_until(condition: Any, seconds: float = PATIENCE_S) -> Any:
    """The condition's value once it is true; fails after that many seconds."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.01)


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What a command line came to."""

    code: int
    out: str
    err: str


class Boxes:
    """Containers of one test: their state root, and a folder for workspaces and other sources."""

    def __init__(self, folder: Path, probe: Path) -> None:
        self.folder = folder
        self.root = folder / "state"
        self.probe_folder = probe.parent
        self._mounts = mount_points()
        self._cgroups = container_cgroups()
        self._processes = set(descendants())
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("NUCLEUS_")}

    def directory(self, name: str, owner: tuple[int, int] | None = None) -> Path:
        """A new directory beside the state root."""
        made = self.folder / name
        made.mkdir(parents=True)
        if owner is not None:
            os.chown(made, *owner)
        return made

    # ---- running ----

    def run(self, *words: str, stdin: bytes | None = None) -> Result:
        """`nucleus run` by the library: flags, then `--` and the command."""
        return sandbox.run(parse_run(["--root", str(self.root), *words]), stdin=stdin)

    def probe(self, *verbs: str, flags: tuple[str, ...] = ()) -> list[list[str]]:
        """The lines that each verb of the probe printed; a verb with its words is one text."""
        result = self.run(*self.probe_flags(), *flags, "--", *self.probe_words(*verbs))
        assert result.exit_code == 0, (result.exit_code, result.reason, result.err)
        return self.answers(result.out, len(verbs))

    def probe_flags(self) -> tuple[str, ...]:
        """What brings the probe in."""
        return ("--volume", f"{self.probe_folder}:/probe:ro")

    def probe_words(self, *verbs: str) -> list[str]:
        """The probe's command line."""
        words = [PROBE_INSIDE]
        for verb in verbs:
            words += [*verb.split(), ","]
        return words[:-1]

    @staticmethod
    def answers(output: str, count: int) -> list[list[str]]:
        """The probe's output, by verb."""
        lines: list[list[str]] = [[] for _ in range(count)]
        for line in output.splitlines():
            number, _, text = line.partition("\t")
            lines[int(number)].append(text)
        return lines

    def cli(self, verb: str, *words: str, **options: Any) -> Ran:
        """The command, as a user types it, until it ends."""
        done = subprocess.run(
            [str(COMMAND), verb, "--root", str(self.root), *words],
            stdin=options.pop("stdin", subprocess.DEVNULL), capture_output=True, env=self.environment,
            timeout=PATIENCE_S, check=False, **options,
        )  # fmt: skip
        return Ran(code=done.returncode, out=done.stdout.decode(), err=done.stderr.decode())

    def nucleus(self, *words: str) -> Ran:
        """The command without a state root, for verbs that have no container."""
        done = subprocess.run(
            [str(COMMAND), *words], stdin=subprocess.DEVNULL, capture_output=True, env=self.environment,
            timeout=PATIENCE_S, check=False,
        )  # fmt: skip
        return Ran(code=done.returncode, out=done.stdout.decode(), err=done.stderr.decode())

    def cli_process(self, verb: str, *words: str) -> subprocess.Popen[str]:
        """The command in the background, its output a pipe."""
        return subprocess.Popen(
            [str(COMMAND), verb, "--root", str(self.root), *words], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, env=self.environment, text=True,
        )  # fmt: skip

    def start(self, *words: str, **options: Any) -> subprocess.Popen[str]:
        """`nucleus run` in the background, its output a pipe."""
        return subprocess.Popen(
            [str(COMMAND), "run", "--root", str(self.root), *words],
            stdin=options.pop("stdin", subprocess.DEVNULL), stdout=subprocess.PIPE,
            env=options.pop("env", self.environment), text=True, **options,
        )  # fmt: skip

    def inspect(self, reference: str) -> dict[str, Any]:
        """All that is known of one container."""
        return inventory.inspect(reference, str(self.root))

    def explain(self, *words: str) -> list[dict[str, Any]]:
        """The steps of the plan."""
        done = subprocess.run(
            [str(COMMAND), "explain", "--format", "json", "--root", str(self.root), *words],
            stdin=subprocess.DEVNULL, capture_output=True, env=self.environment, timeout=PATIENCE_S,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        steps: list[dict[str, Any]] = json.loads(done.stdout)["steps"]
        return steps

    # ---- the end ----

    def assert_nothing_left(self, patience_s: float = PATIENCE_S) -> None:
        """Removes what has ended; fails for any process, cgroup, mount, directory or name that is left."""

        def processes() -> dict[int, str]:
            reap_orphans()
            return {pid: name for pid, name in descendants().items() if pid not in self._processes}

        def cgroups() -> set[Path]:
            return {p for p in container_cgroups() - self._cgroups if not _members(p)}

        def mounts() -> list[str]:
            return [point for point in mount_points() if point not in self._mounts]

        _wait_for_none(processes, patience_s)
        if self.root.exists():
            for known in inventory.list_containers(str(self.root)):
                inventory.remove(str(known["id"]), root=str(self.root), force=False)
            left = sorted(os.listdir(self.root / "containers")) + sorted(os.listdir(self.root / "names"))
            assert left == []
        _wait_for_none(cgroups, patience_s)
        _wait_for_none(mounts, patience_s)


def _members(cgroup: Path) -> list[str]:
    try:
        return (cgroup / "cgroup.procs").read_text().split()
    except OSError:
        return []


def _wait_for_none(look: Any, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while left := look():
        assert time.monotonic() < deadline, f"left behind: {left}"
        time.sleep(0.02)


def own_identity() -> str:
    """Which identity this run is: what the runner of the tests says, else what can be seen."""
    said = os.environ.get("NUCLEUS_IDENTITY") or os.environ.get("NUCLEUS_MUST_RUN", "")
    if said and "," not in said and said not in ("all", "caller"):
        return said
    return "root" if os.geteuid() == 0 else "user"


def python() -> str:
    """An interpreter of the host's own /usr, which sandboxes have too."""
    return "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable
