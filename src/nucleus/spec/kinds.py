"""Kinds of option values: text → value.  One function per kind; each raises SpecError without a `where`.

The types that only some launches need are imported where they are made.  ✗ rules between options
(`rules.py`), ✗ value → text (`document.py`).
"""

from __future__ import annotations

from ..base.errors import SpecError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .filesystem import Secret, Tmpfs, Volume
    from .options import Option
    from .process import IdMap, Rlimit
    from .resources import IoLimit

MAX_ID = (1 << 32) - 2  # (uid_t) -1 means "no change" to the kernel
LAYERS = ("seccomp", "landlock", "cgroup", "userns-limit", "devices")
_MAX_TEXT = 128 * 1024  # the kernel takes no longer argument (MAX_ARG_STRLEN)
_MAX_PATH = 4095
_MAX_PIDS = 4_194_304  # PID_MAX_LIMIT


def parse(option: Option, text: str) -> object:
    """The value of that option, or SpecError."""
    check_text(text, secret=option.kind == "env")
    return PARSERS[option.kind](text, option)


def check_text(text: str, *, secret: bool = False) -> None:
    """What no string of the kernel may hold; a value that may be a secret is not repeated."""
    if "\0" in text:
        raise SpecError("contains a NUL byte", remedy="remove it")
    if len(text) > _MAX_TEXT:
        raise SpecError("is longer than 131072 characters", remedy="put it into a file")
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        shown = "" if secret else f": {ascii(text)}"
        raise SpecError(f"contains what is no character{shown}", remedy="use valid UTF-8") from None


def plain(command: Sequence[str]) -> bool:
    """Is it a command that no rule refuses?  Others go the long way, on which the refusal is explained."""
    if isinstance(command, str) or not command or not command[0]:
        return False
    try:
        for word in command:
            if type(word) is not str:
                return False
            check_text(word)
    except SpecError:
        return False
    return True


def split_mode(text: str) -> tuple[str, str]:
    """'x:ro' → ('x', 'ro'); without ':ro' or ':rw' at the end the mode is ''."""
    head, colon, tail = text.rpartition(":")
    return (head, tail) if colon and tail in ("ro", "rw") else (text, "")


def inside_path(text: str, what: str = "path") -> str:
    """An absolute, normalised path of the sandbox, other than '/'."""
    if not text.startswith("/"):
        raise SpecError(f"'{text}' is not absolute", remedy=f"write the {what} inside from '/' on")
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise SpecError(f"'{text}' contains '..'", remedy="write the path without it")
    if not parts:
        raise SpecError(f"'{text}' is the root itself", remedy="name a directory below it")
    if any(len(part.encode("utf-8", "surrogateescape")) > 255 for part in parts) or len(text) > _MAX_PATH:
        raise SpecError("is too long for a path", remedy="names have at most 255 bytes, paths 4095")
    return "/" + "/".join(parts)


def _argument(text: str, option: Option) -> str:
    return text


def _path(text: str, option: Option) -> str:
    if not text:
        raise SpecError("the path is empty", remedy=f"such as {option.flag} {option.example}")
    if len(text) > _MAX_PATH:
        raise SpecError("is too long for a path", remedy="the kernel takes at most 4095 bytes")
    return text


def _inside(text: str, option: Option) -> str:
    return "/" if text == "/" else inside_path(text, "directory")


def _choice(text: str, option: Option) -> str:
    if text in option.choices:
        return text
    known = " or ".join(option.choices)
    if text in option.later:
        raise SpecError(f"'{text}' is not in this release", remedy=f"use {known}")
    from .suggest import hint

    raise SpecError(f"'{text}' is none of its values", remedy=f"use {known}{hint(text, option.choices)}")


def _flag(text: str, option: Option) -> bool:
    if text not in ("true", "false"):
        raise SpecError(
            f"'{text}' is neither true nor false", remedy=f"use {option.flag} or {option.flag}=false"
        )
    return text == "true"


def _size(text: str, option: Option) -> int:
    from ..base.units import parse_bytes

    value = parse_bytes(text)
    if not value:
        raise SpecError(
            "0 leaves nothing", remedy=f"such as {option.flag} {option.example}, or leave it away"
        )
    return value


def _swap(text: str, option: Option) -> int:
    from ..base.units import parse_bytes

    return parse_bytes(text)


def _duration(text: str, option: Option) -> int:
    from ..base.units import parse_duration

    return parse_duration(text)


def _interval(text: str, option: Option) -> int:
    value = _duration(text, option)
    if not value:
        raise SpecError("0 leaves no time", remedy=f"such as {option.flag} {option.example}")
    return value


