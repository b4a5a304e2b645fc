"""From one recorded run to the least that it needs: a launch document, a seccomp profile, Landlock rules.

What was not used is taken away; what only timing or names of temporary files decide is not narrowed to what was seen.
✗ runs nothing, ✗ writes no file (`cli/learn.py`).
"""

from __future__ import annotations

from ..base.jsontext import dumps
from ..base.value import Value
from ..spec.document import to_document
from .refusals import writable, written
from .seccomp_record import ALLOWED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..spec.container import ContainerSpec
    from ..spec.filesystem import Volume
    from .seccomp_record import Record, Use

_MIB = 1 << 20
_LEAST_MEMORY, _LEAST_PIDS = 32 * _MIB, 16
_FORKS = ("clone", "clone3", "fork", "vfork")
_NODES = ("null", "zero", "full", "random", "urandom", "tty")
_DATA = ("read", "write", "create", "remove", "refer")
_FILE = ("read_file", "write_file", "truncate")
# Links into /usr, where a root file system is the host's own.
_LINKS = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_EPHEMERAL = 32768
_LIBRARY = (".so", ".node")
# What mode strict-agent refuses, and is given back where it was not needed.
_GIVEN_BACK = {
    "allow_degraded_security": "every layer is there",
    "proc_rw": "", "allow_workspace_config": "", "disable_cgroup_namespace": "",
}  # fmt: skip


class Peaks(Value):
    """What the run used at most; 0 where nobody measured it.  bounded: its processes were counted by a cgroup."""

    memory_bytes: int = 0
    bounded: bool = True


class Learned(Value):
    """`document` beside the one that was given, `landlock` as TOML, `notes` for whoever reviews."""

    document: tuple[tuple[str, Any], ...]
    landlock: str
    notes: tuple[str, ...]


def learned(spec: ContainerSpec, record: Record, peaks: Peaks, files: dict[str, tuple[str, str]]) -> Learned:
    """spec: what was run.  files: "seccomp_profile", "landlock_policy", "caps_policy" → (path, SHA-256)."""
    document = to_document(spec)
    notes: list[str] = []
    own = (
        "seccomp_mode",
        "seccomp_log",
        "seccomp_allow",
        "seccomp_log_denied",
        "caps_policy",
        "caps_policy_sha256",
    )
    for key in (*_GIVEN_BACK, *own):
        document.pop(key, None)
    reached = sorted(
        {u.port for u in record.uses if u.family and u.name == "connect" and not u.local and u.port}
    )
    mode = "strict-agent"
    if spec.network == "host" and reached:
        mode = "agent"
        notes.append(
            f"it reached other machines (ports {', '.join(map(str, reached[:8]))}): no strict mode allows that"
        )
    else:
        document.pop("network", None)
        document.pop("allow_host_network", None)
    document["service_mode"] = mode
    for key, (path, digest) in files.items():
        document[key], document[f"{key}_sha256"] = path, digest
    document |= _limits(spec, record, peaks, notes)
    _narrow_files(document, spec, record, notes)
    if not record.named:
        notes.append("more files were named than are kept apart: what is learned of files may be too little")
    return Learned(document=tuple(document.items()), landlock=landlock_text(spec, record), notes=tuple(notes))


