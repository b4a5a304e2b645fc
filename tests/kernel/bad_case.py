"""A row of the table of bad input.  ✗ no rows: bad_flags.py, bad_documents.py, bad_hosts.py.

In words and shell lines F is the folder of the test; the state root is F/state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

ROOT = ("root", "vm-root")
USERS = ("user", "nosub", "nested", "vm-user")
EVERYONE = ROOT + USERS
# What no kernel decides is not asked of an emulated one: there a command takes two seconds.
HERE = ("root", "user", "nosub", "nested")


@dataclass(frozen=True, kw_only=True)
class Case:
    """One row.

    says, remedy   parts of the two lines; where: the part before the message
    files          made in F first: text, bytes; "-> " makes a link, a name that ends in "/" a directory
    host           a shell line that makes the situation and then executes "$@"
    namespace      the shell line runs in a mount namespace of its own
    leaves         something is left until the next command of nucleus sweeps it away
    """

    title: str
    words: tuple[str, ...]
    where: str
    says: str
    remedy: str
    code: int = 125
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    host: str = ""
    namespace: bool = False
    leaves: bool = False
    identities: tuple[str, ...] = EVERYONE
