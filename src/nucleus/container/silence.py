"""Why a launcher has ended without a word: it was killed, or it never took the plan.  ✗ how one ends that has spoken."""

from __future__ import annotations

from ..base.errors import LaunchError
from ..host.slow import ask_launcher
from ..launch import report
from ..launch.launcher import PROGRAM
from ..plan import schema

_REINSTALL = "reinstall nucleus, or in a checkout run `make build`"


def silent(where: str) -> LaunchError:
    """The sentence.  A launcher whose streams lead nowhere refuses a plan and nobody hears it: it is asked what it takes."""
    answer = ask_launcher(PROGRAM)
    if not answer:
        return LaunchError(
            "the launcher cannot be executed, or does not answer", where=PROGRAM, remedy=_REINSTALL
        )
    if answer.value("plan") != schema.SCHEMA_HASH:
        return LaunchError(
            "the launcher is of another version, and refuses the plans of this one",
            where=PROGRAM,
            remedy=f"{_REINSTALL}; start a program anew that had it imported before",
        )
    return report.silent(where)
