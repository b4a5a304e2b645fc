"""kill -9 of whoever takes part in containers' lives, at random moments: the next command tells the truth, nothing is left.

    tools/kills.py --seconds 60 --seed 1

Lives of every kind go on beside each other: in the foreground, detached, supervised, created, entered, with a terminal, with
a workspace that is copied in and out.  Killed are the command line, supervisors, monitors, log writers and inits.
What was ended with its owner has to be gone in a moment; a container that is said to run has a living init.
✗ tests no feature: tests/kernel does.
"""

from __future__ import annotations

import argparse
import json
import os
import pty
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tools")]

from soak import NUCLEUS, Traces, adopt_orphans, reap  # noqa: E402

ROLES = ("command line", "supervisor", "monitor", "log writer", "init")
LONG_S = 30.0  # a run of that length kills each of them
GONE_S = 60.0  # for what ends with its owner; a kill takes no time, a busy machine does
AT_ONCE = 6
FILES = 40
ALIVE = ("created", "running", "paused")
DETACHED = ("-d", "--detach-with", "none")
SUPERVISED = (*DETACHED, "--restart", "on-failure:2", "--health-cmd", "true", "--health-interval", "200ms")
JOBS = ("sleep 0.3", "exit 3", "sleep 5", "sleep 0.2 & sleep 0.4", "yes | head -c 300000")
CHANGE = 'for f in *; do echo new >"$f.x" && mv "$f.x" "$f"; done; sleep 0.1'

Process = tuple[int, str]  # pid and start time: a number that was given to another is another process