def _command(text: str, option: Option) -> str:
    if not text.strip():
        raise SpecError("the command is empty", remedy=f"such as {option.flag} '{option.example}'")
    return text


def _retries(text: str, option: Option) -> int:
    from ..base.units import parse_integer

    value = parse_integer(text)
    if not 1 <= value <= 1_000_000:
        raise SpecError(f"'{text}' is no number of tries", remedy="from 1 to 1000000")
    return value


def _files(text: str, option: Option) -> int:
    from ..base.units import parse_integer

    value = parse_integer(text)
    if not 1 <= value <= 1000:
        raise SpecError(f"'{text}' is no number of files", remedy="from 1 to 1000")
    return value


def _port(text: str, option: Option) -> int:
    from ..base.units import parse_integer

    value = parse_integer(text)
    if not 1 <= value <= 65_535:
        raise SpecError(f"'{text}' is not a port", remedy="from 1 to 65535")
    return value


def _restart(text: str, option: Option) -> str:
    policy, colon, most = text.partition(":")
    if policy not in ("no", "on-failure", "always", "unless-stopped"):
        raise SpecError(
            f"'{text}' is not a restart policy", remedy="use no, on-failure[:N], always or unless-stopped"
        )
    if not colon:
        return policy
    if policy != "on-failure":
        raise SpecError(f"'{policy}' takes no number", remedy="only on-failure:N does")
    return f"{policy}:{_retries(most, option)}"


def _cpus(text: str, option: Option) -> int:
    from ..base.units import parse_cpus

    return parse_cpus(text)


def _weight(text: str, option: Option) -> int:
    from ..base.units import parse_integer

    value = parse_integer(text)
    if not 1 <= value <= 10_000:
        raise SpecError(f"'{text}' is no weight", remedy="from 1 to 10000; others have 100")
    return value


def _count(text: str, option: Option) -> int:
    from ..base.units import parse_integer

    value = parse_integer(text)
    if value > _MAX_PIDS:
        raise SpecError(
            f"'{text}' is more than the kernel can number", remedy=f"at most {_MAX_PIDS}, or 0 for no limit"
        )
    return value


def _descriptor(text: str, option: Option) -> int:
    from ..base.units import parse_integer

    value = parse_integer(text)
    if not 3 <= value <= 1_048_576:
        raise SpecError(f"'{text}' cannot be an inherited descriptor", remedy="use a number above 2")
    return value


def _name(text: str, option: Option) -> str:
    from ..base.identifiers import is_id, is_name

    if not is_name(text):
        raise SpecError(
            f"'{text}' is not a name",
            remedy="1 to 128 letters, digits, '.', '_' and '-', beginning with a letter or digit",
        )
    if is_id(text):
        raise SpecError(f"'{text}' looks like a container's id", remedy="choose another name")
    return text


def _hostname(text: str, option: Option) -> str:
    from ..base.identifiers import is_hostname

    if not is_hostname(text):
        raise SpecError(
            f"'{text}' is not a host name",
            remedy="at most 64 letters, digits and '-', in labels that begin and end with a letter or digit",
        )
    return text


def _label(text: str, option: Option) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise SpecError(f"'{text}' is not KEY=VALUE", remedy=f"such as {option.flag} {option.example}")
    return key, value


def _env(text: str, option: Option) -> tuple[str, str | None]:
    from .environment import check_name

    key, equals, value = text.partition("=")
    check_name(key)
    return key, value if equals else None


def _signal(text: str, option: Option) -> int:
    from .process import signal_number

    number = signal_number(text)
    if not number:
        raise SpecError(f"'{text}' is not a signal", remedy="a name such as TERM or INT, or its number")
    return number


def _account(text: str, option: Option) -> str:
    if text.isascii() and text.isdigit():
        if len(text) > 10 or int(text) > MAX_ID:
            raise SpecError(f"'{text}' is beyond the ids that exist", remedy=f"at most {MAX_ID}")
        return str(int(text))
    plain = text.replace("-", "").replace("_", "").replace(".", "").removesuffix("$")
    if not plain.isascii() or not plain.isalnum() or text[0] in "-.0123456789" or len(text) > 32:
        raise SpecError(
            f"'{text}' is neither an id nor a name", remedy="such as 1000, or a name that exists inside"
        )
    return text


def _user(text: str, option: Option) -> tuple[str, str]:
    user, colon, group = text.partition(":")
    return _account(user, option), _account(group, option) if colon else ""


def _workspace(text: str, option: Option) -> tuple[str, str]:
    path, mode = split_mode(text)
    return _path(path, option), mode


