"""`nucleus completion bash|zsh|fish`: the shell's completion script; `--containers`: the names that it asks for.

Asked at every press of a key, so the names are read from the directories alone.  ✗ the scripts (`completion_scripts.py`).
"""

from __future__ import annotations

import os
import sys

from ..base.errors import SpecError

_SHORT = 12
HELP = """usage: nucleus completion bash|zsh|fish
       nucleus completion --containers [--root DIR]

Print the completion script of a shell, such as for ~/.bashrc: source <(nucleus
completion bash)

  --containers  print names and short ids of the containers instead, which the
                scripts ask for
  --root DIR    the state root
"""


def main(argv: list[str]) -> int:
    """Prints; 0."""
    from .arguments import Arguments

    given = Arguments(argv, flags={"--containers": "containers"}, values=("--root",), help_text=HELP)
    if given.done:
        return 0
    if given.has("containers"):
        sys.stdout.write("".join(f"{word}\n" for word in known_containers(given.values.get("--root", ""))))
        return 0
    from .completion_scripts import SCRIPTS, SHELLS

    if len(given.words) != 1 or given.words[0] not in SHELLS:
        raise SpecError("which shell?", where="nucleus completion", remedy=f"use {', '.join(SHELLS)}")
    sys.stdout.write(SCRIPTS[given.words[0]]())
    return 0


def known_containers(root: str) -> list[str]:
    """Names, then short ids; nothing where there is no state root.  Looks, and neither makes nor sweeps anything."""
    from ..state.store import default_root

    path = root or default_root(os.geteuid(), os.environ)
    found: list[str] = []
    for folder, length in (("names", None), ("containers", _SHORT)):
        try:
            found += sorted([name[:length] for name in os.listdir(f"{path}/{folder}")])
        except OSError:
            continue  # none yet, or another user's
    return found
