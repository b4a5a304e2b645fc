"""The filter program of a launch: a built-in profile as committed bytes, or one compiled with further calls.

The plain case loads neither the compiler nor the profiles.  ✗ no rules, no BPF: see the seccomp_* modules.
"""

from __future__ import annotations

from ..base.errors import HostUnsupported, SpecError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .seccomp_rules import Filter

PROFILES = ("default", "strict")
ARCHITECTURES = ("x86_64", "aarch64")


def builtin_program(name: str, arch: str) -> bytes:
    """A built-in profile as an array of struct sock_filter."""
    _check(name, arch)
    from .seccomp_prebuilt import PROGRAMS

    return bytes.fromhex(PROGRAMS[name, arch])


def program(profile_name: str, allow: tuple[str, ...], arch: str) -> bytes:
    """The same with the calls of `--seccomp-allow`; SpecError names those that cannot be allowed."""
    if not allow:
        return builtin_program(profile_name, arch)
    _check(profile_name, arch)
    from .seccomp_allow import extend
    from .seccomp_bpf import compile_filter

    return compile_filter(extend(profile(profile_name), allow), arch)


def profile(name: str) -> Filter:
    """The rules of a built-in profile."""
    if name == "default":
        from .seccomp_default import DEFAULT

        return DEFAULT
    if name == "strict":
        from .seccomp_strict import STRICT

        return STRICT
    raise _no_such_profile(name)


def _check(name: str, arch: str) -> None:
    if name not in PROFILES:
        raise _no_such_profile(name)
    if arch not in ARCHITECTURES:
        raise HostUnsupported(
            f"no seccomp profile is made for the architecture {arch!r}",
            where="seccomp",
            remedy=f"run on {' or '.join(ARCHITECTURES)}",
        )


def _no_such_profile(name: str) -> SpecError:
    known = " or ".join([f"builtin:{p}" for p in PROFILES])
    return SpecError(f"{name!r} is not a built-in profile", where="--seccomp-profile", remedy=f"use {known}")
