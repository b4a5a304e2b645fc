"""Files, machines and situations in which a launch is refused.  ✗ runs nothing."""

from __future__ import annotations

from bad_case import ROOT, Case


def _files(title: str, line: str, where: str, says: str, remedy: str, **more: object) -> Case:
    """A row of `run LINE` in a folder with a few odd files."""
    files: dict[str, str | bytes] = {
        "w/": "",
        "file": "",
        "etc": "-> /etc",
        "loop": "-> loop",
        "w/plain": "#!/bin/sh\n",
        "w/sub/": "",
        "empty/": "",
    }
    files |= more.pop("files", {})  # type: ignore[arg-type]
    return Case(
        title=title, words=("run", *line.split()), where=where, says=says, remedy=remedy, files=files, **more
    )  # type: ignore[arg-type]


_ELF = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\xf3\x00\x01\x00\x00\x00" + bytes(100)
HOST = (
    _files(
        "workspace that is missing", "--workspace none -- true", "--workspace", "no such file", "existing"
    ),
    _files(
        "workspace that is a file",
        "--workspace file -- true",
        "--workspace",
        "not a directory",
        "a directory",
    ),
    _files(
        "workspace by a link", "--workspace etc -- true", "--workspace", "/etc of the host", "copy what is"
    ),
    _files(
        "volume by a link", "--volume etc/ssl:/data -- true", "--volume", "/etc of the host", "copy what is"
    ),
    _files("link to itself", "--volume loop:/data -- true", "--volume", "symbolic links", "existing file"),
    _files(
        "target that is a link",
        "--workspace w --volume empty:/workspace/gone -- true",
        "--volume",
        "is a symbolic link",
        "remove the link",
        files={"w/gone": "-> /nowhere"},
    ),  # fmt: skip
    _files("context that is missing", "--context none -- true", "--context", "no such file", "existing"),
    _files(
        "root file system that is none",
        "--rootfs empty -- true",
        "--rootfs",
        "neither usr nor bin",
        "unpacked",
    ),
    _files(
        "secret that is missing",
        "--secret a=none -- true",
        "--secret",
        "no such file",
        "readable regular file",
    ),
    _files(
        "secret that is a directory",
        "--secret a=w -- true",
        "--secret",
        "not a regular file",
        "a regular file",
    ),
    _files(
        "secret that is a link", "--secret a=loop -- true", "--secret", "is a symbolic link", "regular file"
    ),
    _files(
        "variables that are missing",
        "--env-file none -- true",
        "none",
        "cannot be opened",
        "that you can read",
    ),
    _files(
        "log that cannot be written", "--log none/log -- true", "--log", "cannot be written", "you may write"
    ),
    _files(
        "socket as a volume",
        "--volume socket:/s -- true",
        "--volume",
        "neither a file nor a directory",
        "a regular file",
        host='python3 -c \'import socket; socket.socket(socket.AF_UNIX).bind("socket")\' && exec "$@"',
    ),
    _files(
        "unknown command",
        "-- no-such-program",
        "command",
        "command not found: no-such",
        "--toolchain",
        code=127,
    ),
    _files(
        "unknown path",
        "-- /usr/bin/none",
        "command",
        "command not found: /usr/bin/none",
        "--toolchain",
        code=127,
    ),
    _files(
        "not executable",
        "--workspace w -- ./plain",
        "command",
        "not executable: ./plain",
        "its mode",
        code=126,
    ),
    _files(
        "directory as a command",
        "--workspace w -- ./sub",
        "command",
        "not executable: ./sub",
        "mode",
        code=126,
    ),
    _files(
        "program of another machine",
        "--workspace w -- ./alien",
        "command",
        "not a program this machine can run",
        "#! line",
        code=126,
        files={"w/alien": _ELF},
        host='chmod 755 w/alien && exec "$@"',
    ),
    _files(
        "script whose interpreter is missing",
        "--workspace w -- ./script",
        "command",
        "command not found",
        "--toolchain",
        code=127,
        files={"w/script": "#!/none\n"},
        host='chmod 755 w/script && exec "$@"',
    ),
    _files(
        "working directory that is missing",
        "--workdir /none -- true",
        "--workdir",
        "cannot be entered",
        "--workdir",
    ),
    _files(
        "limit above the hard limit",
        "--ulimit nofile=99999999 -- true",
        "--ulimit",
        "above the caller's",
        "lower",
    ),
    _files("memory for no process", "--memory 4K -- true", "--memory", "too little memory", "at least 1M"),
    _files(
        "memory limit without a cgroup",
        "--memory 64M -- true",
        "--memory",
        "cannot be enforced",
        "",
        identities=("user", "nosub", "nested"),
    ),
    _files(
        "arguments beyond the stack limit",
        f"--ulimit stack=131072 -- true {'x' * 50_000} {'y' * 90_000}",
        "command",
        "too large",
        "a file in the workspace",
        code=126,
    ),
    _files(
        "state root that is a file",
        "-- true",
        "state",
        "cannot be made or opened",
        "--root DIR",
        host=': >state && exec "$@"',
    ),
    _files(
        "state root that is a link",
        "-- true",
        "state",
        "cannot be made or opened",
        "--root DIR",
        host='ln -s empty state && exec "$@"',
    ),
    _files(
        "state root that others may write to",
        "-- true",
        "state",
        "others may write",
        "chmod go-w",
        host='mkdir state && chmod 777 state && exec "$@"',
    ),
    _files(
        "state root that is shared on purpose",
        "-- true",
        "state",
        "others may write",
        "choose another one with --root DIR",
        host='mkdir state && chmod 1777 state && exec "$@"',
    ),
    _files(
        "state root of another user",
        "-- true",
        "state",
        "not this user's own",
        "--root DIR",
        host='mkdir -m 700 state && chown 65534 state && exec "$@"',
        identities=ROOT,
    ),
    _files(
        "state root on a read-only file system",
        "-- true",
        "state",
        "read-only",
        "--root DIR",
        host='mkdir state && mount -t tmpfs -o ro,mode=700 none state && exec "$@"',
        namespace=True,
        identities=ROOT,
    ),
    _files(
        "state root on a full disk",
        "--name web -- true",
        "state",
        "no space left",
        "free some space",
        host="mkdir state && mount -t tmpfs -o size=64k,mode=700 none state"
        ' && head -c 64k /dev/zero >state/full; exec "$@"',
        namespace=True,
        identities=ROOT,
    ),
    _files(
        "/run that cannot be written",
        "-- true",
        "/run/nucleus",
        "read-only",
        "make /run writable",
        host='mount -t tmpfs -o ro none /run && exec "$@"',
        namespace=True,
        identities=ROOT,
    ),
    _files(
        "name that is taken",
        "--name web -- true",
        "--name",
        "the name 'web' is taken",
        "nucleus rm web",
        host='"$N" run --root "$F/state" --name web -- true && exec "$@"',
    ),
    _files(
        "name that a running container has",
        "--name web -- true",
        "--name",
        "the name 'web' is taken",
        "another name",
        host='mkfifo up; "$N" run --root "$F/state" --rm --name web -- sh -c "echo; exec sleep 600" >up & '
        'read line <up; "$@"; code=$?; kill $!; wait; exit $code',
    ),
    _files(
        "few open files allowed",
        "-- true",
        "",
        "too many open files",
        "ulimit -n",
        host='ulimit -n 18; exec "$@"',
    ),
    _files(
        "launcher that is missing",
        "-- true",
        "nucleus-launch",
        "cannot be executed",
        "reinstall nucleus",
        host='rm "$COPY/src/nucleus/libexec/nucleus-launch" && exec "$@"',
    ),
    _files(
        "launcher that is not executable",
        "-- true",
        "nucleus-launch",
        "cannot be executed",
        "reinstall nucleus",
        host='chmod 644 "$COPY/src/nucleus/libexec/nucleus-launch" && exec "$@"',
    ),
    _files(
        "launcher of another version",
        "-- true",
        "launcher",
        "not one of this version",
        "reinstall nucleus",
        host='sed -i "s/^SCHEMA_HASH = .*/SCHEMA_HASH = 1/" "$COPY/src/nucleus/plan/schema.py" && exec "$@"',
        leaves=True,
    ),
    _files(
        "standard input that is a directory",
        "-- true",
        "stream 0",
        "directory",
        "/dev/null",
        host='exec "$@" <.',
    ),
)