def _stat(pid: int) -> list[str]:
    """name, state, parent, start time; empty when it has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return []
    name, rest = text[text.index("(") + 1 : text.rindex(")")], text.rpartition(")")[2].split()
    return [name, rest[0], rest[1], rest[19]]


def _below(top: int) -> dict[Process, str]:
    """All living processes below one, by name."""
    children: dict[int, list[tuple[Process, str]]] = {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        known = _stat(int(entry))
        if known and known[1] != "Z":
            children.setdefault(int(known[2]), []).append(((int(entry), known[3]), known[0]))
    found: dict[Process, str] = {}
    waiting = [top]
    while waiting:
        for process, name in children.get(waiting.pop(), []):
            found[process] = name
            waiting.append(process[0])
    return found


def _lives(process: Process) -> bool:
    known = _stat(process[0])
    return bool(known) and known[3] == process[1] and known[1] != "Z"


class Kills:
    """One run: what goes on, whom it has killed, what was wrong."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.dice = random.Random(seed)
        self.folder, self.root = folder, str(folder / "state")
        self.number = 0
        self.commands: list[subprocess.Popen[bytes]] = []
        self.killed: Counter[str] = Counter()
        self.looks = 0
        self.problems: list[str] = []
        self._doomed: list[tuple[float, str, set[Process]]] = []

    # ---- lives ----

    def begin(self) -> None:
        """A life of one kind or another."""
        self.number += 1
        kinds: tuple[Callable[[str], None], ...] = (
            self._foreground, self._detached, self._supervised, self._created, self._entered, self._terminal,
            self._copied,
        )  # fmt: skip
        self.dice.choice(kinds)(f"life-{self.number}")

    def _start(self, verb: str, *words: str, **streams: int) -> None:
        given = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.DEVNULL,
            "stderr": subprocess.DEVNULL,
        } | streams
        command = [NUCLEUS, verb, "--root", self.root, *words]
        self.commands.append(subprocess.Popen(command, **given))  # type: ignore[call-overload]

    def _job(self) -> tuple[str, ...]:
        return ("--", "sh", "-c", self.dice.choice(JOBS))

    def _foreground(self, name: str) -> None:
        self._start("run", "--name", name, *self.dice.choice(((), ("--rm",))), *self._job())

    def _detached(self, name: str) -> None:
        self._start("run", *DETACHED, "--name", name, *self._job())

    def _supervised(self, name: str) -> None:
        self._start("run", *SUPERVISED, "--name", name, *self._job())

    def _created(self, name: str) -> None:
        self._start("create", "--name", name, *self._job())

    def _entered(self, name: str) -> None:
        self._start("run", *DETACHED, "--name", name, "--", "sleep", "5")
        for wait in (0.3, 0.6):
            shell = f'sleep {wait}; exec "$0" exec --root "$1" "$2" -- sleep 3'
            self.commands.append(subprocess.Popen(
                ["sh", "-c", shell, NUCLEUS, self.root, name], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            ))  # fmt: skip

    def _terminal(self, name: str) -> None:
        ours, theirs = pty.openpty()
        self._start("run", "-t", "--name", name, *self._job(), stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        os.set_blocking(ours, False)
        os.close(ours)  # who looked has gone: a hangup among all the rest

    def _copied(self, name: str) -> None:
        workspace = self.folder / "workspaces" / name
        workspace.mkdir(parents=True)
        for number in range(FILES):
            (workspace / f"f{number}").write_text("old\n")
        mode = ("--workspace", str(workspace), "--workspace-mode", "copy-in-out")
        self._start("run", "--name", name, *mode, "--", "sh", "-c", CHANGE)

    # ---- kills ----

    def kill(self) -> None:
        """One of those who take part; each role is as likely as any other."""
        by_role: dict[str, list[Process]] = {}
        for process, name in _below(os.getpid()).items():
            role = self._role(process[0], name)
            if role:
                by_role.setdefault(role, []).append(process)
        if not by_role:
            return
        role = self.dice.choice(sorted(by_role))
        victim = self.dice.choice(sorted(by_role[role]))
        try:
            pidfd = os.pidfd_open(victim[0])
        except OSError:
            return
        below = set(_below(victim[0])) if role in ("monitor", "supervisor", "init") else set()
        try:
            if _lives(victim):
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                self.killed[role] += 1
                self._doomed.append((time.monotonic() + GONE_S, role, {*below, victim}))
        except ProcessLookupError:
            return
        finally:
            os.close(pidfd)

    @staticmethod
    def _role(pid: int, name: str) -> str:
        known = {"nucleus-launch": "monitor", "nucleus-init": "init", "nucleus-log": "log writer"}
        if name in known:
            return known[name]
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return ""
        if not any(word.endswith((b"/nucleus", b"/__main__.py")) for word in words[:5]) or words[0] == b"sh":
            return ""
        return "supervisor" if b"supervise" in words else "command line"

    def check_doomed(self, *, all_of_them: bool = False) -> None:
        """Whoever ended with its owner is gone in time."""
        waiting = []
        for deadline, role, processes in self._doomed:
            while all_of_them and time.monotonic() < deadline and any(map(_lives, processes)):
                time.sleep(0.02)
            left = {p for p in processes if _lives(p)}
            if left and time.monotonic() >= deadline:
                named = [f"{_stat(pid)[:2]} {pid}" for pid, _ in left if _stat(pid)]
                self.problems.append(f"{named} lived on, {GONE_S:g} s after its {role} was killed")
            elif left:
                waiting.append((deadline, role, left))
        self._doomed = waiting

    # ---- what other commands say ----

    def _say(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        verb, *others = words
        return subprocess.run(
            [NUCLEUS, verb, "--root", self.root, *others], stdin=subprocess.DEVNULL, capture_output=True,
            check=False, timeout=4 * GONE_S,
        )  # fmt: skip

    def listed(self) -> list[dict[str, object]]:
        """`ps -a`, which has to work whatever happened."""
        done = self._say("ps", "-a", "--format", "json")
        if done.returncode:
            self.problems.append(f"ps: {done.returncode}: {done.stderr.decode(errors='replace').strip()}")
            return []
        return [json.loads(line) for line in done.stdout.splitlines()]

    def look(self) -> None:
        """Something that a user does, to any container there is."""
        self.looks += 1
        rows = self.listed()
        for row in rows:
            if row["status"] in ALIVE:
                self._check_alive(str(row["id"]))
        if not rows:
            return
        reference = str(self.dice.choice(rows)["id"])
        words = self.dice.choice((
            ("inspect", reference), ("logs", reference), ("start", reference), ("stop", "-t", "0", reference),
            ("rm", reference), ("rm", "-f", reference), ("restart", "-t", "0", reference), ("exec", reference, "--", "true"),
        ))  # fmt: skip
        done = self._say(*words)
        said = done.stderr.decode(errors="replace")
        if "Traceback" in said or "defect" in said:
            self.problems.append(f"{' '.join(words)}: {said.strip()}")

    def _check_alive(self, reference: str) -> None:
        """Said to be alive: then it is, or another look says otherwise."""
        deadline = time.monotonic() + GONE_S
        while time.monotonic() < deadline:
            done = self._say("inspect", reference)
            if done.returncode:
                return  # removed meanwhile
            (known,) = json.loads(done.stdout)
            state = known.get("state", known)
            pid = int(state.get("pid") or known.get("pid") or 0)
            if known.get("status", state.get("status")) not in ALIVE or (pid and _stat(pid)):
                return
            time.sleep(0.2)
        self.problems.append(f"{reference} is said to be alive, and has no process")

    # ---- all of it ----

    def run(self, seconds: float) -> None:
        """Lives, kills and looks in turn, as chance has it."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.commands = [c for c in self.commands if c.poll() is None]
            if len(self.commands) < AT_ONCE:
                self.begin()
            turn = self.dice.random()
            if turn < 0.5:
                time.sleep(self.dice.random() * 0.15)
                self.kill()
            elif turn < 0.65:
                self.look()
            reap_others(self.commands)
            self.check_doomed()

    def finish(self) -> None:
        """Everything is ended and removed, by commands alone."""
        for command in self.commands:
            command.send_signal(signal.SIGTERM)
        for command in self.commands:
            try:
                command.wait(timeout=60)
            except subprocess.TimeoutExpired:
                self.problems.append(f"{command.args} did not end within a minute of SIGTERM")
                command.kill()
                command.wait()
        self.check_doomed(all_of_them=True)
        references = [str(row["id"]) for row in self.listed()]
        if references:
            done = self._say("rm", "-f", *references)
            said = done.stderr.decode(errors="replace").splitlines()
            # One of them may end and go by itself meanwhile: whether it has, the list tells.
            others = [line for line in said if "no container" not in line and "nucleus ps" not in line]
            if others or (done.returncode and not said):
                self.problems.append(f"rm -f: {' '.join(said)}")
        self.problems += [f"still listed: {row}" for row in self.listed()]
        for workspace in sorted((self.folder / "workspaces").glob("*")):
            self._check_workspace(workspace)

    def _check_workspace(self, workspace: Path) -> None:
        """Each file is whole: as it was, or as the run made it."""
        for path in sorted(workspace.iterdir()):
            if path.name.startswith(".nucleus-"):
                self.problems.append(f"left over in a workspace: {path.name}")
            elif path.suffix != ".x" and path.read_text() not in (
                "old\n",
                "new\n",
            ):  # .x: of a run that was killed
                self.problems.append(f"{path} is torn: {path.read_text()!r}")


def reap_others(commands: list[subprocess.Popen[bytes]]) -> None:
    """Orphans that came to this process; its own commands are waited for by those who started them."""
    own = {command.pid for command in commands}
    for (pid, _), _name in _zombies().items():
        if pid not in own:
            os.waitpid(pid, os.WNOHANG)


def _zombies() -> dict[Process, str]:
    found = {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        known = _stat(int(entry))
        if known and known[1] == "Z" and int(known[2]) == os.getpid():
            found[int(entry), known[3]] = known[0]
    return found


def left_over(root: str, before: Traces) -> list[str]:
    """What is there now and was not before; what others' programs are just doing is looked at again."""
    deadline = time.monotonic() + GONE_S
    while True:
        reap()
        found = Traces.now().beyond(before)
        for folder in ("containers", "names"):
            found += [f"{folder} left over: {name}" for name in os.listdir(f"{root}/{folder}")]
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.2)


def main() -> int:
    """Exit code 0 if nothing was wrong and nothing is left."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given = parser.parse_args()
    print(f"kills: {given.seconds:g} s, seed {given.seed}", flush=True)
    adopt_orphans()
    with tempfile.TemporaryDirectory(prefix="nucleus-kills-") as folder:
        before = Traces.now()
        kills = Kills(Path(folder), given.seed)
        kills.run(given.seconds)
        kills.finish()
        problems = kills.problems + left_over(kills.root, before)
        if given.seconds >= LONG_S:
            problems += [
                f"nothing was told: no {role} was killed" for role in ROLES if not kills.killed[role]
            ]
    for problem in problems[:50]:
        print(problem)
    counts = ", ".join([f"{count} of the {role}" for role, count in sorted(kills.killed.items())])
    print(f"{kills.number} lives, {kills.looks} looks, killed {counts or 'nobody'}; {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
