"""Options that people know and that this release does not have: each is refused by name, with a remedy.

Imported only when an unknown option was met.  ✗ no option that works (`options.py`).
"""

from __future__ import annotations

from ..base.errors import SpecError
from .options import BY_KEY
from .suggest import hint

# Keys of options whose feature comes with a later release.
LATER = frozenset({
    "add_host", "bundle",
    "credential_broker", "credential_broker_no_proxy_env",
    "dns", "egress_allow", "egress_domain", "egress_tcp_port",
    "egress_udp_port", "gpu", "gpu_device", "gpu_driver_capabilities",
    "gpu_visible_devices", "gvisor_platform",
    "home",
    "nat_backend", "no_gpu_driver_libs", "policy",
    "preset", "publish",
    "terminal",
})  # fmt: skip
LATER_SHORT = {"-p": "--publish"}

# Words of other tools → what says it here.
ELSEWHERE = {
    "allow_chroot_fallback": "the root is changed by pivot_root alone; leave it away",
    "cap_add": "the workload holds no capability; leave it away",
    "cap_drop": "every capability is dropped already; leave it away",
    "cpu_shares": "use --cpu-weight N, from 1 to 10000",
    "device": "the workload sees /dev/null, zero, full, random, urandom and tty only",
    "entrypoint": "write the program as the first word of the command",
    "gpus": "GPUs are not in this release",
    "group_add": "use --additional-group GID",
    "image": "use --rootfs DIR",
    "init": "a process 1 that reaps is always there; leave it away",
    "mount": "use --volume SRC:DEST[:ro], --tmpfs DEST or --workspace DIR",
    "net": "use --network none",
    "pids_limit": "use --pids N",
    "privileged": "a sandbox is never privileged; leave it away",
    "read_only": "the root is read-only already; leave it away",
    "rootless": "an ordinary user needs no flag; leave it away",
    "security_opt": "use --seccomp-profile, --seccomp-allow or --allow-degraded-security",
    "swap": "use --memory-swap SIZE",
}


def refusal(key: str, *, as_flag: bool) -> SpecError:
    """The error for a flag or a document key that is no option of this release."""
    clean = key.replace("-", "_")
    shown = "--" + key.replace("_", "-") if as_flag else f"'{key}'"
    if clean in LATER:
        return SpecError(
            f"{shown} is not in this release", remedy="leave it away; `nucleus run --help` lists what is"
        )
    if clean in ELSEWHERE:
        return SpecError(f"{shown} is not an option of nucleus", remedy=ELSEWHERE[clean])
    if not as_flag and key != clean and clean in BY_KEY:
        return SpecError(f"unknown key {shown}", remedy=f"keys are written with '_'; did you mean {clean}?")
    option = BY_KEY.get(clean)
    if option is not None and not as_flag and not option.document:
        return SpecError(f"{shown} cannot stand in a document", remedy=f"use the flag {option.flag}")
    if option is not None and as_flag and not option.cli:
        return SpecError(f"unknown option {shown}", remedy="write the command after the options, or after --")
    what = "option" if as_flag else "key"
    known = [o.key for o in BY_KEY.values() if (o.cli if as_flag else o.document)]
    near = hint(clean, known)
    if as_flag and near:
        near = hint(clean.replace("_", "-"), [k.replace("_", "-") for k in known], "--")
    help_line = "`nucleus run --help` lists the options" if as_flag else "`nucleus schema` lists the keys"
    return SpecError(f"unknown {what} {shown}", remedy=help_line + near)
