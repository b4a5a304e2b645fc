"""`nucleus doctor`: what this host offers and what mends the rest; exit 0 when a hardened sandbox can run.

✗ judges nothing (`host/doctor.py`).
"""

from __future__ import annotations

import os
import sys

from ..base.errors import SpecError
from ..cgroup.parent import CONTROLLERS, choose_parent
from ..host.doctor import MISSING, CgroupOutlook, Finding, apparmor_profile, findings, ready
from ..host.probe import probe
from ..host.slow import launcher_path
from ..host.tools import probe_tools

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..host.facts import HostFacts

USAGE = """\
usage: nucleus doctor [--format text|json]
       nucleus doctor --apparmor-profile

What this host offers to a sandbox, what is missing, and the one command that
mends it.
Exit status 0: a hardened sandbox can run for you; 1: it cannot.

  --format FORMAT      text (default) or json
  --apparmor-profile   print the AppArmor profile that lets the launcher use
                       user namespaces
"""


def _arguments(argv: list[str]) -> tuple[str, bool]:
    """(format, whether only the profile is wanted)."""
    form, profile, rest = "text", False, list(argv)
    while rest:
        word = rest.pop(0)
        name, sep, value = word.partition("=")
        if name == "--format":
            if not sep and not rest:
                raise SpecError(
                    "needs a value", where="doctor: --format", remedy="--format text or --format json"
                )
            form = value if sep else rest.pop(0)
        elif word == "--apparmor-profile":
            profile = True
        else:
            raise SpecError(f"unknown argument '{word}'", where="doctor", remedy="nucleus doctor --help")
    if form not in ("text", "json"):
        remedy = "--format text or --format json"
        raise SpecError(f"'{form}' is not a format", where="doctor: --format", remedy=remedy)
    return form, profile


def cgroup_outlook(facts: HostFacts) -> CgroupOutlook:
    """Where a container with every kind of limit would go."""
    placement = choose_parent(facts, wanted=CONTROLLERS)
    return CgroupOutlook(
        kind=placement.kind,
        controllers=tuple(placement.versions),
        reason=placement.reason,
        remedy=placement.remedy,
    )


def report_text(report: tuple[Finding, ...], facts: HostFacts) -> str:
    """A line per finding, its remedy below it.  What only some features need is optional, not missing."""
    width = max(len(f.name) for f in report)
    lines = []
    for finding in report:
        status = "optional" if finding.status == MISSING and not finding.required else finding.status
        lines.append(f"{status:<8}  {finding.name:<{width}}  {finding.detail}")
        if finding.remedy:
            lines.append(f"{'':<8}  {'':<{width}}  remedy: {finding.remedy}")
    who = "root" if facts.identity.is_host_root else facts.identity.name or f"uid {facts.identity.uid}"
    verdict = "can" if ready(report) else "cannot"
    return "\n".join([*lines, "", f"A hardened sandbox {verdict} run here as {who}."])


def _plain(value: Any) -> Any:
    """Values as mappings, for JSON."""
    if hasattr(value, "as_dict"):
        return {name: _plain(inner) for name, inner in value.as_dict().items()}
    return [_plain(inner) for inner in value] if isinstance(value, tuple) else value


def report_json(report: tuple[Finding, ...], facts: HostFacts) -> str:
    """`ready`, the findings, and the facts that they come from."""
    import json

    document = {"ready": ready(report), "findings": _plain(report), "facts": _plain(facts)}
    return json.dumps(document, indent=2, ensure_ascii=True)


def main(argv: list[str]) -> int:
    """The verb `doctor`."""
    if any(word in ("-h", "--help") for word in argv):
        sys.stdout.write(USAGE)
        return 0
    form, profile = _arguments(argv)
    if profile:
        # The kernel compares the path to which all names have led.
        sys.stdout.write(apparmor_profile(os.path.realpath(launcher_path())))
        return 0
    facts = probe(fresh=True)
    report = findings(facts, probe_tools(), cgroup_outlook(facts))
    text = report_json(report, facts) if form == "json" else report_text(report, facts)
    sys.stdout.write(text + "\n")
    return 0 if ready(report) else 1
