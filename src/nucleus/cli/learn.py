"""`nucleus learn [OPTION…] -- COMMAND`: run it once, recorded, and write the document that lets exactly that run.

✗ what is learned (`policy/learned.py`), ✗ options of a run (`parser.py`).
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile

from ..base.errors import NucleusError, SpecError
from ..base.jsontext import dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..container.result import Result
    from ..policy.seccomp_record import Record
    from ..spec.container import ContainerSpec

HELP = """usage: nucleus learn [-o DIR] [--runs N] [OPTION...] -- COMMAND [ARGUMENT...]

Run a command, recorded, and write what it needs as a launch document for mode
strict-agent: launch.toml, with a seccomp profile and a Landlock policy beside
it, and a capability policy where it was given one. Prints how it differs from
what was asked for; review it before you use it. The command has your streams,
and what it changes is changed: what prints to a file may need other calls than
what prints to a pipe.

  -o, --output DIR  where to write the files (default: learned)
  --runs N          run it so often, 1 to 100, and learn what all runs needed
                    together (default: 1)
  OPTION            as for `nucleus run`

Use it with: nucleus run --config DIR/launch.toml
"""
PROFILE, LANDLOCK, CAPABILITIES, DOCUMENT = (
    "profile.json",
    "landlock.toml",
    "capabilities.toml",
    "launch.toml",
)


def main(argv: list[str]) -> int:
    """Prints the difference; 0, also where the command failed, of which it tells."""
    from .parser import parse_run

    own = _own(argv)
    if own is None:
        sys.stdout.write(HELP)
        return 0
    output, runs, rest = own
    spec = parse_run(rest, verb="learn")
    _refuse(spec)
    record, result = _recorded(spec, runs)
    _write(spec, record, result, output)
    return 0


def _own(argv: list[str]) -> tuple[str, int, list[str]] | None:
    """-o and --runs, wherever they stand among the options, and the words that are `run`'s; None for --help."""
    from ..spec.options import BY_FLAG, BY_SHORT

    output, runs = "learned", "1"
    rest: list[str] = []
    left = list(argv)
    while left and left[0] != "--" and left[0].startswith("-"):
        word = left.pop(0)
        if word in ("-h", "--help"):
            return None
        name, equals, value = word.partition("=")
        option = BY_FLAG.get(name) or (BY_SHORT.get(word) if not equals else None)
        own = name in ("-o", "--output", "--runs")
        if own and not equals and not left:
            raise SpecError("a value is missing", where=name, remedy=f"write {name} VALUE")
        if own:
            value = value if equals else left.pop(0)
            runs, output = (value, output) if name == "--runs" else (runs, value)
            continue
        rest.append(word)
        if option is not None and option.bare is None and not equals and left:
            rest.append(left.pop(0))
    if not runs.isdecimal() or not 1 <= int(runs) <= 100:
        raise SpecError(f"'{runs}' is no number of runs", where="--runs", remedy="use 1 to 100")
    return output, int(runs), rest + left


def _refuse(spec: ContainerSpec) -> None:
    for given, flag in (
        (spec.detach, "--detach"), (spec.tty, "--tty"), (spec.supervised, "supervision"),
        (spec.copies_workspace, "--workspace-mode copy-in-out"), (spec.seccomp_mode == "trace", "--seccomp-mode"),
        ("seccomp" in spec.degraded, "--allow-degraded-security"),
    ):  # fmt: skip
        if given:
            raise SpecError(
                "cannot be learned with", where=flag, remedy="leave it away, and add it to what was learned"
            )


def _recorded(spec: ContainerSpec, runs: int) -> tuple[Record, Result]:
    from ..policy.seccomp_record import merged, read

    folder = tempfile.mkdtemp(prefix="nucleus-learn-")
    try:
        results, records = [], []
        for number in range(runs):
            log = f"{folder}/{number}"
            traced = spec.replace(
                mode="agent", rm=True, name="", cidfile="", seccomp_mode="trace", seccomp_log=log,
                explicit=tuple(dict.fromkeys((*spec.explicit, "seccomp_mode", "seccomp_log"))),
            )  # fmt: skip
            results.append(_run(traced))
            with open(log, encoding="utf-8") as file:
                records.append(read(file.read(), log))
            if not results[-1].ok:
                sys.stderr.write(
                    f"nucleus: the command ended with {results[-1].exit_code}: what it would have needed then is not "
                    "learned\n"
                )
        return merged(tuple(records)), max(results, key=lambda r: r.memory_peak_bytes)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(spec: ContainerSpec) -> Result:
    """With a limit of memory that bounds nothing, because only then somebody counts; without where there is none."""
    from ..container.workspace.run import run_here

    if spec.memory_bytes is None:
        whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        try:
            return run_here(spec.replace(memory_bytes=whole))
        except NucleusError as error:
            if error.code not in ("spec", "host"):
                raise
    return run_here(spec)


def _write(spec: ContainerSpec, record: Record, result: Result, output: str) -> None:
    import difflib
    import hashlib

    from ..policy.learned import Peaks, landlock_text, learned, toml
    from ..policy.seccomp_generate import profile_of
    from ..spec.document import to_document

    texts = {
        "seccomp_profile": (PROFILE, dumps(profile_of(record), 2) + "\n"),
        "landlock_policy": (LANDLOCK, landlock_text(spec, record)),
    }
    capabilities, notes = _capabilities(spec, record)
    if capabilities:
        texts["caps_policy"] = (CAPABILITIES, capabilities)
    folder = os.path.abspath(output)
    files = {
        key: (f"{folder}/{name}", hashlib.sha256(text.encode()).hexdigest())
        for key, (name, text) in texts.items()
    }
    peaks = Peaks(memory_bytes=result.memory_peak_bytes, bounded=result.pids_by == "cgroup")
    found = learned(spec, record, peaks, files)
    document = toml(dict(found.document))
    _put(folder, {**{name: text for name, text in texts.values()}, DOCUMENT: document})
    before = toml(to_document(spec))
    sys.stdout.writelines(
        difflib.unified_diff(before.splitlines(True), document.splitlines(True), "asked for", "learned")
    )
    for note in (*found.notes, *notes):
        sys.stderr.write(f"nucleus: {note}\n")


def _capabilities(spec: ContainerSpec, record: Record) -> tuple[str, tuple[str, ...]]:
    """The policy that is left of the one that was given, and notes; "" where none was given, or none is left."""
    if not spec.caps_policy:
        return "", ()
    from ..container.inputs.policies import read_policy
    from ..policy.capability_policy import parse
    from ..policy.learned_capabilities import capability_text

    given = read_policy(spec.caps_policy, "--caps-policy", spec.caps_policy_sha256)
    return capability_text(parse(given, spec.caps_policy), record)


def _put(folder: str, texts: dict[str, str]) -> None:
    try:
        os.makedirs(folder, exist_ok=True)
        for name, text in texts.items():
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
            with open(os.open(f"{folder}/{name}", flags, 0o644), "w") as file:
                file.write(text)
    except OSError as error:
        raise SpecError(
            f"cannot be written: {(error.strerror or '').lower()}",
            where=folder,
            remedy="name another directory: -o DIR",
        ) from None
