"""Policy files: opened once, hashed from the bytes that are parsed, and compiled before anything of a container exists.

Imported only where a policy file was named.  ✗ what is in them: `policy/`.
"""

from __future__ import annotations

import os
from stat import S_ISREG

from ...base.errors import HostUnsupported, SpecError
from ...plan.request import Policies
from ...policy import modes
from ...spec.decode import MAX_DOCUMENT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...host.facts import HostFacts
    from ...policy.capability_policy import CapabilitySets
    from ...policy.landlock_policy import LandlockPolicy
    from ...spec.container import ContainerSpec


def load(spec: ContainerSpec, facts: HostFacts) -> Policies:
    """All policy files of the spec.  Raises SpecError, or HostUnsupported where the machine cannot hold one."""
    kept = _capabilities(spec)
    profile, flags = None, 0
    if spec.seccomp_file:
        from ...policy import seccomp_floor, seccomp_oci

        data = read_policy(spec.seccomp_file, "--seccomp-profile", spec.seccomp_profile_sha256)
        machine = seccomp_oci.Machine(
            arch=facts.kernel.arch, kernel=_version(facts.kernel.release),
            capabilities=kept.permitted if kept else 0,
        )  # fmt: skip
        found = seccomp_oci.parse(data, spec.seccomp_file, machine)
        profile, flags = seccomp_floor.above(found.filter), found.flags
    return Policies(filter=profile, filter_flags=flags, landlock=_landlock(spec, facts), capabilities=kept)


def _capabilities(spec: ContainerSpec) -> CapabilitySets | None:
    if not spec.caps_policy:
        return None
    from ...policy.capability_policy import parse

    sets = parse(read_policy(spec.caps_policy, "--caps-policy", spec.caps_policy_sha256), spec.caps_policy)
    names = ", ".join([f"CAP_{name}" for name in sets.dangerous])
    error = modes.fatal("dangerous-capabilities", spec.mode, f"{spec.caps_policy} keeps {names}")
    if names and error is not None:
        raise error
    return sets


def _landlock(spec: ContainerSpec, facts: HostFacts) -> LandlockPolicy | None:
    if not spec.landlock_policy:
        return None
    from ...policy.landlock_policy import parse

    file = spec.landlock_policy
    policy = parse(read_policy(file, "--landlock-policy", spec.landlock_policy_sha256), file)
    abi = facts.kernel.landlock_abi
    if abi < policy.min_abi:
        raise HostUnsupported(
            f"the policy needs Landlock ABI {policy.min_abi}, and this kernel offers {abi}", where="--landlock-policy",
            remedy="boot a newer kernel, or say min_abi in the policy, if it may hold less",
        )  # fmt: skip
    error = modes.fatal("landlock-write-execute", spec.mode, f"{file}: {policy.writes_and_executes}")
    if policy.writes_and_executes and error is not None:
        raise error
    return policy


def _version(release: str) -> tuple[int, int]:
    """6.12 of 6.12.5-amd64."""
    major, _, rest = release.partition(".")
    digits = ""
    for letter in rest:
        if not letter.isdecimal():
            break
        digits += letter
    return int(major) if major.isdecimal() else 0, int(digits or 0)


def read_policy(path: str, where: str, wanted: str) -> bytes:
    """The bytes of a policy file.  What is hashed is what is parsed: nothing is read a second time."""
    remedy = "name a file that you can read"
    try:
        # Not waited for: it may be a pipe.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise SpecError(f"{path} cannot be opened: {reason}", where=where, remedy=remedy) from None
    try:
        if not S_ISREG(os.fstat(fd).st_mode):
            raise SpecError(f"{path} is not a regular file", where=where, remedy=remedy)
        parts, left = [], MAX_DOCUMENT + 1
        while left and (part := os.read(fd, left)):
            parts.append(part)
            left -= len(part)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise SpecError(f"{path} cannot be read: {reason}", where=where, remedy=remedy) from None
    finally:
        os.close(fd)
    data = b"".join(parts)
    if wanted:
        import hashlib

        found = hashlib.sha256(data).hexdigest()
        if found != wanted:
            raise SpecError(
                f"{path} is not what was meant: its SHA-256 is {found}", where=f"{where}-sha256",
                remedy="read it, and if it is right, give this hash",
            )  # fmt: skip
    return data