def _volume(text: str, option: Option) -> Volume:
    from .filesystem import Volume

    rest, mode = split_mode(text)
    source, _, target = rest.rpartition(":")
    if not source or not target:
        raise SpecError(f"'{text}' is not SRC:DEST", remedy=f"such as {option.flag} {option.example}")
    if ":" in source and not target.startswith("/"):
        raise SpecError(f"'{target}' is neither ro nor rw", remedy=f"such as {option.flag} {option.example}")
    return Volume(source=_path(source, option), target=inside_path(target), read_only=mode == "ro")


def _provider(text: str, option: Option) -> Volume:
    from .filesystem import Volume
    from .paths import HOME, is_below

    source, _, target = text.rpartition(":")
    if not source or not target:
        raise SpecError(f"'{text}' is not SRC:DEST", remedy=f"such as {option.flag} {option.example}")
    path = inside_path(target if target.startswith("/") else f"{HOME}/{target}")
    if path == HOME or not is_below(path, HOME):
        raise SpecError(
            f"'{target}' is not below {HOME}", remedy="name a file or directory of the home directory"
        )
    return Volume(source=_path(source, option), target=path, read_only=option.key.endswith("_ro"))


def _tmpfs(text: str, option: Option) -> Tmpfs:
    from ..base.units import parse_bytes
    from .filesystem import DEFAULT_TMPFS_BYTES, Tmpfs

    rest, mode = split_mode(text)
    target, colon, size = rest.partition(":")
    size_bytes = parse_bytes(size) if colon else DEFAULT_TMPFS_BYTES
    if not size_bytes:
        raise SpecError("a tmpfs of size 0 would be without limit", remedy="write a size such as 64M")
    return Tmpfs(target=inside_path(target), size_bytes=size_bytes, read_only=mode == "ro")


def _secret(text: str, option: Option) -> Secret:
    from ..base.identifiers import is_name
    from .filesystem import SECRETS, Secret

    name, equals, file = text.partition("=")
    if equals and is_name(name):
        return Secret(source=_path(file, option), target=f"{SECRETS}/{name}")
    source, _, target = text.rpartition(":")
    if not source or not target:
        raise SpecError("is neither NAME=FILE nor SRC:DEST", remedy=f"such as {option.flag} {option.example}")
    path = inside_path(target if target.startswith("/") else f"{SECRETS}/{target}")
    if not path.startswith(f"{SECRETS}/"):
        raise SpecError(f"'{target}' is outside {SECRETS}", remedy=f"use {SECRETS}{path}, or a link to it")
    return Secret(source=_path(source, option), target=path)


def _credential(text: str, option: Option) -> Secret:
    from .filesystem import SECRETS, Secret

    name, _, target = text.partition(":")
    if not name or "/" in name or name in (".", ".."):
        raise SpecError(
            f"'{name}' is not the name of a credential", remedy=f"such as {option.flag} {option.example}"
        )
    path = inside_path(target if target.startswith("/") else f"{SECRETS}/{target or name}")
    if not path.startswith(f"{SECRETS}/"):
        raise SpecError(f"'{target}' is outside {SECRETS}", remedy=f"use {SECRETS}{path}, or a link to it")
    return Secret(source=name, target=path)


def _ulimit(text: str, option: Option) -> Rlimit:
    from ..base.units import parse_integer
    from .process import INFINITY, LEAST_FILES, RLIMITS, Rlimit
    from .suggest import hint

    name, equals, numbers = text.partition("=")
    name = name.lower().removeprefix("rlimit_")
    if not equals or not numbers:
        raise SpecError(f"'{text}' is not NAME=SOFT[:HARD]", remedy=f"such as {option.flag} {option.example}")
    if name not in RLIMITS:
        raise SpecError(
            f"'{name}' is not a resource limit", remedy=f"one of {', '.join(RLIMITS)}{hint(name, RLIMITS)}"
        )
    soft, colon, hard = numbers.partition(":")
    pair = [
        INFINITY if n in ("unlimited", "-1") else parse_integer(n) for n in (soft, hard if colon else soft)
    ]
    if max(pair) > INFINITY or pair[0] > pair[1]:
        raise SpecError(
            f"the soft limit of '{text}' is above the hard one", remedy="write SOFT:HARD with SOFT ≤ HARD"
        )
    if name == "nofile" and pair[0] < LEAST_FILES:
        raise SpecError(
            f"'{text}' leaves fewer open files than it takes to confine the command",
            remedy=f"at least nofile={LEAST_FILES}",
        )
    return Rlimit(name=name, soft=pair[0], hard=pair[1])


