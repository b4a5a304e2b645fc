"""`nucleus run` with options that were asked for before: the kept plan is found, checked and started; nothing is compiled.

What follows from the options is kept.  The command and the values of variables come from the command line each time, and
stand in no file.  A kept plan holds for one caller, directory and environment, for as long as each look that its making took
at the machine has the same answer (`host/witness.py`) and the code that made it is the same.  What is opened is opened anew,
and the launcher refuses what is not the file that was found, as always.

Whatever is in the way, nobody is told: what was made is removed, and the command goes the long way, which has the words.
✗ compiles, keeps: `remember.py`.  ✗ parses options.
"""

from __future__ import annotations

import marshal
import os
import sys
import time
from stat import S_ISDIR

from ...base.errors import NucleusError
from ...base.jsontext import Form, digest, dumps
from ...host.machine import Machine
from ...host.witness import answers_now
from ...launch import launcher
from ...plan.frame import plan_bytes, step_bytes
from ...plan.notes import created_members
from ...plan.workload import candidates, exec_values
from ...state.plans import Plans
from ...state.store import Store, default_root, write_file
from .. import ranges
from ..slots import open_events

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, NoReturn

    from ...state.store import StateDirectory

SWITCH = "NUCLEUS_PLAN_CACHE"  # 0: off
FORMAT = 1
# Of the caller's environment, beside everything that begins with NUCLEUS_.
_VARIABLES = ("HOME", "XDG_RUNTIME_DIR", "XDG_STATE_HOME", "DBUS_SESSION_BUS_ADDRESS")
_NAME_LENGTH = 12  # of the id, where nothing else names the host
_MOST_TRIES = 16  # words that may be the command's first
_MOST_COMMAND = 64 << 10  # what is longer is measured, and perhaps refused, by who compiles it


class _Stale(Exception):
    """The kept plan does not hold any more, or not for this command."""


class Asked:
    """What was asked: the words behind `run`, and who asks, from where.  Raises OSError without a working directory.

    keys   of the options, once somebody has parsed them
    """

    __slots__ = ("_fixed", "_places", "argv", "keys", "root")

    def __init__(self, argv: list[str]) -> None:
        self.argv = argv
        self.keys: frozenset[str] = frozenset()
        self.root = _root(argv) or default_root(os.geteuid(), os.environ)
        self._places = _assignments(argv)
        system = os.uname()
        names = [*sorted([n for n in os.environ if n.startswith("NUCLEUS_")]), *_VARIABLES]
        self._fixed = (
            FORMAT, sys.executable, sys.hexversion, launcher.PROGRAM, system.release, system.machine, os.getcwd(), self.root,
            os.getresuid(), os.getresgid(), os.getgroups(), [(n, os.environ.get(n)) for n in names],
            # Looked at as well; as a part of the name two sessions do not throw away each other's.
            Machine().read("/proc/self/cgroup"),
        )  # fmt: skip

    def divisions(self) -> Iterator[int]:
        """How many words the options may be: the command begins behind a `--`, or with a word that is no option."""
        tries = 0
        for at, word in enumerate(self.argv):
            if word == "--":
                yield at
                return
            if not word.startswith("-"):
                yield at
                tries += 1
                if tries == _MOST_TRIES:
                    return

    def command(self, options: int) -> tuple[str, ...]:
        """The words of the command behind that many of options."""
        skipped = self.argv[options : options + 1] == ["--"]
        return tuple(self.argv[options + skipped :])

    def variables(self, options: int) -> list[tuple[str, str]] | None:
        """The variables that the options set; None where one has no value, and is the caller's own."""
        found = []
        for at, start, cut in self._places:
            if at < options:
                if not cut:
                    return None
                found.append((self.argv[at][start : cut - 1], self.argv[at][cut:]))
        return found

    def key(self, options: int) -> str:
        """The name of what is kept for that many words of options; values of variables have no part in it."""
        words = self.argv[:options]
        for at, _, cut in self._places:
            if at < options:
                words[at] = words[at][:cut]
        return digest(marshal.dumps((self._fixed, words), 2))


