"""What one option is, and the groups that options are shown in.  ✗ no option (`options.py` and its tables)."""

from __future__ import annotations

from ..base.value import Value

GROUPS = (
    ("document", "Document and output"),
    ("container", "Container"),
    ("process", "Process and environment"),
    ("files", "Files"),
    ("limits", "Limits"),
    ("isolation", "Network and identity mapping"),
    ("security", "Security"),
    ("supervision", "Supervision"),
)


class Option(Value):
    """One option.

    key      the key in launch documents; the flag is the key with dashes
    field    the field of ContainerSpec that it sets
    kind     the type of its value: a name in `kinds.PARSERS`
    default  what holds when nobody sets it, as a reader would write it; "" when there is nothing to write
    repeat   may be given several times (a list in documents); values add up
    bare     what the flag means without `=VALUE`; None when a value is needed
    choices  the only values; `later`: known values that this release refuses by name
    """

    key: str
    field: str
    kind: str
    group: str
    help: str
    short: str = ""
    metavar: str = ""
    unit: str = ""
    default: str = ""
    example: str = ""
    repeat: bool = False
    bare: str | None = None
    choices: tuple[str, ...] = ()
    later: tuple[str, ...] = ()
    document: bool = True
    cli: bool = True
    since: str = "0.1"

    @property
    def flag(self) -> str:
        """The long flag: `memory_swap` → `--memory-swap`."""
        return "--" + self.key.replace("_", "-")
