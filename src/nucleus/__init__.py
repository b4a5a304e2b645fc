"""Nucleus: hardened sandboxes without a daemon.

    import nucleus
    result = nucleus.run(["python3", "-m", "pytest"], workspace=".", timeout="60s")

Names are resolved lazily (PEP 562): importing the package imports nothing of it.
"""

__version__ = "0.1.0"
_LAZY = {
    "Container": "container.container",
    "Result": "container.result",
    "Sandbox": "sandbox",
    "SavedPlan": "container.reuse.saved",
    "run": "sandbox",
    "ContainerSpec": "spec.container",
    "NucleusError": "base.errors",
    "SpecError": "base.errors",
    "HostUnsupported": "base.errors",
    "LaunchError": "base.errors",
    "NotFound": "base.errors",
    "Conflict": "base.errors",
    "PermissionRefused": "base.errors",
}
__all__ = [*sorted(_LAZY), "__version__"]


def __getattr__(name: str) -> object:
    module = _LAZY.get(name)
    if module is None:
        raise AttributeError(f"module 'nucleus' has no attribute {name!r}")
    import importlib

    found: object = getattr(importlib.import_module(f"nucleus.{module}"), name)
    globals()[name] = found  # the next time it is there
    return found