def start_again(argv: list[str]) -> Asked | None:
    """Become the launcher where a kept plan holds.  Else who asks; None where nothing is to be kept either."""
    if os.environ.get(SWITCH) == "0" or os.environ.get("NUCLEUS_SCOPE"):  # a scope is there for one start
        return None
    try:
        asked = Asked(argv)
    except OSError:
        return None  # the working directory is gone
    try:
        found = _found(asked)
        if found is not None:
            _launch(*found, asked.root)
    except (NucleusError, OSError, _Stale, EOFError, LookupError, TypeError, ValueError):
        return asked  # the long way tells what is wrong, if anything is
    return asked


def _found(asked: Asked) -> tuple[dict[str, Any], list[tuple[str, str]], tuple[str, ...]] | None:
    """What is kept and holds, the variables and the command; None where there is nothing."""
    plans = Plans(asked.root)
    try:
        for options in asked.divisions():
            key = asked.key(options)
            body = plans.load(key)
            if body is None:
                continue
            kept: dict[str, Any] = marshal.loads(body)
            command, variables = asked.command(options), asked.variables(options)
            if kept["key"] != key or variables is None or not _startable(command) or _directory_streams():
                return None
            if answers_now(kept["looks"]) != kept["answers"] or not _protects(kept["protected"]):
                return None
            plans.used(key)
            return kept, variables, command
    finally:
        plans.close()
    return None


def _protects(known: tuple[str, tuple[object, object]] | None) -> bool:
    """Has the workspace the files that its plan protects, and no others of their kind?"""
    if known is None:
        return True
    from ..inputs import protected

    workspace, found = known
    return protected.found(workspace, workspace) == found


def _root(argv: list[str]) -> str:
    """--root, where it stands among the options; behind them it is the command's, and nothing is found there."""
    found = ""
    for at, word in enumerate(argv):
        if word == "--":
            break
        if word == "--root" and at + 1 < len(argv):
            found = argv[at + 1]
        elif word.startswith("--root="):
            found = word[7:]
    return found


def _assignments(argv: list[str]) -> list[tuple[int, int, int]]:
    """(word, where in it the name begins, where its value does) of each --env; 0 for the last where none is given.

    By the look of the words alone: who keeps a plan sees to it that these are what the parser found, and then they are in
    every command line with the same words.
    """
    found, at = [], 0
    while at < len(argv) and argv[at] != "--":
        word, start = argv[at], -1
        if word in ("--env", "-e"):
            at, start = at + 1, 0
        elif word.startswith("--env="):
            start = 6
        elif word.startswith("-e"):
            start = 3 if word[2] == "=" else 2
        if start >= 0 and at < len(argv):
            found.append((at, start, argv[at].find("=", start) + 1))
        at += 1
    return found


def _startable(command: tuple[str, ...]) -> bool:
    return bool(command) and bool(command[0]) and sum(map(len, command)) < _MOST_COMMAND


def _directory_streams() -> bool:
    return any(S_ISDIR(os.fstat(fd).st_mode) for fd in range(3))


def _launch(
    kept: dict[str, Any], variables: list[tuple[str, str]], command: tuple[str, ...], root: str
) -> NoReturn:
    """Take what is taken for each start, and become the launcher."""
    making = Making(Store(root), kept, command)
    try:
        making.take()
        making.record()
        making.open_slots(variables)
        if not making.store.holds_only(making.id):
            from ..running.sweep import sweep

            sweep(making.store)
        launcher.replace(making.encoded(), making.id, making.slots, making.held)
    except BaseException:
        making.discard()
        raise


