"""Who runs a suite: commands that become an identity, and a copy of the checkout that it can read.

✗ knows no suite and counts nothing. Changes nothing of the machine but temporary folders.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
USER_WITH_RANGES = "nucleus-test"
USER_WITHOUT_RANGES = "nucleus-nosub"
_NOT_COPIED = shutil.ignore_patterns(
    ".git", ".venv", "build", "dist", "__pycache__", ".*_cache", ".hypothesis"
)
_NAMESPACES = (
    *("unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child"),
    *("--mount", "--mount-proc"),
)
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Absent(Exception):
    """This identity cannot be had here; the text says what would make it available."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where and how commands run as one identity."""

    prefix: tuple[str, ...]
    folder: Path
    python: Path
    environment: dict[str, str]
    shown: str


def _root_prefix() -> tuple[str, ...]:
    if os.geteuid() == 0:
        return ()
    asked = (
        subprocess.run(["sudo", "-n", "true"], stderr=subprocess.DEVNULL) if shutil.which("sudo") else None
    )
    if asked is None or asked.returncode:
        raise Absent("needs root: run it as root, or give sudo first (sudo -v)")
    return ("sudo", "-n", "-E")


def _has_ranges(user: str) -> bool:
    lines = [
        line
        for name in ("/etc/subuid", "/etc/subgid")
        if os.path.exists(name)
        for line in Path(name).read_text().splitlines()
    ]
    return sum(line.startswith(f"{user}:") for line in lines) >= 2


class Identities:
    """Makes places on demand and removes their copies at the end."""

    def __init__(self) -> None:
        self._copies: dict[str, Path] = {}
        self._makers = {
            "caller": self._caller,
            "root": self._root,
            "user": lambda: self._user(USER_WITH_RANGES, ranges=True),
            "nosub": lambda: self._user(USER_WITHOUT_RANGES, ranges=False),
            "nested": self._nested,
        }

    def place(self, name: str) -> Place:
        """The place of one identity; raises Absent."""
        return self._makers[name]()

    def close(self) -> None:
        """Removes the copies; they may hold files of users whom only root can remove."""
        for folder in self._copies.values():
            if os.geteuid() == 0 or folder.owner() == pwd.getpwuid(os.geteuid()).pw_name:
                shutil.rmtree(folder, ignore_errors=True)
            else:
                subprocess.run([*_root_prefix(), "rm", "-rf", "--one-file-system", str(folder)], check=False)
        self._copies.clear()

    def _caller(self) -> Place:
        user = pwd.getpwuid(os.geteuid()).pw_name
        return Place(
            prefix=(),
            folder=ROOT,
            python=ROOT / ".venv/bin/python3",
            environment=dict(os.environ),
            shown=user,
        )

    def _root(self) -> Place:
        place = self._caller()
        return Place(
            prefix=_root_prefix(),
            folder=place.folder,
            python=place.python,
            environment=place.environment,
            shown="root",
        )

    def _user(self, user: str, *, ranges: bool) -> Place:
        me = pwd.getpwuid(os.geteuid()).pw_name
        if os.geteuid() and _has_ranges(me) == ranges:
            return self._caller()
        try:
            account = pwd.getpwnam(user)
        except KeyError:
            raise Absent(f"there is no user {user}: tools/setup-test-users.sh makes it") from None
        if _has_ranges(user) != ranges:
            raise Absent(f"{user} has the wrong subordinate ids: tools/setup-test-users.sh mends them")
        become = (
            "setpriv",
            f"--reuid={user}",
            f"--regid={account.pw_gid}",
            "--init-groups",
            "--inh-caps=-all",
        )
        copy = self._copy_for(account)
        kept = {k: v for k, v in os.environ.items() if k.startswith("NUCLEUS_")}
        return Place(
            prefix=(*_root_prefix(), *become),
            folder=copy,
            python=copy / ".venv/bin/python3",
            environment=kept
            | {"HOME": account.pw_dir, "USER": user, "LOGNAME": user, "PATH": _PATH, "LANG": "C.UTF-8"},
            shown=f"{user} (uid {account.pw_uid})",
        )

    def _nested(self) -> Place:
        outer = self._user(USER_WITH_RANGES, ranges=True)
        # The shell is PID 1 there and reaps orphans, which pytest in its place would not.
        inside = (*_NAMESPACES, "/bin/sh", "-c", '"$@"; exit $?', "sh")
        tried = subprocess.run(
            [*outer.prefix, *inside, "true"], env=outer.environment, capture_output=True, text=True, cwd="/"
        )
        if tried.returncode:
            raise Absent(f"no user namespace can be made here: {tried.stderr.strip()}")
        return Place(
            prefix=(*outer.prefix, *inside),
            folder=outer.folder,
            python=outer.python,
            environment=outer.environment,
            shown=f"uid 0 in a user namespace of {outer.shown}",
        )

    def _copy_for(self, account: pwd.struct_passwd) -> Path:
        """A copy of the checkout with its own environment: homes of others may be closed to this user."""
        if account.pw_name not in self._copies:
            folder = Path(tempfile.mkdtemp(prefix="nucleus-checkout-", dir="/var/tmp"))
            self._copies[account.pw_name] = folder
            shutil.copytree(ROOT, folder, ignore=_NOT_COPIED, dirs_exist_ok=True, symlinks=True)
            _copy_environment(folder)
            owner = f"{account.pw_uid}:{account.pw_gid}"
            subprocess.run([*_root_prefix(), "chown", "-hR", owner, str(folder)], check=True)
            folder.chmod(0o755) if os.geteuid() == 0 else None
        return self._copies[account.pw_name]


def _copy_environment(folder: Path) -> None:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    interpreter = next(
        (
            p
            for p in (f"/usr/bin/{version}", f"/usr/local/bin/{version}", sys.executable)
            if os.path.exists(p)
        ),
        "",
    )
    made = subprocess.run(
        [interpreter, "-I", "-m", "venv", "--without-pip", str(folder / ".venv")], check=False
    )
    if made.returncode:
        raise Absent(f"{interpreter} cannot make an environment for the test users")
    packages = Path("lib", version, "site-packages")
    shutil.copytree(
        ROOT / ".venv" / packages,
        folder / ".venv" / packages,
        ignore=shutil.ignore_patterns("__pycache__", "pip*"),
        dirs_exist_ok=True,
    )