def _limits(spec: ContainerSpec, record: Record, peaks: Peaks, notes: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if peaks.memory_bytes:
        most = max(_LEAST_MEMORY, -(-peaks.memory_bytes * 3 // 2 // (16 * _MIB)) * 16 * _MIB)
        found["memory"] = f"{most // _MIB}M"
    else:
        notes.append("memory was not measured: there is no memory controller here; set --memory yourself")
    forks = sum([n for call, n in record.calls if call.name in _FORKS and call.answer == ALLOWED])
    most = max(_LEAST_PIDS, 2 * -(-forks // max(record.runs, 1)) + 8)
    found["pids"] = min(most, spec.pids or most)
    if not peaks.bounded:
        notes.append(
            "no cgroup counts processes for you here, which strict-agent demands: `nucleus doctor` says what mends it"
        )
    return found


def _narrow_files(document: dict[str, Any], spec: ContainerSpec, record: Record, notes: list[str]) -> None:
    changed = _written(record, spec)
    if spec.workspace and spec.workspace_mode == "bind-rw" and not _below("/workspace", changed):
        document["workspace"] = spec.workspace.removesuffix(":rw")
        document["workspace_mode"] = "bind-ro"
    document.pop("workspace_exec", None)
    executed = [p for p in _executed(record) if writable(p, spec)[0]]
    if executed:
        document["workspace_exec"] = True
        notes.append(f"it executes what can be written, such as {executed[0]}")
    named = {p for use in record.uses for p in (use.path, use.second) if p}
    kept: list[str] = []
    for volume in spec.volumes:
        if not _below(volume.target, named):
            notes.append(f"volume {volume.source}:{volume.target} was not used")
            continue
        only_read = volume.read_only or not _below(volume.target, changed)
        kept.append(f"{volume.source}:{volume.target}{':ro' if only_read else ''}")
    if spec.volumes:
        document["volume"] = kept
        if not kept:
            del document["volume"]


def landlock_text(spec: ContainerSpec, record: Record) -> str:
    """A Landlock policy: by directories that are mounted, each with what was done below it."""
    rules: dict[str, tuple[list[str], bool]] = {"/": (["read_dir"], False)}
    rules |= {path: (["read", "execute"], True) for path in spec.toolchains}
    changed, executed = _written(record, spec), _executed(record)
    if not spec.rootfs and not spec.toolchain_rootfs:
        rules["/usr"] = (["read", "execute"], False)
    read = {u.path for u in record.uses if u.name in ("open", "openat", "execve", "execveat")}
    for path in sorted(read | changed):
        place, is_file = _place(path, spec, record)
        if place in rules or (place in _LINKS and "/usr" in rules) or place == "/dev":
            continue
        access = _access(place, is_file=is_file, written=_below(place, changed), run=_below(place, executed))
        rules[place] = (access, True)
    for node in _NODES:
        rules[f"/dev/{node}"] = ([*_FILE, "ioctl_dev"], True)
    if _below("/dev/pts", read | changed):
        rules["/dev/pts"] = (["read", "write", "ioctl_dev"], True)
    lines = ["# What one recorded run did, by the directories that are mounted.", *_net(record), ""]
    for path, (access, optional) in rules.items():
        lines += ["[[rules]]", f"path = {dumps(path)}", f"access = {dumps(access)}"]
        lines += ["optional = true", ""] if optional else [""]
    return "\n".join(lines)


def _access(place: str, *, is_file: bool, written: bool, run: bool) -> list[str]:
    if is_file:
        return [*(_FILE if written else _FILE[:1]), *(["execute"] if run else [])]
    whole = place in _LINKS or place.count("/") == 1 and place not in _KNOWN
    return [*(_DATA if written else _DATA[:1]), *(["execute"] if run or (whole and not written) else [])]


_KNOWN = ("/etc", "/proc", "/sys", "/run", "/tmp", "/workspace", "/context", "/home", "/dev")


def _net(record: Record) -> list[str]:
    """TCP ports, where they are few and chosen by the program; with one that the kernel chose no list can be made."""
    ports = {
        key: sorted({u.port for u in record.uses if u.family and u.name == name})
        for key, name in (("bind_tcp", "bind"), ("connect_tcp", "connect"))
    }
    if any(port >= _EPHEMERAL for found in ports.values() for port in found) or 0 in ports["bind_tcp"]:
        return []
    return ["", "[net]", *[f"{key} = {dumps(found)}" for key, found in ports.items()]]


def _place(path: str, spec: ContainerSpec, record: Record) -> tuple[str, bool]:
    """(The mount that a path lies in, is that a file?)"""
    volumes: tuple[Volume, ...] = (*spec.volumes, *spec.provider_config_ro, *spec.provider_config_rw)
    targets = [
        "/workspace",
        "/context",
        "/home/agent",
        "/dev/shm",
        "/dev/pts",
        *[t.target for t in spec.tmpfs],
    ]
    within = [t for t in (*targets, *[v.target for v in volumes]) if path == t or path.startswith(t + "/")]
    if not within:
        return "/" + path.split("/")[1], False
    place = max(within, key=len)
    named = {p for use in record.uses for p in (use.path, use.second)}
    is_file = place in [v.target for v in volumes] and not any(p.startswith(place + "/") for p in named)
    return place, is_file


def _written(record: Record, spec: ContainerSpec) -> set[str]:
    """What was written where the run could write: what could not be, is not learned."""
    return {path for use in record.uses if not use.family for path in written(use) if writable(path, spec)[0]}


def _executed(record: Record) -> set[str]:
    """Programs, and libraries that programs map to be executed."""
    return {u.path for u in record.uses if u.name in ("execve", "execveat") or _is_library(u)}


def _is_library(use: Use) -> bool:
    name = use.path.rpartition("/")[2]
    versioned = name.partition(".so.")[2][:1].isdecimal()
    return use.name in ("open", "openat") and (name.endswith(_LIBRARY) or versioned)


def _below(place: str, paths: set[str]) -> bool:
    return any(path == place or path.startswith(place + "/") for path in paths)


def toml(document: dict[str, Any]) -> str:
    """A launch document as text; tables last, as TOML wants it."""
    plain = [f"{key} = {_value(value)}" for key, value in document.items() if not isinstance(value, dict)]
    tables = [
        "\n".join([f"\n[{key}]", *[f"{dumps(name)} = {_value(value)}" for name, value in rows.items()]])
        for key, rows in document.items()
        if isinstance(rows, dict) and rows
    ]
    return "\n".join([*plain, *tables]) + "\n"


def _value(value: Any) -> str:
    return dumps(list(value) if isinstance(value, tuple) else value)
