"""`nucleus context DIR`: the digest of what a context would hold.  ✗ what that is (`container/inputs/context.py`)."""

from __future__ import annotations

import os
import sys

from ..base.errors import SpecError

HELP = """usage: nucleus context [--list] DIR

Print the digest of what `run --context DIR` would copy, for `--context-sha256`.

  --list  print the files and their hashes instead, as sha256sum(1) does: names
          that look like credentials are left out
"""


def main(argv: list[str]) -> int:
    """Always 0; raises SpecError where the directory cannot be read."""
    from .arguments import Arguments

    given = Arguments(argv, flags={"--list": "list"}, values=(), help_text=HELP)
    if given.done:
        return 0
    if len(given.words) != 1:
        raise SpecError("which directory?", where="nucleus context", remedy="nucleus context DIR")
    from ..container.inputs.context import digest_of, snapshot

    try:
        directory = os.open(given.words[0], os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise SpecError(
            f"{given.words[0]} cannot be opened: {(error.strerror or '').lower()}", where="nucleus context",
            remedy="name a directory that you can read",
        ) from None  # fmt: skip
    try:
        files = snapshot(directory)
    finally:
        os.close(directory)
    if given.has("list"):
        sys.stdout.write("".join([f"{files[path]}  {path}\n" for path in sorted(files)]))
    else:
        sys.stdout.write(digest_of(files) + "\n")
    return 0