class Making:
    """A container that comes from a kept plan, until it runs."""

    __slots__ = ("_base", "_command", "_kept", "_parents", "_state", "held", "id", "slots", "store")

    def __init__(self, store: Store, kept: dict[str, Any], command: tuple[str, ...]) -> None:
        self.store, self._kept, self._command = store, kept, command
        self.id = os.urandom(16).hex()
        self._base = 0
        self._parents: list[int] = []
        self._state: StateDirectory | None = None
        self.slots: list[int] = []
        self.held: list[int] = []

    def take(self) -> None:
        """The block of host ids, the cgroups above, the directory and the name."""
        kept = self._kept
        if kept["base"]:
            taken = kept["taken"]
            if taken:
                from ...host.facts import IdRange

                taken = tuple([IdRange(start=start, count=count) for start, count in taken])
            self._base, lock = ranges.take(taken, wish=kept["base"])
            self.held.append(lock)
            if self._base != kept["base"] and not kept["moves"]:
                raise _Stale
        for path, device in kept["cgroups"]:
            fd = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            self.held.append(fd)
            self._parents.append(fd)
            if os.fstat(fd).st_dev != os.makedev(0, device):
                raise _Stale
        self._state = self.store.create(self.id)
        if kept["name"]:
            from ..running.sweep import sweep_holder

            sweep_holder(self.store, kept["name"])
            self.store.take_name(kept["name"], self.id)

    def record(self) -> None:
        """state.json, and spec.json where the container stays."""
        assert self._state is not None
        kept, words = self._kept, dumps(self._command)
        spec = Form.of(kept["spec"]).text({"command": words})
        own = {
            "id": f'"{self.id}"', "command": words, "created_ns": f"{time.time_ns()}", "spec": spec,
            "cgroups": dumps([f"{path}/nucleus-{self.id}" for path, _ in kept["cgroups"]]),
            "spec_hash": f'"{digest(spec.encode())}"',
        }  # fmt: skip
        own["uid_map"], own["gid_map"] = kept["maps"]
        if self._base:
            own["uid_map"] = own["gid_map"] = f"[[0, {self._base}, {ranges.BLOCK}]]"
        write_file(self._state.fd, "state.json", Form.of(kept["record"]).text(own).encode() + b"\n")
        if kept["stays"]:
            text = Form.of(kept["stays"]).text({"command": words})
            write_file(self._state.fd, "spec.json", text.encode() + b"\n")

    def open_slots(self, variables: list[tuple[str, str]]) -> None:
        """What the plan refers to by name."""
        assert self._state is not None
        for name in self._kept["slots"]:
            kind, _, number = name.partition(":")
            if kind == "environment":
                fd = launcher.sealed_environment({**self._kept["variables"], **dict(variables)})
            elif kind == "cgroup":
                fd = self._parents[int(number)]
            elif kind == "origins":
                fd = launcher.sealed_origins(self._kept["log"], self._kept["origins"])
            elif kind == "events":
                fd = open_events(self.store.path)
            elif kind == "state":
                fd = self._state.fd
            elif kind == "state-root":
                fd = os.dup(self.store.containers_fd)
            elif kind == "names":
                fd = os.dup(self.store.names_fd)
            else:
                fd = os.open(self._kept["helpers"][kind], os.O_PATH | os.O_CLOEXEC)
            self.slots.append(fd)
        self.held = [fd for fd in [*self.held, self._state.fd] if fd not in self.slots]

    def encoded(self) -> bytes:
        """The plan's bytes, with what is this container's own in them."""
        kept = self._kept
        found = candidates(self._command[0], kept["path"], kept["directory"])
        own: dict[str, dict[str, Any]] = {
            "exec": {**exec_values(found, self._command)},
            "note-created": {"members": created_members(kept["name"], kept["labels"], self._command)},
        }
        steps, name = [], self.id[:_NAME_LENGTH].encode()
        for how, *part in kept["steps"]:
            if how == "same":
                steps.append(part[0])
            elif how == "named":
                steps.append(name.join(part[0]))
            elif how == "mapped":
                opcode, values = part
                moved = [_moved(v, kept["base"], self._base) if isinstance(v, str) else v for v in values]
                steps.append(step_bytes(opcode, moved))
            else:
                opcode, names, values = part
                steps.append(
                    step_bytes(opcode, [own[how].get(f, v) for f, v in zip(names, values, strict=True)])
                )
        version, kind, schema_hash = kept["plan"]
        return plan_bytes(version, kind, schema_hash, steps)

    def discard(self) -> None:
        """The long way makes another one."""
        from ..running.sweep import remove_tree

        try:
            if self._state is not None:
                if self._kept["name"]:
                    self.store.release_name(self._kept["name"], self.id)
                remove_tree(self.store.containers_fd, self.id)
        finally:
            for fd in {*self.slots, *self.held, *([self._state.fd] if self._state else [])}:
                os.close(fd)
            self.store.close()


def _moved(text: str, old: int, new: int) -> str:
    """The lines of an id map with one block of host ids in the place of another."""
    lines = [line.split(" ") for line in text.splitlines()]
    return "".join([" ".join([_shifted(int(word), old, new) for word in line]) + "\n" for line in lines])


def _shifted(number: int, old: int, new: int) -> str:
    return str(number - old + new if old <= number < old + ranges.BLOCK else number)