def _io(text: str, option: Option) -> IoLimit:
    from ..base.units import parse_bytes, parse_integer
    from .resources import IoLimit

    words = text.split()
    device = words[0].split(":") if words else []
    if len(device) != 2 or len(words) < 2:
        raise SpecError(f"'{text}' is not MAJ:MIN KEY=N…", remedy=f"such as {option.flag} '{option.example}'")
    fields: dict[str, int] = {}
    for word in words[1:]:
        key, equals, number = word.partition("=")
        if key not in ("rbps", "wbps", "riops", "wiops") or not equals:
            raise SpecError(
                f"'{word}' is not a limit of a device", remedy="rbps=, wbps=, riops= or wiops= and a number"
            )
        if key in fields:
            raise SpecError(f"{key} stands twice in '{text}'", remedy="write it once")
        fields[key] = parse_bytes(number) if key.endswith("bps") else parse_integer(number)
        if not fields[key]:
            raise SpecError(f"'{word}' would stop the device", remedy="leave the key away for no limit")
    major, minor = parse_integer(device[0]), parse_integer(device[1])
    if major >= 1 << 12 or minor >= 1 << 20:
        raise SpecError(f"'{words[0]}' is no device", remedy="see `lsblk` for MAJ:MIN")
    return IoLimit(major=major, minor=minor, **fields)


def _idmap(text: str, option: Option) -> IdMap:
    from ..base.units import parse_integer
    from .process import IdMap

    parts = text.split(":")
    if len(parts) != 3:
        raise SpecError(
            f"'{text}' is not INSIDE:HOST:COUNT", remedy=f"such as {option.flag} {option.example}"
        )
    inside, host, count = [parse_integer(part) for part in parts]
    if not 1 <= count <= 65_536:
        raise SpecError(f"'{text}' maps {count} ids", remedy="from 1 to 65536")
    if inside + count - 1 > MAX_ID or host + count - 1 > MAX_ID:
        raise SpecError(f"'{text}' goes beyond the ids that exist", remedy=f"the last one is {MAX_ID}")
    return IdMap(container=inside, host=host, count=count)


def _profile(text: str, option: Option) -> str:
    names = ("default", "strict")
    prefix, colon, name = text.partition(":")
    if colon and prefix == "builtin" and name in names:
        return name
    known = "builtin:default, builtin:strict, or the path of a JSON file"
    if "/" in text or text.endswith(".json"):
        return _path(text if "/" in text else f"./{text}", option)
    from .suggest import hint

    raise SpecError(
        f"'{text}' is not a profile", remedy=f"use {known}{hint(name or text, names, 'builtin:')}"
    )


def _sha256(text: str, option: Option) -> str:
    if len(text) == 64 and all(letter in "0123456789abcdef" for letter in text):
        return text
    raise SpecError(
        f"'{text}' is not a SHA-256", remedy="write the 64 small hexadecimal digits that sha256sum(1) prints"
    )


def _syscall(text: str, option: Option) -> str:
    if not text.replace("_", "a").isalnum() or not text.isascii() or text != text.lower():
        raise SpecError(f"'{text}' is not a system call", remedy=f"such as {option.flag} {option.example}")
    return text


def _layers(text: str, option: Option) -> tuple[str, ...]:
    if text == "all":
        return LAYERS
    names = text.split(",")
    for name in names:
        if name not in LAYERS:
            from .suggest import hint

            raise SpecError(
                f"'{name}' is not a layer", remedy=f"one of {', '.join(LAYERS)}, or all{hint(name, LAYERS)}"
            )
    return tuple([layer for layer in LAYERS if layer in names])


PARSERS: dict[str, Callable[[str, Option], object]] = {
    "account": _account, "argument": _argument, "choice": _choice, "command": _command, "count": _count, "cpus": _cpus,
    "credential": _credential,
    "descriptor": _descriptor, "duration": _duration, "env": _env, "flag": _flag, "hostname": _hostname,
    "files": _files, "idmap": _idmap, "inside": _inside, "interval": _interval, "io": _io,
    "label": _label, "layers": _layers, "name": _name, "path": _path, "port": _port,
    "profile": _profile, "provider": _provider, "restart": _restart, "retries": _retries,
    "secret": _secret, "sha256": _sha256, "signal": _signal, "size": _size, "swap": _swap,
    "syscall": _syscall, "tmpfs": _tmpfs, "ulimit": _ulimit, "user": _user, "volume": _volume,
    "weight": _weight, "workspace": _workspace,
}  # fmt: skip
