"""`nucleus seccomp generate|diff`: profiles out of what was recorded, and two of them compared.

✗ what a profile is (`policy/seccomp_generate.py`, `policy/seccomp_compare.py`).
"""

from __future__ import annotations

import os
import sys
from stat import S_ISREG

from ..base.errors import SpecError
from ..base.jsontext import dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..policy.seccomp_compare import Answers

HELP = """usage: nucleus seccomp generate [-o FILE] TRACE...
       nucleus seccomp diff [--format text|json] PROFILE PROFILE

Make a profile of what programs were recorded to need, or compare two.

  generate  from what `run --seccomp-mode trace --seccomp-log TRACE` has
            recorded, of one run or of many, make a profile that allows those
            system calls and kills for any other; where few values of an
            argument that matters were seen, those values alone
  diff      tell where two profiles answer differently; a profile is a JSON file
            or builtin:NAME. The exit code is 1 where they do

  -o, --output FILE  write the profile there (mode 0644, replaced at once), not
                     to the standard output
  --format FORMAT    of diff: text (default), or json, one object a line
"""
MOST_BYTES = 64 << 20
_DIFFERENT = 1


def main(argv: list[str]) -> int:
    """Prints; of diff 1 where the profiles differ."""
    from .arguments import Arguments

    given = Arguments(argv, flags={}, values=("-o", "--output", "--format"), help_text=HELP)
    if given.done:
        return 0
    if given.words[:1] == ["generate"] and len(given.words) > 1:
        return _generate(given.words[1:], given.values.get("-o") or given.values.get("--output", ""))
    if given.words[:1] == ["diff"] and len(given.words) == 3:
        return _compare(given.words[1], given.words[2], given.values.get("--format", "text"))
    raise SpecError(
        "what to do, and with which files?", where="nucleus seccomp",
        remedy="nucleus seccomp generate TRACE..., or nucleus seccomp diff PROFILE PROFILE",
    )  # fmt: skip


def _generate(paths: list[str], output: str) -> int:
    from ..policy.seccomp_generate import left_out, profile_of
    from ..policy.seccomp_record import merged, read

    record = merged(tuple([read(_text(path), path) for path in paths]))
    document = profile_of(record)
    _write(dumps(document, 2) + "\n", output)
    calls = len({name for entry in document["syscalls"] for name in entry["names"]})
    sys.stderr.write(f"{calls} system calls of {record.runs} {'run' if record.runs == 1 else 'runs'}\n")
    for name in left_out(record):
        sys.stderr.write(f"left out: {name}, for which the run was ended or which has no name here\n")
    return 0


def _compare(first: str, second: str, form: str) -> int:
    from ..policy.seccomp_compare import difference

    if form not in ("text", "json"):
        raise SpecError(f"no format {form!r}", where="--format", remedy="use text or json")
    found = difference(_answers(first), _answers(second))
    for d in found:
        if form == "json":
            sys.stdout.write(dumps(d) + "\n")
            continue
        sys.stdout.write(f"{d.sign} {d.call}\n")
        sys.stdout.write("".join([f"    - {answer}\n" for answer in d.first if answer not in d.second]))
        sys.stdout.write("".join([f"    + {answer}\n" for answer in d.second if answer not in d.first]))
    return _DIFFERENT if found else 0


def _answers(name: str) -> Answers:
    import json

    from ..policy.seccomp_compare import answers_of, builtin_answers

    if name.startswith("builtin:"):
        return builtin_answers(name.removeprefix("builtin:"))
    try:
        document = json.loads(_text(name))
    except (ValueError, RecursionError):
        document = None
    return answers_of(document if isinstance(document, dict) else {}, name)


def _text(path: str) -> str:
    """A regular file, whole."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise SpecError(
            f"cannot be read: {(error.strerror or '').lower()}",
            where=path,
            remedy="name a file that you may read",
        ) from None
    with open(fd, "rb") as file:
        if not S_ISREG(os.fstat(fd).st_mode):
            raise SpecError("is not a regular file", where=path, remedy="name a file")
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise SpecError("is larger than 64M", where=path, remedy="record into one file for each run")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise SpecError("is not UTF-8 text", where=path, remedy="name another file") from None


def _write(text: str, path: str) -> None:
    if not path:
        sys.stdout.write(text)
        return
    new = f"{path}.new"
    try:
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        with open(fd, "w") as file:
            file.write(text)
        os.replace(new, path)
    except OSError as error:
        raise SpecError(
            f"cannot be written: {(error.strerror or '').lower()}", where=path, remedy="name another place"
        ) from None
